"""Commands about invalidations: invalidate, undo, invalidations."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
import msgspec

from ..bans import Criteria
from ..errors import InvalidationRefused, InvalidInput, WriteRefused
from ..invalidation import WORD, Invalidation, InvalidationState, Preview, Previewed
from ..monitoring import Pools
from . import formats as words
from .formats import DURATION
from .shell import Command, Exit, Shell, cli, command, namespace_option

WAIT_POLL_SECONDS = 0.25
SHOWN_ROWS = 5


def criteria_options(function: Command) -> Command:
    """What is selected, as all commands spell it: everything that is given must match."""
    for option in reversed(
        (
            click.option("--model", help="The exact name of a model."),
            click.option("--older-than", type=DURATION, help="Stored longer ago, e.g. 7d."),
            click.option("--pattern", help="A glob over the prompt or the key, e.g. '*refund*'."),
            click.option("--keyword", "keywords", multiple=True, help="A word or phrase in the prompt; repeatable."),
            click.option(
                "--any-keyword/--all-keywords", "is_any", default=True, show_default=True, help="One of them, or all."
            ),
            click.option("--tag", "tags", multiple=True, help="A tag that was given with the request; repeatable."),
            click.option("--everything", is_flag=True, help="Everything in the namespace."),
        )
    ):
        function = option(function)
    return function


@command(cli)
@namespace_option
@criteria_options
@click.option("--key", help="One entry, by its key.")
@click.option("--dry-run", is_flag=True, help="Only show what would be hidden.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--soft", is_flag=True, help="Mark stale instead: served only if the provider fails.")
@click.option("--hold", type=DURATION, help="How long it can be undone; 0: sweep at once. Else ENCORE_HOLD_SECONDS.")
@click.option("--wait", is_flag=True, help="Wait until the sweep has deleted what is hidden.")
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Longest wait for the sweep.")
@click.option("--request-id", help="The same id again does nothing new: for retries.")
@click.option("--preview", "token", help="Token of a --dry-run --json: refused if other entries match by now.")
def invalidate(
    shell: Shell,
    namespace: str | None,
    model: str | None,
    older_than: float | None,
    pattern: str | None,
    keywords: tuple[str, ...],
    is_any: bool,
    tags: tuple[str, ...],
    key: str | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    soft: bool,
    hold: float | None,
    wait: bool,
    timeout: float,
    request_id: str | None,
    token: str | None,
) -> int:
    """Hide all answers that match every option given. In force when it returns, whatever their number.

    Shows a preview first. On a terminal it then asks, for a typed word where it hides everything or more than a tenth;
    elsewhere it takes --yes or --dry-run. With --dry-run the status is 3 when nothing matches. With --yes it is applied
    even then: an answer that is being made now is kept out too. With --preview an age counts from the earlier dry run,
    and the status is 1 when something has changed since.
    """
    if dry_run and yes:
        raise click.UsageError("Give --dry-run or --yes, not both.")
    if wait and soft:
        raise click.UsageError("--soft deletes nothing: there is no sweep to --wait for.")
    if older_than == 0:
        raise click.UsageError("--older-than 0 is everything: say --everything.")
    previewed = Previewed.parse(token) if token is not None else None
    services = shell.shared
    invalidation = services.invalidation
    cutoff = None if older_than is None else time.time() - older_than
    if previewed is not None and cutoff is not None:
        cutoff = previewed.created_before
    criteria = Criteria(
        namespace=namespace,
        model=model,
        pattern=pattern,
        created_before=cutoff,
        keywords=keywords,
        keyword_mode="any" if is_any else "all",
        tags=tags,
        key=key,
        all=everything,
    )
    if request_id and not dry_run and (known := _known(shell, request_id)):
        if _without_age(known.criteria, known.namespace) != _without_age(criteria, shell.namespace(namespace)):
            raise InvalidInput("request_id", f"was used for another invalidation: {known.criteria}; give a new one")
        shell.say(f"Applied before: {_invalidation_words(known)}")
        return _finish(shell, None, known, timeout if wait else None)
    preview = invalidation.preview(criteria)
    shell.say(_preview_words(preview))
    if previewed is not None and (drift := previewed.drift(preview)):
        raise InvalidationRefused(f"not applied, since it has changed since the preview: {drift}")
    if dry_run:
        if shell.as_json:
            shell.answer({"preview": _plain_preview(preview), "applied": False}, "")
        return Exit.OK if preview.count else Exit.NOTHING
    if not yes:
        if shell.as_json or not is_terminal():
            raise click.UsageError("Not on a terminal: give --yes to apply it, or --dry-run.")
        if not _confirmed(preview):
            shell.say("Not applied.")
            return Exit.FAILED
    try:
        done = invalidation.invalidate(
            criteria,
            actor=shell.trail,
            soft=soft,
            hold_seconds=hold,
            request_id=request_id,
            preview=preview,
        )
    except WriteRefused as error:
        raise WriteRefused(
            f"{error}: the invalidation is NOT applied. Until it is, requests can be kept from these answers: "
            f"python -m core bypass --on --namespace {preview.namespace}"
        ) from error
    shell.say(applied_words(done))
    return _finish(shell, preview, done, timeout if wait else None)


def _confirmed(preview: Preview) -> bool:
    """Asks; what hides much takes the word, typed."""
    if not preview.is_large:
        return click.confirm("Invalidate?")
    typed: str = click.prompt(f"Type {WORD} to confirm", default="", show_default=False)
    return typed.strip().lower() == WORD


def is_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _known(shell: Shell, request_id: str) -> Invalidation | None:
    """What this request id was applied as: ages are relative to now, so a repetition cannot be compared."""
    return next(
        (
            known
            for known in shell.shared.invalidation.history()
            if known.id == request_id and known.state not in (InvalidationState.UNKNOWN, InvalidationState.REFUSED)
        ),
        None,
    )


def _without_age(criteria: Criteria, namespace: str) -> Criteria:
    """For comparing: an age's cut-off is another one each time."""
    return msgspec.structs.replace(
        criteria, namespace=namespace, created_before=1.0 if criteria.created_before is not None else None
    )


