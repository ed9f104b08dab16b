"""The results of a semantic lookup, the near entries examined with the verdict on each, and of a rebuild. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..stores import Found
from ..text import many

RULED = ("yes", "no")
"""The words of a judge that are rulings on a pair, and so its labels. No other word says anything of a pair."""

JUDGE_WORDS = {
    "yes": "yes",
    "no": "no",
    "unnamed": "named another",
    "not-shown": "not shown",
    "unreadable": "no verdict",
    "late": "late",
    "over-budget": "budget spent",
    "broken": "failed",
}
"""All words of a judge, for people."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge is asked about: a question in a namespace, and the messages before it, shortened, oldest first.

    `converses`: the stored questions have histories of their own. `dependencies` are then what rules have named that
    the question depends on.
    """

    namespace: str
    question: str
    history: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    converses: bool = False


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge said of one stored answer; only `yes` serves it, and only `yes` and `no` are rulings on the pair.

    `unnamed`: of several it named another one. `not-shown`: it was not asked, since the answer is too long for it, no
    text, or dictates a verdict. `unreadable`: its reply was no verdict. `late`, `over-budget` and `broken`: it did not
    reply. `judge` is the model and the version of its prompt. What one call for several answers cost is in one of its
    judgements; `cost_usd` is None where no price is known. The costs of a late verdict are not in here: they are not
    known yet.
    """

    word: str
    reason: str = ""
    judge: str = ""
    latency_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    @property
    def is_ruling(self) -> bool:
        """Whether it says something of the pair."""
        return self.word in RULED


def outcome(judgements: Sequence[Judgement]) -> str:
    """The one word for what a judge said of several answers: a yes, else what became of those that it was shown."""
    said = [judgement.word for judgement in judgements]
    if "yes" in said:
        return "yes"
    return next((word for word in said if word != "not-shown"), "not-shown")


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """One near entry and the verdict on it.

    `guard` names the guard that refused it and `reason` says why, `judgeable` that a judge's yes may serve it all the
    same, `ruling` is the judge's word. `far`: too far to be served, and only looked at so that other thresholds can be
    tried on it later. `served`: its answer was given.
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
    served: bool = False


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


class RebuildProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a rebuild has come: of `total` rows of other embedders `done` were looked at.

    `added` got a row of the embedder in use, `present` had one, `gone` lead to no entry that could be served,
    `unreadable` have a question that the embedder cannot read; with `failed` it gave no vector, so that another run
    may add them. `finished` is False when it was asked to end.
    """

    embedder: str
    total: int
    done: int = 0
    added: int = 0
    present: int = 0
    gone: int = 0
    unreadable: int = 0
    failed: int = 0
    finished: bool = False

    @property
    def words(self) -> str:
        """What it has done, in words."""
        parts = [f"{self.done:,} of {many(self.total, 'row')} of other embedders looked at", f"{self.added:,} added"]
        parts += [
            f"{count:,} {what}"
            for count, what in (
                (self.present, "there already"),
                (self.gone, "led to no answer"),
                (self.unreadable, "cannot be read by this embedder"),
                (self.failed, "left out as the embedder failed"),
            )
            if count
        ]
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The progress as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain
