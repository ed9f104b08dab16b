"""The walk's own arithmetic: what is a call, a resume, a move, and what is passed through."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.request_walk import Answering, figures, walk, walks
from core import LLMCache

SOURCES = {
    "first": """
def first(others):
    second, third = others
    second.second(third.third)
    second.second(third.third)
    return [number for number in third.numbers()]
""",
    "second": """
def second(call):
    inner()
    sorted([2, 1], key=lambda number: call())
def inner():
    pass
""",
    "third": """
def third():
    return 0
def numbers():
    yield 1
    yield 2
""",
}


@pytest.fixture
def traced(tmp_path: Path) -> Callable[[], object]:
    """A call that goes through three files of a folder of its own."""
    modules = {}
    for name, source in SOURCES.items():
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        modules[name] = ModuleType(name)
        exec(compile(source, str(path), "exec"), vars(modules[name]))
    return lambda: modules["first"].first((modules["second"], modules["third"]))


def test_calls_resumes_and_moves(traced, tmp_path: Path):
    steps = walk(traced, tmp_path)
    told = figures(steps)
    comprehensions = sum(step.code.co_name == "<listcomp>" for step in steps)  # functions until Python 3.12
    # first, and twice: second, inner, two lambdas that call third; numbers, and again after each yield.
    assert told.calls == 1 + 2 * (2 + 2 * 2) + comprehensions + 1
    assert told.resumes == 2
    assert (told.functions, told.files) == (6 + comprehensions, 3)
    # into second and third four times each; with a comprehension also back to first and into numbers.
    assert told.moves == 8 + 2 * comprehensions
    assert {Path(file).name: times for file, times in told.entered.items()} == {
        "first.py": 1 + comprehensions,
        "second.py": 4,
        "third.py": 4 + comprehensions,
    }
    assert sys.getprofile() is None


def test_a_driver_is_passed_through(traced, tmp_path: Path):
    steps = walk(traced, tmp_path)
    all_calls = figures(steps).calls
    second = next(step.file for step in steps if step.file.endswith("second.py"))
    told = figures(steps, {second})
    comprehensions = sum(step.code.co_name == "<listcomp>" for step in steps)
    assert (told.calls, told.moves) == (all_calls, 1 + 2 * comprehensions)


def test_a_hit_is_a_shorter_walk_than_a_miss():
    told = {name: figures(steps) for name, steps in walks(LLMCache(provider=Answering()))}
    assert 0 < told["hit"].calls < told["miss"].calls
    assert 0 < told["hit"].moves < told["miss"].moves
