"""Drawings: drawn once for the same values, anew for others."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.components.charts import Mark, faded
from pages.components.drawings import MAX_DRAWINGS, Drawings


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
