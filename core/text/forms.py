"""The Unicode forms of a text, for whoever compares texts of strangers: the only place that normalizes.

Normalizing sorts each run of combining marks, which takes the square of its length and holds the interpreter. Texts
that people write have runs of a few; the stream-safe limit of Unicode (UAX #15) is 30.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

MOST_MARKS: Final = 30


def nfc(text: str) -> str:
    """The text in NFC; as it is where it is not stream-safe. Linear."""
    return text if text.isascii() or not is_stream_safe(text) else unicodedata.normalize("NFC", text)


def nfkc(text: str) -> str:
    """The text in NFKC, in which letters that only look otherwise are the same; as it is where not stream-safe."""
    return text if text.isascii() or not is_stream_safe(text) else unicodedata.normalize("NFKC", text)


def plain_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept and compared: in NFC, without white space around them, each once."""
    return tuple(dict.fromkeys(nfc(tag.strip()) for tag in tags))


def fold(text: str) -> str:
    """The text as it is compared without case: NFC, case folded."""
    return text.lower() if text.isascii() else nfc(text).casefold()


def fold_words(text: str) -> str:
    """The text as it is compared without case and white space: case folded, one blank between words, none around."""
    return " ".join(fold(text).split())


def is_stream_safe(text: str) -> bool:
    """Whether no more than 30 combining marks stand in a row. Such a text has no normal form. Linear."""
    step = MOST_MARKS + 1
    # A run that is too long has a mark at one of these places, and most texts have none there.
    if text.isascii() or _marks().isdisjoint(text[MOST_MARKS::step]):
        return True
    marks = _marks()
    return not any(
        text[place] in marks and _has_long_run(text[place - MOST_MARKS : place + step])
        for place in range(MOST_MARKS, len(text), step)
    )


def _has_long_run(text: str) -> bool:
    marks = _marks()
    run = 0
    for character in text:
        run = run + 1 if character in marks else 0
        if run > MOST_MARKS:
            return True
    return False


@cache
def _marks() -> frozenset[str]:
    """All non-starters, and the characters that begin with one once they are taken apart."""
    taken_apart = "\u0f73\u0f75\u0f81\uff9e\uff9f"
    return frozenset(filter(unicodedata.combining, map(chr, range(0x300, 0x20000)))) | frozenset(taken_apart)
