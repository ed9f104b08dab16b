"""Rows and columns of the tables of the playground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.entries import Difference
from core.namespaces import Naming
from pages.components.display.namespaces import shown
from pages.components.display.tables import NAMESPACE
from pages.components.display.text import one_line

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Part", width=180),
    "here": column.TextColumn("Here", width="medium"),
    "there": column.TextColumn("There", width="medium"),
}


def differences(found: Iterable[Difference], naming: Naming) -> pd.DataFrame:
    """The parts in which two requests differ."""

    def words(name: str, value: str) -> str:
        return shown(value, naming) if name == NAMESPACE else one_line(value, 200)

    rows = [{"name": one.name, "here": words(one.name, one.here), "there": words(one.name, one.there)} for one in found]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))
