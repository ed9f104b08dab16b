"""Vectors to groups, and to places on a map. Pure: the same vectors always give the same groups and places."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..embedding import Vectors, normalized

MOST_GROUPS = 40
ROUNDS = 25
"""Passes over all vectors; text settles in about ten."""
SEED = 7

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Grouped(NamedTuple):
    """One row a vector: the number of its group, how near it is to the middle of that (a cosine), its place on the map.

    Places are of shape (vectors, 2), from -1 to 1.
    """

    groups: Labels
    typical: Floats
    places: Floats


def group(vectors: Vectors) -> Grouped:
    """Groups unit vectors (shape: vectors, dimension) by k-means on cosines, at most MOST_GROUPS of them.

    What all have in common is taken out first: in questions to one application that is most of each vector. The map is
    the plane in which the groups lie furthest apart: the first two principal components of their middles, each as wide
    as the map.
    """
    if not len(vectors):
        return Grouped(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), np.zeros((0, 2), dtype=np.float32))
    own = normalized(vectors - vectors.mean(axis=0))
    groups, middles = _k_means(own, how_many(len(own)))
    typical = np.einsum("ij,ij->i", vectors, _middles(vectors, groups, len(middles))[groups])
    return Grouped(groups, typical, _places(own, middles, groups))


def how_many(count: int) -> int:
    """Groups for so many questions: at least three questions a group on average, so that a group says something."""
    return max(1, min(MOST_GROUPS, round(1.6 * math.sqrt(count)), count // 3))


def _k_means(vectors: Vectors, wanted: int) -> tuple[Labels, Vectors]:
    middles = _beginnings(vectors, wanted)
    groups = (vectors @ middles.T).argmax(axis=1)
    for _ in range(ROUNDS):
        is_empty = ~np.isin(np.arange(len(middles)), groups)
        middles = np.where(is_empty[:, None], middles, _middles(vectors, groups, len(middles)))
        again = (vectors @ middles.T).argmax(axis=1)
        if np.array_equal(again, groups):
            break
        groups = again
    return groups, middles


def _middles(vectors: Vectors, groups: Labels, count: int) -> Vectors:
    sums = np.zeros((count, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, groups, vectors)
    return normalized(sums)


def _beginnings(vectors: Vectors, wanted: int) -> Vectors:
    """Vectors far from each other (k-means++), by a seeded chance."""
    chance = np.random.default_rng(SEED)
    chosen = [0]
    distances = 1 - vectors @ vectors[0]
    while len(chosen) < wanted:
        weights = np.maximum(distances, 0).astype(np.float64) ** 2
        if not (total := weights.sum()):
            break  # all that is left stands at what is chosen already
        chosen.append(int(chance.choice(len(vectors), p=weights / total)))
        distances = np.minimum(distances, 1 - vectors @ vectors[chosen[-1]])
    return vectors[chosen]


def _places(vectors: Vectors, middles: Vectors, groups: Labels) -> Floats:
    sizes = np.bincount(groups, minlength=len(middles)).astype(np.float32)
    spread = middles * np.sqrt(sizes)[:, None] if len(middles) > 2 else vectors
    _, _, axes = np.linalg.svd(spread, full_matrices=False)
    axes = axes[:2]
    # The sign of an axis is arbitrary: this one gives equal vectors equal maps.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    places = np.zeros((len(vectors), 2), dtype=np.float32)
    places[:, : len(axes)] = vectors @ axes.T
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    reach = (places.max(axis=0) - places.min(axis=0)) / 2
    reach[reach == 0] = 1
    filled: Floats = (places - middle) / reach
    return filled
