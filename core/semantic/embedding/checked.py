"""The one place between embedders and lookups: checks every vector, remembers recent ones, keeps a deadline.

Nothing is raised into the request path. Whatever cannot be trusted becomes a reason.
"""

from __future__ import annotations

import logging
import math
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from hashlib import blake2b
from threading import BoundedSemaphore, Lock

import numpy as np

from ...errors import EmbedderError
from .embedders import Embedder, EmbedderIdentity, NoVector, Vector

logger = logging.getLogger(__name__)


class CheckedEmbedder:
    """An embedder whose every answer is either a unit vector of the right size or a `NoVector`.

    `deadline_seconds` is for embedders that may be slow: the text is embedded on another thread, and a vector that
    comes too late is remembered for the next time. None embeds on the caller's thread: for local word vectors.
    """

    WORKERS = 4
    """Embeddings under way at once, late ones included. One more is refused at once: the embedder is not keeping up."""

    def __init__(self, embedder: Embedder, *, deadline_seconds: float | None = None, remembered: int = 4096) -> None:
        self._embedder = embedder
        self._deadline_seconds = deadline_seconds
        self._recent = _RecentVectors(remembered)
        self._workers: _Workers | None = None
        self._lock = Lock()

    @property
    def identity(self) -> EmbedderIdentity:
        """The embedder's."""
        return self._embedder.identity

    def vector(self, text: str) -> Vector | NoVector:
        """The vector of one text. Read-only: it is shared with other callers."""
        return self.vectors([text])[0]

    def vectors(self, texts: Sequence[str]) -> list[Vector | NoVector]:
        """One answer a text, in their order; those not remembered go to the embedder in one batch."""
        answers = [self._known(text) for text in texts]
        missing = [index for index, answer in enumerate(answers) if answer is None]
        if missing:
            batch = [texts[index] for index in missing]
            for index, answer in zip(missing, self._in_time(batch), strict=True):
                answers[index] = answer
        return [NoVector.FAILED if answer is None else answer for answer in answers]

    def close(self) -> None:
        """Ends the threads, without waiting for what is under way."""
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None and workers.process == os.getpid():
            workers.pool.shutdown(wait=False, cancel_futures=True)

    def _known(self, text: str) -> Vector | NoVector | None:
        """A remembered vector, a refusal that needs no embedding, or None."""
        if not text.strip():
            return NoVector.EMPTY
        try:
            digest = _digest(text)
        except UnicodeEncodeError:  # half of a surrogate pair
            return NoVector.UNREADABLE
        if (vector := self._recent.get(digest)) is not None:
            return vector
        try:
            return self._embedder.objection(text)
        except Exception as error:  # noqa: BLE001 - foreign code on the request path: its faults cost one lookup
            logger.warning("an embedder failed: %s", type(error).__name__)
            return NoVector.FAILED

    def _in_time(self, batch: Sequence[str]) -> Sequence[Vector | NoVector]:
        if self._deadline_seconds is None:
            return self._embed(batch)
        workers = self._own_workers()
        if not workers.places.acquire(blocking=False):
            return [NoVector.LATE] * len(batch)
        try:
            future = workers.pool.submit(self._embed, batch)
        except RuntimeError:  # closed, or the interpreter is shutting down
            workers.places.release()
            return [NoVector.FAILED] * len(batch)
        future.add_done_callback(lambda _: workers.places.release())
        done, _ = wait([future], timeout=self._deadline_seconds)
        return future.result() if done and not future.cancelled() else [NoVector.LATE] * len(batch)

    def _own_workers(self) -> _Workers:
        # After a fork the parent's threads are gone, and with them whatever they held.
        process = os.getpid()
        with self._lock:
            if self._workers is None or self._workers.process != process:
                self._workers = _Workers(process, self.WORKERS)
            return self._workers

    def _embed(self, batch: Sequence[str]) -> list[Vector | NoVector]:
        try:
            rows = self._embedder.embed(batch)
        except EmbedderError:
            return [NoVector.FAILED] * len(batch)
        except Exception as error:  # noqa: BLE001 - foreign code on the request path: its faults cost one lookup
            logger.warning("an embedder failed: %s", type(error).__name__)
            return [NoVector.FAILED] * len(batch)
        if getattr(rows, "shape", None) != (len(batch), self.identity.dimension):
            return [NoVector.WRONG_SHAPE] * len(batch)
        answers = [_checked(row) for row in rows]
        for text, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, NoVector):
                self._recent.put(_digest(text), answer)
        return answers


class _Workers:
    """Threads of one process, and as many places as there are threads."""

    def __init__(self, process: int, count: int) -> None:
        self.process = process
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="encore-embed")
        self.places = BoundedSemaphore(count)


def _checked(row: Vector) -> Vector | NoVector:
    """The row as a read-only unit vector, whatever the embedder says of its length."""
    length = math.sqrt(np.dot(row, row))
    if not math.isfinite(length):
        return NoVector.NOT_FINITE
    if length < 1e-6:
        return NoVector.ZERO
    vector: Vector = row / np.float32(length)
    vector.setflags(write=False)
    return vector


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


class _RecentVectors:
    """The last vectors by digest of their text, least recently used first out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: bytes) -> Vector | None:
        with self._lock:
            vector = self._vectors.get(digest)
            if vector is not None:
                self._vectors.move_to_end(digest)
            return vector

    def put(self, digest: bytes, vector: Vector) -> None:
        with self._lock:
            self._vectors[digest] = vector
            self._vectors.move_to_end(digest)
            while len(self._vectors) > self._limit:
                self._vectors.popitem(last=False)
