"""The bypass switch over HTTP: turned, listed, and heeded by the gateway; a key's own namespaces only."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.cache import Bypassed
from core.operations.bypass import SwitchOut
from tests.operations.calling import kind

NOTE = "wrong answers about fees"


def put(api, namespace, body):
    return api.send("PUT", f"/bypass/{namespace}", json=body)


def test_a_turned_switch_is_heeded_listed_and_on_record(api, namespace):
    api.ask("What is a card?")
    assert api.get(f"/bypass/{namespace}") == {
        "namespace": namespace, "on": False, "at": 0.0, "actor": "", "note": "", "kept": True,
    }  # fmt: skip
    turned = put(api, namespace, {"on": True, "note": NOTE}).json()
    assert (turned["on"], turned["note"], turned["kept"]) == (True, NOTE, True)
    assert api.ask("What is a card?").startswith("fwd=bypass")
    assert turned in api.get("/bypass")["items"]
    assert api.get(f"/bypass/{namespace}") == turned
    told = api.post("/explain", {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a card?"}]})
    assert (told["outcome"], told["reason"]) == ("bypass", "bypass-switch")
    assert put(api, namespace, {"on": False}).json()["on"] is False
    assert api.ask("What is a card?").startswith("hit")
    assert [record.action for record in api.recorded("bypass.")] == ["bypass.off", "bypass.on"]


def test_the_switch_for_all_namespaces_stands_beside_those_of_each(api, namespace):
    turned = put(api, "*", {"on": True}).json()
    try:
        assert turned["namespace"] == "*"
        assert api.get("/bypass/*")["on"] is True
        assert api.get(f"/bypass/{namespace}")["on"] is False
        assert api.ask("What is a card?").startswith("fwd=bypass")
    finally:
        assert put(api, "*", {"on": False}).json()["on"] is False


def test_a_key_of_some_namespaces_turns_and_sees_its_own_and_what_is_so_for_all(start, namespace):
    key, kept = new_operation_key("team", Role.OPERATOR, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    api.services.switch.turn("theirs", True, actor="olga")
    assert put(api, namespace, {"on": True}).json()["actor"] == "team"
    assert [one["namespace"] for one in api.get("/bypass")["items"]] == [namespace]
    for place in ("theirs", "*"):
        assert kind(api.refused(403, "PUT", f"/bypass/{place}", json={"on": False})) == "access-denied"
    api.refused(403, "GET", "/bypass/theirs")
    assert api.services.switch.read("theirs")
    put(api, namespace, {"on": False})
    api.services.switch.turn("theirs", False, actor="olga")


def test_a_viewer_turns_nothing_and_is_told_so_in_cores_words(start, namespace):
    key, kept = new_operation_key("looker", Role.VIEWER)
    api = start(key=key, operation_keys=kept.line)
    found = api.refused(403, "PUT", f"/bypass/{namespace}", json={"on": True})
    assert found["detail"] == "turning the bypass switch needs the role operator; looker has the role viewer"
    assert api.get(f"/bypass/{namespace}")["on"] is False


@pytest.mark.parametrize(
    "body", [{}, {"on": "yes"}, {"on": 1}, {"on": True, "note": "x" * 201}, {"on": True, "off": 1}, [], None], ids=str
)
def test_what_is_no_turn_of_the_switch_is_refused(api, namespace, body):
    api.refused(422, "PUT", f"/bypass/{namespace}", json=body)
    assert api.get(f"/bypass/{namespace}")["on"] is False


@pytest.mark.parametrize("place", ["**", "a*", "a b", "x" * 65, "a~b~c", "%00"])
def test_what_is_no_namespace_has_no_switch(api, place):
    api.refused(422, "PUT", f"/bypass/{place}", json={"on": True})
    api.refused(422, "GET", f"/bypass/{place}")


def test_a_switch_is_told_with_all_its_fields():
    assert set(SwitchOut.model_fields) == set(Bypassed.__struct_fields__)
