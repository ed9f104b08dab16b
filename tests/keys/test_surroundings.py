"""What a function reads from around it is part of what it is, where it can be seen."""

from __future__ import annotations

import contextvars
import os
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from core.keys.callables import Unnameable, function_name

TONE = "pirate"
CONFIG = {"tone": "pirate"}
CALLS = 0
LOG: list[str] = []
API_KEY = "sk-1"
VARIABLE = contextvars.ContextVar("VARIABLE", default="pirate")
LOCAL = threading.local()
NESTED = types.SimpleNamespace(inner=types.SimpleNamespace(tone="pirate"), asked=0)
REGISTRY: dict[int, str] = {}
WEAK: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


class Conf:
    tone = "pirate"


class Client:
    def __init__(self) -> None:
        self.asked = 0

    def create(self, prompt: str) -> str:
        self.asked += 1
        return prompt


CLIENT = Client()


def helper() -> str:
    return TONE


def of_a_global(prompt: str, model: str) -> str:
    return TONE


def of_a_mapping(prompt: str, model: str) -> str:
    return CONFIG["tone"]


def of_a_class(prompt: str, model: str) -> str:
    return Conf.tone


def by_getattr(prompt: str, model: str) -> str:
    return getattr(Conf, "tone")  # noqa: B009


def of_a_namespace(prompt: str, model: str) -> str:
    return NESTED.inner.tone


def of_the_environment(prompt: str, model: str) -> str:
    return os.environ.get("TONE_OF_A_TEST", "none")


def of_a_variable(prompt: str, model: str) -> str:
    return VARIABLE.get()


def of_a_thread(prompt: str, model: str) -> str:
    return LOCAL.tone


def by_a_helper(prompt: str, model: str) -> str:
    return helper()


def within(prompt: str, model: str) -> str:
    def inner() -> list[str]:
        return [TONE for _ in range(1)]

    return inner()[0]


class Asker:
    def ask(self, prompt: str, model: str) -> str:
        return self.said()

    def said(self) -> str:
        return TONE

    def __call__(self, prompt: str, model: str) -> str:
        return TONE


def set_tone(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(globals(), "TONE", "lawyer")


CHANGES: dict[str, tuple[Callable[..., str], Callable[[pytest.MonkeyPatch], object]]] = {
    "a global": (of_a_global, set_tone),
    "an item": (of_a_mapping, lambda patch: patch.setitem(CONFIG, "tone", "lawyer")),
    "an attribute of a class": (of_a_class, lambda patch: patch.setattr(Conf, "tone", "lawyer")),
    "an attribute by its text": (by_getattr, lambda patch: patch.setattr(Conf, "tone", "lawyer")),
    "an attribute further within": (of_a_namespace, lambda patch: patch.setattr(NESTED.inner, "tone", "lawyer")),
    "the environment": (of_the_environment, lambda patch: patch.setenv("TONE_OF_A_TEST", "lawyer")),
    "a context variable": (of_a_variable, lambda patch: VARIABLE.set("lawyer")),
    "a thread's own": (of_a_thread, lambda patch: patch.setattr(LOCAL, "tone", "lawyer", raising=False)),
    "a global of a helper": (by_a_helper, set_tone),
    "a global of inner code": (within, set_tone),
    "a global of another method": (Asker().ask, set_tone),
    "a global of a callable object": (Asker(), set_tone),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_read_from_around_makes_another_function(name: str, monkeypatch: pytest.MonkeyPatch):
    function, change = CHANGES[name]

    def both() -> tuple[str, str]:
        before = function_name(function)
        assert function_name(function) == before
        change(monkeypatch)
        return before, function_name(function)

    before, after = contextvars.copy_context().run(both)
    assert before != after


def counting(prompt: str, model: str) -> str:
    global CALLS  # noqa: PLW0603
    CALLS += 1
    NESTED.asked += 1
    LOG.append(prompt)
    return CLIENT.create(f"{API_KEY}: {prompt}")


def test_its_own_bookkeeping_and_keys_make_no_other_one(monkeypatch: pytest.MonkeyPatch):
    before = function_name(counting)
    counting("What?", "m")
    monkeypatch.setitem(globals(), "API_KEY", "sk-2")
    monkeypatch.setitem(globals(), "CLIENT", Client())
    assert function_name(counting) == before


class Numbered:
    def __init__(self, tone: str) -> None:
        REGISTRY[id(self)] = tone

    def ask(self, prompt: str, model: str) -> str:
        return REGISTRY[id(self)]


class Weak:
    def __init__(self, tone: str) -> None:
        self.name = "same"
        WEAK[self] = tone

    def ask(self, prompt: str, model: str) -> str:
        return WEAK[self]


class Descriptor:
    def __init__(self) -> None:
        self.values: dict[int, str] = {}

    def __get__(self, holder: Any, kind: Any) -> Any:
        return self.values[id(holder)]

    def __set__(self, holder: Any, value: str) -> None:
        self.values[id(holder)] = value


class Described:
    tone = Descriptor()

    def __init__(self, tone: str) -> None:
        self.tone = tone

    def ask(self, prompt: str, model: str) -> str:
        return self.tone


@pytest.mark.parametrize("kind", [Numbered, Weak, Described])
def test_objects_of_which_more_is_known_elsewhere_are_themselves(kind: Any):
    one, other = kind("pirate"), kind("lawyer")
    assert function_name(one.ask) != function_name(other.ask)
    assert function_name(one.ask) == function_name(one.ask)


def test_functions_of_other_globals_than_a_modules_are_themselves():
    made = []
    for tone in ("pirate", "lawyer"):
        around: dict[str, Any] = {"T": Client(), "__name__": "a_plugin", "tone": tone}
        exec("def ask(prompt, model): return T.tone", around)
        made.append(around["ask"])
    assert function_name(made[0]) != function_name(made[1])
    assert function_name(made[0]) == function_name(made[0])


GENERATOR = (tone for tone in ("pirate", "lawyer"))


@pytest.mark.parametrize(
    "function",
    [
        lambda prompt, model: globals()["TONE"],
        lambda prompt, model: eval("TONE"),
        lambda prompt, model: open("a_prompt").read(),  # noqa: PTH123, SIM115
        lambda prompt, model: next(GENERATOR),
    ],
)
def test_what_has_an_open_end_has_no_name(function: Callable[..., str]):
    with pytest.raises(Unnameable):
        function_name(function)
