"""What stands against one answer for two questions: guards, and the cosine of what is left of long ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import EmbedderIdentity, NoVector, Vectors, WordLlamaEmbedder
from core.semantic.objections import objection

TEXT = (
    "The spring quarter went better than we had planned in January and sales of the folding bicycle rose in every "
    "region except the coast where two dealers closed their shops and a third one moved to another brand."
)
RISKS, DANGERS, GAINS = (f"List the {what}.\n\n{TEXT}" for what in ("risks", "dangers", "gains"))


class Seen:
    """An embedder that sees what it is given; words beginning with the same letter are as near as it is told."""

    def __init__(self, near: float = 1.0) -> None:
        self.identity = EmbedderIdentity(name="seen", version="1", dimension=2)
        self.texts: list[str] = []
        self._near = near

    def objection(self, text: str) -> NoVector | None:
        return NoVector.UNREADABLE if text == "dangers" and self._near < 0 else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        far = [self._near, (1 - self._near**2) ** 0.5]
        return np.array([[1, 0] if text == "risks" else far for text in texts], dtype=np.float32)


def test_what_is_left_is_weighed_by_the_embedder_as_shipped(wordllama: WordLlamaEmbedder):
    embedder = CheckedEmbedder(wordllama)
    near = objection(RISKS, DANGERS, embedder, serve=0.97)
    assert near.guard == ""
    assert near.reason == "what is left is “risks” and “dangers”: 0.69 near"
    far = objection(RISKS, GAINS, embedder, serve=0.97)
    assert (far.guard, far.judgeable) == ("remainder", True)
    assert far.reason.startswith("what is left is “risks” and “gains”: ")


@pytest.mark.parametrize(("near", "guard"), [(0.96, "remainder"), (0.98, "")])
def test_where_no_measure_says_more_it_must_be_as_near_as_whole_questions(near, guard):
    assert objection(RISKS, DANGERS, CheckedEmbedder(Seen(near)), serve=0.97).guard == guard


def test_what_has_no_vector_is_a_doubt():
    found = objection(RISKS, DANGERS, CheckedEmbedder(Seen(-0.5)), serve=0.97)
    assert (found.guard, found.reason) == ("remainder", "what is left is “risks” and “dangers”: no vector")


def test_nothing_is_embedded_but_what_decides():
    seen = Seen()
    embedder = CheckedEmbedder(seen)
    for question, stored in [
        (RISKS, RISKS),
        (RISKS, f"Please, l{RISKS[1:]}"),
        (RISKS, f"Translate this.\n\n{TEXT}"),
        (RISKS, RISKS.replace("two", "nine")),
        ("How do I pay?", "How can I pay?"),
    ]:
        objection(question, stored, embedder, serve=0.97)
    assert seen.texts == []
    unweighed = objection(RISKS, DANGERS, embedder, serve=0.97, weighs=False)
    assert (seen.texts, unweighed.guard) == ([], "remainder")
    objection(RISKS, DANGERS, embedder, serve=0.97)
    assert seen.texts == ["risks", "dangers"]


def test_a_guard_refuses_and_a_doubt_does_not():
    embedder = CheckedEmbedder(Seen())
    refused = objection(RISKS, RISKS.replace("two", "nine"), embedder, serve=0.97)
    assert (refused.guard, refused.judgeable) == ("numbers", False)
    doubtful = objection(RISKS, f"Translate this.\n\n{TEXT}", embedder, serve=0.97)
    assert (doubtful.guard, doubtful.judgeable) == ("remainder", True)
