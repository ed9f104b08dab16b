"""The rows of all processes in Redis, and their changes: what fills an in-process index and keeps it current.

Per namespace: hashes of rows by embedder and hour of expiry, so that rows expire with their key and need no sweep; a
list of these hashes, those of all embedders; and a stream of what was added and removed. A writer appends to all in one
pipeline. A reader asks for the changes since its last read, beside a lookup it makes anyway; it reads the hashes after
a start, or when it was away too long.

Rows hold no answer. A row too many costs a miss after the checked fetch, a row too few costs a miss.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import redis

from ...keys import names
from ...stores.redis import load_script
from ..embedding import EmbedderIdentity
from .numpy_index import OtherRows, Partition, Row, SemanticIndex

Command: TypeAlias = tuple[bytes | int, ...]
"""A Redis command and its arguments, for any pipeline or connection."""

PREFIX = names.VECTORS
"""What all names begin with: no selection over entries can reach them."""

KEPT_EVENTS = 10_000
"""Events that a stream keeps at least. A reader further behind reads the hashes again."""

READ_EVENTS = 1_000
"""Events read at once; fewer than are kept, so that a reply which is not full proves that none was missed."""

STREAM_SECONDS = 86_400
"""A stream nobody writes to goes away after this."""

BUCKET_SECONDS = 3_600
"""Rows whose expiry falls into the same span share a hash, which expires at its end."""

_VERSION = 1
_HEADER = struct.Struct(">BQB")  # version, expiry in ms, length of the scope
_EVENT = struct.Struct(">BB")  # kind, length of the row key
_ADDED, _REMOVED = 1, 2
_START = b"0-0"

_REMOVE_SCRIPT = load_script(__file__, "remove_row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The event of a removed row."""

    partition: Partition
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """The event of an added or replaced row."""

    partition: Partition
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a reader has read: a stream id, and when (Unix seconds)."""

    last_id: bytes
    read_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Events in order, and the position after them. `complete` False: some were missed, read the rows again.

    `more` says that further events were waiting when this was read.
    """

    events: tuple[Addition | Removal, ...]
    position: Position
    complete: bool
    more: bool


