"""What of a request is in the key of its answer: one table for each wire form, as data (`openai.toml`). Pure.

What is sent to the provider is in the key, or is not sent: but for the short lists of the table, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from operator import is_
from pathlib import Path
from typing import Any, Final

import msgspec

from .answers import DEEPEST


class Treatment(StrEnum):
    """What becomes of a header, or of a field of the body.

    `keyed`: sent, and in the key. `unkeyed`: sent, and not in the key. `caller's`: so too, and never stored: an answer
    that repeats it repeats the present caller's. `credential`: says who calls. `ours`: made anew by whoever sends, or a
    control of this cache. `form`: what the message is written in. `withheld`: not sent by the gateway. `unknown`: named
    by nothing in the table.
    """

    KEYED = "keyed"
    UNKEYED = "unkeyed"
    CALLERS = "caller's"
    CREDENTIAL = "credential"
    OURS = "ours"
    FORM = "form"
    WITHHELD = "withheld"
    UNKNOWN = "unknown"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the table: what it is about, what becomes of that, and why. `proxy`: only proxies say it."""

    treatment: Treatment
    reason: str
    names: tuple[str, ...] = ()
    containing: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    proxy: bool = False

    def has(self, name: str) -> bool:
        """Whether the line names something."""
        return any(_matches(pattern, name) for pattern in self.names) or any(part in name for part in self.containing)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of everything that a request of one wire form may hold. The first line that names it decides."""

    headers: tuple[Line, ...]
    body: tuple[Line, ...]
    query: tuple[Line, ...]


OPENAI: Final = msgspec.toml.decode(Path(__file__).with_name("openai.toml").read_bytes(), type=Table)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


@lru_cache(maxsize=1024)
def header_treatment(name: str) -> Treatment:
    """What becomes of a header, by its name in lower case."""
    return next((line.treatment for line in OPENAI.headers if line.has(name)), Treatment.UNKNOWN)


def is_of_a_proxy(name: str) -> bool:
    """Whether a header, by its name in lower case, is one that proxies add: the request came through one."""
    line = next((line for line in OPENAI.headers if line.has(name)), None)
    return line is not None and line.proxy


def is_keyed(name: str, value: Any, *, credentials: bool) -> bool:
    """Whether a header that is sent is in the key, by its name in lower case; `credentials`: they are too."""
    match header_treatment(name):
        case Treatment.UNKEYED | Treatment.OURS:
            return False
        case Treatment.CREDENTIAL:
            return credentials
        case Treatment.FORM:
            return not is_plain_form(value)
        case _:
            return (name, value) != ("accept-language", "*")


def is_plain_form(value: Any) -> bool:
    """Whether a Content-Type or Accept says no more than that JSON is sent and wanted."""
    return isinstance(value, str) and value.replace(" ", "").lower() in _PLAIN_FORMS


_PLAIN_FORMS: Final = frozenset({"*/*", "application/json", "application/json;charset=utf-8"})


def is_secret(name: str) -> bool:
    """Whether a header, by its name in lower case, may hold what nobody else must see."""
    return header_treatment(name) is Treatment.CREDENTIAL or any(part in name for part in _SECRET) or name == "cookie"


_SECRET: Final = ("auth", "credential", "key", "password", "secret", "signature", "token")


def unkeyed_fields(endpoint: str) -> frozenset[str]:
    """The fields of a body that are not in the key of the answer."""
    return _UNKEYED.get(endpoint, _UNKEYED_ANYWHERE)


def _unkeyed(endpoint: str) -> frozenset[str]:
    lines = (line for line in OPENAI.body if not line.endpoints or endpoint in line.endpoints)
    return frozenset(name for line in lines for name in line.names)


_UNKEYED_ANYWHERE: Final = _unkeyed("")
_UNKEYED: Final = {endpoint: _unkeyed(endpoint) for line in OPENAI.body for endpoint in line.endpoints}

CALLERS_FIELDS: Final = frozenset(
    name for line in OPENAI.body if line.treatment is Treatment.CALLERS for name in line.names
)
"""Fields of a body that are a caller's and not in the key: providers repeat them in answers."""


