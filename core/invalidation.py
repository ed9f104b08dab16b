"""Invalidations: preview, apply, undo, sweep. One selection for all of them (`core.bans.Criteria`).

`invalidate` is effective when it returns: it appends a ban to the namespace's record, whatever the number of entries.
Until the hold ends nothing is deleted and `undo` brings everything back. The sweep, which a worker runs later, only
gives memory back; losing it costs memory, never a wrong answer.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from core import bans, codec
from core.audit import AuditLog, AuditRecord
from core.bans import Ban, BanState, Criteria, InvalidationRecord, Visibility
from core.errors import (
    DecodeError,
    InvalidationNotFound,
    InvalidationRefused,
    InvalidInput,
    OutcomeUnknown,
    WriteRefused,
)
from core.keys import Slot, parse_readable_key, readable_key
from core.models import CacheEntry, Stamp
from core.stores.base import Removal, Row, Store

EXACT_LIMIT = 20_000
"""Entries a preview reads before it estimates from those it has read."""
SAMPLE_ROWS = 20


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry an invalidation would hide. Ages and TTLs in seconds."""

    key: str
    model: str
    prompt: str
    age_seconds: float
    fresh_seconds: float
    bytes: int
    cost_usd: float | None
    tags: tuple[str, ...] = ()


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an invalidation would do now. Nothing has been changed.

    `count` is exact, or (with `exact` False) an estimate with its 95 % interval `low`..`high` from `scanned` entries of
    `total`. `cost_usd` is what the matching answers cost, without those of unknown price. `sequence` is the record's:
    `token` binds the criteria, the count and it.
    """

    criteria: Criteria
    namespace: str
    count: int
    exact: bool
    low: int
    high: int
    total: int
    scanned: int
    bytes: int
    tokens: int
    cost_usd: float
    unknown_prices: int
    refetch_seconds: float
    oldest_at: float | None
    newest_at: float | None
    rows: tuple[PreviewRow, ...]
    sequence: int
    at: float

    @property
    def share(self) -> float:
        """Which part of the namespace's entries, 0 to 1."""
        return min(1.0, self.count / self.total) if self.total else 0.0

    @property
    def token(self) -> str:
        """Changes when what was previewed has changed."""
        return hashlib.sha256(f"{self.namespace}|{self.criteria}|{self.count}|{self.sequence}".encode()).hexdigest()[
            :16
        ]


