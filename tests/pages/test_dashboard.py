"""Dashboard: empty, full, filtered, and the replay that fills it."""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from csv import DictReader
from datetime import datetime
from io import StringIO
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import plotly.graph_objects as go
import pytest

from core.bootstrap import bootstrap
from core.metrics.gauges import GaugeBucket, Sample
from core.metrics.histogram import BOUNDS_MS, Histogram
from core.metrics.summary import Bucket, Kinds, Summary, summarize
from core.models import CacheStrategy, ChatRequest, HitDetail, Outcome, OutcomeKind
from core.settings import Settings
from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard import series_table, tiles
from pages.components.dashboard.marks import MOST_STEPS, marked
from pages.components.dashboard.waiting import slowest
from pages.components.data import context, series
from pages.components.data.view import RANGES, View
from pages.components.display import charts, outcomes
from pages.components.display.charts import Mark
from pages.components.display.figures import money
from tests.pages.conftest import everything_said, from_top_to_bottom, select_rows
from workers.queue import JobState


def an_outcome(*, seconds_ago: float, key: str = "") -> Outcome:
    return Outcome(
        key=key,
        kind=OutcomeKind.MISS,
        namespace="default",
        model="gpt-4o",
        strategy=CacheStrategy.NORMALIZED,
        reason="absent",
        at=time.time() - seconds_ago,
    )


def tile(at, label):
    return next(metric.value for metric in at.metric if metric.label == label)


def links(at) -> dict[str, dict[str, str]]:
    """What the links to the page of requests ask it to show, by their words."""
    protos = [link.proto for link in at.main.get("page_link")]  # the sidebar has those of the menu
    found = {re.sub(r":\w+\[|\]", "", proto.label): dict(parse_qsl(proto.query_string)) for proto in protos}
    assert {proto.page for proto in protos} == {"requests"}
    return found


@pytest.fixture
def traffic(ask):
    for prompt in ("What is a cat?", "What is a cat?", "what is a  cat", "What is a dog?"):
        ask(prompt)
    ask("What is a cat?", model="gpt-4o-mini")
    ask("What is a cat?", no_store=True)


def test_without_requests_it_says_what_to_do(open_page, services):
    at = open_page("dashboard")
    said = everything_said(at)
    assert "No requests yet" in said
    assert at.button(key="replay").disabled
    assert "python -m workers" in said


def test_the_replay_is_offered_when_a_worker_is_alive(open_page, queue, a_worker):
    at = open_page("dashboard")
    assert not at.button(key="replay").disabled
    at.button(key="replay").click().run()
    [job] = queue.jobs()
    assert (job.kind, job.state, job.namespace) == ("replay", JobState.QUEUED, "default")
    assert "The replay is queued" in at.success[0].value
    assert "The replay begins." in [progress.text for progress in at.get("progress")] or at.button(key="stop-replay")
    at.button(key="stop-replay").click().run()
    assert queue.jobs()[0].state is JobState.CANCELLED


def test_the_tiles_tell_the_summary(open_page, services, traffic):
    at = open_page("dashboard")
    summary = services.metrics.summary(900)
    assert (summary.hits, summary.misses, summary.bypasses) == (2, 3, 1)
    assert tile(at, "Hit rate") == "40.0 %"
    assert tile(at, "Requests") == "6"
    assert tile(at, "Entries") == "3"
    said = everything_said(at)
    assert "exact 20.0 % · normalized 20.0 %" in said
    assert "2 hits · 3 misses · 1 bypass" in said
    assert "Last 15 minutes, updated" in said


def test_a_link_chooses_range_and_model(open_page, services, traffic):
    at = open_page("dashboard", range="6h", model="gpt-4o-mini")
    assert tile(at, "Requests") == "1"
    assert "Last 6 hours" in everything_said(at)


def test_a_link_with_a_range_that_does_not_exist_is_taken_for_none(open_page, services, traffic):
    at = open_page("dashboard", range="forever", model="no such model", outcome="x")
    assert not at.exception
    assert tile(at, "Requests") == "6"


def test_a_window_without_requests_says_when_the_latest_was(open_page, services):
    services.metrics.record(an_outcome(seconds_ago=1800))
    at = open_page("dashboard", range="15m")
    said = everything_said(at)
    assert "No requests in the last 15 minutes" in said
    assert "The latest one was 30 min" in said
    assert tile(open_page("dashboard", range="1h"), "Requests") == "1"


