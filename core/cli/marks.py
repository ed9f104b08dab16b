"""The commands about marks on charts: setting one, and what can be done with those that are set."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..errors import NotFound
from . import formats as words
from .shell import EXIT_HELP, Exit, Shell, cli, command


@command(cli)
@click.argument("name")
@click.option(
    "--at",
    metavar="TIME",
    help="When it happened, such as 2026-11-30T14:05, in UTC unless it names a zone. Default: now.",
)
@click.option("--namespace", help="On the charts of this namespace only. Default: of all.")
def mark(shell: Shell, name: str, at: str | None, namespace: str | None) -> int:
    """Mark a moment on the charts with a NAME, such as a deploy. It stays for 90 days.

    Repeating the same mark changes nothing.
    """
    added = shell.shared.marks.add(name, at=_moment(at), namespace=namespace, actor=shell.trail)
    where = f"the charts of {shell.named(added.namespace)}" if added.namespace else "the charts"
    shell.answer(added.to_dict(), f"Marked {words.text(added.name, 80)} on {where} at {words.moment(added.at)}.")
    return Exit.OK


@cli.group(invoke_without_command=True, epilog=EXIT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def marks(context: click.Context, as_json: bool) -> None:
    """List the marks on the charts, or remove one. Without a subcommand: the list."""
    if context.invoked_subcommand is None:
        context.invoke(listing, as_json=as_json)
    elif as_json:
        raise click.UsageError("Put options after the subcommand they are for.")


@command(marks, name="list")
def listing(shell: Shell) -> int:
    """List the marks of the last 90 days, newest first."""
    found = shell.shared.marks.all()
    rows = [
        (
            one.id,
            words.moment(one.at),
            shell.named(one.namespace) if one.namespace else "all namespaces",
            words.text(one.actor, 20),
            words.text(one.name, 80),
        )
        for one in found
    ]
    header = ("Id", "When", "Charts of", "Who", "Name")
    shell.answer([one.to_dict() for one in found], words.table(rows, header=header) if rows else "There are no marks.")
    return Exit.OK


@command(marks)
@click.argument("mark_id", metavar="ID")
def remove(shell: Shell, mark_id: str) -> int:
    """Remove a mark."""
    removed = shell.shared.marks.remove(mark_id, actor=shell.trail)
    if removed is None:
        raise NotFound(f"no mark has the id {mark_id}")
    shell.answer(removed.to_dict(), f"Removed {words.text(removed.name, 80)}.")
    return Exit.OK


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError("--at takes a time such as 2026-11-30T14:05 or 2026-11-30T14:05+01:00.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
