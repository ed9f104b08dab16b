"""Checks of the provider, the embedder and the semantic part."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from ..bootstrap import Services, semantic_config
from ..errors import CacheError, EmbedderError
from ..models import CacheStrategy, SemanticMode
from ..settings import ProviderChoice, Settings
from ..text import masked
from .findings import Finding, Level

PROVIDER_SECONDS = 5.0


PROBE = "Is anybody there?"


Value = TypeVar("Value")


def provider_findings(services: Services) -> Iterator[Finding]:
    """Whether answers can be had."""
    settings = services.settings
    if settings.uses_demo_model:
        yield Finding(
            area="provider",
            level=Level.WARNING,
            text="Answers come from the demo model: they are made up here.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server.",
        )
        return
    if settings.openai_api_key is None and settings.openai_base_url is None:
        yield Finding(
            area="provider",
            level=Level.ERROR,
            text=f"ENCORE_PROVIDER is {ProviderChoice.OPENAI.value}, but there is no key.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs none.",
        )
        return
    yield _provider_finding(services)


def _provider_finding(services: Services) -> Finding:
    import openai  # takes most of a second, which commands that ask no provider need not wait

    address = masked(services.provider.base_url)
    tried = _tried(services.provider.models)
    if tried.value is not None:
        count = len(tried.value)
        text = (
            f"{address} answers in {tried.milliseconds:.0f} ms and lists {count} {'model' if count == 1 else 'models'}."
        )
        return Finding(area="provider", level=Level.OK, text=text)
    failure = tried.failure
    if isinstance(failure, openai.AuthenticationError | openai.PermissionDeniedError):
        return Finding(
            area="provider",
            level=Level.ERROR,
            text=f"{address} refuses the key.",
            remedy="Correct OPENAI_API_KEY.",
        )
    if isinstance(failure, openai.NotFoundError):
        text = f"{address} answers in {tried.milliseconds:.0f} ms; it does not list its models."
        return Finding(area="provider", level=Level.OK, text=text)
    problem = type(failure).__name__ if failure else f"silent for {PROVIDER_SECONDS:.0f} s"
    return Finding(
        area="provider",
        level=Level.ERROR,
        text=f"{address} cannot be asked ({problem}).",
        remedy="Correct OPENAI_BASE_URL, or see to the network.",
    )


class _Tried(msgspec.Struct, Generic[Value]):
    """What came of asking something outside: its answer or its failure, or neither while it is silent."""

    value: Value | None = None
    failure: Exception | None = None
    milliseconds: float = 0.0


def _tried(ask: Callable[[], Value]) -> _Tried[Value]:
    """Asks on a thread of its own: what is silent may be so for longer than anyone reads a diagnosis."""
    tried: _Tried[Value] = _Tried()

    def run() -> None:
        began = time.perf_counter()
        try:
            value = ask()
        except Exception as error:  # noqa: BLE001 (told in the diagnosis; nobody else would hear of it)
            tried.milliseconds = (time.perf_counter() - began) * 1000
            tried.failure = error
        else:
            tried.milliseconds = (time.perf_counter() - began) * 1000
            tried.value = value

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(PROVIDER_SECONDS)
    return tried


def embedder_findings(services: Services) -> Iterator[Finding]:
    """Whether questions can be compared, if they are to be."""
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

    tried = _tried(embed)
    if tried.value is not None:
        yield Finding(area="embedder", level=Level.OK, text=f"{name} embeds a question in {tried.value:.1f} ms.")
        return
    problem = str(tried.failure) if isinstance(tried.failure, CacheError) else type(tried.failure).__name__
    if tried.failure is None:
        problem = f"silent for {PROVIDER_SECONDS:.0f} s"
    yield Finding(
        area="embedder",
        level=Level.ERROR,
        text=f"{name} embeds nothing ({problem}): near questions are misses.",
        remedy="Correct ENCORE_EMBEDDER, or see to its server.",
    )


def semantic_findings(settings: Settings) -> Iterator[Finding]:
    """Whether semantic lookup does what the settings seem to say. Pure."""
    is_asked_for = settings.strategy is CacheStrategy.SEMANTIC
    if is_asked_for and settings.semantic is SemanticMode.OFF:
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
            "only requests that ask for it are looked up semantically.",
            remedy="Set ENCORE_STRATEGY to semantic.",
        )
    if settings.semantic is SemanticMode.JUDGE and settings.judge_model is None:
        yield Finding(
            area="semantic",
            level=Level.WARNING,
            text="ENCORE_SEMANTIC is judge, but there is no judge: near matches are misses.",
            remedy="Set ENCORE_JUDGE_MODEL to a small model.",
        )
