"""Invalidations: choose, preview, confirm; undo while it can be undone; follow the sweep; look back."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import CacheError
from core.invalidation import Invalidation, InvalidationState, Preview, ending_hold, invalidating
from pages.components.data import actions, context
from pages.components.data.readings import Reading
from pages.components.display import tables
from pages.components.display.figures import UNKNOWN, clock, countdown, duration, many, money, sentence, share, size
from pages.components.display.text import literal, plain
from pages.components.invalidations import tables as invalidation_tables
from pages.components.invalidations.criteria_form import Fields, effect, fill_from_link, form, now_criteria
from pages.components.invalidations.states import STATES
from pages.components.shell import bypass_banner as bypass
from pages.components.shell.confirmation import tell_of_no_worker, word_typed
from pages.components.shell.frame import frame, nothing_yet, told
from pages.components.shell.job_card import job_card
from pages.components.shell.permissions import read_only
from workers.queue import JobView, job_id

SECONDS = 1
HISTORY = 200
"""So many invalidations are listed, the latest."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A preview, and how it would be applied. `request_id` makes a second click a no-op."""

    fields: Fields
    preview: Preview
    request_id: str


def page() -> None:
    lead = "Answers that shall no longer be served: hidden at once, deleted later by a worker."
    if not frame("Invalidations", lead, tells=("no-worker",)):
        return
    fill_from_link()
    linked()
    builder()
    st.fragment(active, run_every=SECONDS)()
    st.fragment(history, run_every=3)()
    if plan := st.session_state.get("pending"):
        confirm(plan)


# Choose and preview


def builder() -> None:
    """Criteria, mode and hold; the preview under them."""
    with st.container(border=True):
        st.subheader("New invalidation", anchor=False)
        fields = form()
        soft, hold_seconds = effect()
        criteria, problem = now_criteria(fields)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if st.button(
                "Preview",
                key="preview",
                icon=":material/preview:",
                type="primary",
                disabled=criteria is None,
            ):
                take_preview(fields, criteria)
            if problem:
                st.caption(f":material/info: {plain(problem)}")
            elif criteria is None:
                st.caption("Choose at least one of the above. Nothing is changed by a preview.")
        read_only(Action.INVALIDATE)
        plan: Plan | None = st.session_state.get("plan")
        if plan is not None and criteria is not None:
            show_preview(plan, outdated=plan.fields != fields, soft=soft, hold_seconds=hold_seconds)
        actions.show_last("invalidate")
        result = actions.last("invalidate")
        if plan is not None and result is not None and result.without_writes:
            bypass.offer(plan.preview.namespace)


def take_preview(fields: Fields, criteria: Criteria | None) -> None:
    """Looks what the criteria match, and keeps it for this session."""
    st.session_state.pop("plan", None)
    actions.forget_last("invalidate")
    if criteria is None:
        return
    try:
        with st.spinner("Looking through the entries…", show_time=True):
            preview = context.services().invalidation.preview(criteria)
    except CacheError as error:
        st.error(f"**No preview.** {told(error)}", icon=":material/cloud_off:")
        return
    st.session_state["plan"] = Plan(fields=fields, preview=preview, request_id=uuid4().hex[:16])


def show_preview(plan: Plan, *, outdated: bool, soft: bool, hold_seconds: float) -> None:
    """What would be hit, what it would cost, a sample; and the button that asks for confirmation."""
    preview = plan.preview
    if outdated:
        st.info("The criteria have changed since the preview. Preview again.", icon=":material/history:")
        return
    st.caption(f"Preview of {clock(preview.at)}: {literal(str(preview.criteria), 200)} in {literal(preview.namespace)}")
    _figures(preview)
    if preview.rows:
        st.dataframe(
            invalidation_tables.preview(preview.rows),
            column_config=invalidation_tables.PREVIEW_COLUMNS,
            hide_index=True,
            height=min(35 * len(preview.rows) + 38, 260),
            key="preview-rows",
            placeholder=UNKNOWN,
            alt="Sample of the entries that match",
        )
        if preview.count > len(preview.rows):
            st.caption(f"A sample: the first {len(preview.rows)} of {_count(preview)}.")
    else:
        st.info(
            "Nothing that is stored matches now. Applied all the same, it also keeps out answers that are being "
            "generated at this moment.",
            icon=":material/search_off:",
        )
    needed = invalidating(preview.criteria)
    verb = "Mark stale" if soft else "Invalidate"
    single = preview.criteria.key is not None
    label = f"{verb} {many(preview.count, 'entry', 'entries')}" if preview.count else "Apply all the same"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            label + ("" if single else "…"),
            key="apply",
            icon=":material/block:",
            type="primary",
            disabled=not context.actor().may(needed),
            on_click=_apply_single if single else _ask,
            args=(plan, soft, hold_seconds),
        )
        if needed is not Action.INVALIDATE:
            read_only(needed)
    if not soft:
        tell_of_no_worker()


