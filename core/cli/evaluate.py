"""The command eval: what labelled questions come to with the settings as they are."""

from __future__ import annotations

from typing import IO, Any

import click

from ..bootstrap import evaluated
from ..configuration import configured_threshold
from ..errors import InvalidInput
from ..evaluation import Counts, Evaluation, Limit, evaluate, interval, read_labelled
from ..models import CacheStrategy, SemanticMode
from ..settings import Settings
from ..text import UNKNOWN, share
from . import formats as words
from .shell import Exit, Shell, cli, command

LONGEST_NAME = 40


class LimitType(click.ParamType[Limit]):
    """`3`, `0.02` or `2%`."""

    name = "count|share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limit:
        """The limit; fails for anything else."""
        if isinstance(value, Limit):
            return value
        try:
            return Limit.parse(str(value).strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


@command(cli, name="eval")
@click.argument("file", type=click.File("rb"))
@click.option("--most-served-traps", type=LimitType(), help="Exit status 1 if more traps are served.")
@click.option("--least-served-good", type=LimitType(), help="Exit status 1 if fewer good questions are served.")
def evaluate_file(
    shell: Shell, file: IO[bytes], most_served_traps: Limit | None, least_served_good: Limit | None
) -> int:
    """Evaluate the settings on labelled questions.

    FILE has one JSON object per line, gzipped or not; - is the standard input. Pairs: "a", "b" and "equivalent"; a is
    stored, then b is asked. Streams: "query" and "answer_class", in order of arrival. Chats: "a" and "b" are lists of
    messages. "category" and "language" are counted one by one.

    Everything goes through a whole cache with a store of its own. No model is asked, Redis is neither read nor written,
    and thresholds are those of the settings. Limits are counts, or shares of all traps and of all good questions.
    """
    settings = Settings()
    found = evaluate(read_labelled(file), evaluated(settings))
    every = found.every
    if not every.good + every.traps:
        raise InvalidInput("file", "has no labelled lines")
    broken = []
    if most_served_traps is not None and most_served_traps.is_above(every.served_traps, every.traps):
        broken.append(f"Too many traps are served: {every.served_traps} of {every.traps}.")
    if least_served_good is not None and least_served_good.is_below(every.served_good, every.good):
        broken.append(f"Too few good questions are served: {every.served_good} of {every.good}.")
    shell.answer(found.to_dict(), _words(settings, found))
    for sentence in broken:
        click.echo(sentence, err=True)
    return Exit.FAILED if broken else Exit.OK


def _words(settings: Settings, found: Evaluation) -> str:
    header = ("", "Good", "Good, served", "Good, judged", "Traps", "Traps, served", "Traps, judged")
    rows = [_row("All", found.every)]
    for title, parts in (("Category", found.by_category), ("Language", found.by_language)):
        rows += [_row(f"{title} {words.text(name, LONGEST_NAME)}", parts[name]) for name in sorted(parts)]
    served = found.every.served_good + found.every.served_traps
    return "\n".join(
        [
            _settings_words(settings),
            "",
            words.table(rows, header=header),
            "",
            f"Wrong among all served: {_part(found.every.served_traps, served)}",
            "Judged: not served, but shown to a judge. In brackets: between what shares the true one is (95 %).",
        ]
    )


def _row(name: str, counts: Counts) -> tuple[str, ...]:
    return (
        name,
        str(counts.good),
        _part(counts.served_good, counts.good),
        _part(counts.judged_good, counts.good),
        str(counts.traps),
        _part(counts.served_traps, counts.traps),
        _part(counts.judged_traps, counts.traps),
    )


def _part(part: int, whole: int) -> str:
    """`12: 20.0 % (10.8 % to 32.3 %)`."""
    if not whole:
        return str(part) if part else UNKNOWN
    if part > whole:  # in a stream a question asked before may be served another's answer too
        return str(part)
    low, high = interval(part, whole)
    return f"{part}: {share(part / whole)} ({share(low)} to {share(high)})"


def _settings_words(settings: Settings) -> str:
    """What the settings say of near questions."""
    if settings.strategy is not CacheStrategy.SEMANTIC:
        return f"Strategy {settings.strategy.value}: near questions are not looked for (ENCORE_STRATEGY=semantic does)."
    threshold = configured_threshold(settings)
    match settings.semantic:
        case SemanticMode.OFF:
            mode = "near questions are off (ENCORE_SEMANTIC)"
        case SemanticMode.JUDGE:
            mode = f"a judge is asked from {threshold.grey:.3f}, nothing near is served without it"
        case _:
            mode = f"near questions are served from {threshold.serve or 1:.3f}"
    chats = "; chats are judged" if settings.semantic_conversations == "judge" else ""
    return f"Strategy semantic: {mode}{chats}. Embedder {words.text(settings.embedder, 80)}."
