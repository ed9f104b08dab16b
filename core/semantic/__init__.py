"""Answers to near questions: whether a stored answer may be given to a question worded otherwise."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .assembly import assemble, build_embedder
    from .config import SemanticConfig
    from .deferred import DeferredLookup
    from .lookup import SemanticLookup
    from .results import Neighbour, SemanticResult

__all__ = [
    "DeferredLookup",
    "Neighbour",
    "SemanticConfig",
    "SemanticLookup",
    "SemanticResult",
    "assemble",
    "build_embedder",
]

__getattr__ = lazily(
    __name__,
    assembly="assemble build_embedder",
    config="SemanticConfig",
    deferred="DeferredLookup",
    lookup="SemanticLookup",
    results="Neighbour SemanticResult",
)
