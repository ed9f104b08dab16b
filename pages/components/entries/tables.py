"""Rows and columns of the tables about entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.entries import Nearest
from pages.components.display.text import one_line

NEAREST_COLUMNS: dict[str, Any] = {
    "likeness": column.NumberColumn("Words in common", format="%.0f %%", width=140),
    "prompt": column.TextColumn("Stored question", width="large"),
    "differs": column.TextColumn("What differs", width="medium"),
    "namespace": column.TextColumn("Namespace", width=110),
    "model": column.TextColumn("Model", width=130),
    "key": column.TextColumn("Key", width="small"),
}


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
