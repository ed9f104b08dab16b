"""Schedules: invalidations that run by themselves; what each did last, when it runs next, and how to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import time as time_of_day

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import CacheError
from core.invalidation import LONGEST_NAME, Invalidation, Preview, Schedule, scheduling
from pages.components.data import actions, context, queries
from pages.components.display.figures import clock, duration, many, share, size
from pages.components.display.text import literal, plain, visible
from pages.components.invalidations.criteria_form import Fields, effect, form, now_criteria
from pages.components.invalidations.states import STATES
from pages.components.shell.confirmation import word_typed
from pages.components.shell.frame import NO_REDIS, frame, no_worker_notice, nothing_yet, state
from pages.components.shell.permissions import read_only

SECONDS = 2
SHOWN = 20
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
DAILY = "Daily at"
EVERY = "Every so often"
EXAMPLE = "older than 7 days, every night at 03:00 UTC"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the form has it. `daily_at` is UTC; exactly one of it and `every_seconds` is given."""

    fields: Fields
    name: str
    every_seconds: float | None
    daily_at: str | None
    soft: bool
    hold_seconds: float

    @property
    def rhythm(self) -> str:
        """For people."""
        return f"daily at {self.daily_at} UTC" if self.daily_at else f"every {duration(self.every_seconds)}"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialog asks about: adding a draft, or running or removing a schedule; and what it would hide now."""

    draft: Draft | None = None
    run: Schedule | None = None
    remove: Schedule | None = None
    now: Preview | None = None
    problem: str = ""


def page() -> None:
    lead = "Invalidations that run by themselves: what they hide, how often, and what the last run did."
    if not frame("Schedules", lead, tells=("no-worker",)):
        return
    if context.services().schedules is None:
        without_redis()
        return
    st.fragment(listing, run_every=SECONDS)()
    builder()
    asked: Asked | None = st.session_state.get("schedule-asked")
    if asked is None:
        return
    if asked.draft:
        confirm_adding(asked)
    elif asked.run:
        confirm_running(asked)
    else:
        confirm_removing(asked)


def without_redis() -> None:
    """Schedules outlive this console, so they are kept on Redis only."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(":material/event_busy: **No schedules without Redis**", text_alignment="center")
        st.caption(NO_REDIS, text_alignment="center")
        st.space("small")


# What there is


def listing() -> None:
    """All schedules, the next one first."""
    reading = queries.schedules()
    actions.show_last("schedule")
    if reading.value is None:
        nothing_yet(reading)
        return
    found = reading.value
    if queries.alive_workers().value == 0 and not state().error:
        no_worker_notice("nothing runs by itself; what was missed runs once when one is there.")
    if not found:
        empty()
        return
    paused = sum(not schedule.enabled for schedule in found)
    st.caption(many(len(found), "schedule") + (f", {paused} of them paused" if paused else ""))
    if len(found) > SHOWN:
        text = st.text_input(
            "Find", key="schedule-find", placeholder="A name, a namespace or what is selected", live=True
        )
        found = [schedule for schedule in found if _has(schedule, text or "")]
        if not found:
            st.caption("None like this.")
    latest = {one.id: one for one in queries.invalidations(queries.MOST_INVALIDATIONS).value or ()}
    for schedule in found[:SHOWN]:
        card(schedule, latest)
    if len(found) > SHOWN:
        st.caption(f"And {len(found) - SHOWN} more: narrow it down above.")


def _has(schedule: Schedule, text: str) -> bool:
    return text.strip().casefold() in f"{schedule.name} {schedule.namespace} {schedule.what}".casefold()


