"""Listing and searching what is stored, on both stores."""

from __future__ import annotations

from itertools import chain
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.access.audit import AuditLog
from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.bans.record import Visibility
from core.entries.listing import EntryFilter, count_listed, every_page, find_entry, page_entries
from core.entries.pins import Pins
from core.keys.names import Slot, readable_key
from core.metrics import CacheMetrics
from core.stores import codec
from core.stores.base import Write
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.metrics.outcomes import a_hit
from tests.samples import NOW, Clock, an_entry, delete_value, digest_of


@pytest.fixture(params=["memory", "redis"])
def store(request):
    made = (
        MemoryStore() if request.param == "memory" else RedisStore(patient_client(request.getfixturevalue("redis_url")))
    )
    yield made
    made.close()


@pytest.fixture
def slots(namespace):
    return [Slot(namespace, 0), Slot(namespace, 1)]


def put(store, slot, prompt, *, alias="", **fields):
    record = store.ensure_record(slot)
    stamped = {"incarnation": record.incarnation, "sequence": record.sequence, "namespace": slot.namespace}
    entry = an_entry(prompt, **(stamped | fields))
    aliases = an_entry(alias, target=entry.header.digest, **stamped)
    write = Write(
        digest=entry.header.digest,
        value=codec.encode_entry(entry),
        ttl_ms=60_000,
        model=entry.header.model,
        created_at=entry.header.created_at,
        alias=(digest_of(alias), codec.encode_entry(aliases)) if alias else None,
    )
    store.write(slot, write, record.stamp, record.sequence)


def every_entry(store, slots, where):
    return list(chain.from_iterable(every_page(store, slots, where)))


def prompts(found):
    return {one.entry.prompt for one in found}


def test_entries_of_all_buckets_are_found_and_aliases_are_not(store, slots):
    put(store, slots[0], "Straße", alias="strasse")
    put(store, slots[1], "the sky")
    found = every_entry(store, slots, EntryFilter())
    assert prompts(found) == {"Straße", "the sky"}
    assert {one.key for one in found} == {readable_key(0, digest_of("Straße")), readable_key(1, digest_of("the sky"))}
    assert all(one.bytes > 0 and one.state is Visibility.FRESH for one in found)
    assert every_entry(store, [Slot("never-" + slots[0].namespace[:20], 0)], EntryFilter()) == []


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (EntryFilter(text="STRASSE"), {"Straße"}),
        (EntryFilter(text="nothing"), set()),
        (EntryFilter(model="gpt-4"), {"old"}),
        (EntryFilter(model="gpt-4", text="sky"), set()),
        (EntryFilter(created_before=NOW), {"old"}),
        (EntryFilter(created_after=NOW), {"Straße", "the sky"}),
        (EntryFilter(model="gpt-4", created_before=NOW - 100), set()),
    ],
)
def test_all_that_is_given_must_match(store, slots, where, expected):
    put(store, slots[0], "Straße")
    put(store, slots[0], "the sky")
    put(store, slots[0], "old", model="gpt-4", created_at=NOW - 50)
    assert prompts(every_entry(store, slots, where)) == expected


