"""The commands about near matches: calibrate (evidence, labels, thresholds) and seed."""

from __future__ import annotations

import functools
import sys
from typing import IO, Any, cast

import click
import msgspec

from ..entries import SeedReport, import_seeds, read_seeds
from ..errors import InvalidInput
from ..keys import names
from ..metrics import Hedging
from ..models import SemanticMode
from ..semantic import JUDGE_WORDS
from ..semantic.quality import EvidenceReport, Pair, Published, Threshold, WrongHit, labels_needed
from ..text import UNKNOWN, many, milliseconds, money, share
from . import formats as words
from .formats import DURATION
from .shell import EXIT_HELP, Command, Exit, Shell, cli, command, namespace_option

HEDGING_SECONDS = 30 * 86_400.0
SHOWN_THRESHOLDS = (0.99, 0.97, 0.95, 0.925, 0.9, 0.875, 0.85, 0.8, 0.75, 0.7)


_CONVERSATIONS = click.option(
    "--conversations", is_flag=True, help="What was asked in conversations, instead of single questions."
)


@cli.group(invoke_without_command=True, epilog=EXIT_HELP)
@namespace_option
@_CONVERSATIONS
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def calibrate(context: click.Context, namespace: str | None, conversations: bool, as_json: bool) -> None:
    """Show how often near matches are wrong, label them, and publish thresholds. Without a subcommand: the report."""
    if context.invoked_subcommand is not None:
        if namespace or conversations or as_json:
            raise click.UsageError("Put options after the subcommand they are for.")
        return
    context.invoke(report, namespace=namespace, conversations=conversations, since=None, as_json=as_json)


def _kind_option(function: Command) -> Command:
    """Declares --namespace, and --conversations: the command gets the name under which what it is about stands."""

    @functools.wraps(function)
    def run(shell: Shell, *arguments: Any, conversations: bool, namespace: str | None, **options: Any) -> Any:
        name = namespace or shell.services.settings.namespace
        return function(shell, *arguments, namespace=names.conversations_in(name) if conversations else name, **options)

    return namespace_option(cast("Command", _CONVERSATIONS(run)))


@command(calibrate)
@_kind_option
@click.option("--since", type=DURATION, help="How far back. Default: everything that is kept.")
def report(shell: Shell, namespace: str, since: float | None) -> int:
    """Show false hits per hit and their bound, what judging costs, and the thresholds that labels speak for."""
    begin = None if since is None else shell.shared.clock() - since
    found = shell.shared.evidence.report(namespace, since=begin)
    hedging = shell.shared.metrics.summary(min(since or HEDGING_SECONDS, HEDGING_SECONDS)).hedging
    plain = found.to_dict() | {"hedging": msgspec.to_builtins(hedging)}
    shell.answer(plain, _report_words(shell, found, hedging))
    return Exit.OK if found.lookups or found.labels else Exit.NOTHING


def _report_words(shell: Shell, found: EvidenceReport, hedging: Hedging) -> str:
    judging = found.judging
    rulings = ", ".join(f"{count} {JUDGE_WORDS.get(word, word)}" for word, count in judging.rulings.items())
    rows = [
        ("Namespace", shell.named(found.namespace)),
        ("In force", _threshold_words(found.threshold)),
        ("Lookups", f"{found.lookups} kept, {found.hits} of them hits"),
        ("Labels", f"{found.labels} pairs: {found.operator_labels} by operators, {found.judge_labels} by the judge"),
        ("Unlabelled", f"{found.unlabelled} pairs"),
        ("False hits", _false_hits(found)),
        ("Bound", _bound_words(shell, found)),
        ("Judge", f"{rulings or 'never asked'}; p95 {milliseconds(judging.p95_ms)}"),
        ("Asked", found.grey.sentence if found.grey is not None else UNKNOWN),
        (
            "Judging cost",
            f"{money(judging.cost_usd)}, saved {money(judging.saved_usd)}, repeats not counted",
        ),
        (
            "Hedging",
            (
                f"{hedging.dropped} provider calls dropped because the judge approved, {money(hedging.cost_usd)} (of "
                "all namespaces, in 30 days at most)"
            ),
        ),
        ("Agreement", _agreement(found)),
    ]
    lines = [words.table(rows), ""]
    if foreign := shell.shared.thresholds.foreign(found.namespace):
        lines += [words.text(foreign, 400), ""]
    points = [point for point in found.curve if point.threshold in SHOWN_THRESHOLDS and point.labels]
    if points:
        table = [
            (
                f"{point.threshold:.3f}",
                share(point.hit_rate),
                str(point.labels),
                str(point.errors),
                share(point.bound),
            )
            for point in points
        ]
        header = ("Served from", "Of labelled pairs", "Labels", "Wrong", "At most wrong (95 %)")
        lines += [words.table(table, header=header), ""]
    for proposal in found.proposals:
        proposed = "no threshold" if proposal.threshold is None else f"{proposal.threshold:.3f}"
        lines.append(f"Within {share(proposal.budget, 0)}: {proposed} ({proposal.reason})")
    return "\n".join(lines)


