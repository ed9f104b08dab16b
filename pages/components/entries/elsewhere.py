"""The same question elsewhere: looked for in pieces, with how far it is, and invalidated together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pandas as pd
import streamlit as st
from streamlit import column_config as column

from core.entries import MOST_TOGETHER, Elsewhere, FoundEntry, same_question
from core.errors import CacheError
from pages.components.data import context, queries
from pages.components.display.figures import UNKNOWN, duration, many
from pages.components.display.text import error_sentence, one_line, plain

LOOK = "entry-elsewhere-look"
PROGRESS_SECONDS = 1
COLUMNS: dict[str, Any] = {
    "namespace": column.TextColumn("Namespace", width=150),
    "model": column.TextColumn("Model", width=150),
    "differs": column.TextColumn("Differs in", width=270),
    "answers": column.NumberColumn("Answers", format="localized", width=75),
    "scopes": column.NumberColumn("Scopes", format="localized", width=70),
    "hits": column.NumberColumn("Hits", format="localized", width=60),
    "latest": column.TextColumn("Latest", width=105),
}
Ask = Callable[[list[tuple[str, str]]], None]
"""Opens the dialog that asks before the answers at these places, each a namespace and a key, are invalidated."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was found so far for an entry. `going`: it is not at its end yet."""

    namespace: str
    key: str
    found: Elsewhere
    going: bool = True


def elsewhere(found: FoundEntry, ask: Ask, *, may: bool) -> None:
    """Draws, when unfolded, where else the question stands; looks for it when told to."""
    folded = st.expander(
        "The same question elsewhere", icon=":material/travel_explore:", key="entry-elsewhere", on_change="rerun"
    )
    if not folded.open:
        return
    with folded:
        look = _look_of(found)
        running = look is not None and look.going
        st.fragment(_drawn, run_every=PROGRESS_SECONDS if running else None)(found, ask, may)


def _look_of(found: FoundEntry) -> Look | None:
    look: Look | None = st.session_state.get(LOOK)
    here = (found.entry.header.namespace, found.key)
    return look if look is not None and (look.namespace, look.key) == here else None


def _drawn(found: FoundEntry, ask: Ask, may: bool) -> None:
    look = _look_of(found)
    if look is None:
        st.caption(
            "Under other models, in other scopes and namespaces. Case, spaces and the closing mark do not count."
        )
        if st.button("Search", key="entry-elsewhere-go", icon=":material/search:"):
            _go_on(found, None)
            st.rerun()
        return
    if look.going:
        look = _go_on(found, look)
        if look is None:
            return
        if not look.going:
            st.rerun()  # without the timer
    result = look.found
    if look.going:
        share = min(1.0, result.looked_through / result.listed) if result.listed else 0.0
        st.progress(share, text=f"Searched {result.looked_through:,} of {result.listed:,} entries")
    else:
        words = f"It stands {result.in_words}." if not result.found else f"{result.in_words}."
        st.markdown(plain(f"{words} Searched {many(result.looked_through, 'entry', 'entries')}."))
    if not result.found:
        return
    st.dataframe(
        _rows(result, context.now()),
        column_config=COLUMNS,
        hide_index=True,
        height="content",
        key="entry-elsewhere-table",
        placeholder=UNKNOWN,
        alt="Answers to the same question, and what keeps their requests apart",
    )
    places = [(found.entry.header.namespace, found.key)]
    places += [(one.found.entry.header.namespace, one.found.key) for one in result.found]
    if st.button(
        f"Invalidate these {min(len(places), MOST_TOGETHER)} together…",
        key="entry-elsewhere-invalidate",
        icon=":material/block:",
        disabled=not may or look.going,
        help="This answer and those above. You can undo each by itself.",
    ):
        ask(places[:MOST_TOGETHER])
        st.session_state.pop(LOOK, None)
        st.rerun()


def _go_on(found: FoundEntry, look: Look | None) -> Look | None:
    """One more piece of the look; None when it failed, which is told."""
    built = context.services()
    names = queries.namespaces()
    header = found.entry.header
    try:
        more = same_question(
            built.store,
            names,
            found,
            buckets=built.settings.buckets,
            hits=built.metrics.hits,
            after=look.found.next if look is not None else None,
            seconds=PROGRESS_SECONDS / 2,
        )
    except CacheError as error:
        st.caption(f"The search failed. {error_sentence(error)}")
        return None
    whole = more if look is None else look.found.followed_by(more)
    is_full = len(whole.found) >= MOST_TOGETHER
    after = Look(namespace=header.namespace, key=found.key, found=whole, going=whole.next is not None and not is_full)
    st.session_state[LOOK] = after
    return after


def _rows(result: Elsewhere, now: float) -> pd.DataFrame:
    """A row for each namespace and model, and for what keeps their requests apart from this one."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[FoundEntry]] = {}
    for one in result.found:
        header = one.found.entry.header
        groups.setdefault((header.namespace, header.model, one.differs), []).append(one.found)
    return pd.DataFrame(
        [
            {
                "namespace": namespace,
                "model": one_line(model),
                "differs": one_line(", ".join(differs), 200) or "nothing that is kept",
                "answers": len(found),
                "scopes": len({each.entry.header.scope for each in found}),
                "hits": sum(each.hits.total for each in found if each.hits),
                "latest": f"{duration(max(0.0, now - max(each.entry.header.created_at for each in found)))} ago",
            }
            for (namespace, model, differs), found in sorted(groups.items())
        ],
        columns=list(COLUMNS),
    )
