"""Requests: the latest ones one by one, with the outcome of each and its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd
import streamlit as st

from core.entries import MAX_ANSWER
from core.metrics import KEEP, MAX_PROMPT, MAX_TEXT, RequestFilter, RequestRecord, reasons
from core.models import OutcomeKind
from pages.components.data import changes, context, queries
from pages.components.data.held import held, look_again
from pages.components.data.readings import Reading
from pages.components.display import outcomes, tables
from pages.components.display.answers import show_answer
from pages.components.display.figures import clock, many, milliseconds, money, sentence
from pages.components.display.links import FOUND_REQUESTS
from pages.components.display.namespaces import named, told
from pages.components.display.placeholder import placeholder
from pages.components.display.selectable import selectable, selected
from pages.components.display.text import literal, plain, visible
from pages.components.shell.address import ID, close, follow_selection, given, select, visit
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.view_controls import choose_view, say_filter

SECONDS = 5

TABLE = "requests"
HELD = "requests-held"

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
        view = choose_view()
        live = st.toggle(
            "Live",
            value=False,
            key="requests_live",
            bind="query-params",
            help="Read new requests every few seconds.",
            disabled=view.window.has_ended,
        )
    live = live and not view.window.has_ended
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.pills("Outcome", list(OUTCOMES), default="all", key="outcome", bind="query-params", required=True)
        text = find_field()
    say_filter(view)
    texts, numbers = linked_filters()
    begins_at = ends_at = None
    if view.window.has_ended:
        begins_at, ends_at = view.window.begins_at, view.window.ends_at
    where = msgspec.structs.replace(
        OUTCOMES[chosen or "all"],
        namespace=view.namespace,
        model=view.model,
        text=text,
        reason=texts.get("reason"),
        ttl_class=texts.get("ttl_class"),
        key=texts.get("key"),
        slower_than_ms=numbers.get("slower"),
        starts_at=numbers.get("since", begins_at),
        ends_at=numbers.get("until", ends_at),
    )
    st.fragment(listing, run_every=SECONDS if live else None)(where, view.window.seconds, live)


def find_field() -> str | None:
    """Draws the field for a text; returns that, None without one.

    It may be a prompt or a name: it is kept with the session, and never in the URL.
    """
    text: str = st.text_input(
        "Find",
        key=FOUND_REQUESTS,
        persist_state="session",
        type="search",
        placeholder="Prompt, user, key or id",
        help="Searches the start of the prompt, the user, the request id, the caller and the key, where they are "
        "kept. Case does not count.",
        max_chars=MAX_TEXT,
        icon=":material/search:",
        width=260,
    )
    return text.strip() or None


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
                words = reasons.in_few_words(text) if name == "reason" else text
                _removable(name, f"{TEXTS[name]}: {literal(words, 40)}")
            for name, value in numbers.items():
                _removable(name, f"{NUMBERS[name]} {milliseconds(value) if name == 'slower' else clock(value)}")
    return texts, numbers


def _removable(name: str, words: str) -> None:
    st.button(words, key=f"no-{name}", icon=":material/close:", on_click=_remove, args=(name,))


def _remove(name: str) -> None:
    st.query_params.pop(name, None)


def listing(where: RequestFilter, seconds: int, live: bool) -> None:
    """Draws the requests that match, and the selected one beside them."""
    reading = held(
        HELD,
        (where, seconds),
        lambda: queries.requests(where, seconds),
        is_selected=bool(selected(TABLE)),
        is_live=live,
    )
    if reading.value is None:
        nothing_yet(reading)
        return
    listed = reading.value
    _read_at(reading, len(listed), waits=live and bool(selected(TABLE)))
    if not listed:
        nothing_found(where)
        return
    follow_selection(TABLE)
    linked = [record.id for record, _ in listed if record.id == given(ID)]
    # One column or two: the table stays where it is when a card appears beside it.
    beside = st.columns([3, 2] if selected(TABLE) or linked else [1])
    with beside[0]:
        table = tables.requests(listed, queries.naming(record.namespace for record, _ in listed))
        chosen = selectable(
            table,
            [record.id for record, _ in listed],
            name=TABLE,
            alt="Latest requests",
            column_config=tables.REQUEST_COLUMNS,
            column_order=tables.REQUESTS_SHOWN if where.namespace else tables.REQUESTS_OF_ALL_SHOWN,
            height=min(420, 38 + 35 * len(listed)),
        )
        select(TABLE, chosen)
        chosen = chosen or linked
        _below(table, listed, is_chosen=bool(chosen))
    for record, answer in listed:
        if record.id in chosen:
            with beside[-1]:
                detail(record, answer)


def _read_at(reading: Reading[Any], count: int, *, waits: bool) -> None:
    """Draws how many there are, when they were read, and the button that reads them again."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{many(count, 'request')}, newest first.", width="content")
        st.button(
            f"Read at {clock(reading.read_at)}",
            key="requests-refresh",
            icon=":material/refresh:",
            type="tertiary",
            help="Read them again. Until then the rows stay as they are.",
            on_click=look_again,
            args=(HELD,),
        )
        if waits:
            st.caption("Live pauses while a row is selected.", width="content")