def _figures(preview: Preview) -> None:
    with st.grid(4, min_column_width=150):
        with st.container(gap=None):
            st.metric("Entries", _count(preview), help=_how_counted(preview))
            st.caption(f"{share(preview.share)} of {many(preview.total, 'entry', 'entries')}")
            if preview.hits_last_day is not None:
                st.caption(f"served {many(preview.hits_last_day, 'time')} in a day")
        with st.container(gap=None):
            st.metric("To ask again", money(preview.cost_usd))
            unknown = f" and {preview.unknown_prices} of unknown price" if preview.unknown_prices else ""
            st.caption(f"{many(preview.tokens, 'token')}{unknown}")
        with st.container(gap=None):
            st.metric("Time to ask again", duration(preview.refetch_seconds))
            st.caption("one after the other")
        with st.container(gap=None):
            st.metric("Memory", size(preview.bytes))
            if preview.oldest_at and preview.newest_at:
                now = preview.at
                st.caption(f"{duration(now - preview.newest_at)} to {duration(now - preview.oldest_at)} old")
    st.progress(preview.share, text=f"{share(preview.share)} of the namespace")


def _count(preview: Preview) -> str:
    return f"{preview.count:,}" if preview.exact else f"about {preview.count:,}"


def _how_counted(preview: Preview) -> str:
    if preview.exact:
        return f"Counted exactly, in {preview.scanned:,} entries."
    return f"Estimated from {preview.scanned:,} entries: {preview.low:,} to {preview.high:,} with 95 % confidence."


