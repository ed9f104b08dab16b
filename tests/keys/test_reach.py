"""What a function can reach is seen to its ends, or not at all."""

from __future__ import annotations

import functools
import json
import re
from collections import UserString
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pytest

from core.keys.plain import is_plain_function
from core.keys.reach import MOST_LOOKED_AT, reach_of

INSTRUCTION = "Translate into Spanish."
TABLE = {"system": ["Translate into Spanish."]}
PERSONA = "You are a helpful assistant."
SHOP = "acme"
CLIENT = json.JSONDecoder()
PATTERN = re.compile("a")


def by_llm(*texts: str) -> str:
    return " ".join(texts)


def ask(prompt: str, model: str) -> str:
    """Translate nothing: what only documents is not used."""
    return f"{SHOP} {prompt.strip()}"


def ask_a_persona(prompt: str, model: str) -> str:
    return ask(PERSONA + prompt, model)


def ask_again(prompt: str, model: str) -> str:
    return prompt if len(prompt) > 3 else ask_again(prompt * 2, model)


class Base:
    shop = "acme"

    def ask(self, prompt: str, model: str) -> str:
        return self.shop + prompt


class Bot(Base):
    def __init__(self, system: object = "acme") -> None:
        self.system = system

    def __call__(self, prompt: str, model: str) -> str:
        return f"{self.system} {super().ask(prompt, model)}"


class Slotted:
    __slots__ = ("__system",)

    def __init__(self, system: object) -> None:
        self.__system = system

    def ask(self, prompt: str, model: str) -> str:
        return f"{self.__system} {prompt}"


def over(held: Any) -> Callable[..., str]:
    def ask(prompt: str, model: str) -> str:
        return f"{held} {prompt}"

    return ask


SEEN = {
    "a function": ask,
    "one that calls another": ask_a_persona,
    "one that calls itself": ask_again,
    "a lambda": lambda prompt, model: prompt,
    "one without anything": over(None),
    "a closure over a word": over("acme"),
    "a closure over a persona": over(PERSONA),
    "a closure over a plain function": over(ask),
    "a closure over an object": over(Bot()),
    "a bound word": functools.partial(ask, system="acme"),
    "a method": Bot().ask,
    "an object that is called": Bot("acme"),
    "an object with slots": Slotted("acme").ask,
}


@pytest.mark.parametrize("function", SEEN.values(), ids=SEEN)
def test_a_function_that_is_seen_whole_and_says_nothing_is_plain(function: Callable[..., Any]) -> None:
    assert is_plain_function(reach_of(function))


def global_text(prompt: str, model: str) -> str:
    return by_llm(INSTRUCTION, prompt)


def global_table(prompt: str, model: str) -> str:
    return TABLE["system"][0] + prompt


def through_a_helper(prompt: str, model: str) -> str:
    return global_text(prompt, model)


def nested(prompt: str, model: str) -> str:
    def call() -> str:
        return "Translate into Spanish." + prompt

    return call()


def comprehension(prompt: str, model: str) -> str:
    return "".join([f"Translate into Spanish. {word}" for word in prompt.split()])


def documented(prompt: str, model: str) -> str:
    """Translate into Spanish."""
    return "Translate into Spanish." + prompt


def by_its_documentation(prompt: str, model: str) -> str:
    """Translate into Spanish."""
    return str(documented.__doc__) + prompt


def by_name(prompt: str, model: str) -> str:
    return str(globals()["INSTRUCTION"]) + prompt


def by_import(prompt: str, model: str) -> str:
    from tests.keys import test_reach

    return test_reach.INSTRUCTION + prompt


def with_a_module(prompt: str, model: str) -> str:
    return json.dumps(prompt)


def with_a_client(prompt: str, model: str) -> str:
    return str(CLIENT.decode(prompt))


def with_a_pattern(prompt: str, model: str) -> str:
    return PATTERN.sub("b", prompt)


def unknown_name(prompt: str, model: str) -> str:
    return nowhere(prompt)  # type: ignore[name-defined]  # noqa: F821


def from_a_file(prompt: str, model: str) -> str:
    return open(model).read() + prompt  # noqa: PTH123


def evaluated(prompt: str, model: str) -> str:
    return str(eval(model)) + prompt


def with_attribute(prompt: str, model: str) -> str:
    return with_attribute.system + prompt  # type: ignore[attr-defined]


with_attribute.system = INSTRUCTION  # type: ignore[attr-defined]


class OfTheClass:
    system = INSTRUCTION

    def ask(self, prompt: str, model: str) -> str:
        return self.system + prompt


class OfItsBase(OfTheClass):
    pass


class ByProperty:
    @property
    def system(self) -> str:
        return "Translate into Spanish."

    def ask(self, prompt: str, model: str) -> str:
        return self.system + prompt


class ByAttribute:
    def __getattr__(self, name: str) -> str:
        return "Translate into Spanish."

    def ask(self, prompt: str, model: str) -> str:
        return self.system + prompt


class Bound:
    """Holds more than it asks with."""

    system = INSTRUCTION

    def ask(self, prompt: str, model: str) -> str:
        return self.call(prompt)

    def call(self, prompt: str) -> str:
        return prompt

    def translate(self, prompt: str) -> str:
        return json.dumps([self.system, prompt])


class Operator:
    def __add__(self, other: str) -> str:
        return "Translate into Spanish." + other

    def ask(self, prompt: str, model: str) -> str:
        return self + prompt


