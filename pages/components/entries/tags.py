"""The known tags of a namespace: a table that is read when it is opened, and whose rows filter the entries."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit import column_config as column

from core.entries import tags as tagging
from core.text import many
from pages.components.data import queries
from pages.components.display.figures import local
from pages.components.display.selectable import selectable, unselect
from pages.components.display.text import one_line, plain
from pages.components.shell.frame import nothing_yet

TABLE = "known-tags"
WANTED = "tag-wanted"
"""In the session: the tag that was selected, which the filters take over when they are drawn next."""
COLUMNS: dict[str, Any] = {
    "tag": column.TextColumn("Tag", width="large"),
    "entries": column.NumberColumn("Entries", format="localized", width="small"),
    "latest": column.DatetimeColumn("Latest stored", format="D MMM, HH:mm", width="medium"),
}


def known_tags(namespace: str) -> None:
    """Draws the tags with their counts, folded; a selected one becomes the filter."""
    folded = st.expander("Tags", icon=":material/sell:", key="tags-open", on_change="rerun")
    with folded:
        if folded.open:
            _table(namespace)


def _table(namespace: str) -> None:
    reading = queries.tags(namespace)
    if reading.value is None:
        nothing_yet(reading)
        return
    found = reading.value
    if not found.tags:
        st.caption("No stored entry has a tag. A request gives them: what its answer depends on, such as doc:123.")
        return
    chosen = selectable(
        pd.DataFrame(
            [
                {
                    "tag": one_line(one.tag, 256),
                    "entries": one.entries,
                    "latest": local(one.latest_at).replace(tzinfo=None),
                }
                for one in found.tags
            ]
        ),
        [one.tag for one in found.tags],
        name=TABLE,
        alt="Known tags with how many entries have each; select one to see its entries",
        column_config=COLUMNS,
        height=min(35 * len(found.tags) + 38, 320),
    )
    words = tagging.counted_words(found)
    st.caption(
        plain(words) if words else f"{many(len(found.tags), 'tag')} in {many(found.looked_at, 'entry', 'entries')}."
    )
    if chosen:
        st.session_state[WANTED] = chosen[0]
        unselect(TABLE)
        st.rerun()
