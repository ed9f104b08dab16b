"""Letters that are written in several ways, made one; and the scripts they are of. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Final

from ...text import nfc

_DIGITS = {
    code: str(unicodedata.digit(chr(code)))
    for first in (0x0660, 0x06F0, 0x0966, 0xFF10)
    for code in range(first, first + 10)
}
# Arabic as it is typed: without vowel signs, with bare letters.
_ARABIC = dict.fromkeys([*range(0x064B, 0x0653), 0x0670, 0x0640]) | {
    ord(letter): other for letter, other in zip("أإآٱىة", "ااااي" + "ه", strict=True)
}
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF21, 0xFF5F)}
_OTHERS = {ord("ё"): "е", ord("Ё"): "Е", ord("ß"): "ss", 0x0131: "i", 0x200B: None, 0x200C: None, 0x200D: None}
_HINDI = {0x093C: None, 0x0901: 0x0902}  # without nukta; one sign for a nasal vowel
_FOLDED = _DIGITS | _ARABIC | _FULL_WIDTH | _OTHERS | _HINDI

SCRIPTS: Final = {
    "latin": re.compile("[a-zà-öø-ÿĀ-ſƀ-ɏḀ-ỿ]", re.IGNORECASE),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "arabic": re.compile("[\u0620-\u064a\u066e-\u06d3]"),
    "devanagari": re.compile("[\u0904-\u0939\u0958-\u0961]"),
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff々〇]"),
    "kana": re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fcー]"),
    "hangul": re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]"),
}
"""Patterns of one letter, by script."""


def fold_letters(text: str) -> str:
    """The text with one form of each letter and digit; capitals stay. Linear."""
    return text if text.isascii() else nfc(text).translate(_FOLDED)


def scripts_in(text: str) -> Counter[str]:
    """How many letters of each script a text has; `another` for those of scripts that are not known. Linear."""
    if text.isascii():
        return +Counter(latin=sum(map(str.isalpha, text)))
    found = Counter({name: len(pattern.findall(text)) for name, pattern in SCRIPTS.items()})
    found["another"] = sum(map(str.isalpha, text)) - sum(found.values())
    return +found


@lru_cache(65536)
def script_of(letter: str) -> str:
    """The script of a letter; empty for another one."""
    return next((name for name, pattern in SCRIPTS.items() if pattern.match(letter)), "")
