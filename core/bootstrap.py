"""bootstrap(settings) -> Services: the only place where the parts are put together. Nothing connects before it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

import msgspec
from redis import Redis

from .access import AuditLog, EndedLogins, Repeats
from .cache import BypassSwitch, CacheConfig, LLMCache, RefreshQueue
from .configuration import (
    alert_rules,
    cache_config,
    configured_conversations,
    configured_threshold,
    queue_url,
    redis_url,
    semantic_config,
    ttl_policy,
)
from .entries import RELEASED_SECONDS, Pins, Verdicts
from .errors import InvalidSettings
from .invalidation import CacheInvalidator, Schedules
from .keys import names
from .metrics import KEEP, OVERHEAD, USD_SCALE, CacheMetrics, Gauges, RequestFilter, costs_of
from .models import CacheStrategy, Usage
from .monitoring import AlertBoard, DeployMarks, HealthReader
from .namespaces import NamespaceLabels
from .policy import TTLPolicy
from .providers import price
from .semantic import DeferredLookup
from .semantic.judge import JudgeBudget, ProviderJudge, SharedBudget
from .semantic.quality import Evidence, RejectedPairs, Thresholds
from .semantic.questions import Questions
from .settings import Settings, unknown_settings
from .stores import Clock, MemoryStore, Store
from .stores.redis import claim_form, patient_client, request_client, stores_of

if TYPE_CHECKING:
    from .evaluation import WholeCache
    from .providers import Provider
    from .semantic import SemanticLookup
    from .semantic.embedding import CheckedEmbedder
    from .semantic.index import SharedVectors

logger = logging.getLogger("encore.settings")


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a page, a command, a worker or the gateway may need. Close it at the end.

    `clock` is the one that stored times go by. `redis` is a patient client for operators and workers, `queue_redis` the
    job queue's; None without Redis, as are `pins`, `refreshes`, `schedules` and `gauges`.
    """

    settings: Settings
    clock: Clock
    cache: LLMCache
    store: Store
    provider: Provider
    metrics: CacheMetrics
    audit: AuditLog
    invalidation: CacheInvalidator
    switch: BypassSwitch
    labels: NamespaceLabels
    marks: DeployMarks
    thresholds: Thresholds
    evidence: Evidence
    questions: Questions
    verdicts: Verdicts
    logins: EndedLogins
    alert_board: AlertBoard
    health: HealthReader
    judge: ProviderJudge | None = None
    semantic: DeferredLookup | None = None
    pins: Pins | None = None
    refreshes: RefreshQueue | None = None
    schedules: Schedules | None = None
    gauges: Gauges | None = None
    redis: Redis | None = None
    queue_redis: Redis | None = None

    def close(self) -> None:
        """Flushes the metrics and closes all connections."""
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


def bootstrap(
    settings: Settings,
    *,
    provider: Provider | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
    operator_timeout_seconds: float = 5.0,
    refreshes: bool = True,
) -> Services:
    """All parts, built from the settings and connected. A given `provider` or `store` is used in place of the
    configured one; beside a given store no Redis is used.

    `clock` gives Unix seconds in place of Redis' clock, by which all stored times go otherwise.

    `operator_timeout_seconds` is the longest wait of operators' and workers' clients. With `refreshes=False` nothing is
    served stale while a worker refreshes it: for callers with credentials that the workers do not have.
    """
    if unknown := unknown_settings():
        logger.warning(unknown)
    base = _base(settings, store, clock, operator_timeout_seconds)
    clock = base.clock
    judge = _judge(base, provider)
    provider = provider or _provider(settings, on_embedding=partial(_count_embedding, base.metrics))
    thresholds, rejected, evidence = _quality(base, provider)
    semantic = _semantic(base, provider, thresholds, rejected, evidence, judge)
    invalidation = _invalidation(base)
    switch = BypassSwitch(base.redis, base.audit, reader=base.request_redis, clock=clock)
    refresher = RefreshQueue(base.queue_redis) if base.queue_redis is not None else None
    gauges = Gauges(base.redis, clock=clock) if base.redis is not None else None
    cache = _cache(base, provider, semantic, invalidation, switch, refresher if refreshes else None)
    return Services(
        settings=settings,
        clock=clock,
        cache=cache,
        store=base.operator_store,
        provider=provider,
        metrics=base.metrics,
        audit=base.audit,
        invalidation=invalidation,
        switch=switch,
        labels=NamespaceLabels(base.redis, base.audit, settings.namespace_labels, clock=clock),
        marks=DeployMarks(base.redis, base.audit, clock=clock),
        thresholds=thresholds,
        evidence=evidence,
        questions=_questions(base),
        verdicts=Verdicts(cache, base.operator_store, invalidation, evidence, personal=base.personal),
        logins=EndedLogins(base.redis, clock=clock),
        alert_board=AlertBoard(base.redis, alert_rules(settings), clock=clock),
        health=_health(base, invalidation, gauges),
        judge=judge,
        semantic=semantic,
        pins=_pins(base),
        refreshes=refresher,
        schedules=Schedules(base.redis, invalidation, clock=clock) if base.redis is not None else None,
        gauges=gauges,
        redis=base.redis,
        queue_redis=base.queue_redis,
    )


