"""The savings on the command line: by month, and by namespace, model and TTL class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import click

from ..metrics import DIMENSIONS, Dimension, Line, MonthSavings, Savings, kept_month, month_of, savings_csv
from ..text import cents, many
from . import formats as words
from .shell import Exit, Shell, cli, command

_NONE = "(none)"
_HEADINGS = {"namespace": "Namespace", "model": "Model", "ttl_class": "TTL class"}


class Dimensions(click.ParamType[tuple[Dimension, ...]]):
    """`namespace,model`: what lines tell apart."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Dimension, ...]:
        """The names, each once; fails for any other."""
        given = list(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if not given or not set(given) <= set(DIMENSIONS):
            self.fail(f"give {', '.join(DIMENSIONS)}, or some of them with commas between.", param, ctx)
        return cast("tuple[Dimension, ...]", tuple(given))


@command(cli)
@click.option(
    "--month", help="One month in UTC, such as 2026-11. Default: this month, and the sums of all kept months."
)
@click.option(
    "--by", type=Dimensions(), default="namespace", show_default=True, help=f"Lines by {', '.join(DIMENSIONS)}."
)
@click.option("--namespace", help="Only this namespace. Default: all.")
@click.option("--model", help="Only this model.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: the lines of the month, or of all kept months.")
def savings(
    shell: Shell, month: str | None, by: tuple[Dimension, ...], namespace: str | None, model: str | None, as_csv: bool
) -> int:
    """Show what the cache saved by month, beside what was spent."""
    if as_csv and shell.as_json:
        raise click.UsageError("Give --json or --csv, not both.")
    services = shell.shared
    now = services.clock()
    chosen = kept_month(month, now).name if month is not None else month_of(now).name
    found = services.metrics.savings(by, namespace=namespace, model=model)
    if as_csv:
        months = [one for one in found.months if month in (None, one.month)]
        every = {line.namespace for one in months for line in one.lines if line.namespace}
        click.echo(savings_csv(found, months, shell.naming.knowing(every).shown), nl=False)
    else:
        shell.answer(found.to_dict(chosen), _words(shell, found, chosen, is_one=month is not None))
    return Exit.OK


def _words(shell: Shell, found: Savings, month: str, *, is_one: bool) -> str:
    shown = [one for one in reversed(found.months) if not is_one or one.month == month]
    if not shown:
        return f"Nothing has been counted in {month}."
    header = ("Month", "Hits", "Saved", "Judging and embedding", "Net", "Spent")
    parts = [words.table([_sums(one) for one in shown], header=header)]
    chosen = found.of(month)
    if chosen is not None and chosen.lines:
        headings = (*(_HEADINGS[name] for name in found.by), "Requests", "Hits", "Saved", "Spent")
        rows = [
            (
                *(_name(shell, line, name) for name in found.by),
                f"{line.requests:,}",
                f"{line.hits:,}",
                cents(line.saved_usd),
                cents(line.spent_usd),
            )
            for line in chosen.lines
        ]
        parts += ["", f"{month}:", words.table(rows, header=headings)]
    return "\n".join([*parts, "", *_notes(found, shown)])


def _name(shell: Shell, line: Line, by: Dimension) -> str:
    name = getattr(line, by)
    return (shell.named(name) if by == "namespace" and name else words.text(name, 40)) or _NONE


def _sums(one: MonthSavings) -> tuple[str, ...]:
    return (
        one.month if one.complete else f"{one.month} so far",
        f"{one.hits:,}",
        cents(one.saved_usd),
        cents(one.overhead_usd),
        cents(one.net_usd),
        cents(one.spent_usd),
    )


def _notes(found: Savings, shown: Sequence[MonthSavings]) -> list[str]:
    notes = [f"Since the beginning: {cents(found.total_usd)} saved. Months are in UTC."]
    if found.earlier_usd:
        notes.append(f"{cents(found.earlier_usd)} of it was saved before these months.")
    hits, calls = sum(one.unpriced_hits for one in shown), sum(one.unpriced_calls for one in shown)
    own = sum(one.unpriced_overhead for one in shown)
    unpriced = [
        many(count, one, more)
        for count, one, more in (
            (hits, "hit", "hits"),
            (calls, "call of the provider", "calls of the provider"),
            (own, "call to judge or embed", "calls to judge or embed"),
        )
        if count
    ]
    if unpriced:
        notes.append(f"Without a price, and in no sum: {', '.join(unpriced)}.")
    return notes
