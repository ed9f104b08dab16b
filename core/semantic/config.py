"""The configuration of the semantic part of a cache."""

from __future__ import annotations

import msgspec

from ..models import IndexChoice


class SemanticConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of the semantic part; `core.settings` explains each field."""

    embedder: str = "wordllama"
    embedder_dimension: int | None = None
    embedder_deadline_seconds: float = 1.0
    index: IndexChoice = IndexChoice.NUMPY
    index_megabytes: int = 512
    conversations: bool = False
