from __future__ import annotations

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.export import to_csv, to_json_lines

FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(st.lists(st.text(alphabet=st.characters()), min_size=2, max_size=2), max_size=5))
def test_no_cell_runs_as_a_formula_and_none_is_torn_apart(rows: list[list[str]]) -> None:
    text = to_csv(["a", "b"], rows)
    text.encode()
    table = parsed(text)
    assert [len(row) for row in table] == [2] * (len(rows) + 1)
    assert not any(cell.lstrip().startswith(tuple(FORMULA_SIGNS)) for row in table for cell in row)
    assert not any(character < " " for row in table for cell in row for character in cell)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("\t=1+1", "' =1+1"),
        ("\r\n@SUM(A1)", "'  @SUM(A1)"),
        ("a=b", "a=b"),
        ('say "hi", please', 'say "hi", please'),
        (-5, "-5"),
        (0.25, "0.25"),
        (None, ""),
        (True, "True"),
        ({"model": "=x"}, '{"model":"=x"}'),
        (["a"], '["a"]'),
        ("\ud800", "?"),
    ],
)
def test_a_cell_shows_its_value_and_does_nothing(value: object, cell: str) -> None:
    assert parsed(to_csv(["value", "more"], [[value, "x"]]))[1][0] == cell


def test_csv_lines_end_as_the_standard_says() -> None:
    assert to_csv(["a", "b"], [[1, 2]]) == "a,b\r\n1,2\r\n"


def test_json_lines_are_one_valid_object_each() -> None:
    rows = [{"text": "two\nlines"}, {"text": "\ud800", "nested": [{"\udfff": "\udfff"}]}, {"not a number": math.nan}]
    lines = to_json_lines(rows).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"text": "two\nlines"},
        {"text": "?", "nested": [{"?": "?"}]},
        {"not a number": None},
    ]


def test_no_rows_are_no_lines() -> None:
    assert to_json_lines([]) == ""
