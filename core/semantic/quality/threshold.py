"""The threshold of a namespace: how near questions are looked up. Pure."""

from __future__ import annotations

import msgspec

from ...models import SemanticMode


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """How a namespace looks up near questions. `grey` and `serve` are cosines.

    From `serve` on an entry is served without a judge as soon as the bound of the `publication` holds, and before that
    where it is `unproved`; None: none is. From `grey` on a judge is asked; evidence moves it unless it is `grey_fixed`.
    `version` is the number of the act, `publication` that of the act that set `serve`; 0 is what is configured.
    `embedder` is the one whose cosines these are, as ENCORE_EMBEDDER names it; empty where that was not noted.

    For one lookup: `waiting` is the cosine to serve from that the bound does not allow yet, `chance` the probability
    of an unjudged hit to be judged afterwards.
    """

    mode: SemanticMode = SemanticMode.OFF
    grey: float = 0.70
    serve: float | None = 0.97
    version: int = 0
    grey_fixed: bool = False
    publication: int = 0
    embedder: str = ""
    unproved: bool = False
    waiting: float | None = None
    chance: float = 0.0
