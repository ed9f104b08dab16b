"""The form of a schedule: of a new one, or of one that is edited."""

from __future__ import annotations

from datetime import time as time_of_day

import streamlit as st
from msgspec.structs import replace

from core.access import Action
from core.bans import Criteria
from core.invalidation import LONGEST_NAME, WEEKDAYS, Definition, Schedule, scheduling
from core.text import exact_duration
from pages.components.data import context, queries
from pages.components.display.namespaces import said
from pages.components.display.text import literal, plain
from pages.components.schedules.dialogs import Asked, Draft, ask
from pages.components.shell.confirmation import reason_field
from pages.components.shell.criteria_form import HOLDS, SELECTORS, UNITS, effect, form, now_criteria
from pages.components.shell.permissions import read_only

AT_A_TIME = "At a time of day"
EVERY = "At an interval"
EVERY_DAY = "Every day"
CHOSEN_DAYS = "Some days"
USUAL_HOLD = "12 hours, or until its next run"
EXAMPLE = "older than 7 days, every night at 03:00 UTC"
EDITING = "schedule-editing"
"""The schedule that the form is of, as it was shown; none while it is of a new one."""
_EMPTY: dict[str, object] = {
    **dict.fromkeys(("schedule-name", "schedule-reason", "criteria-pattern", "criteria-user", "criteria-key"), ""),
    **dict.fromkeys(("criteria-model", "criteria-age"), None),
    "schedule-rhythm": AT_A_TIME,
    "schedule-on": EVERY_DAY,
    "schedule-at": time_of_day(3, 0),
    "schedule-every": 6.0,
    "schedule-unit": "hours",
    "criteria-unit": "days",
    "criteria-keyword-mode": "any",
    "soft": False,
    "hold": USUAL_HOLD,
}
"""What the fields of a new schedule have. Each is given it: a browser shows what it has until it is told another."""
_LISTS = ("schedule-days", "criteria-selectors", "criteria-keywords", "criteria-tags")
_GIVEN = ("model", "pattern", "keywords", "tags", "key", "all")


def fill_example() -> None:
    """Fills the form with the example; adds nothing."""
    fill(Definition(name="", older_than_seconds=7 * 86_400, daily_at="03:00"))


def edit(schedule: Schedule) -> None:
    """Fills the form with a schedule, to be saved under the same id; changes nothing."""
    fill(schedule)
    st.session_state[EDITING] = schedule


def fill(definition: Definition) -> None:
    """Fills the form."""
    criteria = definition.criteria
    chosen = [name for name in (*_GIVEN, "user") if criteria.get(name)]
    state: dict[str, object] = {
        "schedule-name": definition.name,
        "schedule-reason": definition.reason,
        "schedule-rhythm": AT_A_TIME if definition.every_seconds is None else EVERY,
        "schedule-on": CHOSEN_DAYS if definition.weekdays else EVERY_DAY,
        "schedule-days": list(definition.weekdays),
        "criteria-user": "",
        "criteria-keyword-mode": criteria.get("keyword_mode", "any"),
        "soft": definition.soft,
        "hold": next(name for name, hold in _holds(definition).items() if hold == definition.hold_seconds),
    }
    for name in _GIVEN:
        if name in chosen and name != "all":
            value = criteria[name]
            state[f"criteria-{name}"] = value if isinstance(value, str) else list(value)
    if definition.older_than_seconds is not None:
        chosen.append("age")
        state["criteria-age"], state["criteria-unit"] = _amount(definition.older_than_seconds)
    if definition.every_seconds is not None:
        state["schedule-every"], state["schedule-unit"] = _amount(definition.every_seconds)
    if definition.daily_at is not None:
        state["schedule-at"] = time_of_day.fromisoformat(definition.daily_at)
    state["criteria-selectors"] = [name for name in SELECTORS if name in chosen]
    st.session_state.pop(EDITING, None)
    st.session_state.update(state)


def empty() -> None:
    """Empties the form: it is of a new schedule from now on."""
    st.session_state.pop(EDITING, None)
    st.session_state.update(_EMPTY | {name: [] for name in _LISTS})


