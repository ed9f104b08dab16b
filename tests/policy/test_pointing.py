"""What points at the surroundings of whoever asks, and what is the same for everybody."""

from __future__ import annotations

import pytest

from core.policy.pointing import asks_for_code, points
from tests.growth import grows_with_the_square


@pytest.mark.parametrize(
    "text",
    [
        *(
            "the report",
            "Who signed the report of Anna",
            "The Report Was Late At Last",
            "the CEO",
            "the Tuesday meeting",
        ),
        *("the Company", "the Marketing Department", "the sun lamp", "the internet router", "the capital of the firm"),
        *(
            "the meaning",
            "the meaning of",
            "she",
            "it",
            "these",
            "What is that",
            "who was there",
            "here",
            "your colour",
        ),
        *("what was decided", "rows in stock", "who was late", "who were invited", "the same", "the Python version"),
        *(
            "what does the word mean",
            "the phrase in question",
            "the second one",
            "the 3rd floor",
            "the 20th",
            "the causes of the outage",
            "explain the difference",
        ),
    ],
)
def test_what_only_the_asker_knows_is_pointed_at(text: str) -> None:
    assert points(text)


@pytest.mark.parametrize(
    "text",
    [
        *("the French Revolution", "The Titanic", "the Mona Lisa", "did the Titanic sink", "the Doppler effect"),
        *("the sun", "how does the moon affect tides", "the human brain", "the solar system", "the EU", "the 1990s"),
        *("the 20th century", "the capital of France", "the chemical symbol of gold", "the main causes of inflation"),
        *(
            "the difference between cats and dogs",
            "a function that sorts",
            "an old machine that works",
            "who was Plato",
        ),
        *(
            "the word slander",
            "how many moons are there in total",
            "who were the Beatles",
            "gravity",
            "",
            ".",
            "the",
            "?!",
        ),
    ],
)
def test_what_is_the_same_for_everybody_is_not(text: str) -> None:
    assert points(text) is (text == "the")


def test_what_a_rule_itself_names_is_not_pointed_at() -> None:
    assert points("What are the shipping costs")
    assert points("What are the shipping costs", "shipping costs")
    assert not points("What are the shipping costs", "shipping costs", by_operator=True)
    assert points("What are the shipping costs of the parcel", "shipping costs", by_operator=True)


@pytest.mark.parametrize(
    ("text", "anybodys"),
    [
        ("Write a Python function", True),
        ("How do decorators work in Python", True),
        ("What is JSON?", True),
        ("Schreibe eine Python-Funktion", True),
        ("Napisz funkcję w Python", True),
        ("写一个 Python 函数", True),
        ("git log", False),
        ("docker ps", False),
        ("Schreibe eine Python-Funktion für den Server", False),
        ("Escribe una función de Python para el servidor", False),
        ("写一个 Python 函数给这个项目", False),
    ],
)
def test_code_is_anybodys_where_it_is_asked_for(text: str, anybodys: bool) -> None:
    assert asks_for_code(text) is anybodys


@pytest.mark.parametrize("piece", ["the ", "the Nile ", "that ", "who was ", "the a of ", "The ", "."])
def test_hostile_texts_are_looked_through_at_once(piece: str) -> None:
    assert not grows_with_the_square(points, lambda size: piece * (size // len(piece)), 500_000)
