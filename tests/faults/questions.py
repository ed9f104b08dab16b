"""The few requests that are made again and again, and the keys of their answers."""

from __future__ import annotations

import msgspec

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.models import ChatRequest, Controls

NAMESPACES = ("tenant-a", "tenant-b")
MODELS = ("m1", "m2", "m3")
QUESTIONS = 12
SPELLINGS = 3

CONFIG = CacheConfig(namespace=NAMESPACES[0], ttl=3600, lease_seconds=2)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One of them; fields are places in the lists above."""

    namespace: int
    model: int
    question: int
    spelling: int

    @property
    def number(self) -> int:
        """Its place in REQUESTS, in which the spelling is the last digit."""
        return ((self.namespace * len(MODELS) + self.model) * QUESTIONS + self.question) * SPELLINGS + self.spelling

    @property
    def prompt(self) -> str:
        """The same question, spelled so that only the normal form is the same."""
        text = f"please explain the subject number {self.question}"
        return (text, text.capitalize(), f"  {text}")[self.spelling]

    def as_sent(self) -> tuple[ChatRequest, Controls]:
        """What the cache is given."""
        message = {"role": "user", "content": self.prompt}
        return (
            ChatRequest.from_openai(model=MODELS[self.model], messages=[message]),
            Controls(namespace=NAMESPACES[self.namespace], tags=(f"doc:{self.question}",)),
        )


REQUESTS = tuple(
    Request(namespace=namespace, model=model, question=question, spelling=spelling)
    for namespace in range(len(NAMESPACES))
    for model in range(len(MODELS))
    for question in range(QUESTIONS)
    for spelling in range(SPELLINGS)
)


def popular(chance: float) -> int:
    """The number of a request, some of them far more often than others. `chance` is in [0, 1)."""
    return int(chance**3 * len(REQUESTS)) * 89 % len(REQUESTS)


def keys() -> list[str]:
    """The readable key of each."""
    cache = LLMCache(CONFIG)
    found = []
    for request in REQUESTS:
        keyed = cache.identify(*request.as_sent()).keyed
        assert keyed is not None
        found.append(keyed.identity.key)
    return found
