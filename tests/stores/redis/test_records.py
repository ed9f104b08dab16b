"""How a process comes by the bans of a bucket: what it reads, when, and what it does with a log that is not whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core.bans import changes as changing
from core.bans.book import Visibility
from core.bans.criteria import Criteria
from core.bans.names import entry_digests
from core.bans.record import visibility
from core.keys.names import Slot
from core.models import Stamp
from core.stores import codec
from core.stores.base import StoredAs, Write
from core.stores.redis import books as loading
from core.stores.redis import records as reading
from core.stores.redis.store import RedisStore, request_client
from tests.samples import NOW, a_ban, an_entry, digest_of
from tests.stores.test_contract import put

TAG = ("t",)


class Watched(RedisStore):
    """A store that counts its round trips, and lets something happen after each of the next ones."""

    def __init__(self, url: str, *, waits: bool = False) -> None:
        super().__init__(request_client(url, 5), waits=waits)
        self.trips = 0
        self.after: list[Callable[[], object]] = []
        ask, ask_all = self._servers.ask, self._servers.ask_all

        def counted(whole: Callable[..., object]) -> Callable[..., object]:
            def once(*arguments: object) -> object:
                self.trips += 1
                reply = whole(*arguments)
                if self.after:
                    self.after.pop(0)()
                return reply

            return once

        self._servers.ask = counted(ask)
        self._servers.ask_all = counted(ask_all)

    def seen(self, slot: Slot, prompt: str = "p") -> Visibility | None:
        """What is made of an entry now."""
        [value], record = self.read(slot, [digest_of(prompt)])
        return None if value is None or record is None else visibility(codec.decode_entry(value), record)

    def trips_of(self, look: Callable[[], object]) -> int:
        before = self.trips
        look()
        return self.trips - before


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow server."""
    monkeypatch.setattr(reading, "READ_SECONDS", 60.0)


@pytest.fixture
def slot(namespace: str) -> Slot:
    return Slot(namespace, 0)


@pytest.fixture
def operator(redis_url: str) -> Iterator[RedisStore]:
    """Another process, that changes bans."""
    store = RedisStore(request_client(redis_url, 5))
    yield store
    store.close()


@pytest.fixture
def reader(redis_url: str, slot: Slot) -> Iterator[Watched]:
    store = Watched(redis_url)
    yield store
    store.close()


def lift(store: RedisStore, slot: Slot, ban_id: str) -> None:
    store.change(slot, [ban_id], lambda found: changing.lift(found, ban_id))


