"""Hits that wait to be judged afterwards: a Redis list that all processes share, or this process' memory."""

from __future__ import annotations

from collections import deque
from typing import cast

import redis

from ...concurrency import Outbox
from ...keys import names
from ...stores.redis import reading
from .records import Sample, decoder, encode

KEPT_SAMPLES = 1_000
SAMPLE_SECONDS = 3_600
"""How long a hit waits to be judged. Its question is in Redis meanwhile, whole."""

_read_sample = decoder(Sample)


class SampleQueue:
    """At most `KEPT_SAMPLES`, the oldest given up first. Thread-safe."""

    def __init__(self, client: redis.Redis | None, outbox: Outbox | None) -> None:
        self._client = client
        self._outbox = outbox
        self._here: deque[bytes] = deque(maxlen=KEPT_SAMPLES)

    def put(self, sample: Sample) -> None:
        """Adds a sample. Never waits and never raises."""
        value = encode(sample)
        if self._outbox is None:
            self._here.append(value)
            return
        self._outbox.put(
            (b"RPUSH", names.SAMPLES, value),
            (b"LTRIM", names.SAMPLES, -KEPT_SAMPLES, -1),
            (b"EXPIRE", names.SAMPLES, SAMPLE_SECONDS),
        )

    def take(self, most: int) -> list[Sample]:
        """Up to `most` samples, the oldest first; each is given to one caller only. Raises StoreUnavailable."""
        values: list[bytes]
        if self._client is None:
            values = [self._here.popleft() for _ in range(min(most, len(self._here)))]
        else:
            with reading():
                values = cast("list[bytes] | None", self._client.lpop(names.SAMPLES.decode(), most)) or []
        return [sample for value in values if (sample := _read_sample(value)) is not None]

    def __len__(self) -> int:
        """The number of samples that wait. Raises StoreUnavailable."""
        if self._client is None:
            return len(self._here)
        with reading():
            return self._client.llen(names.SAMPLES.decode())
