"""What CacheMetrics answers, the counts in memory or in Redis."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.metrics import CacheMetrics
from core.metrics.request_log import RequestFilter
from core.models import CacheStrategy, HitDetail, OutcomeKind
from tests.metrics.outcomes import a_bypass, a_hit, a_miss, an_error, an_outcome
from tests.samples import NOW, Clock

HOUR, DAY = 3600, 86_400


def test_a_summary_counts_requests_by_outcome(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(ttl_class="code", copied=True))
    metrics.record(a_hit(detail=HitDetail.ALIAS, stale=True, reason="stale-if-error"))
    metrics.record(a_miss(stored=True, ttl_class="code"))
    metrics.record(a_miss(reason="expired", collapsed=True, strategy=CacheStrategy.EXACT))
    metrics.record(a_miss(not_stored="too-large", forgone="may be material"))
    metrics.record(a_bypass())
    metrics.record(an_error())
    summary = metrics.summary(60)
    assert (summary.requests, summary.hits, summary.misses, summary.bypasses, summary.errors) == (7, 2, 3, 1, 1)
    assert summary.hit_rate == 2 / 5
    assert summary.error_rate == 1 / 7
    assert (summary.stale_hits, summary.copied_hits, summary.collapsed, summary.stored) == (1, 1, 1, 1)
    assert summary.details == {"exact": 1, "alias": 1}
    assert summary.reasons == {
        "hit": {"stale-if-error": 1},
        "miss": {"absent": 2, "expired": 1},
        "bypass": {"temperature": 1},
        "error": {"APITimeoutError": 1},
    }
    assert summary.not_stored == {"too-large": 1}
    assert summary.forgone == {"may be material": 1}
    assert summary.ttl_classes["code"].hit_rate == 1 / 2
    assert summary.strategies["exact"].requests == 1
    assert summary.strategies["normalized"].requests == 6


def test_a_summary_has_what_was_spent_and_saved(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_input_tokens=10, saved_output_tokens=20, saved_cost_usd=0.003, saved_ms=1500.0))
    metrics.record(a_miss(input_tokens=1, output_tokens=2, cost_usd=0.0001, provider_ms=900.0))
    metrics.record(a_miss(provider_ms=900.0))
    summary = metrics.summary(60)
    assert (summary.tokens, summary.saved_tokens, summary.saved_seconds) == (3, 30, 1.5)
    assert (summary.cost_usd, summary.unpriced_requests) == (0.0001, 1)
    assert (summary.saved_cost_usd, summary.unpriced_hits) == (0.003, 0)


def test_a_cost_is_unknown_when_all_its_prices_are(metrics: CacheMetrics) -> None:
    metrics.record(a_hit())
    metrics.record(a_miss(provider_ms=900.0))
    summary = metrics.summary(60)
    assert (summary.saved_cost_usd, summary.unpriced_hits) == (None, 1)
    assert (summary.cost_usd, summary.unpriced_requests) == (None, 1)


def test_without_requests_rates_are_unknown_and_nothing_was_spent(metrics: CacheMetrics) -> None:
    summary = metrics.summary(60)
    assert (summary.requests, summary.hit_rate, summary.error_rate) == (0, None, None)
    assert (summary.cost_usd, summary.saved_cost_usd) == (0.0, 0.0)
    assert summary.hit_latency.p50_ms is None


def test_latencies_of_hits_and_misses_are_kept_apart(metrics: CacheMetrics) -> None:
    for _ in range(100):
        metrics.record(a_hit(latency_ms=0.5, lookup_ms=0.04))
        metrics.record(a_miss(latency_ms=900.0, lookup_ms=0.04, provider_ms=890.0))
    summary = metrics.summary(60)
    assert summary.hit_latency.p99_ms == pytest.approx(0.5, rel=0.25)
    assert summary.miss_latency.p50_ms == pytest.approx(900, rel=0.25)
    assert summary.provider.p95_ms == pytest.approx(890, rel=0.25)
    assert summary.lookup.count == 200
    assert summary.miss_latency.total_ms == pytest.approx(90_000)


def test_latencies_with_the_cache_stand_beside_those_without_it(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(latency_ms=1.0, saved_ms=999.0))
    metrics.record(a_miss(latency_ms=510.0, provider_ms=500.0))
    metrics.record(a_miss(latency_ms=400.0, provider_ms=0.0, collapsed=True))
    metrics.record(a_bypass(latency_ms=300.0, provider_ms=300.0))
    metrics.record(an_error(latency_ms=9000.0, provider_ms=9000.0))
    summary = metrics.summary(60)
    assert (summary.with_cache.count, summary.with_cache.total_ms) == (4, pytest.approx(1211))
    assert (summary.without_cache.count, summary.without_cache.total_ms) == (4, pytest.approx(2200))


def test_net_savings_are_less_what_the_cache_spent_itself(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_cost_usd=0.5))
    metrics.count("judge_cost_nano_usd", 100_000_000)
    metrics.count("embedding_cost_nano_usd", 50_000_000)
    summary = metrics.summary(60)
    assert (summary.overhead_usd, summary.net_saved_usd) == (pytest.approx(0.15), pytest.approx(0.35))
    assert summary.to_dict()["net_saved_usd"] == pytest.approx(0.35)
    of_model = metrics.summary(60, model="gpt-4o")
    assert (of_model.overhead_usd, of_model.net_saved_usd) == (0, 0.5)


def test_a_summary_is_of_one_namespace_or_model(metrics: CacheMetrics) -> None:
    for namespace in ("a", "b"):
        for model in ("x", "y", "y"):
            metrics.record(a_hit(namespace=namespace, model=model))
    metrics.count("takeovers")
    assert metrics.summary(60, namespace="a").hits == 3
    assert metrics.summary(60, model="y").hits == 4
    assert metrics.summary(60, namespace="a", model="y").hits == 2
    assert metrics.summary(60, model="unknown").requests == 0
    assert metrics.summary(60, model="y").events == {}


def test_figures_of_some_namespaces_hold_nothing_of_the_others_nor_of_none(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(namespace="mine", saved_cost_usd=1.0))
    metrics.record(a_miss(namespace="mine/part"))
    metrics.record(a_miss(namespace="theirs", model="secret", latency_ms=5000.0))
    metrics.count("judge_cost_nano_usd", 5)

    def is_mine(namespace: str) -> bool:
        return namespace.partition("/")[0] == "mine"

    summary = metrics.summary(60, within=is_mine)
    assert (summary.requests, summary.hits, summary.events) == (2, 1, {})
    assert metrics.summary(60, namespace="theirs", within=is_mine).requests == 0
    assert list(metrics.breakdown(60, "namespace", within=is_mine)) == ["mine", "mine/part"]
    assert "secret" not in metrics.breakdown(60, "model", within=is_mine)
    series = metrics.series(60, 10, within=is_mine)
    assert sum(bucket.summary.requests for bucket in series) == 2
    assert metrics.summary(60).requests == 3
    assert [record.namespace for record in metrics.recent(9, within=is_mine)] == ["mine/part", "mine"]


def test_a_breakdown_is_by_model_or_namespace_the_busiest_first(metrics: CacheMetrics) -> None:
    for model in ("x", "y", "y"):
        metrics.record(a_hit(model=model))
    metrics.record(a_miss(model="x", namespace="other-team"))
    metrics.record(a_miss(model="x", namespace="other-team"))
    metrics.count("takeovers")
    by_model = metrics.breakdown(60, "model")
    assert {name: summary.requests for name, summary in by_model.items()} == {"x": 3, "y": 2}
    assert list(by_model) == ["x", "y"]
    assert by_model["x"].hit_rate == 1 / 3
    assert {name: s.requests for name, s in metrics.breakdown(60, "namespace", model="x").items()} == {
        "other-team": 2,
        "test": 1,
    }


def test_events_are_counted_over_all(metrics: CacheMetrics) -> None:
    metrics.count("corrupt_entries")
    metrics.count("corrupt_entries", 2)
    metrics.count("takeovers", 0)
    metrics.count("takeovers", -5)
    assert metrics.summary(60).events == {"corrupt_entries": 3}
    assert metrics.totals().events == {"corrupt_entries": 3}


def test_a_window_ends_now_and_forgets_what_lies_before_it(metrics: CacheMetrics, clock: Clock) -> None:
    metrics.record(a_hit())
    clock.forward(70)
    metrics.record(a_miss(at=clock()))
    assert metrics.summary(30).requests == 1
    assert metrics.summary(80).requests == 2
    assert metrics.summary(30).starts_at == NOW + 40
    assert metrics.summary(30).ends_at == NOW + 70


@pytest.mark.parametrize("age", [45, 3 * HOUR, 3 * DAY, 80 * DAY])
def test_the_past_stays_in_the_window_as_long_as_it_is_kept(metrics: CacheMetrics, clock: Clock, age: int) -> None:
    metrics.record(a_hit())
    metrics.flush()
    clock.forward(age)
    assert metrics.summary(age + 1).hits == 1
    assert metrics.summary(90 * DAY).hits == 1
    assert metrics.summary(max(1, age // 2)).hits == 0


def test_a_comparison_is_of_two_ended_windows_of_one_length(clock: Clock) -> None:
    with CacheMetrics(None, flush_seconds=1.0, clock=clock) as metrics:
        for ago, outcomes in ((25, [a_miss]), (15, [a_hit, a_hit]), (0, [an_error])):
            for outcome in outcomes:
                metrics.record(outcome(at=NOW - ago))
        comparison = metrics.comparison(10)
        assert comparison.current.ends_at - comparison.current.starts_at == 10
        assert comparison.previous.ends_at == comparison.current.starts_at
        assert comparison.previous.ends_at - comparison.previous.starts_at == 10
        assert (comparison.current.hits, comparison.previous.misses) == (2, 1)
        assert comparison.current.errors == 0


def test_a_series_has_all_its_steps_in_order_empty_ones_too(metrics: CacheMetrics, clock: Clock) -> None:
    metrics.record(a_hit(at=NOW))
    metrics.record(a_miss(at=NOW + 25))
    clock.forward(3000)
    buckets = metrics.series(3000, 10)
    assert len(buckets) == 301, "the present one too"
    assert all(later.starts_at - sooner.starts_at == 10 for sooner, later in pairwise(buckets))
    filled = {bucket.starts_at: (bucket.summary.hits, bucket.summary.misses) for bucket in buckets}
    assert {at: counts for at, counts in filled.items() if any(counts)} == {NOW: (1, 0), NOW + 20: (0, 1)}


@pytest.fixture
def live(clock: Clock) -> Any:
    """A recorder that others flush beside every second, so that a bucket is closed two seconds after its end."""
    with CacheMetrics(None, flush_seconds=1.0, clock=clock) as metrics:
        yield metrics


def test_a_closed_bucket_does_not_change_any_more(live: CacheMetrics, clock: Clock) -> None:
    live.record(a_hit())
    clock.forward(15)
    complete = [bucket for bucket in live.series(60, 10) if bucket.is_complete]
    assert complete[-1].starts_at == NOW
    live.record(a_miss(at=clock()))
    assert [bucket for bucket in live.series(60, 10) if bucket.is_complete] == complete


def test_a_bucket_closes_when_every_process_has_had_time_to_write(live: CacheMetrics, clock: Clock) -> None:
    clock.forward(11)
    assert [bucket.is_complete for bucket in live.series(60, 10)[-2:]] == [False, False]
    clock.forward(1)
    assert [bucket.is_complete for bucket in live.series(60, 10)[-2:]] == [True, False]


def test_a_series_ends_with_the_bucket_that_still_fills(live: CacheMetrics, clock: Clock) -> None:
    live.record(a_hit())
    clock.forward(5)
    buckets = live.series(60, 10)
    assert (buckets[-1].starts_at, buckets[-1].is_complete) == (NOW, False)
    assert buckets[-1].summary.hits == 1


def test_a_window_that_has_ended_is_the_same_whenever_it_is_looked_at(live: CacheMetrics, clock: Clock) -> None:
    for offset in (0, 15, 59, 60, 75):
        live.record(a_hit(at=NOW + offset))
    clock.forward(300)
    buckets = live.series(60, 20, ends_at=NOW + 60)
    assert [bucket.starts_at for bucket in buckets] == [NOW, NOW + 20, NOW + 40]
    assert all(bucket.is_complete for bucket in buckets)
    assert [bucket.summary.hits for bucket in buckets] == [2, 0, 1]
    assert live.summary(60, step_seconds=20, ends_at=NOW + 60).hits == 3
    assert live.summary(60, ends_at=NOW + 60).ends_at == NOW + 60
    assert live.breakdown(60, "model", step_seconds=20, ends_at=NOW + 60)["gpt-4o"].hits == 3
    live.record(a_hit(at=NOW + 90))
    clock.forward(300)
    assert live.series(60, 20, ends_at=NOW + 60) == buckets


@pytest.mark.parametrize("end", [float("nan"), float("inf")])
def test_a_window_that_ends_at_no_time_is_refused(metrics: CacheMetrics, end: float) -> None:
    with pytest.raises(InvalidInput, match=r"end|window"):
        metrics.summary(60, ends_at=end)


@pytest.mark.parametrize(("window", "step", "kept"), [(HOUR, 15, 10), (DAY, 10, 60), (10 * DAY, 60, 3600)])
def test_a_step_finer_than_what_is_kept_is_refused(metrics: CacheMetrics, window: int, step: int, kept: int) -> None:
    with pytest.raises(InvalidInput, match=f"multiple of {kept} seconds|at most 3000 steps"):
        metrics.series(window, step)


@pytest.mark.parametrize("window", [0, -1, 91 * DAY, float("nan"), float("inf")])
def test_a_window_that_cannot_be_is_refused(metrics: CacheMetrics, window: float) -> None:
    with pytest.raises(InvalidInput, match="window"):
        metrics.summary(window)


def test_a_series_of_hours_reaches_back_for_months(metrics: CacheMetrics, clock: Clock) -> None:
    metrics.record(a_hit())
    metrics.flush()
    clock.forward(30 * DAY)
    buckets = metrics.series(40 * DAY, DAY)
    assert [bucket.summary.hits for bucket in buckets].count(1) == 1


@given(parts=st.lists(st.tuples(st.sampled_from(OutcomeKind), st.integers(0, 7000)), max_size=60))
@settings(max_examples=30)
def test_steps_add_up_to_their_window(parts: list[tuple[OutcomeKind, int]]) -> None:
    clock = Clock(NOW)
    with CacheMetrics(None, flush_seconds=1.0, clock=clock) as metrics:
        for kind, offset in sorted(parts, key=lambda part: part[1]):
            clock.now = NOW + offset
            metrics.record(an_outcome(kind, at=clock.now))
            metrics.flush()
        clock.now = NOW + 7200
        for window, step in ((7260, 60), (7200, 600), (7 * DAY, 3 * HOUR)):
            steps = metrics.series(window, step)
            assert steps[0].starts_at <= NOW
            whole = metrics.summary(window, step_seconds=step)
            for field in ("hits", "misses", "bypasses", "errors"):
                assert sum(getattr(bucket.summary, field) for bucket in steps) == getattr(whole, field)


def test_a_time_that_cannot_be_is_taken_as_now(metrics: CacheMetrics) -> None:
    for at in (0.0, -1.0, float("nan"), float("inf"), NOW * 2, NOW - 30 * DAY):
        metrics.record(a_hit(at=at))
    assert metrics.summary(10).hits == 6


def test_a_summary_can_be_written_as_json(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(latency_ms=1.0))
    plain = msgspec.json.decode(msgspec.json.encode(metrics.summary(60).to_dict()))
    assert plain["hits"] == 1
    assert plain["hit_rate"] == 1.0
    assert plain["hit_latency"]["p50_ms"] == pytest.approx(1.0, rel=0.25)


def test_recent_requests_come_newest_first_and_by_filter(metrics: CacheMetrics) -> None:
    for number in range(5):
        metrics.record(a_hit(key=f"0-{number}", at=NOW + number), prompt=f"question {number}")
    metrics.record(a_miss(at=NOW + 5))
    assert [record.kind for record in metrics.recent(2)] == [OutcomeKind.MISS, OutcomeKind.HIT]
    hits = metrics.recent(10, RequestFilter(kind=OutcomeKind.HIT))
    assert [record.prompt for record in hits] == [f"question {number}" for number in (4, 3, 2, 1, 0)]


def test_the_most_frequent_misses_are_found(metrics: CacheMetrics) -> None:
    for prompt, times in (("rare", 1), ("often", 3)):
        for _ in range(times):
            metrics.record(a_miss(key=f"0-{prompt}", cost_usd=0.5), prompt=prompt)
    metrics.record(a_hit(key="0-often"), prompt="often")
    top = metrics.top(OutcomeKind.MISS)
    assert [(frequent.prompt, frequent.count, frequent.cost_usd) for frequent in top] == [
        ("often", 3, 1.5),
        ("rare", 1, 0.5),
    ]
