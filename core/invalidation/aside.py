"""What lies aside, for an undo to put it back and for a sweep to delete it (see `core.stores.aside`).

An undo restores the answer that its ban hid: what was asked anew meanwhile is replaced. A value goes back only when no
ban hides it any more; if another one does, it waits for the undo of that one too. So it does while a ban marks it stale
and a fresh answer stands in its place. A sweep deletes what its bans select before they retire, so what waits is never
older than a ban that is gone but by undo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..bans import Ban, BanState, Book, InvalidationRecord, Visibility, visibility
from ..errors import CacheError, DecodeError
from ..keys import Slot
from ..models import CacheEntry, Stamp
from ..stores import Aside, EntrySummary, Removal, Removed, Return, Store, codec

TRIES = 16
"""How often a value is looked at again whose place or bans change meanwhile."""


class PutBack(msgspec.Struct, frozen=True, kw_only=True):
    """What an undo found that had been asked anew: answers put back in the place of newer ones, and answers, at most,
    that keep the newer one because the one before is gone. `problem` says what went wrong: then there may be more."""

    answers: int = 0
    gone: int = 0
    problem: str = ""


def put_back(store: Store, lifted: Sequence[tuple[Slot, Ban]], now: float) -> PutBack:
    """Puts back what bans hid that have been undone, each in its bucket. `now` is in Unix seconds."""
    answers, gone, problem = 0, 0, ""
    for slot, ban in lifted:
        undo = _Undo(store, slot, ban, now)
        try:
            undo.run()
        except CacheError as error:
            problem = f"some of what was answered again may keep the newer answer ({error})"
        answers += len(undo.answers)
        gone += undo.gone
    return PutBack(answers=answers, gone=gone, problem=problem)


class _Undo:
    """The undo of one ban in one bucket, once it has been lifted."""

    def __init__(self, store: Store, slot: Slot, lifted: Ban, now: float) -> None:
        self._store = store
        self._slot = slot
        self._lifted = lifted
        self._now = now
        self.answers: set[bytes] = set()
        self.gone = 0

    def run(self) -> None:
        """Goes through all that lies aside. Raises StoreUnavailable and the like."""
        aliases: list[tuple[Aside, CacheEntry]] = []
        for batch in self._store.walk_aside(self._slot):
            for aside in batch:
                if aside.put_at is not None and aside.put_at < self._lifted.sequence:
                    continue  # the ban came later: it did not hide this when another answer was stored
                if aside.put_at is not None and self._lifted.state is BanState.SOFT:
                    continue  # it has hidden nothing: only what an undo has asked for can wait for it
                if aside.value is None:
                    self.gone += self._is_lost(aside)
                    self._store.drop_aside(self._slot, [aside.field])
                    continue
                entry = _decoded(aside.value)
                if entry is None:
                    continue
                if entry.header.target is not None:
                    aliases.append((aside, entry))
                elif aside.put_at is None or self._hid(entry):
                    self._settle(aside, entry)
        # Entries first: an alias goes back where the answer that it leads to is there. Of aliases the latest first:
        # each takes away the answer that came with the one whose place it takes.
        aliases.sort(key=lambda each: each[1].header.sequence, reverse=True)
        for aside, alias in aliases:
            if aside.put_at is None or self._hid(alias) or self._hid(self._entry_at(alias.header.target)):
                self._settle(aside, alias)

    def _hid(self, entry: CacheEntry | None) -> bool:
        """Whether the ban hid an entry or alias."""
        if entry is None or entry.header.sequence >= self._lifted.sequence:
            return False
        return self._lifted.criteria.matches(entry.header, entry.prompt, entry.tags)

    def _entry_at(self, digest: bytes | None) -> CacheEntry | None:
        if digest is None:
            return None
        [value], _ = self._store.read(self._slot, [digest])
        return _decoded(value)

    def _is_lost(self, aside: Aside) -> bool:
        """Whether an answer is gone before its time that the ban may have hidden."""
        sequence = int(aside.field.rpartition(b":")[2])
        return (
            bool(aside.row)
            and aside.put_at is not None
            and sequence < self._lifted.sequence
            and (self._now < aside.ends_at)
        )

    def _settle(self, aside: Aside, entry: CacheEntry) -> None:
        """Puts one value back, or has it wait while another ban hides it or what it leads to.

        A stale one takes the place of no fresh one: that would be lost, and the question asked once more.
        """
        header = entry.header
        for _ in range(TRIES):
            values, record = self._store.read(self._slot, [header.digest, header.target or header.digest])
            present, target = map(_decoded, values)
            if header.target is None:
                target = entry
            if record is None or target is None:
                break
            seen = visibility(entry, record), visibility(target, record)
            if Visibility.FOREIGN in seen:
                break
            is_kept = self._is_fresh(present, record)
            if Visibility.HIDDEN in seen or (is_kept and Visibility.STALE in seen):
                if self._store.keep_for_undo(self._slot, aside, record):
                    return
                continue
            if values[0] is not None and (present is None or present.header.sequence < header.sequence):
                break  # what is older is nearer to what there was before any ban
            if is_kept and header.fresh_until <= self._now:
                break
            back = Return(
                aside=aside,
                stamp=_stamp(entry),
                instead_of=None if present is None else _stamp(present),
                record=record,
                model=header.model,
                created_at=header.created_at if header.target is None else None,
                tags=entry.tags,
            )
            if Visibility.UNKNOWN not in seen and self._store.put_back(self._slot, back):
                if header.target is None:
                    self.answers.add(header.digest)
                elif present is not None:
                    self._remove_newer(entry, present)
                return
        else:
            self.gone += header.target is None
            return
        self._store.drop_aside(self._slot, [aside.field])

    def _is_fresh(self, present: CacheEntry | None, record: InvalidationRecord) -> bool:
        """Whether what stands in a place can be served to everyone."""
        if present is None or present.header.fresh_until <= self._now:
            return False
        return visibility(present, record) is Visibility.FRESH

    def _remove_newer(self, alias: CacheEntry, replaced: CacheEntry) -> None:
        """Removes the answer that was stored with the alias in the place of another: its own spelling would find it."""
        newer = None if replaced.header.target == alias.header.target else self._entry_at(replaced.header.target)
        if newer is None or newer.header.target is not None or _stamp(newer) != _stamp(replaced):
            return
        header = newer.header
        if header.created_at == replaced.header.created_at:
            removal = Removal(
                digest=header.digest,
                stamp=_stamp(newer),
                model=header.model,
                created_at=header.created_at,
                tags=newer.tags,
            )
            if self._store.remove(self._slot, [removal]).entries:
                self.answers.add(header.digest)


def _stamp(entry: CacheEntry) -> Stamp:
    return Stamp(entry.header.incarnation, entry.header.sequence)


def _decoded(value: bytes | None) -> CacheEntry | None:
    try:
        return codec.decode_entry(value) if value is not None else None
    except DecodeError:
        return None


def delete_selected(
    store: Store,
    slot: Slot,
    record: InvalidationRecord,
    swept: Sequence[Ban],
    *,
    may_go_on: Callable[[], bool],
    batch: int,
) -> Removed | None:
    """Deletes of what lies aside all that these bans select, and what is of another record; None when it was stopped.

    Begin it when the pass over everything has ended: until then a value can still be put aside that they select.
    """
    book, total, newest = Book(swept), Removed(), max(ban.sequence for ban in swept)
    for page in store.walk_aside(slot, batch=batch):
        if not may_go_on():
            return None
        fields: list[bytes] = []
        entries = aliases = 0
        for aside in page:
            seen = _summary(aside.value)
            if seen is not None and seen.incarnation == record.incarnation and not selects(book, seen):
                continue
            if aside.value is None and (aside.put_at or 0) > newest:
                continue  # an undo tells that it is gone
            fields.append(aside.field)
            entries += seen is not None and seen.target is None
            aliases += seen is not None and seen.target is not None
        freed = store.drop_aside(slot, fields)
        total += Removed(entries=entries, aliases=aliases, bytes=freed)
    return total


def _summary(value: bytes | None) -> EntrySummary | None:
    try:
        return codec.summarize(value, with_text=True) if value is not None else None
    except DecodeError:
        return None


def selects(swept: Book, seen: EntrySummary) -> bool:
    """Whether one of these bans is newer than the entry and matches it."""
    return swept.verdict(seen.sequence, seen, seen.prompt, seen.tags) is not Visibility.FRESH
