"""Commands about invalidations: invalidate, undo, sweep, invalidations."""

from __future__ import annotations

import functools
import sys
import time
from typing import Any, cast

import click
import msgspec

from ..bans import Criteria
from ..errors import WriteRefused
from ..invalidation import (
    WORD,
    ActivePage,
    HistoryPage,
    Invalidation,
    InvalidationFilter,
    InvalidationState,
    Preview,
    Previewed,
    Reach,
    cutoff,
    plain_invalidation,
    plain_preview,
    undone_words,
    whole_words,
)
from ..keys import user_pseudonym
from ..monitoring import WorkerPools
from ..text import duration, money, share, size
from . import formats as words
from .formats import DURATION
from .shell import Command, Exit, Shell, cli, command, namespace_option, namespaces_option

WAIT_POLL_SECONDS = 0.25
SHOWN_ROWS = 5


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a selection, spelled alike by all commands. `older_than` is in seconds."""

    model: str | None
    older_than: float | None
    pattern: str | None
    keywords: tuple[str, ...]
    is_any: bool
    tags: tuple[str, ...]
    user: str | None
    everything: bool

    def fields(self, namespace: str) -> dict[str, Any]:
        """The criteria as `Criteria.from_dict` reads them; without an age, which counts from when they are applied."""
        given = {
            "model": self.model,
            "pattern": self.pattern,
            "keywords": self.keywords,
            "keyword_mode": "any" if self.is_any else "all",
            "tags": self.tags,
            "user": None if self.user is None else user_pseudonym(namespace, self.user),
            "all": self.everything,
        }
        defaults = {field.name: field.default for field in msgspec.structs.fields(Criteria)}
        return {name: value for name, value in given.items() if value != defaults[name]}


_SELECTING = (
    click.option("--model", help="The exact name of a model."),
    click.option("--older-than", type=DURATION, help="Stored longer ago, e.g. 7d."),
    click.option("--pattern", help="A glob over the prompt or the key, e.g. '*refund*'."),
    click.option("--keyword", "keywords", multiple=True, help="A word or phrase in the prompt; repeatable."),
    click.option(
        "--any-keyword/--all-keywords", "is_any", default=True, show_default=True, help="One of them, or all."
    ),
    click.option("--tag", "tags", multiple=True, help="A tag that was given with the request; repeatable."),
    click.option("--user", help="The user whose own answers they are, as requests name them. The name is not kept."),
    click.option("--everything", is_flag=True, help="Everything in the namespace."),
)


def selecting(function: Command) -> Command:
    """The options of a selection, given to the command as one value: everything that is given must match."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in Selection.__struct_fields__}
        return function(*arguments, selection=Selection(**given), **options)

    for option in reversed(_SELECTING):
        run = option(run)
    return cast("Command", run)


REASON = click.option("--reason", default="", help="Why, in up to 200 characters: kept with its audit record.")


class InvalidateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a selection is invalidated. `hold` and `timeout` are in seconds, `token` is that of an earlier preview."""

    namespace: str | None
    key: str | None
    dry_run: bool
    yes: bool
    soft: bool
    hold: float | None
    wait: bool
    timeout: float
    request_id: str | None
    token: str | None
    reason: str

    def check(self, selection: Selection) -> None:
        """Raises UsageError for options that exclude each other."""
        if self.dry_run and self.yes:
            raise click.UsageError("Give --dry-run or --yes, not both.")
        if self.wait and self.soft:
            raise click.UsageError("--soft deletes nothing: there is no sweep to --wait for.")
        if selection.older_than == 0:
            raise click.UsageError("--older-than 0 is everything: give --everything.")

    def criteria(self, selection: Selection, previewed: Previewed | None, shell: Shell) -> Criteria:
        """The criteria as of now; with an earlier preview, an age counts from that preview."""
        namespace = shell.namespace(self.namespace)
        fields: dict[str, Any] = selection.fields(namespace) | {"namespace": namespace, "key": self.key}
        if selection.older_than is not None:
            fields["created_before"] = cutoff(selection.older_than, shell.shared.clock(), previewed)
        return Criteria.from_dict(fields)


@command(cli)
@namespaces_option
@selecting
@click.option("--key", help="One entry, by its key.")
@click.option("--dry-run", is_flag=True, help="Only show what it would hide.")
@click.option("--yes", is_flag=True, help="Apply it without asking.")
@click.option("--soft", is_flag=True, help="Mark stale instead: served only if the provider fails.")
@click.option(
    "--hold", type=DURATION, help="How long it can be undone; 0: sweep at once. Default: ENCORE_HOLD_SECONDS."
)
@click.option("--wait", is_flag=True, help="Wait until the sweep has deleted what is hidden.")
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Longest wait for the sweep.")
@click.option("--request-id", help="An id for retries: repeating it changes nothing.")
@REASON
@click.option("--preview", "token", help="Token of a --dry-run --json: refused if other entries match by now.")
def invalidate(shell: Shell, selection: Selection, **given: Any) -> int:
    """Hide all answers that match every option given. In force when it returns, whatever their number.

    Shows a preview first. On a terminal it then asks, for a typed word where it hides everything or more than a tenth;
    elsewhere it takes --yes or --dry-run. With --dry-run the status is 3 when nothing matches. With --yes it is applied
    even then: an answer that is being generated now is kept out too. With --preview an age counts from the earlier
    dry run, and the status is 1 when something has changed since.

    --all-namespaces needs an admin, and the status is 1 where some namespaces refuse it; in the others it is in
    force. Namespaces made later are not affected.
    """
    options = InvalidateOptions(**given)
    options.check(selection)
    previewed = Previewed.parse(options.token) if options.token is not None else None
    invalidation = shell.shared.invalidation
    criteria = options.criteria(selection, previewed, shell)
    reach = Reach(user=selection.user)
    timeout = options.timeout if options.wait else None
    if options.request_id and not options.dry_run and not criteria.is_everywhere:
        known = invalidation.repeated(options.request_id, criteria)
        if known is not None:
            shell.say(f"Applied before: {_invalidation_words(shell, known)}")
            return _finish(shell, None, known, timeout)
    preview = invalidation.preview(criteria, reach=reach)
    shell.say(_preview_words(shell, preview))
    if previewed is not None:
        previewed.require(preview)
    if options.dry_run:
        if shell.as_json:
            shell.answer({"preview": plain_preview(preview), "applied": False}, "")
        return Exit.OK if preview.count else Exit.NOTHING
    if not options.yes:
        if shell.as_json or not is_terminal():
            raise click.UsageError("Not on a terminal: give --yes to apply it, or --dry-run.")
        if not _confirmed(preview):
            shell.say("Not applied.")
            return Exit.FAILED
    done = _apply(shell, criteria, reach, options, preview)
    shell.say(applied_words(done))
    return _finish(shell, preview, done, timeout)


def _apply(
    shell: Shell, criteria: Criteria, reach: Reach, options: InvalidateOptions, preview: Preview
) -> Invalidation:
    try:
        return shell.shared.invalidation.invalidate(
            criteria,
            actor=shell.trail,
            soft=options.soft,
            hold_seconds=options.hold,
            request_id=options.request_id,
            preview=preview,
            reason=options.reason,
            reach=reach,
        )
    except WriteRefused as error:
        place = "--everything" if criteria.is_everywhere else f"--namespace {preview.namespace}"
        raise WriteRefused(
            f"{error}: the invalidation is NOT applied. Until it is, turn the bypass switch on to keep these answers "
            f"from requests: python -m core bypass --on {place}"
        ) from error


def _confirmed(preview: Preview) -> bool:
    """Asks for confirmation, by a typed word where much would be hidden. Returns whether it was given."""
    if not preview.is_large:
        return click.confirm("Invalidate?")
    typed: str = click.prompt(f"Type {WORD} to confirm", default="", show_default=False)
    return typed.strip().lower() == WORD


def is_terminal() -> bool:
    """Whether input and output are a terminal."""
    return sys.stdin.isatty()


def _finish(shell: Shell, preview: Preview | None, done: Invalidation, timeout: float | None) -> int:
    """Waits for the sweep if requested, and prints the result."""
    known = done if timeout is None else _wait(shell, done, timeout)
    is_late = timeout is not None and known.finished_at is None
    if shell.as_json:
        plain: dict[str, Any] = {"applied": True, "invalidation": plain_invalidation(known)}
        shell.answer(plain | ({"preview": plain_preview(preview)} if preview else {}), "")
    elif timeout is not None:
        late = f"It is in force, but its sweep did not end within {duration(timeout)}."
        click.echo(late if is_late else _invalidation_words(shell, known))
    if is_late or known.state in (InvalidationState.UNDONE, InvalidationState.REFUSED, InvalidationState.PARTLY):
        return Exit.FAILED
    return Exit.OK


def _wait(shell: Shell, done: Invalidation, timeout: float) -> Invalidation:
    """The invalidation when a worker has swept it, or when the time is up."""
    services = shell.shared
    if services.queue_redis is not None and not WorkerPools(services.queue_redis, clock=services.clock).alive_workers():
        shell.say("No worker is alive, so nothing is swept. Start workers: python -m workers")
    deadline = time.monotonic() + timeout
    while True:
        known = services.invalidation.find(done.id) or done
        if known.finished_at is not None or time.monotonic() >= deadline:
            return known
        time.sleep(WAIT_POLL_SECONDS)


def _preview_words(shell: Shell, preview: Preview) -> str:
    count = f"{preview.about}{preview.count:,}"
    if preview.low != preview.high:
        count += f" ({preview.low:,} to {preview.high:,})"
    cost = money(preview.cost_usd)
    if preview.unknown_prices:
        cost += f" and {preview.unknown_prices} of unknown price"
    what = f"{words.text(str(preview.criteria), 400)} in {shell.named(preview.namespace)}"
    if not preview.count:
        return f"{what}: none of {preview.total:,} entries."
    served = "" if preview.hits_last_day is None else f" They were served {preview.hits_last_day:,} times in a day."
    lines = [
        f"{what}: {count} of {preview.total:,} entries ({share(preview.share)}), {size(preview.bytes)}.{served}",
        f"To fetch them again: {cost}, {preview.tokens:,} tokens, {duration(preview.refetch_seconds)} of waiting.",
    ]
    for part in preview.parts:
        if part.problem or part.count:
            found = part.problem or f"{part.about}{part.count:,} of {part.total:,} entries"
            lines.append(f"  in {shell.named(part.namespace)}: {found}")
    for row in preview.rows[:SHOWN_ROWS]:
        model, age = words.text(row.model, 24), duration(row.age_seconds)
        lines.append(f"  {row.key[:14]}…  {model}  {age} old  {words.text(row.prompt, 70)}")
    if preview.count > SHOWN_ROWS:
        lines.append("  …")
    return "\n".join(lines)


def applied_words(done: Invalidation) -> str:
    """The result of an invalidation in words, and how to undo it."""
    match done.state:
        case InvalidationState.PARTLY:
            ways = f" Undo: python -m core undo {done.id}" if done.can_undo else ""
            return f"Partly applied: {whole_words(done)}. {done.problem}.{ways}"
        case InvalidationState.SOFT:
            return f"Marked stale. Undo: python -m core undo {done.id}"
        case InvalidationState.SWEPT:
            return "Deleted."
        case _ if done.due_at > done.applied_at:
            left = duration(done.due_at - done.applied_at)
            return f"Hidden. For {left} it can be undone: python -m core undo {done.id}"
        case _:
            return f"Hidden. The sweep of {done.id} begins at once."


@command(cli)
@click.argument("invalidation_id")
def undo(shell: Shell, invalidation_id: str) -> int:
    """Bring back what an invalidation hid, with the remaining TTLs, also where it was answered again meanwhile.

    Refused once its sweep has begun.
    """
    undone = shell.shared.invalidation.undo(invalidation_id, actor=shell.trail)
    shell.answer(plain_invalidation(undone), f"{_what(shell, undone)}\n{undone_words(undone)}")
    return Exit.OK


@command(cli)
@click.argument("invalidation_id")
@click.option("--wait", is_flag=True, help="Wait until the sweep has deleted what is hidden.")
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Longest wait for the sweep.")
def sweep(shell: Shell, invalidation_id: str, wait: bool, timeout: float) -> int:
    """End an invalidation's time to undo now: a worker deletes within seconds what it hides."""
    due = shell.shared.invalidation.end_hold(invalidation_id, actor=shell.trail)
    shell.say(f"Due now: {_what(shell, due)}.")
    return _finish(shell, None, due, timeout if wait else None)