def builder() -> None:
    """Draws the form: what, how often, and with which effect."""
    if st.session_state.pop("schedule-saved", False):
        empty()
    edited: Schedule | None = st.session_state.get(EDITING)
    with st.container(border=True):
        if edited is None:
            st.subheader("New schedule", anchor=False)
        else:
            st.subheader(f"Edit {literal(edited.name or edited.id)}", anchor=False)
        name = st.text_input(
            "Name", key="schedule-name", placeholder="Nightly", max_chars=LONGEST_NAME, width=320, autocomplete="off"
        )
        kept = edited.criteria if edited else {}
        fields = form(without=() if "key" in kept else ("key",), namespace=edited.namespace if edited else None)
        if "user" in kept and "user" in fields.selectors:
            fields = replace(fields, kept_user=str(kept["user"]))
            st.caption("The user stays as before unless you name another.")
        every_seconds, daily_at, weekdays = rhythm()
        soft, hold_seconds = effect(_holds(edited))
        reason = reason_field("schedule-reason", width=420)
        draft = Draft(
            fields=fields,
            edited=edited,
            definition=Definition(
                name=(name or "").strip(),
                older_than_seconds=fields.age_seconds,
                every_seconds=every_seconds,
                daily_at=daily_at,
                weekdays=weekdays or (),
                soft=soft,
                hold_seconds=hold_seconds,
                reason=reason,
            ),
        )
        criteria, problem = now_criteria(fields)
        needed = scheduling(criteria, 0.0) if criteria is not None else Action.SCHEDULE
        may_add = context.actor().may(needed)
        missing = problem or _missing(draft, criteria, weekdays)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if (
                st.button(
                    f"{'Add' if edited is None else 'Save'} in {said(fields.namespace, queries.naming())}…",
                    key="schedule-add",
                    icon=":material/add:" if edited is None else ":material/save:",
                    type="primary",
                    disabled=bool(missing) or not may_add,
                )
                and not missing
            ):
                ask(Asked(draft=draft), fields.criteria, fields.namespace)
            if edited is not None:
                st.button("Cancel", key="schedule-stop-editing", on_click=empty)
            read_only(needed)
            if missing and may_add:
                st.caption(f":material/info: {plain(missing)}")


def rhythm() -> tuple[float | None, str | None, tuple[str, ...] | None]:
    """Draws the rhythm; returns the interval in seconds, or the time of day in UTC with its days: the other is None.

    The days are () for all of them.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control(
            "How often", [AT_A_TIME, EVERY], default=AT_A_TIME, key="schedule-rhythm", required=True
        )
        if chosen == EVERY:
            st.session_state.setdefault("schedule-every", 6.0)
            amount = st.number_input("Every", min_value=0.1, step=1.0, format="%g", key="schedule-every", width=140)
            st.session_state.setdefault("schedule-unit", "hours")
            unit = st.selectbox("Unit", list(UNITS), key="schedule-unit", width=130)
            return round(amount * UNITS[unit], 3), None, ()
        st.session_state.setdefault("schedule-at", time_of_day(3, 0))
        at = st.time_input("Time of day, UTC", step=300, key="schedule-at", width=160)
        on = st.segmented_control("On", [EVERY_DAY, CHOSEN_DAYS], default=EVERY_DAY, key="schedule-on", required=True)
        if on == EVERY_DAY:
            return None, f"{at:%H:%M}", ()
        days = st.pills(
            "Days, UTC", WEEKDAYS, selection_mode="multi", format_func=str.capitalize, key="schedule-days", wrap=True
        )
    if not days:
        return None, f"{at:%H:%M}", None
    return None, f"{at:%H:%M}", () if len(days) == len(WEEKDAYS) else tuple(day for day in WEEKDAYS if day in days)


def _holds(definition: Definition | None) -> dict[str, float | None]:
    """What there is to choose for how long a run can be undone; of one that is edited, what it has, too."""
    holds: dict[str, float | None] = {USUAL_HOLD: None, **HOLDS}
    if definition is not None and definition.hold_seconds not in holds.values():
        holds[exact_duration(definition.hold)] = definition.hold_seconds
    return holds


def _amount(seconds: float) -> tuple[float, str]:
    """The seconds in the largest unit that has a whole number of them; else in minutes."""
    units = sorted(UNITS, key=UNITS.__getitem__, reverse=True)
    unit = next((name for name in units if seconds % UNITS[name] == 0), "minutes")
    return seconds / UNITS[unit], unit


def _missing(draft: Draft, criteria: Criteria | None, weekdays: tuple[str, ...] | None) -> str:
    """One sentence about what the form still needs; empty when it is complete."""
    if criteria is None:
        return "Choose which answers it invalidates. You confirm before anything is saved."
    if draft.fields.age_seconds == 0:
        return "Say how old an answer has to be."
    if weekdays is None:
        return "Choose a day on which it runs."
    return "" if draft.definition.name else "Give it a name, for the list and for the audit log."
