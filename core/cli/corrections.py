"""Commands about one wrong answer: correct, versions, elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..entries import (
    Corrections,
    Elsewhere,
    FoundEntry,
    Together,
    invalidate_together,
    same_question,
    stored_entry,
    versions_of,
)
from ..text import duration
from ..wire import readable
from . import formats as words
from .invalidations import REASON, is_terminal
from .shell import Exit, Shell, cli, command, namespace_option


def _found(shell: Shell, namespace: str, key: str) -> FoundEntry:
    services = shell.shared
    return stored_entry(services.store, namespace, key, hits=services.metrics.hits, pins=services.pins)


def _corrections(shell: Shell) -> Corrections:
    services = shell.shared
    return Corrections(services.cache, services.store, shell.trail, pins=services.pins, clock=services.clock)


@command(cli)
@click.argument("key")
@namespace_option
@click.option("--answer", help="The right answer. Default: read from standard input.")
@click.option("--pin", is_flag=True, help="Pin it too: workers keep it fresh until it is unpinned.")
@REASON
def correct(shell: Shell, key: str, namespace: str | None, answer: str | None, pin: bool, reason: str) -> int:
    """Put the right answer in the place of the one at KEY. Its question, tags, TTL and pin stay as they are.

    When it returns, the old answer is no longer served; it is kept as a version.
    """
    where = shell.namespace(namespace)
    text = sys.stdin.read() if answer is None else answer
    _corrections(shell).correct(where, key, text, pin=pin, reason=reason)
    return _corrected(shell, where, key, "Corrected")


def _corrected(shell: Shell, namespace: str, key: str, done: str) -> int:
    now, found = shell.shared.clock(), _found(shell, namespace, key)
    left = found.entry.header.fresh_until - now
    pinned = ", pinned" if found.pinned else ""
    shell.answer(found.to_dict(now), f"{done}. It stays fresh for {duration(left)}{pinned}.")
    return Exit.OK


@command(cli)
@click.argument("key")
@namespace_option
@click.option("--restore", type=click.IntRange(1), help="Put this version back in its place: 1 is the latest.")
@REASON
def versions(shell: Shell, key: str, namespace: str | None, restore: int | None, reason: str) -> int:
    """List what stood at KEY before it was corrected, newest first, or restore one. Exit status 3 for none."""
    where = shell.namespace(namespace)
    found = _found(shell, where, key)
    known = versions_of(found.entry)
    if restore is not None:
        if restore > len(known):
            raise click.UsageError(f"There are {len(known)} versions.")
        chosen, seen_at = known[restore - 1].replaced_at, found.entry.header.created_at
        _corrections(shell).restore(where, key, chosen, seen_at=seen_at, reason=reason)
        return _corrected(shell, where, key, "Restored")
    rows = [
        (
            str(number),
            words.moment(one.created_at),
            words.moment(one.replaced_at),
            words.text(one.actor, 20),
            words.text(one.reason, 60),
            words.text(readable(one.body), 80),
        )
        for number, one in enumerate(known, 1)
    ]
    header = ("", "Stored", "Replaced", "Who", "Why", "Answer")
    plain = [msgspec.to_builtins(one) | {"answer": readable(one.body)} for one in known]
    shell.answer(plain, words.table(rows, header=header) if rows else "It was not corrected.")
    return Exit.OK if known else Exit.NOTHING


@command(cli)
@click.argument("key")
@namespace_option
@click.option("--everywhere/--here", default=True, show_default=True, help="In all namespaces, or in this one.")
@click.option("--invalidate", is_flag=True, help="Invalidate these together with the answer at KEY.")
@click.option("--yes", is_flag=True, help="Apply it without asking.")
@REASON
def elsewhere(
    shell: Shell, key: str, namespace: str | None, everywhere: bool, invalidate: bool, yes: bool, reason: str
) -> int:
    """Find the question of KEY in other scopes, under other models and in other namespaces, and what keeps them apart.

    With --invalidate all of them are invalidated; each can be undone by itself. Exit status 3 when it stands nowhere
    else, 1 when not all could be invalidated.
    """
    where = shell.namespace(namespace)
    here = _found(shell, where, key)
    looked = _look(shell, here, shell.shared.store.namespaces() if everywhere else [where])
    shell.say(_elsewhere_words(looked))
    if not invalidate:
        now = shell.shared.clock()
        if shell.as_json:
            shell.answer([one.to_dict(now) for one in looked.found], "")
        return Exit.OK if looked.found else Exit.NOTHING
    places = [(here.entry.header.namespace, here.key)]
    places += [(one.found.entry.header.namespace, one.found.key) for one in looked.found]
    if not yes:
        if shell.as_json or not is_terminal():
            raise click.UsageError("Not on a terminal: give --yes to apply it.")
        if not click.confirm(f"Invalidate {len(places)} answers?"):
            shell.say("Not applied.")
            return Exit.FAILED
    done = invalidate_together(shell.shared.invalidation, places, actor=shell.trail, reason=reason)
    shell.answer(done.to_dict(), _together_words(done))
    return Exit.FAILED if done.problem else Exit.OK


def _look(shell: Shell, here: FoundEntry, namespaces: Sequence[str]) -> Elsewhere:
    """All of them, look by look."""
    services = shell.shared
    looked: Elsewhere | None = None
    while looked is None or looked.next is not None:
        more = same_question(
            services.store,
            namespaces,
            here,
            buckets=services.settings.buckets,
            hits=services.metrics.hits,
            after=None if looked is None else looked.next,
        )
        looked = more if looked is None else looked.followed_by(more)
    return looked


def _elsewhere_words(looked: Elsewhere) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            one.found.key[:14] + "…",
            words.text(one.found.entry.header.namespace, 24),
            words.text(one.found.entry.header.model, 24),
            one.found.entry.header.scope.hex()[:8],
            words.text(", ".join(one.differs), 60),
        )
        for one in looked.found
    ]
    said = f"Searched {looked.looked_through:,} entries: {words.text(looked.in_words, 300)}."
    table = words.table(rows, header=("Key", "Namespace", "Model", "Scope", "Differs in")) if rows else ""
    return f"{table}\n{said}" if rows else said


def _together_words(done: Together) -> str:
    lines = [f"{len(done.done)} of {done.asked} hidden. To undo one: python -m core undo ID"]
    lines += [f"  {one.id}  {words.text(one.namespace, 24)}  {(one.criteria.key or '')[:14]}…" for one in done.done]
    if done.problem:
        lines.append(f"It stopped there: {done.problem}.")
    return "\n".join(lines)
