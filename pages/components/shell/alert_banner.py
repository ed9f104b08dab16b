"""The alerts that fire, as every page shows them: in words, since when, and with the way to what can be done."""

from __future__ import annotations

import time

import streamlit as st

from core.monitoring import Alert, Severity
from pages.components.data import queries
from pages.components.display.figures import clock, duration
from pages.components.display.links import Way
from pages.components.display.text import plain

START_WORKERS = "python -m workers"
"""The command that starts a pool of workers."""


WAYS = {
    "error-rate": Way("Show failed requests", parameters={"outcome": "error"}),
    "hit-rate": Way("Show misses", parameters={"outcome": "miss"}),
    "no-worker": Way("Open Workers", "pages/workers.py"),
    "memory": Way("Open Health", "pages/health.py"),
    "bans": Way("Open Invalidations", "pages/invalidations.py"),
}
"""By alert. The banner of the page itself says when Redis is down."""


def firing() -> list[Alert]:
    """The alerts that fire, looked at once every few seconds for all sessions together."""
    return queries.alerts().value or []


def draw(alert: Alert) -> None:
    """One alert."""
    since = f"Since {clock(alert.since)} ({duration(max(0.0, time.time() - alert.since))})."
    words = f"**Alert.** {plain(alert.sentence)} {since}"
    if alert.name == "no-worker":
        words += f" Start workers: `{START_WORKERS}`"
    show = st.error if alert.severity is Severity.CRITICAL else st.warning
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        show(words, icon=":material/notification_important:", width="stretch")
        way = WAYS.get(alert.name)
        if way is not None and st.button(way.words, key=f"alert-{alert.name}", icon=":material/arrow_forward:"):
            st.switch_page(way.page, query_params=way.parameters)
