"""Parts: what a request's scope is made of, one by one, with a digest of each. Pure.

An entry keeps the digests of its request's parts, and the words of short parameters: so that it can be said of any
later request what keeps the two apart. Texts of the request are never among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..text import printable
from .identity import SCOPE_PARTS, part_digest

MAX_WORDS = 200
KEPT_PARTS = 40
KEPT_WORDS = 24
"""Parts that an entry keeps at most, and the longest value of a parameter that it keeps in words."""

_DIGEST_BYTES = 6
_PARAMETER = "parameter "
_IN_HEADER = ("namespace", "model")
_SYSTEM_ROLES = ("system", "developer")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the answer depends on: its name, its value in words (cut short), and a digest of all of it.

    `absent`: the request has no such thing.
    """

    name: str
    words: str
    digest: str
    absent: bool = False


def parts_of(values: Sequence[Any]) -> list[Part]:
    """The parts of a scope, given as `core.keys.identity.scope_parts` gives them."""
    found = []
    for name, value in zip(SCOPE_PARTS, values, strict=True):
        if name == "parameters":
            found += [_part(_parameter(key), item) for key, item in sorted((value or {}).items())]
        elif name == "headers":
            # A header may be a secret: its name and digest tell enough.
            found += [
                Part(name=f"header {printable(key, 60)}", words="(not shown)", digest=_digest(item))
                for key, item in value or ()
            ]
        elif name == "earlier messages":
            leading = _leading_instructions(value)
            found.append(_part("system prompt", value[:leading]))
            found.append(_part(name, value[leading:]))
        else:
            found.append(_part(name, value))
    return found


def pack(parts: Iterable[Part]) -> bytes:
    """Parts as an entry keeps them: what is none, and what its header tells, is left out."""
    kept = [part for part in parts if not part.absent and part.name not in _IN_HEADER][:KEPT_PARTS]
    return msgspec.msgpack.encode({part.name: _kept(part) for part in kept}) if kept else b""


def unpack(packed: bytes) -> dict[str, Part]:
    """The same by name; empty for what cannot be read."""
    try:
        kept = _decode(packed) if packed else {}
        return {
            name: Part(name=name, words=value[_DIGEST_BYTES:].decode(), digest=value[:_DIGEST_BYTES].hex())
            for name, value in kept.items()
        }
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


NONE = "none"
"""The words of what a request does not have."""


def shown(value: Any) -> str:
    """A value in words, cut short."""
    if _is_absent(value):
        return NONE
    if isinstance(value, str):
        return printable(value, MAX_WORDS)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return printable(text, MAX_WORDS)


_decode = msgspec.msgpack.Decoder(dict[str, bytes]).decode


def _kept(part: Part) -> bytes:
    try:
        digest = bytes.fromhex(part.digest)
    except ValueError:  # it has none
        digest = bytes(_DIGEST_BYTES)
    may_be_read = part.name == "endpoint" or part.name.startswith(_PARAMETER)
    is_kept = may_be_read and len(part.words) <= KEPT_WORDS
    return digest + (part.words.encode("utf-8", "replace") if is_kept else b"")


def _parameter(name: str) -> str:
    return name if name == "tools" else _PARAMETER + name


def _leading_instructions(messages: Sequence[Any]) -> int:
    """How many messages at the beginning are instructions to the model."""
    for number, message in enumerate(messages):
        if not (isinstance(message, Mapping) and message.get("role") in _SYSTEM_ROLES):
            return number
    return len(messages)


def _part(name: str, value: Any) -> Part:
    return Part(name=printable(name, 80), words=shown(value), digest=_digest(value), absent=_is_absent(value))


def _is_absent(value: Any) -> bool:
    return value is None or value == [] or value == ()


def _digest(value: Any) -> str:
    try:
        return part_digest(value)
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError, NotImplementedError):
        return NONE
