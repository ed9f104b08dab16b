"""RedisStore: one MGET per lookup, a fenced store script, leases, sweeps by compare-and-delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import redis

from ...bans import (
    CHANGED_BYTES,
    DIGEST_BYTES,
    Ban,
    InvalidationRecord,
    changes,
    decode_record,
    encode_record,
)
from ...errors import DecodeError
from ...keys import Slot, names
from ...models import Stamp
from .. import codec
from ..aside import MOST_ASIDE, Aside, Return
from ..base import Claim, Correction, Removal, Removed, StoredAs, StoreInfo, Write
from ..clock import Clock
from .books import Books
from .clients import patient_client, request_client
from .clock import RedisClock
from .cluster import ClusterServers, servers_of
from .connection import packed
from .failures import reading, writing
from .index import LAYOUT, LIST_TAGS, ROW_DIGITS
from .info import ask_each, store_info
from .records import APPEND, RECORD, RedisRecords
from .script import Script, load_script

__all__ = ["RedisStore", "patient_client", "request_client"]

LEASE_PAGE = 200
ASKED_FOR = b"undone"
"""In the place of the sequence of what lies aside: an undo has asked for it."""

_WRITE = Script(
    LIST_TAGS
    + load_script(
        __file__, "write", DIGEST_BYTES=DIGEST_BYTES, LOOKED_AT=200, LOG_PAGE=40, MOST_ASIDE=MOST_ASIDE, **LAYOUT
    )
)
_PUT_BACK = Script(LIST_TAGS + load_script(__file__, "put_back", **LAYOUT))
_REPLACE = Script(LIST_TAGS + load_script(__file__, "replace"))
_CORRECT = Script(
    f"{RECORD}{LIST_TAGS}local function append()\n{APPEND}end\n"
    + load_script(__file__, "correct", ROW_DIGITS=ROW_DIGITS)
)
_REMOVE = Script(load_script(__file__, "remove", **LAYOUT))
_RENEW = Script(load_script(__file__, "renew"))
_RELEASE = Script(load_script(__file__, "release"))


class RedisStore(RedisRecords):
    """Entries and records on one Redis (6.2 or later). Threads may share it; a fork gets connections of its own."""

    def __init__(
        self, client: redis.Redis, *, clock: Clock | None = None, books: Books | None = None, waits: bool = True
    ) -> None:
        super().__init__(client, books=books, waits=waits)
        self._own_clock: RedisClock | None = None
        if clock is None:
            clock = self._own_clock = RedisClock(self._servers)
        self._clock = clock

    @property
    def clock(self) -> Clock:
        """Redis' clock, unless another was given."""
        return self._clock

    @property
    def place_of(self) -> Callable[[Slot], str] | None:
        """Names the server of a cluster that has a slot; None for a single server."""
        servers = self._servers
        return (lambda slot: servers.place(slot.record)) if isinstance(servers, ClusterServers) else None

    def write(
        self, slot: Slot, write: Write, stamp: Stamp, expected: int
    ) -> tuple[StoredAs, InvalidationRecord | None]:
        """Stores entry and alias by one script, which looks at the names of the bans that came meanwhile."""
        index = slot.by_model(write.model)
        alias_digest, alias_value = write.alias or (write.digest, b"")
        row = write.digest + alias_digest if write.alias else write.digest
        ttl_ms = max(1, write.ttl_ms)
        now_ms = int(self._clock() * 1000)
        with writing():
            reply: list[Any] = _WRITE(
                self._servers,
                [
                    *(
                        slot.record,
                        slot.entry(write.digest),
                        slot.entry(alias_digest),
                        index,
                        slot.models,
                        slot.changes,
                        slot.aside,
                    ),
                    *map(slot.by_tag, write.tags),
                ],
                [
                    stamp.incarnation.hex().encode(),
                    b"%020d" % stamp.sequence,
                    b"%020d" % expected,
                    b"%d" % ttl_ms,
                    write.value,
                    alias_value,
                    repr(write.created_at).encode(),
                    row.hex().encode(),
                    index[-32:] if write.indexed else b"",
                    write.model.encode(),
                    write.names,
                    b"%d" % (now_ms + ttl_ms),
                    b"%d" % now_ms,
                    b"1" if write.over_hidden else b"",
                ],
            )
        outcome = StoredAs(reply[0].decode())
        return outcome, self.read(slot, [])[1] if outcome is StoredAs.MOVED else None

    def replace(self, slot: Slot, digest: bytes, *, seen: bytes, value: bytes, ttl_ms: int, stamp: Stamp) -> bool:
        """Replaces `seen` by `value` by one script, if both it and the record's stamp are unchanged; else False."""
        point = [stamp.incarnation.hex().encode(), b"%020d" % stamp.sequence]
        now_ms, ttl_ms = int(self._clock() * 1000), max(1, ttl_ms)
        times = [b"%d" % ttl_ms, b"%d" % (now_ms + ttl_ms), b"%d" % now_ms]
        indexes = map(slot.by_tag, _tags(value))
        with writing():
            keys = [slot.record, slot.entry(digest), *indexes]
            return bool(_REPLACE(self._servers, keys, [*point, seen, value, *times]))

    def correct(self, slot: Slot, ban: Ban, correction: Correction) -> InvalidationRecord | None:
        """Appends a ban and puts an answer in the place of what it hides by one script, if all is as it was seen."""
        now_ms, ttl_ms = int(ban.created_at * 1000), max(1, correction.ttl_ms)
        keys = [
            *(slot.nothing, slot.entry(correction.digest), slot.by_model(correction.model)),
            *(slot.entry(digest) for digest, _, _ in correction.aliases),
            *map(slot.by_tag, correction.tags),
        ]
        arguments = [
            correction.stamp.incarnation.hex().encode(),
            b"%020d" % correction.stamp.sequence,
            correction.seen,
            correction.value,
            b"%d" % ttl_ms,
            repr(correction.created_before).encode(),
            repr(correction.created_at).encode(),
            b"%d" % (now_ms + ttl_ms),
            b"%d" % now_ms,
            b"%d" % len(correction.aliases),
            *(value for _, seen, then in correction.aliases for value in (seen, then)),
        ]
        outcome, *rest = self._appended(_CORRECT, slot, ban, keys, arguments)
        if outcome == b"full":
            changes.require_room(decode_record(rest[0]), listed=False)
        return decode_record(rest[0]) if outcome == b"appended" else None

    # What lies aside

    def walk_aside(self, slot: Slot, *, batch: int = 200) -> Iterator[list[Aside]]:
        """All that lies aside, in batches. Two round trips for each; one when there is nothing."""
        cursor = b"0"
        while True:
            with reading():
                cursor, page = self._servers.ask(
                    slot.aside, packed([b"HSCAN", slot.aside, cursor, b"COUNT", b"%d" % batch])
                )
            known = list(zip(page[::2], page[1::2], strict=True))
            for start in range(0, len(known), batch):
                fields = known[start : start + batch]
                with reading():
                    values = self._servers.ask(
                        slot.aside, packed([b"MGET", *(slot.aside_value(field) for field, _ in fields)])
                    )
                yield [_aside(field, what, value) for (field, what), value in zip(fields, values, strict=True)]
            if cursor == b"0":
                return

    def put_back(self, slot: Slot, back: Return) -> bool:
        """Puts a value back by one script, if it, what stands there and the bans are as they were seen; else False."""
        instead_of = back.instead_of
        return self._settle(
            slot,
            back.aside,
            back.record,
            [
                codec.stamp_bytes(back.stamp.incarnation, back.stamp.sequence),
                b"" if instead_of is None else codec.stamp_bytes(instead_of.incarnation, instead_of.sequence),
                b"" if back.created_at is None else repr(back.created_at).encode(),
                back.aside.row,
            ],
            model=back.model,
            tags=back.tags,
        )

    def keep_for_undo(self, slot: Slot, aside: Aside, record: InvalidationRecord) -> bool:
        """Notes that an undo has asked for a value while another ban hides it; False when bans have changed."""
        return self._settle(slot, aside, record, [b"", b"", b"", b""])

    def _settle(
        self,
        slot: Slot,
        aside: Aside,
        record: InvalidationRecord,
        stamps: list[bytes],
        *,
        model: str = "",
        tags: Sequence[str] = (),
    ) -> bool:
        index = slot.by_model(model)
        keys = [slot.record, slot.entry(aside.digest), slot.aside, slot.aside_value(aside.field), index, slot.models]
        asked_for = b"%b %d %b" % (ASKED_FOR, aside.ends_at * 1000, aside.row)
        now_ms = b"%d" % (self._clock() * 1000)
        arguments = [encode_record(record)[:CHANGED_BYTES], aside.field, asked_for, *stamps]
        arguments += [index[-32:], model.encode("utf-8", "surrogatepass"), now_ms]
        with writing():
            return bool(_PUT_BACK(self._servers, [*keys, *map(slot.by_tag, tags)], arguments))

    def drop_aside(self, slot: Slot, fields: Sequence[bytes]) -> int:
        """Deletes values that lie aside. Returns how many bytes that were. One round trip."""
        if not fields:
            return 0
        values = [slot.aside_value(field) for field in fields]
        commands = b"".join(packed([b"STRLEN", value]) for value in values)
        commands += packed([b"HDEL", slot.aside, *fields]) + packed([b"UNLINK", *values])
        with writing():
            *sizes, _, _ = self._ask_all(slot, commands, len(fields) + 2)
        return sum(sizes)

    def acquire(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        """Takes the single-flight lease for an answer; False when another caller holds it."""
        name = _lease(slot, claim)
        with writing():
            return bool(self._servers.ask(name, packed([b"SET", name, claim.token, b"NX", b"PX", b"%d" % ttl_ms])))

    def renew(self, slot: Slot, claims: Sequence[Claim], ttl_ms: int) -> list[bool]:
        """Prolongs leases, and takes those again that have lapsed, by one script a page."""
        kept: list[bool] = []
        for start in range(0, len(claims), LEASE_PAGE):
            page = claims[start : start + LEASE_PAGE]
            tokens = [claim.token for claim in page]
            with writing():
                reply = _RENEW(self._servers, [_lease(slot, claim) for claim in page], [b"%d" % ttl_ms, *tokens])
            kept += map(bool, reply)
        return kept

    def release(self, slot: Slot, claim: Claim) -> None:
        """Gives the lease back if it is still this claim's."""
        with writing():
            _RELEASE(self._servers, [_lease(slot, claim)], [claim.token])

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        name = slot.lease(digest, sequence)
        with reading():
            return bool(self._servers.ask(name, packed([b"EXISTS", name])))

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> Removed:
        """Deletes each value that still carries the stamp its removal names, by one script a model.

        Returns counts and bytes.
        """
        by_model: dict[str, list[Removal]] = {}
        for removal in removals:
            by_model.setdefault(removal.model, []).append(removal)
        total = Removed()
        for model, of_model in by_model.items():
            keys = [slot.by_model(model), *(slot.entry(removal.digest) for removal in of_model)]
            arguments: list[bytes] = []
            for removal in of_model:
                arguments += [
                    codec.stamp_bytes(removal.stamp.incarnation, removal.stamp.sequence),
                    b"" if removal.created_at is None else repr(removal.created_at).encode(),
                ]
            with writing():
                entries, aliases, freed = _REMOVE(self._servers, keys, arguments)
            total += Removed(entries=entries, aliases=aliases, bytes=freed)
        self._unlist_tags(slot, removals)
        return total

    def _unlist_tags(self, slot: Slot, removals: Sequence[Removal]) -> None:
        """Takes values out of the indexes of their tags; one that was written again meanwhile too: it is but a hint."""
        by_tag: dict[str, list[bytes]] = {}
        for removal in removals:
            for tag in removal.tags:
                by_tag.setdefault(tag, []).append(removal.digest.hex().encode())
        if by_tag:
            commands = b"".join(packed([b"ZREM", slot.by_tag(tag), *rows]) for tag, rows in by_tag.items())
            with writing():
                self._servers.ask_all(slot.record, commands, len(by_tag))

    def ttl_seconds(self, slot: Slot, digest: bytes) -> float | None:
        """Seconds until Redis deletes an entry; None when there is none."""
        with reading():
            left = self._client.pttl(slot.entry(digest))
        return left / 1000 if left >= 0 else None

    def info(self) -> StoreInfo:
        """Version, memory, policy, role, persistence, rights, distance and clock: what its user may find out.

        A cluster's servers are combined: those that answer.
        """
        with reading():
            return store_info(self._servers)

    def ping(self) -> None:
        """Raises StoreUnavailable unless the server can be read; in a cluster, one of them."""
        with reading():
            ask_each(self._servers, _read)

    def close(self) -> None:
        """Closes all connections."""
        if self._own_clock is not None:
            self._own_clock.close()
        if self._closes_books:
            self._books.close()
        self._servers.close()


def _read(server: redis.Redis) -> None:
    """Reads a key: PING and TIME are answered by a server of a cluster that is down, too."""
    with suppress(redis.exceptions.MovedError):  # another server of a cluster that works has it
        server.get(names.FORM_KEY)


def stores_of(
    request: redis.Redis, patient: redis.Redis, *, clock: Clock | None = None
) -> tuple[RedisStore, RedisStore]:
    """A store for requests and one for operators, with one clock and one copy of the bans; the second closes both."""
    second = RedisStore(patient, clock=clock)
    if second._own_clock is not None:
        second._own_clock.first = servers_of(request)
    return RedisStore(request, clock=second.clock, books=second._books, waits=False), second


def _tags(value: bytes) -> tuple[str, ...]:
    try:
        return codec.summarize(value, with_text=False).tags
    except DecodeError:
        return ()


def _aside(field: bytes, known: bytes, value: bytes | None) -> Aside:
    put_at, ends_at, row = known.split(b" ")
    return Aside(
        field=field,
        digest=bytes.fromhex(field[:ROW_DIGITS].decode()),
        put_at=None if put_at == ASKED_FOR else int(put_at),
        ends_at=int(ends_at) / 1000,
        row=row,
        value=value,
    )


def _lease(slot: Slot, claim: Claim) -> bytes:
    return slot.lease(claim.digest, claim.sequence)
