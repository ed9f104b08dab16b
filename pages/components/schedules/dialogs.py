"""The dialogs that ask before a schedule is added, changed, run or removed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import CacheError
from core.invalidation import Definition, Preview, Schedule, scheduling
from pages.components.data import actions, context, queries
from pages.components.display.figures import duration, many, share
from pages.components.display.namespaces import named, shown
from pages.components.display.text import literal, plain, visible
from pages.components.shell.confirmation import word_typed
from pages.components.shell.criteria_form import Fields
from pages.components.shell.permissions import read_only


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the form has it, its criteria as `fields`. `edited` is the one that changes, as it was shown."""

    fields: Fields
    definition: Definition
    edited: Schedule | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialog asks about: saving a draft, or running or removing a schedule; and what it would hide now."""

    draft: Draft | None = None
    run: Schedule | None = None
    remove: Schedule | None = None
    now: Preview | None = None
    problem: str = ""


def ask(asked: Asked, criteria_at: Callable[[float], Criteria], namespace: str) -> None:
    """Opens the dialog with a preview of this moment, or with the reason why there is none."""
    try:
        criteria = msgspec.structs.replace(criteria_at(context.now()), namespace=namespace)
        preview = context.services().invalidation.preview(criteria)
    except CacheError as error:
        st.session_state["schedule-asked"] = msgspec.structs.replace(asked, problem=str(error))
    else:
        st.session_state["schedule-asked"] = msgspec.structs.replace(asked, now=preview)


def _close() -> None:
    st.session_state.pop("schedule-asked", None)


@st.dialog("Add this schedule?", icon=":material/event_repeat:", on_dismiss=_close)
def confirm_adding(asked: Asked) -> None:
    """Asks before a schedule is added, with what it would hide now."""
    _confirm_saving(asked, "Add")


@st.dialog("Change this schedule?", icon=":material/edit_calendar:", on_dismiss=_close)
def confirm_editing(asked: Asked) -> None:
    """Asks before a schedule is changed, with what was and will be, and what it would hide now."""
    _confirm_saving(asked, "Change")


def _confirm_saving(asked: Asked, verb: str) -> None:
    draft, preview = asked.draft, asked.now
    if draft is None:
        return
    given, edited = draft.definition, draft.edited
    st.markdown(f"**{literal(given.name)}** runs {plain(given.rhythm)}.")
    st.code(visible(_selected(draft)), language=None, wrap_lines=True)
    if edited is not None:
        st.caption(f"Until now: {literal(edited.what, 200)}, {plain(edited.rhythm)}, {plain(effect_words(edited))}.")
    _would_hide(asked, "Now it would hide" if not given.soft else "Now it would mark stale")
    st.caption(_undo_words(given))
    if _confirmed(verb, asked) and preview is not None:
        if edited is None:
            saved = actions.add_schedule(preview.criteria, given, namespace=draft.fields.namespace)
        else:
            saved = actions.edit_schedule(edited, preview.criteria, given)
        st.session_state["schedule-saved"] = saved is not None
        st.rerun()


def _selected(draft: Draft) -> str:
    """What it selects, with the age as such: its cut-off moves with each run."""
    fields = draft.fields
    words = [f"older than {fields.age:g} {fields.unit}"] if fields.age_seconds is not None else []
    rest = tuple(name for name in fields.selectors if name != "age")
    if rest:
        words.insert(0, str(msgspec.structs.replace(fields, selectors=rest).criteria(context.now())))
    return f"{', '.join(words)} in {shown(fields.namespace, queries.naming())}"


@st.dialog("Run this schedule now?", icon=":material/warning:", on_dismiss=_close)
def confirm_running(asked: Asked) -> None:
    """Asks before a schedule is run, with what it would hide now."""
    schedule = asked.run
    if schedule is None:
        return
    st.code(
        visible(f"{schedule.what} in {shown(schedule.namespace, queries.naming())}"), language=None, wrap_lines=True
    )
    _would_hide(asked, "It marks stale" if schedule.soft else "It hides at once")
    st.caption(_undo_words(schedule))
    if schedule.every_seconds is not None:
        st.caption("The interval to its next run starts again.")
    if _confirmed("Run now", asked):
        actions.run_schedule(schedule)
        st.rerun()


@st.dialog("Remove this schedule?", icon=":material/delete:", on_dismiss=_close)
def confirm_removing(asked: Asked) -> None:
    """Asks before a schedule is removed, which cannot be undone."""
    schedule = asked.remove
    if schedule is None:
        return
    words = f"{schedule.name or schedule.id}: {schedule.what} in {shown(schedule.namespace, queries.naming())}"
    st.code(visible(words), language=None, wrap_lines=True)
    st.caption("What it has invalidated stays invalidated. To keep the schedule but stop its runs, pause it instead.")
    if _confirmed("Remove", asked):
        actions.remove_schedule(schedule)
        st.rerun()


def effect_words(definition: Definition) -> str:
    """What a run does, and for how long it can be undone."""
    if definition.soft:
        return "marks stale"
    return f"hides; can be undone for {duration(definition.hold)}" if definition.hold else "hides; cannot be undone"


def _undo_words(definition: Definition) -> str:
    if definition.soft:
        return (
            f"A run marks answers stale: they are served only if the provider fails. It can be undone. {_TAKES_PLACE}"
        )
    if not definition.hold:
        return "A run cannot be undone: a worker deletes the answers at once."
    kept = f"A run can be undone for {duration(definition.hold)}; then a worker deletes the answers."
    return f"{kept} {_TAKES_PLACE}"


_TAKES_PLACE = "A run takes the place of the one before: undoing the latest brings back what both hid."


def _would_hide(asked: Asked, lead: str) -> None:
    preview = asked.now
    if preview is None:
        st.error(f"**No preview.** {plain(asked.problem)}.", icon=":material/cloud_off:")
        return
    st.markdown(
        f"{lead} **{preview.about}{many(preview.count, 'entry', 'entries')}**: {share(preview.share)} of "
        + (
            f"what is stored, in **all {many(len(preview.parts), 'namespace')}**."
            if preview.parts
            else f"what is stored in **{named(preview.namespace, queries.naming())}**."
        )
    )


def _confirmed(verb: str, asked: Asked) -> bool:
    """The buttons of a dialog; whether it was confirmed."""
    now = asked.now
    needed = Action.SCHEDULE if now is None else scheduling(now.criteria, now.highest_share)
    is_allowed = context.actor().may(needed)
    is_complete = is_allowed and not asked.problem and (now is None or word_typed(now))
    read_only(needed)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="schedule-cancel"):
            _close()
            st.rerun()
        if st.button(verb, key="schedule-confirm", type="primary", disabled=not is_complete):
            _close()
            return True
    return False
