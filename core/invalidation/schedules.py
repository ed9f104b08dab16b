"""Scheduled invalidations: criteria with a relative age, applied by a rhythm. Kept, edited, and run when they are due.

Several processes may look at the same time: a lock and one request id per run see to it that each runs once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Unpack

import msgspec
import redis

from ..access import Acting, Action, Actor, AuditTrail, Role
from ..bans import Criteria
from ..errors import AccessDenied, InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import EVERYWHERE, names
from ..stores.redis import lock, shared_hash
from ..text import many
from . import rights
from .definition import Definition, ScheduleFields, next_run
from .everywhere import Reach, check_everywhere
from .invalidator import CacheInvalidator
from .rights import scheduling
from .telling import Invalidation, InvalidationState

MAX_SCHEDULES = 100
LOCK_MS = 30_000

_LOCK = names.SCHEDULES + b":lock"


class Schedule(Definition, frozen=True, kw_only=True):
    """One scheduled invalidation. Times are Unix seconds.

    `actor` has said what it hides: runs are in that name. `unbounded`: an admin answers for it, so that a run may hide
    any share; else each run is refused that hides more than an operator may. `rhythm_since` is when its rhythm was
    changed. `last` says what the latest run came to. `last_applied` is the invalidation of the latest run that was
    applied, and `taken_since` when the first of the runs was whose place that has taken.
    """

    id: str
    namespace: str
    enabled: bool = True
    unbounded: bool = False
    actor: str
    created_at: float
    resumed_at: float | None = None
    rhythm_since: float | None = None
    last_run_at: float | None = None
    last: str = ""
    last_applied: str = ""
    taken_since: float | None = None

    @property
    def definition(self) -> Definition:
        """What was said of it."""
        return Definition(**{name: getattr(self, name) for name in Definition.__struct_fields__})

    def criteria_at(self, now: float) -> Criteria:
        """The criteria of a run at `now` (Unix seconds). Raises InvalidInput."""
        fields = {**self.criteria, "namespace": self.namespace}
        if self.older_than_seconds is not None:
            fields["created_before"] = now - self.older_than_seconds
        return Criteria.from_dict(fields)

    @property
    def next_run_at(self) -> float:
        """When it is due next, Unix seconds: a missed run is due at once, and only once."""
        moments = (self.last_run_at, self.resumed_at, self.rhythm_since)
        since = max((moment for moment in moments if moment is not None), default=self.created_at)
        return next_run(since, self.every_seconds, self.daily_at, self.weekdays)

    @property
    def starting(self) -> Action:
        """The least action, and so role, that running this schedule takes, whatever it would hide now."""
        if self.namespace == EVERYWHERE:
            return Action.EVERYWHERE
        return Action.SCHEDULE_ALL if self.criteria.get("all") else Action.SCHEDULE

    @property
    def why(self) -> str:
        """The reason of its runs: its own, or that it is this schedule."""
        return self.reason or f"schedule {self.name or self.id}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, with what it selects, when it runs and how long a run can be undone."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        told = {"what": self.what, "rhythm": self.rhythm, "next_run_at": self.next_run_at}
        return plain | told | {"weekdays": list(self.weekdays), "effective_hold_seconds": self.hold}


class Schedules:
    """The scheduled invalidations of all namespaces, kept on the cache's Redis and audited."""

    def __init__(
        self, client: redis.Redis, invalidation: CacheInvalidator, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._hash = shared_hash(client, names.SCHEDULES)
        self._invalidation = invalidation
        self._clock = clock

    def all(self) -> list[Schedule]:
        """All schedules, the next one due first. Raises StoreUnavailable."""
        found = [schedule for value in self._hash.all().values() if (schedule := _decode(value))]
        return sorted(found, key=lambda schedule: (not schedule.enabled, schedule.next_run_at))

    def get(self, schedule_id: str) -> Schedule:
        """The schedule with an id. Raises InvalidationNotFound, StoreUnavailable."""
        return self._known(schedule_id)[1]

    def _known(self, schedule_id: str) -> tuple[bytes, Schedule]:
        """The schedule with an id, as it is stored and as it is. Raises InvalidationNotFound, StoreUnavailable."""
        value = self._hash.get(schedule_id)
        schedule = _decode(value)
        if schedule is None:
            raise InvalidationNotFound(f"no schedule has the id {schedule_id[:40]}")
        return value, schedule

    def add(self, *, namespace: str, actor: Acting, **given: Unpack[ScheduleFields]) -> Schedule:
        """Adds a schedule, enabled. Raises InvalidInput, which names the field.

        Raises AccessDenied for one that would hide more now than the actor may; its runs are checked in the same way.

        No two have the same name: repeated after an unknown outcome, it is refused rather than there twice.
        """
        trail = self._invalidation.audit.by(actor)
        by = trail.require(Action.SCHEDULE)
        definition = Definition(**given).checked()
        known = self.all()
        if len(known) >= MAX_SCHEDULES:
            raise InvalidInput("schedules", f"there are {MAX_SCHEDULES} already: remove one first")
        _require_free(definition.name, known)
        now = self._clock()
        schedule = Schedule(
            **msgspec.structs.asdict(definition),
            id=secrets.token_hex(4),
            namespace=namespace,
            unbounded=trail.may(Action.SCHEDULE_ALL),
            actor=by,
            created_at=now,
        )
        self._require(trail, schedule, now)
        self._write(schedule.id, b"", schedule)
        self._record(trail, "schedule.created", schedule)
        return schedule

    def edit(
        self, schedule_id: str, *, actor: Acting, seen: Schedule | None = None, **changes: Unpack[ScheduleFields]
    ) -> Schedule:
        """Changes what was said of a schedule; it keeps its id, its namespace and what is not given.

        A new interval, or time of day, takes the place of the other, and counts from now: no run is made up for.
        Whoever changes what it hides answers for its runs. Raises InvalidationNotFound; InvalidInput, which names the
        field; AccessDenied, as `add`. `seen` is the schedule as it was shown: InvalidationRefused when it is another
        by now.
        """
        trail = self._invalidation.audit.by(actor)
        by = trail.require(Action.SCHEDULE)
        if changes.get("every_seconds") is not None and changes.get("daily_at") is None:
            changes = {"daily_at": None, "weekdays": (), **changes}
        elif changes.get("daily_at") is not None and changes.get("every_seconds") is None:
            changes = {"every_seconds": None, **changes}
        while True:
            value, known = self._known(schedule_id)
            if seen is not None and seen.definition != known.definition:
                raise InvalidationRefused("it was changed after it was shown; look at it again first")
            wanted = msgspec.structs.replace(known.definition, **changes).checked()
            if wanted == known.definition:
                return known
            _require_free(wanted.name, [other for other in self.all() if other.id != known.id])
            now, is_admins = self._clock(), trail.may(Action.SCHEDULE_ALL)
            edited = msgspec.structs.replace(known, **msgspec.structs.asdict(wanted))
            if wanted.hides_as(known):
                edited = msgspec.structs.replace(edited, unbounded=known.unbounded or is_admins)
            else:
                edited = msgspec.structs.replace(edited, unbounded=is_admins, actor=by)
            if not wanted.runs_as(known):
                edited = msgspec.structs.replace(edited, rhythm_since=now)
            self._require(trail, edited, now)
            if self._write(schedule_id, value, edited):
                self._record(trail, "schedule.edited", edited, before=known)
                return edited

    def _require(self, trail: AuditTrail, schedule: Schedule, now: float) -> None:
        """Raises InvalidInput for what no run could select, AccessDenied for what hides more than the actor may."""
        criteria = schedule.criteria_at(now)
        if criteria.is_everywhere:
            check_everywhere(criteria, Reach())
        rights.require(trail, criteria, scheduling, self._invalidation.preview)

    def pause(self, schedule_id: str, *, actor: Acting) -> Schedule:
        """Pauses a schedule: it is kept and not run. Raises InvalidationNotFound, AccessDenied."""
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.SCHEDULE)
        paused = self._change(schedule_id, enabled=False)
        self._record(trail, "schedule.paused", paused)
        return paused

    def resume(self, schedule_id: str, *, actor: Acting) -> Schedule:
        """Resumes a schedule; runs missed meanwhile are not made up for. Of an admin: its runs may hide any share.

        Raises InvalidationNotFound, AccessDenied, InvalidInput.
        """
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.SCHEDULE)
        now = self._clock()
        schedule = self.get(schedule_id)
        rights.require(trail, schedule.criteria_at(now), scheduling, self._invalidation.preview)
        unbounded = schedule.unbounded or trail.may(Action.SCHEDULE_ALL)
        resumed = self._change(schedule_id, enabled=True, resumed_at=now, unbounded=unbounded)
        self._record(trail, "schedule.resumed", resumed)
        return resumed

    def remove(self, schedule_id: str, *, actor: Acting) -> None:
        """Removes a schedule; what it has invalidated stays invalidated. Raises InvalidationNotFound, AccessDenied."""
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.SCHEDULE)
        while True:
            value, schedule = self._known(schedule_id)
            if self._write(schedule_id, value, None):
                self._record(trail, "schedule.removed", schedule)
                return

    def run_now(self, schedule_id: str, *, actor: Acting, expected: Schedule | None = None) -> Invalidation:
        """Runs a schedule once, also when it is paused or not due. Raises what `CacheInvalidator.invalidate` raises.

        Like any run it takes the place of the one before, see `_apply`.

        `expected` is the schedule as it was shown: InvalidationRefused when it has run since.
        """
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.SCHEDULE)
        schedule = self.get(schedule_id)
        rights.require(trail, schedule.criteria_at(self._clock()), scheduling, self._invalidation.preview)
        if expected is not None and schedule.last_run_at != expected.last_run_at:
            raise InvalidationRefused("it has run since it was shown; look at the result first")
        return self._apply(schedule, trail, self._clock())

    def run_due(self) -> list[Invalidation]:
        """Runs each schedule that is due, once, even if several processes look at the same time.

        A refused run is noted in its schedule and does not keep the others from running.
        """
        now = self._clock()
        if not any(schedule.enabled and schedule.next_run_at <= now for schedule in self.all()):
            return []
        with lock(self._client, _LOCK, LOCK_MS) as is_held:
            # Looked at again under the lock: another process may just have run it.
            return [
                done
                for schedule in (self.all() if is_held else ())
                if schedule.enabled and schedule.next_run_at <= now and (done := self._run(schedule, now))
            ]

    def _run(self, schedule: Schedule, now: float) -> Invalidation | None:
        """One run. Its request id names its due time: should this process die before noting it, nothing doubles.

        A store that does not answer or takes no writes is raised: it is tried again until it does.
        """
        trail = self._invalidation.audit.by(_runner(schedule), source="schedule")
        try:
            return self._apply(schedule, trail, now, request_id=f"schedule-{schedule.id}-{int(schedule.next_run_at)}")
        except (InvalidInput, InvalidationRefused, AccessDenied) as error:
            self._change(schedule.id, last_run_at=now, last=f"not applied: {error}")
            return None

    def _apply(self, schedule: Schedule, trail: AuditTrail, now: float, request_id: str | None = None) -> Invalidation:
        """One run, and what it came to. Once it is in force it takes the place of the run before that can be undone.

        So the invalidations of a schedule do not pile up, and undoing the latest brings all back that they hid. One
        that has taken places for as long as a hold is left to its sweep, or nothing would ever be deleted.
        """
        done = self._invalidation.invalidate(
            schedule.criteria_at(now),
            actor=trail,
            soft=schedule.soft,
            hold_seconds=schedule.hold,
            reason=schedule.why,
            request_id=request_id,
        )
        before = schedule.last_applied or schedule.last.partition("applied: ")[2]  # as kept before
        since = schedule.taken_since or schedule.last_run_at or now
        is_held = bool(before) and (schedule.soft or now < since + schedule.hold)
        if before != done.id and not (is_held and self._invalidation.take_place(before, done, actor=trail)):
            since = now
        self._change(schedule.id, last_run_at=now, last=_outcome(done), last_applied=done.id, taken_since=since)
        return done

    def _change(self, schedule_id: str, **fields: Any) -> Schedule:
        while True:
            value, schedule = self._known(schedule_id)
            changed = msgspec.structs.replace(schedule, **fields)
            if self._write(schedule_id, value, changed):
                return changed

    def _write(self, schedule_id: str, before: bytes, after: Schedule | None) -> bool:
        return self._hash.swap(schedule_id, before, msgspec.json.encode(after) if after else b"")

    def _record(self, trail: AuditTrail, action: str, schedule: Schedule, *, before: Schedule | None = None) -> None:
        details: dict[str, Any] = {
            "schedule": schedule.id,
            "name": schedule.name,
            "older_than_seconds": schedule.older_than_seconds,
            "rhythm": schedule.rhythm,
            "mode": "soft" if schedule.soft else "hard",
            "hold_seconds": schedule.hold,
            "reason": schedule.reason,
        }
        if before is not None:
            then, now = (msgspec.to_builtins(each.definition) for each in (before, schedule))
            changed = [name for name in now if now[name] != then[name]]
            details["before"] = {name: then[name] for name in changed}
            details["after"] = {name: now[name] for name in changed}
        trail.record(
            action, at=self._clock(), namespace=schedule.namespace, criteria=schedule.criteria, details=details
        )


