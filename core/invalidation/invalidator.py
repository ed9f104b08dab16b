"""Invalidations: preview, apply, undo, sweep. One selection for all of them (`core.bans.record.Criteria`).

`invalidate` is effective when it returns: it appends a ban to the namespace's record, whatever the number of entries.
Until the hold ends nothing is deleted and `undo` brings everything back. The sweep, which a worker runs later, only
gives memory back; losing it costs memory, never a wrong answer.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .. import bans
from ..access import Acting, Action, AuditLog, AuditRecord, AuditTrail
from ..bans import Ban, Criteria, InvalidationRecord
from ..errors import (
    CacheError,
    InvalidationNotFound,
    InvalidationRefused,
    InvalidInput,
    OutcomeUnknown,
    StoreUnavailable,
)
from ..keys import Slot, parse_readable_key
from ..metrics import HitCounts
from ..stores import Store
from .history import _OVER, RECORDS_EACH, Invalidation, InvalidationState, _told, _untold
from .preview import EXACT_LIMIT, Preview, PreviewRow, make_preview
from .sweep import Sweep, SweepProgress

__all__ = [
    "CacheInvalidator",
    "Invalidation",
    "InvalidationState",
    "Preview",
    "PreviewRow",
    "SweepProgress",
]


REPLICAS_SECONDS = 1.0
DISK_SECONDS = 3.0
"""Longest waits for replicas, and for a disk that is written to once a second."""
LONGEST_HOLD_SECONDS = 86_400
CLOCK_RATES_SECONDS = 0.02
"""By how much the clocks of two machines may drift apart within a second, and more."""
REPEATS = 100
"""Among how many of the latest invalidations a repeated request id is recognized."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,80}")


