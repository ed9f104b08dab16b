"""bootstrap(settings) -> Services: the only place where the parts are put together. Nothing connects before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from redis import Redis

from .access import AuditLog, EndedLogins, Role, RoleRules
from .cache import BypassSwitch, CacheConfig, LLMCache, Refreshes
from .entries import RELEASED_SECONDS, Pins, Verdicts
from .invalidation import CacheInvalidator, Schedules
from .metrics import OVERHEAD, USD_SCALE, CacheMetrics, Gauges
from .models import CacheStrategy, SemanticMode, Usage
from .monitoring import AlertBoard, AlertRules, HealthReader
from .policy import PolicyLimits, TTLPolicy
from .providers import price
from .semantic import DeferredLookup, SemanticConfig
from .semantic.judge import JudgeBudget, ProviderJudge, SharedBudget
from .semantic.quality import Evidence, Refusals, Threshold, Thresholds
from .settings import Settings
from .stores import MemoryStore, Store
from .stores.redis import RedisStore, ServerKind, embedded, parse_address, patient_client, request_client

if TYPE_CHECKING:
    from .providers import Provider
    from .semantic import SemanticLookup
    from .semantic.index import SharedVectors


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a page, a command, a worker or the gateway may need. Close it at the end.

    `redis` is a patient client for operators and workers, `queue_redis` the job queue's; None without Redis, as are
    `pins`, `refreshes`, `schedules` and `gauges`.
    """

    settings: Settings
    cache: LLMCache
    store: Store
    provider: Provider
    metrics: CacheMetrics
    audit: AuditLog
    invalidation: CacheInvalidator
    switch: BypassSwitch
    thresholds: Thresholds
    evidence: Evidence
    verdicts: Verdicts
    logins: EndedLogins
    alert_board: AlertBoard
    health: HealthReader
    judge: ProviderJudge | None = None
    semantic: DeferredLookup | None = None
    pins: Pins | None = None
    refreshes: Refreshes | None = None
    schedules: Schedules | None = None
    gauges: Gauges | None = None
    redis: Redis | None = None
    queue_redis: Redis | None = None

    def close(self) -> None:
        """Flushes the metrics and lets go of all connections."""
        for part in (self.refreshes, self.semantic, self.judge, self.evidence, self.metrics):
            if part is not None:
                part.close()
        self.provider.close()
        self.cache.close()
        self.store.close()
        for client in (self.redis, self.queue_redis):
            if client is not None:
                client.close()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def redis_url(settings: Settings) -> str | None:
    """The configured Redis, or the embedded one that `make run` has running in the home folder; None for neither."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    return embedded.running_url(settings.home)


def queue_url(settings: Settings) -> str | None:
    """The job queue's Redis: the configured one, else the cache's; None for neither, and for a cluster."""
    if settings.queue_redis_url is not None:
        return settings.queue_redis_url.get_secret_value()
    url = redis_url(settings)
    return None if url is None or parse_address(url).kind is ServerKind.CLUSTER else url


def cache_config(settings: Settings) -> CacheConfig:
    """The settings a cache acts by."""
    return CacheConfig(
        strategy=settings.strategy,
        ttl=settings.ttl_seconds,
        max_size=settings.max_size,
        similarity_threshold=settings.semantic_threshold,
        cache_errors=settings.cache_errors,
        log_hits=settings.log_hits,
        namespace=settings.namespace,
        buckets=settings.buckets,
        ttl_jitter=settings.ttl_jitter,
        stale_seconds=settings.stale_seconds,
        stale_if_error_seconds=settings.stale_if_error_seconds,
        stale_while_revalidate_seconds=settings.stale_while_revalidate_seconds,
        strip_stop_words=settings.strip_stop_words,
        lease_seconds=settings.lease_seconds,
        l1_seconds=settings.l1_seconds,
        l1_megabytes=settings.l1_megabytes,
        hedge=settings.judge_hedge,
        limits=PolicyLimits(
            max_temperature=settings.max_temperature,
            cache_tool_calls=settings.cache_tool_calls,
            max_request_bytes=settings.max_request_bytes,
            max_entry_bytes=settings.max_entry_bytes,
        ),
    )


def ttl_policy(settings: Settings) -> TTLPolicy:
    """The policy with the operator's classes and rules."""
    return TTLPolicy(settings.ttl_classes, settings.ttl_rules)


