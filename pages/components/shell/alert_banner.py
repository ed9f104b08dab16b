"""The alerts that fire, on every page: what, since when, and a button that helps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.monitoring import Alert
from pages.components.data import context, queries
from pages.components.display.figures import clock, duration
from pages.components.display.links import Link
from pages.components.display.text import plain
from pages.components.shell import bypass_switch
from pages.components.shell.address import visit
from pages.components.shell.notices import Notice

START_WORKERS = "python -m workers"
"""The command that starts a pool of workers."""


FAILING_WORKERS = "Workers keep stopping right after they start: their log says why"
"""What a page says in place of how to start workers."""

LINKS = {
    "error-rate": Link("Show failed requests", parameters={"outcome": "error"}),
    "hit-rate": Link("Show misses", parameters={"outcome": "miss"}),
    "no-worker": Link("Open Workers", "pages/workers.py"),
    **dict.fromkeys(("memory", "servers-down", "distance", "rights", "clock"), Link("Open Health", "pages/health.py")),
    "bans": Link("Open Invalidations", "pages/invalidations.py"),
    "judge": Link("Open Quality", "pages/quality.py"),
}
"""By alert. The banner of the page itself says when Redis is down."""


def firing() -> list[Alert]:
    """The alerts that fire now; empty while they cannot be read."""
    return queries.alerts().value or []


def notice(alert: Alert, page: str) -> Notice:
    """An alert as a notice on a page, by its title."""
    words = f"**Alert.** {plain(alert.sentence)}"
    if alert.name == "no-worker" and not queries.failing_pools():
        words += f" Start workers: `{START_WORKERS}`"
    words += f" Since {clock(alert.since)} ({duration(max(0.0, context.now() - alert.since))})."
    return Notice(
        words=words, icon=":material/notification_important:", severity=alert.severity, act=_button(alert.name, page)
    )


def _button(name: str, page: str) -> Callable[[], None] | None:
    """What draws the button that helps against an alert; None where the page itself does."""
    if name == "writes-refused":
        return bypass_switch.button_in_banner
    link = LINKS.get(name)
    if link is None or link.page.endswith(f"/{page.lower()}.py"):
        return None
    return partial(_open, name, link)


def _open(name: str, link: Link) -> None:
    if st.button(link.words, key=f"alert-{name}", icon=":material/arrow_forward:"):
        visit(link.page, link.parameters)
