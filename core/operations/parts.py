"""What a route is given: the services, the operator who calls, a body of a known form, and where a page begins.

A cursor is opaque to callers. It is a position and nothing else: it opens nothing that the key does not.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request

from ..bootstrap import Services
from ..doctor import Checkup
from ..errors import InvalidInput
from .idempotency import Kept
from .operators import OPERATOR, Operator

SERVICES: Final = "services"
KEPT: Final = "kept"
CHECKUP: Final = "checkup"


async def _services(request: Request) -> Services:
    services: Services = getattr(request.app.state, SERVICES)
    return services


async def _operator(request: Request) -> Operator:
    operator: Operator = request.scope[OPERATOR]
    return operator


async def _doctor(request: Request) -> Checkup:
    checkup: Checkup = getattr(request.app.state, CHECKUP)
    return checkup


async def _kept(request: Request) -> Kept:
    kept: Kept = getattr(request.app.state, KEPT)
    return kept


Parts = Annotated[Services, Depends(_services)]
"""The services of the process: `parts: Parts`."""
By = Annotated[Operator, Depends(_operator)]
"""Who calls: `by: By`. Its `trail` is the actor for what core records, `by.namespace(given)` what it may act in."""
Answered = Annotated[Kept, Depends(_kept)]
"""What was answered to requests with an `Idempotency-Key`: `answered: Answered`."""
Doctor = Annotated[Checkup, Depends(_doctor)]
"""The doctor's latest diagnosis: `doctor: Doctor`."""


# Pages

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
        raise InvalidInput("cursor", "is not a cursor of this list") from None
