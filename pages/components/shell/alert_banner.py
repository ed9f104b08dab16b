"""The alerts that fire, on every page: what, since when, and a link to the page that helps."""

from __future__ import annotations

import streamlit as st

from core.monitoring import Alert, Severity
from pages.components.data import context, queries
from pages.components.display.figures import clock, duration
from pages.components.display.links import Link
from pages.components.display.text import plain
from pages.components.shell.address import visit

START_WORKERS = "python -m workers"
"""The command that starts a pool of workers."""


FAILING_WORKERS = "Workers keep ending as soon as they start, and their log says why"
"""What a page says in place of how to start workers."""

LINKS = {
    "error-rate": Link("Show failed requests", parameters={"outcome": "error"}),
    "hit-rate": Link("Show misses", parameters={"outcome": "miss"}),
    "no-worker": Link("Open Workers", "pages/workers.py"),
    **dict.fromkeys(("memory", "servers-down", "distance", "rights", "clock"), Link("Open Health", "pages/health.py")),
    "bans": Link("Open Invalidations", "pages/invalidations.py"),
}
"""By alert. The banner of the page itself says when Redis is down."""


def firing() -> list[Alert]:
    """The alerts that fire now; empty while they cannot be read."""
    return queries.alerts().value or []


def draw(alert: Alert) -> None:
    """Draws an alert, with a link to the page that helps."""
    since = f"Since {clock(alert.since)} ({duration(max(0.0, context.now() - alert.since))})."
    words = f"**Alert.** {plain(alert.sentence)} {since}"
    if alert.name == "no-worker" and not queries.failing_pools():
        words += f" Start workers: `{START_WORKERS}`"
    show = st.error if alert.severity is Severity.CRITICAL else st.warning
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        show(words, icon=":material/notification_important:", width="stretch")
        link = LINKS.get(alert.name)
        if link is not None and st.button(link.words, key=f"alert-{alert.name}", icon=":material/arrow_forward:"):
            visit(link.page, link.parameters)