def test_charts_begin_with_the_first_request(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("dashboard", range="30d")
    assert len(at.get("plotly_chart")) == 5
    services.metrics.record(an_outcome(seconds_ago=120))
    services.invalidation.invalidate_by_model("gpt-4o", actor="console")
    context.readings().renew()
    at.segmented_control(key="range").set_value("15m").run()
    assert len(at.get("plotly_chart")) == 5
    assert not at.exception
    services.gauges.write(services.health.sample(time.time() - 60))
    context.readings().renew()
    at.run()
    assert len(at.get("plotly_chart")) == 6, "what is stored is drawn where workers sample it"


def test_links_lead_to_the_requests_behind_the_tiles(open_page, services, traffic):
    at = open_page("dashboard", range="6h", model="gpt-4o")
    assert list(links(at)) == ["All requests", "Hits", "Misses", "Slowest hits", "Slowest misses"]
    at = open_page("requests", **links(at)["Hits"])
    assert not at.exception
    assert list(at.dataframe[0].value["outcome"]) == ["hit, normalized", "hit, exact"]
    assert at.segmented_control(key="range").value == "6h"
    at = open_page("requests", **links(open_page("dashboard"))["Slowest misses"])
    assert set(at.dataframe[0].value["outcome"]) == {"miss"}
    assert "Waited at least" in " ".join(button.label for button in at.button)


def test_values_that_cannot_be_read_again_are_grey(open_page, use, redis_server, provider, monkeypatch, ask_with):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        ask_with(built, "What is a cat?")
        built.metrics.record(an_outcome(seconds_ago=120))
        at = open_page("dashboard")
        assert tile(at, "Requests") == "2"
        server.kill()
        context.readings().renew()
        at.run()
        assert tile(at, "Requests") == ":gray[2]"
        assert "the last values read" in everything_said(at)
        assert len(at.get("plotly_chart")) == 5
        assert not at.exception


def test_prompts_are_not_shown_where_they_may_not_be(open_page, use, services, traffic, provider, monkeypatch):
    services.metrics.flush()
    monkeypatch.setenv("ENCORE_RECORD_PROMPTS", "false")
    with bootstrap(Settings(), provider=provider) as discreet:
        use(discreet)
        for page in ("dashboard", "requests"):
            at = open_page(page)
            assert set(at.dataframe[0].value["prompt"]) == {"–"}
        at = open_page("dashboard")
        assert "Prompts are not shown" in everything_said(at)


def test_someone_who_may_only_look_is_not_offered_a_replay(open_page, services, a_worker, viewer):
    assert open_page("dashboard").button(key="replay").disabled


def test_the_series_can_be_had_for_a_spreadsheet(services, ask):
    services.metrics.record(an_outcome(seconds_ago=90))
    services.gauges.write(services.health.sample(time.time() - 90))
    buckets_of_window = services.metrics.series(300, 60)
    sampled = services.gauges.series(300, 60, ends_at=time.time())
    rows = list(DictReader(StringIO(series_table.csv(buckets_of_window, sampled, None).decode())))
    assert [int(row["requests"]) for row in rows].count(1) == 1
    assert [row["entries"] for row in rows].count("0") == 1
    assert {row["seconds"] for row in rows} == {"60"}
    assert datetime.fromisoformat(rows[0]["starts_at"]).tzinfo is not None


@pytest.mark.parametrize("range_name", RANGES)
def test_tiles_chart_and_file_add_up_to_the_same(open_page, services, traffic, range_name):
    window = RANGES[range_name]
    for share in (0.1, 0.4, 0.9):
        services.metrics.record(an_outcome(seconds_ago=window.seconds * share))
    at = open_page("dashboard", range=range_name)
    shown = tile(at, "Requests")
    assert shown == "9"
    bars = [trace for trace in json.loads(at.get("plotly_chart")[0].proto.spec)["data"] if trace["type"] == "bar"]
    assert sum(sum(values(trace["y"])) for trace in bars) == 9
    assert {opacity for trace in bars for opacity in values(trace["marker"]["opacity"])[-1:]} == {0.5}, "so far"
    steps, _ = series.series(View(range=range_name, namespace=None, model=None), compare=True)
    rows = list(DictReader(StringIO(series_table.csv(steps, (), None).decode())))
    assert sum(int(row["requests"]) for row in rows) == 9
    assert rows[-1]["complete"] == "false"
    assert {row["complete"] for row in rows[:-2]} == {"true"}


def values(plain: Any) -> list[float]:
    """The numbers of an array in a chart, which Plotly packs."""
    if isinstance(plain, dict):
        return np.frombuffer(b64decode(plain["bdata"]), dtype=plain["dtype"]).tolist()
    return plain


def test_the_window_before_is_drawn_and_can_be_left_out(open_page, services, ask):
    for seconds in (120, 1000):
        services.metrics.record(an_outcome(seconds_ago=seconds))
    at = open_page("dashboard")
    assert '"all before"' in at.get("plotly_chart")[0].proto.spec
    assert next(metric.delta for metric in at.metric if metric.label == "Requests") in ("0", "0 %", 0)
    at.toggle(key="compare").set_value(False).run()
    assert '"all before"' not in at.get("plotly_chart")[0].proto.spec


# What charts and tiles are made of


def a_summary(**counts: int) -> Summary:
    return summarize(counts, starts_at=0, ends_at=60, events={})


def buckets(*summaries: Summary) -> list[Bucket]:
    return [Bucket(starts_at=1_800_000_000 + 60 * n, seconds=60, summary=s) for n, s in enumerate(summaries)]


SOME = {
    "n|hit|exact|normalized": 6,
    "n|hit|normalized|normalized": 2,
    "n|miss||normalized": 2,
    "hit#30": 8,
    "miss#60": 2,
}


def test_equal_buckets_make_an_equal_figure():
    marks = [Mark(at=1_800_000_030, words="model gpt-4o")]
    for draw in (
        dashboard_charts.outcomes_over_time,
        dashboard_charts.hit_rate_over_time,
        dashboard_charts.latency_over_time,
        dashboard_charts.savings_over_time,
    ):
        first, second = draw(buckets(a_summary(**SOME)), marks), draw(buckets(a_summary(**SOME)), marks)
        assert first.to_json() == second.to_json()
        assert draw(buckets(a_summary(**SOME), a_summary()), marks).to_json() != first.to_json()


def test_outcomes_have_their_own_colours_and_only_those_that_happened_are_drawn():
    figure = dashboard_charts.outcomes_over_time(buckets(a_summary(**SOME)), [])
    assert [(bar.name, list(bar.y)) for bar in figure.data] == [("exact", [6]), ("normalized", [2]), ("miss", [2])]
    assert figure.data[0].marker.color == outcomes.HIT_EXACT.hexadecimal


def test_marks_stand_inside_the_window_only():
    marks = [Mark(at=1_800_000_030, words="<b>inside</b>"), Mark(at=1_700_000_000, words="before")]
    figure = dashboard_charts.hit_rate_over_time(buckets(a_summary(**SOME)), marks)
    [mark] = figure.layout.annotations
    assert mark.hovertext == "&lt;b&gt;inside&lt;/b&gt;"


def counted(*numbers: int) -> list[Bucket]:
    """A minute each, in which so many invalidations were counted."""
    return buckets(*(summarize({}, starts_at=0, ends_at=60, events={"invalidations_tag": n}) for n in numbers))


def a_mark(minute: int, words: str = "held: model m") -> Mark:
    return Mark(at=1_800_000_000 + 60 * minute + 5, words=words)


def test_a_few_invalidations_are_marked_each_by_itself():
    by_anna, by_wiki = a_mark(1), a_mark(3, "held: tag doc:1")
    found = marked([by_anna, a_mark(-9), a_mark(99)], [by_wiki], counted(0, 1, 0, 1))
    assert (found.marks, found.without) == ([by_anna, by_wiki], 0)


def test_what_is_invalidated_in_one_step_is_one_mark():
    by_anna = [a_mark(1, "held: model b"), a_mark(1, "held: model a")]
    by_wiki = [a_mark(3, f"held: tag doc:{number}") for number in range(9)]
    found = marked(by_anna, by_wiki, counted(0, 2, 0, 6000))
    assert [mark.words for mark in found.marks] == [
        "2 invalidations, the latest held: model b",
        "6,000 invalidations by programs",
    ]
    assert marked(by_anna, by_wiki[3:], counted(0, 2, 0, 6000)) == found, (
        "a chart is not drawn anew for the same minutes"
    )


def test_an_invalidation_that_is_counted_a_moment_later_is_not_told_twice():
    assert marked([a_mark(1)], [], counted(0, 0, 1)).marks == [a_mark(1)]


def test_programs_that_invalidate_all_the_time_have_no_marks_and_people_have_theirs():
    by_wiki = [a_mark(19, f"held: tag doc:{number}") for number in range(99)]
    found = marked([a_mark(2)], by_wiki, counted(*[0, 0, 601, *[600] * 17]))
    assert (found.marks, found.without) == ([a_mark(2)], 18 * 600)
    assert len(marked([], [], counted(*[0] * 8, *[600] * MOST_STEPS)).marks) == MOST_STEPS


def test_a_gap_in_traffic_is_a_gap_in_the_line():
    figure = dashboard_charts.hit_rate_over_time(buckets(a_summary(**SOME), a_summary(), a_summary(**SOME)), [])
    assert list(figure.data[0].y) == [0.8, None, 0.8]


def test_an_empty_series_makes_an_empty_figure():
    assert dashboard_charts.savings_over_time([], []).layout.height == charts.PLAIN_HEIGHT


def test_a_change_is_told_only_where_there_is_something_to_compare_with():
    assert tiles.relative(5, None) is None
    assert tiles.relative(5, 0) is None
    assert tiles.relative(5, 5) == 0
    assert tiles.relative(6, 5) == "+20 %"
    assert tiles.relative(4, 5) == "-20 %"
    assert tiles.relative(500, 5) is None
    assert tiles.points(0.5, 0.25) == "+25.0 points"
    assert tiles.points(0.5, None) is None


def test_tiles_compare_with_the_window_before():
    now, before = a_summary(**SOME), a_summary(**(SOME | {"n|miss||normalized": 8}))
    by_label = {tile.label: tile for tile in tiles.of_requests(now, before, buckets(before, now))}
    assert by_label["Hit rate"].change == "+30.0 points"
    assert by_label["Hit rate"].trend == (0.5, 0.8)
    assert by_label["Requests"].change == "-38 %"
    assert by_label["Errors"].below == "every request was answered"


def test_a_window_of_nothing_has_tiles_without_figures():
    by_label = {tile.label: tile for tile in tiles.of_requests(a_summary(), None, ())}
    assert by_label["Hit rate"].value == "–"
    assert by_label["A hit takes"].value == "–"


@pytest.mark.parametrize(
    ("tab", "column", "found"),
    [
        ("Missed most", "prompt", {"What is a cat?", "What is a dog?"}),
        ("Hit most", "count", {2}),
        ("By model", "name", {"gpt-4o", "gpt-4o-mini"}),
        ("By namespace", "name", {"default"}),
        ("TTL classes", "name", {"general knowledge"}),
        ("Reasons", "reason", {"absent"}),
    ],
)
def test_behind_the_figures_are_tables(open_page, services, traffic, tab, column, found):
    at = open_page("dashboard")
    at.query_params["tab"] = tab
    at.run()
    assert not at.exception
    assert found <= set(at.dataframe[0].value[column])


@pytest.mark.parametrize(("tab", "count"), [("By namespace", 1), ("Waiting", 3), ("TTL classes", 1)])
def test_behind_the_figures_are_charts(open_page, services, traffic, tab, count):
    at = open_page("dashboard")
    others = len(at.get("plotly_chart"))
    at.query_params["tab"] = tab
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == others + count


def test_names_from_outside_are_shown_literally_in_charts():
    hostile = '<a href="https://x.example">a</a>'
    figure = dashboard_charts.hit_rate_by_name({hostile: a_summary(**SOME), "never looked up": a_summary()})
    assert list(figure.data[0].y) == ["&lt;a href=&quot;https://x.exam…"]
    mix = dashboard_charts.ttl_class_mix({hostile: Kinds(hits=1)})
    assert list(mix.data[0].y) == ["&lt;a href=&quot;https://x.exam…"]


def test_what_is_stored_is_drawn_with_its_evictions():
    sample = Sample(at=0, entries=7, used_bytes=2_000_000, namespaces={"shop": 5})
    sampled = [
        GaugeBucket(starts_at=0, seconds=60, last=sample, evicted=3),
        GaugeBucket(starts_at=60, seconds=60, last=None),
    ]
    figure = dashboard_charts.stored_over_time(sampled, [], "shop")
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn == {"entries": [5, None], "evicted": [3, 0], "memory": [2_000_000, None]}


@pytest.mark.parametrize(
    ("entries", "ticks"), [(0, "0 1 2 3 4"), (3, "0 1 2 3 4"), (7, "0 2 4 6 8"), (12_000, "0 5,000 10.0 K 15.0 K")]
)
def test_entries_are_counted_in_the_words_of_the_tiles(entries, ticks):
    sample = Sample(at=0, entries=entries, used_bytes=None, namespaces={})
    figure = dashboard_charts.stored_over_time([GaugeBucket(starts_at=0, seconds=60, last=sample, evicted=0)], [])
    assert " ".join(figure.layout.yaxis.ticktext) == ticks


@pytest.mark.parametrize(
    ("used", "limit", "said"),
    [
        (1_911_960, 1, "more than its limit of 1 B"),
        (500, 1000, "50 % of 1.0 kB"),
        (500, None, "no limit set"),
    ],
)
def test_the_memory_tile_says_how_full_redis_is(services, used, limit, said):
    store = msgspec.structs.replace(services.store.info(), used_bytes=used, max_bytes=limit)
    [_, memory] = tiles.of_store(1, store, (), None)
    assert memory.below.startswith(said)


def test_money_on_the_axis_is_in_the_words_of_the_tiles():
    figure = go.Figure()
    charts.scale(figure, [0.0, 0.0011, None], money)
    assert figure.layout.yaxis.ticktext == ("$0", "$0.0005", "$0.001", "$0.0015")
    charts.scale(figure, [-3.0, 7.0], money)
    assert figure.layout.yaxis.tickvals == (-5, 0, 5, 10)


def test_a_single_bar_by_name_does_not_fill_its_chart():
    thickness = [
        dashboard_charts.hit_rate_by_name(dict.fromkeys("abcdefgh"[:count], a_summary(**SOME))) for count in (1, 2, 8)
    ]
    assert [figure.data[0].width for figure in thickness] == [0.32, 0.48, 0.65]


def test_the_distribution_has_a_bar_for_each_bucket_that_is_not_empty():
    figure = dashboard_charts.latency_distribution(Histogram(counts={30: 8, 31: 2}), Histogram(counts={60: 3}))
    assert [(bar.name, list(bar.y)) for bar in figure.data] == [("hits", [8, 2]), ("misses", [3])]


def test_the_map_of_waiting_has_a_field_for_each_latency_and_step():
    quick, slow = a_summary(**{"hit#30": 8, "miss#60": 2}), a_summary(**{"hit#30": 1, "hit#32": 3})
    figure = dashboard_charts.latency_map(buckets(quick, a_summary(), slow), OutcomeKind.HIT)
    [fields] = figure.data
    assert [list(row) for row in fields.z] == [[1.0, None, 0.25], [None, None, None], [None, None, 0.75]]
    assert fields.text[2][2] == "3 of 4 waited up to 16 ms"
    assert dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))["10 ms"] == 30.5
    misses = dashboard_charts.latency_map(buckets(quick, a_summary(), slow), OutcomeKind.MISS)
    assert list(misses.data[0].y) == [60]
    assert not dashboard_charts.latency_map(buckets(a_summary()), OutcomeKind.HIT).data


