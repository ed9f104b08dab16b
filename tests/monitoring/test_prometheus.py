from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.access import AuditLog
from core.errors import StoreUnavailable
from core.metrics import CacheMetrics
from core.models import CacheStrategy
from core.monitoring.alert_board import AlertBoard
from core.monitoring.alerts import ALERT_NAMES, AlertRules, Health
from core.monitoring.prometheus import CONTENT_TYPE, MetricsCollector, render
from core.namespaces import NamespaceLabel, NamespaceLabels
from tests.conftest import RedisFactory
from tests.metrics.outcomes import a_bypass, a_hit, a_miss, an_error
from tests.samples import Clock

KEY = "key-3f9a12cd7788990011e4b1c2"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def metrics() -> Iterator[CacheMetrics]:
    with CacheMetrics(None, flush_seconds=1000, clock=Clock()) as metrics:
        yield metrics


def a_board() -> AlertBoard:
    return AlertBoard(None, AlertRules(), clock=Clock())


def scraped(collector: MetricsCollector) -> Samples:
    """Every sample as a strict parser reads it; none may come twice."""
    samples: Samples = {}
    for family in text_string_to_metric_families(render(collector).decode()):
        for sample in family.samples:
            name = (sample.name, frozenset(sample.labels.items()))
            assert name not in samples
            samples[name] = sample.value
    return samples


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def busy(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(latency_ms=0.8, saved_input_tokens=10, saved_output_tokens=20, saved_cost_usd=0.25))
    metrics.record(
        a_hit(latency_ms=1.5, copied=True, strategy=CacheStrategy.EXACT, saved_input_tokens=1, saved_cost_usd=0.5)
    )
    metrics.record(a_miss(latency_ms=900.0, lookup_ms=0.04, provider_ms=899.0, stored=True, forgone="may be material"))
    metrics.record(a_bypass())
    metrics.record(an_error())
    metrics.count("invalidations_model")
    metrics.count("invalidations_key", 2)
    metrics.count("corrupt_entries")


def test_counters_say_what_was_recorded(metrics: CacheMetrics) -> None:
    busy(metrics)
    samples = scraped(MetricsCollector(metrics))
    where = {"model": "gpt-4o", "namespace": "test"}
    requests = "encore_requests_total"
    assert sample(samples, requests, outcome="hit", strategy="normalized", **where) == 1
    assert sample(samples, requests, outcome="hit", strategy="exact", **where) == 1
    assert sample(samples, requests, outcome="miss", strategy="normalized", **where) == 1
    assert sample(samples, "encore_copied_hits_total") == 1
    assert sample(samples, requests, outcome="bypass", strategy="normalized", **where) == 1
    assert sample(samples, requests, outcome="error", strategy="normalized", **where) == 1
    assert sample(samples, "encore_hits_total", detail="exact", **where) == 2
    assert sample(samples, "encore_reasons_total", outcome="miss", reason="absent") == 1
    assert sample(samples, "encore_forgone_hits_total", reason="may be material") == 1
    assert sample(samples, "encore_tokens_saved_total") == 31
    assert sample(samples, "encore_cost_saved_usd_total") == 0.75
    assert sample(samples, "encore_unpriced_requests_total") == 1
    assert sample(samples, "encore_stored_total") == 1
    assert sample(samples, "encore_invalidations_total", kind="model") == 1
    assert sample(samples, "encore_invalidations_total", kind="key") == 2
    assert sample(samples, "encore_events_total", event="corrupt_entries") == 1
    assert sample(samples, "encore_up") == 1


def test_latencies_are_histograms_in_seconds(metrics: CacheMetrics) -> None:
    busy(metrics)
    samples = scraped(MetricsCollector(metrics))
    bucket = "encore_request_seconds_bucket"
    assert sample(samples, bucket, outcome="hit", le="0.0005") == 0
    assert sample(samples, bucket, outcome="hit", le="0.001") == 1
    assert sample(samples, bucket, outcome="hit", le="0.002") == 2
    assert sample(samples, bucket, outcome="hit", le="+Inf") == 2
    assert sample(samples, "encore_request_seconds_count", outcome="hit") == 2
    assert sample(samples, "encore_request_seconds_sum", outcome="hit") == pytest.approx(0.0023)
    assert sample(samples, "encore_lookup_seconds_count") == 1
    assert sample(samples, "encore_provider_seconds_bucket", le="1.0") == 1


def test_families_and_buckets_are_there_before_the_first_request(metrics: CacheMetrics) -> None:
    empty = scraped(MetricsCollector(metrics))
    busy(metrics)
    full = scraped(MetricsCollector(metrics))
    assert sample(empty, "encore_tokens_saved_total") == 0
    assert {key for key in empty if key[0].endswith("_bucket")} == {key for key in full if key[0].endswith("_bucket")}


def test_counters_only_grow(metrics: CacheMetrics) -> None:
    collector = MetricsCollector(metrics)
    before: Samples = {}
    for _ in range(5):
        busy(metrics)
        now = scraped(collector)
        assert all(now[key] >= value for key, value in before.items())
        before = now


