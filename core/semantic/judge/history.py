"""What was said before a question, shortened: what "it" or "the second one" in it refers to. Pure."""

from __future__ import annotations

from typing import Final

from ...keys import Identity

MOST_MESSAGES: Final = 6
"""The last of the earlier messages that a judge is shown."""
MESSAGE_CHARACTERS: Final = 400
"""Characters of each: half of them its first, half its last."""

_CUT: Final = " … "


def earlier_texts(identity: Identity) -> tuple[str, ...]:
    """The last messages before a question, the oldest first, each after who said it; instructions are left out."""
    return tuple(f"{role}: {_shortened(text)}" for role, text in identity.earlier_turns(MOST_MESSAGES))


def _shortened(text: str) -> str:
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    half = (MESSAGE_CHARACTERS - len(_CUT)) // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"
