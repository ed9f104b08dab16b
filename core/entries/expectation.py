"""What would become of a request now: a hit and by which entry, a miss or a bypass, and why.

Asks no provider, no embedder and no judge, and counts nothing: where near questions are looked for, one of them may
still answer what is a miss here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..cache import SWITCHED, BypassSwitch, LLMCache
from ..keys import pack, readable_key
from ..metrics import reasons
from ..models import NO_CONTROLS, CacheEntry, CacheStrategy, ChatRequest, Completion, Controls, HitDetail, OutcomeKind
from ..policy import kept_seconds, longest_seconds
from ..stores import EntryIndex, MissReason, Reader, look_up
from .elsewhere import EXPLAINED, Elsewhere, Question, same_question
from .explanation import Explanation, explain


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a request as of `at` (Unix seconds).

    `reason` is one of those of an `Outcome`; of a hit only when it is stale. `entry` is the stored answer that was
    found, with its readable key: one that is served, or is past its time or marked stale and is not. `kept_seconds` is
    how long an answer that is generated now would be fresh, None for not at all: a little more or less where TTLs vary.
    Of a miss `elsewhere` says where else the question stands, None where nobody looked.
    """

    kind: OutcomeKind
    namespace: str
    model: str
    strategy: CacheStrategy
    explanation: Explanation
    at: float
    detail: HitDetail | None = None
    reason: str = ""
    entry: CacheEntry | None = None
    entry_key: str = ""
    may_be_near: bool = False
    kept_seconds: float | None = None
    question: Question | None = None
    elsewhere: Elsewhere | None = None

    @property
    def why(self) -> str:
        """The reason in one sentence."""
        return reasons.why(self.kind, self.detail, self.reason)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: what identifies the request, for whom and for how long its answer is kept, and what is stored."""
        explained = self.explanation
        ttl = explained.ttl if explained.key else None
        plain: dict[str, Any] = {
            "outcome": self.kind.value,
            "hit": self.kind is OutcomeKind.HIT,
            "reason": self.detail.value if self.detail is not None and not self.reason else self.reason,
            "why": self.why,
            "model": self.model,
            "namespace": self.namespace,
            "strategy": self.strategy.value,
        }
        if self.kind is OutcomeKind.BYPASS:
            return plain
        plain |= {
            "key": explained.key,
            "scope": explained.scope.hex(),
            "kind": explained.kind.value,
            "normalized": explained.normal or None,
            "ttl_class": ttl.ttl_class if ttl is not None else None,
            "ttl_rule": ttl.rule if ttl is not None else None,
            "ttl_seconds": ttl.seconds if ttl is not None else None,
            "kept_seconds": self.kept_seconds,
            "audience": "user" if explained.own else "everybody",
            "own": explained.own,
            "may_be_near": self.may_be_near,
        }
        if self.elsewhere is not None and self.elsewhere.found:
            plain |= {
                "other_scopes": self.elsewhere.scopes,
                "differs": list(self.elsewhere.differs),
                "elsewhere": f"The same question stands elsewhere: {self.elsewhere.in_words}.",
            }
        if self.entry is not None:
            header = self.entry.header
            plain |= {
                "entry": self.entry_key,
                "age_seconds": round(self.at - header.created_at, 1),
                "fresh_seconds": round(header.fresh_until - self.at, 1),
                "saved_usd": header.cost_usd,
                "answer": Completion(body=self.entry.body or {}).text,
            }
        return plain


def expect(
    cache: LLMCache,
    store: Reader,
    switch: BypassSwitch,
    request: ChatRequest,
    controls: Controls = NO_CONTROLS,
    *,
    now: float,
    bypass: str = "",
) -> Expectation:
    """What would become of a request. Reads `store`, changes and counts nothing.

    `bypass` is a reason of the caller's own why it may not use the cache.

    Raises StoreUnavailable, and InvalidInput for a namespace that is not a valid name.
    """
    prepared = cache.identify(request, controls)
    seen = Expectation(
        kind=OutcomeKind.BYPASS,
        namespace=prepared.namespace,
        model=request.model,
        strategy=prepared.strategy,
        explanation=explain(cache, request, controls),
        at=now,
        reason=bypass or prepared.reason,
    )
    keyed = prepared.keyed
    if keyed is None or bypass:
        return seen
    kept = kept_seconds(controls.ttl, keyed.ttl.seconds, configured=cache.config.ttl, longest=longest_seconds(request))
    identity = keyed.identity
    question = Question(
        prompt=identity.prompt,
        namespace=prepared.namespace,
        model=request.model,
        parts=pack(identity.parts),
        key=identity.key,
    )
    seen = msgspec.structs.replace(seen, kept_seconds=kept, question=question)
    if switch.read(prepared.namespace):
        return msgspec.structs.replace(seen, reason=SWITCHED)
    lookup = look_up(store, keyed.slot, keyed.identity, prepared.strategy, now, max_age=controls.max_age)
    found = lookup.found
    if found is not None:
        key = readable_key(keyed.slot.bucket, found.entry.header.digest)
        seen = msgspec.structs.replace(seen, entry=found.entry, entry_key=key)
        if cache.may_serve(found, controls):
            reason = "revalidating" if found.stale else ""
            return msgspec.structs.replace(seen, kind=OutcomeKind.HIT, detail=found.detail, reason=reason)
    reason = MissReason.NO_CACHE if controls.no_cache else lookup.reason
    return msgspec.structs.replace(
        seen,
        kind=OutcomeKind.MISS,
        reason=keyed.cautions[0] if keyed.cautions and reason is MissReason.ABSENT else reason,
        may_be_near=prepared.strategy is CacheStrategy.SEMANTIC,
    )


def look_elsewhere(store: EntryIndex, expected: Expectation, *, buckets: int = 1) -> Expectation:
    """Says of a miss where else in its namespace the question stands, among the newest entries: bounded.

    Raises StoreUnavailable.
    """
    question = expected.question
    if expected.kind is not OutcomeKind.MISS or expected.entry is not None or question is None or not question.prompt:
        return expected
    found = same_question(store, [expected.namespace], question, buckets=buckets, most=EXPLAINED, seconds=0.5)
    return msgspec.structs.replace(expected, elsewhere=found)