def _false_hits(found: EvidenceReport) -> str:
    known = found.standing
    if known is None:
        return "nothing is served without the judge"
    if not known.labels:
        return f"unknown: no label since {words.moment(known.since)}"
    return (
        f"{known.wrong} of {many(known.labels, 'label')} since {words.moment(known.since)}, about "
        f"{share(known.estimate)} of {many(known.hits, 'hit')}; at most {share(known.bound)}{known.named}"
    )


def _bound_words(shell: Shell, found: EvidenceReport) -> str:
    if found.standing is not None:
        return found.standing.words
    budget = shell.services.settings.false_hit_budget
    return f"to serve unjudged takes about {many(labels_needed(budget), 'clean label')} after a threshold is published"


def _agreement(found: EvidenceReport) -> str:
    agreement = found.agreement
    if not agreement.pairs:
        return "unknown: no pair is labelled by both"
    return (
        f"{agreement.agreed} of {agreement.pairs} pairs; the judge approved {agreement.false_yes} wrongly, at most "
        f"{share(agreement.bound)} of what it approved"
    )


def _threshold_words(threshold: Threshold) -> str:
    version = f"version {threshold.version}" if threshold.version else "as configured"
    if threshold.mode is SemanticMode.OFF:
        return f"off ({version})"
    serve = "nothing unjudged" if threshold.serve is None else f"served from {threshold.serve:.3f}"
    fixed = ", set by hand" if threshold.grey_fixed else ""
    judged = f", judged from {threshold.grey:.3f}{fixed}" if threshold.mode is SemanticMode.JUDGE else ""
    unproved = ", unproved" if threshold.unproved else ""
    return f"{threshold.mode.value}: {serve}{unproved}{judged} ({version})"


