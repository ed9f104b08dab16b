"""Drawings: drawn once for the same values, anew for others."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import plotly.graph_objects as go
import pytest

from pages.components.display.chart_cache import MAX_DRAWINGS, Drawings
from pages.components.display.charts import Mark, faded


def drawing(drawn: list[object]):
    def draw(*values: object) -> go.Figure:
        drawn.append(values)
        return go.Figure(go.Bar(y=[len(drawn)]))

    return draw


def test_a_chart_is_drawn_once_for_the_same_values():
    drawn: list[object] = []
    draw, kept = drawing(drawn), Drawings()
    first = kept.get(draw, [1, 2], [Mark(at=1.0, words="a")], {"a": 1.5}, None)
    assert kept.get(draw, [1, 2], [Mark(at=1.0, words="a")], {"a": 1.5}, None) is first
    assert len(drawn) == 1
    kept.get(draw, [1, 2], [Mark(at=1.0, words="b")], {"a": 1.5}, None)
    assert len(drawn) == 2


def test_threads_that_want_the_same_chart_wait_for_one_of_them():
    begun, go_on, drawn, found = threading.Event(), threading.Event(), [], []

    def slow() -> go.Figure:
        drawn.append(1)
        begun.set()
        assert go_on.wait(120)
        return go.Figure()

    kept = Drawings()
    threads = [threading.Thread(target=lambda: found.append(kept.get(slow))) for _ in range(4)]
    threads[0].start()
    assert begun.wait(120)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(120)
    assert len(drawn) == 1
    assert found == [found[0]] * 4


def test_a_chart_that_could_not_be_drawn_is_tried_again():
    kept, problems = Drawings(), [ZeroDivisionError]

    def draw() -> go.Figure:
        if problems:
            raise problems.pop()
        return go.Figure()

    with pytest.raises(ZeroDivisionError):
        kept.get(draw)
    assert kept.get(draw)


def test_a_chart_says_the_same_as_what_was_drawn():
    figure = go.Figure(go.Scatter(x=[datetime(2026, 1, 1, 12, tzinfo=UTC)], y=[1.5, None], name="a"))
    assert json.loads(Drawings().get(lambda: figure).to_json()) == json.loads(figure.to_json())


def test_what_is_stale_is_another_chart():
    kept = Drawings()
    fresh = kept.get(lambda: go.Figure(go.Bar(y=[1]))).to_dict()
    stale = kept.get(lambda: go.Figure(go.Bar(y=[1])), stale=True).to_dict()
    assert (fresh["data"][0].get("opacity"), stale["data"][0]["opacity"]) == (None, 0.35)


def test_the_oldest_are_forgotten():
    drawn: list[object] = []
    draw, kept = drawing(drawn), Drawings()
    for number in range(MAX_DRAWINGS + 1):
        kept.get(draw, number)
    kept.get(draw, MAX_DRAWINGS)
    assert len(drawn) == MAX_DRAWINGS + 1
    kept.get(draw, 0)
    assert len(drawn) == MAX_DRAWINGS + 2


def test_a_faded_chart_is_another_one():
    figure = go.Figure(go.Bar(y=[1]))
    assert faded(figure).data[0].opacity == 0.35
    assert figure.data[0].opacity is None
