"""Commands that only look: doctor, stats, get, entries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, Literal

import click

from ..doctor import Diagnosis, Level, diagnose, unusable
from ..entries import EntryFilter, FoundEntry, NamespaceEntries, by_namespace, every_page, expect, look_elsewhere
from ..entries import tags as tagging
from ..errors import InvalidSettings
from ..keys import EVERYWHERE, Slot
from ..metrics import Cause, HitRateChange, RequestFilter, Scopes, Summary, causes_of, reasons
from ..models import CacheStrategy, ChatRequest, Controls, OutcomeKind
from ..text import duration, many, milliseconds, money, points, share, size
from . import formats as words
from .formats import DURATION
from .shell import Exit, Shell, cli, command, namespace_option, namespaces_option

MOST_PARTS = 20
SHOWN_PARTS = 8


@command(cli)
def doctor(shell: Shell) -> int:
    """Show the effective settings, what is reachable and what is wrong. Exit status 1 if there is an error."""
    try:
        diagnosis = diagnose(shell.services)
    except InvalidSettings as error:
        diagnosis = Diagnosis(settings=(), findings=unusable(error.problems), at=time.time())
    shell.answer(diagnosis.to_dict(), _diagnosis_words(diagnosis))
    return Exit.FAILED if diagnosis.worst is Level.ERROR else Exit.OK


def _diagnosis_words(diagnosis: Diagnosis) -> str:
    settings = [
        (setting.variable, words.text(setting.value, 80) or "-", "set" if setting.is_set else "default")
        for setting in diagnosis.settings
    ]
    lines = [words.table(settings, header=("Setting", "Value", "From")), ""] if settings else []
    for finding in diagnosis.findings:
        lines.append(f"{finding.level.value:<8} {finding.area:<14} {finding.text}")
        if finding.remedy:
            lines.append(f"{'':<23} {finding.remedy}")
    return "\n".join(lines)


@command(cli)
@namespace_option
@click.option("--window", type=DURATION, default="24h", show_default=True, help="How far back.")
@click.option("--model", help="Only this model.")
@click.option("--by", type=click.Choice(["model", "namespace"]), help="Print one line for each.")
@click.option("--changed", is_flag=True, help="Show what changed the hit rate against the window before.")
def stats(
    shell: Shell,
    namespace: str | None,
    window: float,
    model: str | None,
    by: Literal["model", "namespace"] | None,
    changed: bool,
) -> int:
    """Show requests, hit rate, money and latency of a window."""
    metrics = shell.shared.metrics
    if changed:
        if by is not None:
            raise click.UsageError("Give --by or --changed.")
        found = metrics.change(window, namespace=namespace, model=model)
        scopes = metrics.scopes(RequestFilter(namespace=namespace, model=model))
        causes = causes_of(found, scopes)
        told = found.to_dict(most=MOST_PARTS) | {
            "causes": [cause.to_dict() for cause in causes[:MOST_PARTS]],
            "scopes": scopes.to_dict(),
        }
        shell.answer(told, _change_words(shell, found, causes, scopes, window))
        return Exit.OK
    if by is not None:
        parts = metrics.breakdown(window, by, namespace=namespace, model=model)
        rows = [
            (
                shell.named(name) if by == "namespace" else words.text(name, 40),
                str(part.requests),
                share(part.hit_rate),
                money(part.saved_cost_usd),
            )
            for name, part in parts.items()
        ]
        header = (by.capitalize(), "Requests", "Hit rate", "Saved")
        shell.answer({name: part.to_dict() for name, part in parts.items()}, words.table(rows, header=header))
        return Exit.OK
    summary = metrics.summary(window, namespace=namespace, model=model)
    near = None if namespace is None else shell.shared.evidence.bounds.standing(namespace)
    told = summary.to_dict() | ({} if near is None else {"near": near.to_dict()})
    shell.answer(told, _summary_words(summary, window) + ("" if near is None else f"\n\nNear hits: {near.words}"))
    return Exit.OK


def _change_words(shell: Shell, found: HitRateChange, causes: Sequence[Cause], scopes: Scopes, window: float) -> str:
    if not found.now.count:
        lines = [f"No lookups in the last {duration(window)}, not counting the latest seconds."]
    else:
        before = "no lookups"
        if found.change is not None:
            before = f"{points(found.change)} against {share(found.before.hit_rate)}"
        rate = share(found.now.hit_rate)
        lines = [f"The hit rate of the last {duration(window)} is {rate}: {before} in the {duration(window)} before."]
    rows = [
        (
            "" if cause.change is None else points(cause.change),
            shell.named(cause.namespace),
            words.text(cause.model or "all models", 40),
            words.text(cause.words, 400),
        )
        for cause in causes[:SHOWN_PARTS]
    ]
    if rows:
        lines += ["", words.table(rows, header=("Change", "Namespace", "Model", "Why"))]
    for cause in causes[:SHOWN_PARTS]:
        if cause.system_prompt is not None:
            lines += ["", f"Two system prompts of {shell.named(cause.namespace)}:"]
            lines += [f"  {words.text(text, 200)}" for text in cause.system_prompt]
    if scopes.told:
        lines += ["", f"Scopes are counted in the latest {many(scopes.looked_at, 'request')}."]
    return "\n".join(lines)


def _summary_words(summary: Summary, window: float) -> str:
    details = ", ".join(f"{count} {name}" for name, count in summary.details.items())
    rows = [
        ("Window", f"the last {duration(window)}"),
        ("Requests", str(summary.requests)),
        ("Hits", f"{summary.hits}" + (f" ({details})" if details else "")),
        ("Misses", f"{summary.misses} ({summary.stored} stored, {summary.collapsed} collapsed)"),
        ("Bypasses", str(summary.bypasses)),
        ("Errors", str(summary.errors)),
        ("Hit rate", share(summary.hit_rate)),
        ("Money saved", money(summary.saved_cost_usd)),
        ("Money spent", money(summary.cost_usd)),
        ("Time saved", duration(summary.saved_seconds)),
        ("Tokens saved", f"{summary.saved_tokens:,}"),
    ]
    for name, histogram in (("Hit latency", summary.hit_latency), ("Miss latency", summary.miss_latency)):
        p50, p95, p99 = (milliseconds(value) for value in (histogram.p50_ms, histogram.p95_ms, histogram.p99_ms))
        rows.append((name, f"p50 {p50}, p95 {p95}, p99 {p99}" if histogram.count else "none yet"))
    return words.table(rows)


@command(cli)
@click.argument("prompt")
@namespace_option
@click.option("--model", help="The model that the request names. Default: ENCORE_DEFAULT_MODEL.")
@click.option("--system", help="A system message before the prompt.")
@click.option(
    "--strategy", type=click.Choice([strategy.value for strategy in CacheStrategy]), help="How far a lookup may go."
)
@click.option("--user", help="Who asks: part of the identity of personal questions.")
def get(
    shell: Shell,
    prompt: str,
    namespace: str | None,
    model: str | None,
    system: str | None,
    strategy: str | None,
    user: str | None,
) -> int:
    """Show whether a prompt would be answered from the cache, and why. Asks no provider and counts nothing."""
    services = shell.shared
    messages = [{"role": "system", "content": system}] if system else []
    request = ChatRequest.from_openai(
        model=model or shell.model(), messages=[*messages, {"role": "user", "content": prompt}]
    )
    controls = Controls(namespace=namespace, strategy=CacheStrategy(strategy) if strategy else None, user=user)
    expected = expect(services.cache, services.store, services.switch, request, controls, now=services.clock())
    shown = look_elsewhere(services.store, expected, buckets=services.settings.buckets).to_dict()
    if expected.kind is OutcomeKind.BYPASS:
        shown["reason"] = f"bypass: {expected.reason}"
    in_words = {"reason": reasons.briefly(expected.kind, expected.detail, expected.reason)}
    if own := expected.explanation.own:
        in_words["own"] = reasons.why_own(own)
    shell.answer(shown, _pairs(shown | in_words))
    return Exit.OK if expected.kind is OutcomeKind.HIT else Exit.NOTHING


def _pairs(shown: dict[str, Any]) -> str:
    return words.table([(name.replace("_", " "), _word(value)) for name, value in shown.items()])


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return words.text(", ".join(map(str, value)), 400)
    return words.text(str(value), 400)


@command(cli)
@namespaces_option
@click.option("--search", default="", help="Text in the prompt; case does not count.")
@click.option("--model", help="Only this model.")
@click.option("--tag", "tags", multiple=True, help="Only with one of these tags; repeatable.")
@click.option("--older-than", type=DURATION, help="Only entries stored longer ago, e.g. 7d.")
@click.option("--invalidated", is_flag=True, help="Also entries that are hidden and not yet deleted.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
def entries(
    shell: Shell,
    namespace: str | None,
    search: str,
    model: str | None,
    tags: tuple[str, ...],
    older_than: float | None,
    invalidated: bool,
    limit: int,
) -> int:
    """List stored answers, or search them, newest first. Exit status 3 when there are none.

    With --all-namespaces it says how many each has and how many of them match, and lists the newest of those.
    """
    services = shell.shared
    now = services.clock()
    where = EntryFilter(
        text=search,
        model=model,
        tags=tags,
        created_before=None if older_than is None else now - older_than,
        invalidated=invalidated,
    )
    if namespace == EVERYWHERE:
        return _entries_of_all(shell, where, limit, now)
    slots = [Slot(shell.namespace(namespace), bucket) for bucket in range(services.settings.buckets)]
    pages = every_page(services.store, slots, where, hits=services.metrics.hits, pins=services.pins)
    found = list(islice(chain.from_iterable(pages), limit))
    shell.answer([one.to_dict(now) for one in found], _entry_words(found, now))
    return Exit.OK if found else Exit.NOTHING


def _entries_of_all(shell: Shell, where: EntryFilter, limit: int, now: float) -> int:
    services = shell.shared
    found = by_namespace(
        services.store,
        sorted(services.store.namespaces()),
        where,
        buckets=services.settings.buckets,
        hits=services.metrics.hits,
        pins=services.pins,
    )
    rows = [
        (
            shell.named(one.namespace),
            one.problem or f"{one.listed:,}",
            f"{len(one.found):,}" + ("" if one.is_all else " or more"),
        )
        for one in found
    ]
    newest = NamespaceEntries.newest(found)[:limit]
    table = words.table(rows, header=("Namespace", "Entries", "Match"))
    shell.answer([one.to_dict(now) for one in found], f"{table}\n\n{_entry_words(newest, now)}")
    return Exit.OK if newest else Exit.NOTHING


def _entry_words(found: Iterable[FoundEntry], now: float) -> str:
    rows = []
    for one in found:
        plain = one.to_dict(now)
        rows.append(
            (
                plain["key"][:14] + "…",
                words.text(plain["model"], 24),
                duration(plain["age_seconds"]),
                plain["state"] if plain["state"] != "fresh" else duration(plain["fresh_seconds"]) + " left",
                size(plain["bytes"]),
                words.text(plain["prompt"], 80),
            )
        )
    return words.table(rows, header=("Key", "Model", "Age", "Fresh", "Size", "Prompt")) if rows else "No entry matches."


@command(cli)
@namespace_option
@click.option("--find", default="", help="Only tags that contain this; case does not count.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def tags(shell: Shell, namespace: str | None, find: str, limit: int) -> int:
    """List the tags that stored answers have, the most used first. Exit status 3 when there are none.

    In a large namespace it searches a part, for some seconds, and says how much.
    """
    services = shell.shared
    slots = [Slot(shell.namespace(namespace), bucket) for bucket in range(services.settings.buckets)]
    found = tagging.known_tags(services.store, slots, find=find, limit=limit)
    rows = [(words.text(one.tag, 80), f"{one.entries:,}", words.moment(one.latest_at)) for one in found.tags]
    lines = [words.table(rows, header=("Tag", "Entries", "Latest")) if rows else "No entry has such a tag."]
    shell.answer(found.to_dict(), "\n".join(filter(None, [*lines, tagging.counted_words(found)])))
    return Exit.OK if rows else Exit.NOTHING
