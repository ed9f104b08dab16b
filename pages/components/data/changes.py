"""What the console reads to say what changed: against the window before, and in the scopes of the latest requests."""

from __future__ import annotations

from typing import Literal

from core.metrics import Apart, HitRateChange, RequestFilter, RequestRecord, Scopes, Summary
from pages.components.data import context
from pages.components.data.context import readings
from pages.components.data.queries import once_a_step
from pages.components.data.readings import shared
from pages.components.data.view import View

SCOPES_SECONDS = 20
"""The whole request log is read at most this often: summing it up takes tens of milliseconds."""


@shared(readings, max_age=once_a_step)
def change(view: View) -> HitRateChange:
    """What changed the hit rate from the window before to this one."""
    window = view.window
    return context.services().metrics.change(
        window.seconds, ends_at=window.ends_at, namespace=view.namespace, model=view.model
    )


@shared(readings, max_age=SCOPES_SECONDS)
def scopes(view: View) -> Scopes:
    """How many scopes each namespace asks in, of the latest requests in the window."""
    window, now = view.window, context.now()
    ends_at = now if window.ends_at is None else min(window.ends_at, now)
    where = RequestFilter(
        namespace=view.namespace, model=view.model, starts_at=ends_at - window.seconds, ends_at=window.ends_at
    )
    return context.services().metrics.scopes(where)


@shared(readings, max_age=once_a_step)
def summaries_before(view: View, by: Literal["model", "namespace"]) -> dict[str, Summary]:
    """The figures of the window before by model or namespace."""
    window = view.window
    ends_at = (context.now() if window.ends_at is None else window.ends_at) - window.seconds
    return context.services().metrics.breakdown(
        window.seconds, by, step_seconds=window.step, ends_at=ends_at, namespace=view.namespace, model=view.model
    )


@shared(readings, max_age=SCOPES_SECONDS)
def asked_elsewhere(record: RequestRecord) -> Apart:
    """In how many other scopes the question of a miss was asked, among the latest requests."""
    return context.services().metrics.asked_elsewhere(record)
