from __future__ import annotations

import msgspec
import pytest

from core.bans import changes as bans
from core.bans.ban import TOMBSTONE_SECONDS, Ban, BanState
from core.bans.criteria import Criteria
from core.bans.record import InvalidationRecord, Visibility, visibility
from core.errors import InvalidationNotFound, InvalidationRefused
from core.keys.names import readable_key
from tests.samples import NOW, a_record, an_entry, digest_of

KEY = readable_key(0, digest_of("k"))


def append(
    record: InvalidationRecord, ban_id: str, criteria: Criteria, *, now: float = NOW, **how
) -> tuple[InvalidationRecord, Ban]:
    return bans.appended(record, bans.new_ban(ban_id, criteria, now=now, **({"hold_seconds": 60} | how)))


def test_a_hard_ban_hides_what_a_soft_one_marks():
    record, _ = append(a_record(), "soft", Criteria(all=True), soft=True)
    assert visibility(an_entry(), record) is Visibility.STALE
    record, _ = append(record, "hard", Criteria(all=True))
    assert visibility(an_entry(), record) is Visibility.HIDDEN


def test_sequences_grow_with_the_clock_and_without_it():
    record, first = append(a_record(), "a", Criteria(all=True))
    record, second = append(record, "b", Criteria(all=True), now=NOW - 1000)
    assert first.sequence == int(NOW * 1e6)
    assert second.sequence == record.sequence == first.sequence + 1
    assert (record.revision, record.active) == (2, 2)


def test_the_listed_ban_past_the_limit_is_refused_with_the_way_out():
    record = a_record()
    for number in range(bans.MOST_LISTED):
        record, _ = append(record, str(number), Criteria(pattern=f"*{number}*", model="m"))
    with pytest.raises(InvalidationRefused, match="tag, key or model"):
        append(record, "one more", Criteria(keywords=("refund",)))
    record, _ = append(record, "a tag", Criteria(tags=("t",)))
    record, _ = append(record, "a tag and a word", Criteria(tags=("t",), keywords=("refund",)))
    assert (record.active, record.listed) == (bans.MOST_LISTED + 2, bans.MOST_LISTED)


def test_a_bucket_that_nobody_sweeps_takes_no_more_bans():
    with pytest.raises(InvalidationRefused, match="workers"):
        append(a_record(active=bans.MOST_ACTIVE), "b", Criteria(tags=("t",)))


def test_lifting_leaves_sequence_and_floor():
    record, ban = append(a_record(), "b", Criteria(pattern="*x*"))
    lifted = bans.applied(record, bans.lift([ban], "b"))
    assert (lifted.sequence, lifted.floor, lifted.active, lifted.listed) == (record.sequence, record.floor, 0, 0)
    assert lifted.revision == record.revision + 1
    assert visibility(an_entry(), lifted) is Visibility.FRESH


def test_a_record_from_before_a_ban_was_lifted_goes_on_hiding():
    record, ban = append(a_record(), "b", Criteria(all=True))
    bans.applied(record, bans.lift([ban], "b"))
    assert visibility(an_entry(), record) is Visibility.HIDDEN


def test_there_is_no_undo_once_the_sweep_has_begun():
    _, ban = append(a_record(), "b", Criteria(all=True), hold_seconds=0)
    [(_, swept)] = bans.begin_sweep([ban]).bans
    assert swept is not None
    assert swept.state is BanState.SWEEPING
    with pytest.raises(InvalidationRefused, match="sweep has begun"):
        bans.lift([swept], "b")
    with pytest.raises(InvalidationNotFound, match="another"):
        bans.lift([], "another")
    removed = bans.new_ban("k", Criteria(key=KEY), now=NOW, hold_seconds=0, removed=True)
    with pytest.raises(InvalidationRefused, match="deleted at once"):
        bans.lift([removed], "k")


def test_nobody_who_looks_up_needs_to_know_of_what_changes_no_decision():
    _, hard = append(a_record(), "hard", Criteria(all=True))
    _, soft = append(a_record(), "soft", Criteria(all=True), soft=True)
    assert bans.begin_sweep([hard]).is_quiet
    assert bans.expire_holds([hard, soft], NOW).is_quiet
    assert not bans.begin_sweep([hard, soft]).is_quiet, "a soft one hides from now on"
    assert not bans.lift([hard], "hard").is_quiet
    assert not bans.retire([hard]).is_quiet


def test_a_soft_ban_that_is_swept_hides():
    record, soft = append(a_record(), "soft", Criteria(all=True), soft=True)
    swept = bans.applied(record, bans.begin_sweep([soft]))
    assert visibility(an_entry(), swept) is Visibility.HIDDEN
    assert (swept.active, swept.revision) == (1, 2)


def test_a_ban_ends_with_its_hold_and_a_tombstone_when_it_has_stayed():
    held = bans.new_ban("b", Criteria(all=True), now=NOW, hold_seconds=60)
    assert held.ends_at == NOW + 60
    [(_, ended)] = bans.expire_holds([held], NOW + 5 + bans.APART_SECONDS).bans
    assert ended is not None
    assert ended.ends_at == NOW + 5
    assert not bans.expire_holds([ended], NOW + 9).bans, "it is over already"
    removed = bans.new_ban("k", Criteria(key=KEY), now=NOW, hold_seconds=0, removed=True)
    assert removed.ends_at == NOW + TOMBSTONE_SECONDS


def test_retiring_raises_the_floor_past_the_newest_of_the_bans():
    record, first = append(a_record(), "a", Criteria(all=True))
    record, second = append(record, "b", Criteria(all=True))
    retired = bans.applied(record, bans.retire([second, first]))
    assert (retired.active, retired.floor) == (0, second.sequence)
    assert bans.applied(msgspec.structs.replace(retired, floor=10**17), bans.retire([])).floor == 10**17


def test_a_grant_for_copies_is_only_ever_extended():
    granted = bans.allow_copies(a_record(), 1.0, now=NOW, until=NOW + 600)
    shorter = bans.allow_copies(granted, 0.5, now=NOW, until=NOW + 300)
    assert (shorter.copies_seconds, shorter.copies_until) == (1.0, NOW + 600)
    assert bans.may_have_copies(granted, NOW + 600)
    assert not bans.may_have_copies(granted, NOW + 661)
