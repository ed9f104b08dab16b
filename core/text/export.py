"""Tables as files: JSON Lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV injection), white space before it or
# not; the last four are full-width forms.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_json_lines(rows: Iterable[Any]) -> str:
    """One JSON object a line; a lone surrogate in a text becomes "?"."""
    return "".join(msgspec.json.encode(_encodable(msgspec.to_builtins(row))).decode() + "\n" for row in rows)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV as in RFC 4180. None is an empty cell, a mapping or list is JSON, and no text can run as a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(_encodable(value)).decode()
    # Control characters end lines and cells in some readers: a formula could begin after them.
    text = "".join(max(character, " ") for character in _encodable(text))
    return "'" + text if text.lstrip().startswith(_FORMULA) else text


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_encodable(name): _encodable(item) for name, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value
