"""The path of a request, from the first look to the stored answer."""

from .bypass import EVERYTHING, Bypassed, BypassSwitch
from .cache import LLMCache
from .drivers import Hedge, race, race_async
from .flow import OTHER_BUCKET, SAME_WORDING, CacheConfig
from .function import cached_llm_call
from .revalidation import RefreshQueue, refresh
from .steps import Bypass, Follow, Hit, Lead, Step, give_up
from .streams import wants_usage

__all__ = [
    "EVERYTHING",
    "OTHER_BUCKET",
    "SAME_WORDING",
    "Bypass",
    "BypassSwitch",
    "Bypassed",
    "CacheConfig",
    "Follow",
    "Hedge",
    "Hit",
    "LLMCache",
    "Lead",
    "RefreshQueue",
    "Step",
    "cached_llm_call",
    "give_up",
    "race",
    "race_async",
    "refresh",
    "wants_usage",
]
