"""How a cache behaves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..models import CacheStrategy
from ..policy import Audience, PolicyLimits


class CacheConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a cache; `core.settings` explains each field. Durations are seconds."""

    strategy: CacheStrategy = CacheStrategy.NORMALIZED
    ttl: float | None = None
    max_size: int = 10_000
    cache_errors: bool = False
    log_hits: bool = False
    fresh_ids: bool = False
    namespace: str = "default"
    buckets: int = 1
    ttl_jitter: float = 0.05
    stale_seconds: float = 3600
    stale_if_error_seconds: float = 0
    stale_while_revalidate_seconds: float = 0
    strip_stop_words: bool = False
    plain_prompts: tuple[str, ...] = ()
    lease_seconds: float = 60
    l1_seconds: float = 0
    l1_megabytes: int = 64
    hedge: bool = False
    conversations: bool = False
    audience: Audience = Audience.AUTO
    audiences: Mapping[str, Audience] = {}
    limits: PolicyLimits = PolicyLimits()

    def __post_init__(self) -> None:
        for audience in (self.audience, *self.audiences.values()):
            Audience(audience)  # raises ValueError: a word that is none must not act as another