class Formatted(Bound):
    def ask(self, prompt: str, model: str) -> str:
        return "{.system}".format(self) + prompt  # noqa: UP032


class Matched(Bound):
    __match_args__ = ("system",)

    def ask(self, prompt: str, model: str) -> str:
        match self:
            case Matched(system):
                return system + prompt
        return prompt


class Late:
    """Names what its class has only in what it calls."""

    system = INSTRUCTION

    def ask(self, prompt: str, model: str) -> str:
        return by_attribute(self) + prompt


def by_attribute(bot: Any) -> str:
    return str(bot.system)


class Static:
    @staticmethod
    def ask(prompt: str, model: str) -> str:
        return OfTheClass.system + prompt

    @classmethod
    def call(cls, prompt: str, model: str) -> str:
        return OfTheClass().ask(prompt, model)


@dataclass(slots=True)
class Data:
    system: str

    def ask(self, prompt: str, model: str) -> str:
        return self.system + prompt


class Text(str):
    pass


@functools.lru_cache
def remembered(prompt: str, model: str) -> str:
    return prompt


def generated() -> Iterator[str]:
    yield INSTRUCTION


for known in list(globals().values()):  # what they are called is not what they are refused for
    if isinstance(known, FunctionType | type) and known.__module__ == __name__:
        known.__name__ = "ask"

NOT_PLAIN = {
    "a global text": global_text,
    "a global table": global_table,
    "a helper's global": through_a_helper,
    "a nested function": nested,
    "a comprehension": comprehension,
    "a text that is also its documentation": documented,
    "documentation that is read": by_its_documentation,
    "a global by name": by_name,
    "an import": by_import,
    "a module": with_a_module,
    "a client": with_a_client,
    "an object in C": with_a_pattern,
    "a name that is nowhere": unknown_name,
    "a file": from_a_file,
    "code that is made": evaluated,
    "an attribute of a function": with_attribute,
    "an attribute of a class": OfTheClass().ask,
    "an attribute of its base": OfItsBase().ask,
    "a property": ByProperty().ask,
    "an attribute that is made": ByAttribute().ask,
    "a method that is called": OfTheClass().ask,
    "an operator": Operator().ask,
    "an attribute that is formatted": Formatted().ask,
    "an attribute that is matched": Matched().ask,
    "an attribute that another function reads": Late().ask,
    "a static method": Static.ask,
    "a class method": Static.call,
    "a data class with slots": Data(INSTRUCTION).ask,
    "slots": Slotted(INSTRUCTION).ask,
    "an attribute": Bot(INSTRUCTION),
    "an object in an object": Bot(Bot(INSTRUCTION)),
    "an object in a list": Bot([Bot(INSTRUCTION)]),
    "a closure over an object": over(Bot(INSTRUCTION)),
    "a closure over a function": over(global_text),
    "a closure over the keys of a table": over({INSTRUCTION: 1}),
    "a closure over bytes": over(INSTRUCTION.encode()),
    "a closure over a kind of text": over(Text(INSTRUCTION)),
    "a closure over another kind of text": over(UserString(INSTRUCTION)),
    "a closure over a generator": over(generated()),
    "a closure over a language": over("spanish"),
    "a closure over a task": over("to_german"),
    "a bound function": functools.partial(ask, system=global_text),
    "a remembered function": remembered,
    "too much to look at": over(list(map(str, range(MOST_LOOKED_AT)))),
}


@pytest.mark.parametrize("function", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_one_that_may_instruct_or_is_not_seen_whole_is_not(function: Callable[..., Any]) -> None:
    assert not is_plain_function(reach_of(function))


@pytest.mark.parametrize(
    "name",
    [
        "to_german",
        "spanish",
        "improve",
        "fix",
        "lower",
        "redact",
        "detect_language",
        "nl2sql",
        "moderate",
        "upper",
        "shorten",
        "label",
        "route",
        "rank",
        "clean",
        "mask",
        "tidy",
        "embed",
        "judge",
        "grade",
        "tag",
        "shout",
        "pirate",
        "emojify",
        "ocr",
        "Deutsch",
        "übersetze",
        "ask_in_french",
        "answer_in_json",
    ],
)
def test_a_name_that_is_not_known_may_say_what_is_done_with_a_text(name: str) -> None:
    def function(prompt: str, model: str) -> str:
        return prompt

    function.__name__ = function.__qualname__ = name
    assert not is_plain_function(reach_of(function))
    assert not is_plain_function(reach_of(over(function)))
    assert not is_plain_function(reach_of(type(name, (), {"ask": ask})().ask))


@pytest.mark.parametrize("name", ["ask", "call_llm", "reply", "chat_completion", "ask2", "get_completion", "__call__"])
def test_a_name_that_is_known_says_nothing(name: str) -> None:
    def function(prompt: str, model: str) -> str:
        return prompt

    function.__name__ = function.__qualname__ = name
    assert is_plain_function(reach_of(function))


def test_what_a_class_has_and_nothing_names_does_not_count() -> None:
    assert is_plain_function(reach_of(Bound().call))
    assert is_plain_function(reach_of(Bound().ask))
    assert not is_plain_function(reach_of(Bound().translate))


def test_what_was_set_anew_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_plain_function(reach_of(ask))
    monkeypatch.setitem(globals(), "SHOP", INSTRUCTION)
    assert not is_plain_function(reach_of(ask))
