"""Turns of the playground: each request, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import openai

from core.access import Action
from core.cache import LLMCache
from core.errors import CacheError, InvalidInput
from core.models import TTL, Answer, CacheStrategy, ChatRequest, Controls, OutcomeKind, ttl
from core.wire import readable
from pages.components.data import context
from pages.components.data.background import background
from pages.components.data.parameters import given_parameters
from pages.components.display.text import one_line

STOPPED = "Stopped before the answer was complete. Nothing was stored."
MOST_TURNS = 200
"""Turns that a session keeps; beyond them it drops the oldest."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the page's controls describe it.

    `history` is what was said before, as pairs of role and text; `parameters` is a JSON object of further ones.
    """

    prompt: str
    model: str
    temperature: float
    strategy: CacheStrategy
    ttl_seconds: float | None
    past_cache: bool
    namespace: str
    system: str = ""
    history: tuple[tuple[Literal["user", "assistant"], str], ...] = ()
    parameters: str = ""

    def request(self) -> ChatRequest:
        """The request to send. Raises InvalidInput for parameters that cannot be used."""
        messages = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return ChatRequest.from_openai(
            model=self.model,
            messages=[
                *messages,
                *({"role": role, "content": text} for role, text in self.history),
                {"role": "user", "content": self.prompt},
            ],
            **({"temperature": self.temperature} | given_parameters(self.parameters)),
            stream=True,
        )

    def controls(self) -> Controls:
        """The request's controls for the cache."""
        time_to_live: TTL = ttl(self.ttl_seconds)
        return Controls(namespace=self.namespace, strategy=self.strategy, ttl=time_to_live, no_store=self.past_cache)


class Received(msgspec.Struct, kw_only=True):
    """The answer so far: its text, then the whole answer or the problem."""

    text: str = ""
    answer: Answer | None = None
    problem: str = STOPPED


class Turn(msgspec.Struct, kw_only=True):
    """One prompt and its answer. `problem` is set when no answer came.

    `fresh` is what the model says now, asked beside a stored answer. `hidden_by` is the id of the invalidation that
    takes the answer out of service. `imported`: it comes from a file, which may hold anything.
    """

    id: str
    ask: Ask
    asked_at: float
    text: str = ""
    answer: Answer | None = None
    problem: str = ""
    fresh: Received | None = None
    hidden_by: str = ""
    imported: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether the answer was an entry's, or became one."""
        answer = self.answer
        return answer is not None and (answer.outcome.kind is OutcomeKind.HIT or answer.outcome.stored)


def receive(ask: Ask, into: Received, draw: Callable[[str], object]) -> None:
    """Sends a prompt; `into` grows with the answer, so that it holds what came even when the script is stopped.

    `draw` gets the text so far again and again, also while nothing comes: a script can be stopped only where it draws.
    """
    try:
        context.actor().require(Action.ASK)
        arriving = _arriving(context.services().cache, ask.request(), ask.controls(), into)
        background().run(arriving, lambda: draw(into.text))
        if into.answer is not None and not into.text:
            into.text = readable(into.answer.completion.body)  # it calls tools, or says nothing
        into.problem = "" if into.answer else "The answer was incomplete. Nothing was stored."
    except InvalidInput as error:
        into.problem = f"{error}."
    except (openai.OpenAIError, CacheError) as error:
        into.problem = f"{type(error).__name__}: {_without_secrets(str(error))}"


async def _arriving(cache: LLMCache, request: ChatRequest, controls: Controls, into: Received) -> None:
    async with await cache.astream(request, controls) as stream:
        async for chunk in stream:
            into.text += _piece(chunk)
        into.answer = stream.answer


def _piece(chunk: Mapping[str, Any]) -> str:
    choices: Sequence[Mapping[str, Any]] = chunk.get("choices") or ({},)
    return (choices[0].get("delta") or {}).get("content") or ""


def _without_secrets(text: str) -> str:
    key = context.services().settings.openai_api_key
    secret = key.get_secret_value() if key else ""
    return one_line(text.replace(secret, "***") if secret else text, 500)
