"""Everything the console changes: one call each, to what checks the actor's role, and its result in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar, cast

import msgspec
import streamlit as st

from core.access import AuditTrail
from core.bans import Criteria
from core.cache import Bypassed
from core.errors import (
    CacheError,
    OutcomeUnknown,
    WriteRefused,
)
from core.invalidation import (
    Definition,
    Invalidation,
    InvalidationState,
    Preview,
    Reach,
    Schedule,
    ScheduleFields,
    Schedules,
    kept_schedules,
    undone_words,
)
from core.monitoring import DeployMark
from core.namespaces import NamespaceLabel, Naming
from core.semantic.quality import Pair, Published, Threshold
from pages.components.data import context, queries
from pages.components.display.figures import duration, many
from pages.components.display.text import plain
from workers.queue import JobView

Value = TypeVar("Value")

MOST_PROBLEMS = 3
"""Namespaces of which it is said why something was not done there."""
DONE_SECONDS = 15
"""Seconds for which a success is shown."""


class Ending(StrEnum):
    """How an action ended. UNKNOWN: it was sent and no answer came, so it may have been done. PARTLY: it was done in
    some namespaces and not in others."""

    DONE = "done"
    PARTLY = "partly"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an action, in one sentence, and its time (Unix seconds).

    `without_writes`: it was refused because Redis takes no writes.
    """

    ending: Ending
    words: str
    at: float
    without_writes: bool = False


def perform(name: str, act: Callable[[], Value], done: Callable[[Value], str]) -> Value | None:
    """Performs an action, whose result `show_last(name)` shows. Returns its value; None when it failed."""
    value: Value | None = None
    now = time.time()
    try:
        value = act()
    except OutcomeUnknown as error:
        result = Result(ending=Ending.UNKNOWN, words=f"{error}. Trying again is safe: it is never done twice.", at=now)
    except CacheError as error:
        refused = isinstance(error, WriteRefused)
        result = Result(ending=Ending.REFUSED, words=f"{error}. Nothing was changed.", at=now, without_writes=refused)
    else:
        is_partly = isinstance(value, Invalidation) and value.state is InvalidationState.PARTLY
        result = Result(ending=Ending.PARTLY if is_partly else Ending.DONE, words=done(value), at=now)
    st.session_state[f"result-{name}"] = result
    context.readings().renew()
    context.queue_readings().renew()
    return value


def last(name: str) -> Result | None:
    """The result of the latest action of this name in this session."""
    result: Result | None = st.session_state.get(f"result-{name}")
    return result


def forget_last(name: str) -> None:
    """Drops the result of the latest action of this name."""
    st.session_state.pop(f"result-{name}", None)


def show_last(name: str) -> None:
    """Draws the result of the latest action of this name: a success for a while, a failure until the next action."""
    result = last(name)
    if result is None or (result.ending is Ending.DONE and time.time() - result.at > DONE_SECONDS):
        return
    words = plain(result.words)
    match result.ending:
        case Ending.DONE:
            st.success(words, icon=":material/check_circle:")
        case Ending.PARTLY:
            st.warning(f"**Not in all namespaces.** {words}", icon=":material/rule:")
        case Ending.REFUSED:
            st.error(f"**Not done.** {words}", icon=":material/block:")
        case Ending.UNKNOWN:
            st.warning(f"**Not known whether it was done.** {words}", icon=":material/help:")


# Invalidations


def invalidate(
    criteria: Criteria,
    *,
    soft: bool,
    hold_seconds: float,
    request_id: str,
    preview: Preview | None,
    name: str,
    reason: str = "",
    reach: Reach | None = None,
) -> Invalidation | None:
    """Applies an invalidation. Repeating a `request_id` changes nothing."""

    def act() -> Invalidation:
        return context.services().invalidation.invalidate(
            criteria,
            actor=context.trail(),
            soft=soft,
            hold_seconds=hold_seconds,
            request_id=request_id,
            preview=preview,
            reason=reason,
            reach=reach,
        )

    return perform(name, act, lambda done: _applied(done, preview, soft=soft))


def _applied(done: Invalidation, preview: Preview | None, *, soft: bool) -> str:
    effect = f"{'marked stale' if soft else 'hidden from every lookup'} now"
    if not done.parts:
        what = many(preview.count, "entry is", "entries are") if preview else "It is"
        return f"{what} {effect}."
    reached = [part for part in done.parts if part.effective]
    counts = [part.preview_count for part in reached if part.preview_count is not None]
    what = many(sum(counts), "entry is", "entries are") if counts else "It is"
    if done.state is not InvalidationState.PARTLY:
        return f"{what} {effect}, in {many(len(reached), 'namespace')}."
    return (
        f"{what} {effect}, in {len(reached)} of {many(len(done.parts), 'namespace')}. "
        f"{named_problem(done, queries.naming())}."
    )


