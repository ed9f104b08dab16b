"""The card that says what changed the hit rate, and whether hits are lost because requests differ in their scopes."""

from __future__ import annotations

import streamlit as st

from core.metrics import SYSTEM_PROMPTS, ChangePart, HitRateChange, NamespaceScopes, Scopes
from core.namespaces import Naming
from pages.components.data import changes, queries
from pages.components.data.view import View
from pages.components.display.figures import UNKNOWN, clock, duration, many, points, share
from pages.components.display.links import REQUESTS
from pages.components.display.namespaces import named
from pages.components.display.text import literal, plain
from pages.components.shell.address import carried

MOST = 3
LEAST = 0.005
"""A part is told from half a point on."""


def changed(view: View, compare: bool) -> None:
    """Draws the card: against the window before with `compare`, and of the latest requests."""
    now = queries.summary(view).value
    if now is None or not now.requests:
        return
    change = changes.change(view).value if compare else None
    scopes = changes.scopes(view).value
    told = scopes.told if scopes is not None else ()
    if not told and (change is None or change.change is None):
        return
    naming = queries.naming()
    with st.container(border=True, gap="xxsmall", key="changed"):
        if change is not None:
            _against_before(change, view, naming)
        if scopes is not None and told:
            for one in told[:MOST]:
                _scopes_of(one, naming)
            _of_which(scopes)


def _against_before(change: HitRateChange, view: View, naming: Naming) -> None:
    before = f"the {duration(view.window.seconds)} before"
    if change.change is None:
        # The latest seconds may not be written yet: they are in neither window.
        there = f" Hit rate {share(change.now.hit_rate)}, no lookups in {before}." if change.now.count else ""
        st.markdown(f"**What changed**{there}")
        return
    rates = f"{share(change.before.hit_rate)} → {share(change.now.hit_rate)}"
    st.markdown(f"**What changed** Hit rate {rates}: {_coloured(change.change)} against {before}.")
    parts = [part for part in change.by("namespace", "model", "reason") if abs(part.change) >= LEAST]
    for part in parts[:MOST]:
        _row(_words(part, change, naming), _requests_of(part))
    if len(parts) > MOST:
        rest = sum(part.change for part in parts[MOST:])
        st.caption(f"{many(len(parts) - MOST, 'smaller part')} more, together {points(rest)}.")


def _row(words: str, parameters: dict[str, str]) -> None:
    """A sentence, and beside it the link to the requests that it is of: a link itself would not break on a phone."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall"):
        st.markdown(words, width="stretch")
        st.page_link(REQUESTS, label=":small[:blue[Requests]]", query_params=carried(parameters))


def _words(part: ChangePart, change: HitRateChange, naming: Naming) -> str:
    why = plain(change.why(part))
    return f"{_coloured(part.change)} {named(part.namespace or '', naming)} · {literal(part.model or '')}: {why}"


def _coloured(change: float) -> str:
    colour = "green" if change >= LEAST else "red" if change <= -LEAST else "gray"
    return f":{colour}[{points(change)}]"


def _requests_of(part: ChangePart) -> dict[str, str]:
    """The filters that show the requests of a part."""
    found = {"namespace": part.namespace or "", "model": part.model or ""}
    if not part.is_mix:
        found |= {"outcome": "miss", "reason": part.reason or ""}
    return {name: value for name, value in found.items() if value}


def _scopes_of(one: NamespaceScopes, naming: Naming) -> None:
    words = f":material/call_split: {named(one.namespace, naming)}: {plain(one.in_words)}."
    _row(words, {"namespace": one.namespace, "outcome": "miss"})
    if one.apart.system_prompt is not None:
        before, now = (literal(text, 200) for text in one.apart.system_prompt)
        st.caption(f"One system prompt: {before}  \nThe next: {now}")


def _of_which(scopes: Scopes) -> None:
    since = UNKNOWN if scopes.since is None else clock(scopes.since)
    words = (
        f"Counted in the latest {many(scopes.looked_at, 'request')}, since {since}. An answer is served in its "
        "own scope only."
    )
    if len(scopes.told) > MOST:
        words = f"And {many(len(scopes.told) - MOST, 'namespace')} more. {words}"
    if any(SYSTEM_PROMPTS.intersection(one.apart.differs[:1]) for one in scopes.told):
        words += (
            " Keep what changes by itself, such as the time, out of the system prompt, or send it with the question."
        )
    st.caption(words)
