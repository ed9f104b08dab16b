"""Marks on charts over HTTP: an operator's key sets them, for all namespaces or for its own."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.operations.figures import MarkOut
from tests.operations.calling import kind


def test_a_mark_is_set_listed_and_removed(api, namespace):
    assert api.post("/marks", {"name": "v1.2"})["namespace"] is None
    added = api.post("/marks", {"name": "v1.2", "namespace": namespace})
    assert added.keys() == MarkOut.model_fields.keys()
    assert (added["name"], added["namespace"]) == ("v1.2", namespace)
    assert added in api.get("/marks")["items"]
    assert api.send("DELETE", f"/marks/{added['id']}").json() == added
    assert added not in api.get("/marks")["items"]
    api.refused(404, "DELETE", f"/marks/{added['id']}")
    assert [record.action for record in api.recorded("mark.")] == ["mark.removed", "mark.added"]


def test_sent_again_it_is_the_same_mark(api, namespace):
    body = {"name": "v1.2", "at": api.services.clock() - 60, "namespace": namespace}
    assert api.post("/marks", body) == api.post("/marks", body)


def test_a_viewers_key_only_looks(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER)
    api = start(key=key, operation_keys=kept.line)
    mark = api.services.marks.add("v1.2", namespace=namespace, actor="ada")
    assert kind(api.refused(403, "POST", "/marks", json={"name": "v1.3"})) == "access-denied"
    api.refused(403, "DELETE", f"/marks/{mark.id}")
    assert mark.to_dict() in api.get("/marks")["items"]


def test_a_key_of_some_namespaces_marks_its_own_charts(start, namespace):
    key, kept = new_operation_key("team", Role.OPERATOR, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    others = api.services.marks.add("v1", namespace=f"other-{namespace}"[:60], actor="ada")
    of_all = api.services.marks.add("v1", actor="ada")
    api.refused(403, "POST", "/marks", json={"name": "v2"})
    api.refused(403, "POST", "/marks", json={"name": "v2", "namespace": others.namespace})
    own = api.post("/marks", {"name": "v2", "namespace": namespace})
    seen = [one["id"] for one in api.get("/marks")["items"]]
    assert {own["id"], of_all.id} <= set(seen)
    assert others.id not in seen
    api.refused(403, "DELETE", f"/marks/{of_all.id}")
    api.refused(404, "DELETE", f"/marks/{others.id}")
    assert api.services.marks.get(others.id)
    assert api.services.marks.get(of_all.id)
    assert api.send("DELETE", f"/marks/{own['id']}").json() == own


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 1},
        {"name": "x" * 81},
        {"name": "x" * 10_000},
        {"name": "a\nb"},
        {"name": "x", "at": 1.0},
        {"name": "x", "at": "now"},
        {"name": "x", "namespace": "a b"},
        {"name": "x", "more": 1},
        [],
        None,
    ],
    ids=str,
)
def test_what_is_no_mark_is_refused(api, body):
    api.refused(422, "POST", "/marks", json=body)


def test_markup_in_a_name_comes_back_as_it_was(api, namespace):
    name = '<b>=1+1|"`$x$`'
    assert api.post("/marks", {"name": name, "namespace": namespace})["name"] == name
