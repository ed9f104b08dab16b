"""The rows of one partition: a matrix that grows, and the search over it.

A large matrix is searched in two stages: the sign bits of every row (xor and popcount) choose `RERANKED` rows, of which
exact similarities are computed. One writer at a time, to which the index sees; readers take no lock, and look
afterwards whether a row moved under them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..embedding import EmbedderIdentity, Vector, Vectors

TWO_STAGES_FROM = 1_500
"""Rows from which two stages are faster than one product with the whole matrix."""

RERANKED = 128
"""Rows that the second stage computes. On 100,000 real questions 64 lost no nearest neighbour."""

SIGN_DIMENSIONS = 512
"""Leading dimensions that the first stage compares, for an embedder whose leading ones carry the meaning."""

ROUNDING = 1e-6
"""What float32 may take from the similarity of two equal vectors."""

_GROWTH = 1.5
_SMALLEST = 4
_BLOCK = 16_384
_SAMPLE = 4_096


class RowsMoved(Exception):
    """Raised by a search under which rows were removed or replaced: search again."""


@dataclass(frozen=True, slots=True)
class _Arrays:
    """What is replaced as a whole when the matrix grows or shrinks. Row i of each belongs together."""

    vectors: Vectors
    keys: npt.NDArray[np.object_]
    expiries: npt.NDArray[np.float64]
    serials: npt.NDArray[np.int64]
    signs: npt.NDArray[np.uint64] | None  # (words, capacity): a column a row
    centre: Vector | None

    @property
    def nbytes(self) -> int:
        signs = 0 if self.signs is None else self.signs.nbytes
        return self.vectors.nbytes + self.keys.nbytes + self.expiries.nbytes + self.serials.nbytes + signs


class Matrix:
    """Vectors with their keys and expiries (seconds since the epoch)."""

    def __init__(self, identity: EmbedderIdentity) -> None:
        self._dimension: Final = identity.dimension
        self._signed: Final = min(identity.dimension, SIGN_DIMENSIONS) if identity.nested else identity.dimension
        self._places: dict[bytes, int] = {}
        self._arrays = self._allocated(_SMALLEST)
        self._moves = 0  # odd while rows are moving
        self.used = 0
        self.earliest_expiry = float("inf")

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, room to grow included."""
        return self._arrays.nbytes

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def serial(self, key: bytes) -> int | None:
        """The serial that `put` was given for this key; None when there is no such row."""
        place = self._places.get(key)
        return None if place is None else int(self._arrays.serials[place])

    def expires_at(self, key: bytes) -> float | None:
        """When this key's row expires, Unix seconds; None when there is no such row."""
        place = self._places.get(key)
        return None if place is None else float(self._arrays.expiries[place])

    def put(self, key: bytes, vector: Vector, expires_at: float, serial: int) -> None:
        """Adds a row, or replaces the one with this key."""
        place = self._places.get(key)
        if place is None:
            if self.used == len(self._arrays.keys):
                self._resize(int(self.used * _GROWTH) + 1)
            self._write(self.used, key, vector, expires_at, serial)
            self._places[key] = self.used
            self._show(self.used + 1)
        else:
            self._moves += 1
            self._write(place, key, vector, expires_at, serial)
            self._moves += 1
        self.earliest_expiry = min(self.earliest_expiry, expires_at)

    def extend(self, keys: Sequence[bytes], vectors: Vectors, expiries: Sequence[float], first_serial: int) -> None:
        """Adds rows with new keys, all different, numbered from `first_serial`: many in one go."""
        start, end = self.used, self.used + len(keys)
        if end > len(self._arrays.keys):
            self._resize(max(int(self.used * _GROWTH), end) + 1)
        arrays = self._arrays
        arrays.vectors[start:end] = vectors
        arrays.keys[start:end] = keys
        arrays.expiries[start:end] = expiries
        arrays.serials[start:end] = range(first_serial, first_serial + len(keys))
        if arrays.signs is not None and arrays.centre is not None:
            for block in range(start, end, _BLOCK):
                stop = min(block + _BLOCK, end)
                arrays.signs[:, block:stop] = self._signs_of(arrays.vectors[block:stop], arrays.centre)
        self._places.update(zip(keys, range(start, end), strict=True))
        self._show(end)
        self.earliest_expiry = min(self.earliest_expiry, *expiries)

    def remove(self, key: bytes) -> bool:
        """Drops the row of a key; the last row takes its place. False when there is none."""
        place = self._places.pop(key, None)
        if place is None:
            return False
        arrays, last = self._arrays, self.used - 1
        self._moves += 1
        if place != last:
            for array in (arrays.vectors, arrays.keys, arrays.expiries, arrays.serials):
                array[place] = array[last]
            if arrays.signs is not None:
                arrays.signs[:, place] = arrays.signs[:, last]
            self._places[arrays.keys[place]] = place
        arrays.keys[last] = None
        self.used = last
        self._moves += 1
        if last < len(arrays.keys) // 3 and len(arrays.keys) > _SMALLEST:
            self._resize(int(last * _GROWTH) + 1)
        return True

    def remove_expired(self, now: float) -> int:
        """Drops every expired row. Returns their number. Costs one pass over the expiries."""
        expiries = self._arrays.expiries[: self.used]
        dead = np.flatnonzero(expiries <= now)
        if len(dead) > self.used // 8:
            self._keep(np.flatnonzero(expiries > now))
        else:
            for key in list(self._arrays.keys[dead]):
                self.remove(key)
        left = self._arrays.expiries[: self.used]
        self.earliest_expiry = float(left.min()) if self.used else float("inf")
        return len(dead)

    def nearest(self, vector: Vector, count: int, minimum_similarity: float) -> list[tuple[bytes, float]]:
        """(key, cosine) of the nearest rows, best first. Raises RowsMoved when a writer moved rows meanwhile."""
        moves = self._moves
        used, arrays = self.used, self._arrays
        if moves % 2 or used > len(arrays.keys):
            raise RowsMoved
        if arrays.signs is None or arrays.centre is None or used < TWO_STAGES_FROM:
            chosen = None
            cosines = arrays.vectors[:used] @ vector
        else:
            chosen = _likely(arrays.signs[:, :used], self._signs_of(vector[np.newaxis], arrays.centre))
            cosines = arrays.vectors[chosen] @ vector
        near = np.flatnonzero(cosines >= minimum_similarity - ROUNDING)
        near = near[np.argsort(cosines[near])[::-1][:count]]
        places = near if chosen is None else chosen[near]
        keys = arrays.keys[places]
        if self._moves != moves:
            raise RowsMoved
        return [(key, min(max(float(cosine), -1.0), 1.0)) for key, cosine in zip(keys, cosines[near], strict=True)]

    def _signs_of(self, vectors: Vectors, centre: Vector) -> npt.NDArray[np.uint64]:
        """(words, rows). Signs are taken around the centre: some embedders put all texts on one side of zero."""
        bits = np.packbits(vectors[:, : self._signed] > centre, axis=1)
        padded = np.zeros((len(vectors), -(-self._signed // 64) * 8), dtype=np.uint8)
        padded[:, : bits.shape[1]] = bits
        return np.ascontiguousarray(padded.view(np.uint64).T)

    def _show(self, used: int) -> None:
        """Lets readers see the first `used` rows from now on."""
        self.used = used
        if self._arrays.signs is None and used >= TWO_STAGES_FROM:
            self._resize(len(self._arrays.keys))

    def _write(self, place: int, key: bytes, vector: Vector, expires_at: float, serial: int) -> None:
        arrays = self._arrays
        arrays.vectors[place] = vector
        arrays.keys[place] = key
        arrays.expiries[place] = expires_at
        arrays.serials[place] = serial
        if arrays.signs is not None and arrays.centre is not None:
            arrays.signs[:, place] = self._signs_of(vector[np.newaxis], arrays.centre)[:, 0]

    def _resize(self, capacity: int) -> None:
        self._arrays = self._copied(slice(0, self.used), max(capacity, _SMALLEST))

    def _keep(self, places: npt.NDArray[np.intp]) -> None:
        """Only these rows stay. They go to new arrays, so that a reader of the old ones sees no mixture."""
        self._moves += 1
        self._arrays = self._copied(places, max(int(len(places) * _GROWTH), _SMALLEST))
        self.used = len(places)
        self._places = {key: place for place, key in enumerate(self._arrays.keys[: self.used])}
        self._moves += 1

    def _copied(self, rows: Any, capacity: int) -> _Arrays:
        old = self._arrays
        new = self._allocated(capacity)
        count = len(old.keys[rows])
        for source, target in (
            (old.vectors, new.vectors),
            (old.keys, new.keys),
            (old.expiries, new.expiries),
            (old.serials, new.serials),
        ):
            target[:count] = source[rows]
        if count < TWO_STAGES_FROM:
            return new
        centre = new.vectors[:count, : self._signed].mean(axis=0, dtype=np.float32)
        signs = np.zeros((-(-self._signed // 64), capacity), dtype=np.uint64)
        for start in range(0, count, _BLOCK):
            end = min(start + _BLOCK, count)
            signs[:, start:end] = self._signs_of(new.vectors[start:end], centre)
        return _Arrays(new.vectors, new.keys, new.expiries, new.serials, signs, centre)

    def _allocated(self, capacity: int) -> _Arrays:
        return _Arrays(
            vectors=np.empty((capacity, self._dimension), dtype=np.float32),
            keys=np.full(capacity, None, dtype=object),
            expiries=np.empty(capacity, dtype=np.float64),
            serials=np.empty(capacity, dtype=np.int64),
            signs=None,
            centre=None,
        )


def _likely(signs: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """The columns that share most sign bits with the wanted one."""
    shared = np.empty(signs.shape[1], dtype=np.uint16)
    opposite = ~wanted
    for start in range(0, len(shared), _BLOCK):
        block = signs[:, start : start + _BLOCK]
        np.bitwise_count(block ^ opposite).sum(axis=0, dtype=np.uint16, out=shared[start : start + _BLOCK])
    return _largest(shared, RERANKED)


def _largest(values: npt.NDArray[np.uint16], count: int) -> npt.NDArray[np.intp]:
    """Places of the `count` largest values, in no order. A sample says where to cut: ten times a partition's speed."""
    if len(values) <= count:
        return np.arange(len(values))
    sample = values[:: max(1, len(values) // _SAMPLE)]
    wanted = min(len(sample), 8 + 2 * count * len(sample) // len(values))
    cut = np.partition(sample, len(sample) - wanted)[len(sample) - wanted]
    likely = np.flatnonzero(values >= cut)
    if len(likely) < count:  # the sample was not like the rest
        likely = np.arange(len(values))
    if len(likely) == count:
        return likely
    return likely[np.argpartition(values[likely], len(likely) - count)[len(likely) - count :]]
