"""A record is one line, and an error is where it came from: no caller's text begins a line of the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.text.logs import LONGEST_LINE, LineFormatter

FORGED = "m\n2026-01-01 00:00:00,000 ERROR encore: all is lost"


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    information = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("encore", logging.WARNING, "here.py", 1, message, arguments, information)


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("it was to raise")


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_no_sign_begins_a_line_of_its_own(sign):
    line = LineFormatter("%(levelname)s %(message)s").format(record("model=%s", f"a{sign}ERROR b"))
    assert len(line.splitlines()) == 1
    assert line.startswith("WARNING model=a")


def test_a_line_is_as_long_as_a_line_may_be_and_can_be_written():
    line = LineFormatter().format(record("%s", "\ud800\x1b[31m" + "x" * 100_000))
    assert len(line) == LONGEST_LINE
    line.encode()
    assert "\x1b" not in line


def test_an_error_is_types_and_places_without_messages():
    def fail() -> None:
        try:
            raise KeyError(FORGED)
        except KeyError as error:
            raise ValueError(f"a prompt: {FORGED}") from error

    text = LineFormatter().format(record("a request failed", error=raised(fail)))
    first, *rest = text.splitlines()
    assert first == "a request failed"
    assert [line.split(" at ")[0] for line in rest] == ["  Traceback: ValueError", "  Traceback: KeyError"]
    assert all("test_logs.py:" in line for line in rest)
    assert "lost" not in text
    assert "prompt" not in text


def test_the_parts_of_a_group_are_shown_and_what_the_system_says_of_files_too():
    def fail() -> None:
        raise ExceptionGroup("FORGED", [raised(Path("/no/such/file").open), ValueError(FORGED)])

    lines = LineFormatter().format(record("x", error=raised(fail))).splitlines()
    assert [line.split(" at ")[0] for line in lines[1:]] == [
        "  Traceback: ExceptionGroup",
        "  Traceback: FileNotFoundError (No such file or directory)",
        "  Traceback: ValueError",
    ]


def test_causes_in_a_circle_come_to_an_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert len(LineFormatter().format(record("x", error=first)).splitlines()) < 20


def test_what_log_lines_sets_up_is_this(capsys, monkeypatch):
    from core.text.logs import log_lines

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        log_lines(logging.INFO)
        logging.getLogger("encore.test").info("model=%s", FORGED)
        sys.stderr.flush()
        said = capsys.readouterr().err
    finally:
        root.setLevel(level)
    assert len(said.splitlines()) == 1
    assert " INFO encore.test: model=m 2026" in said
