"""The family of a request in a conversation: its scope with the history left out. Pure.

Requests of one family differ in what was said before the last message and in nothing else that the provider is sent.
What is more than text in a history (calls of tools and what they returned, pictures, later instructions, who speaks by
name) is a part of the family itself: it is compared by its digest, never by likeness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Self

import msgspec

from .identity import SCOPE_PARTS, Identity, canonical, leading_instructions, scope_digest

_DIGEST_BYTES = 32
_PLACE = SCOPE_PARTS.index("earlier messages")
_SPEAKERS = ("user", "assistant")


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What conversations have to share. `digest` names it; `first` is the scope of the same question asked first, empty
    where the history has more than text, or is somebody's own."""

    digest: bytes
    first: bytes = b""

    def pack(self) -> bytes:
        """The family as an entry or an alias keeps it."""
        return self.digest + self.first

    @classmethod
    def unpack(cls, packed: bytes) -> Self | None:
        """The family in the bytes that `pack` made; None for an entry without one."""
        if len(packed) not in (_DIGEST_BYTES, 2 * _DIGEST_BYTES):
            return None
        return cls(digest=packed[:_DIGEST_BYTES], first=packed[_DIGEST_BYTES:])

    def holds(self, scope: bytes, packed: bytes) -> bool:
        """Whether an entry with this scope and packed family is one of it."""
        return packed[:_DIGEST_BYTES] == self.digest or (bool(self.first) and scope == self.first)


def history_of(identity: Identity) -> Sequence[Mapping[str, Any]]:
    """The messages between the leading instructions and the last message; empty for a first question."""
    if len(identity.parts) <= _PLACE or not identity.fuzzy:
        return ()
    earlier: Sequence[Mapping[str, Any]] = identity.parts[_PLACE] or ()
    return earlier[leading_instructions(earlier) :]


def texts_of(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Who said what in a history, as (role, text): the messages of user and model that have a text and nothing else."""
    return [(message["role"], text) for message in history if (text := _text(message)) is not None]


def family_of(identity: Identity, owner: Any = None) -> Family:
    """The family of a request with a history; with an `owner` it is that user's own.

    Raises TypeError or ValueError for parts without a canonical form, which no identity has.
    """
    parts = list(identity.parts)
    earlier = parts[_PLACE] or ()
    leading = leading_instructions(earlier)
    parts[_PLACE] = earlier[:leading]
    others = [bare for message in earlier[leading:] if (bare := _without_text(message)) is not None]
    first = scope_digest(parts) if not others and owner is None else b""
    return Family(digest=sha256(b"family" + canonical((parts, others, owner))).digest(), first=first)


def _without_text(message: Mapping[str, Any]) -> Any:
    """What has to be equal of a message: None for plain text, all of what is more."""
    text = _text(message)
    if text is None:
        return message
    extras = {
        name: value for name, value in message.items() if name not in ("role", "content") and not _is_empty(value)
    }
    return (message["role"], extras) if extras else None


def _text(message: Mapping[str, Any]) -> str | None:
    """The text of a message of user or model; None where it is not just that."""
    if (
        not isinstance(message, Mapping)
        or message.get("role") not in _SPEAKERS
        or not _is_empty(message.get("tool_calls"))
    ):
        return None
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(_is_text(part) for part in content):
        return "\n".join(part["text"] for part in content)
    return None


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and isinstance(part.get("text"), str)
        and part.get("type") in ("text", "input_text", "output_text")
        and all(name in ("type", "text") or _is_empty(value) for name, value in part.items())
    )


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {}, ())