def empty() -> None:
    """Nothing is scheduled: what one is good for."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(":material/event_repeat: **Nothing runs by itself yet**", text_alignment="center")
        st.caption(
            f"A schedule invalidates again and again, for example: {EXAMPLE}. Each run can be undone like any other "
            "invalidation, and is in their history.",
            text_alignment="center",
        )
        # The form is outside of this fragment: the whole page has to be drawn.
        if st.button("Fill in this example", key="schedule-example", icon=":material/edit:", on_click=fill_example):
            st.rerun()
        st.space("small")


def fill_example() -> None:
    """Puts the example into the form and adds nothing."""
    st.session_state.update(
        {
            "schedule-name": "Nightly",
            "criteria-selectors": ["age"],
            "criteria-age": 7.0,
            "criteria-unit": "days",
            "schedule-rhythm": DAILY,
            "schedule-at": time_of_day(3, 0),
        }
    )


def card(schedule: Schedule, latest: dict[str, Invalidation]) -> None:
    """One schedule: what, when, what it did last, by whom; and what can be done with it."""
    now = time.time()
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if not schedule.enabled:
                st.badge("paused", icon=":material/pause_circle:", color="gray")
            elif schedule.next_run_at <= now:
                st.badge("due", icon=":material/pending:", color="orange")
            else:
                st.badge("on", icon=":material/event_repeat:", color="green")
            if schedule.name:
                st.markdown(f"**{literal(schedule.name)}**", width="content")
            st.markdown(literal(schedule.what, 200), width="content")
            st.caption(f"in {literal(schedule.namespace)}, by {literal(schedule.actor, 40)}", width="content")
        with st.grid(3, min_column_width=200):
            _fact("Runs", schedule.rhythm, _effect_words(schedule))
            if schedule.enabled:
                left = schedule.next_run_at - now
                _fact("Next run", f"in {duration(left)}" if left > 0 else "due now", _moment(schedule.next_run_at))
            else:
                _fact("Next run", "paused", "it does not run until it is resumed")
            if schedule.last_run_at is None:
                _fact("Last run", "never", "")
            else:
                ago = f"{duration(max(0.0, now - schedule.last_run_at))} ago, {_moment(schedule.last_run_at)}"
                _fact("Last run", _came_to(schedule, latest), ago)
        _buttons(schedule)


def _fact(label: str, value: str, below: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.text(visible(value))
        if below:
            st.caption(plain(below))


def _moment(at: float) -> str:
    """In the viewer's time, since rhythms are told in UTC."""
    return f"{clock(at)} your time"


def _effect_words(schedule: Schedule) -> str:
    if schedule.soft:
        return "marks stale"
    if schedule.hold_seconds == 0:
        return "hides; cannot be undone"
    hold = context.services().settings.hold_seconds if schedule.hold_seconds is None else schedule.hold_seconds
    return f"hides; can be undone for {duration(hold)}"


def _came_to(schedule: Schedule, latest: dict[str, Invalidation]) -> str:
    """What the last run did, as far as it is known by now."""
    verdict, _, done = schedule.last.partition(": ")
    if verdict != "applied":
        return schedule.last or "not known"
    one = latest.get(done)
    if one is None:
        return "applied"
    words = STATES[one.state][0]
    if one.deleted is None:
        return words
    freed = f", {size(one.freed_bytes)} given back" if one.freed_bytes else ""
    return f"{words}: {many(one.deleted, 'entry', 'entries')} deleted{freed}"


