"""What the doctor finds in a Redis by what it says of itself."""

from __future__ import annotations

import pytest

from core.bootstrap import bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.doctor.redis import distance_findings, info_findings, rights_findings
from core.settings import Settings
from core.stores.base import Persistence, StoreInfo
from core.stores.refusal import Refusal
from tests.doctor.findings import the_only

SOUND = {
    "kind": "redis",
    "version": "8.2.3",
    "policy": "volatile-lru",
    "role": "master",
    "persistence": Persistence.LOG,
}


def test_a_sound_redis_has_nothing_wrong_with_it():
    assert list(info_findings(StoreInfo(**SOUND))) == []
    assert list(info_findings(StoreInfo(**SOUND, replicas=1), replicas=1)) == []


def test_fewer_replicas_than_an_invalidation_waits_for_are_told():
    finding = the_only(info_findings(StoreInfo(**SOUND, replicas=1), replicas=2))
    assert finding.level is Level.ERROR
    assert "It has 1 of the 2 replicas that ENCORE_INVALIDATION_REPLICAS asks for" in finding.text


@pytest.mark.parametrize(
    ("facts", "is_fine"),
    [({}, True), ({"version": "7.0.15"}, False), ({"persistence": Persistence.SNAPSHOTS}, False)],
)
def test_a_redis_that_cannot_say_what_is_on_its_disk_is_told(facts, is_fine):
    found = info_findings(StoreInfo(**(SOUND | facts)), synced=True)
    told = [finding for finding in found if "ENCORE_INVALIDATION_SYNCED" in finding.text]
    assert [finding.level for finding in told] == ([] if is_fine else [Level.ERROR])


@pytest.mark.parametrize(
    ("facts", "level", "word"),
    [
        ({"policy": "allkeys-lru", "max_bytes": 10**9}, Level.ERROR, "allkeys-lru"),
        ({"policy": "allkeys-random"}, Level.WARNING, "allkeys-random"),
        *(({"refusal": refusal}, Level.ERROR, refusal.cause) for refusal in Refusal),
        ({"persistence": Persistence.NOTHING}, Level.WARNING, "nothing on disk"),
        ({"persistence": Persistence.SNAPSHOTS}, Level.WARNING, "snapshots only"),
        ({"used_bytes": 95, "max_bytes": 100}, Level.WARNING, "95 % full"),
        ({"version": "6.0.16"}, Level.ERROR, "6.2.0"),
        ({"version": "5.0.14"}, Level.ERROR, "6.2.0"),
    ],
)
def test_what_is_wrong_with_a_redis_is_said_with_its_remedy(facts, level, word):
    finding = the_only(info_findings(StoreInfo(**(SOUND | facts))))
    assert (finding.level, word in finding.text) == (level, True)
    assert finding.remedy


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("6.2.14", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("6.2.15", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("6.2.16", ["CVE-2025-49844"]),
        ("6.2.20", []),
        ("7.0.15", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.2.5", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.2.6", ["CVE-2025-49844"]),
        ("7.4.0", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.4.1", ["CVE-2025-49844"]),
        ("7.4.6", []),
        ("8.0.2", ["CVE-2025-49844"]),
        ("8.0.4", []),
        ("8.2.1", ["CVE-2025-49844"]),
        ("8.2.2", []),
        ("8.4.0", []),
        ("9.0.0", []),
        ("unknown", []),
    ],
)
def test_versions_with_known_holes_are_named(version, holes):
    text = " ".join(finding.text for finding in info_findings(StoreInfo(**(SOUND | {"version": version}))))
    assert [hole for hole in ("CVE-2024-31228", "CVE-2025-49844") if hole in text] == holes


@pytest.mark.parametrize("own", [True, False])
def test_nobody_is_told_to_upgrade_the_server_that_make_run_brings(own):
    finding = the_only(info_findings(StoreInfo(**(SOUND | {"version": "6.2.14"})), own=own))
    assert ("make run" in finding.remedy, "Upgrade it" in finding.remedy) == (own, not own)


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("7.2.6", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("7.2.11", []),
        ("8.0.0", ["CVE-2024-31228", "CVE-2025-49844"]),
        ("8.0.6", []),
        ("8.1.1", ["CVE-2025-49844"]),
        ("8.1.4", []),
        ("9.0.0", []),
    ],
)
def test_valkey_has_versions_of_its_own(version, holes):
    facts = SOUND | {"product": "Valkey", "version": version}
    text = " ".join(finding.text for finding in info_findings(StoreInfo(**facts)))
    assert [hole for hole in ("CVE-2024-31228", "CVE-2025-49844") if hole in text] == holes
    assert not holes or f"Valkey {version} has known security holes" in text


def test_nothing_is_said_of_the_holes_of_other_products():
    assert list(info_findings(StoreInfo(**(SOUND | {"product": "Dragonfly", "version": "7.2.4"})))) == []


def test_a_server_is_called_what_it_calls_itself(redis_server, valkey_binary, redis_binary):
    for binary, product in ((valkey_binary, "Valkey"), (redis_binary, "Redis")):
        server = redis_server(binary=binary)
        with bootstrap(Settings(redis_url=server.url)) as services:
            info = services.store.info()
            first, *_ = [finding.text for finding in diagnose(services, outside=()).findings if finding.area == "redis"]
        version = ".".join(map(str, binary.version))
        assert (info.product, info.version) == (product, version)
        assert first.startswith(f"{product} {version} answers in ")


def test_what_it_does_not_say_of_itself_is_no_finding():
    assert list(info_findings(StoreInfo(kind="redis", persistence=Persistence.UNKNOWN), replicas=2, synced=True)) == []


def test_each_part_that_lacks_rights_is_a_finding_with_the_line_to_change():
    hits, invalidations, *others, state = rights_findings(("+info", "+mget"), "ann")
    assert hits.text == (
        "Redis' user ann may not run MGET. In part or wholly off: hits (no answer is served from the cache)."
    )
    assert (hits.level, invalidations.level, state.level) == (Level.ERROR, Level.ERROR, Level.WARNING)
    assert {each.level for each in others} == {Level.WARNING}
    assert hits.remedy.startswith("ACL SETUSER ann +info +mget (docs/production.md")


def test_distance_is_told_with_the_setting_to_change():
    assert list(distance_findings(None, 50)) == []
    assert list(distance_findings(25, 50)) == []
    near, far = the_only(distance_findings(30, 50)), the_only(distance_findings(70, 50))
    assert (near.level, far.level) == (Level.WARNING, Level.ERROR)
    assert "ENCORE_REDIS_TIMEOUT_SECONDS=0.21" in far.remedy
