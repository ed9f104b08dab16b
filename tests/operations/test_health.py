"""Health over HTTP: what the doctor says, shared by all who ask; of no namespace to a key of some."""

from __future__ import annotations

from core.access import Role, new_operation_key
from core.doctor import Finding, checkup, diagnose
from core.doctor.configuration import EffectiveSetting
from core.operations.health import OF_NO_NAMESPACE, FindingOut, SettingOut


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
