"""Text from outside shows as what it is, and nothing in it is interpreted."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.components.display.text import literal, one_line, plain, visible

texts = st.text(st.characters(categories=None, exclude_categories=()), max_size=200)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("What is 1 < 2?", "What is 1 < 2?"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("DOS\r\nlines", "DOS\nlines"),
        ("a\x00b\x1b[31m", "a␀b␛[31m"),
        ("abc\u202egpj.exe", "abc⟨U+202E⟩gpj.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("lone \ud800 surrogate", "lone ⟨U+D800⟩ surrogate"),
        ("你好", "你好"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text, shown):
    assert visible(text) == shown


@given(texts)
def test_what_is_visible_can_be_sent_to_a_browser_and_hides_nothing(text):
    shown = visible(text)
    shown.encode()
    for character in shown:
        assert character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


@given(texts, st.integers(1, 50))
def test_one_line_is_one_line_of_limited_length(text, limit):
    line = one_line(text, limit)
    assert "\n" not in line
    assert "\t" not in line
    assert len(line) <= limit


def test_a_cut_line_says_so():
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("first\nsecond", 40) == "first ⏎ second"


@given(texts)
def test_a_literal_is_one_code_span(text):
    span = literal(text)
    fence = re.match(r"`+", span)[0]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert inside
    assert "\n" not in span
    # No run of backticks inside is as long as the fence: only the fence closes the span.
    assert all(len(run) < len(fence) for run in re.findall(r"`+", inside))


@pytest.mark.parametrize(
    "text", ["a`b", "``", "`", "ends with `", "[link](http://example.org)", "<b>", ":red[x]", "$x$"]
)
def test_a_literal_keeps_every_character(text):
    assert text in literal(text)


def test_our_own_words_are_shown_as_they_are():
    assert plain("Costs $5: *all* of <it>.") == "Costs \\$5\\: \\*all\\* of \\<it\\>\\."
    assert plain("Asked http://a.test/x, in *vain*.") == "Asked `http://a.test/x`\\, in \\*vain\\*\\."
