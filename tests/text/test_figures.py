"""Figures in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cli import formats
from core.text import figures as wording
from pages.components.display import figures as of_pages


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (None, "unknown"),
        (0, "$0"),
        (0.5, "$0.50"),
        (1234.5, "$1,234"),
        (0.00123, "$0.0012"),
        (12_345.6, "$12,346"),
        (12.345, "$12.35"),
        (0.29, "$0.29"),
        (0.0661, "$0.066"),
        (0.0004, "$0.0004"),
        (0.0999, "$0.10"),
        (1e-12, "$0"),
        (0.00061, "$0.00061"),
        (0.0000012, "$0.0000012"),
        (-0.00014, "-$0.00014"),
        (-12.5, "-$12.50"),
    ],
)
def test_money(usd, words):
    assert wording.money(usd) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0.25, "0.25 ms"),
        (4.93, "4.9 ms"),
        (712.4, "712 ms"),
        (1240, "1.24 s"),
        (12_800, "12.8 s"),
        (65_000, "1 min 5 s"),
    ],
)
def test_milliseconds(ms, words):
    assert wording.milliseconds(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (1.92, "1.9 s"),
        (5, "5 s"),
        (45, "45 s"),
        (90, "1 min 30 s"),
        (42.3, "42 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_duration(seconds, words):
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (61, "1 min 1 s"),
        (5400, "1 h 30 min"),
        (7 * 86_400, "7 d"),
        (86_405, "1 d 5 s"),
        (93_780, "1 d 2 h 3 min"),
    ],
)
def test_a_duration_that_is_a_rule_is_written_to_the_last_second(seconds, words):
    assert wording.exact_duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0:00"), (0.2, "0:01"), (59, "0:59"), (271, "4:31"), (3720, "1:02:00")]
)
def test_countdown(seconds, words):
    assert wording.countdown(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (812, "812 B"),
        (999, "999 B"),
        (1400, "1.4 kB"),
        (12_000_000, "12 MB"),
        (3.2e12, "3.2 TB"),
    ],
)
def test_size(amount, words):
    assert wording.size(amount) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.632, "63.2 %"), (0.0001, "< 0.1 %"), (0.99999, "99.9 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part, words):
    assert wording.share(part) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(None, "–"), (1204, "1,204"), (12_000, "12.0 K"), (3_400_000, "3.4 M"), (5e9, "5.0 G")]
)
def test_number(amount, words):
    assert wording.number(amount) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [(0.0, "±0.0 points"), (-0.0004, "±0.0 points"), (0.031, "+3.1 points"), (-0.2, "-20.0 points")],
)
def test_points(change, words):
    assert wording.points(change) == words


def test_many():
    assert wording.many(1, "entry", "entries") == "1 entry"
    assert wording.many(1204, "entry", "entries") == "1,204 entries"
    assert wording.many(0, "job") == "0 jobs"


def test_a_dollar_sign_in_a_sentence_is_no_formula():
    assert of_pages.sentence("$1 and $2") == "\\$1 and \\$2"


@given(st.floats(0, 1e12))
def test_every_amount_has_short_words(amount):
    for words in (
        wording.money(amount),
        wording.milliseconds(amount),
        wording.duration(amount),
        wording.size(amount),
        wording.number(amount),
        wording.countdown(min(amount, 1e9)),
    ):
        assert 2 <= len(words) + 1 <= 24
        assert "e+" not in words


def test_there_is_one_way_to_write_a_figure():
    """The console hands on the figures of core; the command line has none of its own."""
    for name in ("money", "milliseconds", "duration", "countdown", "size", "share", "number", "many", "points"):
        assert getattr(of_pages, name) is getattr(wording, name)
        assert not hasattr(formats, name)
