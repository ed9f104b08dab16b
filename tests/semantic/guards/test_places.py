"""Where two long texts differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.guards.places import AROUND, cut

TEXT = (
    "The spring quarter went better than we had planned in January and sales of the folding bicycle rose in every "
    "region except the coast where two dealers closed their shops and a third one moved to another brand"
)


def found(question: str, stored: str) -> list[tuple[str, str]]:
    return [(place.ours, place.theirs) for place in cut(question, stored).places]


def test_what_both_share_is_cut():
    assert found(f"Summarise this.\n\n{TEXT}", f"Translate this.\n\n{TEXT}") == [("Summarise", "Translate")]
    assert found(f"{TEXT}\n\nWho acts?", f"{TEXT}\n\nWho has acted?") == [("acts", "has acted")]
    assert found(TEXT, TEXT.replace("every", "no")) == [("every", "no")]
    assert found(TEXT, TEXT) == []


def test_a_place_is_read_with_a_few_shared_words_around_it():
    (place,) = cut(TEXT, TEXT.replace("every", "no")).places
    assert place.our_context == "of the folding bicycle rose in every region except the coast where two"
    assert place.their_context == "of the folding bicycle rose in no region except the coast where two"
    assert place.our_context.split().index("every") == AROUND


def test_places_with_few_shared_words_between_them_are_one():
    other = TEXT.replace("folding bicycle", "cargo bike").replace("every region", "most regions")
    assert found(TEXT, other) == [("folding bicycle rose in every region", "cargo bike rose in most regions")]
    far = TEXT.replace("spring", "winter").replace("third", "fourth")
    assert found(TEXT, far) == [("spring", "winter"), ("third", "fourth")]


def test_a_capital_at_the_start_of_a_sentence_is_no_difference():
    assert found(f"Please sort this: {TEXT}", f"please sort this: {TEXT}") == []
    assert found(f"{TEXT} polish", f"{TEXT} Polish") == [("polish", "Polish")]


def test_a_moved_order_is_one_place():
    below, above = f"List the risks in the text below.\n\n{TEXT}.", f"{TEXT}.\n\nList the risks in the text above."
    assert found(below, above) == [("List the risks in the text ", "List the risks in the text ")]
    assert found(f"List the risks.\n\n{TEXT}.", f"{TEXT}.\n\nName the gains.") == [("List the risks", "Name the gains")]


def test_what_has_moved_elsewhere_is_no_order_that_has_moved():
    inside = f"{TEXT}. List the risks. {TEXT[::-1]}"
    assert len(found(f"List the risks. {TEXT}. {TEXT[::-1]}", inside)) == 2
    few = "one two three four five six seven eight nine"
    assert len(found(f"List the risks. {few}.", f"{few}. List the risks.")) == 2


def test_what_has_changed_places_inside_a_text_is_left():
    question, stored = (
        f"One is red. {TEXT}. Two is blue. {TEXT[::-1]}",
        f"Two is blue. {TEXT}. One is red. {TEXT[::-1]}",
    )
    assert found(question, stored) == [("One is red", "Two is blue"), ("Two is blue", "One is red")]


@pytest.mark.parametrize(
    ("old", "new"), [("in (a, b)", "in [a, b]"), ("a < b", "a > b"), ("x - 1", "x 1"), ("1.5", "15")]
)
def test_signs_are_no_punctuation(old, new):
    (place,) = cut(f"{TEXT} if {old} then {TEXT[::-1]}", f"{TEXT} if {new} then {TEXT[::-1]}").places
    assert place.signs or place.ours != place.theirs


@pytest.mark.parametrize(
    ("one", "other", "signs"),
    [
        (f"{TEXT}.\n{TEXT[::-1]}", f"{TEXT}:\n{TEXT[::-1]}", ""),
        (f"{TEXT}. Thanks, Ada", f"{TEXT}", ""),
        (f"{TEXT} Eat, Ada {TEXT[::-1]}", f"{TEXT} Eat Ada {TEXT[::-1]}", ","),
    ],
)
def test_punctuation_is_no_difference_at_the_end_of_a_line_and_beside_other_words(one, other, signs):
    assert [place.signs for place in (*cut(one, other).places, *cut(other, one).places)] == [signs, signs]


WORDS = st.lists(st.sampled_from(["a", "b", "not", "3", ".", "\n", "(", "東", "é"]), max_size=60).map(" ".join)


@given(WORDS, WORDS)
def test_a_word_that_only_one_has_is_in_a_place(one, other):
    left = " ".join(f"{place.ours} {place.theirs}" for place in cut(one, other).places).split()
    assert set(one.split()) ^ set(other.split()) <= set(left)


@given(WORDS)
def test_a_text_does_not_differ_from_itself(text):
    assert cut(text, text).places == ()
