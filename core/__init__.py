"""Encore: a response cache for LLM applications. These are the public names; everything else may change."""

from core.bans import Criteria
from core.bootstrap import Services, bootstrap
from core.cache import LLMCache
from core.calls import cached_llm_call
from core.decider import CacheConfig
from core.invalidation import CacheInvalidator
from core.metrics import CacheMetrics
from core.models import Answer, CacheEntry, CacheStrategy, ChatRequest, Completion, Controls, Outcome
from core.settings import Settings
from core.stores.memory import MemoryStore
from core.stores.redis import RedisStore
from core.ttl import TTLPolicy

__all__ = [
    "Answer",
    "CacheConfig",
    "CacheEntry",
    "CacheInvalidator",
    "CacheMetrics",
    "CacheStrategy",
    "ChatRequest",
    "Completion",
    "Controls",
    "Criteria",
    "LLMCache",
    "MemoryStore",
    "Outcome",
    "RedisStore",
    "Services",
    "Settings",
    "TTLPolicy",
    "bootstrap",
    "cached_llm_call",
]
