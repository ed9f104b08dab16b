"""One wrong answer over HTTP: corrected in its place, restored, found elsewhere, invalidated together."""

from __future__ import annotations

import msgspec
import pytest

from core.access import Role, new_operation_key
from core.entries import Line
from core.models import ChatRequest, Controls
from tests.operations.calling import kind
from tests.operations.test_entries import a_request, key_of

QUESTION = "What is a card?"


@pytest.fixture
def key(api):
    api.ask(QUESTION, "doc:1")
    return key_of(api, QUESTION)


def put(api, namespace, **fields):
    request = ChatRequest.from_openai(**a_request(QUESTION, **fields))
    reply = msgspec.convert(a_request(QUESTION, answer="A tree."), Line).reply(0.0)
    return api.services.cache.put(request, reply, Controls(namespace=namespace)).key


def test_an_answer_is_corrected_pinned_and_restored(api, key):
    before = api.get(f"/entries/{key}")
    told = api.post(f"/entries/{key}/correct", {"answer": "A piece of plastic.", "pin": True, "reason": "No tree"})
    assert (told["answer"], told["pinned"], told["tags"]) == ("A piece of plastic.", True, ["doc:1"])
    assert api.ask(QUESTION, "doc:1") == "hit: A piece of plastic."
    [version] = api.get(f"/entries/{key}/versions")["items"]
    assert (version["answer"], version["reason"]) == (before["answer"], "No tree")
    asked = {"replaced_at": version["replaced_at"], "seen_at": before["created_at"]}
    found = api.refused(422, "POST", f"/entries/{key}/versions/restore", json=asked)
    assert "another answer has taken its place" in found["detail"]
    told = api.post(f"/entries/{key}/versions/restore", asked | {"seen_at": told["created_at"]})
    assert told["answer"] == before["answer"]
    api.refused(404, "POST", f"/entries/{key}/versions/restore", json={"replaced_at": 1.0})


@pytest.mark.parametrize("wrong", [{}, {"answer": ""}, {"answer": " "}, {"answer": "x", "reason": "y" * 201}])
def test_what_is_no_correction_is_refused(api, key, wrong):
    api.refused(422, "POST", f"/entries/{key}/correct", json=wrong)
    assert api.get(f"/entries/{key}/versions")["items"] == []


def test_nothing_is_corrected_where_nothing_is(api):
    api.refused(404, "POST", f"/entries/0-{'0' * 64}/correct", json={"answer": "x"})


def test_the_same_question_is_found_elsewhere_and_invalidated_together(api, key, namespace):
    shop = f"{namespace[:40]}-shop"

    def there():
        return [one for one in api.get(f"/entries/{key}/elsewhere")["items"] if one["namespace"] == shop]

    put(api, shop, model="gpt-4o-mini")
    put(api, shop, temperature=0.5)
    items = there()
    assert sorted("parameter temperature" in one["differs"] for one in items) == [False, True]
    assert sorted("model" in one["differs"] for one in items) == [False, True]
    assert api.get(f"/entries/{key}/elsewhere", everywhere=False)["items"] == []
    entries = [{"namespace": one["namespace"], "key": one["key"]} for one in items]
    done = api.post("/invalidate-entries", {"entries": entries, "reason": "The fee has changed"})
    assert (len(done["invalidations"]), done["asked"], done["problem"]) == (2, 2, "")
    assert {one["reason"] for one in done["invalidations"]} == {"The fee has changed"}
    assert there() == []
    api.refused(422, "POST", "/invalidate-entries", json={"entries": []})


def test_a_key_of_one_namespace_sees_and_invalidates_nothing_of_others(start, namespace):
    team, kept = new_operation_key("team", Role.ADMIN, (namespace,))
    api = start(key=team, operation_keys=kept.line)
    own, other = put(api, namespace), put(api, "shop")
    assert api.get(f"/entries/{own}/elsewhere")["items"] == []
    entries = [{"namespace": namespace, "key": own}, {"namespace": "shop", "key": other}]
    assert kind(api.refused(403, "POST", "/invalidate-entries", json={"entries": entries})) == "access-denied"
    assert api.get(f"/entries/{own}")["state"] == "fresh"
    for method, path, body in (
        ("POST", "correct", {"answer": "Mine."}),
        ("GET", "versions", None),
        ("POST", "versions/restore", {"replaced_at": 1.0}),
        ("GET", "elsewhere", None),
    ):
        api.refused(403, method, f"/entries/{other}/{path}", json=body, params={"namespace": "shop"})


def test_a_viewer_corrects_nothing(start, namespace):
    looker, kept = new_operation_key("looker", Role.VIEWER)
    api = start(key=looker, operation_keys=kept.line)
    key = put(api, namespace)
    api.refused(403, "POST", f"/entries/{key}/correct", json={"answer": "Mine."})
    api.refused(403, "POST", f"/entries/{key}/versions/restore", json={"replaced_at": 1.0})
    api.refused(403, "POST", "/invalidate-entries", json={"entries": [{"namespace": namespace, "key": key}]})
