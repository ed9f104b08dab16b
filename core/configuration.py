"""What the parts are configured with, from the settings. Only entry points and `bootstrap` ask for it."""

from __future__ import annotations

from .access import Role, RoleRules
from .cache import CacheConfig
from .models import SemanticMode
from .monitoring import AlertRules
from .policy import PolicyLimits, TTLPolicy
from .semantic import SemanticConfig
from .semantic.quality import Cosines, Threshold, default_cosines
from .settings import Settings
from .stores.redis import ServerKind, embedded, parse_address


def redis_url(settings: Settings) -> str | None:
    """The configured Redis, or the embedded one that `make run` has running in the home folder; None for neither."""
    return settings.redis_url.get_secret_value() if settings.redis_url else embedded.running_url(settings.home)


def queue_url(settings: Settings) -> str | None:
    """The job queue's Redis: the configured one, else the cache's; None for neither, and for a cluster."""
    if settings.queue_redis_url is not None:
        return settings.queue_redis_url.get_secret_value()
    url = redis_url(settings)
    return None if url is None or parse_address(url).kind is ServerKind.CLUSTER else url


def cache_config(settings: Settings) -> CacheConfig:
    """The `CacheConfig` that the settings describe."""
    return CacheConfig(
        strategy=settings.strategy,
        ttl=settings.ttl_seconds,
        max_size=settings.max_size,
        cache_errors=settings.cache_errors,
        log_hits=settings.log_hits,
        fresh_ids=settings.fresh_ids,
        namespace=settings.namespace,
        buckets=settings.buckets,
        ttl_jitter=settings.ttl_jitter,
        stale_seconds=settings.stale_seconds,
        stale_if_error_seconds=settings.stale_if_error_seconds,
        stale_while_revalidate_seconds=settings.stale_while_revalidate_seconds,
        strip_stop_words=settings.strip_stop_words,
        plain_prompts=settings.plain_prompts,
        lease_seconds=settings.lease_seconds,
        l1_seconds=settings.l1_seconds,
        l1_megabytes=settings.l1_megabytes,
        hedge=settings.judge_hedge,
        conversations=settings.semantic_conversations == "judge",
        audience=settings.audience,
        audiences=settings.audiences,
        limits=PolicyLimits(
            max_temperature=settings.max_temperature,
            cache_tool_calls=settings.cache_tool_calls,
            max_request_bytes=settings.max_request_bytes,
            max_entry_bytes=settings.max_entry_bytes,
        ),
    )


def ttl_policy(settings: Settings) -> TTLPolicy:
    """The TTL policy with the operator's classes and rules over the default ones."""
    return TTLPolicy(settings.ttl_classes, settings.ttl_rules)


def configured_threshold(settings: Settings) -> Threshold:
    """The thresholds in force until one is published. In mode `judge` nothing is served unjudged before that.

    In mode `serve` it is without proof: whoever set it wanted that.
    """
    cosines = _cosines(settings)
    serve = None if settings.semantic is SemanticMode.JUDGE else cosines.serve
    return Threshold(
        mode=settings.semantic,
        grey=cosines.grey,
        serve=serve,
        unproved=serve is not None,
        embedder=settings.embedder,
    )


def _cosines(settings: Settings) -> Cosines:
    """The cosines that are set, else those of the embedder."""
    own = default_cosines(settings.embedder)
    return Cosines(
        serve=own.serve if settings.semantic_threshold is None else settings.semantic_threshold,
        grey=own.grey if settings.semantic_grey is None else settings.semantic_grey,
    )


CONVERSATIONS_GREY = 0.4
"""Cosine from which a question of another conversation is shown to the judge: completed texts are longer and farther
apart than single questions, and guards look at each."""


def configured_conversations(settings: Settings) -> Threshold:
    """What is in force for conversations until another grey is published: nothing is ever served unjudged."""
    is_on = settings.semantic_conversations == "judge"
    grey = min(CONVERSATIONS_GREY, _cosines(settings).grey)
    return Threshold(mode=SemanticMode.JUDGE if is_on else SemanticMode.OFF, grey=grey, serve=None)


def semantic_config(settings: Settings) -> SemanticConfig:
    """The `SemanticConfig` that the settings describe."""
    return SemanticConfig(
        embedder=settings.embedder,
        embedder_dimension=settings.embedder_dimension,
        embedder_deadline_seconds=settings.embedder_deadline_seconds,
        index=settings.semantic_index,
        index_megabytes=settings.semantic_index_megabytes,
        conversations=settings.semantic_conversations == "judge",
    )


def alert_rules(settings: Settings) -> AlertRules:
    """When to alert. 0 workers and a share of 1 (0 for the hit rate) switch a rule off."""
    return AlertRules(
        min_hit_rate=settings.alert_hit_rate or None,
        max_error_rate=settings.alert_error_rate if settings.alert_error_rate < 1 else None,
        max_memory_share=settings.alert_memory if settings.alert_memory < 1 else None,
        min_workers=settings.alert_workers or None,
        patience_ms=1000 * settings.redis_timeout_seconds,
        min_requests=settings.alert_min_requests,
        window_seconds=settings.alert_window_seconds,
    )


def role_rules(settings: Settings) -> RoleRules:
    """The rules that give a login its role, from the settings."""
    lists = ((settings.viewers, Role.VIEWER), (settings.operators, Role.OPERATOR), (settings.admins, Role.ADMIN))
    return RoleRules(
        claim=settings.role_claim,
        values=settings.role_values or {role.word: role for role in Role if role},
        addresses={address: role for addresses, role in lists for address in addresses},
        default=settings.default_role,
        login_seconds=settings.login_hours * 3600,
    )
