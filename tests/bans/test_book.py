"""A Book decides exactly as a loop over all bans would, whatever came, went and was held on to."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bans import book as books
from core.bans import changes as changing
from core.bans.ban import Ban, BanState
from core.bans.book import Book, BookAt, Logged, Visibility, changes_between
from core.bans.changes import Change
from core.bans.criteria import Criteria
from core.bans.names import entry_digests, filed_under, names_of
from core.keys.names import readable_key
from core.models import CacheEntry
from tests.samples import NOW, an_entry, digest_of

KEYS = ("k1", "k2")
ENTRIES = [
    an_entry(prompt, digest=digest_of(key), target=target, model=model, tags=tags, sequence=sequence)
    for key, prompt, (target, model, tags), sequence in product(
        KEYS,
        ("tell me of alpha", "tell me of beta"),
        ((None, "m1", ()), (digest_of("k2"), "m2", ("doc:1",)), (None, "m2", ("doc:1", "doc:2"))),
        (1, 4, 9),
    )
]
CRITERIA = [
    Criteria(all=True),
    Criteria(model="m1"),
    Criteria(model="m2"),
    Criteria(tags=("doc:1",)),
    Criteria(tags=("doc:1", "doc:2", "doc:1")),
    Criteria(key=readable_key(0, digest_of("k1"))),
    Criteria(key=readable_key(0, digest_of("k2")), model="m2"),
    Criteria(tags=("doc:2",), keywords=("beta",)),
    Criteria(key=readable_key(0, digest_of("k1")), tags=("doc:1",)),
    Criteria(tags=("doc:1",), model="m1"),
    Criteria(keywords=("alpha",)),
    Criteria(pattern="*beta", model="m1"),
    Criteria(created_before=NOW + 1, model="m2"),
]


def plainly(entry: CacheEntry, bans: list[Ban]) -> Visibility:
    """The rule in its own words, by a loop over all bans."""
    matching = [
        ban
        for ban in bans
        if ban.sequence > entry.header.sequence and ban.criteria.matches(entry.header, entry.prompt, entry.tags)
    ]
    if any(ban.state is not BanState.SOFT for ban in matching):
        return Visibility.HIDDEN
    return Visibility.STALE if matching else Visibility.FRESH


def verdict_of(book: Book, entry: CacheEntry) -> Visibility:
    return book.verdict(entry.header.sequence, entry.header, entry.prompt, entry.tags)


def decides_as(book: Book, bans: list[Ban]) -> None:
    for entry in ENTRIES:
        assert verdict_of(book, entry) is plainly(entry, bans), (entry.header, entry.tags, bans)
    assert len(book) == len(bans)


def hides_at_least(book: Book, bans: list[Ban]) -> None:
    order = (Visibility.FRESH, Visibility.STALE, Visibility.HIDDEN)
    for entry in ENTRIES:
        assert order.index(verdict_of(book, entry)) >= order.index(plainly(entry, bans)), (entry.header, bans)


@st.composite
def histories(draw: Any) -> list[Change | Ban]:
    """Changes of a bucket: bans that are appended, and what becomes of some of those that there are."""
    steps: list[Change | Ban] = []
    present: dict[str, Ban] = {}
    for sequence in range(2, draw(st.integers(3, 14))):
        kind = draw(st.sampled_from(["append", "append", "append", "lift", "sweep", "retire"]))
        if kind == "append" or not present:
            ban = Ban(
                sequence=sequence,
                id=draw(st.sampled_from([f"b{sequence}", "again"])),
                criteria=draw(st.sampled_from(CRITERIA)),
                state=draw(st.sampled_from([BanState.HELD, BanState.HELD, BanState.SOFT, BanState.TOMBSTONE])),
                created_at=NOW,
                due_at=NOW + 60,
            )
            if ban.id not in present:
                present[ban.id] = ban
                steps.append(ban)
            continue
        chosen = [present[ban_id] for ban_id in draw(st.sets(st.sampled_from(sorted(present)), min_size=1))]
        if kind == "lift":
            chosen = [ban for ban in chosen if ban.state in (BanState.HELD, BanState.SOFT)]
            change = changing.lift(chosen, "b") if chosen else Change([])
        else:
            change = (changing.begin_sweep if kind == "sweep" else changing.retire)(chosen)
        for seen, then in change.bans:
            if then is None:
                del present[seen.id]
            else:
                present[seen.id] = then
        steps.append(change)
    return steps


def played(steps: list[Change | Ban]) -> list[tuple[Logged | None, list[Ban]]]:
    """For each step what the log has of it, None for what nobody needs to know, and the bans there are then."""
    present: dict[str, Ban] = {}
    revision, found = 0, list[tuple[Logged | None, list[Ban]]]()
    for step in steps:
        change = {step.id: step} if isinstance(step, Ban) else {seen.id: then for seen, then in step.bans}
        for ban_id, ban in change.items():
            if ban is None:
                del present[ban_id]
            else:
                present[ban_id] = ban
        logged = None
        if isinstance(step, Ban) or not step.is_quiet:
            revision += 1
            logged = Logged(revision, b"%08d" % revision, change)
        found.append((logged, list(present.values())))
    return found


@given(histories())
def test_a_book_decides_as_a_loop_over_all_bans_after_every_change(steps):
    book = Book()
    held: list[tuple[Book, list[Ban]]] = []
    for logged, bans in played(steps):
        if logged is not None:
            book = book.with_changes(logged.bans)
        decides_as(book, bans)
        decides_as(Book(bans), bans)
        held.append((book, bans))
        for old, then in held:
            hides_at_least(old, then)


@given(histories(), st.data())
def test_a_book_brought_on_by_any_piece_of_the_log_covers_what_it_says(steps, data):
    moments = {0: []} | {logged.revision: bans for logged, bans in played(steps) if logged is not None}
    log = [logged for logged, _ in played(steps) if logged is not None]
    quiet = {}
    revision = 0
    for logged, bans in played(steps):
        revision = revision if logged is None else logged.revision
        quiet.setdefault(revision, []).append(bans)
    start = data.draw(st.integers(0, len(log)))
    marks = {0: b"00000000"} | {each.revision: each.mark for each in log}
    at = BookAt.of(b"i" * 16, start, marks[start], moments[start])
    while at.revision < len(log):
        until = data.draw(st.integers(at.revision + 1, len(log)))
        earlier = data.draw(st.integers(0, at.revision))
        surplus = data.draw(st.integers(until, len(log)))
        brought = at.brought_to(until, marks[until], log[max(0, earlier - 1) : surplus])
        assert brought is not None
        at = brought
        for bans in quiet[until]:
            decides_as(at.book, bans)
        for revision, mark in at.marks.items():
            assert at.covers(b"i" * 16, revision, mark)
            for bans in quiet.get(revision, ()):
                hides_at_least(at.book, bans)


def a_log(*revisions: int) -> list[Logged]:
    return [Logged(revision, b"%08d" % revision, {}) for revision in revisions]


@pytest.mark.parametrize(
    ("log", "first", "last"),
    [
        (a_log(3, 5), 3, 5),
        (a_log(3, 4), 3, 5),
        (a_log(4, 5), 3, 5),
        (a_log(3, 5, 4), 3, 5),
        (a_log(3, 4, 4, 5), 3, 5),
        ([], 3, 5),
        (a_log(2, 3), 0, 3),
        ([Logged(3, b"another.", {}), *a_log(4, 5)], 3, 5),
        ([*a_log(3, 4), Logged(5, b"another.", {})], 3, 5),
    ],
)
def test_a_log_with_a_gap_out_of_order_or_of_another_history_is_no_log(log, first, last):
    at = BookAt.of(b"i" * 16, first, b"%08d" % first, [])
    assert changes_between((first, b"%08d" % first), (last, b"%08d" % last), log) is None
    assert at.brought_to(last, b"%08d" % last, log) is None


def test_a_whole_log_is_one():
    assert changes_between((3, b"00000003"), (3, b"00000003"), []) == []
    assert [each.revision for each in changes_between((3, b"00000003"), (5, b"00000005"), a_log(2, 3, 4, 5, 6))] == [
        4,
        5,
    ]
    assert [each.revision for each in changes_between((0, b"00000000"), (2, b"00000002"), a_log(1, 2, 3))] == [1, 2]


def test_two_histories_that_count_alike_are_told_apart():
    at = BookAt.of(b"i" * 16, 7, b"ours....", [])
    assert at.covers(b"i" * 16, 7, b"ours....")
    assert not at.covers(b"i" * 16, 7, b"theirs..")
    assert not at.covers(b"x" * 16, 7, b"ours....")
    assert not at.covers(b"i" * 16, 6, b"ours....")


def test_a_book_that_lost_a_ban_no_longer_covers_what_was_before():
    ban = Ban(sequence=2, id="b", criteria=Criteria(all=True), state=BanState.HELD, created_at=NOW, due_at=NOW)
    log = [Logged(1, b"00000001", {"b": ban}), Logged(2, b"00000002", {"b": None})]
    at = BookAt.of(b"i" * 16, 0, b"00000000", [])
    gained = at.brought_to(1, b"00000001", log)
    assert gained is not None
    assert gained.covers(b"i" * 16, 0, b"00000000"), "it hides more, no less"
    both = BookAt.of(b"i" * 16, 0, b"00000000", []).brought_to(2, b"00000002", log)
    assert both is not None
    assert not both.covers(b"i" * 16, 1, b"00000001"), "it came and went at once"


def test_marks_are_kept_for_the_latest_moments_only():
    log = [Logged(revision, b"%08d" % revision, {}) for revision in range(1, 3 * books.MOST_MARKS)]
    at = BookAt.of(b"i" * 16, 0, b"00000000", []).brought_to(len(log), log[-1].mark, log)
    assert at is not None
    assert len(at.marks) == books.MOST_MARKS
    assert at.covers(b"i" * 16, len(log), log[-1].mark)


@pytest.mark.parametrize("criteria", CRITERIA)
def test_everything_a_ban_selects_has_a_name_that_it_is_filed_under(criteria):
    names = filed_under(criteria)
    for entry in ENTRIES:
        if criteria.matches(entry.header, entry.prompt, entry.tags) and names:
            assert set(names) & set(names_of(entry.header, entry.tags))


def test_names_of_different_kinds_are_different_names():
    digests = entry_digests(an_entry(model="doc:1", tags=("doc:1", "everything", "")))
    assert len({digests[at : at + 8] for at in range(0, len(digests), 8)}) == 6


def test_the_same_tag_a_hundred_thousand_times_is_filed_in_linear_time():
    ban = Ban(sequence=2, id="b", criteria=Criteria(tags=("t",)), state=BanState.HELD, created_at=NOW, due_at=NOW)
    book = Book(msgspec.structs.replace(ban, id=f"b{number}", sequence=number) for number in range(100_000))
    left = book.with_changes({f"b{number}": None for number in range(1, 100_000)})
    assert len(left) == 1
    assert verdict_of(book, an_entry(tags=("t",), sequence=99_998)) is Visibility.HIDDEN
    assert verdict_of(left, an_entry(tags=("t",), sequence=1)) is Visibility.FRESH
