"""Texts as vectors: the embedders, and the checks on what they return."""

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .checked import CheckedEmbedder
    from .embedders import (
        Embedder,
        EmbedderIdentity,
        NoVector,
        OpenAIEmbedder,
        Vector,
        Vectors,
        WordLlamaEmbedder,
        normalized,
    )
    from .local_models import OnnxEmbedder, SentenceTransformersEmbedder, UniversalSentenceEncoderEmbedder

__all__ = [
    "CheckedEmbedder", "Embedder", "EmbedderIdentity", "NoVector", "OnnxEmbedder", "OpenAIEmbedder",
    "SentenceTransformersEmbedder", "UniversalSentenceEncoderEmbedder", "Vector", "Vectors", "WordLlamaEmbedder",
    "normalized",
]  # fmt: skip

__getattr__ = lazily(
    __name__,
    checked="CheckedEmbedder",
    embedders="Embedder EmbedderIdentity NoVector OpenAIEmbedder Vector Vectors WordLlamaEmbedder normalized",
    local_models="OnnxEmbedder SentenceTransformersEmbedder UniversalSentenceEncoderEmbedder",
)
