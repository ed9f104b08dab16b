"""ProviderJudge: asks a model of the configured provider about a near match, within a deadline and a budget.

What it is asked and how its reply is read is in `prompt`. Nothing is raised: whatever is not a clean yes
in time is no yes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import redis
from cachetools import LRUCache

from ...concurrency import LATE, CircuitBreaker, TimedCalls
from ...keys import names
from ...models import CacheEntry, ChatRequest, Completion, Usage
from ..results import Judgement
from .prompt import PROMPT_VERSION, JudgeQuestion, build_messages, parse_verdict

if TYPE_CHECKING:
    from ...providers import Provider

logger = logging.getLogger("encore.semantic")

PARAMETERS: Mapping[str, Any] = {
    "temperature": 0,
    "max_tokens": 150,
    "response_format": {"type": "json_object"},
}
"""What a judge is asked with, unless the operator says otherwise: None leaves one out."""

CALLS = 8
"""Calls under way at once, late ones included."""

HOUR_SECONDS = 3600
MAX_SPENT = 10_000
"""Namespaces whose budget is known to be spent; others are counted in Redis once more."""
NANO_USD = 1_000_000_000


class Budget(Protocol):
    """Judge calls per namespace and clock hour."""

    def take(self, namespace: str) -> bool:
        """Takes one call from the budget; False when none is left this hour. Never raises."""
        ...


class SharedBudget:
    """The budget of all processes together. Without Redis there is none left: what cannot be counted is not spent."""

    def __init__(self, client: redis.Redis, calls_per_hour: int, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._calls_per_hour = calls_per_hour
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: LRUCache[str, int] = LRUCache(MAX_SPENT)

    def take(self, namespace: str) -> bool:
        """Takes one call from the budget; False when none is left this hour.

        One round trip; none once the budget is known to be
        spent. Never raises."""
        hour = int(self._clock() // HOUR_SECONDS)
        with self._lock:
            is_spent = self._spent.get(namespace) == hour
        if is_spent or self._calls_per_hour < 1:
            return False
        name = names.JUDGE_BUDGET + f"{namespace}:{hour}".encode()
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.incr(cast("str", name))
                pipeline.expire(name, 2 * HOUR_SECONDS)
                taken = pipeline.execute()[0]
        except redis.RedisError as error:
            logger.debug("no judge: its budget cannot be counted (%s)", type(error).__name__)
            return False
        if taken <= self._calls_per_hour:
            return True
        with self._lock:
            self._spent[namespace] = hour
        return False


class ProviderJudge:
    """A `Judge` through a provider, which should try nothing twice. Thread-safe.

    `deadline_seconds` is for all of it; a late judgement still costs its tokens, which are counted when it comes. A
    model that fails again and again is left alone, but for one probe a second.
    """

    def __init__(
        self,
        provider: Provider,
        model: str,
        *,
        deadline_seconds: float,
        budget: Budget,
        parameters: Mapping[str, Any] | None = None,
        price: Callable[[str, Usage], float | None] = lambda model, usage: None,
        count: Callable[[str, int], None] = lambda name, amount: None,
    ) -> None:
        self._provider = provider
        self._model = model
        self._deadline_seconds = deadline_seconds
        self._budget = budget
        self._parameters = {**PARAMETERS, **(parameters or {})}
        self._price = price
        self._count = count
        self._calls = TimedCalls(CALLS, "encore-judge")
        self._breaker = CircuitBreaker(on_change=self._breaker_changed)
        self.name = f"{model}/{PROMPT_VERSION}"
        """Model and version of the prompt: whose labels these are."""

    def rule(
        self, namespace: str, question: str, stored: CacheEntry, *, deadline_seconds: float | None = None
    ) -> Judgement:
        """The judge's ruling on giving a stored answer to a question.

        No call, and no cost, when the texts cannot be judged.
        """
        began = time.perf_counter()
        answer = Completion(body=stored.body or {}).text
        asked = build_messages(question, stored.prompt, answer) if answer.strip() else None
        if asked is None:
            return self._judgement("no", "these texts are not shown to a judge")
        if not self._breaker.allows():
            return self._judgement("broken", "the judge has failed lately")
        if not self._budget.take(namespace):
            return self._judgement("over-budget")
        deadline = began + (deadline_seconds or self._deadline_seconds)
        left = deadline - time.perf_counter()
        judgement = self._calls.call(lambda: self._ask(asked, left), left) if left > 0 else LATE
        if judgement is LATE:
            judgement = self._judgement("late")
        # A reply that cannot be read is a reply: the wording of a question must not be able to switch the judge off.
        if judgement.latency_ms:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
        return judgement

    def close(self) -> None:
        """Ends the judge's threads and closes its provider."""
        self._calls.close()
        self._provider.close()

    def _ask(self, asked: JudgeQuestion, seconds: float) -> Judgement:
        began = time.perf_counter()
        request = ChatRequest.from_openai(model=self._model, messages=asked.messages, **self._parameters)
        self._count("judge_calls", 1)
        try:
            completion = self._provider.complete(request, timeout_seconds=seconds)
        except Exception as error:  # noqa: BLE001 - any provider's errors: a judge that fails is no reason to fail
            if type(error).__name__ == "APITimeoutError":  # by name: importing its package takes most of a second
                return self._judgement("late")
            # Its text may quote the prompt: the class must do.
            logger.debug("the judge failed: %s", type(error).__name__)
            return self._judgement("broken", type(error).__name__)
        latency_ms = (time.perf_counter() - began) * 1000
        usage, cost_usd = self._paid(completion, latency_ms)
        verdict = parse_verdict(completion.text, asked.token)
        return Judgement(
            word=verdict.ruling.value,
            reason=verdict.reason,
            judge=self.name,
            latency_ms=latency_ms,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost_usd,
        )

    def _paid(self, completion: Completion, latency_ms: float) -> tuple[Usage, float | None]:
        usage = completion.tokens
        model = completion.body.get("model")
        cost_usd = self._price(model if isinstance(model, str) and model else self._model, usage)
        self._count("judge_input_tokens", usage.input_tokens)
        self._count("judge_output_tokens", usage.output_tokens)
        self._count("judge_ms", round(latency_ms))
        if cost_usd is None:
            self._count("judge_unpriced_calls", 1)
        else:
            self._count("judge_cost_nano_usd", round(cost_usd * NANO_USD))
        return usage, cost_usd

    def _judgement(self, word: str, reason: str = "") -> Judgement:
        return Judgement(word=word, reason=reason, judge=self.name)

    def _breaker_changed(self, is_open: bool) -> None:
        if is_open:
            self._count("judge_breaker_openings", 1)
            logger.warning("the judge keeps failing: near matches are misses, one probe a second")
        else:
            logger.warning("the judge answers again")
