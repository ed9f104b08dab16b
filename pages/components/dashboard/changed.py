"""The card that says what changed the hit rate, and whether hits are lost because requests differ in their scopes."""

from __future__ import annotations

import streamlit as st

from core.metrics import LEAST, MIX, SYSTEM_PROMPTS, Cause, HitRateChange, Scopes, causes_of
from core.namespaces import Naming
from pages.components.data import changes, queries
from pages.components.data.view import View
from pages.components.display.figures import UNKNOWN, clock, duration, many, points, share
from pages.components.display.links import REQUESTS
from pages.components.display.namespaces import named
from pages.components.display.text import literal, plain
from pages.components.shell.address import carried

MOST = 3


def changed(view: View, compare: bool, *, first: bool) -> None:
    """Draws the card: against the window before with `compare`, and of the latest requests.

    The page has two places for it: `first`, above the figures, where a cause is known that has lost hits and has not
    ended; else the one below them.
    """
    now = queries.summary(view).value
    if now is None or not now.requests:
        return
    change = changes.change(view).value if compare else None
    scopes = changes.scopes(view).value or Scopes(looked_at=0, since=None)
    if not scopes.told and (change is None or change.change is None):
        return
    causes = causes_of(change, scopes, clock)
    if first != any(cause.is_urgent for cause in causes[:1]):
        return
    naming = queries.naming()
    with st.container(border=True, gap="xxsmall", key="changed"):
        _rates(change, view)
        told = [cause for cause in causes if cause.is_told]
        for cause in told[:MOST]:
            _cause(cause, naming)
        rest = [*told[MOST:], *(cause for cause in causes if not cause.is_told)]
        if rest and change is not None and change.change is not None:
            together = points(sum(cause.change or 0.0 for cause in rest))
            st.caption(f"{many(len(rest), 'other part')} more, together {together}.")
        if scopes.told:
            _of_which(scopes)


def _rates(change: HitRateChange | None, view: View) -> None:
    if change is None:
        st.markdown("**What changed**")
        return
    before = f"the {duration(view.window.seconds)} before"
    if change.change is None:
        # The latest seconds may not be written yet: they are in neither window.
        there = f" Hit rate {share(change.now.hit_rate)}, no lookups in {before}." if change.now.count else ""
        st.markdown(f"**What changed**{there}")
        return
    rates = f"{share(change.before.hit_rate)} → {share(change.now.hit_rate)}"
    st.markdown(f"**What changed** Hit rate {rates}: {_coloured(change.change)} against {before}.")


def _cause(cause: Cause, naming: Naming) -> None:
    change = "" if cause.change is None else f"{_coloured(cause.change)} "
    name = named(cause.namespace, naming)
    whom = name if cause.model is None else f"{name} · {literal(cause.model)}"
    headline = f"**{plain(cause.headline)}**. " if cause.headline else ""
    _row(f"{change}{whom}: {headline}{plain(cause.details)}.", _requests_of(cause))
    if cause.system_prompt is not None:
        before, now = (literal(text, 200) for text in cause.system_prompt)
        st.caption(f"One system prompt: {before}  \nThe next: {now}")


def _row(words: str, parameters: dict[str, str]) -> None:
    """A sentence, and beside it the link to the requests that it is of: a link itself would not break on a phone."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall"):
        st.markdown(words, width="stretch")
        st.page_link(REQUESTS, label=":small[:blue[Requests]]", query_params=carried(parameters))


def _coloured(change: float) -> str:
    colour = "green" if change >= LEAST else "red" if change <= -LEAST else "gray"
    return f":{colour}[{points(change)}]"


def _requests_of(cause: Cause) -> dict[str, str]:
    """The filters that show the requests of a cause."""
    found = {"namespace": cause.namespace, "model": cause.model or ""}
    if cause.reason != MIX:
        found |= {"outcome": "miss", "reason": cause.reason or ""}
    return {name: value for name, value in found.items() if value}


def _of_which(scopes: Scopes) -> None:
    since = UNKNOWN if scopes.since is None else clock(scopes.since)
    words = (
        f"Counted in the latest {many(scopes.looked_at, 'request')}, since {since}. An answer is served in its "
        "own scope only."
    )
    if any(SYSTEM_PROMPTS.intersection(one.apart.differs[:1]) for one in scopes.told):
        words += (
            " Keep what changes by itself, such as the time, out of the system prompt, or send it with the question."
        )
    st.caption(words)
