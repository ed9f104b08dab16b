"""Request controls as they arrive: from HTTP headers, or from an `encore` object in the request's body.

Cache-Control: no-cache, max-age=60
X-Encore-TTL: 3600
client.chat.completions.create(..., extra_body={"encore": {"ttl": 3600, "tags": ["doc:123"]}})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from ..errors import InvalidInput
from ..keys import NAMESPACE_PATTERN
from ..models import LONGEST_SECONDS, NO_CONTROLS, AtMost, CacheStrategy, Controls, For, ttl

BODY_FIELD = "encore"
"""Name of the object among a request's arguments; it is taken out before the request goes on."""

HEADERS = {
    "x-encore-ttl": "X-Encore-TTL",
    "x-encore-namespace": "X-Encore-Namespace",
    "x-encore-strategy": "X-Encore-Strategy",
    "x-encore-threshold": "X-Encore-Threshold",
    "x-encore-tags": "X-Encore-Tags",
    "x-encore-user": "X-Encore-User",
}
"""Control headers beside Cache-Control, as they are written."""

_PREFIX = "x-encore-"
# RFC 9110 5.6: a token, and after = a token or a quoted string, in a list that may have empty members.
_DIRECTIVE = re.compile(
    r"""[ \t]*+(?:([\w!#$%&'*+.^`|~-]+)(?:=(?:"((?:[^"\\]|\\.)*+)"|([^\s",;]*)))?[ \t]*+)?(?:,|$)"""
)
_SECONDS = re.compile(r"[0-9]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10})?")


def controls_from_headers(headers: Mapping[str, str], base: Controls = NO_CONTROLS) -> Controls:
    """The controls in a request's headers, over `base`. Names are not case-sensitive.

    Raises InvalidInput, naming the header, for a value that cannot be used and for an X-Encore header that does not
    exist. Directives of Cache-Control that say nothing to this cache are ignored, as RFC 9111 asks.
    """
    given: dict[str, str] = {}
    directives: list[str] = []
    for name, value in headers.items():
        lowered = name.lower()
        if lowered == "cache-control":
            directives.append(value)
        elif lowered.startswith(_PREFIX):
            _add_header(given, lowered, _as_written(value).strip())
    if not given and not directives:
        return base
    values: dict[str, Any] = {name.removeprefix(_PREFIX): _from_text(name, text) for name, text in given.items()}
    controls = _controls(base, values, lambda field: HEADERS[_PREFIX + field])
    if directives:
        controls = _controls(controls, _cache_control(", ".join(directives)), lambda field: "Cache-Control")
    return controls


def controls_from_object(values: Any, base: Controls = NO_CONTROLS) -> Controls:
    """The controls in an `encore` object, over `base`: the fields of Controls, `ttl` in seconds.

    A null is the same as nothing given. Raises InvalidInput, naming the field (`encore.ttl`).
    """
    if not isinstance(values, Mapping):
        raise InvalidInput(BODY_FIELD, "give an object")
    for name in values:
        if name not in Controls.__struct_fields__:
            known = ", ".join(Controls.__struct_fields__)
            raise InvalidInput(BODY_FIELD, f"has no {str(name)[:50]!r}; there are {known}")
    given = {name: value for name, value in values.items() if value is not None}
    return _controls(base, given, lambda field: f"{BODY_FIELD}.{field}")


def without_longer_ttl(controls: Controls) -> Controls:
    """The controls with the TTL as the most that the caller wants: what others are served is kept no longer for it."""
    if isinstance(controls.ttl, For):
        return replace(controls, ttl=AtMost(controls.ttl.seconds))
    return controls


def _add_header(given: dict[str, str], name: str, value: str) -> None:
    if name not in HEADERS:
        raise InvalidInput(
            name.title()[:50], f"no such control; there are Cache-Control, {', '.join(HEADERS.values())}"
        )
    if not value:
        raise InvalidInput(HEADERS[name], "is empty")
    if name == "x-encore-tags" and name in given:
        value = f"{given[name]},{value}"
    elif given.get(name, value) != value:
        raise InvalidInput(HEADERS[name], "is given twice with different values")
    given[name] = value


def _as_written(value: str) -> str:
    """A header's text: UTF-8 where its bytes, which stand here as Latin-1, are that, as most clients write it."""
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _from_text(name: str, text: str) -> Any:
    """A header's value as it would stand in a JSON object."""
    match name:
        case "x-encore-ttl" | "x-encore-threshold":
            if not _NUMBER.fullmatch(text):
                raise InvalidInput(HEADERS[name], "give a number, e.g. 3600 or 0.98")
            return float(text)
        case "x-encore-tags":
            return [tag.strip() for tag in text.split(",") if tag.strip()]
        case _:
            return text


def _cache_control(text: str) -> dict[str, Any]:
    """The directives that this cache knows. Of a repeated one the strictest counts."""
    values: dict[str, Any] = {}
    position = 0
    while position < len(text):
        directive = _DIRECTIVE.match(text, position)
        if directive is None:
            raise InvalidInput("Cache-Control", f"cannot be read from character {position + 1} on")
        position = directive.end()
        name, quoted, token = directive.groups()
        match (name or "").lower():
            case "no-cache" | "no-store" | "only-if-cached" as flag:
                values[flag.replace("-", "_")] = True
            case "max-age" | "stale-if-error" as age:
                seconds = _delta_seconds(age, quoted if token is None else token)
                field = age.replace("-", "_")
                values[field] = min(seconds, values.get(field, seconds))
            case _:
                pass
    return values


def _delta_seconds(name: str, text: str | None) -> float:
    if text is None or not _SECONDS.fullmatch(text):
        raise InvalidInput("Cache-Control", f"{name} takes whole seconds, e.g. {name}=60")
    return float(min(int(text), LONGEST_SECONDS))


def _controls(base: Controls, values: Mapping[str, Any], called: Callable[[str], str]) -> Controls:
    """`base` with values over it; what forbids (no-store, no-cache, only-if-cached) cannot be taken back."""
    checked: dict[str, Any] = {}
    for field, value in values.items():
        try:
            checked[field] = _checked(field, value)
        except InvalidInput as error:
            raise InvalidInput(called(field), error.problem) from None
        if checked[field] is False:
            del checked[field]
    try:
        return replace(base, **checked) if checked else base
    except InvalidInput as error:
        raise InvalidInput(called(error.field), error.problem) from None


def _checked(field: str, value: Any) -> Any:
    match field:
        case "ttl":
            return ttl(value)
        case "threshold" | "max_age" | "stale_if_error":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidInput(field, "give a number")
            return float(value)
        case "no_cache" | "no_store" | "only_if_cached":
            if not isinstance(value, bool):
                raise InvalidInput(field, "give true or false")
            return value
        case "tags":
            return _tags(value)
        case _:
            return _text(field, value)


def _tags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(tag, str) for tag in value):
        raise InvalidInput("tags", "give a list of texts")
    return tuple(dict.fromkeys(value))


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(field, "give a text")
    if field == "namespace" and not re.fullmatch(NAMESPACE_PATTERN, value):
        raise InvalidInput(field, "use 1 to 64 letters, digits, dots, dashes and underscores")
    if field != "strategy":
        return value
    try:
        return CacheStrategy(value.lower())
    except ValueError:
        raise InvalidInput(field, f"is one of {', '.join(CacheStrategy)}") from None
