"""What is known of a request before the store is asked is remembered, within bounds."""

from __future__ import annotations

from core.cache.cache import LLMCache
from core.cache.preparation import REMEMBERED
from core.models import ChatRequest, Controls
from tests.fakes import CountingProvider

QUESTION, WORDING = (
    ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])
    for text in ("What is a cat?", "Tell me of cats")
)


def test_callers_who_name_ever_new_namespaces_take_a_bounded_room():
    cache = LLMCache(provider=CountingProvider())
    cache.complete(QUESTION)
    for number in range(REMEMBERED + 10):
        cache.identify(WORDING, Controls(namespace=f"n{number}"))
    assert len(cache._preparation._slots) <= REMEMBERED
    assert len(cache._preparation._remembered) <= REMEMBERED
    assert cache.alias(WORDING, QUESTION) == ""
    assert str(cache.complete(WORDING).outcome) == "hit (alias)"
