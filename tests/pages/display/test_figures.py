"""Figures in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.components.display import figures


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (None, "unknown"),
        (0, "$0"),
        (12_345.6, "$12,346"),
        (12.345, "$12.35"),
        (0.29, "$0.29"),
        (0.0661, "$0.066"),
        (0.00061, "$0.00061"),
        (0.0000012, "$0.0000012"),
        (-0.00014, "-$0.00014"),
        (-12.5, "-$12.50"),
    ],
)
def test_money(usd, words):
    assert figures.money(usd) == words


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
    assert figures.milliseconds(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (1.92, "1.9 s"),
        (42.3, "42 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_duration(seconds, words):
    assert figures.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0:00"), (0.2, "0:01"), (59, "0:59"), (271, "4:31"), (3720, "1:02:00")]
)
def test_countdown(seconds, words):
    assert figures.countdown(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(None, "–"), (812, "812 B"), (1400, "1.4 KB"), (12_000_000, "12 MB"), (3.2e12, "3.2 TB")]
)
def test_size(amount, words):
    assert figures.size(amount) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.632, "63.2 %"), (0.0001, "< 0.1 %"), (0.99999, "99.9 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part, words):
    assert figures.share(part) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(None, "–"), (1204, "1,204"), (12_000, "12.0 K"), (3_400_000, "3.4 M"), (5e9, "5.0 G")]
)
def test_number(amount, words):
    assert figures.number(amount) == words


def test_many():
    assert figures.many(1, "entry", "entries") == "1 entry"
    assert figures.many(1204, "entry", "entries") == "1,204 entries"
    assert figures.many(0, "job") == "0 jobs"


def test_a_dollar_sign_in_a_sentence_is_no_formula():
    assert figures.sentence("$1 and $2") == "\\$1 and \\$2"


@given(st.floats(0, 1e12))
def test_every_amount_has_short_words(amount):
    for words in (
        figures.money(amount),
        figures.milliseconds(amount),
        figures.duration(amount),
        figures.size(amount),
        figures.number(amount),
        figures.countdown(min(amount, 1e9)),
    ):
        assert 2 <= len(words) + 1 <= 24
        assert "e+" not in words
