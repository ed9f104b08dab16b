"""Tables: figures in the words of tiles and charts, and files with plain numbers."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pytest

from pages.components.display.tables import csv, in_figures


def shown(table: pd.DataFrame) -> list[str]:
    """The cells of the first row as a browser is told to show them."""
    row = in_figures(table)._translate(False, False)["body"][0]
    return [cell["display_value"] for cell in row if cell["type"] == "td"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cost_usd", 0.0004, "$0.0004"),
        ("share", 0.632, "63.2 %"),
        ("latency_ms", 1240.0, "1.24 s"),
        ("bytes", 1400, "1.4 kB"),
        ("waited_seconds", 125.0, "2 min 5 s"),
        ("hits", 1204, "1,204"),
        ("previewed", 12.0, "12"),
        ("cost_usd", None, "–"),
        ("prompt", None, "–"),
        ("prompt", "<b>$x$</b>", "<b>$x$</b>"),
    ],
)
def test_a_cell_has_the_words_of_tiles(name, value, words):
    assert shown(pd.DataFrame([{name: value}])) == [words]


def test_what_is_sorted_and_saved_is_the_number():
    table = pd.DataFrame([{"cost_usd": 0.0004, "hit_rate": None}, {"cost_usd": 12.5, "hit_rate": 0.5}])
    assert list(in_figures(table).data["cost_usd"]) == [0.0004, 12.5]
    assert in_figures(table).data["hit_rate"][1] == 50, "a bar from 0 to 100"
    assert csv(table) == b"cost_usd,hit_rate\r\n0.0004,\r\n12.5,0.5\r\n"


def test_a_time_in_a_file_has_its_zone():
    at = datetime.fromisoformat("2026-12-01T11:06:26")
    assert csv(pd.DataFrame([{"time": at, "hits": 3}])) == b"time,hits\r\n2026-12-01 11:06:26+00:00,3\r\n"
