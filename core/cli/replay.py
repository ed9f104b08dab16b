"""The command that sends requests: replay."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import IO

import click

from ..access import Action
from ..demo import Question, ReplayProgress, popular, read_questions, replay_questions, sample
from ..errors import InvalidInput
from ..text import duration, money, share
from . import formats as words
from .shell import Exit, Shell, cli, command


@command(cli)
@click.argument("file", type=click.File(encoding="utf-8"), required=False)
@click.option("--namespace", default="demo", show_default=True, help="The namespace to store the answers in.")
@click.option("--model", help="For questions that name none. Default: ENCORE_DEFAULT_MODEL.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True, max=10_000), default=20, show_default=True)
@click.option("--repeat", type=click.Choice(["zipf"]), help="Repeat some questions, as people do.")
@click.option("--limit", type=click.IntRange(min=1), help="How many requests; with --repeat three times the file.")
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=16, show_default=True, help="Requests at the same time."
)
def replay(
    shell: Shell,
    file: IO[str] | None,
    namespace: str,
    model: str | None,
    rate: float,
    repeat: str | None,
    limit: int | None,
    concurrency: int,
) -> int:
    """Send a file of questions through the cache and show what it saves.

    FILE has one JSON object per line: "query", "question" or "prompt", or "messages" as the OpenAI API takes them.
    Without one, a sample of 360 real questions of bank customers is sent (Banking77, CC BY 4.0).
    """
    shell.actor.require(Action.ASK)
    questions = list(read_questions(file)) if file is not None else sample("banking77")
    if not questions:
        raise InvalidInput("file", "has no questions")
    source: Iterable[Question] = questions
    planned = min(limit or len(questions), len(questions))
    if repeat:
        planned = limit or 3 * len(questions)
        source = popular(questions)
    services = shell.services
    last = ReplayProgress(planned=planned)
    progress = replay_questions(
        services.cache,
        islice(source, planned),
        model=model or shell.model(),
        namespace=namespace,
        rate=rate,
        concurrency=concurrency,
        planned=planned,
    )
    with click.progressbar(
        length=planned,
        label="Asking",
        file=sys.stderr,
        item_show_func=lambda shown: shown or "",
        hidden=shell.as_json or not sys.stderr.isatty(),
    ) as bar:
        shown = 0
        for last in progress:
            answered = last.answered + last.errors
            bar.update(answered - shown, f"{last.hits} hits, {last.misses} misses, {last.errors} errors")
            shown = answered
    shell.answer(last.to_dict(), _replay_words(last))
    return Exit.FAILED if last.gave_up or not last.answered else Exit.OK


def _replay_words(last: ReplayProgress) -> str:
    details = ", ".join(f"{count} {name}" for name, count in sorted(last.details.items()))
    rows = [
        ("Requests", f"{last.sent} in {duration(last.elapsed_seconds)}"),
        ("Hit rate", share(last.hit_rate)),
        ("Answers", details or "none"),
        ("Errors", f"{last.errors}" + (f" ({last.problem})" if last.problem else "")),
        ("Money saved", money(last.saved_usd)),
        ("Time saved", duration(last.saved_seconds)),
    ]
    if last.gave_up:
        rows.append(("Stopped early", "nothing but errors came back"))
    return words.table(rows)