def _buttons(schedule: Schedule) -> None:
    may_start = context.actor().may(schedule.starting)
    may_change = context.actor().may(Action.SCHEDULE)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        # A dialog is opened by the whole page, not by this fragment.
        if st.button("Run now…", key=f"run-{schedule.id}", icon=":material/play_arrow:", disabled=not may_start):
            _ask(Asked(run=schedule), schedule.criteria_at, schedule.namespace)
            st.rerun()
        if schedule.enabled:
            st.button(
                "Pause",
                key=f"pause-{schedule.id}",
                icon=":material/pause:",
                disabled=not may_change,
                on_click=actions.pause_schedule,
                args=(schedule,),
            )
        else:
            st.button(
                "Resume",
                key=f"resume-{schedule.id}",
                icon=":material/event_repeat:",
                disabled=not may_start,
                on_click=actions.resume_schedule,
                args=(schedule,),
                help="It runs at its next time; what was missed meanwhile stays missed.",
            )
        if st.button(
            "Remove…", key=f"remove-{schedule.id}", icon=":material/delete:", type="tertiary", disabled=not may_change
        ):
            st.session_state["schedule-asked"] = Asked(remove=schedule)
            st.rerun()
        done = schedule.last.partition("applied: ")[2]
        if done and st.button("Last run", key=f"last-{schedule.id}", icon=":material/open_in_full:", type="tertiary"):
            st.switch_page("pages/invalidations.py", query_params={"invalidation": done})
        read_only(schedule.starting)


# A new one


def builder() -> None:
    """What, how often, and with which effect."""
    with st.container(border=True):
        st.subheader("New schedule", anchor=False)
        if st.session_state.pop("schedule-added", False):
            st.session_state.update({"schedule-name": "", "criteria-selectors": []})
        name = st.text_input(
            "Name", key="schedule-name", placeholder="Nightly", max_chars=LONGEST_NAME, width=320, autocomplete="off"
        )
        fields = form(without=("key",))
        every_seconds, daily_at = rhythm()
        soft, hold_seconds = effect()
        draft = Draft(
            fields=fields,
            name=(name or "").strip(),
            every_seconds=every_seconds,
            daily_at=daily_at,
            soft=soft,
            hold_seconds=hold_seconds,
        )
        criteria, problem = now_criteria(fields)
        needed = scheduling(criteria.to_dict() if criteria is not None else {})
        may_add = context.actor().may(needed)
        missing = problem or _missing(draft, criteria)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if (
                st.button(
                    "Add…",
                    key="schedule-add",
                    icon=":material/add:",
                    type="primary",
                    disabled=bool(missing) or not may_add,
                )
                and not missing
            ):
                _ask(Asked(draft=draft), fields.criteria, fields.namespace)
            read_only(needed)
            if missing and may_add:
                st.caption(f":material/info: {plain(missing)}")


