"""Drag to zoom: what the browser says of a drag chooses the range; what is none changes nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st

from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard import zoom
from pages.components.data.view import window_of

NOW = datetime.fromtimestamp(int(time.time()) - 7200, UTC)


@pytest.fixture
def said(monkeypatch):
    """Has the browser say something; returns the range that was chosen, None for none."""

    def say(chosen):
        parameters: dict[str, str] = {}
        monkeypatch.setattr(st, "session_state", {zoom.KEY: {zoom.CHOSEN: chosen}})
        monkeypatch.setattr(st, "query_params", parameters)
        monkeypatch.setattr(zoom, "zone", lambda: UTC)
        zoom._choose()
        return parameters.get("range")

    return say


def test_a_drag_chooses_its_time_whichever_way_it_went(said):
    ends = [f"{NOW:%Y-%m-%d %H:%M:%S}.4219", f"{NOW + timedelta(minutes=30):%Y-%m-%d %H:%M}"]
    name = said(ends)
    first, last = map(int, name.split("~"))
    assert first == int(NOW.timestamp())
    assert abs(last - first - 1800) < 60
    assert said(ends[::-1]) == name


def test_a_short_drag_is_a_minute(said):
    name = said([f"{NOW:%Y-%m-%d %H:%M:%S}"] * 2)
    first, last = map(int, name.split("~"))
    assert last - first == 60
    assert window_of(name) is not None


@pytest.mark.parametrize(
    "chosen",
    [None, [], ["x", "y"], ["2026-01-01"], [1, 2], "ab", ["0001-01-01", "0001-01-02"], {"a": 1}, ["9999-12-31"] * 2],
)
def test_what_is_no_drag_changes_nothing(said, chosen):
    assert said(chosen) is None or window_of(said(chosen)) is not None


def test_a_drag_over_a_chart_over_time_zooms_and_its_bars_still_take_clicks():
    figure = dashboard_charts.outcomes_over_time([], [])
    assert figure.layout.dragmode == "zoom"  # with "select" Streamlit passes no clicks on