class InvalidationState(StrEnum):
    """Where an invalidation is in its life."""

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    SWEPT = "swept"
    UNDONE = "undone"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Invalidation(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation, as the record and the audit log tell it. Times are Unix seconds."""

    id: str
    namespace: str
    criteria: Criteria
    state: InvalidationState
    actor: str
    applied_at: float
    due_at: float
    preview_count: int | None = None
    deleted: int | None = None
    freed_bytes: int | None = None
    finished_at: float | None = None
    reason: str = ""

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would still bring the answers back."""
        return self.state in (InvalidationState.HELD, InvalidationState.SOFT)

    @property
    def effective(self) -> bool:
        """Whether matching answers are hidden (or marked stale) by it."""
        return self.state not in (InvalidationState.UNDONE, InvalidationState.REFUSED, InvalidationState.UNKNOWN)


class SweepProgress(msgspec.Struct, kw_only=True):
    """How far a sweep has come."""

    namespace: str
    invalidations: tuple[str, ...] = ()
    total: int = 0
    scanned: int = 0
    deleted: int = 0
    freed_bytes: int = 0
    duration_seconds: float = 0.0
    finished: bool = False


class CacheInvalidator:
    """Preview, apply and undo invalidations; sweep what is due. Raises InvalidInput for criteria that cannot be.

    `clock` gives Unix seconds. `buckets` is the number of slots of each namespace.
    """

    def __init__(
        self,
        store: Store,
        audit: AuditLog,
        *,
        namespace: str = "default",
        buckets: int = 1,
        hold_seconds: float = 300,
        longest_ttl_seconds: float = 30 * 86_400,
        clock: Callable[[], float] = time.time,
        count: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self._store = store
        self.audit = audit
        self._namespace = namespace
        self._buckets = buckets
        self._hold_seconds = hold_seconds
        self._longest_ttl_seconds = longest_ttl_seconds
        self._clock = clock
        self._count = count

    # Preview

    def preview(self, criteria: Criteria, *, exact_limit: int = EXACT_LIMIT) -> Preview:
        """What `invalidate` with these criteria would hide now."""
        namespace = criteria.namespace or self._namespace
        now = self._clock()
        tally = _Tally()
        sequence = 0
        for slot in self._slots(criteria):
            _, record = self._store.read(slot, [])
            if record is None:
                continue
            sequence = max(sequence, record.sequence)
            tally.total += sum(self._store.count_model(slot, model) for model in self._store.models(slot))
            self._tally(slot, record, criteria, tally, now, exact_limit)
        exact = tally.scanned < exact_limit
        factor = 1.0 if exact or not tally.scanned else max(1.0, tally.total / tally.scanned)
        low, high = (tally.count, tally.count) if exact else _interval(tally.count, tally.scanned, tally.total)
        return Preview(
            criteria=criteria,
            namespace=namespace,
            count=round(tally.count * factor),
            exact=exact,
            low=low,
            high=high,
            total=tally.scanned if exact else tally.total,
            scanned=tally.scanned,
            bytes=round(tally.bytes * factor),
            tokens=round(tally.tokens * factor),
            cost_usd=tally.cost_usd * factor,
            unknown_prices=round(tally.unknown_prices * factor),
            refetch_seconds=tally.refetch_seconds * factor,
            oldest_at=tally.oldest_at,
            newest_at=tally.newest_at,
            rows=tuple(tally.rows),
            sequence=sequence,
            at=now,
        )

    def _tally(
        self, slot: Slot, record: InvalidationRecord, criteria: Criteria, tally: _Tally, now: float, limit: int
    ) -> None:
        for rows in self._store.walk(slot, whole=True):
            for row in rows:
                entry = _readable(row)
                if entry is None or entry.header.target is not None:
                    continue
                if bans.visibility(entry, record) in (Visibility.HIDDEN, Visibility.FOREIGN):
                    continue
                tally.scanned += 1
                if criteria.matches(entry.header, entry.prompt, entry.tags):
                    tally.add(slot, row, entry, now)
            if tally.scanned >= limit:
                return

    def _slots(self, criteria: Criteria) -> list[Slot]:
        namespace = criteria.namespace or self._namespace
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
        actor: str,
        soft: bool = False,
        hold_seconds: float | None = None,
        request_id: str | None = None,
        source: str = "api",
        preview: Preview | None = None,
    ) -> Invalidation:
        """Hides everything that matches, as of now: effective when this returns.

        `soft` marks it stale instead. `hold_seconds` 0 gives up undo and lets the sweep begin at once. The same
        `request_id` again does nothing new. Raises WriteRefused (NOT applied), OutcomeUnknown (perhaps applied: repeat
        it with the same `request_id`), InvalidationRefused (too many active), StoreUnavailable.
        """
        namespace = criteria.namespace or self._namespace
        ban_id = request_id or secrets.token_hex(8)
        hold = self._hold_seconds if hold_seconds is None else hold_seconds
        if not 0 <= hold <= 86_400:
            raise InvalidInput("hold_seconds", "give seconds between 0 and 86400")
        if request_id is not None and (known := self._repeated(ban_id)):
            return known
        now = self._clock()
        at_once = criteria.key is not None and hold == 0 and not soft
        digest = (parse_readable_key(criteria.key) or (0, b""))[1] if criteria.key and at_once else None
        details: dict[str, Any] = {
            "mode": "soft" if soft else "hard",
            "hold_seconds": hold,
            "preview_count": preview.count if preview else None,
        }
        note = _Note(self.audit, ban_id, namespace, criteria, actor, source)
        note("invalidate.requested", now, details)

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
            for slot in self._slots(criteria):
                self._store.change_record(slot, change, remove=digest)
        except (WriteRefused, InvalidationRefused) as error:
            note("invalidate.refused", self._clock(), {**details, "reason": str(error)})
            raise
        except OutcomeUnknown as error:
            note("invalidate.unknown", self._clock(), {**details, "reason": str(error)})
            raise
        note("invalidate.applied", self._clock(), details)
        self._count(_kind(criteria))
        return Invalidation(
            id=ban_id,
            namespace=namespace,
            criteria=criteria,
            state=InvalidationState.SOFT if soft else InvalidationState.SWEPT if at_once else InvalidationState.HELD,
            actor=actor,
            applied_at=now,
            due_at=now + hold,
            preview_count=preview.count if preview else None,
        )

    def _repeated(self, ban_id: str) -> Invalidation | None:
        """The invalidation, if a request with this id was applied before: a double click, a retry."""
        return next((known for known in self.history() if known.id == ban_id and known.effective), None)

    def undo(self, invalidation_id: str, *, actor: str = "api", source: str = "api") -> Invalidation:
        """Brings back what an invalidation hid, byte for byte and with its own remaining TTL.

        Raises InvalidationNotFound, or InvalidationRefused when deleting has begun.
        """
        known = self.get(invalidation_id)
        for slot in self._slots(msgspec.structs.replace(known.criteria, namespace=known.namespace)):
            self._store.change_record(slot, lambda record: bans.lift(record, invalidation_id))
        _Note(self.audit, invalidation_id, known.namespace, known.criteria, actor, source)(
            "invalidate.undone", self._clock(), {}
        )
        return msgspec.structs.replace(known, state=InvalidationState.UNDONE, finished_at=self._clock())

    def end_hold(self, invalidation_id: str, *, actor: str, source: str = "api") -> Invalidation:
        """Makes it due now ("sweep now"); there is no undo once its sweep has begun."""
        known = self.get(invalidation_id)
        now = self._clock()
        for slot in self._slots(msgspec.structs.replace(known.criteria, namespace=known.namespace)):
            self._store.change_record(slot, lambda record: bans.expire_holds(record, [invalidation_id], now))
        _Note(self.audit, invalidation_id, known.namespace, known.criteria, actor, source)(
            "invalidate.hold-ended", now, {}
        )
        return msgspec.structs.replace(known, due_at=now)

    def get(self, invalidation_id: str) -> Invalidation:
        """An active invalidation. Raises InvalidationNotFound, InvalidationRefused when it is over."""
        for namespace, ban in self.active():
            if ban.id == invalidation_id:
                return Invalidation(
                    id=ban.id,
                    namespace=namespace,
                    criteria=ban.criteria,
                    state=InvalidationState(ban.state.value),
                    actor="",
                    applied_at=ban.created_at,
                    due_at=ban.due_at,
                )
        if any(known.id == invalidation_id for known in self.history()):
            raise InvalidationRefused("this invalidation is over: swept, undone or never applied")
        raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")

    # What is and was

    def active(self, namespace: str | None = None) -> list[tuple[str, Ban]]:
        """(namespace, ban) of every active ban, newest first."""
        found: dict[tuple[str, str], Ban] = {}
        for name in [namespace] if namespace else self._store.namespaces():
            for bucket in range(self._buckets):
                _, record = self._store.read(Slot(name, bucket), [])
                for ban in record.bans if record else ():
                    found[name, ban.id] = ban
        return sorted(
            ((name, ban) for (name, _), ban in found.items()), key=lambda item: item[1].sequence, reverse=True
        )

    def history(self, *, limit: int = 100, invalidation_id: str | None = None) -> list[Invalidation]:
        """Invalidations, newest first, or the one: what the audit log tells, with what the records say now."""
        told: dict[str, list[AuditRecord]] = {}
        for audit_record in self.audit.records(limit=limit * 6, action="invalidate.", invalidation_id=invalidation_id):
            if audit_record.invalidation_id:
                told.setdefault(audit_record.invalidation_id, []).append(audit_record)
        active = {ban.id: ban for _, ban in self.active()}
        return [_told(records, active.get(ban_id)) for ban_id, records in told.items()][:limit]

    # Sweep

    def due_namespaces(self) -> list[str]:
        """Namespaces with bans that are due, those of a dead sweep included."""
        now = self._clock()
        found = []
        for namespace in self._store.namespaces():
            for bucket in range(self._buckets):
                _, record = self._store.read(Slot(namespace, bucket), [])
                if record and (bans.due(record, now) or _outlived(record, now)):
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
        started = time.monotonic()
        progress = SweepProgress(namespace=namespace)
        for bucket in range(self._buckets):
            slot = Slot(namespace, bucket)
            now = self._clock()
            ids = [ban.id for ban in bans.due(self._record(slot), now)]
            outlived = [ban.id for ban in _outlived(self._record(slot), now)]
            if outlived:
                self._store.change_record(slot, lambda record, ids=outlived: bans.retire(record, ids))  # type: ignore[misc]
            if not ids:
                continue
            record = self._store.change_record(slot, lambda record, ids=ids: bans.begin_sweep(record, ids))  # type: ignore[misc]
            swept = [ban for ban in record.bans if ban.id in ids and ban.state is BanState.SWEEPING]
            progress.invalidations = tuple(dict.fromkeys((*progress.invalidations, *(ban.id for ban in swept))))
            progress.total += sum(self._store.count_model(slot, model) for model in self._store.models(slot))
            if not self._pass(slot, record, swept, progress, on_batch, should_stop, rest, pause):
                progress.duration_seconds = time.monotonic() - started
                return progress
            self._store.change_record(
                slot,
                lambda record, ids=[ban.id for ban in swept]: bans.retire(record, ids),  # type: ignore[misc]
            )
            self._store.prune_index(slot, now)
        progress.finished = True
        progress.duration_seconds = time.monotonic() - started
        self._tell_swept(progress)
        on_batch(progress)
        return progress

    def _pass(
        self,
        slot: Slot,
        record: InvalidationRecord,
        swept: Sequence[Ban],
        progress: SweepProgress,
        on_batch: Callable[[SweepProgress], None],
        should_stop: Callable[[], bool],
        rest: float,
        pause: Callable[[float], object],
    ) -> bool:
        whole = any(ban.criteria.needs_text for ban in swept)
        for rows in self._store.walk(slot, whole=whole):
            if should_stop():
                return False
            began = time.monotonic()
            removals = [removal for row in rows if (removal := _removal(row, record, swept, whole))]
            deleted, freed = self._store.remove(slot, removals)
            progress.scanned += len(rows)
            progress.deleted += deleted
            progress.freed_bytes += freed
            on_batch(progress)
            if rest and rows:
                pause((time.monotonic() - began) * rest)
        return True

    def _tell_swept(self, progress: SweepProgress) -> None:
        for ban_id in progress.invalidations:
            self.audit.append(
                AuditRecord(
                    at=self._clock(),
                    actor="worker",
                    source="worker",
                    action="invalidate.swept",
                    invalidation_id=ban_id,
                    namespace=progress.namespace,
                    details={
                        "deleted": progress.deleted,
                        "freed_bytes": progress.freed_bytes,
                        "scanned": progress.scanned,
                        "duration_seconds": round(progress.duration_seconds, 3),
                        "shared_with": len(progress.invalidations) - 1,
                    },
                )
            )

    def _record(self, slot: Slot) -> InvalidationRecord:
        return self._store.ensure_record(slot)

    # The short forms

    def invalidate_by_model(self, model: str, *, actor: str = "api") -> Invalidation:
        """Everything a model answered, by its exact name."""
        return self.invalidate(Criteria(model=model), actor=actor)

    def invalidate_by_age(self, older_than_seconds: float, *, actor: str = "api") -> Invalidation:
        """Everything stored longer ago than so many seconds."""
        return self.invalidate(Criteria(created_before=self._clock() - older_than_seconds), actor=actor)

    def invalidate_by_keywords(
        self, keywords: Sequence[str], *, match_all: bool = False, actor: str = "api"
    ) -> Invalidation:
        """Prompts with any (or all) of these words."""
        return self.invalidate(
            Criteria(keywords=tuple(keywords), keyword_mode="all" if match_all else "any"), actor=actor
        )

    def invalidate_by_pattern(self, pattern: str, *, actor: str = "api") -> Invalidation:
        """Prompts or keys that match a glob."""
        return self.invalidate(Criteria(pattern=pattern), actor=actor)

    def invalidate_all(self, *, actor: str = "api") -> Invalidation:
        """Everything in the configured namespace."""
        return self.invalidate(Criteria(all=True), actor=actor)

    def get_invalidation_history(self, limit: int = 100) -> list[Invalidation]:
        """The same as `history`."""
        return self.history(limit=limit)


class _Tally:
    """What a preview adds up."""

    def __init__(self) -> None:
        self.count = self.scanned = self.total = self.bytes = self.tokens = self.unknown_prices = 0
        self.cost_usd = self.refetch_seconds = 0.0
        self.oldest_at: float | None = None
        self.newest_at: float | None = None
        self.rows: list[PreviewRow] = []

    def add(self, slot: Slot, row: Row, entry: CacheEntry, now: float) -> None:
        header = entry.header
        self.count += 1
        self.bytes += len(row.value)
        self.tokens += header.input_tokens + header.output_tokens
        self.refetch_seconds += header.latency_ms / 1000
        self.oldest_at = min(header.created_at, self.oldest_at or header.created_at)
        self.newest_at = max(header.created_at, self.newest_at or header.created_at)
        if header.cost_usd is None:
            self.unknown_prices += 1
        else:
            self.cost_usd += header.cost_usd
        if len(self.rows) < SAMPLE_ROWS:
            self.rows.append(
                PreviewRow(
                    key=readable_key(slot.bucket, header.digest),
                    model=header.model,
                    prompt=entry.prompt[:300],
                    age_seconds=max(0.0, now - header.created_at),
                    fresh_seconds=header.fresh_until - now,
                    bytes=len(row.value),
                    cost_usd=header.cost_usd,
                    tags=entry.tags,
                )
            )


class _Note:
    """Writes the audit records of one invalidation."""

    def __init__(
        self, audit: AuditLog, ban_id: str, namespace: str, criteria: Criteria, actor: str, source: str
    ) -> None:
        self._audit = audit
        self._fields: dict[str, Any] = {
            "invalidation_id": ban_id,
            "namespace": namespace,
            "criteria": criteria.to_dict(),
            "actor": actor,
            "source": source,
        }

    def __call__(self, action: str, at: float, details: dict[str, Any]) -> None:
        self._audit.append(AuditRecord(at=at, action=action, details=details, **self._fields))


def _told(records: Sequence[AuditRecord], ban: Ban | None) -> Invalidation:
    """One invalidation out of its audit records (newest first) and its ban, if it is still active."""
    first = records[-1]
    by_action = {record.action: record for record in reversed(records)}
    state, finished = InvalidationState.UNKNOWN, None
    for action, reached in (
        ("invalidate.undone", InvalidationState.UNDONE),
        ("invalidate.swept", InvalidationState.SWEPT),
        ("invalidate.applied", InvalidationState.SWEPT),
        ("invalidate.refused", InvalidationState.REFUSED),
    ):
        if action in by_action:
            state, finished = reached, by_action[action].at
            break
    if ban is not None:
        state, finished = InvalidationState(ban.state.value), None
    swept = by_action.get("invalidate.swept")
    requested = by_action.get("invalidate.requested", first)
    return Invalidation(
        id=first.invalidation_id or "",
        namespace=first.namespace or "",
        criteria=Criteria.from_dict(requested.criteria),
        state=state,
        actor=first.actor,
        applied_at=first.at,
        due_at=ban.due_at if ban else first.at + float(requested.details.get("hold_seconds") or 0),
        preview_count=requested.details.get("preview_count"),
        deleted=swept.details.get("deleted") if swept else None,
        freed_bytes=swept.details.get("freed_bytes") if swept else None,
        finished_at=finished,
        reason=str(records[0].details.get("reason", "")),
    )


def _readable(row: Row) -> CacheEntry | None:
    try:
        return codec.decode_entry(row.value)
    except DecodeError:
        return None


def _removal(row: Row, record: InvalidationRecord, swept: Sequence[Ban], whole: bool) -> Removal | None:
    """The entry's removal, when one of these bans hides it or its incarnation is gone."""
    try:
        if whole:
            entry = codec.decode_entry(row.value)
        else:
            entry = CacheEntry(header=codec.decode_header(row.value), prompt="")
    except DecodeError:
        return None
    header = entry.header
    foreign = header.incarnation != record.incarnation
    if foreign or any(ban.sequence > header.sequence and ban.matches(entry) for ban in swept):
        return Removal(digest=row.digest, stamp=Stamp(header.incarnation, header.sequence), model=header.model)
    return None


def _outlived(record: InvalidationRecord, now: float) -> tuple[Ban, ...]:
    """Soft bans older than the longest TTL: nothing they mark can exist any more."""
    return tuple(ban for ban in record.bans if ban.state is BanState.SOFT and ban.due_at <= now)


def _kind(criteria: Criteria) -> str:
    for kind in ("all", "key", "model", "pattern", "keywords", "tags", "created_before"):
        if getattr(criteria, kind):
            return "age" if kind == "created_before" else kind
    return "none"


def _interval(found: int, scanned: int, total: int) -> tuple[int, int]:
    """The 95 % Wilson interval of a share, as entries of the total."""
    if not scanned:
        return 0, total
    z = 1.96
    share = found / scanned
    centre = share + z * z / (2 * scanned)
    spread = z * math.sqrt(share * (1 - share) / scanned + z * z / (4 * scanned * scanned))
    scale = 1 + z * z / scanned
    return math.floor((centre - spread) / scale * total), math.ceil((centre + spread) / scale * total)