def _below(table: pd.DataFrame, listed: list[tuple[RequestRecord, str | None]], *, is_chosen: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download CSV", tables.csv(table), "requests.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
        if len(listed) == queries.MOST_REQUESTS:
            st.button(
                "Show older", key="older", icon=":material/history:", on_click=_show_before, args=(listed[-1][0].at,)
            )
        if not is_chosen:
            st.caption("Select a row to see the whole request.", width="content")


def _show_before(at: float) -> None:
    st.query_params["until"] = repr(at)


def nothing_found(where: RequestFilter) -> None:
    """Draws the page without a match: what to do instead."""
    if (latest := queries.latest_request()).value is None and not latest.error:
        placeholder(
            ":material/receipt_long: **No requests yet**",
            "Each request is listed here as it comes. Send one in the playground, or point a client at the gateway.",
            _to_playground,
        )
        return
    text = f"The log keeps the latest {KEEP:,} requests, for a week at most. Choose a longer range, or other filters."
    settings = context.services().settings
    if where.text and not settings.record_prompts:
        text += " Prompts are not kept (`ENCORE_RECORD_PROMPTS`)."
    if where.text and not settings.record_callers:
        text += " Users and request ids are not kept (`ENCORE_RECORD_CALLERS`)."
    placeholder(":material/search_off: **No matching request**", text)


def _to_playground() -> None:
    if st.button("Open the playground", key="first-request", icon=":material/chat:"):
        visit("pages/playground.py")


def detail(record: RequestRecord, answer: str | None) -> None:
    """Draws one request, with links to its entry and to the playground."""
    look = outcomes.look(record.kind, record.detail)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(look.words, icon=look.icon, color=look.colour)
            if record.stale:
                st.badge("stale", icon=":material/history:", color="orange")
            st.caption(clock(record.at), width="stretch")
            st.button(
                "Close", key="request-close", icon=":material/close:", type="tertiary", on_click=close, args=(TABLE,)
            )
        st.markdown(outcomes.why(record.kind, record.detail, record.reason))
        if record.not_stored and (why := reasons.why_not_stored(record.not_stored)):
            st.markdown(f"The answer was not stored. {why}")
        if record.forgone:
            st.markdown(outcomes.why_forgone(record.forgone))
        if record.kind is OutcomeKind.MISS:
            _asked_elsewhere(record)
        if record.prompt is None:
            st.caption("Its prompt was not kept, or may not be shown (`ENCORE_RECORD_PROMPTS`).")
        else:
            st.caption("Prompt")
            st.code(visible(record.prompt), language=None, wrap_lines=True)
        if answer is not None:
            st.caption("Answer" if len(answer) < MAX_ANSWER else "Start of its answer")
            with st.container(border=True, height="content" if len(answer) < 600 else 220):
                show_answer(answer)
        elif record.got_answer_at_key:
            st.caption("The answer that it got is no longer stored.")
        with st.container(horizontal=True, gap="small"):
            _links(record)
        st.caption(sentence(" · ".join(_facts(record))), help=told(record.namespace, queries.naming()))
        if record.key:
            st.code(record.key, language=None)


def _asked_elsewhere(record: RequestRecord) -> None:
    """Draws in how many other scopes the question of a miss was asked, and what differs."""
    apart = changes.asked_elsewhere(record).value
    if apart is None or not apart.scopes:
        return
    scopes = many(apart.scopes, "other scope")
    st.markdown(plain(f"Its question was asked in {scopes} too: {apart.in_words}."))
    if apart.system_prompt is not None:
        one, other = (literal(text, 200) for text in apart.system_prompt)
        st.caption(f"One system prompt: {one}  \nAnother: {other}")


def _facts(record: RequestRecord) -> list[str]:
    facts = [
        f"model {literal(record.model)}",
        f"namespace {named(record.namespace, queries.naming())}",
        f"waited {milliseconds(record.latency_ms)}",
        f"cache {milliseconds(record.lookup_ms)}",
    ]
    if record.caller:
        facts.append(f"caller {literal(record.caller)}")
    if record.user is not None:
        facts.append(f"user {literal(record.user)}")
    if record.request_id is not None:
        facts.append(f"request id {literal(record.request_id, 130)}")
    if record.provider_ms:
        facts.append(f"provider {milliseconds(record.provider_ms)}")
    if record.kind is OutcomeKind.ERROR and record.reason:
        facts.append(f"error {literal(record.reason)}")
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
        visit("pages/entries.py", {ID: record.key, "namespace": record.namespace})
    # What was cut off would be another question.
    is_whole = record.prompt and len(record.prompt) < MAX_PROMPT
    if is_whole and st.button("Ask in the playground", key="to-playground", icon=":material/chat:"):
        # Not in the URL: it would be in logs and histories.
        st.session_state["prompt"] = record.prompt
        visit("pages/playground.py")


page()