def configured_threshold(settings: Settings) -> Threshold:
    """What counts until a threshold is published. In mode `judge` nothing is sure before that."""
    is_judged = settings.semantic is SemanticMode.JUDGE
    return Threshold(
        mode=settings.semantic,
        grey=settings.semantic_grey,
        serve=None if is_judged else settings.semantic_threshold,
    )


def semantic_config(settings: Settings) -> SemanticConfig:
    """The settings that the semantic part is made of."""
    return SemanticConfig(
        embedder=settings.embedder,
        embedder_dimension=settings.embedder_dimension,
        embedder_deadline_seconds=settings.embedder_deadline_seconds,
        index=settings.semantic_index,
        index_megabytes=settings.semantic_index_megabytes,
    )


def alert_rules(settings: Settings) -> AlertRules:
    """When to alert. 0 workers and a share of 1 (0 for the hit rate) switch a rule off."""
    return AlertRules(
        min_hit_rate=settings.alert_hit_rate or None,
        max_error_rate=settings.alert_error_rate if settings.alert_error_rate < 1 else None,
        max_memory_share=settings.alert_memory if settings.alert_memory < 1 else None,
        min_workers=settings.alert_workers or None,
        min_requests=settings.alert_min_requests,
        window_seconds=settings.alert_window_seconds,
    )


def role_rules(settings: Settings) -> RoleRules:
    """Which role a login gets."""
    lists = ((settings.viewers, Role.VIEWER), (settings.operators, Role.OPERATOR), (settings.admins, Role.ADMIN))
    return RoleRules(
        claim=settings.role_claim,
        values=settings.role_values or {role.word: role for role in Role if role},
        addresses={address: role for addresses, role in lists for address in addresses},
        default=settings.default_role,
        login_seconds=settings.login_hours * 3600,
    )


