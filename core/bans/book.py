"""The bans of a bucket as a process keeps them: found by the names of an entry, whatever their number.

A Book only ever gains bans. What takes one away, or makes it decide less, makes another Book. So whoever holds a Book
that had all bans of a moment goes on having them all, while another thread brings the bucket's Book on: nobody needs a
lock to look, and what is added meanwhile can only hide more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from .ban import Ban, BanState
from .criteria import Selectable
from .names import Kind, Name, filed_under, named, says_only_names

MOST_MARKS = 16
"""Moments that a Book is known to cover: threads that have read another one lately find it here."""


class Visibility(StrEnum):
    """Whether an invalidation record lets an entry be served; UNKNOWN while its bans are being loaded."""

    FRESH = "fresh"
    STALE = "stale"
    HIDDEN = "invalidated"
    FOREIGN = "incarnation"
    UNKNOWN = "bans-loading"


class _Filed(msgspec.Struct, frozen=True, gc=False):
    """One ban as it is filed. `ban` is None where its names say all; then it is not looked at again."""

    id: str
    sequence: int
    is_soft: bool
    names: tuple[Name, ...]
    ban: Ban | None

    def verdict(self, sequence: int, header: Selectable, prompt: str, tags: tuple[str, ...]) -> Visibility:
        """What it says of an entry that has one of its names."""
        if self.sequence <= sequence:
            return Visibility.FRESH
        if self.ban is not None and not self.ban.criteria.matches(header, prompt, tags):
            return Visibility.FRESH
        return Visibility.STALE if self.is_soft else Visibility.HIDDEN


class _Shelf:
    """Several bans of one name: the highest sequence of each kind decides, the rest is kept for when it is gone."""

    __slots__ = ("_hard", "_others", "_soft", "filed")

    def __init__(self, filed: Iterable[_Filed]) -> None:
        self.filed: dict[str, _Filed] = {}
        self._others: list[_Filed] = []
        self._hard = self._soft = 0
        for each in filed:
            self.add(each)

    def add(self, filed: _Filed) -> None:
        """Files one more ban."""
        self.filed[filed.id] = filed
        if filed.ban is not None:
            self._others.append(filed)
        elif filed.is_soft:
            self._soft = max(self._soft, filed.sequence)
        else:
            self._hard = max(self._hard, filed.sequence)

    @property
    def sequence(self) -> int:
        """The highest sequence of them."""
        return max(self._hard, self._soft, *(filed.sequence for filed in self._others), 0)

    def verdict(self, sequence: int, header: Selectable, prompt: str, tags: tuple[str, ...]) -> Visibility:
        """What they say together of an entry that has their name."""
        if self._hard > sequence:
            return Visibility.HIDDEN
        result = Visibility.STALE if self._soft > sequence else Visibility.FRESH
        for filed in self._others:
            seen = filed.verdict(sequence, header, prompt, tags)
            if seen is Visibility.HIDDEN:
                return seen
            if seen is Visibility.STALE:
                result = seen
        return result


class Book:
    """Bans by the names of what they select, and a short list of those that have to be compared with everything."""

    __slots__ = ("_filed", "_listed", "_named")

    def __init__(self, bans: Iterable[Ban] = ()) -> None:
        self._filed: dict[str, _Filed] = {}
        self._named: dict[Kind, dict[str | bytes | None, _Filed | _Shelf]] = {}
        self._listed: _Shelf | None = None
        for ban in bans:
            self._add(ban)

    def __len__(self) -> int:
        return len(self._filed)

    def verdict(self, sequence: int, header: Selectable, prompt: str, tags: tuple[str, ...]) -> Visibility:
        """Whether an entry stored at this sequence is FRESH, marked STALE, or HIDDEN."""
        result = Visibility.FRESH
        for kind, filed in self._named.items():
            names = tags if kind == "tag" else named(kind, header, tags)
            if filed.keys().isdisjoint(names):
                continue  # as nearly always: in C
            for value in names:
                found = filed.get(value)
                if found is None:
                    continue
                seen = found.verdict(sequence, header, prompt, tags)
                if seen is Visibility.HIDDEN:
                    return seen
                if seen is Visibility.STALE:
                    result = seen
        if self._listed is None:
            return result
        seen = self._listed.verdict(sequence, header, prompt, tags)
        return seen if seen is not Visibility.FRESH else result

    def latest(self, names: Iterable[Name]) -> int:
        """The sequence of the latest ban that may be of an answer with these names; 0 when none may."""
        found = [self._named.get(kind, {}).get(value) for kind, value in names]
        return max((each.sequence for each in (*found, self._listed) if each is not None), default=0)

    def with_changes(self, changes: Mapping[str, Ban | None]) -> Book:
        """The Book after changes, by the ids of the bans: each as it is now, or None when it is gone.

        It is this very one, which has gained them, unless one of its bans is gone or decides less: then another.
        """
        lost = {
            ban_id
            for ban_id, ban in changes.items()
            if (filed := self._filed.get(ban_id)) is not None and not _decides_alike(filed, ban)
        }
        book = self._without(lost) if lost else self
        for ban_id, ban in changes.items():
            if ban is not None and ban_id not in book._filed:
                book._add(ban)
        return book

    def _add(self, ban: Ban) -> None:
        filed = _file(ban)
        for kind, value in filed.names:
            of_kind = self._named.get(kind)
            if of_kind is None:
                # Another dict in its place, since others may be going through this one.
                self._named = {**self._named, kind: {value: filed}}
            elif (present := of_kind.get(value)) is None:
                of_kind[value] = filed
            elif isinstance(present, _Shelf):
                present.add(filed)
            else:
                of_kind[value] = _Shelf((present, filed))
        if not filed.names:
            if self._listed is None:
                self._listed = _Shelf((filed,))
            else:
                self._listed.add(filed)
        self._filed[ban.id] = filed

    def _without(self, ban_ids: set[str]) -> Book:
        """Another Book without these bans. What both have they share: this one is brought on no more."""
        book = Book()
        book._filed = self._filed.copy()
        gone = [book._filed.pop(ban_id) for ban_id in ban_ids]
        names = {name for filed in gone for name in filed.names}
        copied = {kind: self._named[kind].copy() for kind in {kind for kind, _ in names}}
        for kind, value in names:
            present = copied[kind].pop(value)
            if isinstance(present, _Shelf) and (rest := _rest(present, ban_ids)):
                copied[kind][value] = rest[0] if len(rest) == 1 else _Shelf(rest)
        book._named = {kind: filed for kind, filed in (self._named | copied).items() if filed}
        if self._listed is not None and (listed := _rest(self._listed, ban_ids)):
            book._listed = _Shelf(listed)
        return book


def _file(ban: Ban) -> _Filed:
    names = filed_under(ban.criteria)
    looked_at = None if says_only_names(ban.criteria) else ban
    return _Filed(ban.id, ban.sequence, ban.state is BanState.SOFT, names, looked_at)


def _decides_alike(filed: _Filed, ban: Ban | None) -> bool:
    """Whether a ban that is filed already decides what it decided: criteria and sequence of an id never change."""
    return ban is not None and filed.sequence == ban.sequence and filed.is_soft is (ban.state is BanState.SOFT)


def _rest(shelf: _Shelf, ban_ids: set[str]) -> list[_Filed]:
    return [filed for ban_id, filed in shelf.filed.items() if ban_id not in ban_ids]


class Logged(msgspec.Struct, frozen=True, gc=False):
    """One change of a bucket's bans: its number, its mark, and each ban as it is from then on, or None when gone."""

    revision: int
    mark: bytes
    bans: Mapping[str, Ban | None]


