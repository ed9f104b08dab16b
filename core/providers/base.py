"""The protocol of a provider: what answers requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

from ..models import ChatRequest, Completion


class Provider(Protocol):
    """Answers requests. `timeout_seconds` bounds each wait for the server; None is the provider's own limit.

    Raises ProviderUnavailable for what this provider cannot do, else whatever the `openai` package raises.
    """

    @property
    def name(self) -> str:
        """The provider's name in one word: "openai" or "demo"."""

    @property
    def base_url(self) -> str:
        """The server's address; part of what makes two requests the same."""

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer. Blocks."""

    async def acomplete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer, awaited."""

    def stream(self, request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """Chunks exactly as received. The request is sent by the first `next`; close it to stop early."""

    def astream(self, request: ChatRequest, timeout_seconds: float | None = None) -> AsyncIterator[dict[str, Any]]:
        """Chunks exactly as received, on an event loop. Sent by the first `anext`; `aclose` stops it early."""

    def models(self) -> list[str]:
        """Names of the models on offer."""

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        """One vector per text, in their order, as returned by the server.

        Raises ProviderUnavailable when there are none.
        """

    def close(self) -> None:
        """Closes the connections of threads."""

    async def aclose(self) -> None:
        """Closes the connections, those of the running event loop included."""
