"""The audit log on the command line: who did what, when, and the result; for people, programs and spreadsheets."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ..access import AuditRecord, audit_csv, audit_json_lines
from . import formats as words
from .shell import Exit, Shell, cli, command


@command(cli)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="Number of records, newest first.",
)
@click.option("--actor", help="Only records of this person or program.")
@click.option("--action", help="One action, or all of a kind: invalidate., schedule., threshold., entry., job.")
@click.option("--programs", "machines", is_flag=True, help="Show what programs did to answers: a log of its own.")
@click.option("--before", "before_id", help="Continue before the record with this id.")
@click.option("--export", type=click.Choice(["csv", "jsonl"]), help="Print all fields, for spreadsheets or programs.")
def audit(shell: Shell, limit: int, export: str | None, **filters: Any) -> int:
    """Show who did what, when, and with which result, newest first."""
    page = shell.shared.audit.page(limit, **filters)
    found = page.records
    if export is not None:
        named = shell.naming.knowing(record.namespace for record in found if record.namespace).shown
        click.echo(audit_csv(found, named) if export == "csv" else audit_json_lines(found), nl=False)
    else:
        shell.answer([msgspec.to_builtins(record) for record in found], _words(shell, found))
    if page.next_id is not None:
        shell.more(f"--before {page.next_id}")
    return Exit.OK if found else Exit.NOTHING


def _words(shell: Shell, found: list[AuditRecord]) -> str:
    rows = [
        (
            words.moment(record.at),
            words.text(record.actor, 30),
            record.source,
            record.action,
            shell.named(record.namespace) if record.namespace else "",
            words.text(record.invalidation_id or "", 40),
        )
        for record in found
    ]
    return words.table(rows, header=("When", "Who", "From", "Action", "Namespace", "Invalidation"))
