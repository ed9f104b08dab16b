"""Patterns of words in a text."""

from __future__ import annotations

import pytest

from core.semantic.guards.patterns import Match, Patterns

LISTS = {"verbs": frozenset({"is", "was"})}


def places(pattern: str, text: str) -> list[tuple[int, ...]]:
    return [match.places for match in Patterns([("x", pattern)], LISTS).find(text.split())]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("why", "so why not why", [(1,), (3,)]),
        ("a|b c", "a c b c c", [(0, 1), (2, 3)]),
        ("<verbs> it", "was it is it", [(0, 1), (2, 3)]),
        ("<digits> miles", "5 miles 3k miles six miles", [(0, 1), (2, 3)]),
        ("why _", "why not why", [(0, 1)]),
        ("who !to", "who who to who", [(0, 1), (3,)]),
        ("^ who", "who who", [(0,)]),
        ("or not $", "or not or not", [(2, 3)]),
        ("not ...2 sure", "not so very sure not so very very sure", [(0, 3)]),
        ("not ...2 sure ...1 why", "not sure sure why", [(0, 1, 3)]),
    ],
)
def test_a_pattern_is_found_where_its_words_stand(pattern, text, found):
    assert places(pattern, text) == found


def test_the_longest_pattern_at_a_word_wins():
    patterns = Patterns([("way", "how"), ("number", "how many")], {})
    assert list(patterns.find(["how", "and", "how", "many"])) == [Match("way", (0,)), Match("number", (2, 3))]


def test_a_word_that_begins_with_a_digit_is_a_word_too():
    assert places("1|a second", "in 1 second") == [(1, 2)]


@pytest.mark.parametrize("pattern", ["_ why", "!a why", "^", "...2 why", "a ...1 b ...1 c ...1 d"])
def test_a_pattern_that_could_begin_anywhere_is_refused(pattern):
    with pytest.raises(ValueError, match="begins with words"):
        places(pattern, "why")
