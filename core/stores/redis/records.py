"""Invalidation records and bans on Redis: read in one round trip, changed by one script each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, cast

import msgspec
import redis

from ...bans import (
    MOST_LISTED,
    SEQUENCE_DIGITS,
    Ban,
    Change,
    InvalidationRecord,
    changes,
    decode_ban,
    decode_record,
    digests_of,
    encode_ban,
    encode_record,
    filed_under,
    new_mark,
    new_record,
)
from ...errors import CacheError, DecodeError, InvalidationRefused
from ...keys import Slot, names
from .books import LOGGED, MOST_INLINE, SCAN_PAGE, Books, logged
from .connection import packed
from .failures import reading, translated, writing
from .index import RedisIndex
from .script import Script, load_script
from .servers import OneServer

WAIT_SECONDS = 0.5
"""Of one WAIT: the console's clients have patience for a second."""
LOAD_SECONDS: Final = 60.0
"""The longest wait for very many bans, where someone waits for them: no request does."""
READS: Final = 4
"""Further round trips of one read while bans change all the time; then it is a miss."""
READ_SECONDS: Final = 0.01
"""After it a read that nobody waits for makes no further trip: each may take as long as a request has patience."""
LISTED: Final = b"*"
"""In the place of the names of a ban that has none: it may be of any entry."""

RECORD = load_script(__file__, "record", LOGGED=LOGGED)
_ENSURE = Script(RECORD + load_script(__file__, "ensure"))
APPEND = load_script(__file__, "append")
_APPEND = Script(RECORD + APPEND)
_CHANGE = Script(RECORD + load_script(__file__, "change"))
_SWAP = Script(load_script(__file__, "swap"))
_LIST_DUE = Script(load_script(__file__, "list_due"))

Values = list[bytes | None]