def test_a_latency_beyond_all_bounds_has_a_field_too():
    figure = dashboard_charts.latency_map(buckets(a_summary(**{f"miss#{len(BOUNDS_MS)}": 1})), OutcomeKind.MISS)
    assert figure.data[0].text[0][0] == "1 of 1 waited more than 16 min 40 s"


def test_the_slowest_come_first_and_who_never_waited_not_at_all():
    found = slowest(
        {
            "quick": a_summary(**{"miss#40": 9}),
            "bypassed": a_summary(**{"n|bypass||normalized": 5}),
            "hits alone": a_summary(**{"hit#70": 1}),
            "slow": a_summary(**{"miss#41": 1}),
        }
    )
    assert list(found) == ["slow", "quick", "hits alone"]


def test_a_slow_model_leads_to_its_misses(open_page, services, traffic):
    at = open_page("dashboard", range="6h")
    at.query_params["tab"] = "Waiting"
    at.run()
    models, namespaces = (list(table.value["name"]) for table in at.dataframe)
    assert (set(models), namespaces) == ({"gpt-4o", "gpt-4o-mini"}, ["default"])
    select_rows(at, "slowest-model", models.index("gpt-4o-mini"))
    assert not at.exception
    assert [title.value for title in at.title] == ["Requests"]
    shown = at.dataframe[0].value
    assert (set(shown["model"]), set(shown["outcome"])) == ({"gpt-4o-mini"}, {"miss"})


