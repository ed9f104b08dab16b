"""Parts: what a request's scope is made of, one by one, with a digest of each. Pure.

An entry keeps the digests of its request's parts, and the words of short parameters: so that it can be said of any
later request what keeps the two apart. Texts of the request are never among them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from ..text import HIDDEN, printable, redacted
from .identity import PART_DIGEST_BYTES, SCOPE_PARTS, leading_instructions, part_digests

MAX_WORDS = 200
KEPT_PARTS = 40
KEPT_WORDS = 24
"""Parts that an entry keeps at most, and the longest value of a parameter that it keeps in words."""

_PARAMETER = "parameter "
_HEADER = "header "
_IN_HEADER = ("namespace", "model")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the answer depends on: its name, its value in words (cut short), and a digest of all of it.

    `absent`: the request has no such thing.
    """

    name: str
    words: str
    digest: str
    absent: bool = False


def parts_of(values: Sequence[Any]) -> list[Part]:
    """The parts of a scope, given in the order of `SCOPE_PARTS`."""
    named = _named(values)
    digests = part_digests(value for _, value in named)
    return [
        Part(
            name=name,
            words="(not shown)" if name.startswith(_HEADER) else _in_words(name, value),
            digest=digest.hex() if digest is not None else NONE,
            absent=_is_absent(value) and not name.startswith(_HEADER),
        )
        for (name, value), digest in zip(named, digests, strict=True)
    ]


def pack(values: Sequence[Any]) -> bytes:
    """The parts of a scope as an entry keeps them: what is absent, and what its header says, is left out."""
    kept = [
        (name, value)
        for name, value in _named(values)
        if name not in _IN_HEADER and (name.startswith(_HEADER) or not _is_absent(value))
    ][:KEPT_PARTS]
    if not kept:
        return b""
    digests = part_digests(value for _, value in kept)
    return msgspec.msgpack.encode(
        {
            name: (digest or bytes(PART_DIGEST_BYTES)) + _kept_words(name, value)
            for (name, value), digest in zip(kept, digests, strict=True)
        }
    )


def unpack(packed: bytes) -> dict[str, Part]:
    """The parts in the bytes that `pack` made, by name; empty for bytes that cannot be read."""
    try:
        kept = _decode(packed) if packed else {}
        return {
            name: Part(name=name, words=value[PART_DIGEST_BYTES:].decode(), digest=value[:PART_DIGEST_BYTES].hex())
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


def _named(values: Sequence[Any]) -> list[tuple[str, Any]]:
    """Each part's name and value: parameters and headers one by one, instructions apart from what was said since."""
    found: list[tuple[str, Any]] = []
    for name, value in zip(SCOPE_PARTS, values, strict=True):
        if name == "parameters":
            found += [(_parameter(key), item) for key, item in sorted((value or {}).items())]
        elif name == "headers":
            # A header may be a secret: its name and digest say enough.
            found += [(_HEADER + printable(key, 60), item) for key, item in value or ()]
        elif name == "earlier messages":
            leading = leading_instructions(value)
            found += [("system prompt", value[:leading]), (name, value[leading:])]
        else:
            found.append((name, value))
    return found


def _kept_words(name: str, value: Any) -> bytes:
    if name not in ("wire form", "endpoint") and not name.startswith(_PARAMETER):
        return b""
    words = _in_words(name, value)
    return words.encode("utf-8", "replace") if len(words) <= KEPT_WORDS and HIDDEN not in words else b""


def _in_words(name: str, value: Any) -> str:
    """A part in words, of parameters and tools without what may be a secret."""
    is_parameter = name == "tools" or name.startswith(_PARAMETER)
    return shown(redacted(value, name.removeprefix(_PARAMETER)) if is_parameter else value)


def _parameter(name: str) -> str:
    return name if name == "tools" else printable(_PARAMETER + name, 80)


def _is_absent(value: Any) -> bool:
    return value is None or value == [] or value == ()
