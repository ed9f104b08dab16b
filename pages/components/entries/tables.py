"""Rows and columns of the tables about entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from core.entries import Difference, Nearest
from core.keys import Part
from core.semantic import Neighbour
from pages.components.display.tables import _column
from pages.components.display.text import one_line

PART_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Part", width=180),
    "value": _column.TextColumn("Value", width="large"),
    "digest": _column.TextColumn("Digest", width=130),
}


DIFFERENCE_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Part", width=180),
    "here": _column.TextColumn("Here", width="medium"),
    "there": _column.TextColumn("There", width="medium"),
}


NEIGHBOUR_COLUMNS: dict[str, Any] = {
    "similarity": _column.NumberColumn("Cosine", format="%.3f", width=80),
    "verdict": _column.TextColumn("What the lookup makes of it", width=300),
    "prompt": _column.TextColumn("Stored question", width=260),
    "key": _column.TextColumn("Key", width="small"),
}


NEAREST_COLUMNS: dict[str, Any] = {
    "likeness": _column.NumberColumn("Words in common", format="%.0f %%", width=140),
    "prompt": _column.TextColumn("Stored question", width="large"),
    "differs": _column.TextColumn("What differs", width="medium"),
    "namespace": _column.TextColumn("Namespace", width=110),
    "model": _column.TextColumn("Model", width=130),
    "key": _column.TextColumn("Key", width="small"),
}


def parts(found: Iterable[Part]) -> pd.DataFrame:
    """What a request is made of."""
    rows = [{"name": part.name, "value": one_line(part.words, 200), "digest": part.digest} for part in found]
    return pd.DataFrame(rows, columns=list(PART_COLUMNS))


def differences(found: Iterable[Difference]) -> pd.DataFrame:
    """What two requests do not share."""
    rows = [{"name": one.name, "here": one_line(one.here, 200), "there": one_line(one.there, 200)} for one in found]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def neighbours(found: Iterable[tuple[Neighbour, str]]) -> pd.DataFrame:
    """Near entries with what a lookup makes of each, the nearest first."""
    return pd.DataFrame(
        [
            {
                "similarity": one.similarity,
                "verdict": one_line(verdict, 200),
                "prompt": one_line(one.prompt, 300),
                "key": one.key,
            }
            for one, verdict in found
        ],
        columns=list(NEIGHBOUR_COLUMNS),
    )


def nearest(found: Iterable[Nearest]) -> pd.DataFrame:
    """Stored questions with like words, the nearest first."""
    return pd.DataFrame(
        [
            {
                "likeness": 100 * one.likeness,
                "prompt": one_line(one.found.entry.prompt, 300),
                "differs": one_line(", ".join(part.name for part in one.differences), 200) or "nothing",
                "namespace": one.found.entry.header.namespace,
                "model": one_line(one.found.entry.header.model),
                "key": one.found.key,
            }
            for one in found
        ],
        columns=list(NEAREST_COLUMNS),
    )
