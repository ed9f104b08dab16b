"""The commands about scheduled invalidations: schedules, and what can be done with one."""

from __future__ import annotations

from typing import Any, cast

import click

from ..errors import InvalidInput
from ..invalidation import Schedule, ScheduleFields, Schedules, kept_schedules, parse_weekdays, plain_invalidation
from ..monitoring import WorkerPools
from . import formats as words
from .formats import DURATION
from .invalidations import Selection, applied_words, selecting
from .shell import EXIT_HELP, Exit, Shell, cli, command, namespace_option, namespaces_option


@cli.group(invoke_without_command=True, epilog=EXIT_HELP)
@namespace_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def schedules(context: click.Context, namespace: str | None, as_json: bool) -> None:
    """List scheduled invalidations; add, edit, pause, resume, remove or run one. Without a subcommand: the list."""
    if context.invoked_subcommand is not None:
        if namespace or as_json:
            raise click.UsageError("Put options after the subcommand they are for.")
        return
    context.invoke(listing, namespace=namespace, as_json=as_json)


class Weekdays(click.ParamType[tuple[str, ...]]):
    """Days of the week: `mon-fri`, `sat,sun`, or `all`, which is none in particular."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The days; fails for what is none."""
        if isinstance(value, tuple):
            return value
        try:
            return () if value == "all" else parse_weekdays(value)
        except InvalidInput as error:
            self.fail(f"{error.problem}.", param, ctx)


WEEKDAYS = Weekdays()


def _kept(shell: Shell) -> Schedules:
    return kept_schedules(shell.shared.schedules)


@command(schedules, name="list")
@namespace_option
def listing(shell: Shell, namespace: str | None) -> int:
    """List the schedules, the next one first, with the result of the last run."""
    found = [one for one in _kept(shell).all() if namespace in (None, one.namespace)]
    rows = [
        (
            one.id,
            words.text(one.name, 30) or "-",
            one.rhythm,
            words.moment(one.next_run_at) if one.enabled else "paused",
            words.moment(one.last_run_at) or "never",
            words.text(one.last, 60) or "-",
            words.text(one.actor, 20),
            _what(shell, one),
        )
        for one in found
    ]
    header = ("Id", "Name", "When", "Next run", "Last run", "What it did", "Who", "What")
    shell.answer(
        [one.to_dict() for one in found],
        words.table(rows, header=header) if rows else "There are no schedules.",
    )
    return Exit.OK


@command(schedules)
@namespaces_option
@click.option("--name", required=True, help="Its name, which no other schedule may have.")
@click.option("--every", type=DURATION, help="How often, e.g. 1h; the first run is after that time.")
@click.option("--daily-at", metavar="HH:MM", help="Time of day, in UTC.")
@click.option("--on", "weekdays", type=WEEKDAYS, help="With --daily-at: only on these days, e.g. mon-fri or sat,sun.")
@selecting
@click.option("--soft", is_flag=True, help="Mark stale instead: served only if the provider fails.")
@click.option("--hold", type=DURATION, help="How long each run can be undone. Default: 12h, or until the next run.")
@click.option("--reason", default="", help="The reason for each run. Default: the schedule's name.")
def add(
    shell: Shell,
    namespace: str | None,
    name: str,
    every: float | None,
    daily_at: str | None,
    weekdays: tuple[str, ...] | None,
    selection: Selection,
    soft: bool,
    hold: float | None,
    reason: str,
) -> int:
    """Add a schedule that hides all answers matching every option given. An age counts from each run.

    Try the options with invalidate --dry-run first.
    """
    if (every is None) == (daily_at is None):
        raise click.UsageError("Give either --every or --daily-at.")
    _check(selection)
    namespace = shell.namespace(namespace)
    added = _kept(shell).add(
        namespace=namespace,
        actor=shell.trail,
        name=name,
        criteria=selection.fields(namespace),
        older_than_seconds=selection.older_than,
        every_seconds=every,
        daily_at=daily_at,
        weekdays=weekdays or (),
        soft=soft,
        hold_seconds=hold,
        reason=reason,
    )
    shell.answer(added.to_dict(), f"Added {added.id}: {_what(shell, added)}, {added.rhythm}. {_next(added)}")
    queue = shell.services.queue_redis
    if queue is not None and not WorkerPools(queue, clock=shell.services.clock).alive_workers():
        shell.say("No worker is alive, so schedules do not run. Start workers: python -m workers")
    return Exit.OK