def _finish(shell: Shell, preview: Preview | None, done: Invalidation, timeout: float | None) -> int:
    """Waits for the sweep if that was asked for, and says what came of it."""
    known = done if timeout is None else _wait(shell, done, timeout)
    is_late = timeout is not None and known.finished_at is None
    if shell.as_json:
        plain: dict[str, Any] = {"applied": True, "invalidation": plain_invalidation(known)}
        shell.answer(plain | ({"preview": _plain_preview(preview)} if preview else {}), "")
    elif timeout is not None:
        late = f"It is in force, but its sweep has not ended within {words.duration(timeout)}."
        click.echo(late if is_late else _invalidation_words(known))
    if is_late or known.state in (InvalidationState.UNDONE, InvalidationState.REFUSED):
        return Exit.FAILED
    return Exit.OK


def _wait(shell: Shell, done: Invalidation, timeout: float) -> Invalidation:
    """The invalidation when a worker has swept it, or when the time is up."""
    services = shell.shared
    if services.queue_redis is not None and not Pools(services.queue_redis).alive_workers():
        shell.say("No worker is alive, so nothing is swept until one is: python -m workers")
    deadline = time.monotonic() + timeout
    while True:
        known = next(iter(services.invalidation.history(invalidation_id=done.id)), done)
        if known.finished_at is not None or time.monotonic() >= deadline:
            return known
        time.sleep(WAIT_POLL_SECONDS)


def _plain_preview(preview: Preview) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(preview)
    return plain | {"criteria": preview.criteria.to_dict(), "share": preview.share, "token": preview.token}


def _preview_words(preview: Preview) -> str:
    count = f"{preview.count:,}" if preview.exact else f"about {preview.count:,} ({preview.low:,} to {preview.high:,})"
    unknown = f" and {preview.unknown_prices} of unknown price" if preview.unknown_prices else ""
    what = words.text(f"{preview.criteria} in {preview.namespace}", 400)
    share, size = words.share(preview.share), words.size(preview.bytes)
    money, waiting = words.money(preview.cost_usd), words.duration(preview.refetch_seconds)
    if not preview.count:
        return f"{what}: none of {preview.total:,} entries."
    served = "" if preview.hits_last_day is None else f" They were served {preview.hits_last_day:,} times in a day."
    lines = [
        f"{what}: {count} of {preview.total:,} entries ({share}), {size}.{served}",
        f"To fetch them again: {money}{unknown}, {preview.tokens:,} tokens, {waiting} of waiting.",
    ]
    for row in preview.rows[:SHOWN_ROWS]:
        model, age = words.text(row.model, 24), words.duration(row.age_seconds)
        lines.append(f"  {row.key[:14]}…  {model}  {age} old  {words.text(row.prompt, 70)}")
    if preview.count > SHOWN_ROWS:
        lines.append("  …")
    return "\n".join(lines)


def applied_words(done: Invalidation) -> str:
    """What became of it, and how it is undone."""
    match done.state:
        case InvalidationState.SOFT:
            return f"Marked stale. Undo: python -m core undo {done.id}"
        case InvalidationState.SWEPT:
            return "Deleted."
        case _ if done.due_at > done.applied_at:
            left = words.duration(done.due_at - done.applied_at)
            return f"Hidden. For {left} it can be undone: python -m core undo {done.id}"
        case _:
            return f"Hidden. The sweep of {done.id} begins at once."


@command(cli)
@click.argument("invalidation_id")
def undo(shell: Shell, invalidation_id: str) -> int:
    """Bring back what an invalidation hid, with the remaining TTLs. Refused once its sweep has begun."""
    undone = shell.shared.invalidation.undo(invalidation_id, actor=shell.trail)
    shell.answer(plain_invalidation(undone), f"Undone: {_what(undone)}.")
    return Exit.OK


@command(cli)
@namespace_option
@click.option("--active", is_flag=True, help="Only those that are in force.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def invalidations(shell: Shell, namespace: str | None, active: bool, limit: int) -> int:
    """List the latest invalidations: who, what, when and what came of it."""
    known = shell.shared.invalidation.history(limit=limit, namespace=namespace)
    if active:
        known = [one for one in known if one.effective and one.finished_at is None]
    rows = [
        (
            one.id,
            words.moment(one.applied_at),
            one.state.value,
            words.text(one.actor, 20),
            "-" if one.deleted is None else f"{one.deleted:,} deleted",
            _what(one),
        )
        for one in known
    ]
    header = ("Id", "When", "State", "Who", "Swept", "What")
    shell.answer(
        [plain_invalidation(one) for one in known],
        words.table(rows, header=header) if rows else "There are no invalidations.",
    )
    return Exit.OK


def plain_invalidation(known: Invalidation) -> dict[str, Any]:
    """As JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(known)
    return plain | {
        "criteria": known.criteria.to_dict(),
        "can_undo": known.can_undo,
        "effective": known.effective,
    }


def _invalidation_words(known: Invalidation) -> str:
    swept = f", {known.deleted:,} deleted" if known.deleted is not None else ""
    freed = f", {words.size(known.freed_bytes)} freed" if known.freed_bytes is not None else ""
    return f"{_what(known)}: {known.state.value}{swept}{freed}."


def _what(known: Invalidation) -> str:
    return words.text(f"{known.criteria} in {known.namespace}", 120)
