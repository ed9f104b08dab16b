"""The Savings page: sums that agree with the dashboard, with /metrics and with the file, in all its states."""

from __future__ import annotations

import csv
import io
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.bootstrap import bootstrap
from core.metrics import kept_months, savings_csv
from core.metrics.ledger import Batch, RedisLedger
from core.metrics.tally import Tally
from core.monitoring.prometheus import MetricsCollector, render
from core.namespaces import NamespaceLabel, Naming
from core.settings import Settings
from core.text import cents
from pages.components.data import context
from pages.components.savings.charts import MOST_NAMES, by_month
from pages.components.savings.tables import MOST_LINES, lines
from tests.metrics.outcomes import a_hit, a_miss
from tests.pages.conftest import everything_said

HOSTILE = ("=cmd()", "[x](javascript:1) **b** <b>", "`|$", "a\nb\u202e", "n" * 10_000)


def tile(at, label):
    return next(metric.value.replace("\\", "") for metric in at.metric if metric.label == label)


def table(at):
    return at.table[0].value


def count(services, *outcomes, at=None):
    """Counts outcomes of the present, or of another month as a process of that time did."""
    if at is None:
        for outcome in outcomes:
            services.metrics.record(outcome)
        services.metrics.flush()
        return
    tally = Tally()
    for outcome in outcomes:
        tally.record(at, outcome)
    for when, cells in tally.take().items():
        RedisLedger(services.redis).write(f"then-{at}", Batch(sequence=1, at=when, cells=cells))


def now_hit(**fields):
    return a_hit(at=time.time(), **fields)


def test_the_sums_are_those_of_the_dashboard_of_metrics_and_of_the_file(open_page, services):
    count(
        services,
        now_hit(namespace="shop", model="m1", ttl_class="code", saved_cost_usd=1234.567),
        now_hit(namespace="shop", model="m2", saved_cost_usd=0.0149),
        now_hit(namespace="desk", model="m1", saved_cost_usd=10.0),
        a_miss(at=time.time(), namespace="desk", model="m1", cost_usd=2.5, provider_ms=1.0),
    )
    services.metrics.count("judge_cost_nano_usd", 250_000_000)
    at = open_page("savings", by="TTL class")
    assert not at.exception
    assert tile(at, "Saved, net") == "$1,244.33"
    assert (tile(at, "Spent"), tile(at, "Own cost")) == ("$2.50", "$0.25")
    assert tile(at, "Since the beginning") == "$1,244.58"
    summary = services.metrics.summary(3600)
    assert cents(summary.net_saved_usd) == tile(at, "Saved, net")
    samples = [
        sample.value
        for family in text_string_to_metric_families(render(MetricsCollector(services.metrics)).decode())
        for sample in family.samples
        if sample.name == "encore_cost_saved_usd_total"
    ]
    assert cents(sum(samples)) == tile(at, "Since the beginning")
    found = services.metrics.savings(("namespace", "model", "ttl_class"))
    rows = list(csv.DictReader(io.StringIO(savings_csv(found, found.months))))
    net = sum(float(row["saved_usd"] or 0) - float(row["overhead_usd"] or 0) for row in rows)
    assert cents(net) == tile(at, "Saved, net")
    bars = by_month(found.months, "model", {}, {}).data[:-1]
    assert cents(sum(sum(bar.y) for bar in bars)) == "$1,244.58"
    assert list(table(at)["Saved"].str.replace("\\", "")) == ["$1,234.57", "$10.01", "**$1,244.58**"]
    assert next(iter(table(at).columns)) == "TTL class"


def test_the_page_without_a_count_says_how_savings_begin(open_page, services):
    at = open_page("savings")
    assert "Nothing has been counted yet" in everything_said(at)
    assert not at.metric


def test_months_are_chosen_by_the_url_and_the_month_before_is_beside(open_page, services):
    first, last, present = kept_months(time.time())[-3:]
    count(services, a_hit(saved_cost_usd=3.0), at=last.ends_at - 10)
    count(services, now_hit(saved_cost_usd=1.0))
    at = open_page("savings")
    assert (tile(at, "Saved, net"), tile(at, "The month before")) == ("$1.00", "$3.00")
    assert "so far" in at.subheader[0].value
    at = open_page("savings", month=last.name)
    assert (tile(at, "Saved, net"), tile(at, "The month before")) == ("$3.00", "–")
    assert "so far" not in at.subheader[0].value
    at = open_page("savings", month=first.name)
    assert "No request was counted in" in at.info[0].value
    assert not at.metric
    assert not open_page("savings", month="1999-01", by="user").exception
    assert present.name in str(at.selectbox(key="month").options)


def test_one_namespace_or_model_leaves_out_the_rest_and_what_belongs_to_all(open_page, services):
    count(services, now_hit(model="m1", saved_cost_usd=1.0), now_hit(model="m2", saved_cost_usd=2.0))
    services.metrics.count("judge_cost_nano_usd", 10**9)
    services.metrics.flush()
    at = open_page("savings", model="m2")
    assert (tile(at, "Saved, net"), tile(at, "Own cost")) == ("$2.00", "–")
    at = open_page("savings")
    assert (tile(at, "Saved, net"), tile(at, "Own cost")) == ("$2.00", "$1.00")


