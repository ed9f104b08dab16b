"""Labels of namespaces: who may give them, what they may be, that those of the settings win, and what is on record."""

from __future__ import annotations

import json

import pytest

from core.access import Actor, AuditLog, Role
from core.errors import AccessDenied, InvalidInput, WriteRefused
from core.keys import names
from core.namespaces import LONGEST_LABEL, LONGEST_OWNER, Colour, NamespaceLabel, NamespaceLabels
from core.namespaces import labels as module
from core.stores.redis import patient_client
from tests.samples import NOW, Clock

SUPPORT = {"label": "Support", "owner": "team-support", "colour": "blue"}
ADMIN = Actor(name="ada", role=Role.ADMIN)


@pytest.fixture(params=["redis", "memory"])
def client(request, redis_server):
    if request.param == "memory":
        yield None
        return
    client = patient_client(redis_server().url)
    yield client
    client.close()


@pytest.fixture
def audit(client):
    return AuditLog(client, clock=Clock())


@pytest.fixture
def labels(client, audit):
    return NamespaceLabels(client, audit, {"faq": NamespaceLabel(label="Help")}, clock=Clock())


def test_a_label_is_kept_told_and_on_record(labels, audit):
    given = labels.give("acme~eu", " Support ", owner="team-support", colour="blue", actor=ADMIN)
    assert given == NamespaceLabel(**SUPPORT)
    assert labels.all() == {"acme~eu": given, "faq": NamespaceLabel(label="Help")}
    assert labels.get("acme~eu") == given
    labels.give("acme~eu", "Shop", actor=ADMIN)
    latest, first = audit.records()
    assert (first.action, first.actor, first.namespace, first.at) == ("namespace.labelled", "ada", "acme~eu", NOW)
    assert first.details == {"before": None, "after": SUPPORT}
    assert latest.details == {"before": SUPPORT, "after": {"label": "Shop", "owner": "", "colour": None}}


def test_a_label_is_taken_away_once(labels, audit):
    labels.give("acme", "Shop", actor=ADMIN)
    assert labels.remove("acme", actor=ADMIN)
    assert not labels.remove("acme", actor=ADMIN)
    assert labels.get("acme") is None
    assert [record.action for record in audit.records()] == ["namespace.unlabelled", "namespace.labelled"]


def test_other_processes_see_it(redis_server):
    url = redis_server().url
    clients = [patient_client(url) for _ in range(2)]
    one, other = (NamespaceLabels(client, AuditLog(client)) for client in clients)
    one.give("acme", "Shop", actor=ADMIN)
    assert other.all() == {"acme": NamespaceLabel(label="Shop")}
    for client in clients:
        client.close()


def test_only_an_admin_gives_and_takes_them(labels, audit):
    olga = Actor(name="olga", role=Role.OPERATOR)
    with pytest.raises(AccessDenied, match="labelling namespaces needs the role admin"):
        labels.give("acme", "Shop", actor=olga)
    with pytest.raises(AccessDenied):
        labels.remove("acme", actor=olga)
    assert labels.get("acme") is None
    assert audit.records() == []


def test_the_labels_of_the_settings_win_and_are_not_changed_here(labels):
    for change in (lambda: labels.give("faq", "Other", actor=ADMIN), lambda: labels.remove("faq", actor=ADMIN)):
        with pytest.raises(InvalidInput, match="ENCORE_NAMESPACE_LABELS"):
            change()
    assert labels.get("faq") == NamespaceLabel(label="Help")


def test_what_was_given_before_the_settings_named_it_is_overlaid(client, audit):
    NamespaceLabels(client, audit).give("acme", "Shop", actor=ADMIN)
    labels = NamespaceLabels(client, audit, {"acme": NamespaceLabel(label="Acme")})
    assert labels.all() == {"acme": NamespaceLabel(label="Acme")}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("label", {"label": ""}),
        ("label", {"label": "  "}),
        ("label", {"label": "x" * (LONGEST_LABEL + 1)}),
        ("label", {"label": "x" * 10_000}),
        ("label", {"label": "two\nlines"}),
        ("label", {"label": "turned \u202e round"}),
        ("label", {"label": "a null \x00"}),
        ("label", {"label": "lone \ud800"}),
        ("label", {"label": "acme~eu"}),
        ("label", {"label": "key-3f9a12cd…b1c2"}),
        ("owner", {"label": "x", "owner": "o" * (LONGEST_OWNER + 1)}),
        ("owner", {"label": "x", "owner": "a\tb"}),
        ("colour", {"label": "x", "colour": "pink"}),
    ],
    ids=str,
)
def test_what_could_not_be_shown_is_refused_by_its_field(labels, field, fields):
    with pytest.raises(InvalidInput) as error:
        labels.give("acme", **fields, actor=ADMIN)
    assert error.value.field == field
    assert labels.get("acme") is None


@pytest.mark.parametrize("namespace", ["", "a b", "x" * 65, "a~b~c", "*", "{a}"])
def test_what_is_no_namespace_gets_none(labels, namespace):
    with pytest.raises(InvalidInput) as error:
        labels.give(namespace, "Shop", actor=ADMIN)
    assert error.value.field == "namespace"


def test_their_number_is_bounded_and_one_there_is_can_still_be_changed(labels, monkeypatch):
    monkeypatch.setattr(module, "MOST_LABELS", 2)
    labels.give("a", "A", actor=ADMIN)
    labels.give("b", "B", actor=ADMIN)
    with pytest.raises(InvalidInput, match="remove one first"):
        labels.give("c", "C", actor=ADMIN)
    labels.give("a", "Another", actor=ADMIN)
    assert {name: found.label for name, found in labels.all().items()} == {"a": "Another", "b": "B", "faq": "Help"}


@pytest.mark.parametrize("value", [b"", b"no json", b'{"label": ""}', b'{"label": "x", "more": 1}', b"\xff"])
def test_what_another_program_has_put_there_is_no_label(redis_server, value):
    client = patient_client(redis_server().url)
    client.hset(names.NAMESPACE_LABELS, "acme", value)
    labels = NamespaceLabels(client, AuditLog(client))
    assert labels.all() == {}
    labels.give("acme", "Shop", actor=ADMIN)
    assert labels.get("acme") == NamespaceLabel(label="Shop")
    client.close()


def test_a_redis_that_takes_no_writes_says_so(redis_server):
    client = patient_client(redis_server().url)
    labels = NamespaceLabels(client, AuditLog(client))
    client.config_set("min-replicas-to-write", 1)
    with pytest.raises(WriteRefused):
        labels.give("acme", "Shop", actor=ADMIN)
    client.close()


def test_what_is_stored_is_json_that_others_can_read(redis_server):
    client = patient_client(redis_server().url)
    NamespaceLabels(client, AuditLog(client)).give("acme", "Grün ✓", colour=Colour.GREEN, actor=ADMIN)
    value = client.hget(names.NAMESPACE_LABELS, "acme")
    assert json.loads(value) == {"label": "Grün ✓", "owner": "", "colour": "green"}
    client.close()
