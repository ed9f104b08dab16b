"""Scheduled invalidations over HTTP: added, listed, paused, resumed, run and removed, with core's rules and words."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.errors import InvalidInput
from core.operations.schedules import ScheduleOut
from tests.operations.calling import kind

NIGHTLY = {"name": "Nightly", "criteria": {"older_than_seconds": 604_800}, "daily_at": "03:30"}


def named(namespace, **fields):
    """A new schedule whose name no other test has."""
    return NIGHTLY | {"name": namespace[:70]} | fields


@pytest.fixture(autouse=True)
def removed(api):
    yield
    for one in api.services.schedules.all():
        api.services.schedules.remove(one.id, actor="olga")


def test_a_schedule_is_added_listed_paused_resumed_and_removed(api, namespace):
    added = api.post("/schedules", named(namespace))
    assert (added["what"], added["rhythm"]) == ("older than 7 d", "daily at 03:30 UTC")
    assert (added["namespace"], added["enabled"], added["actor"]) == (namespace, True, "local")
    path = f"/schedules/{added['id']}"
    assert api.get("/schedules")["items"] == [added]
    assert api.get(path) == added
    assert api.send("PATCH", path, json={"enabled": False}).json()["enabled"] is False
    assert api.send("PATCH", path, json={"enabled": True}).json()["enabled"] is True
    assert api.send("DELETE", path).json()["id"] == added["id"]
    assert api.get("/schedules")["items"] == []
    api.refused(404, "GET", path)
    told = [record.action.partition(".")[2] for record in api.recorded("schedule.")]
    assert told == ["removed", "resumed", "paused", "created"]


def test_it_runs_when_asked_unless_it_has_run_since_it_was_shown(api, namespace):
    api.ask("What is a card?", "doc:1")
    added = api.post("/schedules", named(namespace, criteria={"tags": ["doc:1"]}, daily_at=None, every_seconds=3600))
    done = api.post(f"/schedules/{added['id']}/run", {"last_run_at": None})
    assert (done["state"], done["criteria"]["tags"]) == ("held", ["doc:1"])
    assert api.ask("What is a card?", "doc:1").startswith("fwd=uri-miss")
    assert api.get(f"/schedules/{added['id']}")["last"] == f"applied: {done['id']}"
    found = api.refused(409, "POST", f"/schedules/{added['id']}/run", json={"last_run_at": None})
    assert found["detail"] == "it has run since it was shown; look at the result first"
    assert api.post(f"/schedules/{added['id']}/run")["id"] != done["id"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"daily_at": None}, "every_seconds"),
        ({"every_seconds": 3600}, "every_seconds"),
        ({"daily_at": "25:00"}, "daily_at"),
        ({"daily_at": None, "every_seconds": 5}, "every_seconds"),
        ({"hold_seconds": -1}, "hold_seconds"),
        ({"name": "a\u202eb"}, "name"),
        ({"criteria": {"created_before": 5.0}}, "created_before"),
    ],
    ids=str,
)
def test_what_cannot_be_scheduled_is_refused_in_the_words_of_core(api, namespace, wrong, field):
    asked = named(namespace, **wrong)
    found = api.refused(422, "POST", "/schedules", json=asked)
    assert found["field"] == field
    given = {name: value for name, value in asked.items() if name != "criteria"}
    criteria = dict(asked["criteria"])
    with pytest.raises(InvalidInput) as said:
        api.services.schedules.add(
            namespace=namespace,
            actor="olga",
            older_than_seconds=criteria.pop("older_than_seconds", None),
            criteria=criteria,
            **given,
        )
    assert found["detail"] == said.value.problem


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"criteria": None}, {"criteria": {"x": 1}}, {"soft": "yes"}, {"every_seconds": "1h"}, {"extra": 1}],
    ids=str,
)
def test_what_is_no_schedule_is_refused_by_its_field(api, namespace, wrong):
    assert api.refused(422, "POST", "/schedules", json=named(namespace, **wrong))["field"].startswith(next(iter(wrong)))


def test_a_name_is_given_once(api, namespace):
    api.post("/schedules", named(namespace))
    assert api.refused(422, "POST", "/schedules", json=named(namespace))["detail"] == "another schedule has it"


def test_an_operator_schedules_what_an_operator_may_and_a_viewer_nothing(start, namespace):
    key, kept = new_operation_key("op", Role.OPERATOR)
    viewer, kept_viewer = new_operation_key("looker", Role.VIEWER)
    api = start(key=key, operation_keys=f"{kept.line},{kept_viewer.line}")
    api.refused(403, "POST", "/schedules", json=named(namespace, criteria={"all": True}))
    added = api.post("/schedules", named(namespace))
    assert (added["actor"], added["unbounded"]) == ("op", False)
    looker = api.by(viewer)
    assert looker.get("/schedules")["items"] == [added]
    path = f"/schedules/{added['id']}"
    for method, where, options in (
        ("POST", "/schedules", {"json": named(namespace)}),
        ("PATCH", path, {"json": {"enabled": False}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/run", {}),
    ):
        assert "needs the role operator" in looker.refused(403, method, where, **options)["detail"]


def test_a_key_of_some_namespaces_has_nothing_to_do_with_others(start, namespace):
    key, kept = new_operation_key("team", Role.ADMIN, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    theirs = api.services.schedules.add(
        namespace="theirs", actor="olga", name=f"x{namespace}"[:60], older_than_seconds=60, every_seconds=3600
    )
    assert api.get("/schedules")["items"] == []
    path = f"/schedules/{theirs.id}"
    for method, where, options in (
        ("GET", path, {}),
        ("PATCH", path, {"json": {"enabled": False}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/run", {}),
    ):
        found = api.refused(404, method, where, **options)
        assert found["detail"] == f"no schedule has the id {theirs.id}", "as of one that is not there"
    asked = named(namespace, criteria={"namespace": "theirs", "older_than_seconds": 60})
    assert kind(api.refused(403, "POST", "/schedules", json=asked)) == "access-denied"
    assert api.services.schedules.get(theirs.id).enabled


def test_a_schedule_is_told_with_all_its_fields(api, namespace):
    assert api.post("/schedules", named(namespace)).keys() == ScheduleOut.model_fields.keys()


def test_one_is_edited_and_keeps_its_id_and_what_was_not_given(api, namespace):
    added = api.post("/schedules", named(namespace, weekdays=["sun", "mon"]))
    assert (added["weekdays"], added["rhythm"]) == (["mon", "sun"], "Mon, Sun at 03:30 UTC")
    assert (added["hold_seconds"], added["effective_hold_seconds"]) == (None, 43_200)
    path = f"/schedules/{added['id']}"
    edited = api.send("PATCH", path, json={"weekdays": ["fri"], "hold_seconds": 600, "reason": "Rates"}).json()
    told = {"weekdays": ["fri"], "hold_seconds": 600, "reason": "Rates", "effective_hold_seconds": 600}
    changed = {
        "rhythm": "Fri at 03:30 UTC",
        "rhythm_since": edited["rhythm_since"],
        "next_run_at": edited["next_run_at"],
    }
    assert edited == added | told | changed
    criteria = {"namespace": namespace, "tags": ["doc:1"]}
    other = {"every_seconds": 3600, "criteria": criteria, "hold_seconds": None, "soft": True, "enabled": False}
    edited = api.send("PATCH", path, json=other).json()
    assert (edited["criteria"], edited["older_than_seconds"], edited["soft"]) == ({"tags": ["doc:1"]}, None, True)
    assert (edited["daily_at"], edited["weekdays"], edited["hold_seconds"]) == (None, [], None)
    assert edited["enabled"] is False
    assert [record.action for record in api.recorded("schedule.")][:2] == ["schedule.paused", "schedule.edited"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "body"),
        ({"name": None}, "name"),
        ({"weekdays": ["someday"]}, "weekdays.0"),
        ({"every_seconds": 60, "weekdays": ["mon"]}, "weekdays"),
        ({"criteria": {"namespace": "another", "tags": ["x"]}}, "criteria.namespace"),
        ({"criteria": {}}, "criteria"),
        ({"id": "x"}, "id"),
    ],
    ids=str,
)
def test_what_is_no_edit_is_refused_by_its_field(api, namespace, wrong, field):
    added = api.post("/schedules", named(namespace))
    assert api.refused(422, "PATCH", f"/schedules/{added['id']}", json=wrong)["field"] == field
    assert api.get(f"/schedules/{added['id']}") == added
