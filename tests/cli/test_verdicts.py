"""python -m core wrong, apart and sweep, as a shell or a script meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import Terminal, cli_url, filled, services, terminal

__all__ = ["cli_url", "filled", "services", "terminal"]

PIN = {"question": "How do I change my PIN?", "answer": "At any cash machine.", "variants": ["I want another PIN"]}


def key_of(terminal: Terminal, text: str) -> str:
    [entry] = terminal.data("entries", "--search", text)
    return str(entry["key"])


def test_help_names_them(terminal):
    shown = terminal.run("--help")
    for name in ("wrong", "apart", "sweep"):
        assert f"  {name} " in shown
        assert "Exit status:" in terminal.run(name, "--help")


def test_a_wrong_answer_is_hidden_and_can_be_brought_back(terminal, filled):
    key = key_of(terminal, "sky")
    told = terminal.data("wrong", key)
    assert (told["hidden"]["state"], told["labelled"], told["problem"]) == ("held", False, "")
    terminal.run("get", "Why is the sky blue?", "--model", "gpt-4o", status=3)
    assert {record.source for record in filled.audit.of(told["hidden"]["id"])} == {"cli"}
    terminal.run("undo", told["hidden"]["id"])
    terminal.run("get", "Why is the sky blue?", "--model", "gpt-4o")
    shown = terminal.run("wrong", key, "--question", "Why is the sea blue?")
    assert "python -m core undo" in shown
    assert "labelled as different" in shown


def test_apart_leaves_the_answer_to_its_own_question(terminal, services, tmp_path: Path):
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps(PIN))
    terminal.run("seed", str(seeds), "--model", "gpt-4o")
    key = terminal.data("get", PIN["question"], "--model", "gpt-4o")["key"]
    variant = ("get", PIN["variants"][0], "--model", "gpt-4o")
    assert terminal.data(*variant)["reason"] == "alias"
    told = terminal.data("apart", key, PIN["variants"][0])  # of the model whose answer is at the key
    assert (told["labelled"], told["hidden"]["state"]) == (True, "held")
    terminal.run(*variant, status=3)
    terminal.run("get", PIN["question"], "--model", "gpt-4o")


@pytest.mark.parametrize(
    "arguments",
    [("wrong", "nonsense"), ("apart", "nonsense", "Why?"), ("apart", "nonsense", "Why?", "--model", "gpt-4o")],
)
def test_what_cannot_be_named_is_wrong_usage(terminal, services, arguments):
    assert terminal.data(*arguments, status=2)["error"] == "InvalidInput"
    assert services.invalidation.history(namespace=services.settings.namespace) == []


@pytest.mark.parametrize("arguments", [(), ("--model", "gpt-4o")])
@pytest.mark.parametrize("command", ["wrong", "apart"])
def test_where_no_answer_is_stored_nothing_is_hidden(terminal, services, command, arguments):
    rest = ("Why?", *arguments) if command == "apart" else ()
    told = terminal.data(command, "0-" + "0" * 64, *rest, status=3)
    assert told["error"] == "NotFound"
    assert "no answer is stored at this key" in told["message"]
    assert services.invalidation.history(namespace=services.settings.namespace) == []


def test_apart_refuses_a_request_that_the_answer_is_not_served_for(terminal, services, tmp_path: Path):
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps(PIN))
    terminal.run("seed", str(seeds), "--model", "gpt-4o")
    key = terminal.data("get", PIN["question"], "--model", "gpt-4o")["key"]
    told = terminal.data("apart", key, PIN["variants"][0], "--model", "gpt-4", "--system", "Be brief.", status=2)
    assert "never served for it: they differ in model, system prompt" in told["message"]
    assert services.invalidation.history(namespace=services.settings.namespace) == []


def test_who_has_no_role_for_it_is_refused(terminal, filled, monkeypatch):
    key = key_of(terminal, "sky")
    monkeypatch.setenv("ENCORE_CLI_ROLE", "viewer")
    assert terminal.data("wrong", key, status=1)["error"] == "AccessDenied"
    assert terminal.data("apart", key, "Why?", "--model", "gpt-4o", status=1)["error"] == "AccessDenied"
    terminal.run("get", "Why is the sky blue?", "--model", "gpt-4o")


def test_a_hold_is_ended_and_then_there_is_no_undo(terminal, filled, monkeypatch):
    done = terminal.data("invalidate", "--everything", "--yes")["invalidation"]
    due = terminal.data("sweep", done["id"])["invalidation"]
    assert due["due_at"] < done["due_at"]
    assert filled.settings.namespace in filled.invalidation.due_namespaces()
    monkeypatch.setattr(
        "core.cli.invalidations.time.sleep",
        lambda seconds: filled.invalidation.sweep(filled.settings.namespace, rest=0),
    )
    assert "3 deleted" in terminal.run("sweep", done["id"], "--wait")
    assert "is over" in terminal.run("sweep", done["id"], status=1)
    terminal.run("undo", done["id"], status=1)


def test_only_a_hard_one_that_exists_can_be_swept(terminal, filled):
    assert terminal.data("sweep", "nothing", status=3)["error"] == "InvalidationNotFound"
    soft = terminal.data("invalidate", "--everything", "--soft", "--yes")["invalidation"]["id"]
    assert "deletes nothing" in terminal.run("sweep", soft, status=1)