# Confirm and apply


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What the dialog asks about: the plan, a preview taken when it opened, and the effect."""

    plan: Plan
    soft: bool
    hold_seconds: float
    now: Preview


def _ask(plan: Plan, soft: bool, hold_seconds: float) -> None:
    """Opens the dialog, with a preview of this moment."""
    try:
        now = context.services().invalidation.preview(plan.preview.criteria)
    except CacheError:
        now = plan.preview
    st.session_state["pending"] = Pending(plan=plan, soft=soft, hold_seconds=hold_seconds, now=now)


def _close() -> None:
    st.session_state.pop("pending", None)


@st.dialog("Invalidate these answers?", icon=":material/warning:", on_dismiss=_close)
def confirm(pending: Pending) -> None:
    """The last question before it is done."""
    preview = pending.now
    effect = "marked stale" if pending.soft else "hidden from every lookup at once"
    st.markdown(
        f"**{many(preview.count, 'entry', 'entries')}** will be {effect}: {share(preview.share)} of the namespace."
    )
    st.code(str(preview.criteria), language=None, wrap_lines=True)
    if preview.count != pending.plan.preview.count:
        was = pending.plan.preview
        st.warning(
            f"It has changed since the preview: {was.count:,} at {clock(was.at)}, {preview.count:,} now.",
            icon=":material/difference:",
        )
    st.caption(sentence(f"Asking them again costs {money(preview.cost_usd)} and {duration(preview.refetch_seconds)}."))
    if pending.soft:
        st.caption("They are served only if the provider fails. Can be undone.")
    elif pending.hold_seconds:
        st.caption(f"Can be undone for {duration(pending.hold_seconds)}; then a worker deletes them.")
    else:
        st.caption("Can not be undone: a worker deletes them right away.")
    if not pending.soft:
        tell_of_no_worker()
    is_confirmed = word_typed(preview)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="cancel"):
            _close()
            st.rerun()
        if st.button(
            "Mark stale" if pending.soft else "Invalidate",
            key="confirm",
            type="primary",
            disabled=not is_confirmed,
        ):
            _close()
            _do(pending.plan, pending.soft, pending.hold_seconds, preview)
            st.rerun()


def _apply_single(plan: Plan, soft: bool, hold_seconds: float) -> None:
    """One key takes one click."""
    _do(plan, soft, hold_seconds, plan.preview)


def _do(plan: Plan, soft: bool, hold_seconds: float, preview: Preview) -> None:
    done = actions.invalidate(
        preview.criteria,
        soft=soft,
        hold_seconds=hold_seconds,
        request_id=plan.request_id,
        preview=preview,
        name="invalidate",
    )
    if done is not None:
        st.session_state.pop("plan", None)
        if hold_seconds == 0 and not soft and done.state is InvalidationState.HELD:
            _follow(actions.enqueue_sweep(done.namespace))


def _follow(job: JobView | None) -> None:
    """Shows a job at the top of the page, also after a reload."""
    if job is not None:
        st.query_params["job"] = job.id


# What is active


def invalidations() -> Reading[list[Invalidation]]:
    """All of them, newest first."""
    return context.readings().get("history", lambda: context.services().invalidation.history(limit=HISTORY), max_age=1)


def active() -> None:
    """Invalidations that hide something now: undo, sweep now, how far the sweep is."""
    found = invalidations().value or []
    live = [
        one
        for one in found
        if one.state in (InvalidationState.HELD, InvalidationState.SWEEPING, InvalidationState.SOFT)
    ]
    if not live:
        actions.show_last("undo")
        return
    st.subheader("Active", anchor=False)
    actions.show_last("undo")
    actions.show_last("sweep")
    for one in live[:20]:
        with st.container(border=True):
            _active_card(one)
    if len(live) > 20:
        st.caption(f"And {len(live) - 20} more, in the history below.")


def _active_card(one: Invalidation) -> None:
    words, icon, colour = STATES[one.state]
    left = one.due_at - time.time()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]
        st.markdown(literal(str(one.criteria), 120), width="content")
        st.caption(
            f"in {literal(one.namespace)}, since {clock(one.applied_at)}, by {literal(one.actor, 40)}", width="content"
        )
    actor = context.actor()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if one.can_undo:
            label = f"Undo ({countdown(left)} left)" if one.state is InvalidationState.HELD and left > 0 else "Undo"
            st.button(
                label,
                key=f"undo-{one.id}",
                icon=":material/undo:",
                disabled=not actor.may(Action.UNDO),
                on_click=actions.undo,
                args=(one.id,),
            )
        if one.state is InvalidationState.HELD and st.button(
            "Sweep now",
            key=f"sweep-{one.id}",
            icon=":material/cleaning_services:",
            disabled=not actor.may(ending_hold(one.criteria)),
            help="Deletes the hidden answers now. They cannot be brought back then.",
        ):
            _follow(actions.sweep_now(one.id))
            st.rerun()
        st.caption(_what_next(one, left))
    if one.state is InvalidationState.SWEEPING or (one.state is InvalidationState.HELD and left <= 0):
        name = job_id("sweep", one.namespace)
        job = context.job(name).value
        # When the link names the job it is shown above already.
        if job is not None and job.state.is_live and st.query_params.get("job") != name:
            job_card(job)


def _what_next(one: Invalidation, left: float) -> str:
    match one.state:
        case InvalidationState.HELD if left > 0:
            return "Hidden now. Nothing is deleted before the time to undo is over."
        case InvalidationState.HELD:
            if context.alive_workers().value == 0:
                return "The time to undo is over. No worker is alive to delete the hidden answers."
            return "Waiting for a worker to delete the hidden answers; until then it can still be undone."
        case InvalidationState.SWEEPING:
            return "Answers are being deleted: no undo any more."
        case _:
            return "Served only if the provider fails; the next request for each asks anew."


# One of them, by link


def linked() -> None:
    """`?invalidation=` shows one invalidation with its audit trail, `?job=` a job; both survive a reload."""
    name = st.query_params.get("job", "")
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
        st.fragment(_linked_job, run_every=SECONDS)(name)
    chosen = st.query_params.get("invalidation", "")
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", chosen):
        st.fragment(_linked_invalidation, run_every=2)(chosen)


def _linked_job(name: str) -> None:
    reading = context.job(name)
    if reading.error:
        return
    if reading.value is None:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.caption("The job of this link is gone: its record has expired or was deleted.", width="stretch")
            _close_button("job")
        return
    job_card(reading.value, lambda: _close_button("job"))


def _close_button(name: str) -> None:
    if st.button("Close", key=f"close-{name}", type="tertiary", icon=":material/close:"):
        st.query_params.pop(name, None)
        st.rerun()


def _linked_invalidation(chosen: str) -> None:
    built = context.services()
    reading: Reading[list[Invalidation]] = context.readings().get(
        ("invalidation", chosen), lambda: built.invalidation.history(invalidation_id=chosen)
    )
    if reading.error and reading.value is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**Invalidation** {literal(chosen)}", width="content")
            _close_button("invalidation")
        if not reading.value:
            st.caption("There is none with this id.")
            return
        one = reading.value[0]
        words, icon, colour = STATES[one.state]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]
            st.markdown(literal(str(one.criteria), 200), width="content")
        trail = context.readings().get(("trail", chosen), lambda: built.audit.records(limit=50, invalidation_id=chosen))
        st.dataframe(
            invalidation_tables.trail(reversed(trail.value or [])),
            column_config=invalidation_tables.TRAIL_COLUMNS,
            hide_index=True,
            key="trail",
            placeholder=UNKNOWN,
            alt="What happened with this invalidation",
        )


# Looking back


def history() -> None:
    """Everything that was ever asked for, with what became of it."""
    reading = invalidations()
    st.subheader("History", anchor=False)
    if reading.value is None:
        nothing_yet(reading)
        return
    if not reading.value:
        with st.container(border=True, horizontal_alignment="center"):
            st.space("small")
            st.markdown(":material/history: **No invalidation yet**", text_alignment="center")
            st.caption("Each one stays in this list: who, when, what, and what became of it.", text_alignment="center")
            st.space("small")
        return
    found = _filtered(reading.value)
    if not found:
        st.caption("None like this. Clear the filters to see all.")
        return
    table = invalidation_tables.invalidations(found, {state: words for state, (words, _, _) in STATES.items()})
    chosen = st.dataframe(
        table,
        column_config=invalidation_tables.INVALIDATION_COLUMNS,
        column_order=invalidation_tables.INVALIDATIONS_SHOWN,
        hide_index=True,
        key="history",
        on_select="rerun",
        selection_mode="single-row",
        placeholder=UNKNOWN,
        alt="Invalidations, newest first",
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download CSV",
            tables.csv(table),
            "invalidations.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        rows = chosen.selection.rows
        if rows and st.button("Show the selected one", key="open", icon=":material/open_in_full:"):
            st.query_params["invalidation"] = found[rows[0]].id
            st.rerun()
    if len(reading.value) == HISTORY:
        st.caption(f"The latest {HISTORY}. Older ones are in the audit log: `python -m core audit`.")


def _filtered(every: list[Invalidation]) -> list[Invalidation]:
    """Those that fit what is chosen above the list, which the address keeps."""
    with st.grid(4, min_column_width=150, gap="small"):
        text = st.text_input(
            "Find", key="history_find", bind="query-params", placeholder="What, id or reason", live=True
        )
        state = st.selectbox(
            "State",
            [state.value for state in STATES],
            index=None,
            format_func=lambda choice: STATES[InvalidationState(choice)][0],
            placeholder="any",
            key="history_state",
            bind="query-params",
        )
        actor = st.selectbox(
            "By", sorted({one.actor for one in every}), index=None, placeholder="everyone", key="history-actor"
        )
        namespace = st.selectbox(
            "Namespace",
            sorted({one.namespace for one in every}),
            index=None,
            placeholder="all",
            key="history-namespace",
        )
    wanted = (text or "").strip().casefold()
    return [
        one
        for one in every
        if state in (None, one.state.value)
        and actor in (None, one.actor)
        and namespace in (None, one.namespace)
        and wanted in f"{one.criteria} {one.id} {one.reason}".casefold()
    ]


page()
