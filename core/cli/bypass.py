"""The bypass switch on the command line."""

from __future__ import annotations

import click
import msgspec

from ..cache import EVERYTHING, Bypassed
from . import formats as words
from .shell import Exit, Shell, cli, command, namespace_option


@command(cli)
@namespace_option
@click.option("--everything", is_flag=True, help="All namespaces instead of one.")
@click.option("--on/--off", "on", default=None, help="Turn it on or off. With neither, list where it is on.")
@click.option("--note", default="", help="The reason, shown to other operators.")
def bypass(shell: Shell, namespace: str | None, everything: bool, on: bool | None, note: str) -> int:
    """Send requests of a namespace straight to the provider, or list where they are.

    For when an invalidation is refused because Redis takes no writes: this works even then. Every process obeys when
    it returns, which takes a second. Nothing is deleted: turned off, what is stored is served again.
    """
    switch = shell.shared.switch
    if namespace and everything:
        raise click.UsageError("Give --namespace or --everything, not both.")
    if on is None:
        if everything or note:
            raise click.UsageError("Give --on or --off.")
        found = [
            one
            for one in switch.all([*shell.shared.store.namespaces(), *([namespace] if namespace else [])])
            if namespace in (None, one.namespace) or one.namespace == EVERYTHING
        ]
        rows = [
            (
                _whose(shell, one),
                words.moment(one.at) if one.at else "",
                words.text(one.actor, 20),
                words.text(one.note, 60),
            )
            for one in found
        ]
        header = ("Requests of", "Since", "Who", "Why")
        shell.answer(
            [msgspec.to_builtins(one) for one in found],
            words.table(rows, header=header) if rows else "No namespace bypasses the cache.",
        )
        return Exit.OK
    target = EVERYTHING if everything else namespace or shell.services.settings.namespace
    turned = switch.turn(target, on, actor=shell.trail, note=note)
    text = f"Requests of {_whose(shell, turned)} {'bypass' if on else 'use'} the cache, in every process."
    if not turned.kept:
        text += (
            "\nRedis takes no writes, so it keeps this in memory only for now. If Redis restarts while no other "
            "process of Encore runs, turn the switch again."
        )
    shell.answer(msgspec.to_builtins(turned), text)
    return Exit.OK


def _whose(shell: Shell, switch: Bypassed) -> str:
    return "all namespaces" if switch.namespace == EVERYTHING else shell.named(switch.namespace)
