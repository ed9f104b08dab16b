from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.printable import printable


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(0, 40))
def test_any_text_becomes_one_line_that_can_be_encoded(text: str, limit: int) -> None:
    line = printable(text, limit)
    line.encode()
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert printable(line, limit) == line


@pytest.mark.parametrize(
    "text", ["plain", "Grüße", "你好", "مرحبا", "👩\u200d🚀", "می\u200cخواهم", "  two  spaces ", "👍🏽", "e\u0301", ""]
)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text, 100) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\nc\td", "a b  c d"),
        ("\x00\x1b[31mred", "  [31mred"),
        ("a\u2028b", "a b"),
        ("a\u00a0b", "a b"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("gpt\u202etxt", "gpt\N{REPLACEMENT CHARACTER}txt"),
        ("gpt\u200b-4", "gpt\N{REPLACEMENT CHARACTER}-4"),
    ],
)
def test_what_no_one_can_see_or_encode_is_replaced(text: str, line: str) -> None:
    assert printable(text, 100) == line
