"""What people ask, on the command line: the groups of recorded questions."""

from __future__ import annotations

import click

from ..semantic.questions import QuestionReport
from ..text import many, money, share
from . import formats as words
from .shell import Exit, Shell, cli, command


@command(cli)
@click.option("--namespace", help="Only this namespace.")
@click.option("--model", help="Only this model.")
@click.option("--group", is_flag=True, help="Group the recorded questions anew first; takes seconds.")
@click.option("--limit", type=click.IntRange(1, 40), default=40, show_default=True, help="At most this many groups.")
def questions(shell: Shell, namespace: str | None, model: str | None, group: bool, limit: int) -> int:
    """Show what people ask, in groups, the most expensive first. Exit status 3 when there are none."""
    services = shell.shared
    if group:
        services.questions.group(actor=shell.trail)
    found = services.questions.report(namespace=namespace, model=model)
    shell.answer(found.to_dict(), _words(found, limit))
    return Exit.OK if found.groups else Exit.NOTHING


def _words(found: QuestionReport, limit: int) -> str:
    if found.empty:
        return f"{found.empty} Group them: `python -m core questions --group`." if found.groupable else found.empty
    rows = [
        (
            f"{one.number}",
            f"{one.requests:,}",
            f"{one.questions:,}",
            share(one.hit_rate),
            money(one.spent_usd),
            money(one.repeated_usd),
            money(one.saved_usd),
            words.text(one.question, 80),
        )
        for one in found.groups[:limit]
    ]
    header = ("#", "Requests", "Wordings", "Hit rate", "Spent", "Of it on repeats", "Saved", "A typical question")
    notes = [found.near_words] if found.near_words else []
    notes += [f"Of the latest {many(found.looked_at, 'request')}, grouped {words.moment(found.at)}."]
    if found.newer:
        notes.append(f"{many(found.newer, 'request')} {'asks' if found.newer == 1 else 'ask'} what is in no group yet.")
    return "\n".join([words.table(rows, header=header), "", *notes])