class RedisRecords(RedisIndex):
    """A `RecordStore` on one Redis or a cluster. Threads may share it.

    `books` are the bans that this process has. `waits`: a read waits for very many bans that are not here yet, where
    otherwise it gives the record without them.
    """

    def __init__(self, client: redis.Redis, *, books: Books | None, waits: bool) -> None:
        super().__init__(client)
        self._books = books or Books(client)
        self._closes_books = books is None
        self._waits = waits

    # Reading

    def read(self, slot: Slot, digests: Sequence[bytes]) -> tuple[Values, InvalidationRecord | None]:
        """The values at these digests, None where there is none, and the slot's record with its bans.

        One MGET; where bans have changed since this process looked, once more together with these.
        """
        try:
            values: Values = self._servers.ask(slot.record, _read_command(slot, tuple(digests)))
        except redis.RedisError as error:
            raise translated(error, writing=False) from error
        line = values.pop()
        if line is None:
            return values, None
        known = self._books.read.get(slot.record)
        if known is not None and known[0] == line:
            return values, known[1]
        with reading():
            return self._with_bans(slot, tuple(digests), values, line)

    def _with_bans(
        self, slot: Slot, digests: tuple[bytes, ...], values: Values, line: bytes | None
    ) -> tuple[Values, InvalidationRecord | None]:
        """Values and record of a later moment, with the bans of that very moment.

        The values that were read first will not do: a ban that hid them may have come and gone since.
        """
        books, has_log = self._books, True
        record = None if line is None else books.known(slot, line)
        deadline = time.monotonic() + READ_SECONDS
        for turn in range(READS):
            is_late = turn > 0 and not self._waits and time.monotonic() > deadline
            if record is None or record.is_complete or is_late:
                break
            at = books.before(slot, record) if has_log else None
            if at is not None and record.revision - at.revision <= MOST_INLINE:
                count = max(0, record.revision - at.revision) + MOST_INLINE // 2
                ask = [b"XRANGE", slot.changes, b"%d-0" % at.revision, b"+", b"COUNT", b"%d" % count]
                values, log = self._ask_all(slot, _read_command(slot, digests) + packed(ask), 2)
                if (now := values.pop()) != line:
                    line, record = now, None if now is None else books.known(slot, now)
                if line is not None and record is not None and not record.is_complete:
                    has_log = record.revision >= at.revision  # else a server took over that had seen less
                    if has_log and (complete := books.bring_on(slot, line, record, logged(log, at.revision))):
                        return values, complete
                    has_log = has_log and books.before(slot, record) is not at  # another thread has gone further
            elif record.active <= MOST_INLINE:
                commands = _read_command(slot, digests) + packed([b"HVALS", slot.bans]) + packed([b"GET", slot.record])
                values, bans, after = self._ask_all(slot, commands, 3)
                line = values.pop()
                record = None if line is None else books.known(slot, line)
                if record is not None and not record.is_complete and line == after:  # so nothing came in between
                    if not books.put(slot, record, bans):
                        with suppress(CacheError):
                            books.forget_torn(slot, record)
                        return values, None
                    record = books.known(slot, cast("bytes", line))
            else:
                books.want(slot)
                if not self._waits or not books.wait(slot, LOAD_SECONDS):
                    break
                values = self._servers.ask(slot.record, _read_command(slot, digests))
                line = values.pop()
                record, has_log = None if line is None else books.known(slot, line), True
        return values, record

    def _ask_all(self, slot: Slot, commands: bytes, count: int) -> list[Any]:
        """The replies to packed commands, in one round trip. Raises redis.RedisError when one is an error."""
        replies = self._servers.ask_all(slot.record, commands, count)
        for reply in replies:
            if isinstance(reply, redis.RedisError):
                raise reply
        return replies

    def record(self, slot: Slot) -> InvalidationRecord | None:
        """The slot's record without its bans."""
        with reading():
            return _decoded(self._ask(slot.record, b"GET"))

    def ban(self, slot: Slot, ban_id: str) -> Ban | None:
        """The active ban with this id; None when there is none."""
        return next(iter(self.bans_of(slot, [ban_id])), None)

    def bans_of(self, slot: Slot, ids: Sequence[str]) -> list[Ban]:
        """The active bans that have one of these ids. One round trip."""
        if not ids:
            return []
        with reading():
            found = self._ask(slot.bans, b"HMGET", *(ban_id.encode() for ban_id in ids))
        return [decode_ban(value) for value in found if value is not None]

    def bans(
        self, slot: Slot, *, after: tuple[float, str] | None = None, until: float | None = None, limit: int = 500
    ) -> list[Ban]:
        """A page of active bans by when they end, then by their ids. Two round trips."""
        lowest = "-inf" if after is None else repr(after[0])
        highest = "+inf" if until is None else repr(until)
        ids: list[bytes] = []
        offset = 0
        with reading():
            while len(ids) < limit:
                reply = self._client.zrange(
                    slot.due, lowest, highest, byscore=True, offset=offset, num=limit, withscores=True
                )
                rows = cast("list[tuple[bytes, float]]", reply)
                # Those that end at the very moment of `after` come first again: those that were had are left out.
                ids += [ban_id for ban_id, end in rows if after is None or (end, ban_id.decode()) > after]
                offset += limit
                if len(rows) < limit:
                    break
            found = self._ask(slot.bans, b"HMGET", *ids[:limit]) if ids else []
        return [decode_ban(value) for value in found if value is not None]

    def _ask(self, name: bytes, command: bytes, *words: bytes) -> Any:
        """Straight to the server that has the name: a cluster's client would sleep while its cluster is down."""
        return self._servers.ask(name, packed([command, name, *words]))

    # Changing

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record, made with a new random incarnation when there is none (or none that can be read)."""
        with writing():
            keys = [slot.record, slot.bans, slot.changes, slot.due]
            line = _ENSURE(self._servers, keys, [encode_record(new_record())])
            self._list_namespace(slot)  # after it: see `unlist`
        return decode_record(line)

    def append(self, slot: Slot, ban: Ban, remove: bytes | None = None) -> tuple[InvalidationRecord, Ban]:
        """Appends a ban by one script, which gives it its sequence."""
        removed = slot.nothing if remove is None else slot.entry(remove)
        outcome, line, *rest = self._appended(_APPEND, slot, ban, [removed])
        record = decode_record(line)
        if outcome == b"appended":
            return record, msgspec.structs.replace(ban, sequence=int(rest[0]))
        if outcome == b"known":
            return record, decode_ban(rest[0])
        changes.require_room(record, listed=not filed_under(ban.criteria))
        raise InvalidationRefused("too many invalidations are active in this namespace")

    def _appended(
        self,
        script: Script,
        slot: Slot,
        ban: Ban,
        more_keys: Sequence[bytes],
        more_arguments: Sequence[bytes] = (),
    ) -> list[Any]:
        """The reply of a script that appends a ban."""
        filed = filed_under(ban.criteria)
        keys = [slot.record, slot.bans, slot.changes, slot.due, *more_keys]
        arguments = [
            encode_record(new_record()),
            new_mark(),
            ban.id.encode(),
            encode_ban(ban)[SEQUENCE_DIGITS:],
            b"%d" % (ban.created_at * 1e6),
            repr(ban.ends_at).encode(),
            digests_of(filed) or LISTED,
            b"%d" % changes.MOST_ACTIVE,
            b"%d" % MOST_LISTED,
            *more_arguments,
        ]
        # Its namespace is listed again: sweeps are found by that list, and it may be lost.
        listing: list[bytes] = []
        if isinstance(self._servers, OneServer):
            listing = [b"SADD", names.NAMESPACES, slot.namespace.encode()]
        with writing():
            if not listing:
                self._list_namespace(slot)
            reply: list[Any] = script.after(self._servers, listing, keys, arguments)
        return reply

    def change(self, slot: Slot, ids: Sequence[str], change: Callable[[Sequence[Ban]], Change]) -> Sequence[Ban]:
        """Applies a pure change by one script that compares each ban, repeated until none was changed meanwhile."""
        while True:
            with reading():
                values = self._ask(slot.bans, b"HMGET", *(ban_id.encode() for ban_id in ids)) if ids else []
            seen = {value: decode_ban(value) for value in values if value is not None}
            changed = change(list(seen.values()))
            if not changed.bans:
                return list(seen.values())
            stored = {ban.id: value for value, ban in seen.items()}
            arguments = [b"%020d" % changed.floor, new_mark(), b"" if changed.is_quiet else b"1"]
            for ban, then in changed.bans:
                arguments += [
                    ban.id.encode(),
                    stored[ban.id],
                    b"" if then is None else encode_ban(then),
                    b"" if then is None else repr(then.ends_at).encode(),
                    b"1" if changes.is_listed(ban.criteria) else b"",
                ]
            keys = [slot.record, slot.bans, slot.changes, slot.due, slot.nothing]
            with writing():
                [outcome] = _CHANGE(self._servers, keys, arguments)
            if outcome == b"no-record":
                change([])  # what bans a lost record has left are none
                return []
            if outcome == b"changed":
                after = dict(changed.bans)
                return [then for ban in seen.values() if (then := after.get(ban, ban)) is not None]

    def mend(self, slot: Slot) -> None:
        """Lists the bans anew by when they end, if that list was lost. One round trip when all is there."""
        commands = packed([b"GET", slot.record]) + packed([b"HLEN", slot.bans]) + packed([b"ZCARD", slot.due])
        with reading():
            line, there, listed = self._ask_all(slot, commands, 3)
        record = _decoded(line)
        if record is None or listed == record.active:
            return
        if there != record.active:
            self._books.forget_torn(slot, record)  # unless it has moved on between the three
            return
        cursor = b"0"
        while True:
            with reading():
                cursor, page = self._ask(slot.bans, b"HSCAN", cursor, b"COUNT", b"%d" % SCAN_PAGE)
            ends = [
                word for ban in map(decode_ban, page[1::2]) for word in (ban.id.encode(), repr(ban.ends_at).encode())
            ]
            with writing():
                for start in range(0, len(ends), SCAN_PAGE):
                    _LIST_DUE(self._servers, [slot.bans, slot.due], ends[start : start + SCAN_PAGE])
            if cursor == b"0":
                return

    def allow_copies(self, slot: Slot, seconds: float, *, now: float, until: float) -> None:
        """Writes a grant for local copies into the record, by compare-and-swap."""
        while True:
            with reading():
                line = self._ask(slot.record, b"GET")
            record = _decoded(line)
            if line is None or record is None:
                self.ensure_record(slot)
                continue
            granted = encode_record(changes.allow_copies(record, seconds, now=now, until=until))
            with writing():
                if _SWAP(self._servers, [slot.record, slot.nothing], [line, granted]):
                    return

    def forget_record(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes the slot's record and bans by one script, if it is still the one that was seen."""
        return self._books.forget_record(slot, seen)

    def _list_namespace(self, slot: Slot) -> None:
        try:
            self._ask(names.NAMESPACES, b"SADD", slot.namespace.encode())
        except redis.ResponseError:
            # A full server does not take this and does take what follows; whatever else it refuses, it will say then.
            return
        except redis.ConnectionError:
            if isinstance(self._servers, OneServer):
                raise
            # Of a cluster another server may have the list: one that is away must not keep records from changing.

    def unlist(self, namespace: str, buckets: int) -> None:
        """Takes a namespace out of the list. One that gets a record meanwhile is listed, by its maker or here."""
        with writing():
            self._client.srem(names.NAMESPACES, namespace)
            for bucket in range(buckets):
                if self._client.exists(Slot(namespace, bucket).record):
                    self._client.sadd(names.NAMESPACES, namespace)

    def replicated(self, slot: Slot, replicas: int, timeout_seconds: float) -> int:
        """Number of replicas that have acknowledged all writes so far, by WAIT. Blocks up to `timeout_seconds`."""
        return int(self._waited(slot, [b"WAIT", b"%d" % replicas], lambda have: have >= replicas, timeout_seconds))

    def synced(self, slot: Slot, timeout_seconds: float) -> bool:
        """Whether all writes so far are on disk, by WAITAOF (Redis 7.2 or later). Blocks up to `timeout_seconds`."""
        local, _ = self._waited(slot, [b"WAITAOF", b"1", b"0"], lambda reply: reply[0] > 0, timeout_seconds)
        return bool(local)

    def _waited(self, slot: Slot, wait: list[bytes], is_enough: Callable[[Any], bool], timeout_seconds: float) -> Any:
        """What there is in the end, asked for again and again: no wait may be longer than a client's patience.

        Each wait follows a command that notes the server's position, so that it covers the writes of all connections.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            seconds = min(WAIT_SECONDS, deadline - time.monotonic())
            command = packed([*wait, b"%d" % max(1, 1000 * seconds)])  # 0 would be for ever
            with reading():
                _, reply = self._servers.ask_all(slot.record, packed([b"EXISTS", slot.record]) + command, 2)
                if isinstance(reply, redis.RedisError):
                    raise reply
            if is_enough(reply) or time.monotonic() >= deadline:
                return reply


def _decoded(line: bytes | None) -> InvalidationRecord | None:
    try:
        return None if line is None else decode_record(line)
    except DecodeError:
        return None


@lru_cache(maxsize=4096)
def _read_command(slot: Slot, digests: tuple[bytes, ...]) -> bytes:
    return packed([b"MGET", *map(slot.entry, digests), slot.record])