def test_a_lookup_takes_one_round_trip_and_one_more_when_bans_have_changed(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    assert reader.trips_of(lambda: reader.seen(slot)) == 1
    for number in range(3):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
        assert reader.trips_of(lambda: reader.seen(slot)) == 2
        assert reader.trips_of(lambda: reader.seen(slot)) == 1
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    assert reader.seen(slot) is Visibility.HIDDEN
    lift(operator, slot, "b")
    assert reader.seen(slot) is Visibility.FRESH


def test_what_changes_no_decision_costs_readers_no_round_trip(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    assert reader.seen(slot) is Visibility.HIDDEN
    operator.change(slot, ["b"], lambda found: changing.expire_holds(found, 5.0 + changing.APART_SECONDS))
    operator.change(slot, ["b"], changing.begin_sweep)
    assert reader.trips_of(lambda: reader.seen(slot)) == 1
    assert operator.ban(slot, "b").due_at == 5.0


def test_values_are_of_the_moment_of_the_bans_and_not_of_the_first_read(reader, operator, slot):
    """A ban that hid what was read first has come, swept it and retired before the second read."""
    put(operator, slot, "p", tags=TAG)
    assert reader.seen(slot) is Visibility.FRESH
    operator.append(slot, a_ban("other", Criteria(tags=("other",))))

    def come_and_go() -> None:
        operator.append(slot, a_ban("b", Criteria(tags=TAG)))
        operator._client.delete(slot.entry(digest_of("p")))
        operator.change(slot, ["b"], changing.retire)

    reader.after.append(come_and_go)
    assert reader.seen(slot) is None


def test_bans_that_come_between_the_two_reads_are_heeded(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    reader.seen(slot)
    operator.append(slot, a_ban("other", Criteria(tags=("other",))))
    reader.after.append(lambda: operator.append(slot, a_ban("b", Criteria(tags=TAG))))
    assert reader.seen(slot) is Visibility.HIDDEN


@pytest.mark.parametrize("way", ["deleted", "trimmed", "torn", "garbage", "of another history"])
def test_a_log_that_is_not_whole_is_not_believed(reader, operator, slot, way):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("first", Criteria(tags=("other",))))
    assert reader.seen(slot) is Visibility.FRESH
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    operator.append(slot, a_ban("last", Criteria(tags=("other",))))
    client = operator._client
    match way:
        case "deleted":
            client.delete(slot.changes)
        case "trimmed":
            client.xtrim(slot.changes, maxlen=1, approximate=False)
        case "torn":
            client.xdel(slot.changes, "2-0")
        case "garbage":
            client.delete(slot.changes)
            for number in (1, 2, 3):
                client.xadd(slot.changes, {"": "x" * 28, "b": "no ban"}, id=f"{number}-0")
        case _:
            head = client.xrange(slot.changes)
            client.delete(slot.changes)
            for number, (_, fields) in enumerate(head, 1):
                mark = b"another." if number == 1 else fields[b""][:8]
                client.xadd(slot.changes, {b"": mark + fields[b""][8:]}, id=f"{number}-0")
    assert reader.seen(slot) is Visibility.HIDDEN
    assert reader.trips_of(lambda: reader.seen(slot)) == 1, "it has them all now"


def test_no_request_goes_on_asking_a_slow_server(reader, operator, slot, monkeypatch):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("first", Criteria(tags=("other",))))
    assert reader.seen(slot) is Visibility.FRESH
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    operator._client.delete(slot.changes)
    with monkeypatch.context() as patched:
        patched.setattr(reading, "READ_SECONDS", -1.0)
        assert reader.trips_of(lambda: reader.seen(slot)) == 2
        assert reader.seen(slot) is Visibility.UNKNOWN
    assert reader.trips_of(lambda: reader.seen(slot)) == 3
    assert reader.seen(slot) is Visibility.HIDDEN


def test_a_server_that_takes_over_without_the_last_changes_is_not_mistaken_for_the_old_one(reader, operator, slot):
    """As many changes as before the failover, but others: the revision alone would say that nothing has happened."""
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("a", Criteria(tags=("other",))))
    client = operator._client
    names = [slot.record, slot.bans, slot.changes, slot.due]
    replica = {name: client.dump(name) for name in names}
    operator.append(slot, a_ban("lost", Criteria(tags=("other",))))
    operator.append(slot, a_ban("lost too", Criteria(tags=("other",))))
    assert reader.seen(slot) is Visibility.FRESH
    for name, dump in replica.items():
        client.restore(name, 0, dump, replace=True)
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    assert reader.seen(slot) is Visibility.HIDDEN, "it is behind what this process has read"
    lift(operator, slot, "b")
    assert reader.seen(slot) is Visibility.FRESH
    for name, dump in replica.items():
        client.restore(name, 0, dump, replace=True)
    operator.append(slot, a_ban("again", Criteria(tags=("other",))))
    operator.append(slot, a_ban("b2", Criteria(tags=TAG)))
    assert operator.record(slot).revision == 3
    assert reader.seen(slot) is Visibility.HIDDEN, "it counts as far as what this process has read"


