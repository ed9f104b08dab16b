"""What a change of bans is, as pure functions: bans as they were seen -> what becomes of them. A store carries it out.

Changes of different bans never conflict: a store compares the bans that a change is of, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import InvalidationNotFound, InvalidationRefused
from .ban import Ban, BanState
from .book import Book
from .criteria import Criteria
from .names import filed_under
from .record import CLOCKS_SECONDS, InvalidationRecord, new_mark

MOST_LISTED = 64
"""Active bans of a bucket that every entry must be compared with."""
MOST_ACTIVE = 1_000_000
"""Active bans of a bucket. What bounds them otherwise is the worker that sweeps them."""
APART_SECONDS = 1.0
"""How far apart the readings of one Redis' clock may be in two processes: what a round trip takes, and to spare."""
MOST_CHANGED = 500
"""Bans that one change is of, at most: it is one step of the store, and all others wait for it."""


class Change(msgspec.Struct, frozen=True):
    """What becomes of bans: each as it was seen, with what it is from now on, None for gone.

    A store that saw a sequence below `floor` is refused from now on.
    """

    bans: Sequence[tuple[Ban, Ban | None]]
    floor: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether every ban goes on hiding, or marking, what it did: nobody who looks up entries needs to know."""
        return all(
            then is not None and (then.state is BanState.SOFT) is (seen.state is BanState.SOFT)
            for seen, then in self.bans
        )


def new_ban(
    ban_id: str,
    criteria: Criteria,
    *,
    now: float,
    hold_seconds: float,
    soft: bool = False,
    removed: bool = False,
    actor: str = "",
) -> Ban:
    """A ban that is to be appended. `removed` says that the one entry a key ban names is deleted in the same step."""
    state = BanState.SOFT if soft else BanState.TOMBSTONE if removed else BanState.HELD
    return Ban(id=ban_id, criteria=criteria, state=state, created_at=now, due_at=now + hold_seconds, actor=actor)


def is_listed(criteria: Criteria) -> bool:
    """Whether every entry must be compared with such a ban, so that there may be MOST_LISTED of them only."""
    return not filed_under(criteria)


def lift(found: Sequence[Ban], ban_id: str) -> Change:
    """Takes away a ban that nothing has been deleted for yet.

    Raises InvalidationNotFound, or InvalidationRefused when the sweep has begun or the entry is gone.
    """
    if not found:
        raise InvalidationNotFound(f"no active invalidation has the id {ban_id}")
    for ban in found:
        if ban.state is BanState.SWEEPING:
            raise InvalidationRefused("the sweep has begun: answers are being deleted and cannot be brought back")
        if ban.state is BanState.TOMBSTONE:
            raise InvalidationRefused("the answer was deleted at once and cannot be brought back")
    return Change([(ban, None) for ban in found])


def take_place(found: Sequence[Ban], earlier_id: str, later_id: str) -> Change:
    """Takes away a ban that nothing has been deleted for yet, if a later one does all that it did; else nothing.

    Both are compared by the store, so that the later one is still in force at that very moment.
    """
    by_id = {ban.id: ban for ban in found}
    earlier, later = by_id.get(earlier_id), by_id.get(later_id)
    if earlier is None or later is None or not _does_all_of(later, earlier):
        return Change([])
    return Change([(earlier, None), (later, later)])


def _does_all_of(later: Ban, earlier: Ban) -> bool:
    """Whether a later ban hides, or marks, all that an earlier one does."""
    if later.sequence <= earlier.sequence or later.state is not earlier.state:
        return False
    if later.state not in (BanState.HELD, BanState.SOFT):
        return False
    before, now = earlier.criteria.created_before, later.criteria.created_before
    is_as_old = now is None or (before is not None and before <= now)
    return is_as_old and _but_age(earlier.criteria) == _but_age(later.criteria)


def _but_age(criteria: Criteria) -> dict[str, Any]:
    return {name: value for name, value in criteria.to_dict().items() if name != "created_before"}


def begin_sweep(found: Sequence[Ban]) -> Change:
    """Marks bans as being swept: from here on they hide, and there is no undo."""
    return Change(
        [
            (ban, msgspec.structs.replace(ban, state=BanState.SWEEPING))
            for ban in found
            if ban.state in (BanState.HELD, BanState.SOFT)
        ]
    )


def expire_holds(found: Sequence[Ban], now: float) -> Change:
    """Ends holds now ("sweep now"): a worker that reads its clock next finds them due."""
    due_at = now - APART_SECONDS
    return Change([(ban, msgspec.structs.replace(ban, due_at=due_at)) for ban in found if ban.due_at > due_at])


def retire(found: Sequence[Ban]) -> Change:
    """Takes away bans and raises the floor past them. Only after a full pass that began after their holds."""
    return Change([(ban, None) for ban in found], floor=max((ban.sequence for ban in found), default=0))


# The record after a change: what a store's script does, for a store without scripts.


def appended(record: InvalidationRecord, ban: Ban) -> tuple[InvalidationRecord, Ban]:
    """The record with one more ban, and the ban with its sequence. Raises InvalidationRefused when there are too many.

    The Book that the record refers to gains the ban.
    """
    listed = is_listed(ban.criteria)
    require_room(record, listed=listed)
    ban = msgspec.structs.replace(ban, sequence=next_sequence(record, ban.created_at))
    return _moved(record, {ban.id: ban}, sequence=ban.sequence, active=1, listed=int(listed)), ban


def next_sequence(record: InvalidationRecord, now: float) -> int:
    """The sequence that a ban gets which is appended to this record at a time (Unix seconds)."""
    return max(record.sequence + 1, int(now * 1e6))


def require_room(record: InvalidationRecord, *, listed: bool) -> None:
    """Raises InvalidationRefused when a bucket can take no further ban of this kind."""
    if listed and record.listed >= MOST_LISTED:
        raise InvalidationRefused(
            f"{MOST_LISTED} invalidations by pattern, keywords or age are active in this namespace; sweep the due ones "
            "now, undo one, or invalidate by tag, key or model alone"
        )
    if record.active >= MOST_ACTIVE:
        raise InvalidationRefused(
            f"{MOST_ACTIVE:,} invalidations are active in this namespace; check that workers sweep them"
        )


def applied(record: InvalidationRecord, change: Change) -> InvalidationRecord:
    """The record after a change of bans."""
    record = msgspec.structs.replace(record, floor=max(record.floor, change.floor))
    if change.is_quiet:
        return record
    gone = [seen for seen, then in change.bans if then is None]
    listed = sum(is_listed(ban.criteria) for ban in gone)
    return _moved(record, {seen.id: then for seen, then in change.bans}, active=-len(gone), listed=-listed)


def _moved(
    record: InvalidationRecord, bans: dict[str, Ban | None], *, active: int, listed: int, sequence: int = 0
) -> InvalidationRecord:
    return msgspec.structs.replace(
        record,
        sequence=max(record.sequence, sequence),
        revision=record.revision + 1,
        mark=new_mark(),
        active=record.active + active,
        listed=record.listed + listed,
        book=(Book() if record.book is None else record.book).with_changes(bans),
    )


# The grant for copies


def allow_copies(record: InvalidationRecord, seconds: float, *, now: float, until: float) -> InvalidationRecord:
    """The record with a grant: processes may serve copies for `seconds` after they read the record, until `until`.

    A grant in force is only ever extended, because processes that have seen it act on it. `now` and `until` are Unix
    seconds.
    """
    if may_have_copies(record, now):
        seconds, until = max(seconds, record.copies_seconds), max(until, record.copies_until)
    return msgspec.structs.replace(record, copies_seconds=seconds, copies_until=until)


def may_have_copies(record: InvalidationRecord, now: float) -> bool:
    """Whether some process, by its own clock, may still serve copies by the grant of this record or an earlier one."""
    return bool(record.copies_seconds) and now < record.copies_until + CLOCKS_SECONDS
