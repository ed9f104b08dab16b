"""A question completed by what it depends on."""

from __future__ import annotations

import time

import pytest

from core.semantic.conversations.completion import Completed, complete
from core.semantic.conversations.turns import shortened


def completed(*texts: str) -> Completed:
    *before, question = texts
    said = [("assistant" if place % 2 else "user", text) for place, text in enumerate(before)]
    turns = shortened(said, question)
    assert turns is not None
    return complete(turns, question)


@pytest.mark.parametrize(
    ("texts", "needed"),
    [
        (("How high is Mount Fuji?", "3,776 m.", "When did it last erupt?"), ["Mount Fuji"]),
        (("what is throat cancer", "A tumour.", "what are the symptoms"), ["throat cancer"]),
        (("What does a parking permit cost?", "120 euros.", "And for two cars?"), ["parking permit"]),
        (("Is there a train from Lyon to Milan?", "Two.", "How long does it take?"), ["Lyon", "Milan"]),
        (("Who directed Jaws?", "Steven Spielberg.", "What else did he direct?"), ["Steven Spielberg", "Jaws"]),
        (("Is it safe to eat raw eggs?", "Mostly.", "Why?"), ["raw eggs"]),
        (("I'm a tenant in Berlin.", "OK.", "How much notice must I give?"), ["I'm a tenant in Berlin."]),
        (("Convert 5 miles.", "To which unit?", "Kilometres"), ["5 miles"]),
        (("Can I bring my dog?", "Shall I explain the rules for dogs?", "Yes please."), ["dog"]),
    ],
)
def test_what_a_message_depends_on_is_named(texts, needed):
    found = " | ".join(completed(*texts).dependencies)
    assert [words for words in needed if words not in found] == []


def test_dependencies_go_back_as_long_as_turns_depend_themselves():
    texts = (
        "Tell me about the Alhambra.",
        "A palace.",
        "Who built it?",
        "The Nasrids.",
        "Why?",
        "As a seat.",
        "And when?",
    )
    assert "Alhambra" in completed(*texts).dependencies


def test_they_go_no_further_than_a_turn_that_says_all_itself():
    texts = ("How do I boil an egg?", "8 minutes.", "Who wrote Dracula?", "Bram Stoker.", "Where was he born?")
    found = completed(*texts).dependencies
    assert "Dracula" in found
    assert not any("egg" in words for words in found)


def test_what_a_message_says_anew_takes_the_place_of_what_was_said():
    found = completed("How much is a letter to France?", "1.20 euros.", "And to Japan?").dependencies
    assert "letter" in found
    assert not any("France" in words for words in found)


@pytest.mark.parametrize(
    ("question", "item"),
    [
        ("How much does the second one weigh?", "Lenovo IdeaPad 1"),
        ("And the last one?", "HP 14"),
        ("Tell me about the first", "Acer Aspire 3"),
        ("What about the fifth one?", ""),
        ("In the second world war, which laptops were there?", ""),
    ],
)
def test_an_item_of_a_list_is_found_by_its_place(question, item):
    laptops = "1. Acer Aspire 3\n2. Lenovo IdeaPad 1\n3. HP 14"
    assert completed("Name three cheap laptops.", laptops, question).item == item


def test_the_former_and_the_latter_are_found():
    texts = ("Which is bigger, Mars or Venus?", "Venus.")
    assert completed(*texts, "How far away is the former?").item == "Mars"
    assert completed(*texts, "How far away is the latter?").item == "Venus"


def test_a_message_that_says_all_itself_depends_on_nothing():
    found = completed("What is a group?", "A set.", "How do I get red wine out of a carpet?")
    assert found.dependencies == ()
    assert found.text == "How do I get red wine out of a carpet?"


def test_hostile_turns_take_linear_time():
    """Ten times the text takes about ten times as long, and never more than a moment."""
    for text in (
        "the the " * 700,
        "1. a\n" * 1_100,
        "either a or " * 450,
        "A b " * 1_400,
        "(" * 5_500,
        "it's " * 1_100,
    ):
        began = time.perf_counter()
        completed(text, text, "And " + text[:4_000])
        assert time.perf_counter() - began < 2