@command(cli)
@namespace_option
@click.option("--active", is_flag=True, help="Only invalidations in force.")
@click.option(
    "--by",
    type=click.Choice(["people", "programs"]),
    help="Only those by people or by programs. Default: half of each.",
)
@click.option("--find", default="", help="A tag, a key, an id, or another part of what they select.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--cursor", help="Continue where an earlier page ended.")
def invalidations(
    shell: Shell, namespace: str | None, active: bool, by: str | None, find: str, limit: int, cursor: str | None
) -> int:
    """List the latest invalidations: who, what, when, and the result.

    With --active, where there is more than one page: soonest end of undo first.
    """
    invalidation = shell.shared.invalidation
    page: ActivePage | HistoryPage
    if active and by is None:
        wanted = InvalidationFilter(text=find).matches if find else None
        page = invalidation.active_page(limit, cursor=cursor, namespace=namespace, where=wanted)
    else:
        wanted = InvalidationFilter(text=find, active=active).matches if find or active else None
        machines = None if by is None else by == "programs"
        page = invalidation.past(limit, cursor=cursor, namespace=namespace, machines=machines, where=wanted)
    known = page.items
    rows = [
        (
            one.id,
            words.moment(one.applied_at),
            whole_words(one) or one.state.value,
            words.text(one.actor, 20),
            "-" if one.deleted is None else f"{one.deleted:,} deleted",
            _what(shell, one),
            words.text(one.problem or one.reason, 80),
        )
        for one in known
    ]
    header = ("Id", "When", "State", "Who", "Swept", "What", "Why")
    shell.answer(
        [plain_invalidation(one) for one in known],
        words.table(rows, header=header) if rows else "There are no invalidations.",
    )
    if page.next is not None:
        shell.more(f"--cursor {page.next}")
    return Exit.OK


def _invalidation_words(shell: Shell, known: Invalidation) -> str:
    swept = f", {known.deleted:,} deleted" if known.deleted is not None else ""
    freed = f", {size(known.freed_bytes)} freed" if known.freed_bytes is not None else ""
    return f"{_what(shell, known)}: {whole_words(known) or known.state.value}{swept}{freed}."


def _what(shell: Shell, known: Invalidation) -> str:
    return f"{words.text(str(known.criteria), 120)} in {shell.named(known.namespace)}"
