"""Makes the map of questions from recorded requests: embeds them by a model on this machine, and groups them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from ...errors import CacheError
from ...metrics import RequestRecord
from ..embedding import CheckedEmbedder, NoVector, Vectors, normalized
from ..quality import default_cosines
from .grouping import group
from .question_map import Place, QuestionMap, digest

MOST_QUESTIONS = 2000
"""On the map: those asked most often, and of the others the latest."""
BATCH = 100


class Stopped(CacheError):
    """Raised when the grouping was asked to end before it had."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a grouping has come: `done` of `total` questions are embedded; `groups` are there at the end."""

    done: int
    total: int
    groups: int = 0


def make(
    records: Iterable[RequestRecord],
    embedder: CheckedEmbedder,
    now: float,
    *,
    on_batch: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> QuestionMap:
    """The map of the questions in records given newest first. Raises Stopped."""
    asked: Counter[bytes] = Counter()
    texts: dict[bytes, str] = {}
    for record in records:
        if record.prompt:
            name = digest(record.prompt)
            asked[name] += 1
            texts.setdefault(name, record.prompt)
    chosen = [name for name, _ in asked.most_common(MOST_QUESTIONS)]
    names: list[bytes] = []
    vectors = []
    for begin in range(0, len(chosen), BATCH):
        if should_stop():
            raise Stopped("the grouping was asked to end")
        batch = chosen[begin : begin + BATCH]
        for name, vector in zip(batch, embedder.vectors([texts[name] for name in batch]), strict=True):
            if not isinstance(vector, NoVector):
                names.append(name)
                vectors.append(vector)
        on_batch(Progress(done=begin + len(batch), total=len(chosen)))
    rows = np.stack(vectors) if vectors else np.zeros((0, embedder.identity.dimension), dtype=np.float32)
    grouped = group(rows)
    nearest = _nearest(rows, default_cosines(embedder.identity.name).grey)
    places = {
        name: Place(
            int(number),
            round(float(typical), 3),
            round(float(x), 4),
            round(float(y), 4),
            b"" if near < 0 else names[near],
        )
        for name, near, number, typical, (x, y) in zip(names, nearest, *grouped, strict=True)
    }
    return QuestionMap(
        at=now,
        model=embedder.identity.name,
        places=places,
        unread=len(chosen) - len(names),
        left_out=len(asked) - len(chosen),
    )


def _nearest(vectors: Vectors, least: float) -> list[int]:
    """Of each row the other one with the largest cosine; -1 where that is below `least`."""
    unit = normalized(vectors)
    found: list[int] = []
    for begin in range(0, len(unit), BATCH):
        cosines = unit[begin : begin + BATCH] @ unit.T
        here = np.arange(len(cosines))
        cosines[here, begin + here] = -1.0
        best = cosines.argmax(axis=1)
        found += [int(place) if cosines[row, place] >= least else -1 for row, place in enumerate(best)]
    return found
