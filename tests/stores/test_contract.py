"""What every store promises, run on all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bans import changes as bans
from core.bans.ban import BanState
from core.bans.criteria import Criteria
from core.bans.names import entry_digests
from core.bans.prefilter import ASCII_FOLDING, required_substrings
from core.bans.record import InvalidationRecord, Visibility, visibility
from core.errors import InvalidationRefused, InvalidInput
from core.keys.names import Slot
from core.models import Stamp
from core.stores import codec
from core.stores.base import Claim, Removal, Removed, Store, StoredAs, SweepFilter, Write
from core.stores.memory import MemoryStore
from core.stores.redis.servers import OneServer
from core.stores.redis.store import RedisStore, request_client
from tests.samples import NOW, a_ban, an_entry, digest_of, plant_record


@pytest.fixture(params=["memory", "redis", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    match request.param:
        case "memory":
            made: Store = MemoryStore()
        case "redis":
            made = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
        case _:
            made = RedisStore(request_client(request.getfixturevalue("cluster").url, 5))
    yield made
    made.close()


@pytest.fixture
def slot(namespace: str) -> Slot:
    return Slot(namespace, 5)


def put(store: Store, slot: Slot, prompt: str = "p", *, expected: int | None = None, alias: str = "", **fields):
    """Stores an entry under the record as it is now: what became of it."""
    record = store.ensure_record(slot)
    fields = {"incarnation": record.incarnation, "sequence": record.sequence} | fields
    entry = an_entry(prompt, namespace=slot.namespace, **fields)
    alias_entry = an_entry(alias, namespace=slot.namespace, **{**fields, "target": entry.header.digest})
    write = Write(
        digest=entry.header.digest,
        value=codec.encode_entry(entry),
        ttl_ms=60_000,
        model=entry.header.model,
        created_at=entry.header.created_at,
        names=entry_digests(entry),
        alias=(digest_of(alias), codec.encode_entry(alias_entry)) if alias else None,
        tags=entry.tags,
    )
    stamp = Stamp(entry.header.incarnation, entry.header.sequence)
    return store.write(slot, write, stamp, stamp.sequence if expected is None else expected)


def test_an_empty_slot_has_neither_values_nor_a_record(store, slot):
    assert store.read(slot, [digest_of("p")]) == ([None], None)


def test_a_record_is_made_once(store, slot):
    record = store.ensure_record(slot)
    assert store.ensure_record(slot) == record
    assert store.read(slot, []) == ([], record)
    assert slot.namespace in store.namespaces()


def test_entry_and_alias_are_stored_and_read_together(store, slot):
    assert put(store, slot, "p", alias="normal p")[0] is StoredAs.STORED
    values, record = store.read(slot, [digest_of("p"), digest_of("normal p"), digest_of("absent")])
    assert record == store.ensure_record(slot)
    assert codec.decode_entry(values[0]).prompt == "p"
    assert codec.decode_entry(values[1]).header.target == digest_of("p")
    assert values[2] is None
    assert 0 < store.ttl_seconds(slot, digest_of("p")) <= 60


def test_slots_do_not_see_each_other(store, slot):
    put(store, slot, "p")
    for other in (Slot(slot.namespace, 1), Slot(slot.namespace + "x", 0), Slot("x" + slot.namespace[1:], 0)):
        assert store.read(other, [digest_of("p")]) == ([None], None)
        assert list(store.walk(other, whole=False)) in ([], [[]])


def test_without_a_record_nothing_is_stored(store, slot):
    stamp = Stamp(b"x" * 16, 1)
    write = Write(digest=digest_of("p"), value=b"v", ttl_ms=1000, model="m", created_at=NOW, names=b"")
    assert store.write(slot, write, stamp, 1)[0] is StoredAs.NO_RECORD
    assert store.read(slot, [digest_of("p")])[0] == [None]


def test_another_incarnation_is_refused(store, slot):
    assert put(store, slot, incarnation=b"x" * 16)[0] is StoredAs.INCARNATION


def test_a_store_that_began_before_an_invalidation_is_told_of_it(store, slot):
    before = store.ensure_record(slot)
    after, _ = store.append(slot, a_ban(criteria=Criteria(pattern="*other*")))
    outcome, record = put(store, slot, sequence=before.sequence)
    assert outcome is StoredAs.MOVED
    assert record == store.read(slot, [])[1]
    assert (record.sequence, record.is_complete) == (after.sequence, True)
    assert put(store, slot, sequence=before.sequence, expected=after.sequence)[0] is StoredAs.STORED


def test_a_store_from_before_the_floor_is_refused(store, slot):
    before = store.ensure_record(slot)
    after, ban = store.append(slot, a_ban())
    assert store.change(slot, ["b"], bans.retire) == []
    assert put(store, slot, sequence=before.sequence)[0] is StoredAs.FLOOR
    assert put(store, slot, sequence=before.sequence, expected=after.sequence)[0] is StoredAs.FLOOR
    assert store.record(slot).floor == ban.sequence


def test_an_appended_ban_hides_what_is_older(store, slot):
    put(store, slot, "p", tags=("t",))
    record, ban = store.append(slot, a_ban(criteria=Criteria(tags=("t",))))
    assert (record.sequence, record.active, record.listed, record.revision) == (ban.sequence, 1, 0, 1)
    [value], seen = store.read(slot, [digest_of("p")])
    assert visibility(codec.decode_entry(value), seen) is Visibility.HIDDEN
    put(store, slot, "p", tags=("t",))
    [value], seen = store.read(slot, [digest_of("p")])
    assert visibility(codec.decode_entry(value), seen) is Visibility.FRESH


def test_an_id_that_is_there_already_changes_nothing(store, slot):
    put(store, slot, "p")
    _, first = store.append(slot, a_ban(criteria=Criteria(tags=("t",))))
    record, again = store.append(slot, a_ban(criteria=Criteria(model="m"), now=NOW + 9), remove=digest_of("p"))
    assert again == first == store.ban(slot, "b")
    assert (record.active, record.revision) == (1, 1)
    assert store.read(slot, [digest_of("p")])[0] != [None]


def test_bans_are_changed_by_what_is_seen_of_them(store, slot):
    for number in range(3):
        store.append(slot, a_ban(f"b{number}", Criteria(model="gpt-4o"), soft=number == 2))
    put(store, slot, "p", sequence=1)
    swept = store.change(slot, ["b0", "b2", "absent"], bans.begin_sweep)
    assert [(ban.id, ban.state) for ban in swept] == [("b0", BanState.SWEEPING), ("b2", BanState.SWEEPING)]
    assert store.ban(slot, "b2").state is BanState.SWEEPING
    with pytest.raises(InvalidationRefused):
        store.change(slot, ["b0"], lambda found: bans.lift(found, "b0"))
    store.change(slot, ["b1"], lambda found: bans.lift(found, "b1"))
    assert store.ban(slot, "b1") is None
    assert store.change(slot, ["b0", "b2"], bans.retire) == []
    record = store.record(slot)
    assert (record.active, record.listed) == (0, 0)
    assert record.floor == record.sequence
    assert store.change(slot, [], bans.retire) == []


def test_a_change_that_raises_changes_nothing(store, slot):
    store.append(slot, a_ban())
    record = store.record(slot)

    def refuse(found):
        raise InvalidationRefused("no")

    with pytest.raises(InvalidationRefused):
        store.change(slot, ["b"], refuse)
    assert store.record(slot) == record


def test_a_change_is_made_of_the_bans_as_they_are_when_it_is_made(store, slot):
    store.append(slot, a_ban())
    rival = store if isinstance(store, MemoryStore) else RedisStore(store._client)
    ended = []

    def end(found):
        if not ended and not isinstance(store, MemoryStore):
            ended.extend(rival.change(slot, ["b"], lambda found: bans.expire_holds(found, NOW + 5)))
        return bans.begin_sweep(found)

    [swept] = store.change(slot, ["b"], end)
    assert swept.state is BanState.SWEEPING
    assert swept.due_at == store.ban(slot, "b").due_at == (ended[0].due_at if ended else NOW + 60)


def test_the_listed_ban_past_the_limit_is_refused_and_others_are_not(store, slot):
    for number in range(bans.MOST_LISTED):
        store.append(slot, a_ban(f"b{number}", Criteria(pattern=f"*{number}*")))
    with pytest.raises(InvalidationRefused, match="tag, key or model"):
        store.append(slot, a_ban("one more", Criteria(keywords=("word",))))
    assert store.append(slot, a_ban("t", Criteria(tags=("t",))))[0].listed == bans.MOST_LISTED
    store.change(slot, ["b0"], lambda found: bans.lift(found, "b0"))
    assert store.append(slot, a_ban("one more", Criteria(keywords=("word",))))[0].listed == bans.MOST_LISTED


def test_bans_are_listed_in_pages_by_when_they_end(store, slot):
    for number in range(7):
        store.append(slot, a_ban(f"b{number}", Criteria(tags=("t",)), hold_seconds=60 + number // 3))
    assert [ban.id for ban in store.bans(slot)] == [f"b{number}" for number in range(7)]
    assert [ban.id for ban in store.bans(slot, until=NOW + 61)] == [f"b{number}" for number in range(6)]
    found, after = [], None
    while page := store.bans(slot, after=after, limit=2):
        assert len(page) <= 2
        found += [ban.id for ban in page]
        after = page[-1].ends_at, page[-1].id
    assert found == [f"b{number}" for number in range(7)]
    store.change(slot, ["b6"], lambda found: bans.expire_holds(found, NOW))
    assert [ban.id for ban in store.bans(slot, until=NOW)] == ["b6"]


def test_concurrent_changes_are_all_kept(store, slot):
    store.ensure_record(slot)
    barrier = threading.Barrier(8)

    def invalidate(number: int) -> None:
        barrier.wait()
        for turn in range(5):
            store.append(slot, a_ban(f"{number}-{turn}", Criteria(model="m")))
        store.change(slot, [f"{number}-0"], lambda found: bans.lift(found, f"{number}-0"))

    threads = [threading.Thread(target=invalidate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    active = store.bans(slot)
    assert {ban.id for ban in active} == {f"{n}-{t}" for n in range(8) for t in range(1, 5)}
    assert len({ban.sequence for ban in active}) == 32
    record = store.read(slot, [])[1]
    assert (record.active, record.revision, len(record.book)) == (32, 48, 32)


def test_an_entry_can_be_removed_with_its_ban(store, slot):
    put(store, slot, "p")
    store.append(slot, a_ban(), remove=digest_of("p"))
    assert store.read(slot, [digest_of("p")])[0] == [None]


def test_a_grant_for_copies_is_written_into_the_record(store, slot):
    store.ensure_record(slot)
    store.append(slot, a_ban())
    store.allow_copies(slot, 0.5, now=NOW, until=NOW + 600)
    record = store.read(slot, [])[1]
    assert (record.copies_seconds, record.copies_until, record.active) == (0.5, NOW + 600, 1)
    after, _ = store.append(slot, a_ban("c"))
    assert (after.copies_seconds, after.copies_until, after.active) == (0.5, NOW + 600, 2)


def test_a_record_is_forgotten_with_its_bans(store, slot):
    store.append(slot, a_ban())
    seen = store.record(slot)
    assert store.forget_record(slot, seen)
    assert store.record(slot) is None
    assert store.bans(slot) == []
    assert not store.forget_record(slot, seen)
    assert store.ensure_record(slot).active == 0


def test_a_lease_is_held_by_one_and_given_back_by_its_holder(store, slot):
    mine, others, later = claim("mine"), claim("other's"), claim("mine", sequence=2)
    assert not store.leased(slot, mine.digest, 1)
    assert store.acquire(slot, mine, 60_000)
    assert not store.acquire(slot, others, 60_000)
    assert store.acquire(slot, later, 60_000), "another point in history is another flight"
    store.release(slot, others)
    assert store.leased(slot, mine.digest, 1)
    store.release(slot, mine)
    assert not store.leased(slot, mine.digest, 1)
    assert store.leased(slot, mine.digest, 2)


def test_a_lease_is_prolonged_by_its_holder_and_taken_again_when_it_has_lapsed(store, slot):
    mine, others, lapsed = claim("mine"), claim("other's"), claim("mine", prompt="lapsed")
    assert store.renew(slot, [], 60_000) == []
    assert store.acquire(slot, mine, 300)
    assert store.renew(slot, [others, mine, lapsed], 60_000) == [False, True, True]
    assert not store.acquire(slot, others, 60_000)
    assert not store.acquire(slot, claim("other's", prompt="lapsed"), 60_000)
    store.release(slot, mine)
    assert store.acquire(slot, others, 60_000)
    assert store.renew(slot, [mine, others], 1) == [False, True]
    while store.leased(slot, mine.digest, 1):
        pass
    many = [claim("mine", prompt=f"p{number}") for number in range(450)]
    assert store.renew(slot, many, 60_000) == [True] * 450
    assert all(store.leased(slot, each.digest, 1) for each in many)


def claim(token: str, *, prompt: str = "p", sequence: int = 1) -> Claim:
    return Claim(digest=digest_of(prompt), sequence=sequence, token=token.encode())


def walked(batches) -> list[bytes]:
    return [row.digest for rows in batches for row in rows]


def test_a_walk_meets_every_entry_and_alias(store, slot):
    for number in range(450):
        put(store, slot, f"p{number}", alias=f"alias of p{number}")
    expected = {digest_of(f"p{n}") for n in range(450)} | {digest_of(f"alias of p{n}") for n in range(450)}
    assert set(walked(store.walk(slot, whole=False))) == expected
    whole = [codec.decode_entry(row.value) for rows in store.walk(slot, whole=True) for row in rows]
    assert {entry.prompt for entry in whole} >= {f"p{n}" for n in range(450)}


def criteria_of(keywords: list[str], pattern: str | None, mode: str) -> Criteria | None:
    """None for what is refused."""
    try:
        return Criteria(keywords=tuple(keywords), pattern=pattern, keyword_mode=mode)
    except InvalidInput:
        return None


LONG_NAME = "a-model-with-a-name-of-many-parts/" * 20

FILTERS = (
    [{"sequence": 3}],
    [{"sequence": 2}],
    [{"sequence": 3, "created_before": NOW + 1}],
    [{"sequence": 3, "model": "m"}],
    [{"sequence": 3, "model": "m"}, {"sequence": 2, "model": LONG_NAME}],
    [{"sequence": 2, "model": "mm", "created_before": NOW + 1}, {"sequence": 3, "model": "o"}],
    [{"sequence": 3, "digest": digest_of(f"{(b'i' * 16).hex()} 1 OF {LONG_NAME} {NOW}")}],
    [{"sequence": 2, "digest": digest_of(f"{(b'i' * 16).hex()} 1 OF mm {NOW}")}, {"sequence": 2, "model": "m"}],
    [{"sequence": 2, "substrings": frozenset({frozenset({b"of mm", b"alias"}), frozenset({b"mo"})})}, {"sequence": 1}],
    [{"sequence": 3, "tagged": True}],
    [{"sequence": 3, "owned": True}, {"sequence": 2, "alias": True}],
    [{"sequence": 2, "tagged": True, "model": "m"}, {"sequence": 3, "alias": True, "owned": True}],
)

NAMED = {"m": {"tags": ("doc:1",)}, "mm": {"users": (b"u" * 16,)}, "o": {"tags": ("doc:2",), "users": (b"u" * 16,)}}
"""What entries of a model have."""


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_pass_leaves_out_nothing_that_is_doomed(store, slot, wanted):
    ours, lost = b"i" * 16, b"o" * 16
    filters = [SweepFilter(**fields) for fields in wanted]
    doomed, others, aliases = set(), set(), set()
    for incarnation, sequence in product((lost, ours), (1, 2, 3)):
        record = InvalidationRecord(incarnation=incarnation, sequence=sequence, floor=0)
        plant_record(store, slot, record)
        for model, created_at in product(("m", "mm", "o", LONG_NAME), (NOW, NOW + 1)):
            prompt = f"{incarnation.hex()} {sequence} OF {model} {created_at}"
            named = NAMED.get(model, {})
            put(store, slot, prompt, alias=f"Alias of {prompt}", model=model, created_at=created_at, **named)
            aliases.add(digest_of(f"Alias of {prompt}"))
            for text in (prompt, f"Alias of {prompt}"):
                is_doomed = incarnation == lost or any(
                    sequence < each.sequence
                    and model == (each.model or model)
                    and created_at < (each.created_before or NOW + 2)
                    and each.digest in (None, digest_of(prompt))
                    and (not each.tagged or "tags" in named)
                    and (not each.owned or "users" in named)
                    and (not each.alias or text != prompt)
                    and (
                        each.substrings is None
                        or any(all(has(text, run) for run in group) for group in each.substrings)
                    )
                    for each in filters
                )
                (doomed if is_doomed else others).add(digest_of(text))
    pages = list(store.scan_matching(slot, ours, filters, whole=False))
    met = {row.digest for page in pages for row in page.rows}
    assert met >= doomed
    assert sum(page.left_out for page in pages) + len(met - aliases) == len(aliases)
    if isinstance(store, RedisStore) and isinstance(store._servers, OneServer):
        assert met == doomed, "what is left out is not fetched"


def has(text: str, wanted: bytes) -> bool:
    return wanted.decode() in text.lower()


@pytest.mark.parametrize(
    ("criteria", "prompt"),
    [
        ({"keywords": ("strasse",)}, "Which Straße is it?"),
        ({"keywords": ("kelvin",)}, "How much is a \N{KELVIN SIGN}elvin?"),
        ({"keywords": ("final",)}, "Is it the \N{LATIN SMALL LIGATURE FI}nal one?"),
        ({"keywords": ("why",)}, "WHY is the sky blue?"),
        ({"keywords": ("sky",), "pattern": "*end"}, "Why is the SKY blue? " + "x" * 1500 + " the end"),
        ({"pattern": "Why*Größe*?"}, "Why this Gro\N{COMBINING DIAERESIS}ße?"),
        ({"pattern": "*\N{KELVIN SIGN}elvin*"}, "How much is a Kelvin?"),
    ],
)
def test_a_pass_leaves_out_no_prompt_however_it_is_written(store, slot, criteria, prompt):
    criteria = Criteria(**criteria)
    assert required_substrings(criteria)
    assert criteria.matches(an_entry(prompt).header, prompt, ())
    put(store, slot, prompt)
    put(store, slot, "How do refunds work?")
    incarnation = store.ensure_record(slot).incarnation
    pages = list(
        store.scan_matching(
            slot, incarnation, [SweepFilter(sequence=9, substrings=required_substrings(criteria))], whole=True
        )
    )
    assert prompt in {codec.decode_entry(row.value).prompt for page in pages for row in page.rows}


LETTERS = "aAkKsSiIfFß; `éE" + "".join(maker.decode() for maker in ASCII_FOLDING) + "\u0301\u0307\u030c漢“x9"


@settings(max_examples=40)
@given(
    prompts=st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=40, unique=True),
    padding=st.sampled_from(["", "x" * 1500, "é" * 120]),
    named=st.sampled_from([{}, {"tags": ("doc:1", "é" * 200)}, {"users": (b"u" * 16,)}, {"target": digest_of("t")}]),
    criteria=st.builds(
        criteria_of,
        keywords=st.lists(
            st.text(LETTERS, min_size=2, max_size=3).filter(lambda word: len(word.strip()) > 1), max_size=2
        ),
        pattern=st.none() | st.text(LETTERS + "**?[]!-", min_size=1, max_size=5),
        mode=st.sampled_from(["any", "all"]),
    ).filter(lambda criteria: criteria is not None),
)
def test_a_pass_leaves_out_no_prompt_that_words_or_a_pattern_select(redis_url, prompts, padding, named, criteria):
    store = RedisStore(request_client(redis_url, 5))
    slot = Slot(f"substrings-{uuid4().hex}", 0)
    sweep_filter = SweepFilter(sequence=9, substrings=required_substrings(criteria))
    for prompt in prompts:
        put(store, slot, prompt + padding, **named)
    pages = list(store.scan_matching(slot, store.ensure_record(slot).incarnation, [sweep_filter], whole=True))
    found = {codec.decode_entry(row.value).prompt for page in pages for row in page.rows}
    selected = {
        prompt + padding
        for prompt in prompts
        if criteria.matches(an_entry(prompt + padding).header, prompt + padding, ())
    }
    assert selected <= found
    store.close()


def test_a_model_is_walked_oldest_first_and_counted_without_aliases(store, slot):
    for number in range(450):
        # Many share a second: pages must not lose or repeat the rows on their border.
        put(store, slot, f"p{number}", alias=f"a{number}", model="m", created_at=NOW + number // 100)
    put(store, slot, "other", model="o")
    prompts = [
        entry.header.created_at
        for rows in store.walk_model(slot, "m", whole=True)
        for row in rows
        if (entry := codec.decode_entry(row.value)).header.target is None
    ]
    assert len(prompts) == 450
    assert prompts == sorted(prompts)
    assert store.count_model(slot, "m") == 450
    assert store.count_model(slot, "m", created_before=NOW + 2) == 200
    assert store.models(slot) == {"m": 450, "o": 1}


def test_what_has_a_tag_is_walked_with_its_aliases_and_nothing_of_other_tags(store, slot):
    for number in range(250):
        put(store, slot, f"p{number}", alias=f"a{number}", tags=("doc:1", f"page:{number % 2}"))
    put(store, slot, "other", alias="other alias", tags=("doc:2",))
    put(store, slot, "none")
    put(store, Slot(slot.namespace, 6), "elsewhere", tags=("doc:1",))
    expected = {digest_of(f"{kind}{number}") for kind in "pa" for number in range(250)}
    met = walked(store.walk_tags(slot, ["doc:1"], batch=70))
    assert (set(met), len(met)) == (expected, 500)
    assert set(walked(store.walk_tags(slot, ["page:1", "doc:2", "absent"]))) == {
        *(digest_of(f"{kind}{number}") for kind in "pa" for number in range(1, 250, 2)),
        *map(digest_of, ("other", "other alias")),
    }
    assert walked(store.walk_tags(slot, [])) == []
    for rows in store.walk_tags(slot, ["doc:2"], whole=True):
        assert {codec.decode_entry(row.value).prompt for row in rows} == {"other", "other alias"}


def test_many_tags_are_walked_in_one_go(store, slot):
    for number in range(5):
        put(store, slot, f"p{number}", tags=(f"doc:{number * 100}",))
    met = walked(store.walk_tags(slot, [f"doc:{number}" for number in range(450)]))
    assert set(met) == {digest_of(f"p{number}") for number in range(5)}


def test_what_has_a_tag_and_was_stored_before_a_moment_is_removed_with_its_aliases(store, slot):
    for number in range(130):
        put(store, slot, f"p{number}", alias=f"a{number}", tags=("doc:1", f"page:{number % 2}"))
    put(store, slot, "owned", tags=("x", "doc:1"), users=(b"u" * 16,), target=digest_of("p1"))
    put(store, slot, "long", tags=("doc:1", "é" * 250, "ü" * 250))
    put(store, slot, "other", tags=("doc:2",))
    put(store, slot, "£doc:1", tags=("£doc:1", "doc:11"))
    for tags in (("doc:1", "y"), ("y",)):
        put(store, slot, "no longer", tags=tags)
    before = invalidate(store, slot)
    put(store, slot, "newer", alias="newer alias", tags=("doc:1",))
    put(store, slot, "p7", alias="a7", tags=("page:1",))

    def remove(incarnation=before.incarnation, **sequences) -> Removed:
        named = {name.replace("_", ":"): sequence for name, sequence in sequences.items()}
        return sum(store.remove_tags(slot, incarnation, named, batch=50), Removed())

    assert remove(b"x" * 16, doc_1=before.sequence) == Removed()
    assert remove(doc_1=1, absent=before.sequence) == Removed()
    removed = remove(page_0=before.sequence, absent=before.sequence)
    assert (removed.entries, removed.aliases) == (65, 65)
    assert removed.bytes == pytest.approx(130 * 330, rel=0.3)
    removed = remove(doc_3=before.sequence, doc_1=before.sequence, page_0=before.sequence)
    assert (removed.entries, removed.aliases) in ((64, 65), (65, 65)), "what has a long header may be left"
    kept = remaining(store, slot) - {"long"}
    assert kept == {"other", "£doc:1", "no longer", "newer", "newer alias", "p7", "a7"}


def test_only_what_was_looked_at_is_removed(store, slot):
    put(store, slot, "old")
    put(store, slot, "kept")
    record = store.ensure_record(slot)
    stamp = Stamp(record.incarnation, record.sequence)
    store.append(slot, a_ban(criteria=Criteria(model="x")))
    put(store, slot, "new")
    removals = [
        Removal(digest=digest_of(name), stamp=stamp, model="gpt-4o", created_at=NOW)
        for name in ("old", "new", "absent")
    ]
    removed = store.remove(slot, removals)
    assert (removed.entries, removed.aliases) == (1, 0)
    assert removed.bytes > 100
    values, _ = store.read(slot, [digest_of("old"), digest_of("new"), digest_of("kept")])
    assert [value is not None for value in values] == [False, True, True]
    assert store.count_model(slot, "gpt-4o") == 2


def remaining(store: Store, slot: Slot) -> set[str]:
    """The prompts of all entries and aliases."""
    return {codec.decode_entry(row.value).prompt for rows in store.walk(slot, whole=True) for row in rows}


def invalidate(store: Store, slot: Slot, ban_id: str = "b") -> Stamp:
    """A point in history: what was stored up to now is before it."""
    return store.append(slot, a_ban(ban_id, Criteria(model="x")))[0].stamp


def removed_by_index(store: Store, slot: Slot, before: Stamp, **options) -> Removed:
    return sum(store.remove_model(slot, "gpt-4o", before, **options), Removed())


def test_what_a_model_stored_before_a_moment_is_removed_with_its_aliases(store, slot):
    for number in range(450):
        # Many share a second, as after a bulk load.
        put(store, slot, f"p{number}", alias=f"a{number}", created_at=NOW + number // 100)
    put(store, slot, "other", alias="other alias", model="gpt-4")
    put(store, slot, "without an alias")
    before = invalidate(store, slot)
    put(store, slot, "newer", alias="newer alias")
    put(store, slot, "p7", alias="a7")
    removed = removed_by_index(store, slot, before)
    assert (removed.entries, removed.aliases) == (450, 449)
    assert removed.bytes == pytest.approx(899 * 330, rel=0.3)
    assert remaining(store, slot) == {"other", "other alias", "newer", "newer alias", "p7", "a7"}
    assert store.count_model(slot, "gpt-4o") == 2
    assert store.count_model(slot, "gpt-4") == 1
    assert removed_by_index(store, slot, before) == Removed()


def test_an_age_leaves_what_is_newer_and_an_alias_that_was_written_again(store, slot):
    put(store, slot, "Old", alias="shared", created_at=NOW - 10)
    put(store, slot, "OLD", alias="shared", created_at=NOW)
    put(store, slot, "older", alias="older alias", created_at=NOW - 20)
    removed = removed_by_index(store, slot, invalidate(store, slot), created_before=NOW)
    assert (removed.entries, removed.aliases) == (2, 1)
    assert remaining(store, slot) == {"OLD", "shared"}
    assert store.count_model(slot, "gpt-4o") == 1


def test_what_another_incarnation_stored_is_left(store, slot):
    put(store, slot, "p", alias="a")
    before = invalidate(store, slot)
    assert removed_by_index(store, slot, Stamp(b"x" * 16, before.sequence)) == Removed()
    assert remaining(store, slot) == {"p", "a"}


def test_what_is_removed_by_name_leaves_the_index_too(store, slot):
    put(store, slot, "p", alias="a")
    stamp = store.ensure_record(slot).stamp
    removed = store.remove(
        slot,
        [
            Removal(digest=digest_of("p"), stamp=stamp, model="gpt-4o", created_at=NOW),
            Removal(digest=digest_of("a"), stamp=stamp, model="gpt-4o", created_at=None),
        ],
    )
    assert (removed.entries, removed.aliases) == (1, 1)
    assert store.count_model(slot, "gpt-4o") == 0
    assert remaining(store, slot) == set()


def test_an_empty_removal_does_nothing(store, slot):
    assert store.remove(slot, []) == Removed()


def test_info_and_ping(store, slot):
    store.ping()
    assert store.info().kind in ("memory", "redis")


def test_the_newest_come_first_and_a_list_goes_on_where_it_ended(store, slot):
    for number in range(5):
        put(store, slot, f"p{number}", created_at=NOW + number // 2, alias=f"alias {number}")
    put(store, slot, "other", model="gpt-4")
    newest_first = sorted(((NOW + number // 2, digest_of(f"p{number}")) for number in range(5)), reverse=True)
    assert store.recent(slot, "gpt-4o") == newest_first
    assert store.recent(slot, "gpt-4o", limit=2) == newest_first[:2]
    for had in range(5):
        assert store.recent(slot, "gpt-4o", before=newest_first[had], limit=2) == newest_first[had + 1 : had + 3]
    assert store.recent(slot, "gpt-4o", before=(NOW + 2, b"")) == newest_first[1:]
    assert store.recent(slot, "none") == []


def test_a_value_is_replaced_only_if_neither_it_nor_the_record_has_changed(store, slot):
    put(store, slot, "p")
    [seen], record = store.read(slot, [digest_of("p")])

    def replace(seen=seen, stamp=record.stamp, prompt="p"):
        return store.replace(slot, digest_of(prompt), seen=seen, value=b"new", ttl_ms=5000, stamp=stamp)

    assert not replace(seen=b"another")
    assert not replace(prompt="absent")
    assert not replace(stamp=Stamp(b"x" * 16, record.sequence))
    store.append(slot, a_ban(criteria=Criteria(model="x")))
    assert not replace()
    assert store.read(slot, [digest_of("p")])[0] == [seen]
    assert replace(stamp=store.read(slot, [])[1].stamp)
    assert store.read(slot, [digest_of("p")])[0] == [b"new"]
    assert 4 < store.ttl_seconds(slot, digest_of("p")) <= 5
