from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.bans import record as bans
from core.bans.criteria import Criteria
from core.bans.record import Ban, BanState, InvalidationRecord, Visibility, visibility
from core.errors import DecodeError, InvalidationNotFound, InvalidationRefused, InvalidInput
from core.keys.names import readable_key
from tests.samples import NOW, a_record, an_entry, digest_of

KEY = readable_key(0, digest_of("k"))


def matches(criteria: Criteria, **fields) -> bool:
    entry = an_entry(**fields)
    return criteria.matches(entry.header, entry.prompt, entry.tags)


@pytest.mark.parametrize(
    ("criteria", "fields", "expected"),
    [
        (Criteria(model="gpt-4o"), {"model": "gpt-4o"}, True),
        (Criteria(model="gpt-4o"), {"model": "gpt-4o-mini"}, False),
        (Criteria(model="gpt-4o"), {"model": "GPT-4o"}, False),
        (Criteria(pattern="*refund*"), {"prompt": "How do I get a refund?"}, True),
        (Criteria(pattern="*refund*"), {"prompt": "How do I get a\nrefund\n?"}, True),
        (Criteria(pattern="refund"), {"prompt": "a refund"}, False),
        (Criteria(pattern="*Refund*"), {"prompt": "a refund"}, False),
        (Criteria(pattern="caf? [ab]*"), {"prompt": "cafe\u0301 a"}, True),
        (Criteria(pattern=readable_key(0, digest_of("k"))[:12] + "*"), {"digest": digest_of("k")}, True),
        (Criteria(created_before=NOW), {"created_at": NOW - 1}, True),
        (Criteria(created_before=NOW), {"created_at": NOW}, False),
        (Criteria(keywords=("REFUND",)), {"prompt": "my refund"}, True),
        (Criteria(keywords=("straße",)), {"prompt": "Die STRASSE"}, True),
        (Criteria(keywords=("refund", "card")), {"prompt": "my card"}, True),
        (Criteria(keywords=("refund", "card"), keyword_mode="all"), {"prompt": "my card"}, False),
        (Criteria(keywords=("re*nd",)), {"prompt": "refund"}, False),
        (Criteria(tags=("doc:1",)), {"tags": ("doc:1", "doc:2")}, True),
        (Criteria(tags=("doc:1",)), {"tags": ("doc:12",)}, False),
        (Criteria(key=KEY), {"digest": digest_of("k")}, True),
        (Criteria(key=KEY), {"digest": digest_of("n"), "target": digest_of("k")}, True),
        (Criteria(key=KEY), {"digest": digest_of("x")}, False),
        (Criteria(all=True), {}, True),
        (Criteria(model="gpt-4o", keywords=("refund",)), {"prompt": "refund", "model": "o1"}, False),
    ],
)
def test_criteria_select(criteria, fields, expected):
    assert matches(criteria, **fields) is expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "criteria"),
        ({"all": True, "model": "m"}, "all"),
        ({"model": " "}, "model"),
        ({"pattern": ""}, "pattern"),
        ({"pattern": "*"}, "pattern"),
        ({"pattern": "**?"}, "pattern"),
        ({"pattern": "a" * 257}, "pattern"),
        ({"pattern": "*a" * 17}, "pattern"),
        ({"created_before": -1}, "created_before"),
        ({"created_before": float("nan")}, "created_before"),
        ({"created_before": True}, "created_before"),
        ({"keywords": ("a",)}, "keywords"),
        ({"keywords": "refund"}, "keywords"),
        ({"keywords": ("x" * 257,)}, "keywords"),
        ({"tags": ("",)}, "tags"),
        ({"key": "not-a-key"}, "key"),
        ({"model": "m", "namespace": "a:b"}, "namespace"),
        ({"model": "lone \udc80"}, "model"),
        ({"pattern": "lone \udc80"}, "pattern"),
        ({"keywords": ("good", "lone \udc80")}, "keywords"),
        ({"tags": ("lone \udc80",)}, "tags"),
    ],
)
def test_criteria_that_cannot_be_name_the_field(fields, named):
    with pytest.raises(InvalidInput) as raised:
        Criteria(**fields)
    assert raised.value.field == named


def test_criteria_come_back_from_plain_json():
    criteria = Criteria(namespace="n", model="m", keywords=("aa", "bb"), keyword_mode="all", created_before=NOW)
    assert Criteria.from_dict(criteria.to_dict()) == criteria


@pytest.mark.parametrize("plain", [{"modle": "m"}, {"model": 3}, {"all": True, "model": "m"}, [], None])
def test_plain_json_that_is_no_criteria_is_refused(plain):
    with pytest.raises(InvalidInput):
        Criteria.from_dict(plain)


@given(st.text("ab*?[]!-\n", min_size=1, max_size=8), st.text("ab]-\n", max_size=8))
def test_a_pattern_matches_what_a_shell_would(pattern, prompt):
    assume(pattern.strip("*?"))
    assume(not re.match("[0-9a-f]{1,3}-", pattern))  # the bucket of a readable key
    matched = fnmatch.fnmatchcase(prompt, pattern) or fnmatch.fnmatchcase(digest_of("d").hex(), pattern)
    assert matches(Criteria(pattern=pattern), prompt=prompt, digest=digest_of("d")) is matched


def test_a_pattern_may_name_a_key_without_its_bucket():
    digest = digest_of("d").hex()
    for pattern in (f"{digest[:6]}*", f"*{digest[-6:]}", f"3-{digest[:6]}*", f"[{digest[0]}]*", f"?{digest[1:]}"):
        assert matches(Criteria(pattern=pattern), digest=digest_of("d"))
    assert not matches(Criteria(pattern="0-*z"), digest=digest_of("d"))