def evaluated(settings: Settings) -> Callable[[], WholeCache]:
    """Makes empty caches of these settings to evaluate, which ask neither Redis nor a model.

    Thresholds are those of the settings: what was published is in Redis. Raises EmbedderError, and InvalidSettings for
    an embedder that is asked over the network.
    """
    from .evaluation import WholeCache

    now = time.time()
    thresholds = Thresholds(
        None, AuditLog(None), configured_threshold(settings), conversations=configured_conversations(settings)
    )
    ttls = ttl_policy(settings)
    lookup = None
    if settings.strategy is CacheStrategy.SEMANTIC:
        if settings.embedder.startswith("openai:"):
            raise InvalidSettings(["ENCORE_EMBEDDER: an evaluation asks no server: set an embedder of this machine"])
        from .semantic import build_local_embedder, lookup_in_memory

        config = semantic_config(settings)
        lookup = partial(
            lookup_in_memory,
            config,
            build_local_embedder(config),
            thresholds=thresholds.current,
            personal=lambda text: ttls.explain(text).personal,
            clock=lambda: now,
        )
    return partial(WholeCache, cache_config(settings), ttls, lookup, model=settings.default_model or "any", now=now)


class _Base(msgspec.Struct, frozen=True, kw_only=True):
    """What the other parts are built on. `request_redis` and `store` wait for milliseconds, the others for seconds."""

    settings: Settings
    clock: Clock
    config: CacheConfig
    ttls: TTLPolicy
    store: Store
    operator_store: Store
    metrics: CacheMetrics
    audit: AuditLog
    request_redis: Redis | None = None
    redis: Redis | None = None
    queue_redis: Redis | None = None

    def personal(self, text: str) -> bool:
        """Whether the rules take a text for somebody's own."""
        return self.ttls.explain(text).personal


def _base(settings: Settings, store: Store | None, clock: Clock | None, operator_timeout_seconds: float) -> _Base:
    config = cache_config(settings)
    url = redis_url(settings) if store is None else None
    request_redis = redis = queue_redis = None
    operator_store = store
    if url is not None:
        request_redis = request_client(url, settings.redis_timeout_seconds)
        redis = patient_client(url, operator_timeout_seconds)
        claim_form(redis)
        store, operator_store = stores_of(request_redis, redis, clock=clock)
        jobs_url = queue_url(settings)
        queue_redis = patient_client(jobs_url, operator_timeout_seconds) if jobs_url is not None else None
    elif store is None:
        store = MemoryStore(settings.max_size, clock=clock)
        config = msgspec.structs.replace(config, l1_seconds=0)  # copies of what this process holds would be of no use
    clock = clock or store.clock
    clock()  # Redis is asked for its time now, not by the first request
    return _Base(
        settings=settings,
        clock=clock,
        config=config,
        ttls=ttl_policy(settings),
        store=store,
        operator_store=operator_store or store,
        metrics=CacheMetrics(
            redis, record_prompts=settings.record_prompts, record_callers=settings.record_callers, clock=clock
        ),
        audit=AuditLog(redis, clock=clock),
        request_redis=request_redis,
        redis=redis,
        queue_redis=queue_redis,
    )


def _cache(
    base: _Base,
    provider: Provider,
    semantic: DeferredLookup | None,
    invalidation: CacheInvalidator,
    switch: BypassSwitch,
    refresher: RefreshQueue | None,
) -> LLMCache:
    return LLMCache(
        base.config,
        store=base.store,
        provider=provider,
        metrics=base.metrics,
        ttl_policy=base.ttls,
        price=price,
        refresher=refresher,
        semantic=semantic,
        invalidator=invalidation,
        switch=switch,
        clock=base.clock,
    )


def _invalidation(base: _Base) -> CacheInvalidator:
    metrics, settings = base.metrics, base.settings
    return CacheInvalidator(
        base.operator_store,
        base.audit,
        namespace=settings.namespace,
        buckets=settings.buckets,
        hold_seconds=settings.hold_seconds,
        replicas=settings.invalidation_replicas,
        synced=settings.invalidation_synced,
        copies_seconds=base.config.l1_seconds,
        repeats=Repeats(base.redis, clock=base.clock),
        count=lambda kind: metrics.count(f"invalidations_{kind}"),
        hits=lambda: metrics.hits,
        clock=base.clock,
    )


def _health(base: _Base, invalidation: CacheInvalidator, gauges: Gauges | None) -> HealthReader:
    return HealthReader(
        store=base.operator_store,
        invalidation=invalidation,
        client=base.redis,
        queue=base.queue_redis,
        gauges=gauges,
        buckets=base.settings.buckets,
    )


