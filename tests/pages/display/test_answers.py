"""Answers in parts: text and fenced code, and not one character between them lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.components.display.answers import Piece, pieces


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("", []),
        ("Only text\nin two lines", [Piece("Only text\nin two lines")]),
        (
            "Use a slice:\n```python\nturned = text[::-1]\n```\n\nAnything else?",
            [Piece("Use a slice:"), Piece("turned = text[::-1]", "python"), Piece("Anything else?")],
        ),
        ("```\nno name\n```", [Piece("no name", "")]),
        ("~~~C++\nint a;\n~~~", [Piece("int a;", "c++")]),
        ("````md\n```\ninner\n```\n````", [Piece("```\ninner\n```", "md")]),
        ("Not closed:\n```js\nlet a\n", [Piece("Not closed:"), Piece("let a", "js")]),
        ("```js\n    kept\n\n  as it is\n```", [Piece("    kept\n\n  as it is", "js")]),
        ("within a line ```code``` is text", [Piece("within a line ```code``` is text")]),
        ("```<img src=x>\ncode\n```", [Piece("code", "")]),
    ],
)
def test_an_answer_is_text_and_code(answer, parts):
    assert pieces(answer) == parts


@given(st.text(alphabet="`~ab \n<", max_size=60))
def test_all_lines_but_those_of_fences_are_shown(answer):
    shown = "".join(piece.text for piece in pieces(answer))
    for wanted in ("a", "b", "<"):
        fenced = sum(line.count(wanted) for line in answer.split("\n") if line.startswith(("```", "~~~")))
        assert answer.count(wanted) - fenced <= shown.count(wanted) <= answer.count(wanted)


def test_no_answer_takes_more_than_its_length():
    assert len(pieces("```\ncode\n```\n" * 50_000)) == 50_000
    assert pieces("`" * 500_000 + "\n") == [Piece("", "")]
