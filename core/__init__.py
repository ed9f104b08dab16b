"""Encore: a response cache for LLM applications. These are the public names; everything else may change."""

from .bans.criteria import Criteria
from .bootstrap import Services, bootstrap
from .cache.cache import LLMCache
from .cache.flow import CacheConfig
from .cache.function import cached_llm_call
from .invalidation.invalidator import CacheInvalidator
from .metrics import CacheMetrics
from .models import Answer, CacheEntry, CacheStrategy, ChatRequest, Completion, Controls, Outcome
from .policy.ttl import TTLPolicy
from .settings import Settings
from .stores.memory import MemoryStore
from .stores.redis.store import RedisStore

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
