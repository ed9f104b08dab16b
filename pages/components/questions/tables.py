"""Rows and columns of the tables about questions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.semantic.questions import Question, QuestionGroup
from pages.components.display.tables import BAR
from pages.components.display.text import one_line

_FIGURES: dict[str, Any] = {
    "spent_usd": column.NumberColumn("Spent", width=70),
    "repeated_usd": column.NumberColumn("On repeats", width=95),
    "saved_usd": column.NumberColumn("Saved", width=70),
    "requests": column.NumberColumn("Requests", format="localized", width=75),
    "hit_rate": column.ProgressColumn("Hit rate", **BAR, width=100),
    "misses": column.NumberColumn("Misses", format="localized", width=60),
    "repeats": column.NumberColumn("Repeated misses", format="localized", width=120),
    "hits": column.NumberColumn("Hits", format="localized", width=70),
    "bypasses": column.NumberColumn("Bypasses", format="localized", width=80),
    "errors": column.NumberColumn("Errors", format="localized", width=70),
    "unpriced": column.NumberColumn("Without a price", format="localized", width=110),
}

GROUP_COLUMNS: dict[str, Any] = {
    "number": column.NumberColumn("Group", width=55),
    "question": column.TextColumn("A typical question", width=320),
    **_FIGURES,
    "questions": column.NumberColumn("Questions", format="localized", width=80),
}

GROUPS_SHOWN = (
    *("number", "question", "spent_usd", "repeated_usd", "saved_usd", "requests", "hit_rate", "misses", "questions"),
)
"""What fits beside one another; the rest is in the download."""

QUESTION_COLUMNS: dict[str, Any] = {"question": column.TextColumn("Question", width=250), **_FIGURES}


def groups(found: Iterable[QuestionGroup]) -> pd.DataFrame:
    """Groups in their order."""
    rows = [{"number": one.number, "questions": one.questions, **_figures(one)} for one in found]
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))


def questions(found: Iterable[Question]) -> pd.DataFrame:
    """Questions in their order."""
    return pd.DataFrame([_figures(one) for one in found], columns=list(QUESTION_COLUMNS))


def _figures(one: Question | QuestionGroup) -> dict[str, Any]:
    return {"question": one_line(one.question, 300), **{name: getattr(one, name) for name in _FIGURES}}
