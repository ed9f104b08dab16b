"""The path of a request, from the first look to the stored answer."""

from .bypass import EVERYTHING, Bypassed, BypassSwitch
from .cache import LLMCache
from .call import Caution, Prepared
from .config import CacheConfig
from .drivers import drive_async
from .effects import Effect, Run
from .flow import SWITCHED
from .hedging import ask, ask_async, race, race_async
from .revalidation import RefreshQueue, refresh
from .steps import Asking, Bypass, Follow, Hedge, Hit, Lead, Step, give_up, settle, settle_async
from .writer import OTHER_BUCKET, SAME_WORDING

__all__ = [
    "EVERYTHING", "OTHER_BUCKET", "SAME_WORDING", "SWITCHED", "Asking", "Bypass", "BypassSwitch", "Bypassed",
    "CacheConfig", "Caution", "Effect", "Follow", "Hedge", "Hit", "LLMCache", "Lead", "Prepared", "RefreshQueue", "Run",
    "Step", "ask", "ask_async", "drive_async", "give_up", "race", "race_async", "refresh", "settle", "settle_async",
]  # fmt: skip
