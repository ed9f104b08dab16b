"""The audit log over HTTP: what was done, page by page; a key's own namespaces only."""

from __future__ import annotations

import pytest

from core.access import AuditRecord, Role, new_operation_key
from core.operations.audit import AuditRecordOut
from core.operations.parts import cursor_of
from tests.operations.calling import kind


def told(page):
    return [(one["action"], one["details"].get("note")) for one in page["items"]]


@pytest.fixture
def recorded(start, namespace):
    """Five records of a key's namespace, and others between them."""
    key, kept = new_operation_key("team", Role.ADMIN, (namespace,))
    everywhere, kept_all = new_operation_key("all", Role.VIEWER)
    api = start(key=key, operation_keys=f"{kept.line},{kept_all.line}")
    trail = api.services.audit.by("olga", source="console")
    for number in range(5):
        trail.record("bypass.on", namespace=namespace, details={"note": str(number)})
        trail.record("bypass.on", namespace="theirs", details={"note": "a secret"})
        trail.record("workers.suspended")
    return api, api.by(everywhere)


def test_records_come_page_by_page_the_latest_first(recorded, namespace):
    _, everybody = recorded
    first = everybody.get("/audit", namespace=namespace, limit=3)
    rest = everybody.get("/audit", namespace=namespace, limit=3, cursor=first["next"])
    assert told(first) + told(rest) == [("bypass.on", str(number)) for number in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
    assert [one["action"] for one in everybody.get("/audit", action="workers.", limit=2)["items"]] == [
        "workers.suspended",
        "workers.suspended",
    ]
    assert {one["actor"] for one in everybody.get("/audit", actor="olga", limit=5)["items"]} == {"olga"}
    assert first["items"][0].keys() == AuditRecordOut.model_fields.keys() == set(AuditRecord.__struct_fields__)


def test_a_key_of_some_namespaces_sees_what_was_done_in_these(recorded, namespace):
    own, _ = recorded
    pages, cursor = [], {}
    while True:
        page = own.get("/audit", limit=4, **cursor)
        pages += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert {one["namespace"] for one in pages} == {namespace}
    assert len(pages) == 5
    own.refused(403, "GET", "/audit", params={"namespace": "theirs"})


def test_what_programs_did_is_in_a_log_of_its_own(recorded, namespace):
    own, _ = recorded
    done = own.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["invalidations"][0]
    [record] = own.get("/audit", programs=True)["items"]
    assert (record["invalidation_id"], record["actor"], record["source"]) == (done["id"], "team", "api")
    assert done["id"] not in [one["invalidation_id"] for one in own.get("/audit")["items"]]


@pytest.mark.parametrize("asked", [{"cursor": "x"}, {"cursor": "MQ"}, {"cursor": "Iioi"}, {"limit": 0}], ids=str)
def test_what_is_no_page_is_refused(api, asked):
    assert api.refused(422, "GET", "/audit", params=asked)["field"] == next(iter(asked))


@pytest.mark.parametrize("position", [f"{2**64}-0", f"{10**20 - 1}-0", f"0-{2**64}", "0-0", "٣-٣", "x", "1"])
@pytest.mark.parametrize("programs", [True, False])
def test_a_cursor_that_no_page_has_given_is_refused_by_its_name(api, position, programs):
    found = api.refused(422, "GET", "/audit", params={"cursor": cursor_of(position), "programs": programs})
    assert (kind(found), found["field"]) == ("invalid-input", "cursor")


@pytest.mark.parametrize("position", [f"{2**64 - 1}-{2**64 - 1}", "0-1"])
def test_a_position_at_either_end_of_the_log_is_one(api, position):
    assert api.get("/audit", cursor=cursor_of(position), programs=True)["next"] is None
