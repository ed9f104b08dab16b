"""Text from outside (prompts, model names, actors) as it may be stored beside figures, exported and shown."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TypeGuard
from unicodedata import category

# Invisible, and part of correct spelling: Persian and Indic words and most emoji are joined with them.
_JOINERS = "\u200c\u200d"


LONGEST_NAME = 256
"""Characters of the name of a model."""


def is_name(text: object) -> TypeGuard[str]:
    """Whether something may be the name of a model: short, and nothing in it that could end a line or hide.

    Names stand in logs, metrics and headers as they are.
    """
    return isinstance(text, str) and len(text) <= LONGEST_NAME and text.isprintable() and bool(text.strip())


def printable(text: str, limit: int) -> str:
    """At most `limit` characters on one line; invisible and unencodable characters become a space or "�".

    Lone surrogates cannot be encoded at all; invisible marks and marks that turn the direction of writing make a text
    read as another.
    """
    cut = text[:limit]
    return cut if cut.isprintable() else "".join(map(_printable_character, cut))


def without_text(error: BaseException) -> str:
    """Type and place of an error whose text is another library's, and may quote what that was given."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"


def _printable_character(character: str) -> str:
    match category(character):
        case "Cc" | "Zl" | "Zp" | "Zs":
            return " "
        case "Cf" if character in _JOINERS:
            return character
        case "Cf" | "Cs":
            return "\N{REPLACEMENT CHARACTER}"
        case _:
            return character


def in_url(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