def test_every_page_has_each_entry_once_the_newest_first(store, slots):
    for number in range(10):
        put(store, slots[number % 2], f"q{number}", created_at=NOW + number // 3)
    pages = list(every_page(store, slots, EntryFilter(), size=3))
    told = [one.entry.prompt for page in pages for one in page]
    assert (sorted(told), told[0]) == (sorted(f"q{number}" for number in range(10)), "q9")
    assert [len(page) for page in every_page(store, slots, EntryFilter(text="nothing"))] == [0]


def test_what_is_invalidated_is_shown_when_asked_for(store, slots):
    put(store, slots[0], "hidden")
    put(store, slots[0], "stale")
    for ban_id, criteria, soft in (("a", Criteria(pattern="hid*"), False), ("b", Criteria(pattern="sta*"), True)):
        store.append(slots[0], new_ban(ban_id, criteria, now=NOW, hold_seconds=60, soft=soft))
    [stale] = every_entry(store, slots, EntryFilter())
    assert (stale.state, stale.is_stale(NOW)) == (Visibility.STALE, True)
    states = {one.entry.prompt: one.state for one in every_entry(store, slots, EntryFilter(invalidated=True))}
    assert states == {"hidden": Visibility.HIDDEN, "stale": Visibility.STALE}


def test_an_entry_is_stale_when_its_time_is_over(store, slots):
    put(store, slots[0], "p", fresh_until=NOW + 10)
    [found] = every_entry(store, slots, EntryFilter())
    assert (found.is_stale(NOW), found.is_stale(NOW + 10)) == (False, True)


# Pages


def all_pages(store, slots, where, **limits):
    """Every page of a list, as it is turned."""
    pages = [page_entries(store, slots, where, **limits)]
    while pages[-1].last is not None:
        pages.append(page_entries(store, slots, where, after=pages[-1].last, **limits))
    return pages


def shown(pages):
    return [one.entry.prompt for page in pages for one in page.entries]


@given(
    made=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 1)), max_size=12),
    size=st.integers(1, 5),
    most=st.integers(1, 7),
)
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_show_every_entry_once_newest_first_whatever_the_moments(store, made, size, most):
    slots = [Slot(f"pages-{uuid4().hex}", bucket) for bucket in (0, 1)]
    for number, (age, bucket, model) in enumerate(made):
        put(store, slots[bucket], f"prompt {number}", created_at=NOW - age, model=f"m{model}", alias=f"alias {number}")
    pages = all_pages(store, slots, EntryFilter(), size=size, most=most)
    ages = [int(NOW - one.entry.header.created_at) for page in pages for one in page.entries]
    assert sorted(shown(pages)) == sorted(f"prompt {number}" for number in range(len(made)))
    assert ages == sorted(ages)
    assert all(len(page.entries) <= size and page.scanned <= most for page in pages)
    assert sum(page.scanned for page in pages) == len(made)


def test_entries_that_come_and_go_between_pages_shift_nothing(store, slots):
    for number in range(6):
        put(store, slots[0], f"p{number}", created_at=NOW - number)
    first = page_entries(store, slots, EntryFilter(), size=3)
    put(store, slots[0], "newer", created_at=NOW + 1)
    delete_value(store, slots[0], digest_of("p1"))
    second = page_entries(store, slots, EntryFilter(), size=3, after=first.last)
    assert shown([first, second]) == ["p0", "p1", "p2", "p3", "p4", "p5"]


def test_a_page_is_cut_short_rather_than_reading_everything(store, slots):
    for number in range(30):
        put(store, slots[0], f"p{number}", created_at=NOW - number)
    page = page_entries(store, slots, EntryFilter(text="p29"), most=10)
    assert (page.entries, page.scanned) == ((), 10)
    assert shown(all_pages(store, slots, EntryFilter(text="p29"), most=10)) == ["p29"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (EntryFilter(created_before=NOW - 1), ["oldest", "other"]),
        (EntryFilter(created_after=NOW - 1), ["newest", "second"]),
        (EntryFilter(model="gpt-4"), ["other"]),
        (EntryFilter(ttl_class="code"), ["second"]),
        (EntryFilter(tags=("doc:9", "doc:1")), ["second"]),
        (EntryFilter(text="LONDON"), []),
        (EntryFilter(text="LONDON", in_answers=True), ["second"]),
    ],
)
def test_pages_are_filtered_and_the_index_counts_what_it_can(store, slots, where, expected):
    london = {"choices": [{"message": {"role": "assistant", "content": "London"}, "finish_reason": "stop"}]}
    put(store, slots[0], "newest")
    put(store, slots[1], "second", created_at=NOW - 1, tags=("doc:1",), ttl_class="code", body=london)
    put(store, slots[0], "oldest", created_at=NOW - 5)
    put(store, slots[0], "other", created_at=NOW - 6, model="gpt-4")
    assert shown(all_pages(store, slots, where, size=1)) == expected
    if not (where.text or where.tags or where.ttl_class):
        assert count_listed(store, slots, where) == len(expected)


