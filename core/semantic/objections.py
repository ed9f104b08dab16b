"""What stands against one answer for two questions: what the guards see, and the cosine of what is left of long ones.

The only place where both meet. Of two long questions the words that only one of each has are embedded by themselves,
when nothing else stands against the pair: in the whole texts they hardly move the cosine.
"""

from __future__ import annotations

from .decision import Objection
from .embedding import CheckedEmbedder, NoVector
from .guards import Guard, compare

NEAR_ENOUGH = {"wordllama": 0.65}
"""From which cosine on a few words mean the same, by embedder, as measured: below are "easy" and "hard"."""


def objection(question: str, stored: str, embedder: CheckedEmbedder, *, serve: float, weighs: bool = True) -> Objection:
    """What stands against serving `stored`'s answer to `question`.

    `serve` is the cosine from which whole questions are served: what is left must be as near where no measure says from
    when on a few words are. Not `weighs`: nothing is embedded, and a pair for which that would decide is objected to.
    """
    found = compare(question, stored)
    if found.guard is not None or found.left is None:
        return Objection(str(found.guard or ""), found.reason, found.judgeable)
    ours, theirs = found.left
    if not weighs:
        return Objection(Guard.REMAINDER, f"not weighed: “{ours}” and “{theirs}”", judgeable=True)
    cosine = _cosine(embedder, ours, theirs)
    least = NEAR_ENOUGH.get(embedder.identity.name, serve)
    weighed = f"what is left is “{ours}” and “{theirs}”: " + ("no vector" if cosine is None else f"{cosine:.2f} near")
    if cosine is None or cosine < least:
        return Objection(Guard.REMAINDER, weighed, judgeable=True)
    return Objection("", weighed)


def _cosine(embedder: CheckedEmbedder, ours: str, theirs: str) -> float | None:
    """None where one of the texts has no vector."""
    one, other = embedder.vectors([ours, theirs])
    if isinstance(one, NoVector) or isinstance(other, NoVector):
        return None
    return float(one @ other)