def rhythm() -> tuple[float | None, str | None]:
    """Every so many seconds, or the time of day in UTC: one of them is None."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control("How often", [DAILY, EVERY], default=DAILY, key="schedule-rhythm", required=True)
        if chosen == EVERY:
            amount = st.number_input("Every", min_value=1, value=6, step=1, key="schedule-every", width=140)
            unit = st.selectbox("Unit", list(UNITS), index=1, key="schedule-unit", width=130)
            return float(amount) * UNITS[unit], None
        at = st.time_input("Time of day, UTC", value=time_of_day(3, 0), step=300, key="schedule-at", width=160)
        return None, f"{at:%H:%M}"


def _missing(draft: Draft, criteria: Criteria | None) -> str:
    """What the form still lacks, in one sentence."""
    if criteria is None:
        return "Choose what shall no longer be served. It is asked once more before anything is added."
    if draft.fields.age_seconds == 0:
        return "Say how old an answer has to be."
    return "" if draft.name else "Give it a name, for the list and for the audit log."


# Dialogs


def _ask(asked: Asked, criteria_at: Callable[[float], Criteria], namespace: str) -> None:
    """Has the dialog opened, with what would be hidden at this moment or why that cannot be told."""
    try:
        criteria = msgspec.structs.replace(criteria_at(time.time()), namespace=namespace)
        preview = context.services().invalidation.preview(criteria)
    except CacheError as error:
        st.session_state["schedule-asked"] = msgspec.structs.replace(asked, problem=str(error))
    else:
        st.session_state["schedule-asked"] = msgspec.structs.replace(asked, now=preview)


def _close() -> None:
    st.session_state.pop("schedule-asked", None)


@st.dialog("Add this schedule?", icon=":material/event_repeat:", on_dismiss=_close)
def confirm_adding(asked: Asked) -> None:
    """What it will do, before it is added."""
    draft, preview = asked.draft, asked.now
    if draft is None:
        return
    st.markdown(f"**{literal(draft.name)}** runs {plain(draft.rhythm)}.")
    st.code(visible(_selected(draft)), language=None, wrap_lines=True)
    _would_hide(asked, "Now it would hide")
    st.caption(_undo_words(draft.soft, draft.hold_seconds))
    if _confirmed("Add", asked) and preview is not None:
        added = actions.add_schedule(
            preview.criteria,
            name=draft.name,
            namespace=draft.fields.namespace,
            older_than_seconds=draft.fields.age_seconds,
            every_seconds=draft.every_seconds,
            daily_at=draft.daily_at,
            soft=draft.soft,
            hold_seconds=draft.hold_seconds,
        )
        st.session_state["schedule-added"] = added is not None
        st.rerun()


def _selected(draft: Draft) -> str:
    """What it selects, with the age as such: its cut-off moves with each run."""
    fields = draft.fields
    words = [f"older than {fields.age:g} {fields.unit}"] if fields.age_seconds is not None else []
    rest = tuple(name for name in fields.selectors if name != "age")
    if rest:
        words.insert(0, str(msgspec.structs.replace(fields, selectors=rest).criteria(time.time())))
    return f"{', '.join(words)} in {fields.namespace}"


@st.dialog("Run this schedule now?", icon=":material/warning:", on_dismiss=_close)
def confirm_running(asked: Asked) -> None:
    """What it would hide at this moment."""
    schedule = asked.run
    if schedule is None:
        return
    st.code(visible(f"{schedule.what} in {schedule.namespace}"), language=None, wrap_lines=True)
    _would_hide(asked, "It marks stale" if schedule.soft else "It hides at once")
    st.caption(_undo_words(schedule.soft, schedule.hold_seconds))
    if schedule.every_seconds is not None:
        st.caption("The time to its next run begins anew.")
    if _confirmed("Run now", asked):
        actions.run_schedule(schedule)
        st.rerun()


@st.dialog("Remove this schedule?", icon=":material/delete:", on_dismiss=_close)
def confirm_removing(asked: Asked) -> None:
    """Removing cannot be undone; pausing can."""
    schedule = asked.remove
    if schedule is None:
        return
    words = f"{schedule.name or schedule.id}: {schedule.what} in {schedule.namespace}"
    st.code(visible(words), language=None, wrap_lines=True)
    st.caption("What it has invalidated stays so. To keep it without running it, pause it instead.")
    if _confirmed("Remove", asked):
        actions.remove_schedule(schedule)
        st.rerun()


def _undo_words(soft: bool, hold_seconds: float | None) -> str:
    if soft:
        return "A run marks answers stale: they are served only if the provider fails. It can be undone."
    if hold_seconds == 0:
        return "A run cannot be undone: a worker deletes the answers right away."
    hold = context.services().settings.hold_seconds if hold_seconds is None else hold_seconds
    return f"A run can be undone for {duration(hold)}; then a worker deletes the answers."


def _would_hide(asked: Asked, lead: str) -> None:
    preview = asked.now
    if preview is None:
        st.error(f"**No preview.** {plain(asked.problem)}.", icon=":material/cloud_off:")
        return
    about = "" if preview.exact else "about "
    st.markdown(
        f"{lead} **{about}{many(preview.count, 'entry', 'entries')}**: {share(preview.share)} of the namespace."
    )


def _confirmed(verb: str, asked: Asked) -> bool:
    """The buttons of a dialog; whether it was confirmed."""
    is_complete = not asked.problem and (asked.now is None or word_typed(asked.now))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="schedule-cancel"):
            _close()
            st.rerun()
        if st.button(verb, key="schedule-confirm", type="primary", disabled=not is_complete):
            _close()
            return True
    return False


page()
