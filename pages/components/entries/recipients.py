"""Who got an answer, of the latest requests."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit import column_config as column

from core.entries import FoundEntry
from core.metrics import Recipients, RequestRecord
from pages.components.data import context, queries
from pages.components.display import outcomes, tables
from pages.components.display.figures import UNKNOWN, clock, local
from pages.components.display.text import one_line
from pages.components.shell.frame import nothing_yet

_COLUMNS: dict[str, Any] = {
    "time": column.DatetimeColumn("Time", format="DD MMM HH:mm:ss", width=125),
    "outcome": column.TextColumn("Outcome", width=112),
    "caller": column.TextColumn("Caller", width=230),
    "user": column.TextColumn("User", width=170),
    "request_id": column.TextColumn("Request id", width=170),
    "prompt": column.TextColumn("Asked", width=260),
    "answer": column.TextColumn("Answer", width=120),
}
_HELP = "Requests that got this answer: from the cache, by having it generated, or by waiting for that."


def who_got_it(found: FoundEntry) -> None:
    """Draws, when unfolded, the requests that got the entry's answer."""
    folded = st.expander("Who got this answer", icon=":material/group:", key="entry-recipients", on_change="rerun")
    if folded.open:
        with folded:
            _recipients(found)


def _recipients(found: FoundEntry) -> None:
    reading = queries.recipients(found.entry.header.namespace, found.key)
    if reading.value is None:
        nothing_yet(reading)
        return
    got = reading.value
    st.markdown(f"{got.words(clock(got.since) if got.since is not None else '')}.", help=_HELP)
    if not context.services().settings.record_callers:
        st.caption("Users and request ids are not kept: `ENCORE_RECORD_CALLERS` is off.")
    if not got.got and not got.got_earlier:
        return
    table = _table(got)
    shown = [name for name in _COLUMNS if table[name].notna().any()]
    st.dataframe(
        table,
        column_config=_COLUMNS,
        column_order=shown if got.got_earlier else [name for name in shown if name != "answer"],
        hide_index=True,
        height=min(300, 38 + 35 * len(table)),
        key="entry-recipients-table",
        placeholder=UNKNOWN,
        alt="Requests that got this answer, the latest first",
    )
    st.download_button(
        "Download CSV",
        tables.csv(table),
        "recipients.csv",
        "text/csv",
        key="entry-recipients-csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _table(got: Recipients) -> pd.DataFrame:
    rows = [_row(record, "this one") for record in got.got] + [
        _row(record, "an earlier one") for record in got.got_earlier
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _row(record: RequestRecord, answer: str) -> dict[str, Any]:
    return {
        "time": local(record.at).replace(tzinfo=None),
        "outcome": outcomes.look(record.kind, record.detail).words,
        "caller": one_line(record.caller, 200) or None,
        "user": one_line(record.user, 300) if record.user is not None else None,
        "request_id": one_line(record.request_id, 200) if record.request_id is not None else None,
        "prompt": one_line(record.prompt, 300) if record.prompt is not None else None,
        "answer": answer,
    }
