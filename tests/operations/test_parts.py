"""Cursors: a position there and back, and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.operations.parts import cursor_of, position_of


@given(st.floats(0, 1e11), st.text(max_size=100))
def test_a_position_comes_back_as_it_was(at, name):
    assert position_of(cursor_of((at, name)), tuple[float, str]) == (at, name)


def test_without_a_cursor_there_is_no_position():
    assert position_of(None, int) is None


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "!", "abc", "ключ", "A" * 1000, base64.urlsafe_b64encode(b"[" * 700).decode()),
        *map(cursor_of, ("another", [1.0], [1.0, 2], None)),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        position_of(cursor, tuple[float, str])
