"""What the tests of semantic lookup share."""

from __future__ import annotations

import pytest

from core.semantic.embedding.embedders import WordLlamaEmbedder


@pytest.fixture(scope="session")
def wordllama() -> WordLlamaEmbedder:
    """The local embedder, loaded once."""
    return WordLlamaEmbedder()
