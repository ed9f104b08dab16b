"""Rows and columns of the tables of the playground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.entries import Difference
from pages.components.display.text import one_line

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Part", width=180),
    "here": column.TextColumn("Here", width="medium"),
    "there": column.TextColumn("There", width="medium"),
}


def differences(found: Iterable[Difference]) -> pd.DataFrame:
    """The parts in which two requests differ."""
    rows = [{"name": one.name, "here": one_line(one.here, 200), "there": one_line(one.there, 200)} for one in found]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))
