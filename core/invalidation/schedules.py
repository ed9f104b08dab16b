"""Scheduled invalidations: criteria with a relative age, applied at an interval or daily. Data, and when they run.

Several processes may look at the same time: a lock and one request id per run see to it that each runs once.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import redis

from ..access import Acting, Action, Actor, AuditTrail, Role
from ..bans import Criteria
from ..errors import AccessDenied, InvalidationNotFound, InvalidationRefused, InvalidInput, StoreUnavailable
from ..keys import EVERYWHERE, names
from ..stores.redis import lock, shared_hash
from ..text import exact_duration, many, printable
from . import rights
from .everywhere import Reach, check_everywhere
from .invalidator import LONGEST_HOLD_SECONDS, CacheInvalidator
from .reason import checked_reason
from .rights import scheduling
from .telling import Invalidation, InvalidationState

MAX_SCHEDULES = 100
LONGEST_NAME = 80
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 366 * 86_400
LOCK_MS = 30_000

_DAILY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_LOCK = names.SCHEDULES + b":lock"


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One scheduled invalidation. Times are Unix seconds, durations seconds.

    `criteria` are those of `Criteria` but `created_before`, which `older_than_seconds` gives at each run. It runs every
    `every_seconds`, or daily at `daily_at` ("03:30", UTC). What a run hides can be undone for `hold_seconds`; None is
    as configured. `reason` is that of each run; without one it is the schedule's name. `unbounded`: an admin answers
    for it, so that a run may hide any share; else each run is refused that hides more than an operator may. `last` says
    what the latest run came to.
    """

    id: str
    name: str = ""
    namespace: str
    criteria: Mapping[str, Any] = {}
    older_than_seconds: float | None = None
    every_seconds: float | None = None
    daily_at: str | None = None
    soft: bool = False
    hold_seconds: float | None = None
    reason: str = ""
    enabled: bool = True
    unbounded: bool = False
    actor: str
    created_at: float
    resumed_at: float | None = None
    last_run_at: float | None = None
    last: str = ""

    def criteria_at(self, now: float) -> Criteria:
        """The criteria of a run at `now` (Unix seconds). Raises InvalidInput."""
        fields = {**self.criteria, "namespace": self.namespace}
        if self.older_than_seconds is not None:
            fields["created_before"] = now - self.older_than_seconds
        return Criteria.from_dict(fields)

    @property
    def next_run_at(self) -> float:
        """When it is due next, Unix seconds: a missed run is due at once, and only once."""
        moments = (self.last_run_at, self.resumed_at)
        since = max((moment for moment in moments if moment is not None), default=self.created_at)
        if self.every_seconds is not None:
            return since + self.every_seconds
        hour, _, minute = (self.daily_at or "").partition(":")
        moment = datetime.fromtimestamp(since, UTC)
        at = moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
        return (at if at > moment else at + timedelta(days=1)).timestamp()

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

    @property
    def rhythm(self) -> str:
        """The rhythm in words: `daily at 03:30 UTC`, `every 6 h`."""
        if self.daily_at is not None:
            return f"daily at {self.daily_at} UTC"
        return f"every {exact_duration(self.every_seconds or 0)}"

    @property
    def what(self) -> str:
        """The selection in words: `model gpt-4o, older than 7 d`."""
        words = []
        if self.criteria:
            try:
                words.append(str(Criteria.from_dict(self.criteria)))
            except InvalidInput as error:  # of another version
                words.append(f"cannot be run: {error}")
        if self.older_than_seconds is not None:
            words.append(f"older than {exact_duration(self.older_than_seconds)}")
        return ", ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, with what it selects and when it runs in words."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"what": self.what, "rhythm": self.rhythm, "next_run_at": self.next_run_at}


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
        schedule = _decode(self._hash.get(schedule_id))
        if schedule is None:
            raise InvalidationNotFound(f"no schedule has the id {schedule_id[:40]}")
        return schedule

    def add(
        self,
        *,
        namespace: str,
        actor: Acting,
        name: str = "",
        criteria: Mapping[str, Any] | None = None,
        older_than_seconds: float | None = None,
        every_seconds: float | None = None,
        daily_at: str | None = None,
        soft: bool = False,
        hold_seconds: float | None = None,
        reason: str = "",
    ) -> Schedule:
        """Adds a schedule, enabled. Raises InvalidInput, which names the field.

        Raises AccessDenied for one that would hide more now than the actor may; its runs are checked in the same way.

        No two have the same name: repeated after an unknown outcome, it is refused rather than there twice.
        """
        trail = self._invalidation.audit.by(actor)
        by = trail.require(Action.SCHEDULE)
        if (every_seconds is None) == (daily_at is None):
            raise InvalidInput("every_seconds", "give either every_seconds or daily_at")
        if every_seconds is not None and not SHORTEST_SECONDS <= every_seconds <= LONGEST_SECONDS:
            raise InvalidInput("every_seconds", "give seconds between 60 (a minute) and 31622400 (a year)")
        if daily_at is not None and not _DAILY.fullmatch(daily_at):
            raise InvalidInput("daily_at", 'give a time of day in UTC, e.g. "03:30"')
        if older_than_seconds is not None and not 0 < older_than_seconds <= LONGEST_SECONDS * 10:
            raise InvalidInput("older_than_seconds", "give seconds between 1 and ten years")
        if criteria and "created_before" in criteria:
            raise InvalidInput("created_before", "give older_than_seconds: the age when it runs")
        if hold_seconds is not None and not 0 <= hold_seconds <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        name = name.strip()
        if len(name) > LONGEST_NAME or printable(name, LONGEST_NAME) != name:
            raise InvalidInput("name", f"give up to {LONGEST_NAME} visible characters")
        known = self.all()
        if len(known) >= MAX_SCHEDULES:
            raise InvalidInput("schedules", f"there are {MAX_SCHEDULES} already: remove one first")
        if name and any(schedule.name == name for schedule in known):
            raise InvalidInput("name", "another schedule has it")
        now = self._clock()
        schedule = Schedule(
            id=secrets.token_hex(4),
            name=name,
            namespace=namespace,
            criteria=dict(criteria or {}),
            older_than_seconds=older_than_seconds,
            every_seconds=every_seconds,
            daily_at=daily_at,
            soft=soft,
            hold_seconds=hold_seconds,
            reason=checked_reason(reason),
            unbounded=trail.may(Action.SCHEDULE_ALL),
            actor=by,
            created_at=now,
        )
        if namespace == EVERYWHERE:
            check_everywhere(schedule.criteria_at(now), Reach())
        rights.require(trail, schedule.criteria_at(now), scheduling, self._invalidation.preview)
        self._write(schedule.id, b"", schedule)
        self._record(trail, "schedule.created", schedule)
        return schedule

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
            value = self._hash.get(schedule_id)
            schedule = _decode(value)
            if schedule is None:
                raise InvalidationNotFound(f"no schedule has the id {schedule_id[:40]}")
            if self._write(schedule_id, value, None):
                self._record(trail, "schedule.removed", schedule)
                return

    def run_now(self, schedule_id: str, *, actor: Acting, expected: Schedule | None = None) -> Invalidation:
        """Runs a schedule once, also when it is paused or not due. Raises what `CacheInvalidator.invalidate` raises.

        `expected` is the schedule as it was shown: InvalidationRefused when it has run since.
        """
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.SCHEDULE)
        schedule = self.get(schedule_id)
        rights.require(trail, schedule.criteria_at(self._clock()), scheduling, self._invalidation.preview)
        if expected is not None and schedule.last_run_at != expected.last_run_at:
            raise InvalidationRefused("it has run since; look at what came of it first")
        now = self._clock()
        done = self._invalidation.invalidate(
            schedule.criteria_at(now),
            actor=trail,
            soft=schedule.soft,
            hold_seconds=schedule.hold_seconds,
            reason=schedule.why,
        )
        self._change(schedule_id, last_run_at=now, last=_outcome(done))
        return done

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
        try:
            done = self._invalidation.invalidate(
                schedule.criteria_at(now),
                actor=self._invalidation.audit.by(_runner(schedule), source="schedule"),
                soft=schedule.soft,
                hold_seconds=schedule.hold_seconds,
                reason=schedule.why,
                request_id=f"schedule-{schedule.id}-{int(schedule.next_run_at)}",
            )
        except (InvalidInput, InvalidationRefused, AccessDenied) as error:
            self._change(schedule.id, last_run_at=now, last=f"not applied: {error}")
            return None
        self._change(schedule.id, last_run_at=now, last=_outcome(done))
        return done

    def _change(self, schedule_id: str, **fields: Any) -> Schedule:
        while True:
            value = self._hash.get(schedule_id)
            schedule = _decode(value)
            if schedule is None:
                raise InvalidationNotFound(f"no schedule has the id {schedule_id[:40]}")
            changed = msgspec.structs.replace(schedule, **fields)
            if self._write(schedule_id, value, changed):
                return changed

    def _write(self, schedule_id: str, before: bytes, after: Schedule | None) -> bool:
        return self._hash.swap(schedule_id, before, msgspec.json.encode(after) if after else b"")

    def _record(self, trail: AuditTrail, action: str, schedule: Schedule) -> None:
        trail.record(
            action,
            at=self._clock(),
            namespace=schedule.namespace,
            criteria=schedule.criteria,
            details={
                "schedule": schedule.id,
                "name": schedule.name,
                "older_than_seconds": schedule.older_than_seconds,
                "rhythm": schedule.rhythm,
                "mode": "soft" if schedule.soft else "hard",
                "reason": schedule.reason,
            },
        )


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