def _pins(base: _Base) -> Pins | None:
    if base.redis is None:
        return None
    settings = base.settings
    classes = base.ttls.classes()
    return Pins(
        base.redis,
        base.operator_store,
        base.audit,
        release_seconds=lambda name: settings.ttl_seconds or classes.get(name) or RELEASED_SECONDS,
        stale_seconds=settings.stale_seconds,
        strip_stop_words=settings.strip_stop_words,
        clock=base.clock,
    )


def _quality(base: _Base, provider: Provider) -> tuple[Thresholds, RejectedPairs, Evidence]:
    settings = base.settings

    @cache
    def embedder_in_use() -> str:
        from .semantic import embedder_digest

        return embedder_digest(semantic_config(settings), provider)

    thresholds = Thresholds(
        base.redis,
        base.audit,
        configured_threshold(settings),
        conversations=configured_conversations(settings),
        embedder=settings.embedder,
        reader=base.request_redis,
        clock=base.clock,
    )
    rejected = RejectedPairs(base.redis, reader=base.request_redis)
    evidence = Evidence(
        base.redis,
        thresholds,
        rejected,
        keep_prompts=settings.record_prompts,
        budget=settings.false_hit_budget,
        sample_share=settings.judge_sample if settings.judge_model else 0.0,
        costs=lambda namespace: costs_of(
            base.metrics.recent(KEEP, RequestFilter(namespace=names.namespace_in(namespace)))
        ),
        embedder=embedder_in_use if settings.strategy is CacheStrategy.SEMANTIC else lambda: "",
        clock=base.clock,
    )
    return thresholds, rejected, evidence


def _questions(base: _Base) -> Questions:
    settings = base.settings

    def local_embedder() -> CheckedEmbedder:
        from .semantic import build_local_embedder

        return build_local_embedder(semantic_config(settings))

    return Questions(
        base.redis,
        base.metrics,
        base.audit,
        local_embedder,
        keep_prompts=settings.record_prompts,
        by_itself=settings.strategy is CacheStrategy.SEMANTIC,
        clock=base.clock,
    )


def _semantic(
    base: _Base,
    provider: Provider,
    thresholds: Thresholds,
    rejected: RejectedPairs,
    evidence: Evidence,
    judge: ProviderJudge | None,
) -> DeferredLookup | None:
    if base.settings.strategy is not CacheStrategy.SEMANTIC:  # a request may only lower it
        return None

    def build() -> tuple[SemanticLookup, SharedVectors | None]:
        from .semantic import assemble

        return assemble(
            semantic_config(base.settings),
            provider,
            base.request_redis,
            thresholds=evidence.bounds.in_effect,
            refused=rejected.current,
            judge=judge,
            observer=evidence.observe,
            count=base.metrics.count,
            personal=base.personal,
            clock=base.clock,
        )

    is_on = base.settings.semantic_conversations == "judge"
    return DeferredLookup(thresholds.current, build, count=base.metrics.count, conversations=is_on)


def _judge(base: _Base, provider: Provider | None) -> ProviderJudge | None:
    settings, redis = base.settings, base.request_redis
    if settings.judge_model is None:
        return None
    calls_per_hour = settings.judge_budget_per_hour
    return ProviderJudge(
        provider or _provider(settings, max_retries=0),  # a second try would come after the deadline
        settings.judge_model,
        deadline_seconds=settings.judge_deadline_seconds,
        budget=SharedBudget(redis, calls_per_hour, clock=base.clock)
        if redis is not None
        else JudgeBudget(calls_per_hour, clock=base.clock),
        models=settings.judge_models,
        parameters=settings.judge_parameters,
        price=price,
        count=base.metrics.count,
    )


def _provider(
    settings: Settings, *, max_retries: int = 2, on_embedding: Callable[[str, int], None] | None = None
) -> Provider:
    # The SDK takes most of a second to import: only when there is something to ask.
    from .demo import DemoProvider
    from .providers import PATIENCE_SECONDS, OpenAIProvider

    if settings.uses_demo_model:
        return DemoProvider()
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return OpenAIProvider(
        api_key=key,
        base_url=settings.openai_base_url,
        timeout_seconds=settings.provider_timeout_seconds or PATIENCE_SECONDS,
        max_retries=max_retries,
        on_embedding=on_embedding,
    )


def _count_embedding(metrics: CacheMetrics, model: str, tokens: int) -> None:
    """What the cache itself spends on embeddings; what has no price is counted too."""
    metrics.count("embedding_tokens", tokens)
    usd = price(model, Usage(input_tokens=tokens))
    if usd is None:
        metrics.count("embedding_unpriced_calls")
    else:
        metrics.count(f"embedding{OVERHEAD}", round(usd * USD_SCALE))
