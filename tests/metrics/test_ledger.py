from __future__ import annotations

import pytest
import redis
from redis.crc import key_slot

from core.errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from core.metrics.ledger import MAX_CELLS, Batch, Ledger, MemoryLedger, RedisLedger, Table
from core.metrics.months import KEPT_MONTHS, KEPT_SECONDS, kept_months, month_of
from core.metrics.tally import EVENTS, OVERFLOW, CellName
from core.metrics.timeline import RESOLUTIONS, Slot
from tests.conftest import RedisFactory
from tests.samples import NOW

CELL = CellName("test", "gpt-4o")
AT = int(NOW)
SLOTS = [resolution.slot(AT) for resolution in RESOLUTIONS]


@pytest.fixture(params=["memory", "redis"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return MemoryLedger() if request.param == "memory" else RedisLedger(request.getfixturevalue("client"))


def a_batch(cells: Table, *, sequence: int = 1, at: int = AT) -> Batch:
    return Batch(sequence=sequence, at=at, cells=cells)


def test_a_batch_is_in_every_resolution_and_in_the_total(ledger: Ledger) -> None:
    ledger.write("sender", a_batch({CELL: {"hits": 2}, EVENTS: {"takeovers": 1}}))
    table = {CELL: {"hits": 2}, EVENTS: {"takeovers": 1}}
    assert ledger.read(SLOTS) == [table] * 3
    assert ledger.total() == table


def test_batches_add_up_by_name(ledger: Ledger) -> None:
    ledger.write("one", a_batch({CELL: {"hits": 2, "old": 1}}))
    ledger.write("two", a_batch({CELL: {"hits": 3, "new": 2**40}}))
    assert ledger.total() == {CELL: {"hits": 5, "old": 1, "new": 2**40}}


def test_batches_of_another_time_are_in_other_slots(ledger: Ledger) -> None:
    ledger.write("sender", a_batch({CELL: {"hits": 1}}))
    ledger.write("sender", a_batch({CELL: {"hits": 1}}, sequence=2, at=AT + 10))
    assert ledger.read([*SLOTS, RESOLUTIONS[0].slot(AT + 10), Slot("m", 0)]) == [
        {CELL: {"hits": 1}},
        {CELL: {"hits": 2}},
        {CELL: {"hits": 2}},
        {CELL: {"hits": 1}},
        {},
    ]


def test_too_many_cells_are_counted_together(ledger: Ledger) -> None:
    cells = {CellName("test", f"model-{number}"): {"hits": 1} for number in range(MAX_CELLS + 5)}
    ledger.write("sender", a_batch(cells))
    ledger.write("sender", a_batch({CELL: {"hits": 1}, EVENTS: {"takeovers": 1}}, sequence=2))
    total = ledger.total()
    assert len(total) == MAX_CELLS + 2
    assert total[OVERFLOW] == {"hits": 6}
    assert total[EVENTS] == {"takeovers": 1}


def test_what_is_of_a_month_is_in_its_month_alone_and_events_are_everywhere(ledger: Ledger) -> None:
    ledger.write("sender", a_batch({CELL: {"hits": 2, "month|code|hits": 2}, EVENTS: {"takeovers": 1}}))
    later = month_of(AT).after
    ledger.write("sender", a_batch({CELL: {"month|code|hits": 1}}, sequence=2, at=int(later.starts_at)))
    ledger.write("sender", a_batch({CELL: {"month|code|hits": 4}}, sequence=3, at=int(later.starts_at) - 10))
    assert ledger.read(SLOTS[-1:]) == [{CELL: {"hits": 2}, EVENTS: {"takeovers": 1}}]
    read = ledger.monthly([month_of(AT).before, month_of(AT), later])
    assert read.months == {
        month_of(AT).before: {},
        month_of(AT): {CELL: {"month|code|hits": 6}, EVENTS: {"takeovers": 1}},
        later: {CELL: {"month|code|hits": 1}},
    }
    assert read.total[CELL]["hits"] == 2
    assert read.since == AT


def test_a_month_is_kept_until_it_is_none_of_the_kept_ones(ledger: Ledger) -> None:
    ledger.write("sender", a_batch({CELL: {"month||hits": 1}}))
    last = month_of(AT)
    for _ in range(KEPT_MONTHS - 1):
        last = last.after
    ledger.write("sender", a_batch({CELL: {"month||hits": 1}}, sequence=2, at=int(last.ends_at) - 10))
    assert len([one for one in ledger.monthly(kept_months(last.starts_at)).months.values() if one]) == 2
    assert last.ends_at < AT + KEPT_SECONDS


def test_too_many_cells_of_a_month_are_counted_together(ledger: Ledger) -> None:
    cells = {CellName("test", f"model-{number}"): {"month||hits": 1} for number in range(MAX_CELLS + 5)}
    ledger.write("sender", a_batch(cells))
    table = ledger.monthly([month_of(AT)]).months[month_of(AT)]
    assert len(table) == MAX_CELLS + 1
    assert table[OVERFLOW] == {"month||hits": 5}


def test_what_was_read_is_the_readers_own(ledger: Ledger) -> None:
    ledger.write("sender", a_batch({CELL: {"hits": 1}}))
    ledger.total()[CELL]["hits"] = 100
    assert ledger.total() == {CELL: {"hits": 1}}


def test_memory_keeps_each_slot_for_its_time() -> None:
    ledger = MemoryLedger()
    ledger.write("sender", a_batch({CELL: {"hits": 1}}))
    ledger.write("sender", a_batch({CELL: {"hits": 1}}, sequence=2, at=AT + 3 * 86_400))
    assert ledger.read(SLOTS) == [{}, {}, {CELL: {"hits": 1}}]
    assert ledger.total() == {CELL: {"hits": 2}}


def test_a_batch_sent_twice_counts_once(client: redis.Redis) -> None:
    ledger = RedisLedger(client)
    batch = a_batch({CELL: {"hits": 1, "month||hits": 1}})
    ledger.write("one", batch)
    ledger.write("one", batch)
    ledger.write("two", batch)
    ledger.write("one", a_batch({CELL: {"hits": 1, "month||hits": 1}}, sequence=2))
    assert ledger.total() == {CELL: {"hits": 3}}
    assert ledger.monthly([month_of(AT)]).months == {month_of(AT): {CELL: {"month||hits": 3}}}


def test_every_key_but_the_total_and_the_time_months_began_has_a_ttl(client: redis.Redis) -> None:
    RedisLedger(client).write("sender", a_batch({CELL: {"hits": 1, "month||hits": 1}}))
    lasting = [name for name in client.scan_iter() if client.ttl(name) < 0]
    assert {name.rpartition(b":")[2] for name in lasting} == {b"total", b"since"}


def test_all_keys_share_a_slot_of_a_cluster(client: redis.Redis) -> None:
    RedisLedger(client).write("sender", a_batch({CELL: {"hits": 1, "month||hits": 1}}))
    assert len({key_slot(name) for name in client.scan_iter()}) == 1


def test_a_value_of_anothers_making_is_passed_over_and_replaced(client: redis.Redis) -> None:
    ledger = RedisLedger(client)
    ledger.write("sender", a_batch({CELL: {"hits": 1}, EVENTS: {"takeovers": 1}}))
    [total] = client.keys("*total")
    client.hset(total, "test|gpt-4o", b"\xc1 not msgpack")
    assert ledger.total() == {EVENTS: {"takeovers": 1}}
    ledger.write("sender", a_batch({CELL: {"hits": 2}}, sequence=2))
    assert ledger.total() == {EVENTS: {"takeovers": 1}, CELL: {"hits": 2}}


def test_a_full_or_stopped_server_raises_the_projects_errors(redis_server: RedisFactory) -> None:
    server = redis_server()
    with server.client(socket_timeout=0.5, retry=None) as client:
        ledger = RedisLedger(client)
        client.config_set("maxmemory", 1)
        with pytest.raises(WriteRefused):
            ledger.write("sender", a_batch({CELL: {"hits": 1}}))
        server.pause()
        with pytest.raises(OutcomeUnknown):
            ledger.write("sender", a_batch({CELL: {"hits": 1}}))
        with pytest.raises(StoreUnavailable):
            ledger.total()
