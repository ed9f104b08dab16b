"""Problems: every error of the operations API as `application/problem+json` (RFC 9457), with a way out.

A problem never quotes a prompt, an answer or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field

from ..errors import (
    AccessDenied,
    CacheError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    ProviderUnavailable,
    StoreUnavailable,
    WriteRefused,
)

MEDIA_TYPE: Final = "application/problem+json"
PATH: Final = "/encore/v1"
"""Where the operations API is."""
TYPES: Final = f"{PATH}/problems/"
"""What the type of a problem begins with; there it is explained."""


class Problem(BaseModel):
    """What went wrong, for programs (`type`) and for people. Some problems have further members."""

    type: str = Field(description="Which kind of problem it is: the address where the kind is explained.")
    title: str = Field(description="The kind in words; the same for all problems of a type.")
    status: int = Field(description="The status of the response.")
    detail: str = Field(description="What is wrong with this request.")
    way_out: str = Field(description="What to do about it.")
    field: str | None = Field(None, description="The field, parameter or header that is wrong, where it is one.")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of problem. `retry_seconds`: when the same request may succeed."""

    name: str
    status: int
    title: str
    way_out: str
    retry_seconds: int | None = None


INVALID_INPUT = Kind(
    name="invalid-input",
    status=422,
    title="Something in the request cannot be used",
    way_out="Correct the field and send the request again.",
)
KEY_REUSED = Kind(
    name="key-reused",
    status=422,
    title="The Idempotency-Key belongs to another request",
    way_out="Give every new request a new Idempotency-Key.",
)
NO_JSON = Kind(
    name="no-json",
    status=400,
    title="The body cannot be read",
    way_out="Send one JSON object, in UTF-8, as the body; to /import JSON lines: one object a line.",
)
NO_KEY = Kind(
    name="no-key",
    status=401,
    title="No key, or one that is not known",
    way_out="Send a key that `python -m core operation-key` made as `Authorization: Bearer …`.",
)
ACCESS_DENIED = Kind(
    name="access-denied",
    status=403,
    title="The key does not allow this",
    way_out="Use a key with that role, or for that namespace: ENCORE_OPERATION_KEYS.",
)
NOT_FROM_HERE = Kind(
    name="not-from-here",
    status=403,
    title="Without keys only programs of this machine are answered",
    way_out="Make a key with `python -m core operation-key`, and set ENCORE_OPERATION_KEYS.",
)
WEB_PAGE = Kind(
    name="web-page",
    status=403,
    title="Web pages are not answered",
    way_out="Call the operations API from a program on a server.",
)
NOT_FOUND = Kind(
    name="not-found",
    status=404,
    title="There is no such thing",
    way_out="Check the name: /encore/v1/openapi.json has all paths, the lists have all ids.",
)
BAD_METHOD = Kind(
    name="bad-method",
    status=405,
    title="The path has no such method",
    way_out="Use a method that the Allow header names.",
)
TOO_SLOW = Kind(
    name="too-slow", status=408, title="The body did not arrive in time", way_out="Send it at once.", retry_seconds=1
)
REFUSED = Kind(
    name="refused",
    status=409,
    title="This cannot be done in the present state",
    way_out="Read the present state, do what the detail says, and send the request again.",
)
TOO_LARGE = Kind(name="too-large", status=413, title="The body is too large", way_out="Send it in several requests.")
BAD_MEDIA_TYPE = Kind(
    name="bad-media-type",
    status=415,
    title="The body is in a form that is not read",
    way_out="Send JSON with `Content-Type: application/json` (to /import `application/jsonl`), not compressed.",
)
TOO_OFTEN = Kind(
    name="too-often",
    status=429,
    title="The key has made too many requests",
    way_out="Wait as long as Retry-After says. ENCORE_OPERATION_RATE sets how many a minute.",
)
FAILED = Kind(
    name="failed",
    status=500,
    title="The operations API failed",
    way_out="The log of the gateway says where. `python -m core` can do the same meanwhile.",
)
STORE_UNAVAILABLE = Kind(
    name="store-unavailable",
    status=503,
    title="Redis does not answer properly",
    way_out="Run `python -m core doctor` to see what is wrong, then send the request again.",
    retry_seconds=1,
)
WRITE_REFUSED = Kind(
    name="write-refused",
    status=503,
    title="Redis takes no writes: nothing was changed",
    way_out="Until it takes writes again, use the bypass switch to keep wrong answers from requests.",
    retry_seconds=5,
)
OUTCOME_UNKNOWN = Kind(
    name="outcome-unknown",
    status=503,
    title="It is not known whether it was done",
    way_out="Send the same request again, with the same Idempotency-Key: it is not done twice.",
    retry_seconds=1,
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        *(
            INVALID_INPUT,
            KEY_REUSED,
            NO_JSON,
            NO_KEY,
            ACCESS_DENIED,
            NOT_FROM_HERE,
            WEB_PAGE,
            NOT_FOUND,
            BAD_METHOD,
            TOO_SLOW,
        ),
        *(REFUSED, TOO_LARGE, BAD_MEDIA_TYPE, TOO_OFTEN, FAILED, STORE_UNAVAILABLE, WRITE_REFUSED, OUTCOME_UNKNOWN),
    )
}


class Refused(Exception):
    """Raised when a request is refused for a reason that is none of the cache's errors."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **further: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.field = field
        self.headers = dict(headers or {})
        self.further = further


class Reply(msgspec.Struct, frozen=True):
    """A problem as it is sent."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def reply_of(error: Refused) -> Reply:
    """The response to a refused request."""
    kind = error.kind
    problem = Problem(
        type=TYPES + kind.name,
        title=kind.title,
        status=kind.status,
        detail=str(error),
        way_out=kind.way_out,
        field=error.field,
    )
    body = problem.model_dump(exclude_none=True) | error.further
    headers = {"content-type": MEDIA_TYPE, **error.headers}
    if kind.status == 401:
        headers["www-authenticate"] = 'Bearer realm="encore"'
    if kind.retry_seconds is not None:
        headers.setdefault("retry-after", str(kind.retry_seconds))
    return Reply(kind.status, headers, msgspec.json.encode(body))


def refused_by(error: CacheError) -> Refused:
    """The problem that an error of the cache is."""
    match error:
        case InvalidInput():
            return Refused(INVALID_INPUT, error.problem, field=error.field)
        case NotFound():
            return Refused(NOT_FOUND, str(error))
        case AccessDenied():
            return Refused(ACCESS_DENIED, str(error))
        case OutcomeUnknown():
            return Refused(OUTCOME_UNKNOWN, str(error))
        case WriteRefused():
            return Refused(WRITE_REFUSED, str(error))
        case StoreUnavailable() | ProviderUnavailable():
            return Refused(STORE_UNAVAILABLE, str(error))
        case _:
            return Refused(REFUSED, str(error))
