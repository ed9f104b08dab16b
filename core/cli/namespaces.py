"""The commands about namespaces: which there are, what they are called, and naming one."""

from __future__ import annotations

from typing import Any

import click

from ..namespaces import Colour, NamespaceLabel
from . import formats as words
from .shell import EXIT_HELP, Exit, Shell, cli, command


@cli.group(invoke_without_command=True, epilog=EXIT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def namespaces(context: click.Context, as_json: bool) -> None:
    """List namespaces with their labels; label one, or remove its label. Without a subcommand: the list."""
    if context.invoked_subcommand is None:
        context.invoke(listing, as_json=as_json)
    elif as_json:
        raise click.UsageError("Put options after the subcommand they are for.")


@command(namespaces, name="list")
def listing(shell: Shell) -> int:
    """List the namespaces that have entries or a label."""
    services = shell.shared
    labels = services.labels.all()
    found = sorted({services.settings.namespace, *services.store.namespaces(), *labels})
    configured = services.labels.configured
    rows = [_row(one, labels.get(one), configured=one in configured) for one in found]
    plain = [_plain(one, labels.get(one), configured=one in configured) for one in found]
    shell.answer(plain, words.table(rows, header=("Namespace", "Label", "Owner", "Colour", "From")))
    return Exit.OK


@command(namespaces)
@click.argument("namespace")
@click.argument("text", metavar="LABEL")
@click.option("--owner", default="", help="A team, a person or an address.")
@click.option("--colour", type=click.Choice([colour.value for colour in Colour]), help="Its colour in charts.")
def label(shell: Shell, namespace: str, text: str, owner: str, colour: str | None) -> int:
    """Give NAMESPACE a LABEL, an owner and a colour, in place of those it has. Needs the role admin."""
    given = shell.shared.labels.give(namespace, text, owner=owner, colour=colour, actor=shell.trail)
    shell.answer(_plain(namespace, given, configured=False), f"Screens show {namespace} as {given.label}.")
    return Exit.OK


@command(namespaces)
@click.argument("namespace")
def unlabel(shell: Shell, namespace: str) -> int:
    """Remove the label of NAMESPACE. Needs the role admin."""
    if not shell.shared.labels.remove(namespace, actor=shell.trail):
        shell.answer({"namespace": namespace, "removed": False}, "It has no label.")
        return Exit.NOTHING
    shell.answer({"namespace": namespace, "removed": True}, "Removed.")
    return Exit.OK


def _row(namespace: str, given: NamespaceLabel | None, *, configured: bool) -> tuple[str, ...]:
    if given is None:
        return (namespace, "-", "-", "-", "-")
    source = "ENCORE_NAMESPACE_LABELS" if configured else "admin"
    return (namespace, given.label, given.owner or "-", given.colour or "-", source)


def _plain(namespace: str, given: NamespaceLabel | None, *, configured: bool) -> dict[str, Any]:
    fields = given.model_dump(mode="json") if given is not None else {"label": None, "owner": "", "colour": None}
    return {"namespace": namespace, **fields, "configured": configured}
