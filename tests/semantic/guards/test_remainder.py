"""Whether one answer serves two questions of any length, as far as words can tell."""

from __future__ import annotations

import pytest

from core.semantic.guards.checks import MAX_WORDS, Guard, check
from core.semantic.guards.remainder import MAX_CHARACTERS_COMPARED, compare

TEXT = (
    "The spring quarter went better than we had planned in January and sales of the folding bicycle rose in every "
    "region except the coast where two dealers closed their shops and a third one moved to another brand."
)


def under(order: str, text: str = TEXT) -> str:
    return f"{order}\n\n{text}"


def test_short_questions_are_compared_whole():
    assert compare("Is it open on Monday?", "Is it open on Friday?").guard is Guard.CONTRAST
    assert not compare("How do I pay?", "How can I pay?").judgeable
    longest = "films of 1994" + " please" * (MAX_WORDS - 3)
    assert compare(longest, "films").guard is check(longest, "films").guard is Guard.NUMBERS


def test_what_both_share_says_nothing():
    assert compare(under("Summarise this."), under("Please summarise this.")).guard is None
    assert compare(under("Summarise this."), under("Translate this.")).guard is Guard.REMAINDER


@pytest.mark.parametrize(
    ("old", "new", "guard"),
    [
        ("better", "not better", Guard.NEGATION),
        ("two dealers", "nine dealers", Guard.NUMBERS),
        ("January", "March", Guard.CONTRAST),
        ("rose in", "fell in", Guard.CONTRAST),
        ("rose in", "were flat in", Guard.REMAINDER),
        ("folding bicycle", "cargo bike", Guard.REMAINDER),
    ],
)
def test_one_word_of_a_pasted_text_decides(old, new, guard):
    for order in ("Summarise this.", "Please summarise this."):
        found = compare(under("Summarise this."), under(order, TEXT.replace(old, new)))
        assert found.guard is guard
        assert found.judgeable == (guard is Guard.REMAINDER)


def test_the_reason_quotes_the_place():
    found = compare(under("Summarise this."), under("Translate this."))
    assert found.reason == (
        "one says summarise, the other translate (where one says “Summarise” and the other “Translate”)"
    )


def test_numbers_that_have_changed_places_are_a_doubt():
    found = compare(under("Hire two mechanics and five clerks."), under("Hire five mechanics and two clerks."))
    assert found.guard is not None


def test_words_in_one_place_are_to_be_weighed_and_in_two_are_a_doubt():
    one = compare(under("List the risks."), under("List the dangers."))
    assert (one.guard, one.left) == (None, ("risks", "dangers"))
    many = compare(under("List names, dates, risks and gains."), under("List persons, months, dangers and wins."))
    assert (many.guard, many.judgeable) == (Guard.REMAINDER, True)
    two = compare(under("List the risks.") + " List the errors.", under("List the dangers.") + " List the mistakes.")
    assert (two.guard, two.reason, two.left) == (Guard.REMAINDER, "they differ in 2 places", None)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("folding bicycle", "Folding bicycle", "they differ in capitals"),
        ("January and", "January, and", "their signs differ: ,"),
        ("The spring", "\n  if a:\n    b()\n    c()\nThe spring", ""),
    ],
)
def test_what_only_a_pasted_text_can_tell_is_a_doubt(old, new, reason):
    found = compare(under("Summarise this."), under("Summarise this.", TEXT.replace(old, new)))
    assert (found.guard, found.judgeable) == (Guard.REMAINDER, True)
    assert found.reason.startswith(reason)


def test_indentation_is_a_doubt():
    code = "Explain this.\n" + "if a:\n    b()\n    c()\nelse:\n    d()\n" * 3
    moved = code.replace("    c()", "c()", 1)
    assert compare(code, code).guard is None
    assert compare(code, moved).reason == "their lines are indented differently"


def test_too_much_left_is_a_doubt():
    found = compare(under("Summarise this.", 2 * TEXT), under("Summarise this.", 2 * TEXT[::-1]))
    assert (found.guard, found.judgeable) == (Guard.REMAINDER, True)
    assert found.reason == "too much is left when what both share is cut"


def test_scripts_that_do_not_part_words_are_long_by_their_characters():
    text = "春の四半期は一月に計画したよりもよかった。折りたたみ自転車の売り上げは海岸を除くすべての地域で伸びた。"
    assert compare(f"次の文を要約して。{text}", f"次の文を批評して。{text}").guard is Guard.REMAINDER
    assert compare(f"次の文を要約して。{text}", f"次の文を要約して。{text}").guard is None


def test_another_language_is_a_doubt():
    found = compare(under("Fasse den Text zusammen."), under("Kritisiere den Text."))
    assert (found.guard, found.judgeable) == (Guard.REMAINDER, True)


def test_length_is_bounded():
    longest = "a " * (MAX_CHARACTERS_COMPARED // 2)
    assert compare(longest, longest).guard is None
    assert compare(longest + "b", longest).guard is Guard.LENGTH
    assert compare(longest, longest + "b").guard is Guard.LENGTH
