"""Near questions over HTTP: how what is served without the judge stands."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class NearOut(BaseModel):
    """How the hits of a published threshold stand: with 95 % confidence, at every moment, at most `bound` were wrong.

    `is_as_judged`: by the judge's word, since people have not labelled enough to know what it misses; else corrected by
    the share of what is wrong that it is known to find, `caught`. `estimate` is the share that the labels speak for.
    """

    state: Literal["beginning", "holding", "unproved", "broken", "drifting"]
    words: str = Field(description="The state in words.")
    serve: float = Field(description="The cosine to serve from.")
    publication: int = Field(description="The version that set it; 0: what is configured.")
    since: float = Field(description="Unix seconds.")
    budget: float
    bound: float
    estimate: float
    is_as_judged: bool
    caught: float | None
    hits: int = Field(description="Matches since then that the labels stand for.")
    labels: int
    wrong: int
    recent: int = Field(description="The latest labels, at most 100.")
    recent_wrong: int
    still_needed: int = Field(description="More labels without an error until the bound holds.")