def named_problem(done: Invalidation, naming: Naming) -> str:
    """Why it is not in force in some namespaces, which are called by their names."""
    wrong = [part for part in done.parts if not part.effective and part.problem]
    words = [f"{naming.shown(part.namespace)}: {part.problem}" for part in wrong[:MOST_PROBLEMS]]
    if len(wrong) > MOST_PROBLEMS:
        words.append(f"and {many(len(wrong) - MOST_PROBLEMS, 'other namespace')}")
    return "; ".join(words)


def undo(invalidation_id: str) -> None:
    """Undoes an invalidation."""
    perform(
        "undo",
        lambda: context.services().invalidation.undo(invalidation_id, actor=context.trail()),
        undone_words,
    )


def sweep_now(invalidation_id: str) -> JobView | None:
    """Ends the hold and queues the sweep that gives the memory back."""

    def act() -> list[JobView]:
        known = context.services().invalidation.end_hold(invalidation_id, actor=context.trail())
        return _enqueue(known)

    jobs = perform("sweep", act, _queued)
    return jobs[0] if jobs and len(jobs) == 1 else None


def enqueue_sweep(done: Invalidation) -> JobView | None:
    """Queues the sweep of what is due in the namespaces of an invalidation; returns it where it is one."""
    jobs = perform("sweep", lambda: _enqueue(done), _queued)
    return jobs[0] if jobs and len(jobs) == 1 else None


def _enqueue(known: Invalidation) -> list[JobView]:
    held = [part.namespace for part in known.parts if part.effective] if known.parts else [known.namespace]
    return [context.queue().enqueue_sweep(namespace, actor=context.actor()) for namespace in held]


def _queued(jobs: list[JobView]) -> str:
    return "The sweep is queued." if len(jobs) == 1 else f"{many(len(jobs), 'sweep')} are queued."


# The bypass switch


def turn_bypass(namespace: str, on: bool, *, note: str = "") -> Bypassed | None:
    """Turns the bypass switch of a namespace, or of all, on or off."""
    effect = "bypass the cache" if on else "use the cache again"
    return perform(
        "bypass",
        lambda: context.services().switch.turn(namespace, on, actor=context.trail(), note=note),
        lambda turned: f"Requests {effect}, in every process.",
    )


# What namespaces are called


def label_namespace(namespace: str, text: str, *, owner: str, colour: str | None) -> NamespaceLabel | None:
    """Gives a namespace a label, an owner and a colour, in place of those it has."""
    return perform(
        "namespace-label",
        lambda: context.services().labels.give(namespace, text, owner=owner, colour=colour, actor=context.trail()),
        lambda given: f"Every screen shows {namespace} as {given.label} within seconds.",
    )


def unlabel_namespace(namespace: str) -> bool | None:
    """Takes the label of a namespace away."""
    return perform(
        "namespace-label",
        lambda: context.services().labels.remove(namespace, actor=context.trail()),
        lambda removed: f"{namespace} has no label any more.",
    )


# Marks on charts


def mark(name: str, *, at: float, namespace: str | None) -> DeployMark | None:
    """Marks a moment on the charts of a namespace, or of all."""
    return perform(
        "mark",
        lambda: context.services().marks.add(name, at=at, namespace=namespace, actor=context.trail()),
        lambda added: "Marked. It stays on the charts for 90 days.",
    )


def unmark(mark_id: str) -> None:
    """Takes a mark from the charts."""
    perform(
        "mark",
        lambda: context.services().marks.remove(mark_id, actor=context.trail()),
        lambda removed: "Removed from the charts.",
    )


# Schedules


def add_schedule(criteria: Criteria, given: Definition, *, namespace: str) -> Schedule | None:
    """Adds a scheduled invalidation. Its age is that of the definition and not in the criteria."""
    return perform(
        "schedule",
        lambda: _schedules().add(namespace=namespace, actor=context.trail(), **_fields(criteria, given)),
        lambda added: f"Added. It runs {added.rhythm}, next in {duration(added.next_run_at - context.now())}.",
    )


def edit_schedule(seen: Schedule, criteria: Criteria, given: Definition) -> Schedule | None:
    """Changes a schedule to this, unless it is another by now than the one `seen`."""
    return perform(
        "schedule",
        lambda: _schedules().edit(seen.id, actor=context.trail(), seen=seen, **_fields(criteria, given)),
        lambda edited: (
            f"Changed. It runs {edited.rhythm}"
            + (
                f", next in {duration(edited.next_run_at - context.now())}."
                if edited.enabled
                else ", once it is resumed."
            )
        ),
    )