def test_one_entry_is_found_by_its_key_whatever_its_state(store, slots):
    put(store, slots[1], "Straße", alias="strasse")
    found = find_entry(store, slots[1].namespace, f" {readable_key(1, digest_of('Straße'))} ")
    assert found.entry.prompt == "Straße"
    alias = find_entry(store, slots[1].namespace, readable_key(1, digest_of("strasse")))
    assert alias.entry.header.target == digest_of("Straße")
    assert find_entry(store, slots[1].namespace, readable_key(1, digest_of("other"))) is None
    assert find_entry(store, slots[1].namespace, "no key") is None


# By hits and pins


def hit(metrics, slot, prompt, times=1):
    for _ in range(times):
        metrics.record(
            a_hit(namespace=slot.namespace, key=readable_key(slot.bucket, digest_of(prompt)), at=metrics_clock())
        )


def metrics_clock():
    return NOW


@pytest.fixture
def metrics(store, request):
    client = patient_client(request.getfixturevalue("redis_url")) if isinstance(store, RedisStore) else None
    with CacheMetrics(client, flush_seconds=1000, clock=metrics_clock) as made:
        yield made


def pages_of(store, slots, metrics, where, **options):
    pages, after = [], None
    while True:
        pages.append(page_entries(store, slots, where, hits=metrics.hits, after=after, **options))
        after = pages[-1].last
        if after is None:
            return pages


def test_entries_are_listed_by_their_hits_over_all_buckets(store, slots, metrics):
    for number in range(8):
        put(store, slots[number % 2], f"p{number}", created_at=NOW - number, model=f"m{number % 2}")
        hit(metrics, slots[number % 2], f"p{number}", times=number)
    hit(metrics, slots[0], "gone", times=20)
    pages = pages_of(store, slots, metrics, EntryFilter(fewest_hits=2), size=4)
    assert shown(pages) == ["p7", "p6", "p5", "p4", "p3", "p2"]
    assert [one.hits.total for page in pages for one in page.entries] == [7, 6, 5, 4, 3, 2]
    assert shown(pages_of(store, slots, metrics, EntryFilter(fewest_hits=2, model="m1"))) == ["p7", "p5", "p3"]
    assert shown(pages_of(store, slots, metrics, EntryFilter(never_hit=True))) == ["p0"]
    newest = page_entries(store, slots, EntryFilter(), hits=metrics.hits)
    assert [one.hits.total for one in newest.entries] == list(range(8))
    assert page_entries(store, slots, EntryFilter()).entries[0].hits is None


def test_a_search_ends_when_its_time_is_over_and_goes_on_where_it_ended(store, slots):
    for number in range(600):
        put(store, slots[0], f"p{number}", created_at=NOW - number)
    times = iter(range(100))
    page = page_entries(store, slots, EntryFilter(text="p599"), seconds=1.5, monotonic=lambda: next(times))
    assert (page.entries, page.scanned) == ((), 400)
    assert shown([page_entries(store, slots, EntryFilter(text="p599"), after=page.last)]) == ["p599"]


def test_pinned_entries_are_listed_the_last_pinned_first(redis_url, namespace):
    client = patient_client(redis_url)
    store, clock = RedisStore(client), Clock()
    slots = [Slot(namespace, 0), Slot(namespace, 1)]
    pins = Pins(client, store, AuditLog(None), release_seconds=lambda name: 60.0, clock=clock)
    for number in range(4):
        put(store, slots[number % 2], f"p{number}", fresh_until=NOW + 600)
    for number in (2, 0, 1):
        clock.forward(1)
        key = readable_key(number % 2, digest_of(f"p{number}"))
        pins.pin(namespace, key, actor="olga")
    page = page_entries(store, slots, EntryFilter(pinned=True), pins=pins, size=2)
    assert prompts_in_order(page) == ["p1", "p0"]
    page = page_entries(store, slots, EntryFilter(pinned=True), pins=pins, after=page.last)
    assert (prompts_in_order(page), page.last) == (["p2"], None)
    everything = page_entries(store, slots, EntryFilter(), pins=pins).entries
    assert {one.entry.prompt: one.pinned for one in everything} == {"p0": True, "p1": True, "p2": True, "p3": False}
    assert find_entry(store, namespace, key, pins=pins).pinned
    store.close()


def prompts_in_order(page):
    return [one.entry.prompt for one in page.entries]
