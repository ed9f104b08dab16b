"""The controls that choose entries, kept in the URL for links; what is looked for in prompts stays in the session."""

from __future__ import annotations

import streamlit as st

from core.configuration import ttl_policy
from pages.components.data import context, queries
from pages.components.data.entry_filters import AGES, ANY_HITS, ANY_TIME, HITS, Filters
from pages.components.entries.tags import WANTED
from pages.components.shell.address import follow, given, put
from pages.components.shell.namespace_choice import choose_namespace

CLEARED: dict[str, object] = {
    "q": "",
    "in_answers": False,
    "entries_age": ANY_TIME,
    "ttl_class": None,
    "tag": None,
    "entries_hits": ANY_HITS,
    "entries_pinned": False,
    "entries_hidden": False,
}
"""Controls that choose among the entries of a namespace, and their values when nothing is chosen."""


def clear() -> None:
    """Clears all filters but the namespace."""
    for key, value in CLEARED.items():
        st.session_state[key] = value
    put("model", None)


def filters() -> Filters:
    """Draws the controls; returns the filters they choose."""
    if wanted := st.session_state.pop(WANTED, None):
        st.session_state["tag"] = wanted
    with st.grid(5, min_column_width=130, gap="small"):
        text = st.text_input(
            "Text",
            key="q",
            persist_state="session",
            type="search",
            placeholder="Words or a key",
            help="Searches the prompts; a whole key finds its entry. Case does not count.",
            max_chars=200,
            icon=":material/search:",
        )
        models = list(dict.fromkeys([*queries.stored_models(), *filter(None, [given("model")])]))
        write = follow("model", None, models)
        model = st.selectbox(
            "Model",
            models,
            index=None,
            key="model",
            on_change=write,
            accept_new_options=True,
            placeholder="All models",
        )
        age = st.selectbox(
            "Stored",
            list(AGES),
            key="entries_age",
            bind="query-params",
        )
        namespace = choose_namespace(or_all=True)
        hits = st.selectbox(
            "Served",
            list(HITS),
            key="entries_hits",
            bind="query-params",
            help="How often it was a hit since the key was first stored. Most served first.",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        in_answers = st.toggle("Search answers too", key="in_answers", bind="query-params")
        hidden = st.toggle(
            "Show invalidated",
            key="entries_hidden",
            bind="query-params",
            help="They stay until a worker deletes them, and are never served.",
        )
        pinned = st.toggle("Pinned only", key="entries_pinned", bind="query-params")
        folded = st.popover(
            "TTL class and tag", icon=":material/tune:", type="tertiary", key="entries-more", on_change="rerun"
        )
        with folded:
            ttl_class = st.selectbox(
                "TTL class",
                _ttl_classes(),
                index=None,
                key="ttl_class",
                bind="query-params",
                accept_new_options=True,
                placeholder="All classes",
            )
            known = queries.tags_to_choose(namespace) if folded.open else []
            asked = str(st.session_state.get("tag") or given("tag"))
            tag = st.selectbox(
                "Tag",
                list(dict.fromkeys([*filter(None, [asked]), *known])),
                index=None,
                key="tag",
                bind="query-params",
                accept_new_options=True,
                placeholder="doc:123",
            )
    return Filters(
        namespace=namespace,
        text=(text or "").strip(),
        in_answers=in_answers,
        model=model or None,
        age=age,
        ttl_class=ttl_class or None,
        tag=(tag or "").strip(),
        hits=hits,
        pinned=pinned,
        hidden=hidden,
    )


@st.cache_data(ttl=600, show_spinner=False)
def _ttl_classes() -> list[str]:
    """Classes that the rules in force may give."""
    return sorted(ttl_policy(context.services().settings).classes())
