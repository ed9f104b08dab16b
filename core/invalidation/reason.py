"""The reason of an invalidation: why it was made, in the words of who made it. Kept with the audit record only."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidInput
from ..text import printable

LONGEST_REASON: Final = 200


def checked_reason(text: str) -> str:
    """The reason on one line of visible characters; empty for none. Raises InvalidInput for one that is too long."""
    words = " ".join(text.split())
    if len(words) > LONGEST_REASON:
        raise InvalidInput("reason", f"give up to {LONGEST_REASON} characters")
    return printable(words, LONGEST_REASON)
