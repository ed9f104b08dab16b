"""Marks on charts: who may set them, what they may be called, how long and how many are kept, and what is on record."""

from __future__ import annotations

import pytest

from core.access import Actor, AuditLog, Role
from core.errors import AccessDenied, InvalidInput
from core.keys import names
from core.monitoring import deploy_marks as module
from core.monitoring.deploy_marks import KEPT_SECONDS, LONGEST_MARK, DeployMarks
from core.stores.redis import patient_client
from tests.samples import NOW, Clock

OLGA = Actor(name="olga", role=Role.OPERATOR)


@pytest.fixture(params=["redis", "memory"])
def client(request, redis_server):
    if request.param == "memory":
        yield None
        return
    client = patient_client(redis_server().url)
    yield client
    client.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def audit(client, clock):
    return AuditLog(client, clock=clock)


@pytest.fixture
def marks(client, audit, clock):
    return DeployMarks(client, audit, clock=clock)


def test_a_mark_is_kept_told_and_on_record(marks, audit):
    first = marks.add(" v1.2 ", actor=OLGA)
    assert (first.name, first.at, first.actor, first.namespace) == ("v1.2", NOW, "olga", None)
    earlier = marks.add("v1.1", at=NOW - 3600, namespace="acme~eu", actor=OLGA)
    assert marks.all() == [first, earlier]
    assert marks.get(first.id) == first
    assert marks.remove(first.id, actor=OLGA) == first
    assert marks.remove(first.id, actor=OLGA) is None
    assert marks.all() == [earlier]
    removed, added, _ = audit.records()
    assert (removed.action, removed.actor, removed.details) == ("mark.removed", "olga", first.to_dict())
    assert (added.action, added.namespace, added.details) == ("mark.added", "acme~eu", earlier.to_dict())


def test_the_same_again_is_the_same_mark(marks, audit):
    first = marks.add("v1.2", at=NOW - 5, actor=OLGA)
    assert marks.add("v1.2", at=NOW - 5, actor="pipeline") == first
    marks.add("v1.2", at=NOW - 5, namespace="acme", actor=OLGA)
    assert len(marks.all()) == len(audit.records()) == 2


def test_other_processes_see_it_and_redis_forgets_it(redis_server):
    url = redis_server().url
    clients = [patient_client(url) for _ in range(2)]
    one, other = (DeployMarks(client, AuditLog(client)) for client in clients)
    added = one.add("v1.2", actor=OLGA)
    assert other.all() == [added]
    assert 0 < clients[0].ttl(names.DEPLOY_MARKS) <= KEPT_SECONDS
    for client in clients:
        client.close()


def test_it_takes_an_operator(marks, audit):
    viewer = Actor(name="vic", role=Role.VIEWER)
    with pytest.raises(AccessDenied, match="marking moments on charts needs the role operator"):
        marks.add("v1.2", actor=viewer)
    mark = marks.add("v1.2", actor=OLGA)
    with pytest.raises(AccessDenied):
        marks.remove(mark.id, actor=viewer)
    assert marks.all() == [mark]
    assert len(audit.records()) == 1


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "  "}),
        ("name", {"name": "x" * (LONGEST_MARK + 1)}),
        ("name", {"name": "x" * 10_000}),
        ("name", {"name": "two\nlines"}),
        ("name", {"name": "turned \u202e round"}),
        ("name", {"name": "a null \x00"}),
        ("name", {"name": "lone \ud800"}),
        ("at", {"name": "x", "at": NOW + 3600}),
        ("at", {"name": "x", "at": NOW - KEPT_SECONDS - 1}),
        ("at", {"name": "x", "at": float("nan")}),
        ("at", {"name": "x", "at": float("inf")}),
        ("namespace", {"name": "x", "namespace": "a b"}),
        ("namespace", {"name": "x", "namespace": ""}),
    ],
    ids=str,
)
def test_what_could_not_be_shown_is_refused_by_its_field(marks, field, fields):
    with pytest.raises(InvalidInput) as error:
        marks.add(**fields, actor=OLGA)
    assert error.value.field == field
    assert marks.all() == []


def test_markup_in_a_name_is_kept_as_it_is(marks):
    name = '<b>=1+1|"`$x$`'
    assert marks.add(name, actor=OLGA).name == marks.all()[0].name == name


def test_a_mark_goes_after_90_days(marks, client, clock):
    marks.add("v1.1", actor=OLGA)
    clock.forward(KEPT_SECONDS + 1)
    assert marks.all() == []
    latest = marks.add("v1.2", actor=OLGA)
    assert marks.all() == [latest]
    if client is not None:
        assert client.hlen(names.DEPLOY_MARKS) == 1


def test_one_more_takes_the_place_of_the_oldest(marks, client, monkeypatch):
    monkeypatch.setattr(module, "MOST_DEPLOY_MARKS", 3)
    for number in range(5):
        marks.add(f"v{number}", at=NOW - 10 + number, actor=OLGA)
    assert [mark.name for mark in marks.all()] == ["v4", "v3", "v2"]
    if client is not None:
        assert client.hlen(names.DEPLOY_MARKS) == 3


def test_what_another_program_has_put_there_is_no_mark(client, marks):
    if client is None:
        pytest.skip("nobody else writes to this process")
    client.hset(names.DEPLOY_MARKS, mapping={"a": b"junk", "b": b'{"id": 1}', "c": b"\xff"})
    assert marks.all() == []
    added = marks.add("v1.2", actor=OLGA)
    assert marks.all() == [added]
    assert client.hkeys(names.DEPLOY_MARKS) == [added.id.encode()]