def test_a_pattern_of_many_stars_takes_linear_time():
    criteria = Criteria(pattern="*a" * 8 + "b")
    started = time.process_time()
    assert not matches(criteria, prompt="a" * 100_000)
    assert time.process_time() - started < 5, "an exponential matcher would not come back at all"


def banned(criteria: Criteria, *, sequence: int = 5, state: BanState = BanState.HELD) -> InvalidationRecord:
    ban = Ban(sequence=sequence, id="b", criteria=criteria, state=state, created_at=NOW, due_at=NOW)
    return a_record(sequence=sequence, bans=(ban,))


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
    ],
)
def test_what_a_record_says_of_an_entry(fields, record, expected):
    assert visibility(an_entry(**fields), record) is expected


def test_a_hard_ban_hides_what_a_soft_one_marks():
    record = bans.append(a_record(), "soft", Criteria(all=True), now=NOW, hold_seconds=60, soft=True)
    record = bans.append(record, "hard", Criteria(all=True), now=NOW, hold_seconds=60)
    assert visibility(an_entry(), record) is Visibility.HIDDEN


def test_a_late_store_is_refused_by_ban_floor_and_incarnation():
    entry = an_entry()
    assert bans.may_store(entry, banned(Criteria(model="other")))
    assert not bans.may_store(entry, banned(Criteria(model="gpt-4o")))
    assert not bans.may_store(entry, banned(Criteria(model="gpt-4o"), state=BanState.SOFT))
    assert not bans.may_store(entry, a_record(sequence=9, floor=2))
    assert not bans.may_store(entry, a_record(incarnation=b"x" * 16))


def test_an_invalidation_repeated_with_its_id_changes_nothing():
    once = bans.append(a_record(), "b", Criteria(all=True), now=NOW, hold_seconds=60)
    assert bans.append(once, "b", Criteria(all=True), now=NOW + 5, hold_seconds=60) is once


def test_sequences_grow_with_the_clock_and_without_it():
    first = bans.append(a_record(), "a", Criteria(all=True), now=NOW, hold_seconds=0)
    second = bans.append(first, "b", Criteria(all=True), now=NOW - 1000, hold_seconds=0)
    assert first.sequence == int(NOW * 1e6)
    assert second.sequence == first.sequence + 1


def test_the_ban_past_the_limit_is_refused_with_the_way_out():
    record = a_record()
    for number in range(bans.MAX_ACTIVE_BANS):
        record = bans.append(record, str(number), Criteria(model="m"), now=NOW, hold_seconds=60)
    with pytest.raises(InvalidationRefused, match="sweep"):
        bans.append(record, "one more", Criteria(model="m"), now=NOW, hold_seconds=60)


def test_a_key_ban_that_is_pushed_out_raises_the_floor():
    record = bans.append(a_record(), "key", Criteria(key=KEY), now=NOW, hold_seconds=0, removed=True)
    pushed_out = record.sequence
    for number in range(bans.MAX_ACTIVE_BANS):
        record = bans.append(record, str(number), Criteria(model="m"), now=NOW, hold_seconds=60)
    assert record.find("key") is None
    assert record.floor == pushed_out
    assert not bans.may_store(an_entry("k"), record)


def test_lifting_leaves_sequence_and_floor():
    record = bans.append(a_record(), "b", Criteria(all=True), now=NOW, hold_seconds=60)
    lifted = bans.lift(record, "b")
    assert (lifted.sequence, lifted.floor, lifted.bans) == (record.sequence, record.floor, ())
    assert visibility(an_entry(), lifted) is Visibility.FRESH


def test_there_is_no_undo_once_the_sweep_has_begun():
    record = bans.append(a_record(), "b", Criteria(all=True), now=NOW, hold_seconds=0)
    with pytest.raises(InvalidationRefused, match="sweep has begun"):
        bans.lift(bans.begin_sweep(record, ["b"]), "b")
    with pytest.raises(InvalidationNotFound):
        bans.lift(record, "another")


def test_a_ban_is_due_when_its_hold_is_over_or_its_sweep_died():
    record = bans.append(a_record(), "b", Criteria(all=True), now=NOW, hold_seconds=60)
    assert bans.due(record, NOW + 59) == ()
    assert [ban.id for ban in bans.due(record, NOW + 60)] == ["b"]
    assert [ban.id for ban in bans.due(bans.expire_holds(record, ["b"], NOW), NOW)] == ["b"]
    assert [ban.id for ban in bans.due(bans.begin_sweep(record, ["b"]), NOW)] == ["b"]


def test_retiring_raises_the_floor_past_the_ban():
    record = bans.append(a_record(), "b", Criteria(all=True), now=NOW, hold_seconds=60)
    retired = bans.retire(record, ["b"])
    assert retired.bans == ()
    assert retired.floor == record.sequence
    assert not bans.may_store(an_entry(), retired)


@given(
    sequence=st.integers(0, 10**19),
    floor=st.integers(0, 10**19),
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=3, max_size=9), min_size=1, max_size=4),
    state=st.sampled_from(BanState),
)
def test_a_record_comes_back_as_it_was(sequence, floor, words, state):
    criteria = Criteria(tags=tuple(words)) if all(word.strip() for word in words) else Criteria(all=True)
    ban = Ban(sequence=sequence, id="b", criteria=criteria, state=state, created_at=NOW, due_at=NOW)
    record = a_record(sequence=sequence, floor=floor, bans=(ban,))
    assert bans.decode_record(bans.encode_record(record)) == record


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused(value):
    with pytest.raises(DecodeError):
        bans.decode_record(value)


def test_a_cut_record_is_refused():
    value = bans.encode_record(banned(Criteria(all=True)))
    for end in range(len(value)):
        with pytest.raises(DecodeError):
            bans.decode_record(value[:end])
