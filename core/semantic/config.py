"""What the semantic part of a cache is made of."""

from __future__ import annotations

import msgspec

from ..models import IndexChoice


class SemanticConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the semantic part is made of; `core.settings` says what each means."""

    embedder: str = "wordllama"
    embedder_dimension: int | None = None
    embedder_deadline_seconds: float = 1.0
    index: IndexChoice = IndexChoice.NUMPY
    index_megabytes: int = 512
