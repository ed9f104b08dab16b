"""Checks of the semantic part: the embedder, and settings that do not do what they seem to."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..bootstrap import Services
from ..configuration import semantic_config
from ..errors import CacheError, EmbedderError
from ..models import CacheStrategy, SemanticMode
from ..settings import Settings
from ..text import printable
from .findings import Finding, Level
from .probe import probe

LONGEST_NAMESPACE = 80
PROBE = "Is anybody there?"


def embedder_findings(services: Services) -> Iterator[Finding]:
    """Findings on the embedder, if semantic lookup is on. Costs a request, or the loading of a model."""
    if services.semantic is None:
        return
    name = services.settings.embedder

    def embed() -> float:
        from ..semantic import build_embedder

        embedder = build_embedder(semantic_config(services.settings), services.provider)
        began = time.perf_counter()
        vector = embedder.vector(PROBE)
        if isinstance(vector, str):
            raise EmbedderError(vector)
        return (time.perf_counter() - began) * 1000

    probed = probe(embed)
    if probed.value is not None:
        yield Finding(area="embedder", level=Level.OK, text=f"{name} embeds a question in {probed.value:.1f} ms.")
        return
    problem = str(probed.failure) if isinstance(probed.failure, CacheError) else probed.problem
    yield Finding(
        area="embedder",
        level=Level.ERROR,
        text=f"{name} embeds nothing ({problem}): near questions are misses.",
        remedy="Correct ENCORE_EMBEDDER, or check its server.",
    )


def threshold_findings(services: Services) -> Iterator[Finding]:
    """Findings on published thresholds that are not in force. Raises StoreUnavailable."""
    if services.settings.strategy is not CacheStrategy.SEMANTIC:
        return
    for namespace in services.thresholds.namespaces():
        if why := services.thresholds.foreign(namespace):
            yield Finding(
                area="semantic",
                level=Level.WARNING,
                text=f"{printable(namespace, LONGEST_NAMESPACE)}: {why}",
                remedy="Label pairs and publish a threshold (Quality, or python -m core calibrate publish).",
            )


def semantic_findings(settings: Settings) -> Iterator[Finding]:
    """Findings on semantic settings that do not have the effect they seem to have. Pure."""
    is_asked_for = settings.strategy is CacheStrategy.SEMANTIC
    is_off = settings.semantic is SemanticMode.OFF and settings.semantic_conversations == "off"
    if is_asked_for and is_off:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_STRATEGY is semantic, but ENCORE_SEMANTIC is off: it acts as normalized.",
            remedy="Set ENCORE_SEMANTIC to judge or serve, or ENCORE_STRATEGY to normalized.",
        )
    elif not is_asked_for and settings.semantic is not SemanticMode.OFF:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text=f"ENCORE_SEMANTIC is {settings.semantic.value}, but ENCORE_STRATEGY is {settings.strategy.value}: "
            "only requests that ask for it get a semantic lookup.",
            remedy="Set ENCORE_STRATEGY to semantic.",
        )
    yield from _conversations(settings)
    if settings.semantic is SemanticMode.JUDGE and settings.judge_model is None:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_SEMANTIC is judge, but there is no judge: near matches are misses.",
            remedy="Set ENCORE_JUDGE_MODEL to a small model.",
        )


def _conversations(settings: Settings) -> Iterator[Finding]:
    """Whether conversations answer each other: the one exception to the partition by scope."""
    if settings.semantic_conversations == "off":
        return
    missing = [
        f"{variable} to {value}"
        for variable, value, is_set in (
            ("ENCORE_STRATEGY", "semantic", settings.strategy is CacheStrategy.SEMANTIC),
            ("ENCORE_JUDGE_MODEL", "a small model", settings.judge_model is not None),
        )
        if not is_set
    ]
    if missing:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_SEMANTIC_CONVERSATIONS is judge, but conversations are not compared.",
            remedy=f"Set {' and '.join(missing)}.",
        )
        return
    yield Finding(
        area="semantic",
        level=Level.OK,
        text="Conversations may be answered by others that share all but their history, when the judge agrees: the one "
        "exception to scopes.",
    )
