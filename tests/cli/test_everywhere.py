"""Invalidations of all namespaces on the command line: previewed, applied, told, undone; and by a schedule."""

from __future__ import annotations

import pytest

from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from tests.cli.test_commands import ask
from tests.cli.test_schedules import services, terminal  # noqa: F401

QUESTION = "How do refunds work?"
PLACES = ("shop", "bank", "blog")


@pytest.fixture
def filled(services):  # noqa: F811
    for namespace in PLACES:
        ask(services, QUESTION, namespace=namespace)
    return services


def refuse(services, namespace: str) -> None:  # noqa: F811
    for number in range(MOST_LISTED):
        services.invalidation.invalidate(Criteria(namespace=namespace, pattern=f"*none {number}*"), actor="program")


def test_all_namespaces_are_previewed_invalidated_and_undone_as_one(terminal, filled):  # noqa: F811
    shown = terminal.run("invalidate", "--all-namespaces", "--keyword", "refund", "--dry-run")
    assert "in all namespaces: 3 of 3 entries" in shown
    assert "  in bank: 1 of 1 entries" in shown
    done = terminal.data("invalidate", "--all-namespaces", "--keyword", "refund", "--yes")["invalidation"]
    assert (done["namespace"], done["state"]) == ("*", "held")
    assert {part["namespace"] for part in done["parts"]} == set(PLACES)
    assert ask(filled, QUESTION, namespace="blog") == "miss"
    listed = terminal.run("invalidations", "--namespace", "bank")
    assert "held in 3 namespaces" in listed
    assert "in all namespaces" in listed
    assert listed.count(done["id"]) == 1
    said = terminal.run("undo", done["id"])
    assert "Undone in 3 namespaces: the answers are back" in said
    assert "1 of them was answered again" in said
    assert ask(filled, QUESTION, namespace="bank") == "hit"


def test_where_one_refuses_it_the_words_and_the_status_say_so(terminal, filled):  # noqa: F811
    refuse(filled, "bank")
    said = terminal.run("invalidate", "--all-namespaces", "--keyword", "refund", "--yes", status=1)
    assert "Partly applied: held in 2 of 3 namespaces, refused in 1. bank: 64 invalidations by pattern" in said
    assert ask(filled, QUESTION, namespace="bank") == "hit"
    assert ask(filled, QUESTION, namespace="blog") == "miss"


def test_one_namespace_and_all_are_not_given_together(terminal, filled):  # noqa: F811
    both = ("invalidate", "--all-namespaces", "--namespace", "bank", "--everything", "--yes")
    assert "not both" in terminal.run(*both, status=2)
    assert "one namespace" in terminal.run("invalidate", "--all-namespaces", "--key", "0-" + "ab" * 32, status=2)


def test_a_users_own_answers_are_forgotten_in_all_namespaces(terminal, filled):  # noqa: F811
    for namespace in PLACES:
        ask(filled, "What did I order?", namespace=namespace, user="ann")
    done = terminal.data("invalidate", "--all-namespaces", "--user", "ann", "--yes")
    assert done["preview"]["count"] == 3
    assert ask(filled, "What did I order?", namespace="blog", user="ann") == "miss"


def test_an_operator_may_not(terminal, filled, monkeypatch):  # noqa: F811
    monkeypatch.setenv("ENCORE_CLI_ROLE", "operator")
    said = terminal.run("invalidate", "--all-namespaces", "--keyword", "refund", "--yes", status=1)
    assert "invalidating in all namespaces at once needs the role admin" in said
    assert ask(filled, QUESTION, namespace="blog") == "hit"


def test_a_schedule_of_all_namespaces_makes_one_invalidation_of_all(terminal, filled):  # noqa: F811
    options = ("--name", "Purge", "--every", "1h", "--all-namespaces", "--keyword", "refund")
    added = terminal.data("schedules", "add", *options)
    assert (added["namespace"], added["unbounded"]) == ("*", True)
    assert "in all namespaces" in terminal.run("schedules")
    refuse(filled, "bank")
    done = terminal.data("schedules", "run", added["id"])
    assert (done["namespace"], done["state"]) == ("*", "partly")
    [kept] = terminal.data("schedules")
    assert kept["last"].startswith("in 2 of 3 namespaces (bank: 64 invalidations")
    assert kept["last"].endswith(f"applied: {done['id']}")
    said = terminal.run("schedules", "add", "--name", "x", "--every", "1h", "--all-namespaces", "--user", "a", status=2)
    assert "another pseudonym" in said


def test_entries_are_looked_for_in_all_namespaces(terminal, filled):  # noqa: F811
    ask(filled, "Is a refund taxed?", namespace="bank")
    shown = terminal.run("entries", "--all-namespaces", "--search", "refund")
    assert shown.splitlines()[:2] == ["Namespace  Entries  Match", "bank       2        2"]
    assert "Is a refund taxed?" in shown
    found = terminal.data("entries", "--all-namespaces")
    assert {one["namespace"]: one["listed"] for one in found} == {"shop": 1, "bank": 2, "blog": 1}
    terminal.run("entries", "--all-namespaces", "--search", "nowhere", status=3)
