"""Invalidations: preview, apply, undo, sweep. One selection for all of them (`core.bans.Criteria`).

`invalidate` is effective when it returns: it appends a ban to the namespace's record, whatever the number of entries.
Until the hold ends nothing is deleted and `undo` brings everything back. The sweep, which a worker runs later, only
gives memory back; losing it costs memory, never a wrong answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from ..access import Acting, Action, AuditLog, AuditTrail, Repeats
from ..bans import Ban, Criteria, InvalidationRecord, changes
from ..errors import CacheError, InvalidationNotFound, InvalidationRefused, InvalidInput, OutcomeUnknown
from ..keys import Slot, parse_readable_key
from ..metrics import HitCounts
from ..stores import Clock, Store
from ..text import printable
from . import rights
from .aside import put_back
from .durability import Durability
from .history import REQUEST_ID, History
from .preview import EXACT_LIMIT, Preview, make_preview
from .reason import checked_reason
from .rights import ending_hold, invalidating
from .succession import take_place
from .sweep import Sweep, SweepProgress, record_sweep
from .telling import Invalidation, InvalidationState, undone

LONGEST_HOLD_SECONDS = 86_400
MOST_OF_A_NAME = 100
"""Of an actor's name, as bans have it."""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation that was asked for, checked and complete. `at` is in Unix seconds.

    `lasts_seconds` is how long its bans stay before they are due. `at_once`: the one entry that it names is deleted in
    the same step.
    """

    id: str
    namespace: str
    slots: list[Slot]
    criteria: Criteria
    actor: str
    soft: bool
    at_once: bool
    hold_seconds: float
    lasts_seconds: float
    at: float
    preview: Preview | None
    reason: str

    @property
    def details(self) -> dict[str, Any]:
        """The details for the audit records: mode, hold, reason, and count and highest share of the preview."""
        details: dict[str, Any] = {"mode": "soft" if self.soft else "hard", "hold_seconds": self.hold_seconds}
        if self.reason:
            details["reason"] = self.reason
        if self.preview is not None:
            details |= {"preview_count": self.preview.count, "share": self.preview.highest_share}
        return details

    @property
    def ban(self) -> Ban:
        """The ban that every bucket gets."""
        return changes.new_ban(
            self.id,
            self.criteria,
            now=self.at,
            hold_seconds=self.lasts_seconds,
            soft=self.soft,
            removed=self.at_once,
            actor=printable(self.actor, MOST_OF_A_NAME),
        )

    def applied(self) -> Invalidation:
        """The invalidation as it is once applied."""
        state = InvalidationState.SWEPT if self.at_once else InvalidationState.HELD
        return Invalidation(
            id=self.id,
            namespace=self.namespace,
            criteria=self.criteria,
            state=InvalidationState.SOFT if self.soft else state,
            actor=self.actor,
            applied_at=self.at,
            due_at=self.at + self.lasts_seconds,
            preview_count=self.preview.count if self.preview else None,
            share=self.preview.highest_share if self.preview else None,
            reason=self.reason,
        )


class CacheInvalidator(History):
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

    def preview(self, criteria: Criteria, *, exact_limit: int = EXACT_LIMIT) -> Preview:
        """Count, sample and cost of what `invalidate` with these criteria would hide now. Changes nothing."""
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
        return self._buckets_of(namespace)

    def _buckets_of(self, namespace: str) -> list[Slot]:
        return [Slot(namespace, bucket) for bucket in range(self._buckets)]

    # Apply and undo

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
    ) -> Invalidation:
        """Hides all matching entries, effective in every process when this returns.

        Where processes serve copies of their own it returns when these have expired: up to a second later.
        `soft` marks it stale instead. `hold_seconds` 0: no undo, and the sweep may begin at once. The `request_id`
        of one that is in force, or was applied within a day, changes nothing. `reason` is the actor's own words, kept
        with the audit record. Raises InvalidInput, WriteRefused (NOT applied),
        OutcomeUnknown (perhaps applied: repeat it with the same `request_id`), InvalidationRefused (too many active),
        StoreUnavailable, AccessDenied.
        """
        trail = self.audit.by(actor)
        name = trail.require(Action.INVALIDATE)
        plan = self._plan(criteria, name, soft, hold_seconds, request_id, preview, checked_reason(reason))
        if request_id is not None and (known := self.repeated(request_id, criteria)):
            return known
        if found := rights.require(trail, criteria, invalidating, self.preview):
            plan = msgspec.structs.replace(plan, preview=found)
        if not trail.is_machine:
            _record(trail, "requested", plan, plan.at, plan.details)
        records = self._append(plan, trail)
        done = plan.applied()
        if request_id is not None:
            self._keep(done)
        self.durability.await_local_expiry(records)
        _record(trail, "applied", plan, _ended(trail, plan, self._clock), plan.details)
        self._count(_kind(criteria))
        self.durability.await_durability(plan.slots)
        return done

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

    def _plan(
        self,
        criteria: Criteria,
        actor: str,
        soft: bool,
        hold_seconds: float | None,
        request_id: str | None,
        preview: Preview | None,
        reason: str,
    ) -> _Plan:
        hold = self._hold_seconds if hold_seconds is None else hold_seconds
        if not 0 <= hold <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        # Only a key and nothing else: what further criteria say can be seen from the entry alone.
        is_key = criteria == Criteria(namespace=criteria.namespace, key=criteria.key) if criteria.key else False
        return _Plan(
            id=request_id or self.audit.new_id(),
            namespace=criteria.namespace or self._namespace,
            slots=self._slots(criteria),
            criteria=criteria,
            actor=actor,
            soft=soft,
            at_once=is_key and hold == 0 and not soft,
            hold_seconds=hold,
            lasts_seconds=self._longest_ttl_seconds if soft else hold,
            at=self._clock(),
            preview=preview,
            reason=reason,
        )

    def _append(self, plan: _Plan, trail: AuditTrail) -> list[InvalidationRecord]:
        try:
            return _append(self._store, plan)
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
        holding = self._holding(known)
        if not holding:
            raise InvalidationNotFound(f"no active invalidation has the id {invalidation_id}")
        for slot, _ in holding:
            self._store.change(slot, [invalidation_id], lambda found: changes.lift(found, invalidation_id))
        done = undone(known, self._clock())
        self._keep(done)
        if known.state is InvalidationState.HELD:
            back = put_back(self._store, holding, self._clock())
            done = msgspec.structs.replace(done, put_back=back.answers, kept_newer=back.gone, problem=back.problem)
        told = {"put_back": done.put_back, "kept_newer": done.kept_newer, "problem": done.problem}
        _record(trail, "undone", known, self._clock(), {name: value for name, value in told.items() if value})
        return done

    def take_place(self, earlier_id: str, later: Invalidation, *, actor: Acting) -> bool:
        """Has an invalidation that is in force take the place of an earlier one of the same criteria; whether it did.

        Only of one that can be undone, and whose entries the later one hides, or marks, too: at no moment does either
        not hold. Undoing the later one then brings back what both hid.
        """
        slots = self._slots(later.criteria, later.namespace)
        return take_place(self._store, slots, earlier_id, later, trail=self.audit.by(actor), now=self._clock())

    def end_hold(self, invalidation_id: str, *, actor: Acting) -> Invalidation:
        """Ends the hold now ("sweep now"); there is no undo once the sweep has begun.

        Raises InvalidationNotFound, AccessDenied, or InvalidationRefused when deleting has begun."""
        trail = self.audit.by(actor)
        trail.require(Action.END_HOLD)
        known = self.get(invalidation_id)
        trail.require(ending_hold(known.criteria, known.share))
        if known.state is InvalidationState.SOFT:
            raise InvalidationRefused("a soft invalidation deletes nothing; to delete, invalidate the same again, hard")
        now = self._clock()
        for slot, _ in self._holding(known):
            self._store.change(slot, [invalidation_id], lambda found: changes.expire_holds(found, now))
        _record(trail, "hold-ended", known, now)
        return msgspec.structs.replace(known, due_at=min(known.due_at, now))

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

    def due_namespaces(self) -> list[str]:
        """Namespaces with bans that are due, those of a dead sweep included, and those whose list was lost."""
        now, due = self._clock(), list[str]()
        for namespace in self._store.namespaces():
            slots = self._buckets_of(namespace)
            for slot in slots:
                self._store.mend(slot)
            if any(self._store.bans(slot, until=now, limit=1) for slot in slots):
                due.append(namespace)
        return due

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
            sweep.run(self._buckets_of(namespace), progress)
        except CacheError as error:
            record_sweep(trail, "sweep-stopped", progress.invalidations, progress, at=self._clock(), problem=str(error))
            raise
        step = "swept" if progress.finished else "sweep-stopped"
        record_sweep(trail, step, progress.invalidations, progress, at=self._clock())
        return progress

    def invalidate_by_model(self, model: str, *, actor: Acting = "api") -> Invalidation:
        """Hides all answers of a model, by its exact name. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(model=model), actor=actor)

    def invalidate_by_user(self, user: str, *, actor: Acting = "api") -> Invalidation:
        """Hides all answers that are a user's own, by the name that requests give. Raises what `invalidate` raises."""
        return self.invalidate(Criteria.from_names(self._namespace, user=user), actor=actor)

    def invalidate_by_age(self, older_than_seconds: float, *, actor: Acting = "api") -> Invalidation:
        """Hides all entries older than this many seconds. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(created_before=self._clock() - older_than_seconds), actor=actor)

    def invalidate_by_keywords(
        self, keywords: Sequence[str], *, match_all: bool = False, actor: Acting = "api"
    ) -> Invalidation:
        """Hides entries whose prompts contain any (or all) of these keywords. Raises what `invalidate` raises."""
        mode: Literal["any", "all"] = "all" if match_all else "any"
        return self.invalidate(Criteria(keywords=tuple(keywords), keyword_mode=mode), actor=actor)

    def invalidate_by_pattern(self, pattern: str, *, actor: Acting = "api") -> Invalidation:
        """Hides entries whose prompt or key matches a glob. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(pattern=pattern), actor=actor)

    def invalidate_all(self, *, actor: Acting = "api") -> Invalidation:
        """Hides all entries of the configured namespace. Raises what `invalidate` raises."""
        return self.invalidate(Criteria(all=True), actor=actor)

    def get_invalidation_history(self, limit: int = 100) -> list[Invalidation]:
        """The latest invalidations of all namespaces, newest first. Raises StoreUnavailable."""
        return self.history(limit=limit)


def _ended(trail: AuditTrail, plan: _Plan, clock: Clock) -> float:
    """The time of the record of its end: now; the one record of a machine's says when it was asked for."""
    return plan.at if trail.is_machine else clock()


def _append(store: Store, plan: _Plan) -> list[InvalidationRecord]:
    """Puts the ban into every bucket or, when one of them refuses it, into none; their records then."""
    ban = plan.ban
    digest = plan.criteria.digest if plan.at_once else None
    done: list[Slot] = []
    records = []
    try:
        for slot in plan.slots:
            records.append(store.append(slot, ban, remove=digest)[0])
            done.append(slot)
    except OutcomeUnknown:
        raise
    except CacheError as error:
        try:
            for slot in done:
                store.change(slot, [plan.id], lambda found: changes.lift(found, plan.id))
        except CacheError:
            words = f"applied to {len(done)} of {len(plan.slots)} buckets: repeat it ({error})"
            raise OutcomeUnknown(words) from error
        raise
    return records


def _record(
    trail: AuditTrail, step: str, subject: _Plan | Invalidation, at: float, details: dict[str, Any] | None = None
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
