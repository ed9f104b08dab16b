"""Gauges over time: how much was stored, how much memory it took, how much was evicted. Sampled by the workers.

One sorted set per resolution, a row a slot: a window is read in one round trip, and a slot sampled twice holds the
later sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import cast

import msgspec
import redis

from ..keys import names
from ..stores.redis import reading, writing
from .timeline import RESOLUTIONS, Resolution, finest

MAX_NAMESPACES = 100
"""Most namespaces counted one by one in a sample: those with the most entries."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The gauges `at` a time (Unix seconds).

    Bytes are Redis', None where it has no limit; `evicted` counts since its start. `entries` is the sum of all
    namespaces, those left out of `namespaces` too.
    """

    at: float
    entries: int
    used_bytes: int | None = None
    max_bytes: int | None = None
    evicted: int = 0
    namespaces: Mapping[str, int] = {}

    def entries_of(self, namespace: str | None) -> int:
        """Stored entries of one namespace or of all."""
        return self.entries if namespace is None else self.namespaces.get(namespace, 0)


class GaugeBucket(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a series: the last sample in it, None without one, and what was evicted during it."""

    starts_at: int
    seconds: int
    last: Sample | None
    evicted: int = 0


class Gauges:
    """The samples in a Redis. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""

    def __init__(self, client: redis.Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock

    def is_due(self) -> bool:
        """Whether the present slot has no sample yet: of several pools one samples."""
        present = RESOLUTIONS[0].slot(self._clock()).index
        with reading():
            return not self._client.zcount(_key(RESOLUTIONS[0]), present, present)

    def write(self, sample: Sample) -> None:
        """Puts a sample into its slots, and forgets what is too old: one round trip."""
        with writing(), self._client.pipeline(transaction=False) as pipeline:
            for resolution in RESOLUTIONS:
                key, index = _key(resolution), resolution.slot(sample.at).index
                pipeline.zremrangebyscore(key, index, index)
                pipeline.zadd(key, {_encode(sample): index})
                pipeline.zremrangebyscore(key, "-inf", index - resolution.keep_seconds // resolution.seconds)
                pipeline.expire(key, resolution.ttl_seconds)
            pipeline.execute()

    def series(self, window_seconds: float, step_seconds: int, *, ends_at: float) -> list[GaugeBucket]:
        """The steps of a window until `ends_at`, oldest first, those without a sample included: one round trip.

        The last step is the one in which the window ends, as in a series of figures.
        """
        end = ceil(ends_at / step_seconds) * step_seconds
        start = int((ends_at - window_seconds) // step_seconds) * step_seconds
        resolution = finest(start, self._clock())
        # One step more, so that the first one's evictions can be counted.
        first, last = (start - step_seconds) // resolution.seconds, end // resolution.seconds
        with reading():
            rows = cast("list[bytes]", self._client.zrangebyscore(_key(resolution), first, last))
        return buckets(_samples(rows), range(start, end, step_seconds))


def buckets(samples: Sequence[Sample], starts: range) -> list[GaugeBucket]:
    """Samples, oldest first, by the steps that begin at `starts`. Pure."""
    within: dict[int, Sample] = {}
    evicted: dict[int, int] = {}
    for sample in samples:
        within[_step(sample, starts)] = sample
    for before, after in pairwise(samples):
        # A server that has started again counts from 0.
        gone = after.evicted - before.evicted if after.evicted >= before.evicted else after.evicted
        index = _step(after, starts)
        evicted[index] = evicted.get(index, 0) + gone
    return [
        GaugeBucket(starts_at=at, seconds=starts.step, last=within.get(index), evicted=evicted.get(index, 0))
        for index, at in enumerate(starts)
    ]


def _step(sample: Sample, starts: range) -> int:
    return int((sample.at - starts.start) // starts.step)


def _samples(rows: Iterable[bytes]) -> list[Sample]:
    samples = []
    for row in rows:
        try:
            samples.append(_decode(row))
        except msgspec.MsgspecError:
            continue  # another version's
    return samples


def _key(resolution: Resolution) -> str:
    return f"{names.GAUGES.decode()}{resolution.letter}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Sample).decode