def test_counters_outlive_a_restart(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        for _ in range(2):
            with CacheMetrics(client, flush_seconds=1000) as metrics:
                metrics.record(a_hit(at=0.0))
                samples = scraped(MetricsCollector(metrics))
        assert sum(value for (name, _), value in samples.items() if name == "encore_requests_total") == 2


def test_the_text_is_what_prometheus_reads(metrics: CacheMetrics) -> None:
    busy(metrics)
    text = render(MetricsCollector(metrics, lambda: Health(workers=1), a_board())).decode()
    assert text.endswith("\n")
    assert "text/plain" in CONTENT_TYPE
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) encore_\w+ .+|encore_\w+(\{[^}]*\})? [-+.\deInf]+", line)
    typed = re.findall(r"# TYPE (\w+) (\w+)", text)
    assert len(typed) == len(set(typed))
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in typed)


@pytest.mark.parametrize("model", ['a"b', "a\\b", "a\nb", "\ud800", "日本語", "{le=1}"])
def test_any_model_name_makes_a_valid_label(metrics: CacheMetrics, model: str) -> None:
    metrics.record(a_hit(model=model))
    samples = scraped(MetricsCollector(metrics))
    assert sum(value for (name, _), value in samples.items() if name == "encore_requests_total") == 1


def test_labels_are_bounded(metrics: CacheMetrics) -> None:
    for number in range(5000):
        metrics.record(a_miss(model=f"model-{number}", namespace=f"space-{number}", reason=f"reason-{number}"))
    samples = scraped(MetricsCollector(metrics))
    assert len(samples) < 1000
    assert sum(value for (name, _), value in samples.items() if name == "encore_requests_total") == 5000


def test_gauges_say_how_the_parts_are_and_leave_out_what_is_unknown(metrics: CacheMetrics) -> None:
    health = Health(entries=7, workers=0, memory_bytes=5, round_trip_ms=2.0, clocks={"web-1": -60.0})
    samples = scraped(MetricsCollector(metrics, lambda: health, a_board()))
    assert sample(samples, "encore_entries") == 7
    assert sample(samples, "encore_workers") == 0
    assert sample(samples, "encore_redis_memory_bytes") == 5
    assert not any(name == "encore_redis_memory_limit_bytes" for name, _ in samples)
    assert sample(samples, "encore_redis_round_trip_seconds") == 0.002
    assert sample(samples, "encore_clock_ahead_seconds", machine="web-1") == -60
    assert {name: sample(samples, "encore_alert", rule=name) for name in ALERT_NAMES} == {
        name: float(name in ("no-worker", "clock")) for name in ALERT_NAMES
    }


def test_a_scrape_without_a_store_says_that_and_nothing_else(redis_server: RedisFactory) -> None:
    def health() -> Health:
        raise StoreUnavailable("Redis cannot be reached")

    server = redis_server()
    with server.client() as client, CacheMetrics(client, flush_seconds=1000) as metrics:
        server.kill()
        samples = scraped(MetricsCollector(metrics, health, a_board()))
        assert sample(samples, "encore_up") == 0
        assert sample(samples, "encore_alert", rule="store-down") == 1
        assert not any(name.endswith("_total") for name, _ in samples)


# What namespaces are called


def info(samples: Samples) -> dict[str, dict[str, str]]:
    """The labels of the series about each namespace; each is 1."""
    found = [
        dict(labels) for (name, labels), value in samples.items() if name == "encore_namespace_info" and value == 1
    ]
    return {labels["namespace"]: labels for labels in found}


HOSTILE = 'a"b\\c {} # = \U0001f600'


def test_each_counted_namespace_has_a_series_with_its_label_and_owner(metrics: CacheMetrics) -> None:
    for namespace in ("acme", "acme~eu", KEY, "default"):
        metrics.record(a_hit(namespace=namespace))
    labels = NamespaceLabels(None, AuditLog(None), {"acme": NamespaceLabel(label="Acme", owner=HOSTILE)})
    labels.give("elsewhere", "Not counted", actor="ada")
    found = info(scraped(MetricsCollector(metrics, labels=labels)))
    assert {name: (one["label"], one["owner"]) for name, one in found.items()} == {
        "acme": ("Acme", HOSTILE),
        "acme~eu": ("Acme~eu", HOSTILE),
        KEY: ("key-3f9a12cd…b1c2", ""),
        "default": ("default", ""),
    }


def test_a_hostile_label_ends_no_line_and_adds_no_series(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(namespace="acme"))
    labels = NamespaceLabels(None, AuditLog(None), {"acme": NamespaceLabel(label=HOSTILE)})
    assert info(scraped(MetricsCollector(metrics, labels=labels)))["acme"]["label"] == HOSTILE


def test_series_about_namespaces_are_as_many_as_are_counted(metrics: CacheMetrics) -> None:
    for number in range(1200):
        metrics.record(a_hit(namespace=f"n{number}"))
    found = info(scraped(MetricsCollector(metrics, labels=NamespaceLabels(None, AuditLog(None)))))
    assert len(found) <= 1001
    assert "other" in found


class Silent(NamespaceLabels):
    """Labels whose store does not answer."""

    def all(self) -> dict[str, NamespaceLabel]:
        raise StoreUnavailable("it does not answer")


def test_without_stored_labels_the_configured_ones_are_told(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(namespace="acme"))
    labels = Silent(None, AuditLog(None), {"acme": NamespaceLabel(label="Acme")})
    assert info(scraped(MetricsCollector(metrics, labels=labels)))["acme"]["label"] == "Acme"
