"""ProviderJudge: asks a model of the configured provider about near matches, within a deadline and a budget.

What it is asked is in `prompt`, how its reply is read in `verdict`. Nothing is raised: whatever is not a clean yes in
time is no yes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from ...concurrency import LATE, CircuitBreaker, TimedCalls
from ...keys import names
from ...models import CacheEntry, ChatRequest, Completion, Usage
from ...wire import answer_text, readable
from ..conversations import stored_conversation
from ..results import Case, Judgement
from .budget import Budget
from .prompt import PROMPT_VERSION, Candidate, JudgeQuestion, build_messages, hidden_candidate, hidden_case
from .verdict import Verdict, read_verdict

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

NANO_USD = 1_000_000_000

UNREADABLE_IN_A_ROW = 5
"""Replies that are no verdicts after which a namespace asks no more, but for a probe."""
UNREADABLE_PROBE_SECONDS = 60.0
MAX_NAMESPACES = 1_000
"""Namespaces whose replies are remembered: whoever makes a judge talk nonsense switches it off for nobody else."""


class ProviderJudge:
    """A `Judge` through a provider, which should try nothing twice. Thread-safe.

    `deadline_seconds` is for all of it; a late judgement still costs its tokens, which are counted when it comes. A
    `models` are those of namespaces that have one of their own, their parts included. A
    model that fails again and again is left alone, but for one probe a second; one whose replies are no verdicts, in
    the namespace where that is so, but for one a minute.
    """

    def __init__(
        self,
        provider: Provider,
        model: str,
        *,
        deadline_seconds: float,
        budget: Budget,
        models: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        price: Callable[[str, Usage], float | None] = lambda model, usage: None,
        count: Callable[[str, int], None] = lambda name, amount: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._model = model
        self._models = models or {}
        self._deadline_seconds = deadline_seconds
        self._budget = budget
        self._parameters = {**PARAMETERS, **(parameters or {})}
        self._price = price
        self._count = count
        self._calls = TimedCalls(CALLS, "encore-judge")
        self._monotonic = monotonic
        self._breaker = CircuitBreaker(on_change=self._breaker_changed, clock=monotonic)
        self._lock = threading.Lock()
        self._readable: LRUCache[str, CircuitBreaker] = LRUCache(MAX_NAMESPACES)

    def rule(
        self, case: Case, stored: Sequence[CacheEntry], *, deadline_seconds: float | None = None
    ) -> tuple[Judgement, ...]:
        """What the judge says of giving each of some stored answers to a question: one call for all that it is shown.

        No call, and no cost, when none of them can be shown.
        """
        began = time.perf_counter()
        hidden = reasons_hidden(case, stored)
        shown = [
            _candidate(entry, converses=case.converses) for entry, why in zip(stored, hidden, strict=True) if not why
        ]
        deadline = began + (deadline_seconds or self._deadline_seconds)
        ruled = iter(self._rule(case, shown, deadline) if shown else ())
        judge = self.name_in(case.namespace)
        return tuple(_judgement(judge, "not-shown", why) if why else next(ruled) for why in hidden)

    def name_in(self, namespace: str) -> str:
        """Model and version of the prompt: whose labels those of a namespace are."""
        return f"{self._model_of(namespace)}/{PROMPT_VERSION}"

    def _model_of(self, namespace: str) -> str:
        """The model of a namespace; of a part that a caller names, and of its conversations, that of the whole."""
        whole = names.namespace_in(namespace).partition(names.PART_SEPARATOR)[0]
        return self._models.get(whole, self._model)

    def close(self) -> None:
        """Ends the judge's threads and closes its provider."""
        self._calls.close()
        self._provider.close()

    def _rule(self, case: Case, shown: Sequence[Candidate], deadline: float) -> Sequence[Judgement]:
        """What the judge says of each of those that it is shown."""
        judge, readable = self.name_in(case.namespace), self._breaker_of(case.namespace)
        if not readable.allows():
            return _alike(judge, "broken", "the judge's replies were no verdicts lately", shown)
        if not self._breaker.allows():
            return _alike(judge, "broken", "the judge has failed lately", shown)
        if not self._budget.take(case.namespace):
            return _alike(judge, "over-budget", "", shown)
        left = deadline - time.perf_counter()
        asked, model = build_messages(case, shown), self._model_of(case.namespace)
        judgements = self._calls.call(lambda: self._ask(model, asked, left), left) if left > 0 else LATE
        if judgements is LATE:
            judgements = _alike(judge, "late", "", shown)
        # A reply that cannot be read is a reply: what one namespace asks must not be able to switch the judge off.
        if judgements[0].latency_ms:
            self._breaker.succeeded()
            if judgements[0].word == "unreadable":
                readable.failed()
            else:
                readable.succeeded()
        else:
            self._breaker.failed()
        return judgements

    def _breaker_of(self, namespace: str) -> CircuitBreaker:
        """The breaker of a namespace, which opens when replies to it are no verdicts."""
        with self._lock:
            breaker = self._readable.get(namespace)
            if breaker is None:
                breaker = CircuitBreaker(
                    failures=UNREADABLE_IN_A_ROW,
                    probe_seconds=UNREADABLE_PROBE_SECONDS,
                    clock=self._monotonic,
                    on_change=self._readability_changed,
                )
                self._readable[namespace] = breaker
            return breaker

    def _ask(self, model: str, asked: JudgeQuestion, seconds: float) -> Sequence[Judgement]:
        began = time.perf_counter()
        judge = f"{model}/{PROMPT_VERSION}"
        request = ChatRequest.from_openai(model=model, messages=asked.messages, **self._parameters)
        self._count("judge_calls", 1)
        try:
            completion = self._provider.complete(request, timeout_seconds=seconds)
        except Exception as error:  # noqa: BLE001 - any provider's errors: a judge that fails is no reason to fail
            if type(error).__name__ == "APITimeoutError":  # by name: importing its package takes most of a second
                return _alike(judge, "late", "", range(asked.candidates))
            # Its text may quote the prompt: the class must do.
            logger.debug("the judge failed: %s", type(error).__name__)
            return _alike(judge, "broken", type(error).__name__, range(asked.candidates))
        latency_ms = (time.perf_counter() - began) * 1000
        usage, cost_usd = self._paid(model, completion, latency_ms)
        verdict = read_verdict(completion.text, asked.token, asked.candidates)
        return _judgements(judge, verdict, asked.candidates, latency_ms, usage, cost_usd)

    def _paid(self, asked: str, completion: Completion, latency_ms: float) -> tuple[Usage, float | None]:
        usage = completion.tokens
        model = completion.body.get("model")
        cost_usd = self._price(model if isinstance(model, str) and model else asked, usage)
        self._count("judge_input_tokens", usage.input_tokens)
        self._count("judge_output_tokens", usage.output_tokens)
        self._count("judge_ms", round(latency_ms))
        if cost_usd is None:
            self._count("judge_unpriced_calls", 1)
        else:
            self._count("judge_cost_nano_usd", round(cost_usd * NANO_USD))
        return usage, cost_usd

    def _breaker_changed(self, is_open: bool) -> None:
        if is_open:
            self._count("judge_breaker_openings", 1)
            logger.warning("the judge keeps failing: near matches are misses, one probe a second")
        else:
            logger.warning("the judge answers again")

    def _readability_changed(self, is_open: bool) -> None:
        if is_open:
            self._count("judge_unreadable_openings", 1)
            logger.warning("the judge's replies are no verdicts: near matches are misses, one probe a minute")
        else:
            logger.warning("the judge's replies are verdicts again")


