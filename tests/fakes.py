"""Small stand-ins with visible state, for what is outside the project."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from core.metrics import Telling
from core.models import ChatRequest, Completion, Outcome
from core.wire.chat import split


def a_body(text: str, *, finish_reason: str = "stop", model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
    """A chat completion as the wire has it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        **fields,
    }


class CountingProvider:
    """Answers "answer N" to its Nth call; `before` may hold it up or raise, on the calling thread."""

    name = "counting"
    base_url = "http://provider.test/v1"

    def __init__(self, before: Callable[[int], object] = lambda call: None, **body: Any) -> None:
        self.before = before
        self.answer: Callable[[int], str] | None = None
        self.body = body
        self.calls = 0
        self.requests: list[ChatRequest] = []
        self._lock = threading.Lock()

    def _count(self, request: ChatRequest) -> int:
        with self._lock:
            self.calls += 1
            self.requests.append(request)
            return self.calls

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        call = self._count(request)
        self.before(call)
        return Completion(body=a_body(f"answer {call}", **self.body))

    async def acomplete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        call = self._count(request)
        await asyncio.to_thread(self.before, call)
        return Completion(body=a_body(f"answer {call}", **self.body))

    def stream(self, request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        call = self._count(request)
        self.before(call)
        text = self.answer(call) if self.answer is not None else f"streamed answer {call}"
        yield from split(a_body(text, **self.body), include_usage=True)

    async def astream(
        self, request: ChatRequest, timeout_seconds: float | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        call = self._count(request)
        await asyncio.to_thread(self.before, call)
        text = self.answer(call) if self.answer is not None else f"streamed answer {call}"
        for chunk in split(a_body(text, **self.body), include_usage=True):
            yield chunk

    def models(self) -> list[str]:
        return ["gpt-4o"]

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    def close(self) -> None:
        pass


class Outcomes:
    """Keeps every recorded outcome and count."""

    def __init__(self) -> None:
        self.all: list[Outcome] = []
        self.prompts: list[str | None] = []
        self.senders: list[Telling | None] = []
        self.counts: dict[str, int] = {}

    def record(
        self, outcome: Outcome, prompt: str | None = None, sender: Telling | None = None, asked: object = None
    ) -> None:
        self.all.append(outcome)
        self.prompts.append(prompt)
        self.senders.append(sender)

    def count(self, name: str, amount: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount

    def words(self) -> list[str]:
        """All outcomes in their own words, in order."""
        return [str(outcome) for outcome in self.all]
