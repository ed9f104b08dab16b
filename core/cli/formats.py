"""How the command line writes times, tables and texts from outside, and reads durations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from ..text import printable, utc

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
LONGEST_SECONDS = 10 * 366 * 86_400


class Duration(click.ParamType[float]):
    """`45s`, `30m`, `12h`, `7d`, `2w` or `0`: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; fails for a number without a unit."""
        if isinstance(value, int | float):
            return float(value)
        if value == "0":
            return 0.0
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(
                f"{value!r} is not a duration: give a number with a unit, e.g. 45s, 30m, 12h, 7d or 2w.", param, ctx
            )
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds > LONGEST_SECONDS:
            self.fail("that is more than ten years.", param, ctx)
        return seconds


DURATION = Duration()


def text(value: str, limit: int) -> str:
    """Text from outside on one line, without what a terminal would act on."""
    shown = printable(value, limit)
    return shown if len(value) <= limit else shown[:-1] + "…"


def moment(at: float | None) -> str:
    """A time in UTC."""
    return "" if at is None else utc(at)


def table(rows: Sequence[tuple[str, ...]], *, header: tuple[str, ...] = ()) -> str:
    """Columns as wide as what is in them; the last as wide as it likes."""
    lines = [header, *rows] if header else list(rows)
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )
