"""Health over HTTP: what the doctor says, shared by all who ask; of no namespace to a key of some."""

from __future__ import annotations

import redis

from core.access import Role, new_operation_key
from core.doctor import Finding, checkup, diagnose
from core.doctor.configuration import EffectiveSetting
from core.operations.health import OF_NO_NAMESPACE, FindingOut, NearIndexOut, RebuildOut, RebuiltOut, SettingOut
from core.semantic import NearIndexState, RebuildProgress, Rebuilt
from tests.cli.test_commands import Terminal
from tests.semantic.test_rebuilding import stored_by_another


def test_the_findings_and_settings_are_the_doctors(start):
    key, kept = new_operation_key("looker", Role.VIEWER)
    api = start(key=key, operation_keys=kept.line, redis_timeout_seconds=4)
    told = api.get("/health")
    known = diagnose(api.services).to_dict()
    assert told["worst"] == known["worst"]
    assert {one["area"] for one in told["findings"]} == {one["area"] for one in known["findings"]}
    [setting] = [one for one in told["settings"] if one["variable"] == "ENCORE_REDIS_TIMEOUT_SECONDS"]
    assert (setting["value"], setting["is_set"]) == ("4.0", True)
    assert kept.digest not in str(told)
    assert set(FindingOut.model_fields) == set(Finding.__struct_fields__)
    assert set(SettingOut.model_fields) == set(EffectiveSetting.__struct_fields__)


def test_all_who_ask_share_one_look(api, monkeypatch):
    looks = []
    real = checkup.diagnose
    monkeypatch.setattr(checkup, "diagnose", lambda *given, **named: looks.append(1) or real(*given, **named))
    assert len({api.get("/health")["at"] for _ in range(5)}) == 1
    assert looks == [1]


def test_a_key_of_some_namespaces_is_told_of_the_installation_only(start, namespace):
    key, kept = new_operation_key("team", Role.ADMIN, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    api.services.switch.turn("theirs", True, actor="olga")
    told = api.get("/health")
    assert told["settings"] == []
    assert {one["area"] for one in told["findings"]} <= OF_NO_NAMESPACE
    assert "theirs" not in str(told)
    api.services.switch.turn("theirs", False, actor="olga")


def test_the_index_is_rebuilt_for_an_operator_of_all_namespaces_and_told_of_as_on_the_command_line(
    start, namespace, api_redis_url, monkeypatch, tmp_path
):
    with redis.Redis.from_url(api_redis_url) as client:
        client.flushall()
    for name, value in (("REDIS_URL", api_redis_url), ("HOME", str(tmp_path)), ("STRATEGY", "semantic")):
        monkeypatch.setenv(f"ENCORE_{name}", value)
    stored_by_another("What is a fee?", "What is a card?", namespace=namespace)
    keys = {
        name: new_operation_key(name, role, only)
        for name, role, only in (
            ("ops", Role.OPERATOR, ()),
            ("viewer", Role.VIEWER, ()),
            ("team", Role.ADMIN, (namespace,)),
        )
    }
    api = start(strategy="semantic", operation_keys=",".join(kept.line for _, kept in keys.values()))
    ops, viewer, team = (api.by(key) for key, _ in keys.values())
    team.refused(403, "GET", "/near-index")
    for refused in (team, viewer):
        refused.refused(403, "POST", "/near-index/rebuild")
    terminal = Terminal()
    told = viewer.get("/near-index")
    assert told == terminal.data("rebuild", "--look")
    assert (told["others"], told["wanting"], told["asked"], told["rebuilt"]) == (2, True, False, None)
    assert ops.send("POST", "/near-index/rebuild").json() == {"asked": True}
    assert viewer.get("/near-index")["asked"]
    assert terminal.data("rebuild", "--now")["added"] == 2
    told = viewer.get("/near-index")
    assert told == terminal.data("rebuild", "--look", status=3)
    assert (told["others"], told["wanting"], told["rebuilt"]["progress"]["added"]) == (2, False, 2)
    actions = [record.action for record in api.services.audit.records(limit=2)]
    assert actions == ["near_index.rebuilt", "near_index.rebuild_asked"]


def test_what_is_told_of_the_index_has_a_field_for_each_of_core():
    for told, known in ((NearIndexOut, NearIndexState), (RebuiltOut, Rebuilt), (RebuildOut, RebuildProgress)):
        assert set(told.model_fields) == set(known.__struct_fields__)
