"""Sweep: gives back the memory of what due invalidations hide. Correctness never waits for it.

What the indexes of models and tags list goes first and fast. Then one pass over a bucket serves all its due bans,
however many there are: it leaves out no value that one of them may select. Then goes what lies aside: it cannot come
back while a ban hides it, and after the pass nothing more of it is put there. It may be stopped between batches, die
anywhere and run twice, at once even: entries are deleted only if they are still what was looked at, and a ban retires
only after a complete pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from ..access import AuditTrail
from ..bans import (
    Ban,
    BanState,
    Book,
    Criteria,
    InvalidationRecord,
    changes,
    required_substrings,
    says_only_names,
)
from ..errors import DecodeError
from ..keys import Slot
from ..models import Stamp
from ..stores import EntrySummary, Removal, Removed, Row, ScanPage, Store, SweepFilter, codec
from .aside import delete_selected, selects

Item = TypeVar("Item")

BATCH = 1000
"""Names that the server looks at in one step."""
GENTLE_BATCH = 150
"""The same where others are to notice little: well under a millisecond."""
MOST_SWEPT = 100_000
"""Bans of a bucket that one sweep is for; it goes on with the others when it runs again."""
RETIRED_AT_ONCE = 100
"""Bans that retire in one step: each process that looks up entries then reads of all of them."""
MOST_KEYS = 16
"""Keys whose aliases a pass looks for by their targets; of more, it looks at all aliases."""
MOST_FILTERS = 64
"""Different things that a pass looks for at once; for more, it leaves nothing out."""


class SweepProgress(msgspec.Struct, kw_only=True):
    """The progress of a sweep: entries met and deleted, without aliases; bytes of entries and aliases, approximately.

    `total` is how many the index listed when it began: a hint. `invalidations` are the ids it serves.
    """

    namespace: str
    invalidations: tuple[str, ...] = ()
    total: int = 0
    scanned: int = 0
    deleted: int = 0
    freed_bytes: int = 0
    duration_seconds: float = 0.0
    finished: bool = False


class Sweep:
    """One sweep of a namespace's slots. `rest` is the time it rests for each second it works.

    `on_begin` is called with the ids of the bans whose deleting begins now, before it does.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        on_begin: Callable[[Sequence[str]], None],
        on_batch: Callable[[SweepProgress], None],
        should_stop: Callable[[], bool],
        rest: float,
        pause: Callable[[float], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_begin = on_begin
        self._on_batch = on_batch
        self._should_stop = should_stop
        self._rest = rest
        self._batch = GENTLE_BATCH if rest else BATCH
        self._pause = pause

    def run(self, slots: Sequence[Slot], progress: SweepProgress) -> None:
        """Sweeps what is due in these slots; `progress.finished` says whether it came to the end."""
        started = time.monotonic()
        try:
            progress.finished = all(self._sweep(slot, progress) for slot in slots)
        finally:
            progress.duration_seconds = time.monotonic() - started
        self._on_batch(progress)

    def _sweep(self, slot: Slot, progress: SweepProgress) -> bool:
        record = self._store.record(slot)
        if record is None:
            return True
        due = self._due(slot)
        spent = [ban for ban in due if ban.state is BanState.TOMBSTONE]
        if spent:
            delete_selected(self._store, slot, record, spent, may_go_on=lambda: True, batch=self._batch)
            self._retire(slot, [ban.id for ban in spent])
        swept = self._begin(slot, [ban for ban in due if ban.state is not BanState.TOMBSTONE])
        if not swept:
            return True  # none are due, or they were undone or lost since they were looked at
        progress.invalidations = tuple(dict.fromkeys((*progress.invalidations, *(ban.id for ban in swept))))
        models = self._store.models(slot)
        progress.total += sum(models.values())
        is_done = (
            self._listed(slot, record, swept, models, progress)
            and self._named(slot, record, swept, progress)
            and self._pass(slot, record, swept, progress)
            and self._aside(slot, record, swept, progress)
        )
        if not is_done:
            return False
        self._retire(slot, [ban.id for ban in swept])
        return True

    def _due(self, slot: Slot) -> list[Ban]:
        """What is due now: bans whose entries may be deleted, those of an interrupted sweep included, and tombstones.

        A soft ban is due when hardly any entry it marks can still exist; a remaining one must not become fresh again.
        """
        now, due = self._clock(), list[Ban]()
        after: tuple[float, str] | None = None
        while page := self._store.bans(slot, after=after, until=now, limit=changes.MOST_CHANGED):
            due += page
            after = page[-1].ends_at, page[-1].id
            if len(due) >= MOST_SWEPT:
                break
        return due

    def _begin(self, slot: Slot, due: Sequence[Ban]) -> list[Ban]:
        """The bans that are being swept from here on."""
        swept: list[Ban] = []
        for page in _pages(due, changes.MOST_CHANGED):
            self._on_begin([ban.id for ban in page if ban.state is not BanState.SWEEPING])
            swept += self._store.change(slot, [ban.id for ban in page], changes.begin_sweep)
        return [ban for ban in swept if ban.state is BanState.SWEEPING]

    def _retire(self, slot: Slot, ids: Sequence[str]) -> None:
        for page in _pages(ids, RETIRED_AT_ONCE):
            self._store.change(slot, page, changes.retire)

    def _listed(
        self,
        slot: Slot,
        record: InvalidationRecord,
        swept: Sequence[Ban],
        models: Iterable[str],
        progress: SweepProgress,
    ) -> bool:
        """Deletes what the index lists and a model or an age selects; False when it was stopped."""
        for ban in _newest(ban for ban in swept if ban.criteria.is_listed):
            before = Stamp(record.incarnation, ban.sequence)
            created_before = ban.criteria.created_before
            for model in [ban.criteria.model] if ban.criteria.model is not None else models:
                batches = self._store.remove_model(
                    slot, model, before, created_before=created_before, batch=self._batch
                )
                if not self._remove(batches, progress):
                    return False
        return True

    def _remove(self, batches: Iterator[Removed], progress: SweepProgress) -> bool:
        """Has the store delete batch by batch; False when it was stopped."""
        while not self._should_stop():
            began = time.monotonic()
            removed = next(batches, None)
            if removed is None:
                return True
            progress.scanned += removed.entries
            self._count(removed, progress)
            self._on_batch(progress)
            self._rest_after(began)
        return False

    def _rest_after(self, began: float) -> None:
        if self._rest:
            self._pause((time.monotonic() - began) * self._rest)

    def _named(self, slot: Slot, record: InvalidationRecord, swept: Sequence[Ban], progress: SweepProgress) -> bool:
        """Deletes what keys name, and what the indexes of tags list; False as `_pass`."""
        by_key = [ban for ban in swept if ban.criteria.key is not None]
        keys = dict.fromkeys(digest for ban in by_key if (digest := ban.criteria.digest) is not None)
        keyed = map(ScanPage, self._at(slot, list(keys)))
        if not self._go_through(keyed, slot, record, by_key, progress, is_all=False, whole=True):
            return False
        tags: dict[str, int] = {}
        for ban in swept:
            if says_only_names(ban.criteria):
                for tag in ban.criteria.tags:
                    tags[tag] = max(ban.sequence, tags.get(tag, 0))
        if not tags:
            return True
        batches = self._store.remove_tags(slot, record.incarnation, tags, batch=self._batch)
        return self._remove(batches, progress)

    def _at(self, slot: Slot, digests: Sequence[bytes]) -> Iterator[list[Row]]:
        for start in range(0, len(digests), self._batch):
            page = digests[start : start + self._batch]
            values, _ = self._store.read(slot, page)
            yield [Row(digest=digest, value=value) for digest, value in zip(page, values, strict=True) if value]

    def _pass(self, slot: Slot, record: InvalidationRecord, swept: Sequence[Ban], progress: SweepProgress) -> bool:
        """Deletes what the bans match; False when it was stopped or the record is no longer the same."""
        whole = any(ban.criteria.needs_text for ban in swept)
        pages = self._pages(slot, record, swept, whole)
        return self._go_through(pages, slot, record, swept, progress, is_all=True, whole=whole)

    def _go_through(
        self,
        pages: Iterator[ScanPage],
        slot: Slot,
        record: InvalidationRecord,
        swept: Sequence[Ban],
        progress: SweepProgress,
        *,
        is_all: bool,
        whole: bool,
    ) -> bool:
        """Deletes of these pages what the bans match. `is_all`: they are of the pass, which meets everything."""
        book = Book(swept)
        began = time.monotonic()
        for page in pages:
            if self._should_stop():
                return False
            selected = []
            progress.scanned += page.left_out
            for row in page.rows:
                seen = self._summary(slot, row, whole)
                if seen is None:
                    continue
                progress.scanned += is_all and seen.target is None
                if seen.incarnation != record.incarnation or selects(book, seen):
                    selected.append((row.digest, seen))
            if any(seen.incarnation != record.incarnation for _, seen in selected):
                # Left over from a lost record, unless it was lost just now and these are the new one's.
                current = self._store.record(slot)
                if current is None or current.incarnation != record.incarnation:
                    return False
            if selected:
                removed = self._delete(slot, selected, progress)
                progress.scanned += 0 if is_all else removed.entries
            self._on_batch(progress)
            if page.rows or page.left_out:
                self._rest_after(began)
            began = time.monotonic()
        return True

    def _aside(self, slot: Slot, record: InvalidationRecord, swept: Sequence[Ban], progress: SweepProgress) -> bool:
        """Deletes of what lies aside what the bans match, once the pass has ended; False when it was stopped."""
        removed = delete_selected(
            self._store, slot, record, swept, may_go_on=lambda: not self._should_stop(), batch=self._batch
        )
        if removed is None:
            return False
        progress.scanned += removed.entries
        self._count(removed, progress)
        return True

    def _pages(self, slot: Slot, record: InvalidationRecord, swept: Sequence[Ban], whole: bool) -> Iterator[ScanPage]:
        """All that a ban may select, and perhaps more."""
        filters = filters_of(swept)
        unlisted = any(filters_of([ban])[0].matches_all for ban in swept if not ban.criteria.is_listed)
        if unlisted or len(filters) > MOST_FILTERS:
            return map(ScanPage, self._store.walk(slot, whole=whole))  # it would leave out little
        return self._store.scan_matching(slot, record.incarnation, filters, whole=whole, batch=self._batch)

    def _summary(self, slot: Slot, row: Row, whole: bool) -> EntrySummary | None:
        """The summary that criteria are compared with; None for bytes that no lookup would serve."""
        try:
            return codec.summarize(row.value, with_text=whole)
        except DecodeError:
            if whole:
                return None
        # Not enough of it was read, if the model's name is very long.
        [value], _ = self._store.read(slot, [row.digest])
        try:
            return codec.summarize(value, with_text=False) if value is not None else None
        except DecodeError:
            return None

    def _delete(self, slot: Slot, selected: Sequence[tuple[bytes, EntrySummary]], progress: SweepProgress) -> Removed:
        removals = [
            Removal(
                digest=digest,
                stamp=Stamp(seen.incarnation, seen.sequence),
                model=seen.model,
                created_at=seen.created_at if seen.target is None else None,
                tags=seen.tags,
            )
            for digest, seen in selected
        ]
        removed = self._store.remove(slot, removals)
        self._count(removed, progress)
        return removed

    @staticmethod
    def _count(removed: Removed, progress: SweepProgress) -> None:
        progress.deleted += removed.entries
        progress.freed_bytes += removed.bytes


def record_sweep(
    trail: AuditTrail, step: str, ids: Sequence[str], progress: SweepProgress, *, at: float, problem: str = ""
) -> None:
    """How far the common sweep of these invalidations has come: one audit record for each that a person has made, and
    at its end one for all that machines have made, however many those are."""
    by_people = trail.with_trail(ids)
    of_machines = len(ids) - len(by_people)
    details: dict[str, Any] = {}
    if step != "sweeping":
        details = {
            "deleted": progress.deleted,
            "freed_bytes": progress.freed_bytes,
            "scanned": progress.scanned,
            "duration_seconds": round(progress.duration_seconds, 3),
            "shared_with": len(ids) - 1,
        }
    if problem:
        details["problem"] = problem
    action = f"invalidate.{step}"
    for ban_id in by_people:
        trail.try_record(action, at=at, invalidation_id=ban_id, namespace=progress.namespace, details=details)
    if of_machines and step != "sweeping":
        summary = {"invalidations": of_machines} | details
        trail.try_record(action, at=at, is_summary=True, namespace=progress.namespace, details=summary)


def filters_of(swept: Iterable[Ban]) -> list[SweepFilter]:
    """What a pass looks for: one filter for all bans by tag, one for all by user, one for each model and so on.

    Of many keys it looks for any alias: what stands at a key itself is found without a pass.
    """
    newest: dict[SweepFilter, int] = {}
    for ban in swept:
        criteria = ban.criteria
        wanted = SweepFilter(
            sequence=0,
            created_before=criteria.created_before,
            model=criteria.model,
            digest=criteria.digest,
            substrings=required_substrings(criteria),
            tagged=bool(criteria.tags),
            owned=criteria.user is not None,
        )
        newest[wanted] = max(newest.get(wanted, 0), ban.sequence)
    by_key = [wanted for wanted in newest if wanted.digest is not None]
    if len(by_key) > MOST_KEYS:
        newest[SweepFilter(sequence=0, alias=True)] = max(newest.pop(wanted) for wanted in by_key)
    return [msgspec.structs.replace(wanted, sequence=sequence) for wanted, sequence in newest.items()]


def _pages(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _newest(swept: Iterable[Ban]) -> list[Ban]:
    """Of bans that select the same, the newest one: it selects all that the others do."""
    newest: dict[Criteria, Ban] = {}
    for ban in swept:
        known = newest.get(ban.criteria)
        if known is None or known.sequence < ban.sequence:
            newest[ban.criteria] = ban
    return list(newest.values())
