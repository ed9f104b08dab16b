"""Where a system prompt differs from the latest others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.asked import SystemPrompts, excerpts

LONG = "You answer questions about cards. " * 200


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("It is 10:01:33.", "It is 10:01:34.", ("It is 10:01:33.", "It is 10:01:34.")),
        ("It is 10:01.", "It is 10:01.", ("It is 10:01.", "It is 10:01.")),
        ("", "You help.", ("", "You help.")),
        ("You help.", "You help. Be short.", ("You help.", "You help. Be short.")),
        (
            f"{LONG}It is 10:01:33. {LONG}",
            f"{LONG}It is 10:01:34. {LONG}",
            (
                "…wer questions about cards. It is 10:01:33. You answer questio…",
                "…wer questions about cards. It is 10:01:34. You answer questio…",
            ),
        ),
        ("a" * 9, "a" * 5, ("aaaaaaaaa", "aaaaa")),
    ],
)
def test_the_words_that_differ_are_shown_with_some_around_them(first: str, second: str, shown: tuple[str, str]) -> None:
    one, other = excerpts(first, second)
    assert (one, other) == shown


@given(st.text("ab ", max_size=400), st.text("ab ", max_size=400), st.text("ab ", max_size=900), st.text("ab "))
def test_what_is_shown_stands_in_the_text_and_is_short(middle: str, other: str, begin: str, end: str) -> None:
    first, second = begin + middle + end, begin + other + end
    for text, shown in zip((first, second), excerpts(first, second), strict=True):
        assert shown.strip("…") in text
        assert len(shown) <= 162
    assert (excerpts(first, second)[0] != excerpts(first, second)[1]) is (first != second)


def test_a_system_prompt_is_compared_with_the_most_similar_of_the_latest() -> None:
    prompts = SystemPrompts()
    assert prompts.apart("shop", "m", "You sell. It is 10:01.") is None
    assert prompts.apart("shop", "m", "You sell. It is 10:01.") is None
    assert prompts.apart("shop", "other", "You sell. It is 10:02.") is None
    assert prompts.apart("wiki", "m", "You sell. It is 10:02.") is None
    assert prompts.apart("shop", "m", "Answer as a pirate would.") is not None
    assert prompts.apart("shop", "m", "You sell. It is 10:02.") == ("You sell. It is 10:01.", "You sell. It is 10:02.")
    assert prompts.apart("shop", "m", "Answer as a pirate would.") is None


def test_few_are_remembered() -> None:
    prompts = SystemPrompts()
    for number in range(300):
        prompts.apart(f"n{number}", "m", "You help.")
    for number in range(50):
        prompts.apart("last", "m", f"It is {number}.")
    assert len(prompts._latest) == 100
    assert prompts._latest["last", "m"] == [f"It is {number}." for number in range(46, 50)]
    assert prompts.apart("n0", "m", "It is late.") is None
