"""The isolation self-test: a canary stored in one scope must be found there and miss from every other.

The one exception to that is `ENCORE_SEMANTIC_CONVERSATIONS=judge`: then a conversation may be answered by another of
its family, if a judge agrees. No judge is asked here, so what only a judge may allow has to miss too.

The test runs the cache's own request path against the real store, in two namespaces of its own, and leaves no entry
behind.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from ..access import Action, Actor, allowed
from ..bans import Criteria, changes
from ..cache import CacheConfig, LLMCache
from ..keys import Slot
from ..models import Answer, ChatRequest, Completion, Controls, For, Stamp
from ..stores import Removal, Store, codec

HOME, ELSEWHERE = "encore-selftest-a", "encore-selftest-b"
TTL_SECONDS = 60
TRANSLATOR = "Translate into French."


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the self-test: `expected` and `seen` are "hit" or "miss"."""

    name: str
    expected: str
    seen: str

    @property
    def passed(self) -> bool:
        """Whether the result was the expected one."""
        return self.expected == self.seen


def check_isolation(store: Store, *, now: float, actor: Actor | str = "api") -> tuple[Check, ...]:
    """Stores a canary and looks for it from its own scope and from others.

    Raises StoreUnavailable, WriteRefused, AccessDenied.
    """
    allowed(actor, Action.TEST_ISOLATION)
    store.ping()
    canary = secrets.token_hex(8)
    cache = LLMCache(CacheConfig(namespace=HOME, stale_seconds=0, conversations=True), store=store)
    question = f"what is the canary called {canary}"
    body = {"choices": [{"message": {"role": "assistant", "content": canary}, "finish_reason": "stop"}]}
    material = f"The canary is called {canary}."
    stored = [
        cache.put(request, Completion(body=body), Controls(ttl=For(TTL_SECONDS)))
        for request in (_request(question), _request(material, system=TRANSLATOR))
    ]

    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}]
    stored.append(cache.put(_request(question, said=said), Completion(body=body), Controls(ttl=For(TTL_SECONDS))))
    others = [said[0], {"role": "assistant", "content": "hello again"}]

    mine = _request(f"my canary {canary}")
    personal = cache.put(mine, Completion(body=body), Controls(ttl=For(TTL_SECONDS), user="ann"))

    def seen(request: ChatRequest, namespace: str = HOME, user: str | None = None) -> str:
        found = cache.get(request, Controls(namespace=namespace, user=user))
        return "hit" if found is not None and found.completion.text == canary else "miss"

    checks = [
        Check(name="the same request", expected="hit", seen=seen(_request(question))),
        Check(
            name="other case and spaces", expected="hit", seen=seen(_request(f"  What is the canary called {canary}? "))
        ),
        Check(name="another tenant", expected="miss", seen=seen(_request(question), ELSEWHERE)),
        Check(name="another model", expected="miss", seen=seen(_request(question, model="another"))),
        Check(name="another system prompt", expected="miss", seen=seen(_request(question, system="Be rude."))),
        Check(name="a text to work on", expected="hit", seen=seen(_request(material, system=TRANSLATOR))),
        Check(
            name="it with another mark at its end",
            expected="miss",
            seen=seen(_request(material.replace(".", "?"), system=TRANSLATOR)),
        ),
        Check(
            name="it in other case", expected="miss", seen=seen(_request(material.replace("T", "t"), system=TRANSLATOR))
        ),
        Check(name="another parameter", expected="miss", seen=seen(_request(question, seed=1))),
        Check(name="the same conversation", expected="hit", seen=seen(_request(question, said=said))),
        Check(name="another conversation", expected="miss", seen=seen(_request(question, said=others))),
        Check(name="the same user", expected="hit", seen=seen(mine, user="ann")),
        Check(name="another user", expected="miss", seen=seen(mine, user="bob")),
        Check(name="nobody named", expected="miss", seen=seen(mine)),
    ]
    slot = cache.slot(HOME)
    store.append(slot, changes.new_ban(canary, Criteria(all=True), now=now, hold_seconds=TTL_SECONDS))
    checks.append(Check(name="after its invalidation", expected="miss", seen=seen(_request(question))))
    for answer in (*stored, personal):
        if not isinstance(answer, str):
            _remove(store, slot, answer)
    store.change(slot, [canary], lambda found: changes.lift(found, canary))
    return tuple(checks)


def _remove(store: Store, slot: Slot, answer: Answer) -> None:
    """Deletes an answer that was stored."""
    digest = bytes.fromhex(answer.key.partition("-")[2])
    [value], _ = store.read(slot, [digest])
    if value is not None:
        seen = codec.summarize(value, with_text=False)
        stamp = Stamp(seen.incarnation, seen.sequence)
        store.remove(slot, [Removal(digest=digest, stamp=stamp, model=seen.model, created_at=seen.created_at)])


def _request(
    question: str,
    *,
    model: str = "canary",
    system: str = "Be brief.",
    said: Sequence[dict[str, str]] = (),
    **parameters: Any,
) -> ChatRequest:
    messages = [{"role": "system", "content": system}, *said, {"role": "user", "content": question}]
    return ChatRequest.from_openai(model=model, messages=messages, **parameters)
