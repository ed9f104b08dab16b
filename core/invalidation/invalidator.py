"""Invalidations: preview, apply, undo, sweep. One selection for all of them (`core.bans.Criteria`).

`invalidate` is effective when it returns: it appends a ban to the namespace's record, whatever the number of entries.
Until the hold ends nothing is deleted and `undo` brings everything back. The sweep, which a worker runs later, only
gives memory back; losing it costs memory, never a wrong answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..access import Acting, Action, AuditLog, AuditTrail, Repeats
from ..bans import Ban, Criteria, InvalidationRecord, changes
from ..errors import CacheError, InvalidationNotFound, InvalidationRefused, InvalidInput, OutcomeUnknown
from ..keys import Slot, parse_readable_key
from ..metrics import HitCounts
from ..stores import Clock, Store
from . import rights
from .aside import put_back
from .durability import Durability
from .everywhere import Asked, Everywhere, Reach
from .history import REQUEST_ID
from .plan import Plan, append, take_place
from .preview import EXACT_LIMIT, Preview, make_preview
from .reason import checked_reason
from .rights import ending_hold, invalidating
from .shortcuts import Shortcuts
from .sweep import Sweep, SweepProgress, record_sweep
from .telling import Invalidation, InvalidationState, replaced, undone

LONGEST_HOLD_SECONDS = 86_400


class CacheInvalidator(Shortcuts):
    """Preview, apply and undo invalidations; sweep what is due.

    `clock` gives Unix seconds, the store's own unless given. `buckets` is the number of slots of each namespace.
    `copies_seconds` is how long processes serve local copies, as far as this one knows; `pause` sleeps while those
    expire. `repeats` knows the request ids of a day. `replicas` is how many replicas must have an invalidation before
    it is acknowledged; when `synced`, the disk of Redis must have it too. Raises InvalidInput for criteria that exclude
    each other.
    """

    def __init__(
        self,
        store: Store,
        audit: AuditLog,
        *,
        namespace: str = "default",
        buckets: int = 1,
        hold_seconds: float = 300,
        replicas: int = 0,
        synced: bool = False,
        longest_ttl_seconds: float = 30 * 86_400,
        copies_seconds: float = 0,
        repeats: Repeats | None = None,
        clock: Clock | None = None,
        pause: Callable[[float], object] = time.sleep,
        count: Callable[[str], None] = lambda kind: None,
        hits: Callable[[], HitCounts] | None = None,
    ) -> None:
        clock = clock or store.clock
        super().__init__(store, audit, repeats or Repeats(None, clock=clock), buckets=buckets)
        self._store = store
        self._namespace = namespace
        self._buckets = buckets
        self._hold_seconds = hold_seconds
        self._longest_ttl_seconds = longest_ttl_seconds
        self._clock = clock
        self._count = count
        self._hits = hits
        self.durability = Durability(
            store, replicas=replicas, synced=synced, copies_seconds=copies_seconds, clock=clock, pause=pause
        )

        self.everywhere = Everywhere(self)

    def preview(self, criteria: Criteria, *, exact_limit: int = EXACT_LIMIT, reach: Reach | None = None) -> Preview:
        """Count, sample and cost of what `invalidate` with these criteria would hide now. Changes nothing."""
        if criteria.is_everywhere:
            return self.everywhere.preview(criteria, reach or Reach(), exact_limit=exact_limit)
        return make_preview(
            self._store,
            self._slots(criteria),
            criteria,
            now=self._clock(),
            exact_limit=exact_limit,
            hits=self._hits() if self._hits is not None else None,
        )

    def _slots(self, criteria: Criteria, namespace: str | None = None) -> list[Slot]:
        """The buckets that can hold what the criteria select."""
        namespace = namespace or criteria.namespace or self._namespace
        if criteria.key is not None:
            bucket, _ = parse_readable_key(criteria.key) or (0, b"")
            if bucket >= self._buckets:
                raise InvalidInput("key", "is of a cache with more buckets than this one has")
            return [Slot(namespace, bucket)]
        return self.slots_of(namespace)

    def invalidate(
        self,
        criteria: Criteria,
        *,
        actor: Acting,
        soft: bool = False,
        hold_seconds: float | None = None,
        request_id: str | None = None,
        preview: Preview | None = None,
        reason: str = "",
        reach: Reach | None = None,
    ) -> Invalidation:
        """Hides all matching entries, effective in every process when this returns.

        Where processes serve copies of their own it returns when these have expired: up to a second later.
        `soft` marks it stale instead. `hold_seconds` 0: no undo, and the sweep may begin at once. The `request_id`
        of one that is in force, or was applied within a day, changes nothing. `reason` is the actor's own words, kept
        with the audit record. Of all namespaces (EVERYWHERE) it is in force in those whose `parts` say so, and `reach`
        says what their criteria leave open. Raises InvalidInput, WriteRefused (NOT applied), OutcomeUnknown (perhaps
        applied: repeat it with the same `request_id`), InvalidationRefused (too many active), StoreUnavailable,
        AccessDenied.
        """
        trail = self.audit.by(actor)
        name = trail.require(Action.INVALIDATE)
        asked = self._asked(soft, hold_seconds, reason)
        if criteria.is_everywhere:
            whole = self.everywhere.invalidate(
                criteria, reach or Reach(), asked, trail=trail, request_id=request_id, preview=preview
            )
            self._count(_kind(criteria))
            return whole
        plan = self._plan(criteria, name, asked, request_id, preview)
        if request_id is not None and (known := self.repeated(request_id, criteria)):
            return known
        if found := rights.require(trail, criteria, invalidating, self.preview):
            plan = msgspec.structs.replace(plan, preview=found)
        if not trail.is_machine:
            _record(trail, "requested", plan, plan.at, plan.details)
        records = self._append(plan, trail)
        done = plan.applied()
        if request_id is not None:
            self.keep(done)
        self.durability.await_local_expiry(records)
        _record(trail, "applied", plan, _ended(trail, plan, self._clock), plan.details)
        self._count(_kind(criteria))
        self.durability.await_durability(plan.slots)
        return done

    def put(
        self, criteria: Criteria, asked: Asked, ban_id: str, actor: str
    ) -> tuple[Invalidation, list[InvalidationRecord]]:
        """Puts the bans of one namespace in force under an id, unless they are: without rights, records and waits.

        Also the buckets' records, whose local copies the caller waits for. Raises what `invalidate` raises."""
        plan = self._plan(criteria, actor, asked, ban_id, None)
        found = [self._store.ban(slot, ban_id) for slot in plan.slots]
        if known := self._repeated(ban_id, criteria, plan.namespace, found):
            return known, [record for slot in plan.slots if (record := self._store.record(slot)) is not None]
        records = append(self._store, plan)
        self.keep(plan.applied())
        return plan.applied(), records

    def repeated(self, request_id: str, criteria: Criteria) -> Invalidation | None:
        """The invalidation that a request id was applied as, in force as if it had just been applied; None for none.

        Raises InvalidInput when it was another invalidation, and what `invalidate` raises.
        """
        if not REQUEST_ID.fullmatch(request_id):
            raise InvalidInput("request_id", "use 1 to 80 letters, digits, dots, colons, dashes and underscores")
        slots = self._slots(criteria)
        found = [self._store.ban(slot, request_id) for slot in slots]
        known = self._repeated(request_id, criteria, slots[0].namespace, found)
        if known is not None and any(found):
            # The first request may be waiting still.
            self.durability.await_local_expiry([self._store.record(slot) for slot in slots])
            self.durability.await_durability(slots)
        return known

    def _asked(self, soft: bool, hold_seconds: float | None, reason: str) -> Asked:
        hold = self._hold_seconds if hold_seconds is None else hold_seconds
        if not 0 <= hold <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        return Asked(soft=soft, hold_seconds=hold, reason=checked_reason(reason))

    def _plan(
        self, criteria: Criteria, actor: str, asked: Asked, request_id: str | None, preview: Preview | None
    ) -> Plan:
        # Only a key and nothing else: what further criteria say can be seen from the entry alone.
        is_key = criteria == Criteria(namespace=criteria.namespace, key=criteria.key) if criteria.key else False
        return Plan(
            id=request_id or self.audit.new_id(),
            namespace=criteria.namespace or self._namespace,
            slots=self._slots(criteria),
            criteria=criteria,
            actor=actor,
            soft=asked.soft,
            at_once=is_key and asked.hold_seconds == 0 and not asked.soft,
            hold_seconds=asked.hold_seconds,
            lasts_seconds=self._longest_ttl_seconds if asked.soft else asked.hold_seconds,
            at=self._clock(),
            preview=preview,
            reason=asked.reason,
        )

    def _append(self, plan: Plan, trail: AuditTrail) -> list[InvalidationRecord]:
        try:
            return append(self._store, plan)
        except CacheError as error:
            step = "unknown" if isinstance(error, OutcomeUnknown) else "refused"
            _record(trail, step, plan, _ended(trail, plan, self._clock), {**plan.details, "problem": str(error)})
            raise

    def undo(self, invalidation_id: str, *, actor: Acting = "api") -> Invalidation:
        """Brings back what an invalidation hid, byte for byte and with its own remaining TTL.

        What was asked anew meanwhile is replaced by the answer that was hidden, unless another invalidation hides that
        still. Where something went wrong on the way, `problem` says so: then newer answers stay.

        Raises InvalidationNotFound, AccessDenied, or InvalidationRefused when deleting has begun.
        """
        trail = self.audit.by(actor)
        trail.require(Action.UNDO)
        known = self.get(invalidation_id)
        if known.parts:
            return self.everywhere.undo(known, trail=trail)
        done = self.lift(known)
        told = {"put_back": done.put_back, "kept_newer": done.kept_newer, "problem": done.problem}
        _record(trail, "undone", known, self._clock(), {name: value for name, value in told.items() if value})
        return done

    def take_place(self, earlier_id: str, later: Invalidation, *, actor: Acting) -> bool:
        """Has an invalidation that is in force take the place of an earlier one of the same criteria; whether it did.

        Only of one that can be undone, and whose entries the later one hides, or marks, too: at no moment is one of
        them shown. Undoing the later one then brings back what both hid. Where Redis fails, both stay.
        """
        try:
            known = self.find(earlier_id)
        except CacheError:
            return False
        trail, now = self.audit.by(actor), self._clock()
        if known is None or not take_place(self._store, self.slots_of, earlier_id, later, trail=trail, now=now):
            return False
        self.keep(replaced(known, now, later.id))
        return True

    def lift(self, known: Invalidation) -> Invalidation:
        """Undoes it in its namespace, without rights and records. Raises what `undo` raises."""
        holding = self._holding(known)
        if not holding:
            raise InvalidationNotFound(f"no active invalidation has the id {known.id}")
        for slot, _ in holding:
            self._store.change(slot, [known.id], lambda found: changes.lift(found, known.id))
        done = undone(known, self._clock())
        self.keep(done)
        back = put_back(self._store, holding, self._clock())
        if known.state is InvalidationState.SOFT and not back.answers:
            return msgspec.structs.replace(done, problem=back.problem)
        return msgspec.structs.replace(done, put_back=back.answers, kept_newer=back.gone, problem=back.problem)

    def end_hold(self, invalidation_id: str, *, actor: Acting) -> Invalidation:
        """Ends the hold now ("sweep now"); there is no undo once the sweep has begun.

        Raises InvalidationNotFound, AccessDenied, or InvalidationRefused when deleting has begun."""
        trail = self.audit.by(actor)
        trail.require(Action.END_HOLD)
        known = self.get(invalidation_id)
        trail.require(ending_hold(known.criteria, known.share))
        if known.state is InvalidationState.SOFT:
            raise InvalidationRefused("a soft invalidation deletes nothing; to delete, invalidate the same again, hard")
        if known.parts:
            return self.everywhere.end_hold(known, trail=trail)
        now = self._clock()
        self.expire(known, now)
        _record(trail, "hold-ended", known, now)
        return msgspec.structs.replace(known, due_at=min(known.due_at, now))

    def expire(self, known: Invalidation, now: float) -> None:
        """Ends its hold in its namespace, without rights and records. Raises what `end_hold` raises."""
        for slot, _ in self._holding(known):
            self._store.change(slot, [known.id], lambda found: changes.expire_holds(found, now))

    def _holding(self, known: Invalidation) -> list[tuple[Slot, Ban]]:
        """The buckets that have it, each with its ban. Raises InvalidationRefused when one of them is being swept.

        All are looked at first, so that it is not undone in one bucket and refused in the next.
        """
        found = []
        for slot in self._slots(known.criteria, known.namespace):
            if ban := self._store.ban(slot, known.id):
                changes.lift([ban], known.id)
                found.append((slot, ban))
        return found

    def sweep(
        self,
        namespace: str,
        *,
        on_batch: Callable[[SweepProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
        rest: float = 1.0,
        pause: Callable[[float], object] = time.sleep,
    ) -> SweepProgress:
        """Deletes what the namespace's due bans hide, in one pass for all of them, and retires the bans.

        Idempotent: it may run twice, be stopped between batches or die anywhere. `rest` is the time it rests for each
        second it works, so that readers are not held up.
        """
        progress = SweepProgress(namespace=namespace)
        trail = self.audit.by("worker", source="worker")
        sweep = Sweep(
            self._store,
            clock=self._clock,
            on_begin=lambda begun: record_sweep(trail, "sweeping", begun, progress, at=self._clock()),
            on_batch=on_batch,
            should_stop=should_stop,
            rest=rest,
            pause=pause,
        )
        try:
            sweep.run(self.slots_of(namespace), progress)
        except CacheError as error:
            record_sweep(trail, "sweep-stopped", progress.invalidations, progress, at=self._clock(), problem=str(error))
            raise
        step = "swept" if progress.finished else "sweep-stopped"
        record_sweep(trail, step, progress.invalidations, progress, at=self._clock())
        return progress


def _ended(trail: AuditTrail, plan: Plan, clock: Clock) -> float:
    """The time of the record of its end: now; the one record of a machine's says when it was asked for."""
    return plan.at if trail.is_machine else clock()


def _record(
    trail: AuditTrail, step: str, subject: Plan | Invalidation, at: float, details: dict[str, Any] | None = None
) -> None:
    # What an operator asked for counts more than the record of it.
    trail.try_record(
        f"invalidate.{step}",
        at=at,
        invalidation_id=subject.id,
        namespace=subject.namespace,
        criteria=subject.criteria.to_dict(),
        details=details or {},
    )


def _kind(criteria: Criteria) -> str:
    for kind in ("all", "key", "user", "model", "pattern", "keywords", "tags", "created_before"):
        if getattr(criteria, kind):
            return "age" if kind == "created_before" else kind
    return "none"
