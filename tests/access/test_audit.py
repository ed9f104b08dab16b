from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
import redis

from core.access.audit import MACHINE_DAYS, MOST_LOOKED_AT, MOST_OF_ONE, AuditLog
from core.access.audit_records import AuditRecord, audit_csv, audit_json_lines
from core.access.roles import Action, Actor, Role
from core.errors import AccessDenied, InvalidInput, OutcomeUnknown, StoreUnavailable, WriteRefused
from tests.conftest import RedisFactory
from tests.samples import NOW, Clock

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
def a_log(
    request: pytest.FixtureRequest, redis_server: RedisFactory, clock: Clock
) -> Iterator[Callable[..., AuditLog]]:
    if request.param == "memory":
        yield lambda **options: AuditLog(None, clock=clock, **options)
        return
    with redis_server().client() as client:
        yield lambda **options: AuditLog(client, clock=clock, **options)


def a_record(**fields: Any) -> AuditRecord:
    usual: dict[str, Any] = {"at": NOW, "actor": "ada", "source": "console", "action": "invalidate.applied"}
    return AuditRecord(**(usual | fields))


def test_a_record_comes_back_as_it_was_written(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    appended = log.append(
        a_record(
            invalidation_id="inv-1",
            namespace="shop",
            criteria={"model": "gpt-4o", "tags": ["doc:1"]},
            details={"preview_count": 12, "duration_ms": 3.5, "hard": True, "job": None},
        )
    )
    assert appended.id
    assert log.records() == [appended]
    assert appended.criteria == {"model": "gpt-4o", "tags": ["doc:1"]}
    assert appended.details == {"preview_count": 12, "duration_ms": 3.5, "hard": True, "job": None}


def test_what_a_record_does_not_have_stays_empty(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    log.append(a_record())
    [record] = log.records()
    assert (record.invalidation_id, record.namespace, record.criteria, record.details) == (None, None, {}, {})


def test_records_come_newest_first_a_page_at_a_time(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    for number in range(1100):
        log.append(a_record(details={"number": number}))
    first = log.records(600)
    rest = log.records(600, before_id=first[-1].id)
    assert [record.details["number"] for record in first + rest] == list(range(1099, -1, -1))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"actor": "ada"}, [3, 1]),
        ({"action": "schedule.created"}, [2]),
        ({"action": "schedule."}, [3, 2]),
        ({"action": "schedule"}, []),
        ({"namespace": "shop"}, [1]),
        ({"actor": "ada", "action": "schedule."}, [3]),
        ({"actor": "nobody"}, []),
    ],
)
def test_records_are_found_by_who_what_and_which(wanted: dict[str, str], numbers: list[int]) -> None:
    log = AuditLog(None)
    log.append(a_record(namespace="shop", details={"number": 1}))
    log.append(a_record(actor="bob", action="schedule.created", details={"number": 2}))
    log.append(a_record(action="schedule.paused", details={"number": 3}))
    assert [record.details["number"] for record in log.records(**wanted)] == numbers