class BookAt(msgspec.Struct, frozen=True):
    """A Book, and the moments of a bucket's history that it has all bans of.

    `marks` has these moments: the marks of the changes that led to them, by their revisions. They are the latest ones
    only, and none from before the Book lost a ban.
    """

    incarnation: bytes
    revision: int
    book: Book
    marks: Mapping[int, bytes]

    @classmethod
    def of(cls, incarnation: bytes, revision: int, mark: bytes, bans: Iterable[Ban]) -> BookAt:
        """A new Book that has the bans of one moment."""
        return cls(incarnation, revision, Book(bans), {revision: mark})

    def covers(self, incarnation: bytes, revision: int, mark: bytes) -> bool:
        """Whether the Book has all bans of a moment.

        Marks tell apart two histories that count alike: a server that takes over may lack the last changes, and goes
        on from there with others.
        """
        return self.incarnation == incarnation and self.marks.get(revision) == mark

    def brought_to(self, revision: int, mark: bytes, log: Sequence[Logged]) -> BookAt | None:
        """The Book brought to a later moment of its bucket by the log of changes, from the one it has last onwards.

        None when the log does not have all of them, or is of another history: then only a new Book will do.
        """
        between = changes_between((self.revision, self.marks[self.revision]), (revision, mark), log)
        if between is None:
            return None
        changes: dict[str, Ban | None] = {}
        marks = dict(self.marks)
        only_gains = True
        for each in between:
            changes.update(each.bans)
            marks[each.revision] = each.mark
            only_gains = only_gains and None not in each.bans.values()
        book = self.book.with_changes(changes)
        if book is not self.book or not only_gains:
            marks = {revision: mark}
        elif len(marks) > 2 * MOST_MARKS:
            marks = dict(list(marks.items())[-MOST_MARKS:])
        return BookAt(self.incarnation, revision, book, marks)


Moment = tuple[int, bytes]
"""A moment in the history of a bucket's bans: a revision, and the mark of the change that led to it."""


def changes_between(first: Moment, last: Moment, log: Sequence[Logged]) -> list[Logged] | None:
    """The changes after one moment up to another, both as they stand in the log; None when it does not have them all.

    The first moment must stand there too, unless it is that before any change: else the log may be of a history that
    only counts alike.
    """
    if first == last:
        return []
    at = first
    is_joined = first[0] == 0
    between = []
    for each in log:
        if each.revision == first[0]:
            is_joined = each.mark == first[1]
        elif first[0] < each.revision <= last[0]:
            if not is_joined or each.revision != at[0] + 1:
                return None
            at = each.revision, each.mark
            between.append(each)
    return between if at == last else None
