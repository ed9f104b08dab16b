"""What every command shares: its services, its way of answering and its exit status."""

from __future__ import annotations

import functools
import getpass
import json
import logging
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NoReturn, TypeVar, cast

import click

from ..access import Actor, AuditTrail
from ..bootstrap import Services, bootstrap
from ..errors import CacheError, InvalidInput, InvalidSettings, NotFound, OutcomeUnknown, StoreUnavailable
from ..keys import EVERYWHERE
from ..namespaces import Naming
from ..settings import Settings
from ..text import log_lines, printable

OPERATOR_SECONDS = 5.0
DEMO_MODEL = "encore-demo-small"
LONGEST_NAMED = 200
"""Longer than any label with any namespace: what is cut looks like another."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Exit(IntEnum):
    """Exit statuses, for scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOTHING = 3
    UNKNOWN = 4


EXIT_HELP = """\b
Exit status:
  0  done
  1  failed, or not applied
  2  wrong usage
  3  nothing matched, or no such thing
  4  outcome unknown: it may have been applied; repeat it with the same --request-id"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_HELP)
def cli() -> None:
    """Encore's command line: inspect the cache, invalidate answers, find out what is wrong."""


def command(group: click.Group, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Declares a command of a group, with --json. Its errors become exit statuses and never tracebacks."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*, as_json: bool, **options: Any) -> None:
            shell = Shell(as_json=as_json)
            try:
                with shell:
                    status = function(shell, **options)
            except CacheError as error:
                shell.fail(error)
            sys.exit(status or Exit.OK)

        with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(run)
        return group.command(epilog=EXIT_HELP, **attributes)(with_json)

    return decorate


def namespace_option(function: Command) -> Command:
    """Declares the option --namespace of a command."""
    return click.option("--namespace", help="The namespace. Default: ENCORE_NAMESPACE.")(function)


def namespaces_option(function: Command) -> Command:
    """Declares --namespace, and --all-namespaces in its place: the command gets EVERYWHERE as the namespace then."""

    @functools.wraps(function)
    def run(*arguments: Any, all_namespaces: bool, namespace: str | None, **options: Any) -> Any:
        if all_namespaces and namespace:
            raise click.UsageError("Give --namespace or --all-namespaces, not both.")
        return function(*arguments, namespace=EVERYWHERE if all_namespaces else namespace, **options)

    flag = click.option("--all-namespaces", is_flag=True, help="All namespaces there are now, instead of one.")
    return namespace_option(cast("Command", flag(run)))


class Shell:
    """One run of a command: services built when first needed, answers in words or JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._services: Services | None = None

    def __enter__(self) -> Shell:
        log_lines(logging.WARNING, "%(message)s")
        return self

    def __exit__(self, *_: object) -> None:
        if self._services is not None:
            self._services.close()

    @property
    def services(self) -> Services:
        """All services, built at first use; without Redis they live in this process. Raises InvalidSettings."""
        if self._services is None:
            self._services = bootstrap(Settings(), operator_timeout_seconds=OPERATOR_SECONDS)
        return self._services

    @property
    def shared(self) -> Services:
        """All services, on Redis. Raises InvalidSettings, and StoreUnavailable when no Redis is configured."""
        if self.services.redis is None:
            raise StoreUnavailable("there is no Redis: set ENCORE_REDIS_URL, or start everything with `make run`")
        return self.services

    def model(self) -> str:
        """The model for requests that name none."""
        settings = self.services.settings
        if settings.default_model:
            return settings.default_model
        if settings.uses_demo_model:
            return DEMO_MODEL
        raise click.UsageError("Give a --model, or set ENCORE_DEFAULT_MODEL.")

    def namespace(self, given: str | None) -> str:
        """The namespace given on the command line, else the configured one."""
        return given or self.services.settings.namespace

    @functools.cached_property
    def naming(self) -> Naming:
        """What namespaces are called; by the settings alone where the labels cannot be read."""
        return Naming(self.services.labels.known())

    def named(self, namespace: str) -> str:
        """A namespace for people: its label and its whole id, which commands take; the id alone without a label."""
        return printable(self.naming.whole(namespace), LONGEST_NAMED)

    @property
    def actor(self) -> Actor:
        """The actor: the user of this machine, with the role that the settings give to the command line."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = "unknown"
        return Actor(name=name, role=self.services.settings.cli_role, local=True)

    @property
    def trail(self) -> AuditTrail:
        """The audit trail of the actor, with the command line as its source."""
        return self.services.audit.by(self.actor, source="cli")

    def answer(self, plain: Mapping[str, Any] | list[Any], words: str) -> None:
        """Prints the result: JSON for programs, words for people."""
        click.echo(json.dumps(plain, ensure_ascii=False, default=str) if self.as_json else words)

    def say(self, words: str) -> None:
        """Prints text that is not part of the result; nothing with --json."""
        if not self.as_json:
            click.echo(words)

    def more(self, option: str) -> None:
        """Says on the other stream, which is no part of the result, which option gives what comes next."""
        click.echo(f"More: {option}", err=True)

    def fail(self, error: CacheError) -> NoReturn:
        """Prints an error and ends the command with its exit status."""
        match error:
            case OutcomeUnknown():
                status = Exit.UNKNOWN
            case NotFound():
                status = Exit.NOTHING
            case InvalidSettings():
                status = Exit.FAILED
            case InvalidInput():
                status = Exit.USAGE
            case _:
                status = Exit.FAILED
        if self.as_json:
            click.echo(json.dumps({"error": type(error).__name__, "message": str(error)}, ensure_ascii=False))
        else:
            click.echo(f"Error: {error}", err=True)
        sys.exit(status)