# The arguments of an SDK

OF_THE_SDK: Final = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
"""Arguments that are no fields of the body, though a body may have fields of these names."""


def divided_headers(headers: Any) -> tuple[Any, dict[str, Any]]:
    """An SDK's extra headers: those in the key, and the others. What are no headers is left as it is."""
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        return headers or {}, {}
    keyed = {name: value for name, value in headers.items() if is_keyed(name.lower(), value, credentials=True)}
    return keyed, {name: value for name, value in headers.items() if name not in keyed}


def divided_fields(fields: Mapping[str, Any], unkeyed: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields in the key, and the others. None, or the SDK's "not given", is the same as nothing given."""
    keyed, others = {}, {}
    for name, value in fields.items():
        if value is None or type(value).__name__ in ("NotGiven", "Omit"):
            continue
        if name in unkeyed:
            others[name] = value
        else:
            keyed[name] = value
    return keyed, others


# What an answer repeats of its request

_MADE_OF_EVENTS: Final = "response"
_ANSWERED: Final = frozenset({"service_tier"})
"""What providers say of themselves too: it repeats the caller only where the caller gave it."""


def without_callers(answer: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, a chunk or an event without what it repeats of the caller, who gave the fields `given`.

    Emptied where it stands, so that the next caller's can be put there; further within, only what the caller gave. The
    same object when it repeats nothing. Raises RecursionError for one that is nested very deep.
    """
    repeated = {name: _emptied(answer[name]) for name in CALLERS_FIELDS & answer.keys() - (_ANSWERED - given.keys())}
    inner = answer.get(_MADE_OF_EVENTS)
    bare = without_callers(inner, given) if isinstance(inner, dict) else inner
    if bare is not inner:
        repeated[_MADE_OF_EVENTS] = bare
    answer = {**answer, **repeated} if repeated else answer
    own = {name: {*leaves(given[name])} for name in CALLERS_FIELDS & given.keys()}
    return _without_own(answer, own) if own else answer


def _without_own(value: Any, own: Mapping[str, set[Any]], depth: int = 0) -> Any:
    """A value of an answer without the fields of these names that hold one of these values."""
    if depth > DEEPEST:
        raise RecursionError("an answer is nested too deep")
    if isinstance(value, list):
        bare = [_without_own(inner, own, depth + 1) if isinstance(inner, dict | list) else inner for inner in value]
        return value if all(map(is_, bare, value)) else bare
    changed = {}
    for name, inner in value.items():
        if name in own and not own[name].isdisjoint(leaves(inner)):
            changed[name] = _emptied(inner)
        elif isinstance(inner, dict | list) and name not in MODELS_OWN:
            bare = _without_own(inner, own, depth + 1)
            if bare is not inner:
                changed[name] = bare
    return {**value, **changed} if changed else value


MODELS_OWN: Final = frozenset({"arguments", "parsed", "embedding", "logprobs"})
"""Names under which objects are the answer itself."""


def leaves(value: Any) -> Iterator[Any]:
    """What stands in a JSON value, without its names; neither null nor a truth value."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                waiting += found.values()
            case list() | tuple() as found:
                waiting += found
            case str() | int() | float() as found if not isinstance(found, bool):
                yield found


def _emptied(value: Any) -> Any:
    return {} if isinstance(value, dict) else None


def with_callers(answer: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A stored answer, chunk or event that repeats what the present caller gave. The same object when there is nothing
    to repeat."""
    if CALLERS_FIELDS.isdisjoint(given):
        return answer
    repeated = {name: given[name] for name in CALLERS_FIELDS & given.keys() if name in answer}
    inner = answer.get(_MADE_OF_EVENTS)
    own = with_callers(inner, given) if isinstance(inner, dict) else inner
    if own is not inner:
        repeated[_MADE_OF_EVENTS] = own
    return {**answer, **repeated} if repeated else answer
