"""Legends above charts: each series that is told, in its own sign and colour, and none for a single one."""

from __future__ import annotations

from core.metrics.summary import Bucket, summarize
from pages.components.dashboard import charts as dashboard_charts
from pages.components.display import legend
from pages.components.display.chart_cache import Drawing

COUNTS = {"n|hit|exact|normalized": 6, "n|miss||normalized": 2, "hit#30": 6, "miss#60": 2}


def steps(*counts: dict[str, int]) -> list[Bucket]:
    return [
        Bucket(starts_at=60 * n, seconds=60, summary=summarize(one, starts_at=60 * n, ends_at=60 * n + 60, events={}))
        for n, one in enumerate(counts)
    ]


def test_each_series_has_its_sign_its_colour_and_its_name():
    figure = dashboard_charts.outcomes_over_time(steps(COUNTS), [], steps(COUNTS))
    names = legend.names_in(Drawing(figure).to_dict())
    assert names == [("■", "#0072B2", "exact"), ("■", "#E69F00", "miss"), ("━", "#8A929C", "all before")]
    latency = dashboard_charts.latency_over_time(steps(COUNTS), [])
    assert [sign for sign, _, _ in legend.names_in(Drawing(latency).to_dict())] == ["┅", "╍", "╍", "━"]


def test_the_chart_keeps_its_room():
    figure = dashboard_charts.outcomes_over_time(steps(COUNTS), [])
    assert figure.layout.showlegend is False
    assert figure.layout.margin.t < 20


def test_a_single_series_has_none(monkeypatch):
    drawn = []
    monkeypatch.setattr(legend, "_legend", lambda **options: drawn.append(options["data"]))
    legend.draw(Drawing(dashboard_charts.hit_rate_by_name({})).to_dict(), "one")
    one = dashboard_charts.outcomes_over_time(steps({"n|miss||normalized": 2}), [])
    legend.draw(Drawing(one).to_dict(), "two")
    assert drawn == []
    legend.draw(Drawing(dashboard_charts.hit_rate_over_time(steps(COUNTS), [])).to_dict(), "three")
    assert [[name for _, _, name in names] for names in drawn] == [["all hits", "exact hits alone"]]
