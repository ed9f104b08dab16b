"""The bans of each bucket as this process has them, and how they are brought on: a few at once, very many on a thread.

Reads that find a record whose bans are not here ask for them in their next round trip. That would take too long where
there are a great many, or where a great many have changed: these are loaded beside, and lookups miss meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
import redis
from cachetools import TTLCache

from ...bans import (
    NO_MARK,
    Ban,
    BookAt,
    InvalidationRecord,
    Logged,
    changes_between,
    decode_ban,
    decode_record,
    encode_record,
)
from ...concurrency import BackgroundWorker, begin_in_each_process
from ...errors import CacheError, DecodeError
from ...keys import Slot
from .cluster import servers_of
from .failures import reading, writing
from .script import Script, load_script

logger = logging.getLogger("encore.store")

MARK_BYTES: Final = len(NO_MARK)
LOGGED: Final = 10_000
"""Changes that a bucket's log keeps, at least."""
MOST_INLINE: Final = 1000
"""Bans, or changes of them, that a lookup fetches in its own round trip. More are loaded beside."""
MOST_BOOKS: Final = 4096
"""Buckets whose records and bans are kept: callers may name any namespace."""
LOADS: Final = 5
"""How often a load is begun again whose log was cut, or whose record was lost, before it is done."""
SCAN_PAGE: Final = 1000
LOG_PAGE: Final = 500
TOLD_SECONDS: Final = 60.0
"""The same is told of the same bucket once in so long: lookups ask again and again."""

_FORGET = Script(load_script(__file__, "forget"))

Kept = tuple[bytes, InvalidationRecord]


