"""What the doctor finds in a Redis by what it says of itself."""

from __future__ import annotations

import pytest

from core.doctor.findings import Level
from core.doctor.redis import info_findings
from core.stores.base import Persistence, StoreInfo
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
        ({"role": "slave", "writable": False}, Level.ERROR, "replica"),
        ({"writable": False}, Level.ERROR, "no writes"),
        ({"persistence": Persistence.NOTHING}, Level.WARNING, "nothing on disk"),
        ({"persistence": Persistence.SNAPSHOTS}, Level.WARNING, "snapshots only"),
        ({"used_bytes": 95, "max_bytes": 100}, Level.WARNING, "95% full"),
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
