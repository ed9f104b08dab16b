"""Hits of each stored answer: how often it was served, when last, and which are served most.

A statistic that decides nothing: counted at most once, lost with a crash, and forgotten when its entry is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from typing import Any, TypeVar, cast

import msgspec
import redis

from ..keys import Slot, parse_readable_key
from ..models import Outcome
from ..stores.redis import load_script, reading, writing

PART_SECONDS = 3 * 3600
PARTS = 9
"""Hits of the last day are kept by parts of it: nine of three hours reach back 24 to 27 hours."""

KEPT_SECONDS = 90 * 86_400
"""How long the totals of an unused namespace are kept."""
MAX_WAITING = 20_000
"""Answers with hits that wait to be written; hits of further ones are not counted until then."""
MAX_IN_MEMORY = 50_000
BATCH = 200
"""Answers in one script call: a fraction of a millisecond of the server's time."""
PAGE = 500

Item = TypeVar("Item")


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """How often an answer was served since its key was first stored, and when last (Unix seconds; None: never)."""

    total: int = 0
    last_at: float | None = None


class _Waiting(msgspec.Struct):
    count: int
    last_at: float


_ADD = load_script(__file__, "add_hits")

_PRUNE = load_script(__file__, "prune_hits")


class HitCounts:
    """Hits of all processes together with a client, of this one without.

    `add` and `take` are called under the recorder's lock; the rest may be called by any thread. What another process
    counted within the last second is not in yet. Reading methods raise StoreUnavailable.
    """

    def __init__(self, client: redis.Redis | None, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        # Plain dicts: they are read without a lock while the thread that flushes adds and removes.
        self._here: dict[tuple[str, int], dict[bytes, _Waiting]] = {}
        self._parts_here: dict[tuple[str, int, int], dict[bytes, int]] = {}
        if client is not None:
            self._add = client.register_script(_ADD)
            self._prune = client.register_script(_PRUNE)

    # Counting

    def add(self, at: float, outcome: Outcome) -> None:
        """Counts a hit that happened `at` (Unix seconds); it waits to be written."""
        name = (outcome.namespace, outcome.key)
        waiting = self._waiting.get(name)
        if waiting is not None:
            waiting.count += 1
            waiting.last_at = max(waiting.last_at, at)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting[name] = _Waiting(1, at)

    def take(self) -> dict[tuple[str, str], _Waiting]:
        """Takes the hits that wait, by namespace and key; the caller writes them."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def write(self, taken: dict[tuple[str, str], _Waiting]) -> None:
        """Writes hits, by one script a bucket and 200 answers. Raises CacheError, and then the rest is dropped."""
        groups: dict[tuple[str, int, int], list[tuple[bytes, _Waiting]]] = {}
        for (namespace, key), waiting in taken.items():
            parsed = parse_readable_key(key)
            if parsed is not None:
                group = (namespace, parsed[0], _part(waiting.last_at))
                groups.setdefault(group, []).append((parsed[1], waiting))
        for (namespace, bucket, part), rows in groups.items():
            slot = Slot(namespace, bucket)
            for some in _batches(rows, BATCH):
                if self._client is None:
                    self._write_here(slot, part, some)
                    continue
                arguments: list[Any] = [KEPT_SECONDS, PARTS * PART_SECONDS]
                for digest, waiting in some:
                    arguments += [digest, waiting.count, repr(waiting.last_at)]
                with writing():
                    self._add(keys=[slot.hits, slot.hit_times, slot.hits_of_part(part)], args=arguments)

    def _write_here(self, slot: Slot, part: int, rows: Sequence[tuple[bytes, _Waiting]]) -> None:
        if len(self._here) >= MAX_WAITING and (slot.namespace, slot.bucket) not in self._here:
            del self._here[next(iter(self._here))]
        totals = self._here.setdefault((slot.namespace, slot.bucket), {})
        counts = self._parts_here.setdefault((slot.namespace, slot.bucket, part), {})
        for digest, waiting in rows:
            known = totals.setdefault(digest, _Waiting(0, 0.0))
            known.count += waiting.count
            known.last_at = max(known.last_at, waiting.last_at)
            counts[digest] = counts.get(digest, 0) + waiting.count
        while len(totals) > MAX_IN_MEMORY:
            del totals[next(iter(totals))]
        oldest = _part(self._clock()) - PARTS
        for name in [name for name in self._parts_here if name[2] <= oldest]:
            del self._parts_here[name]

    # Reading

    def of(self, slot: Slot, digests: Sequence[bytes]) -> list[Hits]:
        """The hits of each of these answers, in their order: one round trip."""
        if not digests:
            return []
        if self._client is None:
            here = self._here.get((slot.namespace, slot.bucket), {})
            found = (here.get(digest) for digest in digests)
            return [Hits(total=one.count, last_at=one.last_at) if one else Hits() for one in found]
        members = cast("list[Any]", digests)  # the library's types know text only
        with reading(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.zmscore(slot.hits, members)
            pipeline.zmscore(slot.hit_times, members)
            totals, times = pipeline.execute()
        return [Hits(total=int(total or 0), last_at=last) for total, last in zip(totals, times, strict=True)]

    def in_last_day(self, slot: Slot, digests: Sequence[bytes]) -> list[int]:
        """How often each of these answers was served in the last day, which is the last 24 to 27 hours.

        One round trip for 500 answers, about a millisecond: for a preview that asks what an invalidation would cost in
        hits, give it all that it has read, or a sample of that.
        """
        newest = _part(self._clock())
        parts = range(newest - PARTS + 1, newest + 1)
        if self._client is None:
            tables = [self._parts_here.get((slot.namespace, slot.bucket, part), {}) for part in parts]
            return [sum(table.get(digest, 0) for table in tables) for digest in digests]
        counts: list[int] = []
        for some in _batches(digests, PAGE):
            with reading(), self._client.pipeline(transaction=False) as pipeline:
                for part in parts:
                    pipeline.hmget(slot.hits_of_part(part), list(some))
                columns = pipeline.execute()
            counts += [sum(int(count or 0) for count in row) for row in zip(*columns, strict=True)]
        return counts

    def most_hit(
        self, slot: Slot, *, before: tuple[float, bytes] | None = None, fewest: int = 1, limit: int = 200
    ) -> list[tuple[float, bytes]]:
        """(hits, digest) of a bucket's answers with `fewest` hits at least, the most first: `limit` after `before`.

        Only a hint: an answer may be gone. Fewer than `limit` says that there are no more.
        """
        if self._client is None:
            here = self._here.get((slot.namespace, slot.bucket), {})
            places = [(float(one.count), digest) for digest, one in here.items() if one.count >= fewest]
            return nlargest(limit, [place for place in places if before is None or place < before])
        found: list[tuple[float, bytes]] = []
        offset = 0
        highest = "+inf" if before is None else repr(before[0])
        while len(found) < limit:
            with reading():
                rows = cast(
                    "list[tuple[bytes, float]]",
                    self._client.zrange(
                        slot.hits,
                        highest,
                        str(fewest),
                        desc=True,
                        byscore=True,
                        offset=offset,
                        num=limit,
                        withscores=True,
                    ),
                )
            # Those with as many hits as `before` come first again: the ones that were had are left out.
            places = [(hits, digest) for digest, hits in rows]
            found += [place for place in places if before is None or place < before]
            offset += len(rows)
            if len(rows) < limit:
                break
        return found[:limit]

    def count(self, slot: Slot, *, fewest: int = 1) -> int:
        """Number of answers of a bucket with `fewest` hits or more; some of them may be gone."""
        if self._client is None:
            return sum(one.count >= fewest for one in self._here.get((slot.namespace, slot.bucket), {}).values())
        with reading():
            return self._client.zcount(slot.hits, fewest, "+inf")

    # Forgetting

    def forget(self, slot: Slot, digest: bytes) -> None:
        """Forgets the hits of one answer, whose place another takes. What was counted within the last second may come
        after it. Raises StoreUnavailable, WriteRefused and OutcomeUnknown.
        """
        newest = _part(self._clock())
        parts = range(newest - PARTS + 1, newest + 1)
        if self._client is None:
            self._here.get((slot.namespace, slot.bucket), {}).pop(digest, None)
            for part in parts:
                self._parts_here.get((slot.namespace, slot.bucket, part), {}).pop(digest, None)
            return
        member = cast("str", digest)  # the library's types know text only
        with writing(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.zrem(slot.hits, member)
            pipeline.zrem(slot.hit_times, member)
            for part in parts:
                pipeline.hdel(slot.hits_of_part(part), member)
            pipeline.execute()

    def prune(self, slot: Slot) -> int:
        """Forgets the hits of answers that are gone, and returns the number of these. Does nothing without a client."""
        if self._client is None:
            return 0
        dropped = cursor = 0
        while True:
            with writing():
                cursor, rows = cast(
                    "tuple[int, list[tuple[bytes, float]]]", self._client.zscan(slot.hits, cursor, count=PAGE)
                )
                for some in _batches([digest for digest, _ in rows], BATCH):
                    names = [slot.entry(digest) for digest in some]
                    dropped += int(self._prune(keys=[slot.hits, slot.hit_times, *names], args=list(some)))
            if cursor == 0:
                return dropped


def _part(at: float) -> int:
    return int(at) // PART_SECONDS


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
