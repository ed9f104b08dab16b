"""What a miss was asked in, as the request log keeps it: so that it can be said what keeps equal questions apart."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec

from ..keys import normalize_loosely

MAX_INSTRUCTIONS = 8000
MAX_ENDING = 2000
"""Characters of a system prompt that are compared: of its beginning, and of its end where it is longer."""

_QUESTION_BYTES = 8
_NAMES = 100
_LATEST = 4
"""System prompts that are remembered: of the latest namespaces and models, and of each of these."""
_BEFORE = 40
_BEHIND = 20
_EXCERPT = 160


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The question of a miss and what it was asked in.

    `question` is equal for equal questions in any scope, `parts` are those of the scope as `core.keys` packs them.
    `instructions` is the system prompt, None without one or where texts are not to be kept.
    """

    question: bytes = b""
    parts: bytes = b""
    instructions: str | None = None


def question_of(text: str) -> bytes:
    """What equal questions share in all scopes, but for case, spaces and the closing mark; empty without a text."""
    return sha256((normalize_loosely(text) or text).encode()).digest()[:_QUESTION_BYTES] if text else b""


NOTHING = Asked()

Asking = Callable[[bool], Asked]
"""Says what a miss was asked in; with False without its texts."""


class SystemPrompts:
    """The latest system prompts of each namespace and model, in this process. Not thread-safe: its owner holds a lock.

    A system prompt is long, and what differs from the one before is short: only that is worth keeping.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], list[str]] = {}

    def apart(self, namespace: str, model: str, text: str) -> tuple[str, str] | None:
        """Where this one differs from the most similar of the latest others, in the words of that and of this one.

        None when it is one of these, or the first one.
        """
        name = (namespace, model)
        known = self._latest.pop(name, [])
        found = None
        if text in known:
            known.remove(text)
        elif known:
            found = excerpts(max(reversed(known), key=lambda other: sum(_equal(other, text))), text)
        if len(self._latest) >= _NAMES:
            del self._latest[next(iter(self._latest))]
        self._latest[name] = [*known[1 - _LATEST :], text]
        return found


def excerpts(first: str, second: str) -> tuple[str, str]:
    """Where two texts differ, with a few words around it, cut short; "…" stands for what is left out."""
    begin, end = _equal(first, second)
    return _excerpt(first, begin, end), _excerpt(second, begin, end)


def _excerpt(text: str, begin: int, end: int) -> str:
    begin, end = max(0, begin - _BEFORE), min(len(text), len(text) - end + _BEHIND)
    shown = text[begin : min(end, begin + _EXCERPT)]
    before, behind = ("…" if begin else ""), ("…" if begin + len(shown) < len(text) else "")
    return f"{before}{shown}{behind}"


def _equal(first: str, second: str) -> tuple[int, int]:
    """How many characters two texts begin with alike, and end with alike, none counted twice. Linear."""
    shorter = min(len(first), len(second))
    begin = _alike(lambda count: first.startswith(second[:count]), shorter)
    # What both begin with may be what both end with too.
    end = _alike(lambda count: first.endswith(second[len(second) - count :]), shorter - begin)
    return begin, end


def _alike(are: Callable[[int], bool], most: int) -> int:
    """The largest count for which texts are alike, by halving: it is so for all smaller ones."""
    fewest = 0
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if are(middle):
            fewest = middle
        else:
            most = middle - 1
    return fewest