def lookups(services, hits=0, misses=0, *, seconds_ago, namespace="shop", reason="absent"):
    """Hits and misses of a moment ago, written at once."""
    at = time.time() - seconds_ago
    known = {"namespace": namespace, "model": "gpt-4o", "strategy": CacheStrategy.NORMALIZED, "at": at}
    for _ in range(hits):
        services.metrics.record(Outcome(kind=OutcomeKind.HIT, detail=HitDetail.EXACT, **known))
    for _ in range(misses):
        services.metrics.record(Outcome(kind=OutcomeKind.MISS, reason=reason, **known))


def plainly(at) -> str:
    """What is said, without the backslashes that keep marks from being read as Markdown."""
    return everything_said(at).replace("\\", "")


def links_of_parts(at) -> list[dict[str, str]]:
    """What the links of the card ask the page of requests to show."""
    protos = [link.proto for link in at.get("page_link")]
    return [dict(parse_qsl(proto.query_string)) for proto in protos if proto.label == ":small[:blue[Requests]]"]


def test_a_time_in_a_system_prompt_is_found_at_the_first_look(open_page, services, provider):
    for number in range(200):
        system = f"You answer for a bank. It is 10:{number // 60:02}:{number % 60:02} now. Be friendly."
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": f"What is a card {number % 10}?"},
        ]
        services.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
    at = open_page("dashboard")
    said = plainly(at)
    assert "`default`: **the system prompt changes with every request, e.g. by a time stamp, since " in said
    assert (
        "or before**. 190 of 200 misses repeat a question of another scope: they differ in the system prompt." in said
    )
    assert "100 scopes per 100 requests" in said
    assert "You answer for a bank. It is 10:03:18 now. Be friendly." in said
    assert "You answer for a bank. It is 10:03:19 now. Be friendly." in said
    assert "**What changed**" in said
    assert links_of_parts(at) == [{"namespace": "default", "outcome": "miss"}]
    row = open_page("dashboard", tab="By namespace").dataframe[0].value.iloc[0]
    assert (row["name"], row["per_hundred"]) == ("default", 100.0)


