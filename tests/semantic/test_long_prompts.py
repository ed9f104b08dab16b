"""Of two long prompts what both share is cut and what is left decides: through the whole cache, as shipped."""

from __future__ import annotations

import pytest

from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from tests.semantic.long_prompts import asked, table
from tests.semantic.sets.long_prompts import long_pairs


@pytest.fixture(scope="module")
def checked(wordllama: WordLlamaEmbedder) -> CheckedEmbedder:
    return CheckedEmbedder(wordllama)


PAIRS = long_pairs("development")


@pytest.mark.parametrize(
    ("serve", "pairs"), [(0.88, PAIRS), (0.90, PAIRS[::5]), (0.97, PAIRS[::5])], ids=["0.88", "0.90", "0.97"]
)
def test_of_two_long_prompts_only_the_order_in_other_words_is_served(checked, serve, pairs):
    hits = asked(pairs, serve, checked)
    wrong = [pair for pair, hit in zip(pairs, hits, strict=True) if hit and not pair.same]
    assert not wrong, (
        f"{[(pair.kind, pair.a[:90], pair.b[:90]) for pair in wrong[:3]]}\n{table(pairs, [serve], checked)}"
    )
    right = [hit for pair, hit in zip(pairs, hits, strict=True) if pair.same]
    assert len(pairs) - len(right) > 200
    assert sum(right) >= (0.75 if serve > 0.95 else 0.85) * len(right), table(pairs, [serve], checked)