def test_a_filter_finds_what_lies_pages_back(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    log.append(a_record(actor="ben"))
    for _ in range(1100):
        log.append(a_record())
    assert len(log.records(1, actor="ben")) == 1


@pytest.mark.parametrize("before_id", ["", "1", "+", "(1-0", "1-0 COUNT", "1-0\n"])
def test_a_page_can_only_begin_at_a_record(a_log: Callable[..., AuditLog], before_id: str) -> None:
    with pytest.raises(InvalidInput, match="before_id"):
        a_log().records(before_id=before_id)


def test_names_are_stored_on_one_line_and_any_details_are_stored(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    log.append(
        a_record(
            actor="ada\n\u202eroot\ud800" + "x" * 1000,
            criteria={"pattern": "line\nbreak \ud800"},
            details={"when": datetime(2027, 1, 15, tzinfo=UTC), "raw": b"\xff", "big": 2**70},
        )
    )
    [record] = log.records()
    assert record.actor == "ada \N{REPLACEMENT CHARACTER}root\N{REPLACEMENT CHARACTER}".ljust(200, "x")
    assert record.criteria == {"pattern": "line\nbreak ?"}
    assert record.details == {"when": "2027-01-15 00:00:00+00:00", "raw": "b'\\xff'", "big": 2**70}


def test_records_older_than_the_log_keeps_are_cut_off_in_memory(clock: Clock) -> None:
    log = AuditLog(None, keep_days=400, clock=clock)
    log.append(a_record())
    clock.forward(401 * DAY)
    log.append(a_record(at=clock()))
    assert [record.at for record in log.records()] == [NOW + 401 * DAY]


def test_records_older_than_the_log_keeps_are_cut_off_in_redis(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        # Row numbers are the server's time: the log's clock says that much of it has passed since.
        seconds, _ = client.time()
        for _ in range(300):
            AuditLog(client).append(a_record())
        assert len(AuditLog(client).records(1000)) == 300
        AuditLog(client, keep_days=400, clock=lambda: seconds + 401 * DAY).append(a_record())
        # Whole nodes of the stream (a hundred rows) are cut off, which is cheap.
        assert client.xlen("encore:audit") <= 101
        assert client.ttl("encore:audit") == -1


def test_a_row_that_cannot_be_read_is_shown_all_the_same(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        client.xadd("encore:audit", {"actor": b"\xff", "details": "{not json", "criteria": "[1]"}, id="1800000000000-0")
        [record] = AuditLog(client).records()
        assert (record.at, record.actor, record.action) == (NOW, "\N{REPLACEMENT CHARACTER}", "")
        assert record.details == {"unreadable": "{not json"}
        assert record.criteria == {"unreadable": [1]}


def test_a_server_without_memory_still_takes_records(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        client.config_set("maxmemory", 1)
        AuditLog(client).append(a_record())
        assert len(AuditLog(client).records()) == 1


def test_a_log_that_cannot_be_written_or_read_says_so(redis_server: RedisFactory) -> None:
    server = redis_server()
    with server.client(socket_timeout=0.5, retry=None) as client:
        log = AuditLog(client)
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(WriteRefused):
            log.append(a_record())
        client.replicaof("NO", "ONE")
        server.pause()
        with pytest.raises(OutcomeUnknown):
            log.append(a_record())
        with pytest.raises(StoreUnavailable):
            log.records()


def test_records_export_as_json_lines() -> None:
    log = AuditLog(None, clock=Clock())
    log.append(a_record(details={"deleted": 3}))
    [line] = audit_json_lines(log.records()).splitlines()
    assert json.loads(line) == {
        "id": "1800000000000-1",
        "at": NOW,
        "actor": "ada",
        "source": "console",
        "action": "invalidate.applied",
        "invalidation_id": None,
        "namespace": None,
        "criteria": {},
        "details": {"deleted": 3},
    }


def test_records_export_as_csv_that_runs_no_formula() -> None:
    log = AuditLog(None, clock=Clock())
    log.append(a_record(actor='=cmd|" /C calc"!A0', criteria={"pattern": "=1"}))
    header, row = csv.reader(io.StringIO(audit_csv(log.records()), newline=""))
    assert header[:3] == ["id", "at", "actor"]
    assert row[2].startswith("'=cmd")
    assert row[header.index("criteria")] == '{"pattern":"=1"}'


def test_beside_a_namespace_the_csv_has_what_it_is_called() -> None:
    log = AuditLog(None, clock=Clock())
    log.append(a_record(namespace="acme"))
    log.append(a_record())
    header, none, acme = csv.reader(io.StringIO(audit_csv(log.records(), lambda one: f"=Shop of {one}"), newline=""))
    place = header.index("namespace")
    assert header[place : place + 2] == ["namespace", "namespace_label"]
    assert acme[place : place + 2] == ["acme", "'=Shop of acme"]
    assert none[place : place + 2] == ["", ""]


def test_a_record_in_redis_can_be_read_without_this_program(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        AuditLog(client).append(a_record(criteria={"model": "gpt-4o"}))
        [(_, fields)] = client.xrange("encore:audit")
        assert fields[b"actor"] == b"ada"
        assert json.loads(fields[b"criteria"]) == {"model": "gpt-4o"}


# Machines


def by_machine(number: int = 0, **fields: Any) -> AuditRecord:
    usual: dict[str, Any] = {"actor": "wiki", "source": "api", "invalidation_id": f"m-{number}"}
    return a_record(**(usual | fields), details={"number": number})


def numbers(records: list[AuditRecord]) -> list[int]:
    return [record.details.get("number") for record in records]


class Counting:
    """A client that counts the commands it is given, the round trips, and the rows of streams that come back."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.trips = self.rows = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in ("xrange", "xrevrange", "pipeline"):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            reply = found(*arguments, **options)
            if name == "pipeline":
                execute = reply.execute
                reply.execute = lambda: self._trip(execute())
                return reply
            return self._trip(reply)

        return call

    def _trip(self, reply: Any) -> Any:
        self.trips += 1
        self.rows += len(reply or ())
        return reply


@pytest.mark.parametrize("source", ["api", "gateway"])
@pytest.mark.parametrize("action", ["invalidate.applied", "invalidate.refused", "entry.edited"])
def test_what_machines_do_as_often_as_their_data_change_is_apart(
    a_log: Callable[..., AuditLog], source: str, action: str
) -> None:
    log = a_log()
    done = log.append(by_machine(1, source=source, action=action))
    assert (log.records(), log.records(machines=True)) == ([], [done])


@pytest.mark.parametrize(
    ("source", "action"),
    [
        *((source, "invalidate.applied") for source in ("console", "cli", "schedule", "worker")),
        *(("api", action) for action in ("bypass.on", "schedule.created", "threshold.published", "seed.imported")),
    ],
)
def test_what_people_do_and_what_is_rare_is_in_the_log(
    a_log: Callable[..., AuditLog], source: str, action: str
) -> None:
    log = a_log()
    done = log.append(by_machine(1, source=source, action=action))
    assert (log.records(), log.records(machines=True)) == ([done], [])


def test_machines_push_out_their_own_records_only(a_log: Callable[..., AuditLog]) -> None:
    log = a_log(machine_records=100)
    log._clock = time.time  # what is old is so by the time of the server
    log.append(a_record(invalidation_id="by-ada"))
    for number in range(500):
        log.append(by_machine(number))
    kept = numbers(log.records(1000, machines=True))
    # Whole nodes of the stream (a hundred rows) are cut off, which is cheap.
    assert 100 <= len(kept) <= 200
    assert kept == list(range(499, 499 - len(kept), -1))
    assert [record.invalidation_id for record in log.records()] == ["by-ada"]
    assert len(log.of("by-ada")) == 1


def test_machines_records_are_cut_off_by_age_in_memory(clock: Clock) -> None:
    log = AuditLog(None, clock=clock)
    log.append(a_record())
    log.append(by_machine(1))
    clock.forward((MACHINE_DAYS + 1) * DAY)
    log.append(by_machine(2, at=clock()))
    assert (numbers(log.records(machines=True)), len(log.records())) == ([2], 1)


def test_machines_records_are_cut_off_by_age_in_redis(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        seconds, _ = client.time()
        for number in range(300):
            AuditLog(client).append(by_machine(number))
        AuditLog(client).append(a_record())
        later = AuditLog(client, clock=lambda: seconds + (MACHINE_DAYS + 1) * DAY)
        later.append(by_machine(300))
        assert len(later.records(1000, machines=True)) <= 101
        assert len(later.records()) == 1


def test_what_a_machine_does_to_a_persons_invalidation_stands_with_the_rest_of_it(
    a_log: Callable[..., AuditLog],
) -> None:
    log = a_log()
    log.append(a_record(invalidation_id="by-ada"))
    log.append(by_machine(1))
    undone = log.append(by_machine(2, invalidation_id="by-ada", action="invalidate.undone"))
    assert log.records()[0] == undone == log.of("by-ada")[0]
    assert numbers(log.records(machines=True)) == [1]
    assert log.with_trail(["m-1", "by-ada", "never"]) == ["by-ada"]


def test_a_summary_of_what_was_done_for_machines_is_in_their_log(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    log.by("worker", source="worker").try_record("invalidate.swept", is_summary=True, details={"number": 7})
    assert (log.records(), numbers(log.records(machines=True))) == ([], [7])


def test_the_one_record_of_a_machine_is_found_by_the_moment_in_its_id(a_log: Callable[..., AuditLog]) -> None:
    log = a_log()
    log._clock = time.time  # what is found by time is found by that of the server
    first = log.new_id()
    log.append(by_machine(1, invalidation_id=first))
    for number in range(1200):
        log.append(by_machine(number))
    assert numbers(log.of(first)) == [1]
    assert numbers(log.of("m-1199", asked_at=time.time())) == [1199]
    assert log.of("m-1199", asked_at=time.time() - DAY) == [] or log._client is None
    assert log.of(f"{0:019x}") == []
    assert log.new_id() > first


def test_an_invalidation_is_found_in_few_reads_however_many_there_were(redis_server: RedisFactory) -> None:
    """By records and round trips: what has passed in a day costs nothing."""
    with redis_server().client() as client:
        filling = client.pipeline(transaction=False)
        for number in range(30_000):
            fields = {"at": "1", "actor": "wiki", "source": "api", "action": "invalidate.applied"}
            filling.xadd(
                "encore:{encore:audit}:machines", fields | {"invalidation_id": f"m-{number}"}, id=f"{number}-1"
            )
        filling.execute()
        counting = Counting(client)
        log = AuditLog(counting)  # type: ignore[arg-type]
        for step in ("requested", "applied", "undone"):
            log.append(a_record(invalidation_id="by-ada", action=f"invalidate.{step}"))
        of_machine = log.new_id()
        log.append(by_machine(1, invalidation_id=of_machine))

        def cost(read: Callable[[], object]) -> tuple[int, int]:
            counting.trips = counting.rows = 0
            read()
            return counting.trips, counting.rows

        assert cost(lambda: log.of("by-ada")) == (2, 2 + 3)
        assert cost(lambda: log.of(of_machine)) == (2, 2 + 1)
        assert cost(lambda: log.of("never")) == (1, 2)
        assert cost(log.records) == (1, 3)
        assert cost(lambda: log.records(50, machines=True)) == (1, 51)
        trips, rows = cost(lambda: log.records(50, actor="nobody", machines=True))
        assert (trips, rows) == (MOST_LOOKED_AT // 500 + 1, MOST_LOOKED_AT + 500)


def test_of_very_many_records_of_one_invalidation_the_first_and_the_latest_are_given(
    redis_server: RedisFactory,
) -> None:
    with redis_server().client() as client:
        log = AuditLog(client)
        for number in range(MOST_OF_ONE + 50):
            log.append(a_record(invalidation_id="by-ada", details={"number": number}))
        half = MOST_OF_ONE // 2
        latest = range(MOST_OF_ONE + 49, MOST_OF_ONE + 49 - half, -1)
        assert numbers(log.of("by-ada")) == [*latest, *range(half - 1, -1, -1)]
        assert 0 < client.ttl("encore:{encore:audit}:of:" + sha256(b"by-ada").hexdigest()[:32]) <= 400 * DAY


# Trails


class Refusing(AuditLog):
    """A log that fails as it is told to, and counts how often it was asked."""

    def __init__(self, failure):
        super().__init__(None, clock=Clock())
        self.failure, self.asked = failure, 0

    def append(self, record):
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return super().append(record)


def test_a_trail_keeps_who_acts_from_where():
    log = AuditLog(None, clock=Clock())
    olga = log.by(Actor(name="olga", role=Role.OPERATOR), source="console")
    olga.record("entry.pinned", namespace="shop", details={"key": "k"})
    log.by("deploy").record("bypass.on", at=NOW + 1)
    later, earlier = log.records()
    assert (earlier.actor, earlier.source, earlier.action, earlier.at) == ("olga", "console", "entry.pinned", NOW)
    assert (earlier.namespace, earlier.details, earlier.invalidation_id) == ("shop", {"key": "k"}, None)
    assert (later.actor, later.source, later.at) == ("deploy", "api", NOW + 1)


def test_a_trail_is_taken_where_an_actor_is():
    log = AuditLog(None)
    olga = log.by("olga", source="console")
    assert log.by(olga) is olga
    assert log.by(olga, source="cli").source == "console"


def test_a_trail_refuses_what_the_role_does_not_allow():
    log = AuditLog(None)
    olga = log.by(Actor(name="olga", role=Role.OPERATOR))
    assert olga.require(Action.INVALIDATE, Action.LABEL) == "olga"
    with pytest.raises(AccessDenied, match="needs the role admin"):
        olga.require(Action.INVALIDATE, Action.INVALIDATE_ALL)
    assert log.by("a program").require(Action.INVALIDATE_ALL) == "a program"
    assert log.records() == []


def test_what_depends_on_its_record_fails_with_it():
    with pytest.raises(WriteRefused):
        Refusing(WriteRefused("full")).by("olga").record("entry.pinned")


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), OutcomeUnknown("no answer"), WriteRefused("full")])
def test_what_counts_more_than_its_record_goes_on_without_it(failure, caplog):
    log = Refusing(failure)
    trail = log.by("olga")
    trail.try_record("invalidate.applied", invalidation_id="one", namespace="shop")
    assert trail.problem is failure
    assert "invalidate.applied of one is not in the audit log" in caplog.text
    log.failure = None
    log.by("olga").try_record("invalidate.applied", invalidation_id="one")
    assert [record.invalidation_id for record in log.records(machines=True)] == ["one"]


def test_a_log_that_did_not_answer_is_not_waited_for_twice():
    log = Refusing(StoreUnavailable("gone"))
    trail = log.by("olga")
    for _ in range(3):
        trail.try_record("invalidate.requested")
    assert (log.asked, trail.problem) == (1, log.failure)


def test_a_log_that_refused_is_asked_again():
    log = Refusing(WriteRefused("full"))
    trail = log.by("olga")
    trail.try_record("invalidate.requested")
    log.failure = None
    trail.try_record("invalidate.applied")
    actions = [record.action for record in log.records(machines=True)]
    assert (trail.problem, actions) == (None, ["invalidate.applied"])
