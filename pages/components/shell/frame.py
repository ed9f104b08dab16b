"""The frame of every page: tab title, logo, heading, connection state, and a banner when something is wrong."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import streamlit as st

from core.access import Action
from core.monitoring import Severity
from core.stores import Refusal, StoreInfo
from pages.components.data import actions, context, queries
from pages.components.data.readings import Reading
from pages.components.display import styles
from pages.components.display.figures import clock, duration, many, zone_words
from pages.components.display.placeholder import placeholder
from pages.components.display.text import literal, plain
from pages.components.server import server_checks
from pages.components.shell import alert_banner, bypass_switch, login, notices
from pages.components.shell.notices import Notice

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FAVICON = str(ASSETS / "favicon.svg")
LOGO = str(ASSETS / "logo.svg")

STATE_SECONDS = 5
HEADING = (2, 3)
"""Widths of the title and of the room beside it."""
HEADING_PIXELS = 150
"""Height of both, in which a notice of four lines has room."""
NO_REDIS = (
    "There is no Redis: entries live in the memory of this console only. Start everything with `make run`, or name a "
    "server in `ENCORE_REDIS_URL`."
)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of Redis and of the workers. `workers` is None when the queue cannot be read."""

    store: StoreInfo | None
    store_read_at: float
    error: str
    failing_since: float
    workers: int | None
    queue_error: str
    queue_refusal: Refusal | None

    @property
    def in_memory(self) -> bool:
        """Whether there is no Redis: entries then live in this console only."""
        return self.store is not None and self.store.kind == "memory"

    @property
    def may_write(self) -> bool:
        """Whether the store takes writes now, as far as is known."""
        return not self.error and (self.store is None or self.store.writable)


def state() -> State:
    """The state now, at most a few seconds old."""
    store, alive, refusal = queries.store_info(), queries.alive_workers(), queries.queue_refusal()
    return State(
        store=store.value,
        store_read_at=store.read_at,
        error=store.error,
        failing_since=context.readings().failing_since,
        workers=None if alive.error else alive.value,
        queue_error=alive.error,
        queue_refusal=None if refusal.error else refusal.value,
    )


def entered() -> None:
    """Notes that `app.py` has run in this session."""
    st.session_state["entered"] = True


def _enter_by_app(title: str) -> None:
    """Has the first link opened after the start run through `app.py` like any other.

    Streamlit takes a folder of this name for an older kind of app, and runs its files by themselves, until
    `st.navigation` has been called once.
    """
    if not st.session_state.get("entered"):
        entered()
        this = st.Page(lambda: None, title=title, url_path=title.lower())
        st.navigation([st.Page(lambda: None, title="Encore", default=True), this], position="hidden")
        st.rerun()


def frame(title: str, lead: str) -> bool:
    """Draws the frame. False when the settings cannot be used: there is nothing else to draw then."""
    _enter_by_app(title)
    st.set_page_config(page_title=f"{title} · Encore", page_icon=FAVICON, layout="wide")
    styles.choices()
    st.logo(LOGO, icon_image=FAVICON, size="large")
    if reasons := server_checks.found():
        st.error("The console refuses to run with this configuration.", icon=":material/gpp_bad:")
        st.code("\n".join(reasons), language=None, wrap_lines=True)
        return False
    actor = context.actor()
    if not actor.may(Action.LOOK):
        login.gate(actor)
        return False
    # What is told beside the title comes and goes without moving what is below.
    heading, beside = st.columns(HEADING, gap="medium")
    with heading, st.container(height=HEADING_PIXELS, border=False, gap="xxsmall"):
        st.title(title, anchor=False)
        st.caption(f"{lead} Times are in {zone_words()}.")
    if problems := context.settings_problems():
        st.error("The console cannot start: its settings cannot be used.", icon=":material/error:")
        st.code(problems, language=None, wrap_lines=True)
        return False
    with st.sidebar:
        _connection()
        bypass_switch.control()
        login.who(actor)
    with beside:
        _banner(title)
    return True


@st.fragment(run_every=STATE_SECONDS)
def _connection() -> None:
    if not context.actor().may(Action.LOOK):  # the login has ended: what is on the screen goes too
        st.rerun()
    now = state()
    settings = context.services().settings
    with st.container(gap="xsmall"):
        st.caption("Connection")
        if now.error:
            st.badge("Redis does not answer", icon=":material/error:", color="red")
        elif now.in_memory:
            st.badge("No Redis: in memory", icon=":material/memory:", color="orange")
        elif now.store is not None:
            st.badge(
                f"{now.store.product or 'Redis'} {_version(now.store)}".strip(),
                icon=":material/check_circle:",
                color="green",
            )
        if now.queue_refusal is not None:
            st.badge("Workers wait", icon=":material/hourglass_empty:", color="orange")
        elif now.workers is None:
            st.badge("Workers unknown", icon=":material/help:", color="gray")
        elif now.workers:
            st.badge(many(now.workers, "worker"), icon=":material/check_circle:", color="green")
        else:
            st.badge("No worker", icon=":material/warning:", color="orange")
        bypass_switch.badge()
        if settings.uses_demo_model:
            st.badge("Demo model", icon=":material/science:", color="violet")
        else:
            st.badge("Real provider", icon=":material/cloud:", color="blue")


@st.fragment(run_every=STATE_SECONDS)
def _banner(page: str) -> None:
    now = state()
    if now.error:
        words = f"{plain(now.error)}, since {clock(now.failing_since)} ({duration(time.time() - now.failing_since)}). "
        if now.store is not None:
            words += f"You see the last values, read at {clock(now.store_read_at)}. "
        words += "Requests go on to the provider, uncached. This page tries again every few seconds."
        notices.draw([Notice(words=words, icon=":material/cloud_off:", severity=Severity.CRITICAL)])
        return
    alerts = [] if now.in_memory else [alert_banner.notice(alert, page) for alert in alert_banner.firing()]
    notices.draw(
        [
            *(alert for alert in alerts if alert.severity is Severity.CRITICAL),
            *bypass_switch.notices(),
            *(Notice(words=problem, icon=":material/warning:") for problem in _problems(now)),
            *(alert for alert in alerts if alert.severity is not Severity.CRITICAL),
        ]
    )
    if (last := actions.last("bypass")) is not None and last.ending is not actions.Ending.DONE:
        actions.show_last("bypass")  # that it was done is seen above


def _problems(now: State) -> list[str]:
    """Problems that an operator should know about, one sentence each."""
    store = now.store
    if store is None:
        return []
    if now.in_memory:
        return [NO_REDIS]
    problems = []
    if store.policy.startswith("allkeys"):
        problems.append(
            f"Redis evicts any key when memory is full ({literal(store.policy)}): jobs and invalidation records may be "
            "lost. Set `maxmemory-policy` to `volatile-lru` or `noeviction`."
        )
    if now.queue_error:
        problems.append(f"The job queue cannot be read: {plain(now.queue_error)}.")
    return problems


def _version(store: StoreInfo) -> str:
    return "".join(character for character in store.version if character in "0123456789.")


def nothing_yet(reading: Reading[Any]) -> None:
    """Draws a note in place of a part whose values have never been read."""
    reason = plain(reading.error or "Nothing could be read")
    placeholder(":material/cloud_off: **No values yet**", f"{reason}. They appear when Redis answers.")