def _fields(criteria: Criteria, given: Definition) -> ScheduleFields:
    kept = {name: value for name, value in criteria.to_dict().items() if name not in ("namespace", "created_before")}
    return cast("ScheduleFields", msgspec.structs.asdict(given) | {"criteria": kept})


def pause_schedule(schedule: Schedule) -> None:
    """Pauses a schedule."""
    perform(
        "schedule",
        lambda: _schedules().pause(schedule.id, actor=context.trail()),
        lambda paused: "Paused: it does not run until it is resumed.",
    )


def resume_schedule(schedule: Schedule) -> None:
    """Resumes a schedule."""
    perform(
        "schedule",
        lambda: _schedules().resume(schedule.id, actor=context.trail()),
        lambda resumed: f"Resumed: it runs next in {duration(resumed.next_run_at - context.now())}.",
    )


def remove_schedule(schedule: Schedule) -> None:
    """Removes a schedule."""
    perform(
        "schedule",
        lambda: _schedules().remove(schedule.id, actor=context.trail()),
        lambda done: "Removed. What it has invalidated stays invalidated.",
    )


def run_schedule(schedule: Schedule) -> Invalidation | None:
    """Runs a schedule once, unless it has run since it was shown."""

    effect = "marked stale" if schedule.soft else "hidden from every lookup"
    return perform(
        "schedule",
        lambda: _schedules().run_now(schedule.id, actor=context.trail(), expected=schedule),
        lambda done: _applied(done, None, soft=schedule.soft) if done.parts else f"What matches is {effect} now.",
    )


def _schedules() -> Schedules:
    return kept_schedules(context.services().schedules)


# Jobs


def stop(job_id: str) -> None:
    """Stops a running job, or cancels a waiting one."""
    _manage("job", lambda trail: context.queue().stop(job_id, actor=trail), "Stopped.")


def retry(job_id: str) -> None:
    """Retries a job."""
    _manage("job", lambda trail: context.queue().retry(job_id, actor=trail), "Queued again.")


def delete(job_id: str) -> None:
    """Deletes a job that has ended."""
    _manage("job", lambda trail: context.queue().delete(job_id, actor=trail), "Deleted.")


def group_questions() -> None:
    """Has a worker group the recorded questions."""
    perform(
        "questions",
        lambda: context.services().questions.ask(actor=context.trail()),
        lambda done: "A worker groups the questions within seconds.",
    )


def rebuild_near_index() -> None:
    """Has a worker rebuild the index of near questions."""
    perform("rebuild", lambda: context.services().near_index.ask(actor=context.trail()), lambda done: "Asked for.")


def suspend() -> None:
    """Suspends all workers: they finish their jobs and take no new ones."""
    _manage(
        "workers",
        lambda trail: context.queue().suspend(actor=trail),
        "Workers take no new jobs.",
    )


def resume() -> None:
    """Lets suspended workers take jobs again."""
    _manage("workers", lambda trail: context.queue().resume(actor=trail), "Workers take jobs again.")


def _manage(name: str, act: Callable[[AuditTrail], object], done: str) -> None:
    """Manages a job or all workers; the result says also when the audit record could not be written."""
    trail = context.trail()

    def words(_: object) -> str:
        return done if trail.problem is None else f"{done} The audit record could not be written: {trail.problem}."

    perform(name, lambda: act(trail), words)


def replay_sample() -> None:
    """Queues the replay of the sample of real questions that ships with the project."""
    perform(
        "replay",
        lambda: context.queue().enqueue_replay(context.services().settings.namespace, actor=context.actor()),
        lambda job: "The replay is queued: figures appear within seconds.",
    )


# Near matches


def label(pair: str, equivalent: bool) -> Pair | None:
    """Labels a pair: whether the stored answer answers the question.

    A threshold shown to be too low rises by itself.
    """
    return perform(
        "label",
        lambda: context.services().evidence.label(pair, equivalent, actor=context.actor()),
        lambda pair: "Noted: the stored answer fits." if equivalent else "Noted: the stored answer does not fit.",
    )


def publish_threshold(
    namespace: str, threshold: Threshold, *, seen: Threshold, note: str, unsupported: bool
) -> Published | None:
    """Puts a threshold in force, unless another version than the one `seen` is in force by now."""

    def act() -> Published:
        return context.services().evidence.publish(
            namespace,
            threshold,
            actor=context.trail(),
            note=note,
            unsupported=unsupported,
            expected=seen.version,
        )

    return perform("threshold", act, _in_force)


def roll_back_threshold(namespace: str, version: int) -> Published | None:
    """Puts an earlier version in force again; version 0 is the configured threshold."""
    return perform(
        "threshold",
        lambda: context.services().thresholds.roll_back(namespace, version, actor=context.trail()),
        _in_force,
    )


def _in_force(published: Published) -> str:
    return f"Version {published.version} is in force, in every process within a second."
