"""Savings by month: they add up to what every other page says, however they are told apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from itertools import combinations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StoreUnavailable
from core.metrics import CacheMetrics, month_of
from core.metrics.savings import DIMENSIONS, MonthSavings, savings_csv
from core.metrics.tally import USD_SCALE
from core.models import OutcomeKind
from tests.conftest import RedisFactory
from tests.metrics.outcomes import a_bypass, a_hit, a_miss, an_error, an_outcome
from tests.samples import NOW, Clock

THIS = month_of(NOW)


def to_nano(usd: float | None) -> int:
    return round((usd or 0.0) * USD_SCALE)


def present(metrics: CacheMetrics, *by: str, **chosen: str) -> MonthSavings:
    return metrics.savings(by, **chosen).months[-1]  # type: ignore[arg-type]


def test_a_month_tells_what_was_saved_and_spent_by_each_name(metrics: CacheMetrics) -> None:
    metrics.record(
        a_hit(saved_cost_usd=0.02, ttl_class="code", saved_input_tokens=5, saved_output_tokens=7, saved_ms=1500.0)
    )
    metrics.record(a_hit(saved_cost_usd=0.05, ttl_class="", namespace="shop", model="m2"))
    metrics.record(a_miss(cost_usd=0.01, provider_ms=1.0, ttl_class="code"))
    metrics.record(a_bypass(cost_usd=0.001, provider_ms=1.0))
    metrics.record(an_error(provider_ms=1.0))
    month = present(metrics, "namespace", "model", "ttl_class")
    assert (month.month, month.complete, month.requests, month.hits) == (THIS.name, False, 5, 2)
    assert (to_nano(month.saved_usd), to_nano(month.spent_usd)) == (70_000_000, 11_000_000)
    assert to_nano(month.without_cache_usd) == 81_000_000
    assert [(line.namespace, line.model, line.ttl_class, line.saved_usd, line.spent_usd) for line in month.lines] == [
        ("shop", "m2", "", 0.05, 0.0),
        ("test", "gpt-4o", "code", 0.02, 0.01),
        ("test", "gpt-4o", "", 0.0, 0.001),
    ]
    assert (month.lines[1].saved_tokens, month.lines[1].saved_seconds) == (12, 1.5)
    assert [(line.namespace, line.model) for line in present(metrics, "namespace").lines] == [
        ("shop", None),
        ("test", None),
    ]


def test_a_price_that_is_not_known_stays_unknown_and_is_counted(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_cost_usd=None))
    metrics.record(a_miss(provider_ms=1.0))
    metrics.record(an_error(provider_ms=1.0))  # a call that failed has no price to miss
    month = present(metrics)
    assert (month.saved_usd, month.net_usd, month.without_cache_usd) == (None, None, None)
    assert (month.spent_usd, month.unpriced_hits, month.unpriced_calls) == (None, 1, 1)
    metrics.record(a_hit(saved_cost_usd=0.5))
    month = present(metrics)
    assert (month.saved_usd, month.unpriced_hits) == (0.5, 1)


def test_what_the_cache_itself_spent_is_told_of_all_together_only(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_cost_usd=1.0))
    metrics.count("judge_cost_nano_usd", 200_000_000)
    metrics.count("embedding_cost_nano_usd", 50_000_000)
    metrics.count("judge_unpriced_calls", 3)
    metrics.count("takeovers", 1)
    month = present(metrics)
    assert month.overhead == {"embedding": 0.05, "judge": 0.2}
    assert (month.overhead_usd, month.net_usd, month.unpriced_overhead) == (0.25, 0.75, 3)
    for narrowed in (
        present(metrics, namespace="test"),
        present(metrics, model="gpt-4o"),
        metrics.savings(within=lambda name: True).months[-1],
    ):
        assert (narrowed.overhead, narrowed.unpriced_overhead, narrowed.net_usd) == ({}, 0, 1.0)


def test_months_follow_one_another_until_the_present_one(metrics: CacheMetrics, clock: Clock) -> None:
    metrics.record(a_hit(saved_cost_usd=1.0))
    metrics.flush()
    clock.now = THIS.after.ends_at + 5  # nothing happened in the month between
    metrics.record(a_hit(saved_cost_usd=2.0, at=clock.now))
    told = metrics.savings()
    assert [(one.month, one.complete, one.saved_usd) for one in told.months] == [
        (THIS.name, True, 1.0),
        (THIS.after.name, True, 0.0),
        (THIS.after.after.name, False, 2.0),
    ]
    assert told.since == NOW // 10 * 10
    assert told.of(THIS.name) == told.months[0]
    assert told.of("1999-01") is None


def test_without_any_count_there_is_the_present_month_with_nothing(metrics: CacheMetrics) -> None:
    told = metrics.savings(DIMENSIONS)
    assert [(one.month, one.requests, one.saved_usd, one.lines) for one in told.months] == [(THIS.name, 0, 0.0, [])]
    assert (told.since, told.total_usd, told.earlier_usd) == (None, 0.0, 0.0)


amounts = st.none() | st.floats(0, 50)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outcomes=st.lists(
        st.builds(
            an_outcome,
            kind=st.sampled_from(OutcomeKind),
            namespace=st.sampled_from(["a", "b|c", "=cmd", "other"]),
            model=st.sampled_from(["m1", "m|2", ""]),
            ttl_class=st.sampled_from(["", "code", "a|b"]),
            saved_cost_usd=amounts,
            cost_usd=amounts,
            provider_ms=st.sampled_from([0.0, 5.0]),
        ),
        max_size=30,
    )
)
def test_every_way_to_tell_apart_adds_up_to_the_totals_and_to_the_dashboard(outcomes: list) -> None:
    with CacheMetrics(None, flush_seconds=1000, clock=Clock()) as metrics:
        for outcome in outcomes:
            metrics.record(outcome)
        total = sum(to_nano(one.saved_cost_usd) for one in metrics.totals().cells.values())
        summary = metrics.summary(3600)
        for length in range(len(DIMENSIONS) + 1):
            for by in combinations(DIMENSIONS, length):
                told = metrics.savings(by)
                [month] = told.months
                assert to_nano(month.saved_usd) == to_nano(told.total_usd) == total
                assert (month.saved_usd, month.spent_usd) == (summary.saved_cost_usd, summary.cost_usd)
                assert told.earlier_usd == 0
                assert (month.requests, month.hits) == (summary.requests, summary.hits)
                assert (month.unpriced_hits, month.unpriced_calls) == (summary.unpriced_hits, summary.unpriced_requests)
                if by:
                    for figure in ("saved_usd", "spent_usd"):
                        lines = sum(to_nano(getattr(line, figure)) for line in month.lines)
                        assert lines == to_nano(getattr(month, figure))
                    assert sum(line.requests for line in month.lines) == month.requests


def test_what_was_counted_before_months_were_is_named(
    client: redis.Redis, recorder: Callable[[], CacheMetrics]
) -> None:
    metrics = recorder()
    metrics.record(a_hit(saved_cost_usd=0.75))
    metrics.flush()
    client.delete(*client.keys("*month:*"))
    metrics.record(a_hit(saved_cost_usd=0.25))
    told = metrics.savings()
    assert (told.total_usd, told.earlier_usd, told.months[-1].saved_usd) == (1.0, 0.75, 0.25)


def test_a_months_name_that_something_else_wrote_is_passed_over(client: redis.Redis, recorder) -> None:
    metrics = recorder()
    metrics.record(a_hit(saved_cost_usd=1.0))
    metrics.flush()
    [name] = client.keys("*month:*")
    client.hset(name, "x|y", b"\x81\xa3odd\x01")
    client.hset(name, "z|y", b"\xc1 not msgpack")
    assert [line.namespace for line in metrics.savings(["namespace"]).months[-1].lines] == ["test"]


def test_a_server_that_does_not_answer_is_an_error_of_the_project(redis_server: RedisFactory) -> None:
    server = redis_server()
    with server.client(socket_timeout=0.3, retry=None) as client, CacheMetrics(client, flush_seconds=1000) as metrics:
        server.pause()
        with pytest.raises(StoreUnavailable):
            metrics.savings()


def test_the_file_adds_up_and_runs_no_formula(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_cost_usd=0.5, namespace="=cmd()", model="+m,\n1"))
    metrics.record(a_hit(saved_cost_usd=None, namespace="shop"))
    metrics.record(a_miss(cost_usd=0.25, provider_ms=1.0, namespace="shop"))
    metrics.count("judge_cost_nano_usd", 100_000_000)
    told = metrics.savings(["namespace", "model"])
    rows = list(csv.DictReader(io.StringIO(savings_csv(told, told.months))))
    assert [row["namespace"] for row in rows] == ["'=cmd()", "shop", ""]
    assert {(row["month"], row["complete"]) for row in rows} == {(THIS.name, "false")}
    assert rows[1]["saved_usd"] == ""
    saved = sum(float(row["saved_usd"] or 0) for row in rows)
    assert saved - sum(float(row["overhead_usd"] or 0) for row in rows) == told.months[-1].net_usd == 0.4
    whole = metrics.savings()
    assert len(list(csv.DictReader(io.StringIO(savings_csv(whole, whole.months))))) == 2


def test_json_has_the_sums_of_all_months_and_the_lines_of_one(metrics: CacheMetrics) -> None:
    metrics.record(a_hit(saved_cost_usd=0.5))
    plain = metrics.savings(["namespace"]).to_dict(THIS.name)
    assert [month["net_usd"] for month in plain["months"]] == [0.5]
    assert plain["lines"][0]["namespace"] == "test"
    assert "model" not in plain["lines"][0]
    assert metrics.savings(["namespace"]).to_dict("2001-01")["lines"] == []
