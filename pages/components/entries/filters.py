"""The controls that choose entries, kept in the URL for links."""

from __future__ import annotations

import streamlit as st

from core.bootstrap import ttl_policy
from pages.components.data import context, queries
from pages.components.data.entry_filters import AGES, ANY_HITS, ANY_TIME, HITS, Filters
from pages.components.shell.namespace_choice import choose_namespace

LINKED = {"model": "entries_model", "namespace": "entries_namespace", "tag": "entries_tag", "ttl_class": "entries_ttl"}
"""Short names that a link may use, and the control that each of them fills."""

CLEARED: dict[str, object] = {
    "q": "",
    "in_answers": False,
    "entries_model": None,
    "entries_age": ANY_TIME,
    "entries_ttl": None,
    "entries_tag": "",
    "entries_hits": ANY_HITS,
    "entries_pinned": False,
    "entries_hidden": False,
}
"""Controls that choose among the entries of a namespace, and their values when nothing is chosen."""


def fill_from_link() -> None:
    """`?model=`, `?namespace=`, `?tag=` and `?ttl_class=` fill the controls, which have longer names in the URL."""
    for name, control in LINKED.items():
        value = st.query_params.get(name)
        if value:
            del st.query_params[name]
            st.session_state[control] = st.query_params[control] = value[:256]


def clear() -> None:
    """Clears all filters but the namespace."""
    for key, value in CLEARED.items():
        st.session_state[key] = value


def filters() -> Filters:
    """Draws the controls; returns the filters they choose."""
    with st.grid(5, min_column_width=130, gap="small"):
        text = st.text_input(
            "Text",
            key="q",
            bind="query-params",
            type="search",
            placeholder="Words or a key",
            help="Looked for in the prompts, or whole: the key of one entry. Case does not count.",
            max_chars=200,
            icon=":material/search:",
        )
        model = st.selectbox(
            "Model",
            queries.stored_models(),
            index=None,
            key="entries_model",
            bind="query-params",
            accept_new_options=True,
            placeholder="All models",
        )
        age = st.selectbox(
            "Stored",
            list(AGES),
            key="entries_age",
            bind="query-params",
        )
        namespace = choose_namespace(queries.namespaces(), key="entries_namespace", others=True)
        hits = st.selectbox(
            "Served",
            list(HITS),
            key="entries_hits",
            bind="query-params",
            help="Hits of an answer since its key was first stored; the most served come first.",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        in_answers = st.toggle("Search answers too", key="in_answers", bind="query-params")
        hidden = st.toggle(
            "Show invalidated",
            key="entries_hidden",
            bind="query-params",
            help="They are there until a worker deletes them, and are never served.",
        )
        pinned = st.toggle("Pinned only", key="entries_pinned", bind="query-params")
        with st.popover("TTL class and tag", icon=":material/tune:", type="tertiary"):
            ttl_class = st.selectbox(
                "TTL class",
                _ttl_classes(),
                index=None,
                key="entries_ttl",
                bind="query-params",
                accept_new_options=True,
                placeholder="All classes",
            )
            tag = st.text_input("Tag", key="entries_tag", bind="query-params", placeholder="doc:123", max_chars=256)
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
