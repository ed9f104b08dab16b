"""The one place between embedders and lookups: checks every vector, remembers recent ones, keeps a deadline.

Nothing is raised into the request path. Whatever cannot be trusted becomes a reason.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np
from cachetools import LRUCache

from ...concurrency import LATE, TimedCalls, begin_in_each_process
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
        self._remembered = remembered
        self._calls = TimedCalls(self.WORKERS, "encore-embed")
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = Lock()
        self._recent: LRUCache[bytes, Vector] = LRUCache(self._remembered)

    @property
    def identity(self) -> EmbedderIdentity:
        """The identity of the embedder."""
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
        """Ends the threads without waiting for calls under way."""
        self._calls.close()

    def _known(self, text: str) -> Vector | NoVector | None:
        """A remembered vector, a refusal that needs no embedding, or None."""
        if not text.strip():
            return NoVector.EMPTY
        try:
            digest = _digest(text)
        except UnicodeEncodeError:  # half of a surrogate pair
            return NoVector.UNREADABLE
        with self._lock:
            vector = self._recent.get(digest)
        if vector is not None:
            return vector
        try:
            return self._embedder.objection(text)
        except Exception as error:  # noqa: BLE001 - foreign code on the request path: its faults cost one lookup
            logger.warning("an embedder failed: %s", type(error).__name__)
            return NoVector.FAILED

    def _in_time(self, batch: Sequence[str]) -> Sequence[Vector | NoVector]:
        if self._deadline_seconds is None:
            return self._embed(batch)
        answers = self._calls.call(lambda: self._embed(batch), self._deadline_seconds)
        return [NoVector.LATE] * len(batch) if answers is LATE else answers

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
                digest = _digest(text)
                with self._lock:
                    self._recent[digest] = answer
        return answers


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
