"""The commands about namespaces, and their labels in what other commands print: always beside the whole id."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from core.bootstrap import Services, bootstrap
from core.demo.model import DemoProvider
from core.settings import Settings
from tests.cli.test_commands import Terminal, ask
from tests.metrics.outcomes import a_hit

KEY = "key-3f9a12cd7788990011e4b1c2"


@pytest.fixture
def terminal(redis_server, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """On a server of its own: the namespaces are those of a whole installation."""
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    monkeypatch.setenv("ENCORE_NAMESPACE", KEY)
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


@pytest.fixture
def services(terminal: Terminal) -> Iterator[Services]:
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as built:
        yield built


SUPPORT = ("namespaces", "label", KEY, "Support", "--owner", "team-support", "--colour", "blue")


def test_help_names_the_subcommands(terminal):
    shown = terminal.run("namespaces", "--help")
    for name in ("list", "label", "unlabel"):
        assert f"  {name} " in shown
    assert "Exit status:" in terminal.run("namespaces", "label", "--help")


def test_one_is_labelled_listed_and_unlabelled(terminal, services):
    ask(services, "What is a card?")
    assert terminal.run(*SUPPORT) == f"Screens show {KEY} as Support.\n"
    assert terminal.data("namespaces") == [
        {"namespace": KEY, "label": "Support", "owner": "team-support", "colour": "blue", "configured": False}
    ]
    assert terminal.run("namespaces").splitlines()[1].split() == [KEY, "Support", "team-support", "blue", "admin"]
    terminal.run("namespaces", "unlabel", KEY)
    assert terminal.data("namespaces")[0]["label"] is None
    terminal.run("namespaces", "unlabel", KEY, status=3)


def test_what_is_no_label_is_refused_by_its_field(terminal, services):
    assert "label: " in terminal.run("namespaces", "label", KEY, "a\nb", status=2)
    assert "namespace: " in terminal.run("namespaces", "label", "a b", "Shop", status=2)
    terminal.run("namespaces", "label", KEY, "Shop", "--colour", "pink", status=2)


def test_it_takes_an_admin(terminal, services, monkeypatch):
    monkeypatch.setenv("ENCORE_CLI_ROLE", "operator")
    assert "labelling namespaces needs the role admin" in terminal.run(*SUPPORT, status=1)


def test_one_of_the_settings_is_said_to_be(terminal, services, monkeypatch):
    monkeypatch.setenv("ENCORE_NAMESPACE_LABELS", f'{{"{KEY}": {{"label": "Help"}}}}')
    assert "ENCORE_NAMESPACE_LABELS" in terminal.run("namespaces")
    assert "ENCORE_NAMESPACE_LABELS" in terminal.run(*SUPPORT, status=2)


def test_other_commands_print_the_label_with_the_whole_id(terminal, services):
    ask(services, "What is a card?")
    services.metrics.record(a_hit(namespace=KEY))
    services.metrics.flush()
    terminal.run(*SUPPORT)
    named = f"Support ({KEY})"
    assert named in terminal.run("stats", "--by", "namespace")
    applied = terminal.run("invalidate", "--keyword", "card", "--yes")
    assert f"in {named}: 1 of 1 entries" in applied
    assert f"in {named}" in terminal.run("invalidations")
    assert named in terminal.run("bypass", "--on")
    assert named in terminal.run("bypass")
    terminal.run("bypass", "--off")
    assert named in terminal.run("schedules", "add", "--name", "n", "--every", "1h", "--tag", "x")
    assert named in terminal.run("schedules")
    assert named in terminal.run("audit")


def test_the_audit_for_spreadsheets_has_the_label_beside_the_id(terminal, services):
    terminal.run("namespaces", "label", KEY, "=1+1")
    header, row = csv.reader(io.StringIO(terminal.run("audit", "--export", "csv"), newline=""))
    place = header.index("namespace")
    assert header[place + 1] == "namespace_label"
    assert row[place : place + 2] == [KEY, "'=1+1"]