def reasons_hidden(case: Case, stored: Sequence[CacheEntry]) -> list[str]:
    """Why each of some stored answers is not shown to a judge; empty for one that is."""
    of_all = hidden_case(case)
    return [of_all or hidden_candidate(_candidate(entry, converses=case.converses)) for entry in stored]


def _candidate(entry: CacheEntry, *, converses: bool) -> Candidate:
    """What the judge is shown of an entry; of one in a conversation also what was said before."""
    conversation = stored_conversation(entry) if converses else None
    if conversation is None:
        return Candidate(question=entry.prompt, answer=_answer(entry))
    return Candidate(
        question=entry.prompt,
        answer=_answer(entry),
        history=conversation.history,
        dependencies=conversation.dependencies,
    )


def _answer(entry: CacheEntry) -> str:
    """The text of a stored answer; empty when it is anything beside text."""
    body = entry.body or {}
    text = answer_text(body)
    return text if readable(body) == text else ""


def _judgements(
    judge: str, verdict: Verdict, candidates: int, latency_ms: float, usage: Usage, cost_usd: float | None
) -> Sequence[Judgement]:
    """One judgement a candidate; the one that is named, else the first, has what the call cost."""
    words = [ruling.value for ruling in verdict.rulings] or ["unreadable"] * candidates
    payer = words.index("yes") if "yes" in words else 0
    return [
        Judgement(
            word=word,
            reason=verdict.reason,
            judge=judge,
            latency_ms=latency_ms,
            input_tokens=usage.input_tokens if place == payer else 0,
            output_tokens=usage.output_tokens if place == payer else 0,
            cost_usd=cost_usd if place == payer else 0.0,
        )
        for place, word in enumerate(words)
    ]


def _alike(judge: str, word: str, reason: str, candidates: Sequence[object]) -> Sequence[Judgement]:
    return [_judgement(judge, word, reason)] * len(candidates)


def _judgement(judge: str, word: str, reason: str = "") -> Judgement:
    return Judgement(word=word, reason=reason, judge=judge)
