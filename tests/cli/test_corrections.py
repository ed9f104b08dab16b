"""One wrong answer on the command line: corrected, restored, found elsewhere, invalidated together."""

from __future__ import annotations

from tests.cli.test_commands import ask, cli_url, filled, services, terminal  # noqa: F401

QUESTION = "Why is the sky blue?"


def key_of(terminal, question=QUESTION):  # noqa: F811
    return terminal.data("get", question, "--model", "gpt-4o")["entry"]


def test_an_answer_is_corrected_and_restored(terminal, filled):  # noqa: F811
    key = key_of(terminal)
    before = terminal.data("get", QUESTION, "--model", "gpt-4o")["answer"]
    terminal.run("versions", key, status=3)
    said = terminal.run("correct", key, "--answer", "Because of the air.", "--pin", "--reason", "Too long")
    assert said.startswith("Corrected. It stays fresh for 30 d")
    assert terminal.data("get", QUESTION, "--model", "gpt-4o")["answer"] == "Because of the air."
    [version] = terminal.data("versions", key)
    assert (version["answer"], version["reason"]) == (before, "Too long")
    assert "Too long" in terminal.run("versions", key)
    terminal.run("versions", key, "--restore", "2", status=2)
    assert "Restored" in terminal.run("versions", key, "--restore", "1")
    assert terminal.data("get", QUESTION, "--model", "gpt-4o")["answer"] == before


def test_the_right_answer_may_come_from_a_pipe(terminal, filled):  # noqa: F811
    terminal.run("correct", key_of(terminal), keys="From a file.\n")
    assert terminal.data("get", QUESTION, "--model", "gpt-4o")["answer"] == "From a file.\n"
    terminal.run("correct", "0-" + "0" * 64, "--answer", "x", status=3)


def test_the_same_question_is_found_elsewhere_and_invalidated_together(terminal, filled, namespace):  # noqa: F811
    key = key_of(terminal)
    assert "nowhere else" in terminal.run("elsewhere", key, "--here", status=3)
    ask(filled, "why is the sky  blue", model="gpt-4o-mini")
    [one] = terminal.data("elsewhere", key, "--here")
    assert one["key"] in {found["key"] for found in terminal.data("elsewhere", key)}
    assert one["differs"] == ["model", "spelling"]
    assert "1 answer in 1 other scope: they differ in the model, the spelling" in terminal.run(
        "elsewhere", key, "--here"
    )
    terminal.run("elsewhere", key, "--here", "--invalidate", status=2)
    done = terminal.data("elsewhere", key, "--here", "--invalidate", "--yes", "--reason", "Wrong for all")
    assert [one["reason"] for one in done["invalidations"]] == ["Wrong for all"] * 2
    terminal.run("get", QUESTION, "--model", "gpt-4o", status=3)
    terminal.run("get", QUESTION, "--model", "gpt-4o-mini", status=3)
