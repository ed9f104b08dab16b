"""Requests: the latest ones one by one, with the outcome of each and its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import streamlit as st

from core.entries import reasons
from core.metrics import KEEP, MAX_PROMPT, RequestFilter, RequestRecord
from core.models import OutcomeKind
from pages.components.data import queries
from pages.components.data.readings import Reading
from pages.components.data.view import ON_REQUESTS, View
from pages.components.display import outcomes, tables
from pages.components.display.figures import UNKNOWN, clock, many, milliseconds, money, sentence
from pages.components.display.namespaces import named, told
from pages.components.display.placeholder import placeholder
from pages.components.display.text import literal, visible
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.view_controls import choose_view

SECONDS = 5

OUTCOMES: dict[str, RequestFilter] = {
    "all": RequestFilter(),
    "hit": RequestFilter(kind=OutcomeKind.HIT),
    **{look.words: RequestFilter(kind=OutcomeKind.HIT, detail=detail) for detail, look in outcomes.HITS.items()},
    "miss": RequestFilter(kind=OutcomeKind.MISS),
    "bypass": RequestFilter(kind=OutcomeKind.BYPASS),
    "error": RequestFilter(kind=OutcomeKind.ERROR),
}

TEXTS = {"reason": "Why", "ttl_class": "TTL class", "key": "Key"}
NUMBERS = {"slower": "Waited at least", "since": "From", "until": "Until"}
"""Filters that only links set, with their words: parameters of the URL."""


def page() -> None:
    if not frame("Requests", "The latest requests one by one: the outcome of each, and why."):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = choose_view(ON_REQUESTS)
        live = st.toggle(
            "Live", value=False, key="requests_live", bind="query-params", help="Reads new requests every few seconds."
        )
    chosen = st.pills("Outcome", list(OUTCOMES), default="all", key="outcome", bind="query-params", required=True)
    texts, numbers = linked_filters()
    st.fragment(listing, run_every=SECONDS if live else None)(view, chosen or "all", texts, numbers)


def linked_filters() -> tuple[dict[str, str], dict[str, float]]:
    """Draws the filters that a link set, each with a button that removes it; returns texts and numbers by name."""
    texts = {name: st.query_params[name][:200] for name in TEXTS if st.query_params.get(name)}
    numbers: dict[str, float] = {}
    for name in NUMBERS:
        try:
            value = float(st.query_params.get(name, ""))
        except ValueError:
            continue
        if 0 <= value < 1e11:  # no other moment has a date
            numbers[name] = value
    if texts or numbers:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Only:", width="content")
            for name, text in texts.items():
                words = outcomes.reason_words(text) if name == "reason" else text
                _removable(name, f"{TEXTS[name]}: {literal(words, 40)}")
            for name, value in numbers.items():
                _removable(name, f"{NUMBERS[name]} {milliseconds(value) if name == 'slower' else clock(value)}")
    return texts, numbers


def _removable(name: str, words: str) -> None:
    st.button(words, key=f"no-{name}", icon=":material/close:", on_click=_remove, args=(name,))


def _remove(name: str) -> None:
    st.query_params.pop(name, None)


def listing(view: View, chosen: str, texts: dict[str, str], numbers: dict[str, float]) -> None:
    """Draws the requests that match, and the selected one."""
    reading = read(view, chosen, texts, numbers)
    if reading.value is None:
        nothing_yet(reading)
        return
    records = reading.value
    if not records:
        nothing_found()
        return
    st.caption(f"{many(len(records), 'request')}, the latest first, read at {clock(reading.read_at)}.")
    table = tables.requests(records, queries.naming(record.namespace for record in records))
    event: Any = st.dataframe(
        table,
        column_config=tables.REQUEST_COLUMNS,
        column_order=tables.REQUESTS_SHOWN,
        hide_index=True,
        height=min(420, 38 + 35 * len(records)),
        key="requests",
        alt="Latest requests",
        placeholder=UNKNOWN,
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = [row for row in event.selection.rows if row < len(records)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download CSV", tables.csv(table), "requests.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
        if len(records) == queries.MOST_REQUESTS:
            st.button(
                "Older ones", key="older", icon=":material/history:", on_click=_show_before, args=(records[-1].at,)
            )
        if not rows:
            st.caption("Select a row to see all of a request.", width="content")
    if rows:
        detail(records[rows[0]])


def _show_before(at: float) -> None:
    st.query_params["until"] = repr(at)


def read(view: View, chosen: str, texts: dict[str, str], numbers: dict[str, float]) -> Reading[list[RequestRecord]]:
    """The latest requests that match all filters."""
    where = msgspec.structs.replace(
        OUTCOMES[chosen],
        namespace=view.namespace,
        model=view.model,
        reason=texts.get("reason"),
        ttl_class=texts.get("ttl_class"),
        key=texts.get("key"),
        slower_than_ms=numbers.get("slower"),
        starts_at=numbers.get("since"),
        ends_at=numbers.get("until"),
    )
    return queries.requests(where, view.window.seconds)


def nothing_found() -> None:
    """Draws the page without a match: what to do instead."""
    text = f"The log keeps the latest {KEEP:,} requests, at most a week. Choose a longer range, or other filters."
    placeholder(":material/search_off: **No matching request**", text)


def detail(record: RequestRecord) -> None:
    """Draws one request, with links to its entry and to the playground."""
    look = outcomes.look(record.kind, record.detail)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(look.words, icon=look.icon, color=look.colour)
            if record.stale:
                st.badge("stale", icon=":material/history:", color="orange")
            st.caption(clock(record.at), width="stretch")
            _links(record)
        st.markdown(outcomes.why(record.kind, record.detail, record.reason))
        if record.not_stored and (why := reasons.why_not_stored(record.not_stored)):
            st.markdown(f"The answer was not stored. {why}")
        if record.forgone:
            st.markdown(outcomes.why_forgone(record.forgone))
        if record.prompt is None:
            st.caption("Its prompt was not kept, or may not be shown (`ENCORE_RECORD_PROMPTS`).")
        else:
            st.code(visible(record.prompt), language=None, wrap_lines=True)
        st.caption(sentence(" · ".join(_facts(record))), help=told(record.namespace, queries.naming()))
        if record.key:
            st.code(record.key, language=None)


def _facts(record: RequestRecord) -> list[str]:
    facts = [
        f"model {literal(record.model)}",
        f"namespace {named(record.namespace, queries.naming())}",
        f"waited {milliseconds(record.latency_ms)}",
        f"cache {milliseconds(record.lookup_ms)}",
    ]
    if record.provider_ms:
        facts.append(f"provider {milliseconds(record.provider_ms)}")
    if record.kind is OutcomeKind.ERROR and record.reason:
        facts.append(f"raised {literal(record.reason)}")
    if record.similarity is not None:
        facts.append(f"similarity {record.similarity:.3f}")
    if record.ttl_class:
        facts.append(f"TTL class {literal(record.ttl_class.replace('_', ' '))}")
    if record.kind is OutcomeKind.HIT:
        facts.append(f"saved {milliseconds(record.saved_ms)} and {money(record.saved_cost_usd)}")
    elif record.cost_usd is not None:
        facts.append(f"cost {money(record.cost_usd)}")
    return facts


def _links(record: RequestRecord) -> None:
    # A miss that was stored stands at its key, a hit by other words at the key of what it found.
    is_stored = record.kind is OutcomeKind.HIT or record.stored
    if record.key and is_stored and st.button("Open the entry", key="to-entry", icon=":material/database:"):
        st.switch_page("pages/entries.py", query_params={"key": record.key, "entries_namespace": record.namespace})
    # What was cut off would be another question.
    is_whole = record.prompt and len(record.prompt) < MAX_PROMPT
    if is_whole and st.button("Ask in the playground", key="to-playground", icon=":material/chat:"):
        # Not in the URL: it would be in logs and histories.
        st.session_state["prompt"] = record.prompt
        st.switch_page("pages/playground.py", query_params={})


page()