class CacheInvalidator:
    """Preview, apply and undo invalidations; sweep what is due. Raises InvalidInput for criteria that cannot be.

    `clock` gives Unix seconds. `buckets` is the number of slots of each namespace. `copies_seconds` is how long
    processes serve copies of their own, as far as this one knows; `pause` waits so many seconds for those to end. So
    many `replicas` must have an invalidation before it is acknowledged, and when `synced`, the disk of Redis too.
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
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], object] = time.sleep,
        count: Callable[[str], None] = lambda kind: None,
        hits: Callable[[], HitCounts] | None = None,
    ) -> None:
        self._store = store
        self.audit = audit
        self._namespace = namespace
        self._buckets = buckets
        self._hold_seconds = hold_seconds
        self._replicas = replicas
        self._synced = synced
        self._longest_ttl_seconds = longest_ttl_seconds
        self._copies_seconds = copies_seconds
        self._clock = clock
        self._pause = pause
        self._count = count
        self._hits = hits

    # Preview

    def preview(self, criteria: Criteria, *, exact_limit: int = EXACT_LIMIT) -> Preview:
        """What `invalidate` with these criteria would hide now."""
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
    ) -> Invalidation:
        """Hides everything that matches, as of now: effective when this returns, in every process.

        Where processes serve copies of their own it returns when these have ended: up to a second later.
        `soft` marks it stale instead. `hold_seconds` 0 gives up undo and lets the sweep begin at once. The `request_id`
        of one that is in force, or among the latest hundred, does nothing new. Raises WriteRefused (NOT applied),
        OutcomeUnknown (perhaps applied: repeat it with the same `request_id`), InvalidationRefused (too many active),
        StoreUnavailable, AccessDenied.
        """
        trail = self.audit.by(actor)
        name = trail.require(invalidating(criteria))
        namespace = criteria.namespace or self._namespace
        hold = self._hold_seconds if hold_seconds is None else hold_seconds
        if not 0 <= hold <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        slots = self._slots(criteria)
        if request_id is not None and (known := self._repeated(request_id, criteria, namespace, slots)):
            return known
        ban_id = request_id or secrets.token_hex(8)
        now = self._clock()
        # Only a key and nothing else: what further criteria say can be told from the entry alone.
        is_key = criteria == Criteria(namespace=criteria.namespace, key=criteria.key) if criteria.key else False
        at_once = is_key and hold == 0 and not soft
        digest = criteria.digest if at_once else None
        details: dict[str, Any] = {
            "mode": "soft" if soft else "hard",
            "hold_seconds": hold,
            "preview_count": preview.count if preview else None,
        }
        self._record(trail, "invalidate.requested", ban_id, namespace, criteria, now, details)

        def change(record: InvalidationRecord) -> InvalidationRecord:
            return bans.append(
                record,
                ban_id,
                criteria,
                now=now,
                hold_seconds=self._longest_ttl_seconds if soft else hold,
                soft=soft,
                removed=at_once,
            )

        try:
            records = self._append(slots, ban_id, change, digest)
        except OutcomeUnknown as error:
            reason = {"reason": str(error)}
            self._record(trail, "invalidate.unknown", ban_id, namespace, criteria, self._clock(), details | reason)
            raise
        except CacheError as error:
            reason = {"reason": str(error)}
            self._record(trail, "invalidate.refused", ban_id, namespace, criteria, self._clock(), details | reason)
            raise
        self._outwait_copies(records)
        self._record(trail, "invalidate.applied", ban_id, namespace, criteria, self._clock(), details)
        self._count(_kind(criteria))
        self._outwait_servers(slots)
        return Invalidation(
            id=ban_id,
            namespace=namespace,
            criteria=criteria,
            state=InvalidationState.SOFT if soft else InvalidationState.SWEPT if at_once else InvalidationState.HELD,
            actor=name,
            applied_at=now,
            due_at=now + (self._longest_ttl_seconds if soft else hold),
            preview_count=preview.count if preview else None,
        )

    def _append(
        self,
        slots: Sequence[Slot],
        ban_id: str,
        change: Callable[[InvalidationRecord], InvalidationRecord],
        digest: bytes | None,
    ) -> list[InvalidationRecord]:
        """Puts the ban into every bucket or, when one of them refuses it, into none; their records then."""
        done: list[Slot] = []
        records = []
        try:
            for slot in slots:
                records.append(self._store.change_record(slot, change, remove=digest))
                done.append(slot)
        except OutcomeUnknown:
            raise
        except CacheError as error:
            try:
                for slot in done:
                    self._store.change_record(slot, lambda record: bans.lift(record, ban_id))
            except CacheError:
                raise OutcomeUnknown(f"applied to {len(done)} of {len(slots)} buckets: repeat it ({error})") from error
            raise
        return records

    def _outwait_copies(self, records: Iterable[InvalidationRecord | None]) -> None:
        """Waits until no process serves a copy that it took under an earlier record of these buckets.

        Not only what the records say: one that was just lost and made anew says nothing of copies that are still there.
        """
        now = self._clock()
        leaves = [
            record.copies_seconds for record in records if record is not None and bans.may_have_copies(record, now)
        ]
        if seconds := max(self._copies_seconds, *leaves, 0):
            self._pause(seconds + CLOCK_RATES_SECONDS)

    def _outwait_servers(self, slots: Iterable[Slot]) -> None:
        """Waits until these buckets' records are where they are asked to be: on disk, at replicas.

        Raises OutcomeUnknown.
        """
        for slot in slots:
            if self._synced:
                words = "It is in force, but a crash of Redis could lose it"
                try:
                    is_synced = self._store.synced(slot, DISK_SECONDS)
                except StoreUnavailable as error:
                    raise OutcomeUnknown(f"{words}: whether it is on disk is not known ({error})") from error
                if not is_synced:
                    raise OutcomeUnknown(f"{words}: it is not on disk yet")
            if self._replicas:
                words = "It is in force, but a failover could lose it"
                try:
                    have = self._store.replicated(slot, self._replicas, REPLICAS_SECONDS)
                except StoreUnavailable as error:
                    raise OutcomeUnknown(f"{words}: whether replicas have it is not known ({error})") from error
                if have < self._replicas:
                    raise OutcomeUnknown(f"{words}: {have} of the {self._replicas} replicas asked for have it")

    def _repeated(
        self, request_id: str, criteria: Criteria, namespace: str, slots: Sequence[Slot]
    ) -> Invalidation | None:
        """The invalidation that this request id was applied as before. Raises InvalidInput when it was another one."""
        if not _REQUEST_ID.fullmatch(request_id):
            raise InvalidInput("request_id", "use 1 to 80 letters, digits, dots, colons, dashes and underscores")
        in_force = [self._store.read(slot, [])[1] for slot in slots]
        found = [ban for record in in_force if record and (ban := record.find(request_id))]
        try:
            latest = self.audit.records(limit=RECORDS_EACH * REPEATS, action="invalidate.")
        except StoreUnavailable:
            latest = []
        records = [record for record in latest if record.invalidation_id == request_id]
        if any(record.action == "invalidate.applied" for record in records):
            known = _told(records, found[0] if found else None)
            if known is None:
                return None
        elif found and len(found) == len(slots):
            known = _untold(namespace, found[0])
        else:
            # Refused before, of unknown outcome, or in force in some buckets only: it is applied now.
            return None
        if known.namespace != namespace or known.criteria != criteria:
            raise InvalidInput("request_id", "was used for another invalidation: give a new one")
        if found:
            self._outwait_copies(in_force)  # the first request may be waiting still
            self._outwait_servers(slots)
        return known

    @staticmethod
    def _record(
        trail: AuditTrail,
        action: str,
        ban_id: str,
        namespace: str,
        criteria: Criteria,
        at: float,
        details: dict[str, Any],
    ) -> None:
        trail.try_record(
            action,
            at=at,
            invalidation_id=ban_id,
            namespace=namespace,
            criteria=criteria.to_dict(),
            details=details,
        )

    def undo(self, invalidation_id: str, *, actor: Acting = "api") -> Invalidation:
        """Brings back what an invalidation hid, byte for byte and with its own remaining TTL.

        Raises InvalidationNotFound, AccessDenied, or InvalidationRefused when deleting has begun.
        """
        trail = self.audit.by(actor)
        trail.require(Action.UNDO)
        known = self.get(invalidation_id)
        slots = [slot for slot, _ in self._holding(known)]
        if not slots:
            raise InvalidationNotFound(f"no active invalidation has the id {invalidation_id}")
        for slot in slots:
            self._store.change_record(slot, lambda record: bans.lift(record, invalidation_id))
        now = self._clock()
        self._record(trail, "invalidate.undone", invalidation_id, known.namespace, known.criteria, now, {})
        return msgspec.structs.replace(known, state=InvalidationState.UNDONE, finished_at=now)

    def end_hold(self, invalidation_id: str, *, actor: Acting) -> Invalidation:
        """Makes it due now ("sweep now"); there is no undo once its sweep has begun. Raises as `undo` does."""
        trail = self.audit.by(actor)
        trail.require(Action.END_HOLD)
        known = self.get(invalidation_id)
        trail.require(ending_hold(known.criteria))
        if known.state is InvalidationState.SOFT:
            raise InvalidationRefused("a soft invalidation deletes nothing; to delete, invalidate the same again, hard")
        now = self._clock()
        for slot, _ in self._holding(known):
            self._store.change_record(slot, lambda record: bans.expire_holds(record, [invalidation_id], now))
        self._record(trail, "invalidate.hold-ended", invalidation_id, known.namespace, known.criteria, now, {})
        return msgspec.structs.replace(known, due_at=min(known.due_at, now))

    def _holding(self, known: Invalidation) -> list[tuple[Slot, Ban]]:
        """The buckets that have it, each with its ban. Raises InvalidationRefused when one of them is being swept.

        All are looked at first, so that it is not undone in one bucket and refused in the next.
        """
        found = []
        for slot in self._slots(known.criteria, known.namespace):
            _, record = self._store.read(slot, [])
            if record is not None and (ban := record.find(known.id)):
                bans.lift(record, known.id)
                found.append((slot, ban))
        return found

    def get(self, invalidation_id: str) -> Invalidation:
        """An active invalidation. Raises InvalidationNotFound, or InvalidationRefused for one that is over."""
        for namespace, ban in self.active():
            if ban.id == invalidation_id:
                return _untold(namespace, ban)
        for known in self.history(invalidation_id=invalidation_id):
            raise InvalidationRefused(_OVER.get(known.state, "this invalidation is over"))
        raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")

    # What is and was

    def active(self, namespace: str | None = None) -> list[tuple[str, Ban]]:
        """(namespace, ban) of every active ban, newest first."""
        found: dict[tuple[str, str], Ban] = {}
        for name, record in self._records(namespace):
            for ban in record.bans:
                found[name, ban.id] = ban
        return sorted(
            ((name, ban) for (name, _), ban in found.items()), key=lambda item: item[1].sequence, reverse=True
        )

    def records(self) -> list[InvalidationRecord]:
        """The records of all buckets of all namespaces."""
        return [record for _, record in self._records(None)]

    def _records(self, namespace: str | None) -> Iterator[tuple[str, InvalidationRecord]]:
        for name in [namespace] if namespace else self._store.namespaces():
            for bucket in range(self._buckets):
                _, record = self._store.read(Slot(name, bucket), [])
                if record is not None:
                    yield name, record

    def history(
        self, *, limit: int = 100, invalidation_id: str | None = None, namespace: str | None = None
    ) -> list[Invalidation]:
        """The latest invalidations, newest first, of one namespace or of all, or the one.

        What the audit log tells, with what the records say now.
        """
        told: dict[str, list[AuditRecord]] = {}
        for audit_record in self.audit.records(
            limit=limit * RECORDS_EACH, action="invalidate.", invalidation_id=invalidation_id
        ):
            if audit_record.invalidation_id:
                told.setdefault(audit_record.invalidation_id, []).append(audit_record)
        active = {ban.id: (home, ban) for home, ban in self.active(namespace)}
        found = [
            known
            for ban_id, records in told.items()
            if (known := _told(records, active.get(ban_id, ("", None))[1])) and namespace in (None, known.namespace)
        ]
        # What is in force is shown, even if the audit log could not be written when it was applied.
        found += [
            _untold(home, ban)
            for ban_id, (home, ban) in active.items()
            if ban_id not in told and invalidation_id in (None, ban_id)
        ]
        return sorted(found, key=lambda known: known.applied_at, reverse=True)[:limit]

    # Sweep

    def due_namespaces(self) -> list[str]:
        """Namespaces with bans that are due, those of a dead sweep included."""
        now = self._clock()
        found = []
        for namespace in self._store.namespaces():
            for bucket in range(self._buckets):
                _, record = self._store.read(Slot(namespace, bucket), [])
                if record and (bans.due(record, now) or bans.spent(record, now)):
                    found.append(namespace)
                    break
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
        sweep = Sweep(
            self._store,
            clock=self._clock,
            on_begin=lambda begun: self._tell_sweep("invalidate.sweeping", [ban.id for ban in begun], progress),
            on_batch=on_batch,
            should_stop=should_stop,
            rest=rest,
            pause=pause,
        )
        try:
            sweep.run([Slot(namespace, bucket) for bucket in range(self._buckets)], progress)
        except CacheError as error:
            self._tell_sweep("invalidate.sweep-stopped", progress.invalidations, progress, reason=str(error))
            raise
        action = "invalidate.swept" if progress.finished else "invalidate.sweep-stopped"
        self._tell_sweep(action, progress.invalidations, progress)
        return progress

    def _tell_sweep(self, action: str, ids: Sequence[str], progress: SweepProgress, *, reason: str = "") -> None:
        counts = {
            "deleted": progress.deleted,
            "freed_bytes": progress.freed_bytes,
            "scanned": progress.scanned,
            "duration_seconds": round(progress.duration_seconds, 3),
            "shared_with": len(ids) - 1,
        }
        details: dict[str, Any] = {} if action == "invalidate.sweeping" else counts
        if reason:
            details["reason"] = reason
        trail = self.audit.by("worker", source="worker")
        for ban_id in ids:
            trail.try_record(
                action, at=self._clock(), invalidation_id=ban_id, namespace=progress.namespace, details=details
            )

    # The short forms

    def invalidate_by_model(self, model: str, *, actor: Acting = "api") -> Invalidation:
        """Everything a model answered, by its exact name."""
        return self.invalidate(Criteria(model=model), actor=actor)

    def invalidate_by_age(self, older_than_seconds: float, *, actor: Acting = "api") -> Invalidation:
        """Everything stored longer ago than so many seconds."""
        return self.invalidate(Criteria(created_before=self._clock() - older_than_seconds), actor=actor)

    def invalidate_by_keywords(
        self, keywords: Sequence[str], *, match_all: bool = False, actor: Acting = "api"
    ) -> Invalidation:
        """Prompts with any (or all) of these words."""
        return self.invalidate(
            Criteria(keywords=tuple(keywords), keyword_mode="all" if match_all else "any"), actor=actor
        )

    def invalidate_by_pattern(self, pattern: str, *, actor: Acting = "api") -> Invalidation:
        """Prompts or keys that match a glob."""
        return self.invalidate(Criteria(pattern=pattern), actor=actor)

    def invalidate_all(self, *, actor: Acting = "api") -> Invalidation:
        """Everything in the configured namespace."""
        return self.invalidate(Criteria(all=True), actor=actor)

    def get_invalidation_history(self, limit: int = 100) -> list[Invalidation]:
        """The same as `history`."""
        return self.history(limit=limit)


def invalidating(criteria: Criteria) -> Action:
    """What it is to invalidate so much."""
    return Action.INVALIDATE_ALL if criteria.all else Action.INVALIDATE


def ending_hold(criteria: Criteria) -> Action:
    """What it is to give up undo of so much."""
    return Action.END_HOLD_ALL if criteria.all else Action.END_HOLD


def _kind(criteria: Criteria) -> str:
    for kind in ("all", "key", "model", "pattern", "keywords", "tags", "created_before"):
        if getattr(criteria, kind):
            return "age" if kind == "created_before" else kind
    return "none"
