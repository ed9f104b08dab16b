"""The filters of the Entries page: which entries are looked for, as the controls and the URL say it."""

from __future__ import annotations

from typing import Any

import msgspec
import streamlit as st

from core.bootstrap import ttl_policy
from core.entries import EntryFilter
from pages.components.data import context

ANY_TIME = "any time"
AGES: dict[str, tuple[float | None, float | None]] = {
    ANY_TIME: (None, None),
    "last hour": (None, 3600),
    "last day": (None, 86_400),
    "last 7 days": (None, 7 * 86_400),
    "more than 1 hour ago": (3600, None),
    "more than 1 day ago": (86_400, None),
    "more than 7 days ago": (7 * 86_400, None),
}
"""What an age is called: at least, and at most so many seconds ago."""

ANY_HITS = "any number"
NEVER_HIT = "never served"
HITS: dict[str, int] = {ANY_HITS: 0, "once or more": 1, "10 times or more": 10, "100 times or more": 100, NEVER_HIT: 0}
"""What a number of hits is called, and how many that are at least."""

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


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The controls as they stand: an age has no cut-off before it is used."""

    namespace: str
    text: str = ""
    in_answers: bool = False
    model: str | None = None
    age: str = ANY_TIME
    ttl_class: str | None = None
    tag: str = ""
    hits: str = ANY_HITS
    pinned: bool = False
    hidden: bool = False

    def where(self, now: float) -> EntryFilter:
        """The filter as of now."""
        at_least, at_most = AGES[self.age]
        return EntryFilter(
            text=self.text,
            in_answers=self.in_answers,
            model=self.model,
            created_before=now - at_least if at_least is not None else None,
            created_after=now - at_most if at_most is not None else None,
            ttl_class=self.ttl_class,
            tags=(self.tag,) if self.tag else (),
            fewest_hits=HITS[self.hits],
            never_hit=self.hits == NEVER_HIT,
            pinned=self.pinned,
            invalidated=self.hidden,
        )

    @property
    def choose(self) -> bool:
        """Whether anything but the namespace is chosen."""
        return self != Filters(namespace=self.namespace, hidden=self.hidden, in_answers=self.in_answers)

    def criteria(self) -> dict[str, Any] | None:
        """The form of an invalidation that matches the same, by control; None where it knows no such criterion."""
        at_least, at_most = AGES[self.age]
        if not self.choose or at_most is not None or self.ttl_class or (self.text and self.in_answers):
            return None
        if self.pinned or self.hits != ANY_HITS:
            return None
        fields: dict[str, tuple[str, object]] = {}
        if self.model:
            fields["model"] = ("criteria-model", self.model)
        if at_least is not None:
            fields["age"] = ("criteria-age", at_least / 3600)
        if self.text:
            fields["keywords"] = ("criteria-keywords", [self.text])
        if self.tag:
            fields["tags"] = ("criteria-tags", [self.tag])
        chosen: dict[str, Any] = dict(fields.values())
        return chosen | {
            "criteria-selectors": list(fields),
            "criteria-namespace": self.namespace,
            "criteria-unit": "hours",
            "criteria-linked": True,
        }


def fill_from_link() -> None:
    """`?model=`, `?namespace=`, `?tag=` and `?ttl_class=` fill the controls, which have longer names in the URL."""
    for name, control in LINKED.items():
        value = st.query_params.get(name)
        if value:
            del st.query_params[name]
            st.session_state[control] = st.query_params[control] = value[:256]


def clear() -> None:
    """Empties all of them; the namespace stays."""
    for key, value in CLEARED.items():
        st.session_state[key] = value


def filters() -> Filters:
    """Draws the controls."""
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
            context.stored_models(),
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
        namespace = st.selectbox(
            "Namespace", context.namespaces(), key="entries_namespace", bind="query-params", accept_new_options=True
        )
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
