"""The command eval, as a shell or a CI job meets it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click.testing
import pytest

from core.cli import cli

TRAP = {
    "a": "Why is the moon grey?",
    "b": "why is the moon grey",
    "equivalent": False,
    "category": "case",
    "language": "en",
}
GOOD = {
    "a": "Why is the sky blue?",
    "b": "why is the sky blue",
    "equivalent": True,
    "category": "case",
    "language": "en",
}
MISSED = {"a": "Why is the sky blue?", "b": "What makes the sky blue?", "equivalent": True, "language": "en"}


@pytest.fixture(autouse=True)
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: whatever asks Redis fails."""
    monkeypatch.setenv("ENCORE_REDIS_URL", "redis://127.0.0.1:1/0")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, (TRAP, GOOD, MISSED))).encode()))
    return path


def run(*arguments: object, status: int = 0, text: bytes | None = None) -> click.testing.Result:
    result = click.testing.CliRunner().invoke(
        cli, ["eval", *map(str, arguments)], input=text, prog_name="python -m core"
    )
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def test_json_is_one_object_with_the_six_counts_and_their_parts(labelled):
    told = json.loads(run(labelled, "--json").stdout)
    six = {"good": 2, "traps": 1, "served_good": 1, "served_traps": 1, "judged_good": 0, "judged_traps": 0}
    assert told == {**six, "by_category": {"case": six | {"good": 1}}, "by_language": {"en": six}}


def test_people_read_shares_with_their_intervals(labelled):
    shown = run(labelled).stdout
    assert "Strategy normalized: near questions are not looked for" in shown
    assert "1: 50.0 % (1.3 % to 98.7 %)" in shown
    assert "Category case" in shown
    assert "Wrong among all served: 1: 50.0 %" in shown


def test_the_settings_in_force_are_those_of_the_environment(labelled, monkeypatch):
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    monkeypatch.setenv("ENCORE_SEMANTIC", "judge")
    assert json.loads(run(labelled, "--json").stdout)["judged_good"] == 1
    assert "a judge is asked from 0.700" in run(labelled).stdout
    monkeypatch.setenv("ENCORE_SEMANTIC", "serve")
    assert "served from 0.970" in run(labelled).stdout


@pytest.mark.parametrize(
    ("limits", "status", "said"),
    [
        (("--most-served-traps", "1", "--least-served-good", "50%"), 0, ""),
        (("--most-served-traps", "0"), 1, "Too many traps are served: 1 of 1."),
        (("--least-served-good", "2"), 1, "Too few good questions are served: 1 of 2."),
        (("--least-served-good", "most"), 2, "neither a count"),
    ],
)
def test_limits_make_it_a_check(labelled, limits, status, said):
    assert said in run(labelled, *limits, status=status).stderr


def test_with_json_a_broken_limit_leaves_the_object_alone(labelled):
    assert json.loads(run(labelled, "--json", "--most-served-traps", "0", status=1).stdout)["served_traps"] == 1


def test_a_line_that_cannot_be_read_is_named_and_is_status_two(tmp_path):
    path = tmp_path / "labelled.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{\n")
    assert "line 2: is not JSON" in run(path, status=2).stderr
    assert json.loads(run(path, "--json", status=2).stdout)["message"] == "line 2: is not JSON"


def test_the_standard_input_is_read_and_an_empty_one_is_refused():
    assert json.loads(run("-", "--json", text=json.dumps(GOOD).encode()).stdout)["served_good"] == 1
    assert "has no labelled lines" in run("-", status=2, text=b"\n").stderr


def test_names_from_outside_are_shown_harmlessly():
    hostile = GOOD | {"category": "\x1b[31m\u202e" + "x" * 100}
    shown = run("-", text=json.dumps(hostile).encode()).stdout
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "x" * 41 not in shown
