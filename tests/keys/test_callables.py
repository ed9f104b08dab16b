"""Which functions are the same: equal names only where the answers may be equal."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from core.keys.callables import Unnameable, function_name, readable_name


def ask(prompt: str, model: str, system: str = "none") -> str:
    return f"{system}: {prompt}"


def made(system: object) -> Callable[..., str]:
    def inner(prompt: str, model: str) -> str:
        return f"{system}: {prompt}"

    return inner


def with_default(system: object) -> Callable[..., str]:
    def inner(prompt: str, model: str, told: object = system) -> str:
        return f"{told}: {prompt}"

    return inner


def wrapped(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs).upper()

    return inner


class Client:
    def __init__(self, tenant: object) -> None:
        self.tenant = tenant
        self.calls = 0

    def ask(self, prompt: str, model: str) -> str:
        self.calls += 1
        return f"{self.tenant}: {prompt}"

    __call__ = ask

    @classmethod
    def of_the_class(cls, prompt: str, model: str) -> str:
        return prompt

    @staticmethod
    def of_none(prompt: str, model: str) -> str:
        return prompt


class Heir(Client):
    pass


class Slotted:
    __slots__ = ("tenant",)

    def __init__(self, tenant: object) -> None:
        self.tenant = tenant

    def ask(self, prompt: str, model: str) -> str:
        return f"{self.tenant}: {prompt}"


def made_class(system: str) -> type:
    class Made:
        said = system

        def ask(self, prompt: str, model: str) -> str:
            return f"{self.said}: {prompt}"

        __call__ = ask

        @classmethod
        def of_the_class(cls, prompt: str, model: str) -> str:
            return f"{cls.said}: {prompt}"

    return Made


def typed(system: str) -> type:
    return type("Client", (Client,), {"said": system, "__module__": __name__})


class WithAttribute:
    system = "pirate"

    def ask(self, prompt: str, model: str) -> str:
        return f"{self.system}: {prompt}"


class HeirWithAttribute(WithAttribute):
    pass


SAME = {
    "keywords in any order": lambda: (functools.partial(ask, a="1", b="2"), functools.partial(ask, b="2", a="1")),
    "equal objects with attributes of a class": lambda: (WithAttribute().ask, WithAttribute().ask),
    "one function": lambda: (ask, ask),
    "equal bound arguments": lambda: (functools.partial(ask, system="a"), functools.partial(ask, system="a")),
    "bound lists": lambda: (
        functools.partial(ask, system=["a", {"b": 1}]),
        functools.partial(ask, system=["a", {"b": 1}]),
    ),
    "equal objects": lambda: (Client("a").ask, Client("a").ask),
    "equal callable objects": lambda: (Client("a"), Client("a")),
    "equal objects with slots": lambda: (Slotted("a").ask, Slotted("a").ask),
    "equal closures": lambda: (made("a"), made("a")),
    "closures over equal tuples": lambda: (made(("a", 1)), made(("a", 1))),
    "equal defaults": lambda: (with_default("a"), with_default("a")),
    "one decorated function": lambda: (wrapped(ask), wrapped(ask)),
    "a class method": lambda: (Client.of_the_class, Client.of_the_class),
    "a static method, by the class and by an object": lambda: (Client.of_none, Client("a").of_none),
    "sets in any order": lambda: (
        functools.partial(ask, system={"a", "b", "c"}),
        functools.partial(ask, system={"c", "b", "a"}),
    ),
}
OTHERS = {
    "classes made in a function": lambda: (made_class("a")().ask, made_class("b")().ask),
    "callable objects of such classes": lambda: (made_class("a")(), made_class("b")()),
    "class methods of such classes": lambda: (made_class("a").of_the_class, made_class("b").of_the_class),
    "closures over their methods": lambda: (made(made_class("a")().ask), made(made_class("b")().ask)),
    "defaults that are their methods": lambda: (
        with_default(made_class("a")().ask),
        with_default(made_class("b")().ask),
    ),
    "attributes that are their methods": lambda: (Client(made_class("a")().ask).ask, Client(made_class("b")().ask).ask),
    "bound classes": lambda: (
        functools.partial(ask, system=made_class("a")),
        functools.partial(ask, system=made_class("b")),
    ),
    "classes made by type": lambda: (typed("a")("t").ask, typed("b")("t").ask),
    "a class made by type and one of its name": lambda: (typed("a")("t").ask, Client("t").ask),
    "heirs of classes made in a function": lambda: (
        type("Heir", (made_class("a"),), {})().ask,
        type("Heir", (made_class("b"),), {})().ask,
    ),
    "bound keyword": lambda: (functools.partial(ask, system="pirate"), functools.partial(ask, system="lawyer")),
    "bound position": lambda: (functools.partial(ask, "a"), functools.partial(ask, "b")),
    "bound and not": lambda: (ask, functools.partial(ask, system="none")),
    "nested partials": lambda: (
        functools.partial(functools.partial(ask, system="a"), "p"),
        functools.partial(functools.partial(ask, system="b"), "p"),
    ),
    "bound list": lambda: (functools.partial(ask, system=["a"]), functools.partial(ask, system=["b"])),
    "a list and a tuple": lambda: (functools.partial(ask, system=["a"]), functools.partial(ask, system=("a",))),
    "a number and its text": lambda: (made(1), made("1")),
    "true and one": lambda: (made(True), made(1)),
    "one and one point zero": lambda: (made(1), made(1.0)),
    "zero and minus zero": lambda: (made(0.0), made(-0.0)),
    "bytes and text": lambda: (made(b"a"), made("a")),
    "objects": lambda: (Client("acme").ask, Client("globex").ask),
    "callable objects": lambda: (Client("acme"), Client("globex")),
    "objects with slots": lambda: (Slotted("acme").ask, Slotted("globex").ask),
    "an object of another class": lambda: (Client("acme").ask, Heir("acme").ask),
    "a method and its object": lambda: (Client("acme").ask, Client("acme")),
    "objects that hold lists": lambda: (Client(["acme"]).ask, Client(["acme"]).ask),
    "objects that hold objects": lambda: (Client(Client("acme")).ask, Client(Client("acme")).ask),
    "closures": lambda: (made("pirate"), made("lawyer")),
    "closures over lists": lambda: (made(["pirate"]), made(["pirate"])),
    "closures over closures": lambda: (made(made("pirate")), made(made("lawyer"))),
    "defaults": lambda: (with_default("pirate"), with_default("lawyer")),
    "lambdas": lambda: (lambda prompt, model: "a", lambda prompt, model: "b"),
    "lambdas that call others": lambda: (lambda prompt, model: prompt.upper(), lambda prompt, model: prompt.lower()),
    "decorated and not": lambda: (ask, wrapped(ask)),
    "decorated functions": lambda: (wrapped(made("a")), wrapped(made("b"))),
    "class methods of heirs": lambda: (Client.of_the_class, Heir.of_the_class),
    "inner lambdas": lambda: (
        lambda prompt, model: (lambda: "a")(),
        lambda prompt, model: (lambda: "b")(),
    ),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_these_share_answers(pair: Callable[[], tuple[Any, Any]]):
    one, other = pair()
    assert function_name(one) == function_name(other)


@pytest.mark.parametrize("pair", OTHERS.values(), ids=OTHERS)
def test_these_do_not(pair: Callable[[], tuple[Any, Any]]):
    one, other = pair()
    assert function_name(one) != function_name(other)


def test_an_attribute_that_is_set_anew_makes_another_function():
    client = Client("acme")
    before = function_name(client.ask)
    client.tenant = "globex"
    assert function_name(client.ask) != before


@pytest.mark.parametrize("kind", [WithAttribute, HeirWithAttribute])
def test_an_attribute_of_a_class_that_is_set_anew_does_too(kind: Any, monkeypatch: pytest.MonkeyPatch):
    before = function_name(kind().ask)
    monkeypatch.setattr(WithAttribute, "system", "lawyer")
    assert function_name(kind().ask) != before


def test_an_attribute_of_a_function_that_is_set_anew_does_too():
    def inner(prompt: str, model: str) -> str:
        return f"{inner.system}: {prompt}"  # type: ignore[attr-defined]

    names = set()
    for system in ("pirate", "lawyer"):
        inner.system = system  # type: ignore[attr-defined]
        names.add(function_name(inner))
    assert len(names) == 2


@pytest.mark.parametrize("held", [{"system": ["pirate"]}, [{"system": "pirate"}, "x"]])
def test_an_item_that_is_set_anew_does_too(held: Any):
    for function in (made(held), Bare(held).ask):
        before = function_name(function)
        assert function_name(function) == before
        if isinstance(held, dict):
            held["system"] = [str(held["system"])]
        else:
            held.append("lawyer")
        assert function_name(function) != before


class Bare:
    def __init__(self, held: object) -> None:
        self.held = held

    def ask(self, prompt: str, model: str) -> str:
        return f"{self.held}: {prompt}"


def test_what_a_function_only_counts_with_does_not():
    client = Client("acme")
    before = function_name(client.ask)
    client.ask("a", "b")
    assert client.calls == 1
    assert function_name(client.ask) == before


def test_a_count_that_is_also_read_does():
    class Turns:
        def __init__(self) -> None:
            self.turn = 0

        def ask(self, prompt: str, model: str) -> str:
            self.turn += 1
            return f"{self.turn}: {prompt}"

    turns = Turns()
    before = function_name(turns.ask)
    turns.ask("a", "b")
    assert function_name(turns.ask) != before


def test_a_closure_may_count_too():
    calls = 0

    def counting(prompt: str, model: str) -> str:
        nonlocal calls
        calls += 1
        return prompt

    before = function_name(counting)
    counting("a", "b")
    assert calls == 1
    assert function_name(counting) == before


def test_one_that_holds_an_object_is_itself_as_long_as_it_lives():
    log: list[str] = []

    def logging(prompt: str, model: str) -> str:
        log.append(prompt)
        return prompt

    before = function_name(logging)
    logging("a", "b")
    assert function_name(logging) == before
    names = set()
    for _ in range(50):  # objects that take the place of one another in memory
        names.add(function_name(Client(["acme"]).ask))
    assert len(names) == 50


def test_equal_objects_that_hold_objects_are_not_one():
    class Equal(Client):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    one, other = Equal(["acme"]), Equal(["globex"])
    assert function_name(one.ask) != function_name(other.ask)


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(ask, system=object()),
        [1, 2].count,
        functools.partial(ask, system=math.nan.as_integer_ratio),
        functools.partial(ask, system=[[[[[[[[[[[["deep"]]]]]]]]]]]]),
        functools.partial(ask, system=list(range(5000))),
    ],
    ids=["an object that nothing can be said of", "a method in C", "a bound one", "too deep", "too much"],
)
def test_without_a_stable_form_there_is_no_name(function: Callable[..., Any]):
    with pytest.raises(Unnameable):
        function_name(function)


def test_a_cycle_has_no_name_either():
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(Unnameable):
        function_name(functools.partial(ask, system=cycle))


def test_a_secret_is_not_in_the_name():
    assert "sk-secret" not in function_name(Client("sk-secret").ask)
    assert readable_name(Client("sk-secret").ask).endswith("Client.ask")


def test_the_name_is_the_same_in_every_process():
    code = (
        "import functools; from tests.keys.test_callables import *;"
        "print(function_name(functools.partial(ask, system={'a', 'b', 'c'})), function_name(Client('acme').ask),"
        "function_name(made('x')))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(names) == 1
