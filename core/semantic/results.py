"""The result of a semantic lookup: the near entries examined, and the verdict on each. Pure."""

from __future__ import annotations

import msgspec

from ..stores import Found


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A judge's ruling: `yes`, `no`, `late`, `over-budget` or `broken`; only a yes serves.

    `judge` is the model and the version of its prompt; `cost_usd` is None where no price is known. The costs of a late
    verdict are not in here: they are not known yet.
    """

    word: str
    reason: str = ""
    judge: str = ""
    latency_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """One near entry and the verdict on it.

    `guard` names the guard that refused it and `reason` says why, `judgeable` that a judge's yes may serve it
    all the same, `ruling` is the judge's word. `far`: too far to be
    served, and only looked at so that other thresholds can be tried on it later.
    """

    key: str
    model: str
    prompt: str
    similarity: float
    guard: str = ""
    reason: str = ""
    judgeable: bool = False
    ruling: str = ""
    judgement: Judgement | None = None
    far: bool = False


class SemanticResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a semantic lookup. `reason` is one word of a bounded vocabulary when nothing was found.

    `nearest` is the cosine of the nearest row, served or not; None when none was near at all. `embedder` is the
    identity's digest in hex.
    """

    found: Found | None = None
    bucket: int = 0
    similarity: float | None = None
    judged: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    reason: str = ""
    nearest: float | None = None
    embedder: str = ""
