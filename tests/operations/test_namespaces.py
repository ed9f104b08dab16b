"""Namespaces over HTTP: their labels are given by an admin's key, told with the figures, and a key's own only."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.namespaces import Naming
from core.operations.namespaces import NamespaceOut
from tests.metrics.outcomes import a_hit
from tests.operations.calling import kind

SUPPORT = {"label": "Support", "owner": "team-support", "colour": "blue"}
KEY = "key-3f9a12cd7788990011e4b1c2"


def put(api, namespace, body):
    return api.send("PUT", f"/namespaces/{namespace}/label", json=body)


def test_a_label_is_given_told_listed_and_taken_away(api, namespace):
    api.ask("What is a card?")
    none = {"namespace": namespace, "label": None, "owner": "", "colour": None, "configured": False}
    none["name"] = Naming(known=[namespace]).shown(namespace)
    assert api.get(f"/namespaces/{namespace}") == none
    given = put(api, namespace, SUPPORT).json()
    assert given == none | SUPPORT | {"name": "Support"}
    assert given.keys() == NamespaceOut.model_fields.keys()
    assert given in api.get("/namespaces")["items"]
    assert api.send("DELETE", f"/namespaces/{namespace}/label").json() == none
    assert [record.action for record in api.recorded("namespace.")] == ["namespace.unlabelled", "namespace.labelled"]


def test_figures_by_namespace_say_what_each_is_called(api, namespace):
    put(api, namespace, SUPPORT)
    for one in (namespace, f"{namespace}~eu", KEY):
        api.services.metrics.record(a_hit(namespace=one))
    told = api.get("/stats", by="namespace", window=600)
    assert told["namespaces"].keys() == told["parts"].keys()
    names = {one: told["namespaces"][one]["name"] for one in (namespace, f"{namespace}~eu", KEY)}
    assert names == {namespace: "Support", f"{namespace}~eu": "Support~eu", KEY: "key-3f9a12cd…b1c2"}
    assert api.get("/stats", by="model", window=600)["namespaces"] is None


def test_it_takes_an_admins_key(start, namespace):
    key, kept = new_operation_key("team", Role.OPERATOR)
    api = start(key=key, operation_keys=kept.line)
    found = kind(api.refused(403, "PUT", f"/namespaces/{namespace}/label", json=SUPPORT))
    assert found == "access-denied"
    api.refused(403, "DELETE", f"/namespaces/{namespace}/label")
    assert api.get(f"/namespaces/{namespace}")["label"] is None


def test_a_key_of_some_namespaces_labels_and_sees_its_own(start, namespace):
    key, kept = new_operation_key("team", Role.ADMIN, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    other = f"other-{namespace}"[:60]
    api.services.labels.give(other, "Support", actor="ada")
    assert put(api, namespace, SUPPORT).json()["name"] == "Support", "others' labels are not its business"
    assert [one["namespace"] for one in api.get("/namespaces")["items"]] == [namespace]
    for method in ("PUT", "DELETE"):
        api.refused(403, method, f"/namespaces/{other}/label", json=SUPPORT if method == "PUT" else None)
    api.refused(403, "GET", f"/namespaces/{other}")
    assert api.services.labels.get(other).label == "Support"


def test_a_label_of_the_settings_is_told_as_such_and_not_changed(start, namespace):
    api = start(namespace_labels={namespace: {"label": "Configured"}})
    assert (told := api.get(f"/namespaces/{namespace}"))["configured"]
    assert told["label"] == "Configured"
    found = api.refused(422, "PUT", f"/namespaces/{namespace}/label", json=SUPPORT)
    assert "ENCORE_NAMESPACE_LABELS" in found["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": ""},
        {"label": 1},
        {"label": "x" * 41},
        {"label": "x" * 10_000},
        {"label": "a\nb"},
        {"label": "a~b"},
        {"label": "x", "owner": "o" * 81},
        {"label": "x", "colour": "pink"},
        {"label": "x", "more": 1},
        [],
        None,
    ],
    ids=str,
)
def test_what_is_no_label_is_refused(api, namespace, body):
    api.refused(422, "PUT", f"/namespaces/{namespace}/label", json=body)
    assert api.get(f"/namespaces/{namespace}")["label"] is None


@pytest.mark.parametrize("place", ["*", "a b", "x" * 65, "a~b~c", "%00"])
def test_what_is_no_namespace_has_none(api, place):
    api.refused(422, "PUT", f"/namespaces/{place}/label", json=SUPPORT)
    api.refused(422, "GET", f"/namespaces/{place}")


def test_markup_in_a_label_comes_back_as_it_was(api, namespace):
    label = '<b>=1+1|"`$x$`'
    assert put(api, namespace, {"label": label}).json()["label"] == label
