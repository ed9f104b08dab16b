"""How a judge's reply is read. Pure; one pass over a bounded text, and never an exception.

Whichever form a verdict has, it repeats the token of its call, which nobody who wrote the texts could know. A reply
without it is no verdict: a model that answers the question instead of judging says a bare "yes" too.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MAX_REPLY_CHARACTERS: Final = 100_000
"""Longer replies are not read; a reasoning model's thoughts fit."""
MAX_BARE_CHARACTERS: Final = 100
MAX_REASON_CHARACTERS: Final = 200

_YES: Final = frozenset({"true", "yes", "same"})
_NO: Final = frozenset({"false", "no", "none", "null", "different", "0"})
_THOUGHTS_END: Final = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_FENCE: Final = "```"
_FENCED_AS: Final = re.compile(r"[A-Za-z]{0,10}[ \t]*\n")
# Python's spelling, where only JSON's is read. Inside a reason it changes a capital, no more.
_PYTHONIC: Final = re.compile(r"\b(?:True|TRUE|False|FALSE|None|NONE)\b(?=\s*+[,\]}])")
_SPELLED: Final = {"true": "true", "false": "false", "none": "null"}


class Ruling(StrEnum):
    """What a reply says of one candidate. Only YES serves a stored answer; UNNAMED: another one was named."""

    YES = "yes"
    NO = "no"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A ruling on each candidate, in their order, at most one of them a yes; and the reason in the judge's words, cut
    and cleaned for display. Without rulings the reply could not be read, and the reason says why."""

    rulings: tuple[Ruling, ...]
    reason: str


def read_verdict(reply: str, token: str, candidates: int = 1) -> Verdict:
    """Reads the reply of a judge that was shown so many candidates under a token."""
    if len(reply) > MAX_REPLY_CHARACTERS:
        return _unreadable("the reply is too long")
    said = _unfenced(_without_thoughts(reply))
    fields = _fields(said)
    if fields is None:
        return _of_bare_words(said, token, candidates)
    if not isinstance(given := fields.get("token"), str) or given.strip().casefold() != token.casefold():
        return _unreadable("the reply does not repeat the token of its question")
    reason = fields.get("reason")
    named = _named(fields.get("same"), candidates)
    others = _others(fields.get("different"), candidates)
    if named is None:
        return _unreadable("the reply names no candidate, and not none")
    if named in others:
        return _unreadable("the reply says two things of one candidate")
    return _verdict(named, others, candidates, reason if isinstance(reason, str) else "")


def _verdict(named: int, others: Sequence[int], candidates: int, reason: str) -> Verdict:
    """The verdict that names a candidate, 0 being none, and says no to others."""

    def ruling(number: int) -> Ruling:
        if number == named:
            return Ruling.YES
        return Ruling.NO if not named or number in others else Ruling.UNNAMED

    return Verdict(rulings=tuple(map(ruling, range(1, candidates + 1))), reason=for_display(reason))


def _unreadable(why: str) -> Verdict:
    return Verdict(rulings=(), reason=why)


def _without_thoughts(reply: str) -> str:
    """What follows a model's thoughts: some servers leave out where they begin."""
    text = reply.strip()
    if text.startswith(("{", _FENCE)):
        return text
    end = 0
    for found in _THOUGHTS_END.finditer(text):
        end = found.end()
    return text[end:].strip()


def _unfenced(text: str) -> str:
    """The text inside a code fence that is around all of it."""
    if len(text) < 2 * len(_FENCE) or not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return text
    inner = text[len(_FENCE) : -len(_FENCE)]
    named = _FENCED_AS.match(inner)
    return inner[named.end() if named else 0 :].strip()


def _fields(text: str) -> Mapping[str, Any] | None:
    """The fields of the one JSON object that a text is, by their names in small letters; None where it is none."""
    if not text.startswith("{"):
        return None
    try:
        read = json.loads(_PYTHONIC.sub(lambda found: _SPELLED[found[0].lower()], text), object_pairs_hook=_folded)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    folded = {name.strip().casefold(): value for name, value in pairs}
    if len(folded) != len(pairs):
        raise ValueError("a field is given twice")
    return folded


def _named(said: Any, candidates: int) -> int | None:
    """The number of the candidate that is named, 0 for none; None where it is neither. "True" names an only one."""
    word = said.strip().casefold() if isinstance(said, str) else str(said).casefold() if _is_plain(said) else ""
    if word in _NO:
        return 0
    if word in _YES:
        return 1 if candidates == 1 else None
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 3 and 1 <= int(word) <= candidates else None


def _is_plain(said: Any) -> bool:
    return said is None or isinstance(said, bool | int)


def _others(said: Any, candidates: int) -> tuple[int, ...]:
    """The candidates that a list says no to; whatever in it is no candidate is left out."""
    given = said[:candidates] if isinstance(said, list) else ()
    return tuple(number for item in given if not isinstance(item, bool) and (number := _named(item, candidates)))


def _of_bare_words(text: str, token: str, candidates: int) -> Verdict:
    """The verdict of a model that writes no JSON: the token and one word."""
    is_bare = len(text) <= MAX_BARE_CHARACTERS and "{" not in text and "[" not in text
    words = re.findall(r"\w+", text.casefold()) if is_bare else []
    if token.casefold() not in words:
        return _unreadable("the reply is not one JSON object with the token of its question")
    rest = [word for word in words if word not in ("token", "same", token.casefold())] or words
    named = _named(rest[0], candidates) if len(rest) == 1 else None
    return _verdict(named, (), candidates, "") if named is not None else _unreadable("the reply is not one word")


def for_display(reason: str) -> str:
    """Words of a judge as they may be shown: without control and invisible characters, in one line, cut."""
    visible = "".join(character if is_visible(character) else " " for character in reason[: 10 * MAX_REASON_CHARACTERS])
    return " ".join(visible.split())[:MAX_REASON_CHARACTERS]


def is_visible(character: str) -> bool:
    """Whether a character shows, or breaks a line or a column."""
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