@command(schedules)
@click.argument("schedule_id", metavar="ID")
@click.option("--name", help="Another name, which no other schedule may have.")
@click.option("--every", type=DURATION, help="How often, in place of a time of day; counted from now.")
@click.option("--daily-at", metavar="HH:MM", help="Time of day in UTC, in place of an interval.")
@click.option("--on", "weekdays", type=WEEKDAYS, help="Only on these days, e.g. mon-fri; or all.")
@selecting
@click.option("--soft/--hard", "soft", default=None, help="Mark stale, or hide.")
@click.option("--hold", type=DURATION, help="How long each run can be undone.")
@click.option("--usual-hold", is_flag=True, help="Each run can be undone for 12h, or until the next run.")
@click.option("--reason", help="The reason for each run. Empty: the schedule's name.")
def edit(shell: Shell, schedule_id: str, selection: Selection, **given: Any) -> int:
    """Change a schedule. What is not given stays; criteria that are given replace all that it had.

    It keeps its id and its namespace. A new rhythm counts from now; missed runs are not repeated.
    """
    changes = {name: value for name, value in given.items() if value is not None and name not in ("hold", "usual_hold")}
    if "every" in changes:
        changes["every_seconds"] = changes.pop("every")
    if "every_seconds" in changes and "daily_at" in changes:
        raise click.UsageError("Give either --every or --daily-at.")
    if given["hold"] is not None and given["usual_hold"]:
        raise click.UsageError("Give either --hold or --usual-hold.")
    if given["hold"] is not None or given["usual_hold"]:
        changes["hold_seconds"] = given["hold"]
    known = _kept(shell).get(schedule_id)
    criteria = selection.fields(known.namespace)
    if criteria or selection.older_than is not None:
        _check(selection)
        changes |= {"criteria": criteria, "older_than_seconds": selection.older_than}
    if not changes:
        raise click.UsageError("Give at least one option.")
    edited = _kept(shell).edit(schedule_id, actor=shell.trail, **cast("ScheduleFields", changes))
    then = _next(edited) if edited.enabled else "It is paused."
    shell.answer(edited.to_dict(), f"Changed: {_what(shell, edited)}, {edited.rhythm}. {then}")
    return Exit.OK


@command(schedules)
@click.argument("schedule_id", metavar="ID")
def pause(shell: Shell, schedule_id: str) -> int:
    """Pause a schedule."""
    paused = _kept(shell).pause(schedule_id, actor=shell.trail)
    shell.answer(paused.to_dict(), f"Paused: {_what(shell, paused)}.")
    return Exit.OK


@command(schedules)
@click.argument("schedule_id", metavar="ID")
def resume(shell: Shell, schedule_id: str) -> int:
    """Resume a schedule. Runs missed meanwhile are not repeated."""
    resumed = _kept(shell).resume(schedule_id, actor=shell.trail)
    shell.answer(resumed.to_dict(), f"Resumed: {_what(shell, resumed)}. {_next(resumed)}")
    return Exit.OK


@command(schedules)
@click.argument("schedule_id", metavar="ID")
def remove(shell: Shell, schedule_id: str) -> int:
    """Remove a schedule. What it has invalidated stays invalidated."""
    _kept(shell).remove(schedule_id, actor=shell.trail)
    shell.answer({"removed": schedule_id}, "Removed.")
    return Exit.OK


@command(schedules)
@click.argument("schedule_id", metavar="ID")
def run(shell: Shell, schedule_id: str) -> int:
    """Run a schedule now, also when it is paused or not due."""
    done = _kept(shell).run_now(schedule_id, actor=shell.trail)
    shell.answer(plain_invalidation(done), applied_words(done))
    return Exit.OK


def _check(selection: Selection) -> None:
    if selection.everything and selection.older_than is not None:
        raise click.UsageError("--everything takes no other criteria.")


def _what(shell: Shell, schedule: Schedule) -> str:
    soft = ", marked stale" if schedule.soft else ""
    return f"{words.text(schedule.what, 120)} in {shell.named(schedule.namespace)}{soft}"


def _next(schedule: Schedule) -> str:
    return f"It runs next at {words.moment(schedule.next_run_at)}."