def test_what_has_no_price_is_counted_and_named(open_page, services):
    count(services, now_hit(saved_cost_usd=None), a_miss(at=time.time(), provider_ms=1.0))
    services.metrics.count("embedding_unpriced_calls", 12)
    services.metrics.flush()
    at = open_page("savings")
    assert (tile(at, "Saved, net"), tile(at, "Spent")) == ("unknown", "unknown")
    assert "1 hit, 1 call of the provider, 12 calls to judge or embed" in everything_said(at)
    assert list(table(at)["Saved"]) == ["unknown", "**unknown**"]


def test_what_was_saved_before_months_were_counted_is_told(open_page, services):
    count(services, now_hit(saved_cost_usd=5.0))
    services.redis.delete(*services.redis.keys("*month:*"))
    count(services, now_hit(saved_cost_usd=2.0))
    at = open_page("savings")
    assert (tile(at, "Saved, net"), tile(at, "Since the beginning")) == ("$2.00", "$7.00")
    assert "$5.00 was saved before the first of them" in everything_said(at).replace("\\", "")


@pytest.mark.parametrize("by", ["Namespace", "Model", "TTL class"])
def test_hostile_names_are_shown_as_they_are(open_page, services, by):
    for name in HOSTILE:
        count(services, now_hit(namespace=name, model=name, ttl_class=name, saved_cost_usd=1.0))
    at = open_page("savings", by=by)
    assert not at.exception
    cells = list(table(at)[by])[:-1]
    assert all(cell.startswith("`") and cell.endswith("`") and len(cell) <= 204 for cell in cells)
    found = services.metrics.savings(("namespace",))
    assert not [row for row in csv.reader(io.StringIO(savings_csv(found, found.months))) if row[2].startswith("=")]
    assert "<b>" not in by_month(found.months, "namespace", {}, {}).to_json()


def test_a_namespace_is_called_by_its_label_and_the_file_has_its_id_too(services):
    count(services, now_hit(namespace="key-1", saved_cost_usd=1.0))
    found = services.metrics.savings(("namespace",))
    naming = Naming({"key-1": NamespaceLabel(label="Support *desk*")}, ["key-1"])
    assert lines(found.months[-1], ("namespace",), naming)["Namespace"][0] == r"Support \*desk\*"
    bar = by_month(found.months, "namespace", {"key-1": "Support"}, {"Support": "#CC79A7"}).data[0]
    assert (bar.name, bar.marker.color) == ("Support", "#CC79A7")
    [row] = csv.DictReader(io.StringIO(savings_csv(found, found.months, naming.shown)))
    assert (row["namespace"], row["namespace_label"]) == ("key-1", "Support *desk*")


def test_names_of_models_that_begin_alike_are_told_apart_in_the_legend(services):
    models = ("a-model-with-a-long-name-2026-08-06", "a-model-with-a-long-name-2026-05-13")
    count(services, *(now_hit(model=model, saved_cost_usd=1.0) for model in models))
    names = [trace.name for trace in by_month(services.metrics.savings(("model",)).months, "model", {}, {}).data]
    assert len(set(names)) == 3


def test_many_lines_are_one_line_on_the_sheet_and_one_colour_in_the_chart(services):
    count(services, *(now_hit(model=f"m{number}", saved_cost_usd=1.0) for number in range(MOST_LINES + 15)))
    [month] = services.metrics.savings(("model",)).months
    shown = lines(month, ("model",), Naming())
    assert len(shown) == MOST_LINES + 2
    assert list(shown.iloc[-2]) == ["*15 more*", "15", "15", "\\$15.00", "27.3 %", "\\$0"]
    assert list(shown.iloc[-1])[3] == "**\\$55.00**"
    names = [trace.name for trace in by_month([month], "model", {}, {}).data]
    assert len(names) == MOST_NAMES + 2
    assert names[-2:] == [f"{MOST_LINES + 15 - MOST_NAMES} more", "spent"]


def test_names_beyond_those_told_apart_are_named(open_page, services):
    count(services, *(now_hit(model=f"m{number}", saved_cost_usd=1.0) for number in range(120)))
    at = open_page("savings", by="Model")
    assert "stands for names that are counted together" in everything_said(at)
    assert table(at)["Model"][0] == "`other`"


def test_the_last_values_stay_when_redis_goes_away(open_page, use, redis_server, provider, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        count(built, now_hit(saved_cost_usd=2.0))
        at = open_page("savings")
        assert tile(at, "Saved, net") == "$2.00"
        server.kill()
        context.readings().renew()
        at.run()
        assert tile(at, "Saved, net") == ":gray[$2.00]"
        assert "The last values read." in everything_said(at)
