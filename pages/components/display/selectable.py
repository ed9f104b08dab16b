"""Tables whose rows can be selected: by what stands in a row, never by its number.

A browser says which row was clicked. By the time that is heard other rows may have come, so a table of other rows is
another table, a click is read by the rows that were drawn, and what is selected stays so wherever it stands by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from pages.components.display.figures import UNKNOWN
from pages.components.display.tables import in_figures


class _Drawn(NamedTuple):
    """A table as this session last drew it: its widget, and what stood in each row."""

    widget: str
    generation: int
    ids: tuple[str, ...]


def selectable(
    table: pd.DataFrame, ids: Sequence[str], *, name: str, alt: str, several: bool = False, **options: Any
) -> list[str]:
    """Draws a table with what each row is of (`ids`, one a row), and returns the ids of the selected rows.

    Those of a click on the table that was drawn before are returned also where the new one has them no more. `name` is
    the table's own, `several` whether more than one can be selected, `options` are those of `st.dataframe`.
    """
    drawn = _Drawn(_widget(name, ids), _generation(name), tuple(ids))
    before = selected(name)
    rows = [row for row, one in enumerate(ids) if one in before][: None if several else 1]
    is_new = drawn.widget not in st.session_state
    event: Any = st.dataframe(
        in_figures(table),
        hide_index=True,
        key=drawn.widget,
        alt=alt,
        placeholder=UNKNOWN,
        on_select="rerun",
        selection_mode="multi-row" if several else "single-row",
        selection_default={"selection": {"rows": rows}} if rows else None,
        **options,
    )
    st.session_state[f"{name}-drawn"] = drawn
    return before if is_new else _in_rows(drawn, event)


def selected(name: str) -> list[str]:
    """What is selected in a table before it is drawn: by the rows that it had when it was clicked."""
    drawn: _Drawn | None = st.session_state.get(f"{name}-drawn")
    if drawn is None or drawn.generation != _generation(name):
        return []
    return _in_rows(drawn, st.session_state.get(drawn.widget))


def is_drawn(name: str) -> bool:
    """Whether the run before drew the table."""
    drawn: _Drawn | None = st.session_state.get(f"{name}-drawn")
    return drawn is not None and drawn.widget in st.session_state


def unselect(name: str) -> None:
    """Has the table drawn next without a selection."""
    st.session_state[f"{name}-generation"] = _generation(name) + 1


def _in_rows(drawn: _Drawn, state: Any) -> list[str]:
    rows = state["selection"]["rows"] if state else ()
    return [drawn.ids[row] for row in rows if row < len(drawn.ids)]


def _generation(name: str) -> int:
    generation: int = st.session_state.get(f"{name}-generation", 0)
    return generation


def _widget(name: str, ids: Sequence[str]) -> str:
    content = sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name}-{_generation(name)}-{content}"
