"""Keys of the operations API on the command line."""

from __future__ import annotations

import click

from ..access import Role, new_operation_key
from .shell import Exit, Shell, cli, command

ROLES = ("viewer", "operator", "admin")


@command(cli, name="operation-key")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="operator", show_default=True, help="What it may do.")
@click.option("--namespace", "namespaces", multiple=True, help="Where it may do it; repeatable. None: everywhere.")
def operation_key(shell: Shell, name: str, role: str, namespaces: tuple[str, ...]) -> int:
    """Make a key of the operations API for the program NAME, and print the line to configure.

    The key itself is kept nowhere: give it to the program now. The audit log names what it does by NAME.
    """
    key, kept = new_operation_key(name, Role[role.upper()], namespaces)
    where = f"in {', '.join(kept.namespaces)}" if kept.namespaces else "in all namespaces"
    words = (
        f"The key, for {name} alone; it is not shown again:\n\n  {key}\n\n"
        f"For {name} to act as {role} {where}, add to ENCORE_OPERATION_KEYS (several are separated by commas) and "
        f"restart the gateway:\n\n  {kept.line}"
    )
    shell.answer({"key": key, "line": kept.line}, words)
    return Exit.OK
