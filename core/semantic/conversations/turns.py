"""A shortened history: what was said before a question, within bounds, as an entry keeps it and a judge reads it. Pure.

The user's turns stay as they are. Of a long answer stay its beginning, its end and the sentences that share a word with
what the user said: a question refers to those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from .references import WORD

MOST_TURNS: Final = 40
MOST_CHARACTERS: Final = 12_000
"""Of a shortened history. A longer one is not compared: what had to be left out might decide."""
ANSWER_CHARACTERS: Final = 900
LAST_ANSWER_CHARACTERS: Final = 2_400
"""What stays of an answer, and of the last one, to which most questions refer."""
_LEAST: Final = 4
"""Letters of a word by which a sentence of an answer is found."""
_DIGEST_BYTES: Final = 8
CUT: Final = " … "

_SENTENCE = re.compile(r"(?<=[.!?。？！])\s+|\n+")


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """What one side said. `digest` is of an answer before it was shortened; empty for a user's turn."""

    is_user: bool
    text: str
    digest: bytes = b""


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part.strip() for part in _SENTENCE.split(text) if part and part.strip()]


def shortened(messages: Sequence[tuple[str, str]], question: str) -> tuple[Turn, ...] | None:
    """The history of a question, of (role, text) from the oldest on; None when it is too long to be compared.

    Takes time linear in the texts.
    """
    if len(messages) > MOST_TURNS:
        return None
    said = [text for role, text in messages if role == "user"]
    if sum(map(len, said)) > MOST_CHARACTERS:
        return None
    words = {word for text in (*said, question) for word in _words(text)}
    last = max((place for place, (role, _) in enumerate(messages) if role != "user"), default=-1)
    turns = tuple(
        Turn(True, text)
        if role == "user"
        else Turn(
            False,
            _shorter(text, LAST_ANSWER_CHARACTERS if place == last else ANSWER_CHARACTERS, words),
            sha256(text.encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES],
        )
        for place, (role, text) in enumerate(messages)
    )
    return turns if sum(len(turn.text) for turn in turns) <= MOST_CHARACTERS else None


def _shorter(text: str, most: int, words: set[str]) -> str:
    """A text of at most so many characters: its beginning and end, and between them what shares words with the user."""
    if len(text) <= most:
        return text
    part = most // 3
    head, tail = text[:part], text[-part:]
    room = most - 2 * part - 2 * len(CUT)
    kept: list[str] = []
    for sentence in sentences(text[part:-part]):
        if len(sentence) < room and not words.isdisjoint(_words(sentence)):
            kept.append(sentence)
            room -= len(sentence) + 1
    return f"{head}{CUT}{' '.join(kept)}{CUT}{tail}"


def _words(text: str) -> list[str]:
    return [word for word in WORD.findall(text.casefold()) if len(word) >= _LEAST]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Turn, ...]).decode


def pack(turns: Sequence[Turn]) -> bytes:
    """A shortened history as an entry keeps it."""
    return _encode(turns)


def unpack(packed: bytes) -> tuple[Turn, ...] | None:
    """The history in the bytes that `pack` made; None for bytes that cannot be read."""
    try:
        return _decode(packed)
    except msgspec.MsgspecError:
        return None