def bootstrap(settings: Settings, **overrides: Any) -> Services:
    """All parts, built and connected. `overrides` replace a part by name: `provider`, `store`, `clock`.

    `operator_timeout_seconds` is the longest wait of operators' and workers' clients. With `refreshes=False` nothing is
    served stale while a worker refreshes it: for callers whose credentials the workers do not have.
    """
    url = redis_url(settings)
    patience = overrides.get("operator_timeout_seconds", 5.0)
    clock = {"clock": overrides["clock"]} if "clock" in overrides else {}
    client = path_client = queue_client = None
    config = cache_config(settings)
    store: Store
    operator_store: Store
    if "store" in overrides:
        store = operator_store = overrides["store"]
    elif url is None:
        store = operator_store = MemoryStore(settings.max_size)
        config = msgspec.structs.replace(config, l1_seconds=0)  # it is in this process already
    else:
        path_client = request_client(url, settings.redis_timeout_seconds)
        store = RedisStore(path_client)
        client = patient_client(url, patience)
        operator_store = RedisStore(client)
        jobs_url = queue_url(settings)
        queue_client = patient_client(jobs_url, patience) if jobs_url is not None else None
    refreshes = Refreshes(queue_client) if queue_client is not None else None
    metrics = CacheMetrics(client, record_prompts=settings.record_prompts, **clock)
    provider = overrides.get("provider") or _provider(settings, on_embedding=partial(_count_embedding, metrics))
    audit = AuditLog(client, **clock)
    thresholds = Thresholds(client, audit, configured_threshold(settings), reader=path_client, **clock)
    refusals = Refusals(client, reader=path_client)
    evidence = Evidence(
        client,
        thresholds,
        refusals,
        keep_prompts=settings.record_prompts,
        budget=settings.false_hit_budget,
        sample_share=settings.judge_sample if settings.judge_model else 0.0,
        **clock,
    )
    judge = _judge(settings, overrides.get("provider"), path_client, metrics, clock)

    def build_semantic() -> tuple[SemanticLookup, SharedVectors | None]:
        from .semantic import assemble

        return assemble(
            semantic_config(settings),
            provider,
            path_client,
            thresholds=thresholds.current,
            refused=refusals.current,
            judge=judge,
            observer=evidence.observe,
            count=metrics.count,
            **clock,
        )

    semantic = None
    if settings.strategy is CacheStrategy.SEMANTIC:  # a request may only lower it: else nobody ever asks
        semantic = DeferredLookup(thresholds.current, build_semantic, count=metrics.count)
    invalidation = CacheInvalidator(
        operator_store,
        audit,
        namespace=settings.namespace,
        buckets=settings.buckets,
        hold_seconds=settings.hold_seconds,
        replicas=settings.invalidation_replicas,
        synced=settings.invalidation_synced,
        copies_seconds=config.l1_seconds,
        count=lambda kind: metrics.count(f"invalidations_{kind}"),
        hits=lambda: metrics.hits,
        **clock,
    )
    ttls = ttl_policy(settings)
    pins = None
    if client is not None:
        classes = ttls.classes()
        pins = Pins(
            client,
            operator_store,
            audit,
            release_seconds=lambda name: settings.ttl_seconds or classes.get(name) or RELEASED_SECONDS,
            stale_seconds=settings.stale_seconds,
            strip_stop_words=settings.strip_stop_words,
            **clock,
        )
    switch = BypassSwitch(client, audit, reader=path_client, **clock)
    cache = LLMCache(
        config,
        store=store,
        provider=provider,
        metrics=metrics,
        ttl_policy=ttls,
        price=price,
        refresher=refreshes if overrides.get("refreshes", True) else None,
        semantic=semantic,
        invalidator=invalidation,
        switch=switch,
        **clock,
    )
    gauges = Gauges(client, **clock) if client is not None else None
    return Services(
        settings=settings,
        cache=cache,
        store=operator_store,
        provider=provider,
        metrics=metrics,
        audit=audit,
        invalidation=invalidation,
        switch=switch,
        thresholds=thresholds,
        evidence=evidence,
        verdicts=Verdicts(cache, operator_store, invalidation, evidence),
        alert_board=AlertBoard(client, alert_rules(settings), **clock),
        judge=judge,
        semantic=semantic,
        pins=pins,
        refreshes=refreshes,
        schedules=Schedules(client, invalidation, **clock) if client is not None else None,
        logins=EndedLogins(client, **clock),
        gauges=gauges,
        health=HealthReader(
            store=operator_store,
            invalidation=invalidation,
            queue=queue_client,
            gauges=gauges,
            buckets=settings.buckets,
        ),
        redis=client,
        queue_redis=queue_client,
    )


def _judge(
    settings: Settings, provider: Provider | None, client: Redis | None, metrics: CacheMetrics, clock: dict[str, Any]
) -> ProviderJudge | None:
    if settings.judge_model is None:
        return None
    calls_per_hour = settings.judge_budget_per_hour
    return ProviderJudge(
        provider or _provider(settings, max_retries=0),  # a second try would come after the deadline
        settings.judge_model,
        deadline_seconds=settings.judge_deadline_seconds,
        budget=SharedBudget(client, calls_per_hour, **clock) if client else JudgeBudget(calls_per_hour, **clock),
        parameters=settings.judge_parameters,
        price=price,
        count=metrics.count,
    )


def _count_embedding(metrics: CacheMetrics, model: str, tokens: int) -> None:
    """What the cache itself spends on embeddings; what has no price is counted too."""
    metrics.count("embedding_tokens", tokens)
    usd = price(model, Usage(input_tokens=tokens))
    if usd is None:
        metrics.count("embedding_unpriced_calls")
    else:
        metrics.count(f"embedding{OVERHEAD}", round(usd * USD_SCALE))


def _provider(
    settings: Settings, *, max_retries: int = 2, on_embedding: Callable[[str, int], None] | None = None
) -> Provider:
    # The SDK takes most of a second to import: only when there is something to ask.
    from .demo import DemoProvider
    from .providers import OpenAIProvider

    if settings.uses_demo_model:
        return DemoProvider()
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return OpenAIProvider(
        api_key=key,
        base_url=settings.openai_base_url,
        timeout_seconds=settings.provider_timeout_seconds,
        max_retries=max_retries,
        on_embedding=on_embedding,
    )
