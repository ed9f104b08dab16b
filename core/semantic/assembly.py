"""Puts the semantic part together: embedder, index, log. Imported when a lookup needs it, and not before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

import redis

from ..errors import EmbedderError
from ..models import IndexChoice
from ..providers import Provider
from ..stores.redis import reading
from .config import SemanticConfig
from .embedding import (
    CheckedEmbedder,
    Embedder,
    OnnxEmbedder,
    OpenAIEmbedder,
    SentenceTransformersEmbedder,
    UniversalSentenceEncoderEmbedder,
    WordLlamaEmbedder,
)
from .index import NumpyIndex, SharedVectors, VectorLog, VectorSetIndex, has_vector_sets
from .lookup import SemanticLookup
from .quality import Threshold
from .search import Judge, Observer

logger = logging.getLogger("encore.semantic")


def assemble(
    config: SemanticConfig,
    provider: Provider,
    client: redis.Redis | None,
    *,
    thresholds: Callable[[str], Threshold],
    refused: Callable[[str], Collection[str]],
    judge: Judge | None,
    observer: Observer,
    count: Callable[[str], None],
    personal: Callable[[str], bool] = lambda text: True,
    clock: Callable[[], float] = time.time,
) -> tuple[SemanticLookup, SharedVectors | None]:
    """The lookup, and the replication that keeps its index current (None where the index is in Redis itself).

    Raises EmbedderError, StoreUnavailable.
    """
    embedder = build_embedder(config, provider)
    index: NumpyIndex | VectorSetIndex
    vectors = None
    if client is not None and _wants_vector_sets(config, client):
        index = VectorSetIndex(client, clock=clock)
    else:
        index = NumpyIndex(max_bytes=config.index_megabytes * 2**20, clock=clock)
        if client is not None:
            vectors = SharedVectors(client, VectorLog(client, embedder.identity, clock=clock), index)
    lookup = SemanticLookup(
        embedder,
        index,
        thresholds=thresholds,
        refused=refused,
        vectors=vectors,
        judge=judge,
        count=count,
        observer=observer,
        conversations=config.conversations,
        personal=personal,
    )
    return lookup, vectors


def lookup_in_memory(
    config: SemanticConfig,
    embedder: CheckedEmbedder,
    judge: Judge,
    *,
    thresholds: Callable[[str], Threshold],
    personal: Callable[[str], bool],
    clock: Callable[[], float],
) -> SemanticLookup:
    """A lookup with an empty index of its own, in this process alone. Several may share the embedder."""
    return SemanticLookup(
        embedder,
        NumpyIndex(max_bytes=config.index_megabytes * 2**20, clock=clock),
        thresholds=thresholds,
        judge=judge,
        conversations=config.conversations,
        personal=personal,
    )


def build_embedder(config: SemanticConfig, provider: Provider) -> CheckedEmbedder:
    """The configured embedder, with a deadline unless it is the local one that takes microseconds."""
    kind, _, model = config.embedder.partition(":")
    deadline_seconds = config.embedder_deadline_seconds
    embedder: Embedder
    if kind == "openai":
        embedder = OpenAIEmbedder(
            provider, model, dimension=config.embedder_dimension, timeout_seconds=deadline_seconds
        )
    else:
        embedder = _local(kind, model)
    takes_time = not isinstance(embedder, WordLlamaEmbedder)
    return CheckedEmbedder(embedder, deadline_seconds=deadline_seconds if takes_time else None)


def embedder_digest(config: SemanticConfig, provider: Provider) -> str:
    """The digest of the configured embedder's identity in hex, as evidence has it; empty where it cannot be built."""
    try:
        embedder = build_embedder(config, provider)
    except EmbedderError:
        return ""
    embedder.close()
    return embedder.identity.digest.hex()


def build_local_embedder(config: SemanticConfig) -> CheckedEmbedder:
    """The configured embedder if it runs on this machine, else word vectors. Without a deadline: for workers.

    Raises EmbedderError.
    """
    kind, _, model = config.embedder.partition(":")
    return CheckedEmbedder(_local(kind, model))


def _local(kind: str, model: str) -> Embedder:
    match kind:
        case "sentence-transformers":
            return SentenceTransformersEmbedder(model)
        case "onnx":
            return OnnxEmbedder(model)
        case UniversalSentenceEncoderEmbedder.PACKAGE:
            return UniversalSentenceEncoderEmbedder()
        case _:
            return WordLlamaEmbedder()


def _wants_vector_sets(config: SemanticConfig, client: redis.Redis) -> bool:
    if config.index is not IndexChoice.REDIS:
        return False
    with reading():
        is_able = has_vector_sets(client)
    if not is_able:
        logger.warning("ENCORE_SEMANTIC_INDEX is redis, but this server has no vector sets: NumPy is used")
    return is_able