def test_the_words_of_system_prompts_are_shown_only_where_prompts_may_be(open_page, services, monkeypatch, use):
    monkeypatch.setenv("ENCORE_RECORD_PROMPTS", "false")
    with bootstrap(Settings(), provider=services.provider) as built:
        use(built)
        for number in range(30):
            messages = [
                {"role": "system", "content": f"It is {number}."},
                {"role": "user", "content": "What is a card?"},
            ]
            built.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
        said = plainly(open_page("dashboard"))
    assert "29 of 30 misses repeat a question of another scope: they differ in the system prompt" in said
    assert "It is 29." not in said
    assert "One system prompt" not in said


def test_the_card_says_what_changed_the_hit_rate_and_leads_to_its_requests(open_page, services):
    lookups(services, hits=90, misses=10, seconds_ago=1300)
    lookups(services, hits=40, misses=10, seconds_ago=300)
    lookups(services, misses=50, seconds_ago=300, reason="expired")
    at = open_page("dashboard")
    said = plainly(at)
    assert "**What changed** Hit rate 90.0 % → 40.0 %: :red[-50.0 points] against the 15 min before." in said
    assert ":red[-50.0 points] `shop` · `gpt-4o`: missed, past its TTL: 0 % → 50.0 % of its lookups" in said
    assert links_of_parts(at) == [{"namespace": "shop", "model": "gpt-4o", "outcome": "miss", "reason": "expired"}]
    assert "What changed" not in plainly(open_page("dashboard", compare="false"))
    assert "What changed" not in plainly(open_page("dashboard", namespace="other"))


