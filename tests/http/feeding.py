"""A call to the provider whose answer a test feeds by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.steps import Hit, Lead
from core.http.exchange import Exchange, PlainStreams
from core.http.reply import from_hit
from core.inbound.reading import Inbound, Target, read
from core.models import Controls
from core.policy.cacheability import PolicyLimits
from tests.fakes import Outcomes

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How old are you?"}]}
RESPONSE: dict[str, Any] = {"model": "gpt-4o", "input": "How old are you?"}
BODIES = {"/chat/completions": CHAT, "/responses": RESPONSE}


def inbound_for(path: str, **fields: Any) -> Inbound:
    target = Target("chat" if "chat" in path else "responses", "http://provider.test/v1")
    inbound = read(target, "", {}, json.dumps(BODIES[path] | fields).encode())
    assert inbound is not None
    return inbound


class Fed:
    """An exchange that is fed by hand."""

    def __init__(self, path: str, *, plain_streams: PlainStreams | None = None, **fields: Any) -> None:
        self.outcomes = Outcomes()
        self.cache = LLMCache(CacheConfig(limits=PolicyLimits(cache_tool_calls=True)), metrics=self.outcomes)
        inbound = self.inbound = inbound_for(path, **({"stream": True} | fields))
        step = self.begin()
        assert isinstance(step, Lead)
        self.exchange = Exchange(step, inbound, plain_streams or PlainStreams())

    def begin(self):
        return self.cache.begin(self.inbound.request, Controls())

    def feed(self, data: bytes, cuts: list[int]) -> bytes:
        shown = b""
        places = [0, *sorted(cuts), len(data)]
        for start, end in pairwise(places):
            shown += self.exchange.feed(data[start:end])
            self.settle()
        shown += self.exchange.close()
        self.settle()
        return shown

    def settle(self) -> None:
        if self.exchange.is_decided:
            self.exchange.settle()

    def asked(self, **fields: Any) -> bytes | None:
        """What the next caller gets from the cache, if anything."""
        inbound = inbound_for(
            "/responses" if self.inbound.request.endpoint == "responses" else "/chat/completions", **fields
        )
        step = self.cache.begin(inbound.request, Controls())
        if isinstance(step, Hit):
            return from_hit(step, inbound).content
        step.abandon()
        return None
