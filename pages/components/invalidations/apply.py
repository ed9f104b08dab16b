"""Applying an invalidation: what the dialog asks, and what is then done."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.errors import CacheError
from core.invalidation import Preview
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, duration, many, money, sentence, share
from pages.components.display.namespaces import named, said, told
from pages.components.shell import next_steps
from pages.components.shell.confirmation import warn_without_worker, word_typed
from pages.components.shell.criteria_form import Fields
from workers.queue import JobView

REASON = "invalidation-reason"
"""The field of the form that has the reason: read when it is applied, since a click comes with what was just typed."""
GIVEN = "invalidation-given"
"""Whether it was applied, so that the next one asks for a reason of its own."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A preview, and how it would be applied. `request_id` makes a second click a no-op."""

    fields: Fields
    preview: Preview
    request_id: str


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What the dialog asks about: the plan, a preview taken when it opened, and the effect."""

    plan: Plan
    soft: bool
    hold_seconds: float
    now: Preview


def ask(plan: Plan, soft: bool, hold_seconds: float) -> None:
    """Opens the dialog, with a preview of this moment."""
    try:
        now = context.services().invalidation.preview(plan.preview.criteria, reach=plan.fields.reach)
    except CacheError:
        now = plan.preview
    st.session_state["pending"] = Pending(plan=plan, soft=soft, hold_seconds=hold_seconds, now=now)


def _close() -> None:
    st.session_state.pop("pending", None)


@st.dialog("Invalidate these answers?", icon=":material/warning:", on_dismiss=_close)
def confirm(pending: Pending) -> None:
    """Asks before entries are invalidated, with what it costs."""
    preview = pending.now
    naming = queries.naming()
    effect = "marked stale" if pending.soft else "hidden from every lookup at once"
    place = f"the namespace {named(preview.namespace, naming)}"
    if preview.parts:
        place = f"what is stored, in **all {many(len(preview.parts), 'namespace')}**"
    st.markdown(
        f"**{preview.about}{many(preview.count, 'entry', 'entries')}** will be {effect}: {share(preview.share)} of "
        f"{place}.",
        help=told(preview.namespace, naming),
    )
    st.code(str(preview.criteria), language=None, wrap_lines=True)
    if preview.count != pending.plan.preview.count:
        was = pending.plan.preview
        st.warning(
            f"The number has changed since the preview: {was.count:,} at {clock(was.at)}, {preview.count:,} now.",
            icon=":material/difference:",
        )
    st.caption(sentence(f"Asking them again costs {money(preview.cost_usd)} and {duration(preview.refetch_seconds)}."))
    if pending.soft:
        st.caption("They are served only if the provider fails. Can be undone.")
    elif pending.hold_seconds:
        st.caption(f"Can be undone for {duration(pending.hold_seconds)}; then a worker deletes them.")
    else:
        st.caption("Cannot be undone: a worker deletes them at once.")
    if not pending.soft:
        warn_without_worker()
    is_confirmed = word_typed(preview)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="cancel"):
            _close()
            st.rerun()
        if st.button(
            f"{'Mark stale' if pending.soft else 'Invalidate'} in {said(preview.namespace, naming)}",
            key="confirm",
            type="primary",
            disabled=not is_confirmed,
        ):
            _close()
            _do(pending.plan, pending.soft, pending.hold_seconds, preview)
            st.rerun()


def apply_single(plan: Plan, soft: bool, hold_seconds: float) -> None:
    """Applies an invalidation of one key without a dialog."""
    _do(plan, soft, hold_seconds, plan.preview)


def _do(plan: Plan, soft: bool, hold_seconds: float, preview: Preview) -> None:
    done = actions.invalidate(
        preview.criteria,
        soft=soft,
        hold_seconds=hold_seconds,
        request_id=plan.request_id,
        preview=preview,
        name="invalidate",
        reason=st.session_state.get(REASON) or "",
        reach=plan.fields.reach,
    )
    if done is not None:
        st.session_state.pop("plan", None)
        st.session_state[GIVEN] = True
        next_steps.remember("invalidate", (done,))
        if hold_seconds == 0 and not soft and done.is_held:
            follow(actions.enqueue_sweep(done))


def follow(job: JobView | None) -> None:
    """Shows a job at the top of the page, also after a reload."""
    if job is not None:
        st.query_params["job"] = job.id