class Books:
    """Records as they were read last, and the Books of their buckets. Thread-safe; a forked child begins with none.

    `client` is for loading on a thread of its own: it may have more patience than a request.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._servers = servers_of(client)
        self._worker = BackgroundWorker(self._load_wanted, name="encore-bans", every_seconds=1.0)
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self.read: dict[bytes, Kept] = {}
        """By the record's name: its bytes as they were read last, and what they say, with its bans."""
        self._lock = threading.Lock()
        self._loaded = threading.Condition(self._lock)
        self._books: dict[bytes, BookAt] = {}
        self._wanted: dict[bytes, Slot] = {}
        self._told = TTLCache[tuple[bytes, str], bool](MOST_BOOKS, TOLD_SECONDS)

    def known(self, slot: Slot, line: bytes) -> InvalidationRecord | None:
        """The record in these bytes, with its bans if they are here. None for bytes that are no record."""
        try:
            record = decode_record(line)
        except DecodeError:
            return None
        with self._lock:
            at = self._books.get(slot.record)
            if record.active == 0:
                if at is None or at.incarnation != record.incarnation or at.revision < record.revision:
                    self._put(slot, BookAt.of(record.incarnation, record.revision, record.mark, ()))
            elif at is None or not at.covers(record.incarnation, record.revision, record.mark):
                return record
            else:
                record = msgspec.structs.replace(record, book=at.book)
            return self._keep(slot, line, record)

    def before(self, slot: Slot, record: InvalidationRecord) -> BookAt | None:
        """The bucket's Book if it is of the record's history, as far as can be told without its log."""
        at = self._books.get(slot.record)
        return at if at is not None and at.incarnation == record.incarnation else None

    def bring_on(
        self, slot: Slot, line: bytes, record: InvalidationRecord, log: Sequence[Logged]
    ) -> InvalidationRecord | None:
        """The record with its bans, to which the log brings the bucket's Book; None when that does not suffice."""
        with self._lock:
            at = self._books.get(slot.record)
            if at is None or at.incarnation != record.incarnation:
                return None
            if not at.covers(record.incarnation, record.revision, record.mark):
                at = at.brought_to(record.revision, record.mark, log)
                if at is None or len(at.book) != record.active:
                    return None
                self._put(slot, at)
            return self._keep(slot, line, msgspec.structs.replace(record, book=at.book))

    def put(self, slot: Slot, record: InvalidationRecord, bans: Sequence[bytes]) -> bool:
        """Keeps all bans of the record's moment, as they are stored; False when these are not all, or not readable."""
        try:
            at = BookAt.of(record.incarnation, record.revision, record.mark, map(decode_ban, bans))
        except DecodeError:
            return False
        if len(at.book) != record.active:
            return False
        with self._lock:
            self._put(slot, at)
        return True

    def _keep(self, slot: Slot, line: bytes, record: InvalidationRecord) -> InvalidationRecord:
        if len(self.read) >= MOST_BOOKS:
            self.read = {}
        self.read[slot.record] = line, record
        return record

    def _put(self, slot: Slot, at: BookAt) -> None:
        if len(self._books) >= MOST_BOOKS:
            self._books = {}
        self._books[slot.record] = at

    def forget(self, slot: Slot) -> None:
        """Forgets the record and the bans of a bucket."""
        with self._lock:
            self.read.pop(slot.record, None)
            self._books.pop(slot.record, None)

    def forget_record(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes a bucket's record and bans by one script, if it is still the one that was seen."""
        keys = [slot.record, slot.models, slot.bans, slot.changes, slot.due, slot.aside]
        with writing():
            gone = bool(_FORGET(self._servers, keys, [encode_record(seen)]))
        if gone:
            self.forget(slot)
        return gone

    def forget_torn(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes a record that has lost bans, if it is still the one that was seen.

        Nothing that is stored under it can be trusted any more.
        """
        gone = self.forget_record(slot, seen)
        if gone:
            self._tell(slot, "invalidations of a namespace were lost, by an eviction perhaps: its cache starts anew")
        return gone

    def _tell(self, slot: Slot, text: str, *arguments: object) -> None:
        """Warns, unless the same was told of the bucket lately."""
        with self._lock:
            if (slot.record, text) in self._told:
                return
            self._told[slot.record, text] = True
        logger.warning(text, *arguments)

    # Beside

    def want(self, slot: Slot) -> None:
        """Has the bans of a bucket loaded on a thread, unless they are being loaded. Returns at once."""
        with self._lock:
            if slot.record in self._wanted:
                return
            self._wanted[slot.record] = slot
        self._worker.wake()

    def wait(self, slot: Slot, seconds: float) -> bool:
        """Whether the load of a bucket's bans has ended within `seconds`. Blocks until then."""
        with self._loaded:
            return self._loaded.wait_for(lambda: slot.record not in self._wanted, seconds)

    def close(self) -> None:
        """Loads no more."""
        self._worker.stop(0)

    def _load_wanted(self) -> bool:
        with self._lock:
            wanted = list(self._wanted.values())
        for slot in wanted:
            try:
                with reading():
                    self._load(slot)
            except CacheError as error:
                self._tell(slot, "the invalidations of a namespace are not loaded, so it serves nothing yet: %s", error)
            finally:
                with self._loaded:
                    self._wanted.pop(slot.record, None)
                    self._loaded.notify_all()
        return bool(wanted)

    def _load(self, slot: Slot) -> None:
        for _ in range(LOADS):
            line = self._line(slot)
            record = None if line is None else self.known(slot, line)
            if line is None or record is None or record.is_complete:
                return
            if self._is_brought_on(slot, line, record):
                return
            # Of a record that has moved on meanwhile the number says nothing: it is then not the one that was seen.
            if self._client.hlen(slot.bans) != record.active and self.forget_torn(slot, record):
                return
            if self._is_loaded(slot, record):
                return
        self._tell(slot, "the invalidations of a namespace change faster than they are loaded")

    def _line(self, slot: Slot) -> bytes | None:
        return cast("bytes | None", self._client.get(slot.record))

    def _is_brought_on(self, slot: Slot, line: bytes, record: InvalidationRecord) -> bool:
        """Whether a Book that is behind came to the record by the log."""
        at = self.before(slot, record)
        if at is None or not 0 <= record.revision - at.revision < LOGGED:
            return False
        return self.bring_on(slot, line, record, self._log(slot, at.revision, record.revision)) is not None

    def _is_loaded(self, slot: Slot, record: InvalidationRecord) -> bool:
        """Whether all bans were loaded: by pages, which are of many moments, and then what has changed meanwhile."""
        bans: dict[str, Ban] = {}
        cursor = 0
        while True:
            reply = self._client.hscan(slot.bans, cursor, count=SCAN_PAGE)
            cursor, page = cast("tuple[int, dict[bytes, bytes]]", reply)
            bans.update({ban_id.decode(): decode_ban(ban) for ban_id, ban in page.items()})
            if cursor == 0:
                break
        line = self._line(slot)
        now = None if line is None else self.known(slot, line)
        if now is None or now.incarnation != record.incarnation:
            return False
        log = self._log(slot, record.revision, now.revision)
        between = changes_between((record.revision, record.mark), (now.revision, now.mark), log)
        if between is None:
            return False
        for change in between:
            for ban_id, ban in change.bans.items():
                if ban is None:
                    bans.pop(ban_id, None)
                else:
                    bans[ban_id] = ban
        if len(bans) != now.active:
            return False
        at = BookAt.of(now.incarnation, now.revision, now.mark, bans.values())
        with self._lock:
            self._put(slot, at)
        return True

    def _log(self, slot: Slot, first: int, last: int) -> list[Logged]:
        """The log from one revision to another, as far as it is there."""
        found: list[Logged] = []
        while first <= last:
            page = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                self._client.xrange(slot.changes, f"{first}-0", f"{last}-0", count=LOG_PAGE),
            )
            changes = _logged(((name, fields.items()) for name, fields in page), 0)
            found += changes
            if len(changes) < LOG_PAGE:
                break
            first = changes[-1].revision + 1
        return found


def logged(reply: Sequence[Any], after: int) -> list[Logged]:
    """The changes in a bare reply to XRANGE, up to the first that cannot be read; bans of those after a revision."""
    return _logged(((name, zip(fields[::2], fields[1::2], strict=True)) for name, fields in reply), after)


def _logged(elements: Iterable[tuple[bytes, Iterable[tuple[bytes, bytes]]]], after: int) -> list[Logged]:
    """Changes as the script `note` writes them: a field without a name, then the bans by their ids."""
    found = []
    for name, fields in elements:
        try:
            (_, head), *bans = fields
            revision = int(name[:-2])
            if revision <= after:
                bans = []
            changed = {ban_id.decode(): decode_ban(ban) if ban else None for ban_id, ban in bans}
            found.append(Logged(revision, head[:MARK_BYTES], changed))
        except (DecodeError, ValueError):
            break
    return found
