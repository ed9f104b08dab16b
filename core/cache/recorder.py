"""One outcome per request: what is counted, and what the caller's answer says of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from ..keys import readable_key
from ..metrics import ForgoneHits
from ..models import Answer, CacheEntry, ChatRequest, Completion, Outcome, OutcomeKind, Stamp, Usage
from ..stores import Found, MissReason
from ..text import is_name, printable
from ..wire import with_callers
from .call import Call, Caution, went_away

logger = logging.getLogger("encore.cache")

LONGEST_MODEL = 200
"""Of a model's name in the log, which is the caller's text."""
NANO_USD = 1_000_000_000


class OutcomeRecorder:
    """Counts what has become of requests. `price` gives US dollars for a model and its tokens, None if unknown.

    `wider_forms` gives, by caution, the digest under which a request's answer would be shared without that caution.
    """

    def __init__(
        self,
        price: Callable[[str, Usage], float | None],
        clock: Callable[[], float],
        *,
        wider_forms: Callable[[Call], Iterable[tuple[Caution, bytes]]] = lambda call: (),
        log_hits: bool = False,
        fresh_ids: bool = False,
    ) -> None:
        self._price = price
        self._clock = clock
        self._wider_forms = wider_forms
        self._log_hits = log_hits
        self._fresh_ids = fresh_ids
        self._forgone = ForgoneHits()

    def hit(
        self,
        call: Call,
        found: Found,
        reason: str = "",
        *,
        at: float | None = None,
        bucket: int | None = None,
        similarity: float | None = None,
    ) -> Answer:
        """Records a hit, of now or of `at` (Unix seconds), and returns the answer.

        `bucket` is the entry's when it differs from the request's.
        """
        header = found.entry.header
        now = self._clock() if at is None else at
        key = call.key
        if header.digest != call.identity.exact:
            # Found by another spelling: the key is the entry's own, by which it can be invalidated.
            key = readable_key(call.slot.bucket if bucket is None else bucket, header.digest)
        latency_ms = call.elapsed_ms()
        outcome = Outcome(
            kind=OutcomeKind.HIT,
            namespace=call.namespace,
            model=call.request.model,
            strategy=call.strategy,
            detail=found.detail,
            stale=found.stale,
            copied=found.copied,
            reason=reason,
            ttl_class=found.entry.ttl_class,
            latency_ms=latency_ms,
            lookup_ms=call.lookup_ms,
            saved_input_tokens=header.input_tokens,
            saved_output_tokens=header.output_tokens,
            saved_cost_usd=header.cost_usd,
            saved_ms=header.latency_ms - latency_ms if header.latency_ms > latency_ms else 0.0,
            similarity=similarity,
            key=key,
            scope=call.identity.scope,
            at=now,
        )
        call.recorded = True
        call.metrics.record(outcome, call.prompt, call.sender)
        if self._log_hits:
            logger.info("hit %s key=%s model=%s", found.detail, key, printable(call.request.model, LONGEST_MODEL))
        answer = answer_of(found.entry, outcome, now, call.request.unkeyed)
        return self._with_fresh_id(call, answer) if self._fresh_ids else answer

    def collapsed(self, call: Call, entry: CacheEntry) -> Answer:
        """Records a request that got another caller's answer, and returns that answer."""
        outcome = self.record(call, OutcomeKind.MISS, reason="collapsed", collapsed=True, ttl_class=entry.ttl_class)
        answer = answer_of(entry, outcome, self._clock(), call.request.unkeyed)
        return self._with_fresh_id(call, answer) if self._fresh_ids else answer

    @staticmethod
    def _with_fresh_id(call: Call, answer: Answer) -> Answer:
        """The answer with an id of its own: never one that the provider knows its answer by."""
        if call.request.endpoint != "chat":
            return answer
        body = {**answer.completion.body, "id": f"chatcmpl-{uuid4().hex}"}
        return msgspec.structs.replace(answer, completion=Completion(body=body))

    def generated(
        self,
        call: Call,
        completion: Completion,
        entry: CacheEntry | None,
        *,
        not_stored: str,
        provider_ms: float,
        reason: str,
        stamp: Stamp | None,
        similarity: float | None,
    ) -> Answer:
        """Records a miss that got an answer from the provider, and returns that answer.

        `entry` is what would be stored of it, and was unless `not_stored` says why it was not. `reason`, `stamp` and
        `similarity` are of the lookup that missed.
        """
        stored = None if not_stored else entry
        outcome = self.record(
            call,
            OutcomeKind.MISS,
            reason=reason,
            stored=stored is not None,
            not_stored=not_stored,
            forgone=self._forgone_by(call, stamp, stored) if call.cautions else "",
            ttl_class=call.ttl.ttl_class,
            similarity=similarity,
            provider_ms=provider_ms,
            tokens=completion.tokens,
            cost_usd=self.cost(call.request, completion) if entry is None else entry.header.cost_usd,
        )
        seconds = stored.header.fresh_until - stored.header.created_at if stored is not None else 0.0
        return Answer(completion=completion, outcome=outcome, key=call.key, ttl_seconds=seconds)

    def _forgone_by(self, call: Call, stamp: Stamp | None, stored: CacheEntry | None) -> str:
        """The caution without which the miss would have been a hit; remembers the answer for later misses."""
        forgone = ""
        exact, controls = call.identity.exact, call.controls
        # Whoever asks for a fresh or young answer might have missed anyway.
        sequence = stamp.sequence if stamp and not controls.no_cache and controls.max_age is None else None
        for caution, form in self._wider_forms(call):
            if sequence is not None and self._forgone.is_forgone(form, exact, sequence=sequence, now=self._clock()):
                forgone = forgone or caution
            elif stored is not None:
                header = stored.header
                self._forgone.keep(form, exact, stored_at=header.created_at, fresh_until=header.fresh_until)
        return forgone

    def passed(self, call: Call, completion: Completion) -> Answer:
        """Records a bypass that got an answer from the provider, and returns that answer."""
        outcome = self.record(
            call,
            OutcomeKind.BYPASS,
            reason=call.bypass,
            provider_ms=call.provider_ms(),
            tokens=completion.tokens,
            cost_usd=self.cost(call.request, completion),
        )
        return Answer(completion=completion, outcome=outcome)

    def failed(self, call: Call, error: BaseException) -> None:
        """Counts a request that ended without an answer."""
        if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
            error = error.__cause__  # a generator cannot raise it as it is
        word = "cancelled" if went_away(error) else type(error).__name__
        self.record(call, OutcomeKind.ERROR, reason=word, provider_ms=call.provider_ms())

    def dropped(self, call: Call, completion: Completion | None) -> None:
        """Counts a provider's call that a judge's yes has overtaken; None: what it cost is not known."""
        count = call.metrics.count
        count("hedge_dropped")
        if completion is None:
            return
        tokens, cost_usd = completion.tokens, self.cost(call.request, completion)
        count("hedge_input_tokens", tokens.input_tokens)
        count("hedge_output_tokens", tokens.output_tokens)
        if cost_usd is None:
            count("hedge_unpriced_calls")
        else:
            count("hedge_cost_nano_usd", round(cost_usd * NANO_USD))

    def cost(self, request: ChatRequest, completion: Completion) -> float | None:
        """Cost in US dollars at the price of the model that answered, or of the requested one; None if unknown."""
        model = completion.body.get("model")
        return self._price(model if is_name(model) else request.model, completion.tokens)

    def record(
        self,
        call: Call,
        kind: OutcomeKind,
        *,
        reason: str = "",
        stored: bool = False,
        not_stored: str = "",
        forgone: str = "",
        collapsed: bool = False,
        ttl_class: str = "",
        similarity: float | None = None,
        provider_ms: float = 0.0,
        tokens: Usage | None = None,
        cost_usd: float | None = None,
    ) -> Outcome:
        """Counts a request that was no hit. A miss for which nothing was stored says which caution it had."""
        if reason == MissReason.ABSENT and call.cautions:
            reason = forgone or call.cautions[0]
        outcome = Outcome(
            kind=kind,
            namespace=call.namespace,
            model=call.request.model,
            strategy=call.strategy,
            stored=stored,
            collapsed=collapsed,
            reason=reason,
            not_stored=not_stored,
            forgone=forgone,
            ttl_class=ttl_class,
            similarity=similarity,
            latency_ms=call.elapsed_ms(),
            lookup_ms=call.lookup_ms,
            provider_ms=provider_ms,
            input_tokens=tokens.input_tokens if tokens else 0,
            output_tokens=tokens.output_tokens if tokens else 0,
            cost_usd=cost_usd,
            key=call.key,
            scope=call.identity.scope if call.key else b"",
            at=self._clock(),
        )
        call.recorded = True
        is_miss = kind is OutcomeKind.MISS and call.key
        call.metrics.record(outcome, call.prompt, call.sender, call.asked if is_miss else None)
        return outcome


def answer_of(entry: CacheEntry, outcome: Outcome, now: float, given: Mapping[str, Any]) -> Answer:
    """The `Answer` a caller gets for a stored entry. `now` is Unix seconds, `given` what the caller gave."""
    header, body = entry.header, entry.body or {}
    return Answer(
        completion=Completion(body=with_callers(body, given) if given else body),
        outcome=outcome,
        key=outcome.key,
        age_seconds=now - header.created_at if now > header.created_at else 0.0,
        ttl_seconds=header.fresh_until - now if header.fresh_until > now else 0.0,
        similarity=outcome.similarity,
    )