def _require_free(name: str, others: Iterable[Schedule]) -> None:
    """Raises InvalidInput when another schedule has the name."""
    if name and any(schedule.name == name for schedule in others):
        raise InvalidInput("name", "another schedule has it")


def kept_schedules(schedules: Schedules | None) -> Schedules:
    """The schedules. Raises StoreUnavailable where there are none for want of a Redis."""
    if schedules is None:
        raise StoreUnavailable("there is no Redis, so there are no schedules")
    return schedules


def _outcome(done: Invalidation) -> str:
    """What a run came to: of all namespaces also where it is not applied."""
    if done.state is not InvalidationState.PARTLY:
        return f"applied: {done.id}"
    reached = sum(part.effective for part in done.parts)
    return f"in {reached} of {many(len(done.parts), 'namespace')} ({done.problem}), applied: {done.id}"


def _runner(schedule: Schedule) -> Actor:
    """Who runs a schedule when it is due: with the rights that were shown when it was made or resumed."""
    is_admins = schedule.unbounded or bool(schedule.criteria.get("all"))
    return Actor(name=schedule.actor, role=Role.ADMIN if is_admins else Role.OPERATOR)


def _decode(value: bytes) -> Schedule | None:
    try:
        return msgspec.json.decode(value, type=Schedule) if value else None
    except msgspec.MsgspecError:
        return None
