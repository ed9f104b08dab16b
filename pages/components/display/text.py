"""Text from outside (prompts, answers, model names, actors) as a screen may show it.

Streamlit renders Markdown in labels, captions and messages: text from outside gets there only through `literal`, and
everywhere else through `visible` or `one_line`. Nothing shown can be mistaken for something else.
"""

from __future__ import annotations

import re
from unicodedata import category

from core.errors import CacheError

# Invisible, and part of correct spelling: Persian and Indic words and most emoji are joined with them.
_JOINERS = "\u200c\u200d"

_ADDRESS = re.compile(r"((?:https?://|www\.)\S*[^\s.,:;!?)])", re.IGNORECASE)

_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def visible(text: str) -> str:
    """The text with everything invisible made visible: control characters, direction marks, lone surrogates."""
    return text if text.isprintable() else "".join(map(_visible_character, text))


def one_line(text: str, limit: int = 120) -> str:
    """The visible text on one line, cut to `limit` characters, for tables."""
    line = visible(" ⏎ ".join(text[: limit * 2].split("\n"))).replace("\t", " ")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def literal(text: str, limit: int = 80) -> str:
    """One line of the text as Markdown that shows exactly this text: a code span, in which nothing is interpreted."""
    return _code_span(one_line(text, limit).strip() or " ")


def _code_span(line: str) -> str:
    longest = run = 0
    for character in line:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    edge = " " if longest else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def plain(text: str) -> str:
    """The project's own words as Markdown that shows exactly them; for text from outside use `literal`.

    An address in them is no link, which a backslash alone does not keep it from being.
    """
    words, *rest = _ADDRESS.split(visible(text))
    return _escaped(words) + "".join(
        _code_span(piece) if number % 2 == 0 else _escaped(piece) for number, piece in enumerate(rest)
    )


def error_sentence(error: CacheError) -> str:
    """An error of the project as a sentence in Markdown; its messages hold no secret and no prompt."""
    text = str(error)
    return plain(f"{text[:1].upper()}{text[1:]}.")


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in _MARKS else character for character in text)


def _visible_character(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    if character == "\r":
        return ""
    match category(character):
        case "Cc":
            code = ord(character)
            return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
        case "Cf" | "Cs" | "Co" | "Cn" | "Zl" | "Zp":
            return f"⟨U+{ord(character):04X}⟩"
        case _:
            return character