@pytest.mark.parametrize("is_known", [True, False])
def test_a_known_cause_stands_above_the_figures(open_page, services, provider, is_known):
    lookups(services, hits=90, misses=10, seconds_ago=1300)
    lookups(services, hits=40, misses=60, seconds_ago=300)
    for number in range(60 if is_known else 0):
        messages = [{"role": "system", "content": f"It is {number}."}, {"role": "user", "content": "What is a card?"}]
        services.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
    # What is counted a moment ago is in neither of two windows that are compared.
    drawn = from_top_to_bottom(open_page("dashboard", compare="false" if is_known else "true").main)
    said = [one.value for one in drawn if one.type in ("markdown", "caption")]
    card, figures = (
        next(place for place, words in enumerate(said) if words.startswith(begin))
        for begin in ("**What changed**", "Last 15 minutes")
    )
    assert (card < figures) is is_known


def test_a_filter_is_said_loudly_and_ended_by_one_click(open_page, services):
    lookups(services, hits=9, misses=1, seconds_ago=300)
    assert "Filtered" not in plainly(open_page("dashboard"))
    at = open_page("dashboard", model="gpt-4o", namespace="shop")
    assert "**Filtered.** Only model **`gpt-4o`** in namespace **`shop`**." in plainly(at)
    at.button(key="show-all").click().run()
    assert "Filtered" not in plainly(at)
    assert {"model", "namespace"}.isdisjoint(at.query_params)
    assert "Only namespace **`shop`**." in plainly(open_page("requests", namespace="shop"))


