"""Stored questions near a new one: looked for, guarded, judged, and measured."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .assembly import assemble, build_embedder, build_local_embedder, embedder_digest, lookup_in_memory
    from .config import SemanticConfig
    from .decision import OVERTAKEN, Ask, Miss, Serve, overtaken
    from .deferred import DeferredLookup
    from .lookup import SemanticLookup
    from .results import JUDGE_WORDS, Case, Judgement, Neighbour, SemanticResult
    from .search import Search

__all__ = [
    "JUDGE_WORDS", "OVERTAKEN", "Ask", "Case", "DeferredLookup", "Judgement", "Miss", "Neighbour", "Search",
    "SemanticConfig", "SemanticLookup", "SemanticResult", "Serve", "assemble", "build_embedder", "build_local_embedder",
    "embedder_digest", "lookup_in_memory", "overtaken",
]  # fmt: skip

__getattr__ = lazily(
    __name__,
    assembly="assemble build_embedder build_local_embedder embedder_digest lookup_in_memory",
    config="SemanticConfig",
    decision="OVERTAKEN Ask Miss Serve overtaken",
    deferred="DeferredLookup",
    lookup="SemanticLookup",
    results="JUDGE_WORDS Case Judgement Neighbour SemanticResult",
    search="Search",
)