class VectorLog:
    """The stored rows of one embedder. Raises redis.RedisError; unreadable rows are skipped and counted."""

    AT_ONCE = 50
    """Rows that a rebuild adds at once: the server works on them for about a millisecond."""

    def __init__(
        self,
        client: redis.Redis,
        embedder: EmbedderIdentity,
        *,
        prefix: bytes = PREFIX,
        kept_events: int = KEPT_EVENTS,
        read_events: int = READ_EVENTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._embedder = embedder
        self._prefix = prefix
        self._kept_events = kept_events
        self._read_events = min(read_events, kept_events)
        self._clock = clock
        self._remove = client.register_script(_REMOVE_SCRIPT)
        self.unreadable = 0

    # Writing

    def append_commands(self, partition: Partition, row: Row) -> list[Command]:
        """The commands for the pipeline that stores the entry; none for a row that has already expired."""
        now = self._clock()
        if row.expires_at <= now:
            return []
        ends_at = _ends_at(row.expires_at)
        rows, spans = self._rows(partition.namespace, ends_at), self._spans(partition.namespace)
        stream = self._stream(partition.namespace)
        value = _encode_row(partition, row)
        event = _encode_event(_ADDED, self._embedder, row.key, value)
        return [
            (b"HSET", rows, row.key, value),
            (b"EXPIREAT", rows, ends_at),
            # The list of spans has no expiry: it is a few hundred numbers, and dead ones leave with each addition.
            (b"ZADD", spans, ends_at, self._span(ends_at)),
            (b"ZREMRANGEBYSCORE", spans, b"-inf", int(now)),
            (b"XADD", stream, b"MAXLEN", b"~", self._kept_events, b"*", b"e", event),
            (b"EXPIRE", stream, STREAM_SECONDS),
        ]

    def append(self, partition: Partition, row: Row) -> None:
        """Stores a row and announces it, in one round trip."""
        self.append_many([(partition, row)])

    def append_many(self, rows: Sequence[tuple[Partition, Row]]) -> None:
        """Stores and announces rows in order, all in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for partition, row in rows:
                for command in self.append_commands(partition, row):
                    pipeline.execute_command(*command)
            pipeline.execute()

    def remove(self, partition: Partition, key: bytes, expires_at: float) -> bool:
        """Removes a row that leads nowhere and announces it; False when it is gone, or was stored anew meanwhile."""
        ends_at = _ends_at(expires_at)
        header = _HEADER.pack(_VERSION, round(expires_at * 1000), 0)[:9]
        removal = _encode_event(_REMOVED, self._embedder, key, bytes([len(partition.scope)]) + partition.scope)
        return bool(
            self._remove(
                keys=[self._rows(partition.namespace, ends_at), self._stream(partition.namespace)],
                args=[key, header, removal, self._kept_events, STREAM_SECONDS],
            )
        )

    # Reading

    def read_command(self, namespace: str, position: Position) -> Command:
        """The command for the changes since a position; `changes` reads its reply. It never blocks the server."""
        return (b"XREAD", b"COUNT", self._read_events, b"STREAMS", self._stream(namespace), position.last_id)

    def read_since(self, namespace: str, position: Position) -> Changes:
        """The changes since a position. One round trip, or two when there are many."""
        return self.changes(namespace, position, self._client.execute_command(*self.read_command(namespace, position)))

    def changes(self, namespace: str, position: Position, reply: Any) -> Changes:
        """Reads the reply to `read_command`, raw or as redis-py parsed it. A full one costs one more round trip."""
        now = self._clock()
        entries = _entries(reply)
        last_id = entries[-1][0] if entries else position.last_id
        after = Position(last_id=last_id, read_at=now)
        if now - position.read_at > STREAM_SECONDS / 2:
            return Changes(events=(), position=after, complete=False, more=False)
        is_full = len(entries) >= self._read_events
        if is_full and self._is_behind(namespace, position):
            return Changes(events=(), position=after, complete=False, more=False)
        events = (self._event(namespace, fields) for _, fields in entries)
        return Changes(
            events=tuple(event for event in events if event is not None), position=after, complete=True, more=is_full
        )

    def begin(self, namespace: str) -> Position:
        """The present end of the stream.

        Take it before `load`, so that changes in between are read twice and not missed.
        """
        last: Any = self._client.xrevrange(self._stream(namespace), count=1)
        return Position(last_id=last[0][0] if last else _START, read_at=self._clock())

    def load(self, namespace: str, *, batch: int = 1_000) -> Iterator[dict[Partition, list[Row]]]:
        """All live rows, in batches; those that expire last come last."""
        now = self._clock()
        spans: Any = self._client.zrangebyscore(self._spans(namespace), int(now), "+inf")
        for span in filter(self._is_own, spans):
            for found in self._scanned(namespace, span, batch):
                rows: dict[Partition, list[Row]] = {}
                for scope, row in self._decoded(found):
                    if row.expires_at > now:
                        rows.setdefault(self._partition(namespace, scope), []).append(row)
                yield rows

    def clear(self, namespace: str) -> None:
        """Removes this embedder's rows of a namespace, without blocking the server. Indexes keep what they read."""
        spans: Any = self._client.zrange(self._spans(namespace), 0, -1)
        own = list(filter(self._is_own, spans))
        if own:
            self._client.unlink(*(self._hash(namespace, span) for span in own))
            self._client.zrem(self._spans(namespace), *own)

    # Rebuilding

    def others(self, namespaces: Sequence[str]) -> OtherRows:
        """How many rows of other embedders these namespaces have. Two round trips."""
        now = self._clock()
        with self._client.pipeline(transaction=False) as pipeline:
            for namespace in namespaces:
                pipeline.zrangebyscore(self._spans(namespace), int(now), "+inf")
            lists = pipeline.execute()
        last = 0.0
        with self._client.pipeline(transaction=False) as pipeline:
            for namespace, spans in zip(namespaces, lists, strict=True):
                for span in itertools.filterfalse(self._is_own, spans):
                    pipeline.hlen(self._hash(namespace, span))
                    last = max(last, float(span.rpartition(b":")[2]))
            return OtherRows(rows=sum(pipeline.execute()), last=last)

    def keys_of_others(self, namespace: str, *, batch: int) -> Iterator[list[bytes]]:
        """The keys of all rows of other embedders, in batches of about `batch`. A key may come more than once."""
        spans: Any = self._client.zrangebyscore(self._spans(namespace), int(self._clock()), "+inf")
        for span in itertools.filterfalse(self._is_own, spans):
            for found in self._scanned(namespace, span, batch):
                yield list(found)

    def has(self, rows: Sequence[tuple[Partition, bytes, float]]) -> list[bool]:
        """Whether there is a row of this embedder, by partition, key and expiry. One round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for partition, key, expires_at in rows:
                pipeline.hexists(self._rows(partition.namespace, _ends_at(expires_at)), key)
            return [bool(there) for there in pipeline.execute()]

    # Names and forms

    def _base(self, namespace: str) -> bytes:
        # The braces are a Redis Cluster hash tag: a namespace's keys share a slot.
        return self._prefix + b"{" + blake2b(namespace.encode(), digest_size=8).hexdigest().encode() + b"}:"

    def _stream(self, namespace: str) -> bytes:
        return self._base(namespace) + b"news"

    def _spans(self, namespace: str) -> bytes:
        return self._base(namespace) + b"spans"

    def _span(self, ends_at: int) -> bytes:
        return self._embedder.digest.hex().encode() + b":%d" % ends_at

    def _is_own(self, span: bytes) -> bool:
        return span.startswith(self._embedder.digest.hex().encode())

    def _hash(self, namespace: str, span: bytes) -> bytes:
        return self._base(namespace) + b"rows:" + span

    def _rows(self, namespace: str, ends_at: int) -> bytes:
        return self._hash(namespace, self._span(ends_at))

    def _scanned(self, namespace: str, span: bytes, batch: int) -> Iterator[Mapping[bytes, bytes]]:
        """The values of a span by key, some `batch` at once."""
        cursor, done = 0, False
        while not done:
            reply: Any = self._client.hscan(self._hash(namespace, span), cursor, count=batch)
            cursor, found = reply
            done = cursor == 0
            yield found

    def _is_behind(self, namespace: str, position: Position) -> bool:
        """Whether the stream was trimmed past a position."""
        first: Any = self._client.xrange(self._stream(namespace), count=1)
        return bool(first) and _id(first[0][0]) > _id(position.last_id)

    def _event(self, namespace: str, fields: Mapping[bytes, bytes]) -> Addition | Removal | None:
        """None for what this reader cannot or need not read: another embedder's rows among them."""
        event = fields.get(b"e", b"")
        body = 2 + 16
        if len(event) < body or event[2:body] != self._embedder.digest:
            return None
        kind, length = _EVENT.unpack_from(event)
        key, rest = event[body : body + length], event[body + length :]
        if kind == _REMOVED and len(rest) > 1:
            return Removal(partition=self._partition(namespace, rest[1 : 1 + rest[0]]), key=key)
        if kind == _ADDED:
            for scope, row in self._decoded({key: rest}):
                return Addition(partition=self._partition(namespace, scope), row=row)
        return None

    def _decoded(self, found: Mapping[bytes, bytes]) -> list[tuple[bytes, Row]]:
        """(scope, row) of every readable value, the vectors of all in one go."""
        width = 2 * self._embedder.dimension
        heads = []
        halves = []
        for key, value in found.items():
            version, expires_ms, length = _HEADER.unpack_from(value) if len(value) >= _HEADER.size else (0, 0, 0)
            start = _HEADER.size + length
            if version == _VERSION and len(value) == start + width:
                heads.append((bytes(key), value[_HEADER.size : start], expires_ms / 1000))
                halves.append(value[start:])
        stored = np.frombuffer(b"".join(halves), dtype="<f2").reshape(-1, self._embedder.dimension)
        vectors = stored.astype(np.float32)
        squared = np.einsum("ij,ij->i", vectors, vectors)
        usable = (squared > 0.9) & (squared < 1.1)  # false for zeros, infinities and NaN
        vectors /= np.sqrt(np.where(usable, squared, 1.0), dtype=np.float32)[:, np.newaxis]
        self.unreadable += len(found) - int(usable.sum())
        return [
            (scope, Row(key=key, vector=vectors[place], expires_at=expires_at))
            for place, (key, scope, expires_at) in enumerate(heads)
            if usable[place]
        ]

    def _partition(self, namespace: str, scope: bytes) -> Partition:
        return Partition(namespace=namespace, scope=scope, embedder=self._embedder)


class IndexFollower:
    """Applies the log's changes to one index. Thread-safe; events that two threads read are applied once.

    Writers need not touch the index: their own row comes back with the next changes, in the stored precision.
    """

    def __init__(self, log: VectorLog, index: SemanticIndex, *, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._index = index
        self._clock = clock
        self._positions: dict[str, Position] = {}
        self._lock = Lock()

    def command(self, namespace: str) -> Command | None:
        """The command to send beside a lookup; None when the namespace must be loaded first (`catch_up`)."""
        position = self._positions.get(namespace)
        return None if position is None else self._log.read_command(namespace, position)

    def absorb(self, namespace: str, reply: Any) -> bool:
        """Applies the reply to `command`. False when the namespace must be loaded again (`catch_up`)."""
        position = self._positions.get(namespace)
        if position is None:
            return False
        if not reply and self._is_fresh(position):
            return True
        with self._lock:
            return self._apply(namespace, reply)

    def catch_up(self, namespace: str) -> None:
        """Loads a namespace, or reads all its changes. Raises redis.RedisError."""
        with self._lock:
            while (position := self._positions.get(namespace)) is not None:
                changes = self._log.read_since(namespace, position)
                if not changes.complete:
                    break
                self._take(namespace, position, changes)
                if not changes.more:
                    return
            self._load(namespace)

    def forget(self, namespace: str) -> None:
        """Drops a namespace's rows here; the next `catch_up` loads them again."""
        with self._lock:
            self._positions.pop(namespace, None)
            self._index.clear(namespace)

    def _is_fresh(self, position: Position) -> bool:
        return self._clock() - position.read_at < STREAM_SECONDS / 4

    def _apply(self, namespace: str, reply: Any) -> bool:
        position = self._positions.get(namespace)
        if position is None:
            return False
        changes = self._log.changes(namespace, position, reply)
        if not changes.complete:
            del self._positions[namespace]
            return False
        self._take(namespace, position, changes)
        return True

    def _take(self, namespace: str, position: Position, changes: Changes) -> None:
        if _id(changes.position.last_id) < _id(position.last_id):
            return
        for event in changes.events:
            match event:
                case Addition(partition=partition, row=row):
                    self._index.add(partition, row.key, row.vector, row.expires_at)
                case Removal(partition=partition, key=key):
                    self._index.remove(partition, key)
        self._positions[namespace] = changes.position

    def _load(self, namespace: str) -> None:
        position = self._log.begin(namespace)
        self._index.clear(namespace)
        for batch in self._log.load(namespace):
            for partition, rows in batch.items():
                self._index.add_many(partition, rows)
        self._positions[namespace] = position


def _ends_at(expires_at: float) -> int:
    """The end of the span that rows of this expiry are in."""
    return (int(expires_at) // BUCKET_SECONDS + 1) * BUCKET_SECONDS


def _encode_row(partition: Partition, row: Row) -> bytes:
    header = _HEADER.pack(_VERSION, round(row.expires_at * 1000), len(partition.scope))
    return header + partition.scope + row.vector.astype("<f2").tobytes()


def _encode_event(kind: int, embedder: EmbedderIdentity, key: bytes, body: bytes) -> bytes:
    return _EVENT.pack(kind, len(key)) + embedder.digest + key + body


def _entries(reply: Any) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
    """(id, fields) of the one stream asked for, whatever protocol and parser the reply came through."""
    if not reply:
        return []
    entries = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
    if entries and isinstance(entries[0][0], list | tuple):  # redis-py nests RESP3 replies once more
        entries = entries[0]
    return [
        (identifier, fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True)))
        for identifier, fields in entries
    ]


def _id(identifier: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = identifier.partition(b"-")
    return int(milliseconds), int(sequence or 0)