def test_more_requests_of_one_that_seldom_hits_are_told_as_such(open_page, services):
    for ago, missed in ((1300, 100), (300, 900)):
        lookups(services, hits=90, misses=10, seconds_ago=ago)
        lookups(services, misses=missed, seconds_ago=ago, namespace="batch")
    at = open_page("dashboard")
    assert "`batch` · `gpt-4o`: asks more, 50.0 % → 90.0 % of all lookups, at a hit rate of 0 %" in plainly(at)
    assert {"namespace": "batch", "model": "gpt-4o"} in links_of_parts(at)


def test_tables_stand_beside_the_window_before_and_lead_to_requests(open_page, services):
    lookups(services, hits=90, misses=10, seconds_ago=1300)
    lookups(services, hits=1, misses=3, seconds_ago=1300, namespace="gone")
    lookups(services, hits=25, misses=75, seconds_ago=300, reason="expired")
    at = open_page("dashboard", tab="By namespace")
    by_name = at.dataframe[0].value.set_index("name")
    assert list(by_name.loc["shop", ["requests", "requests_before", "hit_rate", "hit_rate_before"]]) == [
        100,
        100,
        25.0,
        0.9,
    ]
    assert list(by_name.loc["gone", ["requests", "requests_before"]]) == [0, 4]
    assert by_name["changed"].sum() == pytest.approx((0.25 - 91 / 104) * 100)
    select_rows(at, "by-namespace", list(by_name.index).index("shop"))
    assert at.query_params["namespace"] == "shop"
    at = open_page("dashboard", tab="Reasons")
    reasons = at.dataframe[0].value.set_index("reason")
    assert list(reasons.loc["expired", ["count", "before"]]) == [75, 0]
    assert list(reasons.loc["absent", ["count", "before"]]) == [0, 13]
    alone = open_page("dashboard", tab="By model", compare="false").dataframe[0].value
    assert {"requests_before", "hit_rate_before", "changed"}.isdisjoint(alone.columns)
    select_rows(at := open_page("dashboard", tab="By model"), "by-model", 0)
    assert at.query_params["model"] == "gpt-4o"


@pytest.mark.parametrize("hostile", ["**bold** <b>x</b> [a](http://b)", "`" * 50 + "$x$" + "\u202e\x00", "n" * 10_000])
def test_hostile_names_in_the_card_are_shown_as_they_are(open_page, services, hostile):
    now = time.time()
    for at, kind, hit in ((now - 1300, OutcomeKind.HIT, HitDetail.EXACT), (now - 300, OutcomeKind.MISS, None)):
        services.metrics.record(
            Outcome(
                kind=kind,
                detail=hit,
                namespace=hostile,
                model=hostile,
                reason=hostile if hit is None else "",
                strategy=CacheStrategy.NORMALIZED,
                at=at,
            )
        )
    at = open_page("dashboard", tab="By namespace")
    assert not at.exception
    assert "Hit rate 100 % → 0 %" in plainly(at)
    shown = everything_said(at)
    assert "<b>x" not in shown.replace("`", "").split("missed")[-1] or "\\<b\\>" in shown
    assert len(shown) < 60_000
