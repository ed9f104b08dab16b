from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bans import record as bans
from core.bans.ban import Ban, BanState
from core.bans.book import Book, Visibility
from core.bans.changes import appended, applied, retire
from core.bans.criteria import Criteria
from core.bans.names import names_of
from core.bans.record import InvalidationRecord, visibility
from core.errors import DecodeError
from core.keys import readable_key
from tests.samples import NOW, a_record, an_entry


def banned(criteria: Criteria, *, sequence: int = 5, state: BanState = BanState.HELD) -> InvalidationRecord:
    ban = Ban(sequence=sequence, id="b", criteria=criteria, state=state, created_at=NOW, due_at=NOW)
    return a_record(sequence=sequence, active=1, book=Book([ban]))


@pytest.mark.parametrize(
    ("fields", "record", "expected"),
    [
        ({}, a_record(), Visibility.FRESH),
        ({"incarnation": b"x" * 16}, a_record(), Visibility.FOREIGN),
        ({"sequence": 2}, a_record(), Visibility.FOREIGN),
        ({}, banned(Criteria(all=True)), Visibility.HIDDEN),
        ({"sequence": 4}, banned(Criteria(all=True)), Visibility.HIDDEN),
        ({"sequence": 5}, banned(Criteria(all=True)), Visibility.FRESH),
        ({}, banned(Criteria(model="other")), Visibility.FRESH),
        ({}, banned(Criteria(all=True), state=BanState.SOFT), Visibility.STALE),
        ({}, banned(Criteria(all=True), state=BanState.SWEEPING), Visibility.HIDDEN),
        ({}, banned(Criteria(all=True), state=BanState.TOMBSTONE), Visibility.HIDDEN),
        ({}, a_record(active=1), Visibility.UNKNOWN),
    ],
)
def test_what_a_record_says_of_an_entry(fields, record, expected):
    assert visibility(an_entry(**fields), record) is expected


def test_a_late_store_is_refused_by_ban_floor_and_incarnation():
    entry = an_entry()
    assert bans.may_store(entry, banned(Criteria(model="other")))
    assert not bans.may_store(entry, banned(Criteria(model="gpt-4o")))
    assert not bans.may_store(entry, banned(Criteria(model="gpt-4o"), state=BanState.SOFT))
    assert not bans.may_store(entry, a_record(sequence=9, floor=2))
    assert not bans.may_store(entry, a_record(incarnation=b"x" * 16))


def test_nothing_is_stored_by_a_record_whose_bans_are_not_here():
    assert not bans.may_store(an_entry(), a_record(active=1))
    assert not a_record(active=1).is_complete
    assert a_record().is_complete


def test_a_retired_ban_refuses_by_the_floor():
    ban = Ban(id="b", criteria=Criteria(all=True), state=BanState.HELD, created_at=NOW, due_at=NOW)
    record, ban = appended(a_record(), ban)
    retired = applied(record, retire([ban]))
    assert (retired.active, retired.floor) == (0, record.sequence)
    assert not bans.may_store(an_entry(), retired)


NAMES = names_of(an_entry().header, ("doc:1",))


@pytest.mark.parametrize(
    ("record", "latest"),
    [
        (a_record(sequence=9), 0),
        (a_record(sequence=9, floor=7), 7),
        (banned(Criteria(tags=("doc:1",))), 5),
        (banned(Criteria(model="gpt-4o")), 5),
        (banned(Criteria(all=True), state=BanState.SOFT), 5),
        (banned(Criteria(key=readable_key(0, an_entry().header.digest))), 5),
        (banned(Criteria(tags=("doc:1",), keywords=("xy",))), 5),
        (banned(Criteria(keywords=("xy",))), 5),
        (banned(Criteria(tags=("doc:2",))), 0),
        (banned(Criteria(model="other")), 0),
        (a_record(sequence=9, active=1), 9),
    ],
)
def test_the_latest_invalidation_that_may_be_of_an_answer_is_told_by_its_names(record, latest):
    assert bans.latest_of(NAMES, record) == latest


def test_of_several_the_latest_is_told_though_others_were_filed_behind_it():
    criteria = Criteria(tags=("doc:1",))
    states = [(7, BanState.SOFT), (9, BanState.HELD), (8, BanState.HELD)]
    book = Book(
        Ban(sequence=number, id=f"{number}", criteria=criteria, state=state, created_at=NOW, due_at=NOW)
        for number, state in states
    )
    assert bans.latest_of(NAMES, a_record(sequence=9, active=3, book=book)) == 9
    assert bans.latest_of(NAMES, a_record(sequence=9, floor=12, active=3, book=book)) == 12


def test_another_callers_answer_is_given_only_to_those_whose_invalidations_are_not_of_it():
    assert bans.may_share(an_entry(), a_record())
    assert bans.may_share(an_entry(sequence=5), banned(Criteria(all=True))), "it was begun after that"
    assert bans.may_share(an_entry(sequence=8), banned(Criteria(all=True))), "the leader looked later"
    assert bans.may_share(an_entry(), banned(Criteria(model="other")))
    assert not bans.may_share(an_entry(), banned(Criteria(model="gpt-4o")))
    assert not bans.may_share(an_entry(), banned(Criteria(model="gpt-4o"), state=BanState.SOFT))
    assert not bans.may_share(an_entry(incarnation=b"x" * 16, sequence=8), a_record())
    assert not bans.may_share(an_entry(sequence=0), a_record(sequence=4, active=1)), "its bans are not here"


@given(
    sequence=st.integers(0, 10**19),
    floor=st.integers(0, 10**19),
    revision=st.integers(0, 10**15),
    active=st.integers(0, 10**6),
    listed=st.integers(0, 64),
    copies=st.sampled_from([(0.0, 0.0), (0.5, NOW)]),
)
def test_a_record_comes_back_as_it_was(sequence, floor, revision, active, listed, copies):
    record = a_record(
        sequence=sequence,
        floor=floor,
        revision=revision,
        mark=bans.new_mark(),
        active=active,
        listed=listed,
        copies_seconds=copies[0],
        copies_until=copies[1],
    )
    assert bans.decode_record(bans.encode_record(record)) == record


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused(value):
    with pytest.raises(DecodeError):
        bans.decode_record(value)


def test_a_cut_record_is_refused():
    value = bans.encode_record(a_record(active=5, listed=2))
    for end in range(len(value) - 1):
        with pytest.raises(DecodeError):
            bans.decode_record(value[:end])