def test_bans_that_were_lost_without_their_record_end_it(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    operator._client.delete(slot.bans)
    assert reader.read(slot, [digest_of("p")])[1] is None
    assert operator.record(slot) is None
    operator.ensure_record(slot)
    assert reader.seen(slot) is Visibility.FOREIGN


def test_a_record_that_is_made_anew_has_nothing_of_the_lost_one(reader, operator, slot):
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    operator._client.delete(slot.record)
    _, ban = operator.append(slot, a_ban("c", Criteria(tags=TAG)))
    assert [each.id for each in operator.bans(slot)] == ["c"]
    assert reader.read(slot, [])[1].active == 1
    assert operator.ban(slot, "b") is None
    assert ban.sequence == operator.record(slot).sequence


def test_a_book_that_is_ahead_of_a_record_serves_it_unless_it_has_lost_a_ban(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("a", Criteria(tags=("a",))))
    assert reader.seen(slot) is Visibility.FRESH
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    earlier = operator._client.get(slot.record)
    operator.append(slot, a_ban("c", Criteria(tags=("c",))))
    assert reader.seen(slot) is Visibility.HIDDEN
    assert reader._books.known(slot, earlier).is_complete, "it has gained since"
    lift(operator, slot, "b")
    assert reader.seen(slot) is Visibility.FRESH
    assert not reader._books.known(slot, earlier).is_complete, "it has lost one since"


# Very many


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many are more than three."""
    monkeypatch.setattr(reading, "MOST_INLINE", 3)
    monkeypatch.setattr(loading, "SCAN_PAGE", 2)
    monkeypatch.setattr(loading, "LOG_PAGE", 2)


def loaded(store: RedisStore, slot: Slot) -> None:
    assert store._books.wait(slot, 60)


@pytest.mark.usefixtures("few")
def test_very_many_bans_are_loaded_beside_and_lookups_miss_meanwhile(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    for number in range(40):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    assert reader.trips_of(lambda: reader.seen(slot)) == 1
    loaded(reader, slot)
    assert reader.trips_of(lambda: reader.seen(slot)) == 1
    assert reader.seen(slot) is Visibility.FRESH
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    assert reader.seen(slot) is Visibility.HIDDEN, "a few more are fetched at once"
    for number in range(30):
        lift(operator, slot, f"b{number}")
    assert reader.seen(slot) is Visibility.UNKNOWN
    loaded(reader, slot)
    assert reader.seen(slot) is Visibility.HIDDEN
    assert len(reader._books.known(slot, operator._client.get(slot.record)).book) == 11


@pytest.mark.usefixtures("few")
def test_where_someone_waits_very_many_bans_are_waited_for(redis_url, operator, slot):
    put(operator, slot, "p", tags=TAG)
    for number in range(20):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    store = Watched(redis_url, waits=True)
    assert store.seen(slot) is Visibility.FRESH
    store.close()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("log_is_cut", [False, True])
def test_what_changes_during_a_load_is_in_what_is_loaded(operator, slot, monkeypatch, log_is_cut):
    put(operator, slot, "p", tags=TAG)
    put(operator, slot, "q", tags=("t0",))
    for number in range(20):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    client = operator._client
    store = RedisStore(client, waits=False)
    scan, changed = client.hscan, []

    def scan_and_change(*arguments, **options):
        page = scan(*arguments, **options)
        if not changed:
            changed.append(page)
            operator.append(slot, a_ban("b", Criteria(tags=TAG)))
            lift(operator, slot, "b0")
            if log_is_cut:
                client.delete(slot.changes)
        return page

    monkeypatch.setattr(client, "hscan", scan_and_change)
    store.read(slot, [])
    loaded(store, slot)
    values, record = store.read(slot, [digest_of("p"), digest_of("q")])
    entries = [codec.decode_entry(value) for value in values]
    assert [visibility(entry, record) for entry in entries] == [Visibility.HIDDEN, Visibility.FRESH]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("way", ["all", "one", "all, and one came after"])
def test_very_many_bans_that_were_lost_without_their_record_end_it(reader, operator, slot, way, caplog):
    put(operator, slot, "p", tags=TAG)
    for number in range(20):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    if way == "one":
        operator._client.hdel(slot.bans, "b")
    else:
        operator._client.delete(slot.bans)
    if way == "all, and one came after":
        operator.append(slot, a_ban("c", Criteria(tags=("other",))))
    assert reader.seen(slot) is Visibility.UNKNOWN
    loaded(reader, slot)
    assert operator.record(slot) is None
    assert reader.read(slot, [])[1] is None
    operator.ensure_record(slot)
    assert reader.seen(slot) is Visibility.FOREIGN
    assert [each.message for each in caplog.records] == [
        "invalidations of a namespace were lost, by an eviction perhaps: its cache starts anew"
    ]


@pytest.mark.usefixtures("few")
def test_what_changes_while_bans_are_counted_is_not_taken_for_a_loss(operator, slot, monkeypatch, caplog):
    put(operator, slot, "p", tags=TAG)
    for number in range(20):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    client = operator._client
    store = RedisStore(client, waits=False)
    count = client.hlen

    def change_and_count(name):
        operator.append(slot, a_ban("b", Criteria(tags=TAG)))
        return count(name)

    monkeypatch.setattr(client, "hlen", change_and_count)
    store.read(slot, [])
    loaded(store, slot)
    [value], record = store.read(slot, [digest_of("p")])
    assert visibility(codec.decode_entry(value), record) is Visibility.HIDDEN
    assert not caplog.records


@pytest.mark.parametrize("lost", [1, 7, 1500])
def test_bans_whose_list_was_lost_are_listed_again_by_when_they_end(operator, slot, lost):
    for number in range(lost):
        operator.append(slot, a_ban(f"b{number:04}", Criteria(tags=(f"t{number}",)), hold_seconds=60 + number // 3))
    operator.change(slot, ["b0000"], lambda found: changing.expire_holds(found, NOW))
    before, record = operator.bans(slot, limit=2000), operator.record(slot)
    operator._client.delete(slot.due)
    operator.append(slot, a_ban("z", Criteria(tags=TAG), hold_seconds=9000))
    assert [ban.id for ban in operator.bans(slot)] == ["z"]
    operator.mend(slot)
    assert operator.bans(slot, limit=2000) == [*before, operator.ban(slot, "z")]
    assert operator.record(slot).revision == record.revision + 1


def test_a_ban_that_ends_while_bans_are_listed_again_is_not_listed(operator, slot, monkeypatch):
    operator.append(slot, a_ban("a", Criteria(tags=TAG)))
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    operator._client.delete(slot.due)
    listing = reading._LIST_DUE

    def end_one_and_list(*arguments):
        lift(operator, slot, "a")
        return listing(*arguments)

    monkeypatch.setattr(reading, "_LIST_DUE", end_one_and_list)
    operator.mend(slot)
    assert operator._client.zrange(slot.due, 0, -1) == [b"b"]


def test_a_record_whose_bans_and_their_list_were_lost_is_removed(operator, slot):
    operator.append(slot, a_ban("a", Criteria(tags=TAG)))
    operator._client.delete(slot.due, slot.bans)
    operator.mend(slot)
    assert operator.record(slot) is None


# Late writers


def write(store: RedisStore, slot: Slot, before: Stamp, *, names: bytes | None = None) -> StoredAs:
    entry = an_entry(
        "late", namespace=slot.namespace, incarnation=before.incarnation, sequence=before.sequence, tags=TAG
    )
    return store.write(
        slot,
        Write(
            digest=entry.header.digest,
            value=codec.encode_entry(entry),
            ttl_ms=60_000,
            model=entry.header.model,
            created_at=entry.header.created_at,
            names=entry_digests(entry) if names is None else names,
        ),
        before,
        before.sequence,
    )[0]


def test_a_burst_of_bans_of_others_costs_a_store_no_try(operator, slot):
    before = operator.ensure_record(slot).stamp
    for number in range(150):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=(f"t{number}",))))
    lift(operator, slot, "b7")
    operator.change(slot, [f"b{number}" for number in range(8, 20)], changing.begin_sweep)
    assert write(operator, slot, before) is StoredAs.STORED


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(tags=TAG),
        Criteria(tags=("x", "t")),
        Criteria(tags=TAG, keywords=("word",)),
        Criteria(model="gpt-4o"),
        Criteria(key=f"0-{digest_of('late').hex()}"),
        Criteria(pattern="*never*"),
        Criteria(created_before=5.0),
        Criteria(all=True),
    ],
    ids=str,
)
def test_a_store_is_told_of_a_ban_that_may_be_of_its_entry(operator, slot, criteria):
    before = operator.ensure_record(slot).stamp
    for number in range(60):
        operator.append(slot, a_ban(f"b{number}", criteria if number == 5 else Criteria(tags=(f"t{number}",))))
    assert write(operator, slot, before) is StoredAs.MOVED
    assert operator.read(slot, [digest_of("late")])[0] == [None]


def test_a_store_without_names_is_told_of_every_ban(operator, slot):
    before = operator.ensure_record(slot).stamp
    operator.append(slot, a_ban("b", Criteria(tags=("other",))))
    assert write(operator, slot, before, names=b"") is StoredAs.MOVED


@pytest.mark.parametrize("way", ["deleted", "trimmed", "torn", "too many"])
def test_a_store_whose_changes_are_not_all_in_the_log_is_told(operator, slot, way):
    for number in range(3):
        operator.append(slot, a_ban(f"earlier {number}", Criteria(tags=TAG)))
    before = operator.ensure_record(slot).stamp
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    for number in range(220 if way == "too many" else 30):
        operator.append(slot, a_ban(f"b{number}", Criteria(tags=("other",))))
    match way:
        case "deleted":
            operator._client.delete(slot.changes)
        case "trimmed":
            operator._client.xtrim(slot.changes, maxlen=20, approximate=False)
        case "torn":
            operator._client.xdel(slot.changes, "4-0")
    assert write(operator, slot, before) is StoredAs.MOVED


def test_a_log_that_cannot_be_continued_is_begun_anew(reader, operator, slot):
    put(operator, slot, "p", tags=TAG)
    operator.append(slot, a_ban("a", Criteria(tags=("other",))))
    reader.seen(slot)
    operator._client.xadd(slot.changes, {"": "x"}, id="99-0")
    operator.append(slot, a_ban("b", Criteria(tags=TAG)))
    assert operator._client.xlen(slot.changes) == 1
    assert reader.seen(slot) is Visibility.HIDDEN
