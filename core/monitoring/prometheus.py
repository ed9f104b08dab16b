"""The metrics in Prometheus' text format, from the same counts as the console.

Counters are the totals of all processes in Redis: every replica reports equal totals, so scrape one of them, or take
the maximum over replicas, never their sum.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..errors import NotPermitted, StoreUnavailable
from ..metrics import CacheMetrics, CellName, Histogram, Kinds, Summary, Totals, merged
from ..namespaces import NamespaceLabel, NamespaceLabels, Naming
from .alert_board import AlertBoard
from .alerts import ALERT_NAMES, Health

logger = logging.getLogger("encore.prometheus")

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""What to answer with `render`."""

MOST_MACHINES = 100

_KINDS = {"hit": "hits", "miss": "misses", "bypass": "bypasses", "error": "errors"}
_INVALIDATIONS = "invalidations_"


def render(collector: Collector) -> bytes:
    """The text of one scrape. Never raises: with the store down it holds `encore_up 0`."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)


class MetricsCollector(Collector):
    """What Prometheus scrapes. `health` gives the state of the parts; without it the only gauge is `encore_up`.

    `board` says which alerts fire, `labels` what namespaces are called.

    Labels are bounded: models and namespaces beyond the first thousand pairs are `other`.
    """

    def __init__(
        self,
        metrics: CacheMetrics,
        health: Callable[[], Health] | None = None,
        board: AlertBoard | None = None,
        labels: NamespaceLabels | None = None,
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._board = board
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        """The families of one scrape."""
        health = self._read_health()
        totals: Totals | None = None
        recent: Summary | None = None
        up = health is None or health.store_up
        try:
            if up:  # else a scrape would wait for it once more
                totals = self._metrics.totals()
                if self._board is not None:
                    recent = self._metrics.summary(self._board.rules.window_seconds)
        except NotPermitted:
            logger.debug("a scrape without counts: Redis' user may not read them")
        except StoreUnavailable:
            up = health is not None and health.silent_servers > 0
            logger.debug("a scrape without counts: the store does not answer")
        yield GaugeMetricFamily("encore_up", "Whether the store answers.", float(up))
        if health is not None:
            yield from _health_gauges(health)
            if self._board is not None:
                known = health if up else msgspec.structs.replace(health, store_up=False)
                yield _alerts({alert.name for alert in self._board.look(recent, known)})
        if totals is not None:
            yield from _requests(totals.cells)
            yield from _savings(totals.cells)
            yield from _latencies(totals.cells)
            yield from _events(totals)
            yield _namespaces(totals.cells, self._labels.known() if self._labels is not None else {})

    def _read_health(self) -> Health | None:
        try:
            return self._health() if self._health else None
        except StoreUnavailable:
            return Health(store_up=False)


def _requests(cells: Mapping[CellName, Summary]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "encore_requests", "Requests by what became of them.", labels=["outcome", "strategy", "model", "namespace"]
    )
    hits = CounterMetricFamily(
        "encore_hits", "Hits by how the answer was found.", labels=["detail", "model", "namespace"]
    )
    for cell, summary in cells.items():
        for strategy, kinds in summary.strategies.items():
            for outcome, count in _counts(kinds):
                requests.add_metric([outcome, strategy, cell.model, cell.namespace], count)
        for detail, count in summary.details.items():
            hits.add_metric([detail, cell.model, cell.namespace], count)
    yield requests
    yield hits
    why = CounterMetricFamily("encore_reasons", "Why requests were not hits.", labels=["outcome", "reason"])
    for (outcome, reason), count in _sum_reasons(cells).items():
        why.add_metric([outcome, reason], count)
    yield why
    forgone = CounterMetricFamily(
        "encore_forgone_hits",
        "Misses that would have been hits but for a caution, by caution: at least so many.",
        labels=["reason"],
    )
    for reason, count in _sum_forgone(cells).items():
        forgone.add_metric([reason], count)
    yield forgone
    for name, text, value in (
        ("encore_stale_hits", "Hits served past their freshness.", _sum(cells, lambda s: s.stale_hits)),
        ("encore_copied_hits", "Hits served from a process' own copies.", _sum(cells, lambda s: s.copied_hits)),
        ("encore_collapsed", "Requests that shared another one's call.", _sum(cells, lambda s: s.collapsed)),
        ("encore_stored", "Answers stored.", _sum(cells, lambda s: s.stored)),
    ):
        yield CounterMetricFamily(name, text, value)


def _savings(cells: Mapping[CellName, Summary]) -> Iterator[Metric]:
    for name, text, value in (
        ("encore_tokens_saved", "Tokens not spent thanks to hits.", _sum(cells, lambda s: s.saved_tokens)),
        ("encore_tokens_spent", "Tokens spent.", _sum(cells, lambda s: s.tokens)),
        ("encore_cost_saved_usd", "Money not spent, known prices only.", _sum(cells, lambda s: s.saved_cost_usd or 0)),
        ("encore_cost_spent_usd", "Money spent, known prices only.", _sum(cells, lambda s: s.cost_usd or 0)),
        ("encore_unpriced_hits", "Hits whose saving is unknown.", _sum(cells, lambda s: s.unpriced_hits)),
        ("encore_unpriced_requests", "Calls whose price is unknown.", _sum(cells, lambda s: s.unpriced_requests)),
        ("encore_saved_seconds", "Waiting saved by hits.", _sum(cells, lambda s: s.saved_seconds)),
    ):
        yield CounterMetricFamily(name, text, value)


def _latencies(cells: Mapping[CellName, Summary]) -> Iterator[Metric]:
    requests = HistogramMetricFamily("encore_request_seconds", "What callers waited.", labels=["outcome"])
    for outcome in _KINDS:
        histogram = merged(getattr(summary, f"{outcome}_latency") for summary in cells.values())
        requests.add_metric([outcome], *_buckets(histogram))
    yield requests
    for name, text, histograms in (
        ("encore_lookup_seconds", "The cache's part.", (summary.lookup for summary in cells.values())),
        ("encore_provider_seconds", "The provider's part.", (summary.provider for summary in cells.values())),
    ):
        family = HistogramMetricFamily(name, text)
        family.add_metric([], *_buckets(merged(histograms)))
        yield family


def _events(totals: Totals) -> Iterator[Metric]:
    invalidations = CounterMetricFamily("encore_invalidations", "Invalidations by criteria.", labels=["kind"])
    events = CounterMetricFamily("encore_events", "Whatever else is counted.", labels=["event"])
    for name, count in totals.events.items():
        if name.startswith(_INVALIDATIONS):
            invalidations.add_metric([name.removeprefix(_INVALIDATIONS)], count)
        else:
            events.add_metric([name], count)
    yield invalidations
    yield events


def _namespaces(cells: Mapping[CellName, Summary], labels: Mapping[str, NamespaceLabel]) -> Metric:
    """One series for each namespace that requests are counted for, to join to them: `label` is what screens show."""
    counted = {cell.namespace for cell in cells}
    naming = Naming(labels, counted)
    family = GaugeMetricFamily(
        "encore_namespace_info", "What a namespace is called and who owns it.", labels=["namespace", "label", "owner"]
    )
    for namespace in sorted(counted):
        given = naming.label(namespace)
        family.add_metric([namespace, naming.shown(namespace), given.owner if given else ""], 1.0)
    return family


def _health_gauges(health: Health) -> Iterator[Metric]:
    for name, text, value in (
        ("encore_entries", "Entries stored.", health.entries),
        ("encore_workers", "Workers alive.", health.workers),
        ("encore_active_invalidations", "Active in the namespace that has most.", health.active_bans),
        ("encore_redis_memory_bytes", "Memory Redis uses.", health.memory_bytes),
        ("encore_redis_memory_limit_bytes", "Memory Redis may use.", health.memory_limit_bytes),
        ("encore_redis_round_trip_seconds", "How long Redis takes to answer.", _seconds(health.round_trip_ms)),
        ("encore_redis_rights_missing", "Rules that Redis' user lacks.", len(health.missing_rights)),
        ("encore_redis_servers_silent", "Servers of the cluster that do not answer.", health.silent_servers),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, text, value)
    clocks = GaugeMetricFamily("encore_clock_ahead_seconds", "Wrong clocks, against Redis'.", labels=["machine"])
    for machine, ahead in list(health.clocks.items())[:MOST_MACHINES]:
        clocks.add_metric([machine], ahead)
    yield clocks


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _alerts(firing: Container[str]) -> Metric:
    family = GaugeMetricFamily("encore_alert", "Whether an alert rule fires.", labels=["rule"])
    for name in ALERT_NAMES:
        family.add_metric([name], float(name in firing))
    return family


def _counts(kinds: Kinds) -> Iterator[tuple[str, int]]:
    for outcome, field in _KINDS.items():
        if count := getattr(kinds, field):
            yield outcome, count


def _sum(cells: Mapping[CellName, Summary], figure: Callable[[Summary], float]) -> float:
    return sum(map(figure, cells.values()))


def _sum_reasons(cells: Mapping[CellName, Summary]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for summary in cells.values():
        for outcome, reasons in summary.reasons.items():
            for reason, count in reasons.items():
                counts[outcome, reason] = counts.get((outcome, reason), 0) + count
    return counts


def _sum_forgone(cells: Mapping[CellName, Summary]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for summary in cells.values():
        for reason, count in summary.forgone.items():
            counts[reason] = counts.get(reason, 0) + count
    return counts


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Buckets up to +Inf and the sum, in seconds."""
    rows: list[tuple[str, float]] = [(repr(bound / 1000), count) for bound, count in histogram.cumulative()]
    return [*rows, ("+Inf", histogram.count)], histogram.total_ms / 1000
