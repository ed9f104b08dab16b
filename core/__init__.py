"""Encore: a response cache for LLM applications. These are the public names; everything else may change."""

from .bans import Criteria
from .bootstrap import Services, bootstrap
from .cache import CacheConfig, LLMCache
from .function import cached_llm_call
from .invalidation import CacheInvalidator
from .metrics import CacheMetrics
from .models import Answer, CacheEntry, CacheStrategy, ChatRequest, Completion, Controls, Outcome
from .policy import TTLPolicy
from .settings import Settings
from .stores import MemoryStore
from .stores.redis import RedisStore

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
