"""Shortened histories: bounded, packed, with what a question may refer to."""

from __future__ import annotations

import pytest

from core.semantic.conversations.turns import (
    ANSWER_CHARACTERS,
    LAST_ANSWER_CHARACTERS,
    MOST_CHARACTERS,
    MOST_TURNS,
    Turn,
    pack,
    shortened,
    unpack,
)

FILLER = "Nothing of interest is said in this sentence at all. "


def test_the_users_turns_stay_as_they_are():
    text = "word " * 1_000
    [turn] = shortened([("user", text)], "Why?")
    assert turn == Turn(True, text)


def test_of_a_long_answer_stay_its_ends_and_what_the_user_spoke_of():
    answer = "It begins here. " + FILLER * 60 + "The Brocken is windy. " + FILLER * 60 + "It ends here."
    turns = shortened([("user", "Tell me of the Brocken"), ("assistant", answer)], "Is it windy?")
    kept = turns[1].text
    assert len(kept) <= LAST_ANSWER_CHARACTERS
    assert kept.startswith("It begins here.")
    assert kept.endswith("It ends here.")
    assert "The Brocken is windy." in kept


def test_an_earlier_answer_has_less_room_than_the_last():
    answer = FILLER * 100
    turns = shortened([("user", "a"), ("assistant", answer), ("user", "b"), ("assistant", answer)], "c")
    assert [len(turns[1].text) <= ANSWER_CHARACTERS, len(turns[3].text) > ANSWER_CHARACTERS] == [True, True]


def test_two_answers_that_are_shortened_alike_have_digests_of_their_own():
    one, other = (FILLER * 50 + middle + FILLER * 50 for middle in ("alpha ", "omega "))
    [_, first], [_, second] = (shortened([("user", "x"), ("assistant", text)], "y") for text in (one, other))
    assert first.text == second.text
    assert first.digest != second.digest


@pytest.mark.parametrize(
    "messages",
    [
        [("user", "a"), ("assistant", "b")] * (MOST_TURNS // 2 + 1),
        [("user", "a" * (MOST_CHARACTERS + 1))],
        [("user", "a" * 100), ("assistant", FILLER * 20)] * 19,
    ],
)
def test_a_history_that_is_too_long_is_none(messages):
    assert shortened(messages, "Why?") is None


def test_a_packed_history_is_read_again():
    turns = shortened([("user", "Ist das schön? 🙂"), ("assistant", "Ja.")], "Warum?")
    assert unpack(pack(turns)) == turns


@pytest.mark.parametrize("packed", [b"", b"\xff", b"\x91\x91\x01"])
def test_bytes_that_are_no_history_are_none(packed):
    assert unpack(packed) is None
