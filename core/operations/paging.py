"""Pages by cursor: what a list answers, and where its next page begins.

A cursor is opaque to callers. It is a position and nothing else: it opens nothing that the key does not.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query

from ..errors import InvalidInput

LONGEST_CURSOR: Final = 1000
MOST_ITEMS: Final = 1000

Cursor = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before; none: the first page.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Most items on a page.")]

Position = TypeVar("Position")


def cursor_of(position: Any) -> str:
    """The cursor for a position: plain values, a msgspec struct or a tuple of them."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def position_of(cursor: str | None, kind: type[Position]) -> Position | None:
    """The position in a cursor, None without one. Raises InvalidInput for what `cursor_of` has not made of its kind."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(text, type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidInput("cursor", "is none that a page of this list has given") from None