@command(calibrate)
@_kind_option
@click.option("--labelled/--unlabelled", default=None, help="Only pairs with, or without, a label.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
def pairs(shell: Shell, namespace: str, labelled: bool | None, limit: int) -> int:
    """List near matches, newest first."""
    found = shell.shared.evidence.pairs(namespace, limit=limit, is_labelled=labelled)
    rows = [
        (
            pair.id,
            f"{pair.similarity:.3f}",
            _label_words(pair),
            "served" if pair.served else pair.guard or "-",
            f"{_shown(pair.question)} | {_shown(pair.stored)}",
        )
        for pair in found
    ]
    header = ("Pair", "Cosine", "Label", "Served", "Asked | stored")
    shell.answer(
        [msgspec.to_builtins(pair) for pair in found],
        words.table(rows, header=header) if rows else "There are no such pairs.",
    )
    return Exit.OK if found else Exit.NOTHING


def _label_words(pair: Pair) -> str:
    labels = [
        f"{who}: {'same' if label else 'different'}"
        for who, label in (("operator", pair.operator_label), ("judge", pair.judge_label))
        if label is not None
    ]
    return labels[0] if labels else "-"


def _shown(text: str | None) -> str:
    return "(not kept)" if text is None else words.text(text, 100)


@command(calibrate)
@click.argument("pair", required=False)
@click.option("--same/--different", default=None, help="Whether the stored answer answers both questions.")
@_kind_option
def label(shell: Shell, pair: str | None, same: bool | None, namespace: str) -> int:
    """Label a pair: may the stored answer be given to the question? Without PAIR: go through the unlabelled pairs."""
    services = shell.shared
    if pair is not None:
        if same is None:
            raise click.UsageError("Give --same or --different.")
        known = services.evidence.label(pair, same, actor=shell.trail)
        shell.answer(msgspec.to_builtins(known), _labelled_words(known))
        return Exit.OK
    if shell.as_json:
        raise click.UsageError("Give a PAIR: only a person at a terminal can go through them.")
    count = 0
    for waiting in services.evidence.pairs(namespace, limit=200, is_labelled=False):
        shell.say(f"\nasked:  {_shown(waiting.question)}\nstored: {_shown(waiting.stored)}")
        choice = click.prompt("Same answer?", type=click.Choice(["y", "n", "skip", "end"]), default="skip")
        if choice == "end":
            break
        if choice != "skip":
            shell.say(_labelled_words(services.evidence.label(waiting.id, choice == "y", actor=shell.trail)))
            count += 1
    shell.say(f"{count} labelled.")
    return Exit.OK if count else Exit.NOTHING


def _labelled_words(pair: Pair) -> str:
    if pair.operator_label or not pair.served:
        return "Noted."
    return (
        "Noted. The wrong answer was served, and may be again. Hide it:\n  python -m core invalidate --key "
        f"{pair.question_key} --namespace {names.namespace_in(pair.namespace)}"
    )


@command(calibrate)
@_kind_option
@click.option("--threshold", "thresholds", type=click.FloatRange(0, 1, min_open=True), multiple=True)
@click.option("--since", type=DURATION, help="How far back. Default: everything that is kept.")
def lab(shell: Shell, namespace: str, thresholds: tuple[float, ...], since: float | None) -> int:
    """Replay recorded lookups at other thresholds: what would have hit without a judge, how often wrongly, and what it
    would have saved. With one --threshold also the pairs labelled wrong that would have been served."""
    begin = None if since is None else shell.shared.clock() - since
    evidence = shell.shared.evidence
    points = evidence.replay(namespace, thresholds or SHOWN_THRESHOLDS, since=begin)
    rows = [
        (
            f"{point.threshold:.3f}",
            f"{point.hits} ({share(point.hit_rate)})",
            str(point.labelled),
            str(point.errors),
            share(point.bound),
            money(point.saved_usd),
        )
        for point in points
    ]
    header = ("Served from", "Hits", "Labelled", "Wrong", "At most wrong (95 %)", "Would save")
    wrong = {
        point.threshold: evidence.wrong_hits(namespace, point.threshold, since=begin)
        for point in points
        if len(points) == 1
    }
    plain = [
        msgspec.to_builtins(point)
        | {"hit_rate": point.hit_rate, "wrong": msgspec.to_builtins(wrong.get(point.threshold))}
        for point in points
    ]
    pairs = [_wrong_words(one) for hits in wrong.values() for one in hits]
    shell.answer(plain, "\n".join([words.table(rows, header=header), *pairs]))
    return Exit.OK if points and points[0].lookups else Exit.NOTHING


def _wrong_words(one: WrongHit) -> str:
    pair = one.pair
    return (
        f"\nWrong, {many(one.lookups, 'lookup')} (cosine {pair.similarity:.3f}):\n"
        f"  asked   {words.text(pair.question or UNKNOWN, 200)}\n"
        f"  stored  {words.text(pair.stored or UNKNOWN, 200)}"
    )


@command(calibrate)
@_kind_option
@click.option(
    "--threshold", type=click.FloatRange(0, 1, min_open=True), help="Cosine from which to serve without the judge."
)
@click.option(
    "--grey", type=click.FloatRange(0, 1, min_open=True), help="Cosine from which the judge is asked: fixes it."
)
@click.option("--grey-by-evidence", is_flag=True, help="Let evidence move the cosine from which the judge is asked.")
@click.option("--mode", type=click.Choice([mode.value for mode in SemanticMode]), help="Default: the one in force.")
@click.option("--note", default="", help="Why, for the audit log.")
@click.option("--unsupported", is_flag=True, help="Serve from it at once, before the bound holds.")
@click.option("--expected", type=click.IntRange(min=0), help="Only if this version is in force; 0: what is configured.")
def publish(
    shell: Shell,
    namespace: str,
    threshold: float | None,
    grey: float | None,
    grey_by_evidence: bool,
    mode: str | None,
    note: str,
    unsupported: bool,
    expected: int | None,
) -> int:
    """Put a threshold in force. The judge is asked first until the bound holds; without --threshold always."""
    services = shell.shared
    in_force = services.thresholds.current(namespace)
    chosen = SemanticMode(mode) if mode else in_force.mode
    if chosen is SemanticMode.OFF and not mode:
        raise click.UsageError("The mode in force is off: give --mode judge or --mode serve.")
    if chosen is SemanticMode.SERVE and threshold is None:
        raise click.UsageError("Mode serve takes a --threshold.")
    if grey is not None and grey_by_evidence:
        raise click.UsageError("Give --grey or --grey-by-evidence.")
    lowest = grey if grey is not None else min(in_force.grey, threshold or 1.0)
    is_fixed = grey is not None or (in_force.grey_fixed and not grey_by_evidence)
    published = services.evidence.publish(
        namespace,
        Threshold(mode=chosen, grey=lowest, serve=threshold, grey_fixed=is_fixed),
        actor=shell.trail,
        note=note,
        unsupported=unsupported,
        expected=expected,
    )
    shell.answer(msgspec.to_builtins(published), _published_words(shell.named(namespace), published))
    return Exit.OK


@command(calibrate)
@_kind_option
def versions(shell: Shell, namespace: str) -> int:
    """List all thresholds ever published, newest first."""
    found = shell.shared.thresholds.versions(namespace)
    rows = [
        (
            str(one.version),
            words.moment(one.at),
            one.act.value,
            words.text(one.actor, 20),
            "as configured" if one.threshold is None else _threshold_words(one.threshold),
            words.text(one.note, 100),
        )
        for one in found
    ]
    header = ("Version", "When", "Act", "Who", "Threshold", "Note")
    shell.answer(
        [msgspec.to_builtins(one) for one in found],
        words.table(rows, header=header) if rows else "No threshold was published: the configured one is in force.",
    )
    return Exit.OK


@command(calibrate)
@click.argument("version", type=click.IntRange(min=0))
@_kind_option
def rollback(shell: Shell, version: int, namespace: str) -> int:
    """Put an earlier version in force again; version 0 is the configured threshold."""
    published = shell.shared.thresholds.roll_back(namespace, version, actor=shell.trail)
    shell.answer(msgspec.to_builtins(published), _published_words(shell.named(namespace), published))
    return Exit.OK


def _published_words(namespace: str, published: Published) -> str:
    what = "what is configured" if published.threshold is None else _threshold_words(published.threshold)
    return f"In force in {namespace}: {what}."


@command(cli)
@click.argument("file", type=click.File(encoding="utf-8"))
@namespace_option
@click.option("--model", help="For lines that name none. Default: ENCORE_DEFAULT_MODEL.")
@click.option("--system", help="The system message of the requests, for lines that have none.")
@click.option("--ttl", type=DURATION, help="For lines that give none. Default: by kind of question.")
def seed(
    shell: Shell, file: IO[str], namespace: str | None, model: str | None, system: str | None, ttl: float | None
) -> int:
    """Store questions whose answers are known.

    FILE has one JSON object per line: "question" and "answer", and optionally "variants", "model", "system",
    "parameters", "ttl" (seconds) and "tags". They answer requests with the same model, system message and parameters.
    """
    seeds = read_seeds(file)
    if not seeds:
        raise InvalidInput("file", "has no questions")
    services = shell.shared
    name = namespace or services.settings.namespace
    if services.semantic is not None:
        services.semantic.warm([name])
    last = SeedReport()
    stored = import_seeds(
        services.cache,
        seeds,
        namespace=name,
        model=model or shell.model(),
        system=system,
        ttl_seconds=ttl,
        trail=shell.trail,
    )
    with click.progressbar(stored, length=len(seeds), label="Storing", file=sys.stderr, hidden=shell.as_json) as bar:
        for so_far in bar:
            last = so_far
    shell.answer(last.to_dict(), _seed_words(last))
    return Exit.OK if last.stored or last.replaced or last.renewed else Exit.FAILED


def _seed_words(last: SeedReport) -> str:
    rows: list[tuple[str, ...]] = [
        ("Questions", f"{last.read}: {last.stored} stored, {last.replaced} replaced, {last.renewed} renewed"),
        ("Variants", f"{last.aliases} lead to their answer, {last.copies} have a copy of it"),
        ("Repeated", str(last.repeated)),
        ("Conflicts", str(last.conflicts)),
        ("Refused", str(last.refused)),
    ]
    notes = [f"  {note.seed}: {words.text(note.wording, 80)}: {note.problem}" for note in last.notes]
    return "\n".join([words.table(rows), *notes])
