"""Of two long prompts what both share is cut and what is left decides: through the whole cache, as shipped."""

from __future__ import annotations

import pytest

from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from tests.semantic.long_prompts import THRESHOLDS, asked
from tests.semantic.sets.long_prompts import long_pairs


@pytest.fixture(scope="module")
def checked(wordllama: WordLlamaEmbedder) -> CheckedEmbedder:
    return CheckedEmbedder(wordllama)


PAIRS = long_pairs("development")


@pytest.mark.parametrize("serve", THRESHOLDS)
def test_of_two_long_prompts_only_the_order_in_other_words_is_served(checked, serve):
    hits = asked(PAIRS, serve, checked)
    wrong = [pair for pair, hit in zip(PAIRS, hits, strict=True) if hit and not pair.same]
    assert not wrong, [(pair.kind, pair.a[:120], pair.b[:120]) for pair in wrong[:3]]
    right = [hit for pair, hit in zip(PAIRS, hits, strict=True) if pair.same]
    assert len(PAIRS) - len(right) > 1_200
    assert sum(right) >= 0.82 * len(right)
