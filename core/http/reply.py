"""Answers as HTTP has them: made of a hit, of the provider's own answer, or of an error in the provider's format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import httpx2
import msgspec
from openai import APIStatusError

from ..cache import Hit
from ..errors import CacheError, InvalidInput, NotCached
from ..inbound import Inbound, encode_json
from ..models import Outcome, OutcomeKind
from ..stores import MissReason
from ..wire import DONE, encode_event

Headers = list[tuple[str, str]]

CACHE_NAME: Final = "encore"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
_JSON: Final = "application/json"
CODINGS: Final = "gzip, deflate"
"""Content codings that bodies are asked for in, and unpacked from. All others are passed on as they are."""
# What a client must not take over from the connection between us and the provider, beside what `Connection` names.
_OF_THE_CONNECTION: Final = frozenset({"connection", "content-length", "transfer-encoding"})


# The store said nothing of the answer, or does not keep one: an operator can change that.
_NOT_ASKED: Final = frozenset(
    {
        *(MissReason.STORE_DOWN, MissReason.STORE_TIMEOUT, MissReason.NOT_PERMITTED, MissReason.WRITES_REFUSED),
        MissReason.CLOCK,
    }
)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole HTTP response, without Content-Length, which the sender adds. Headers are bytes, as latin-1."""

    status: int = 200
    headers: Headers
    content: bytes


def cache_status(outcome: Outcome) -> str:
    """The member that this cache adds to the `Cache-Status` field (RFC 9211).

    A miss says `stored` when the answer is in the cache by now, which a stream cannot know when it begins.
    """
    match outcome.kind:
        case OutcomeKind.HIT:
            return f"{CACHE_NAME}; hit; detail={'stale' if outcome.stale else outcome.detail}"
        case OutcomeKind.BYPASS:
            return bypass_status(outcome.reason)
        case _:
            flags = ("; collapsed" if outcome.collapsed else "") + ("; stored" if outcome.stored else "")
            return miss_status(outcome.reason, outcome.not_stored) + flags


def bypass_status(reason: str) -> str:
    """The `Cache-Status` member of a bypass."""
    return f"{CACHE_NAME}; fwd=bypass; detail={reason}"


def miss_status(reason: str, not_stored: str = "") -> str:
    """The `Cache-Status` member of a miss, in the terms of RFC 9211. `not_stored` says why its answer is not kept."""
    forwarded = {"expired": "stale", "no-cache": "request", "max-age": "request"}.get(reason, "uri-miss")
    told = next((why for why in (reason, not_stored) if why in _NOT_ASKED), "")
    detail = f"; detail={told}" if told else ""
    return f"{CACHE_NAME}; fwd={forwarded}{detail}"


def from_hit(hit: Hit, inbound: Inbound) -> Reply:
    """A stored answer, in the form the caller asked for, at once."""
    answer = hit.answer
    headers = [("cache-status", cache_status(answer.outcome)), ("x-encore-key", answer.key)]
    if answer.outcome.kind is OutcomeKind.HIT:
        headers.append(("age", str(int(answer.age_seconds))))
    if answer.similarity is not None:
        headers.append(("x-encore-similarity", f"{answer.similarity:.4f}"))
    if not inbound.wants_stream:
        return Reply(headers=[("content-type", _JSON), *headers], content=encode_json(answer.completion.body))
    events: list[Any] = list(hit.chunks(inbound.request))
    if inbound.request.endpoint == "chat":
        events.append(DONE)
    content = b"".join(map(encode_event, events))
    return Reply(headers=[("content-type", EVENT_STREAM), *headers], content=content)


def of_the_answer(headers: httpx2.Headers) -> Headers:
    """The provider's headers that remain valid for the body as it is read; names in lower case, bytes as latin-1."""
    unpacked = is_unpacked(headers)
    dropped = _OF_THE_CONNECTION | named_by(headers.get("connection", ""))
    return [
        (lower, value.decode("latin-1"))
        for name, value in headers.raw
        if (lower := name.decode("latin-1").lower()) not in dropped and not (unpacked and lower == "content-encoding")
    ]


def named_by(connection: str) -> frozenset[str]:
    """The headers that a `Connection` header keeps on its connection, in lower case."""
    return frozenset(name.strip().lower() for name in connection.split(","))


def is_unpacked(headers: httpx2.Headers) -> bool:
    """Whether a body is read unpacked: `iter_bytes` does that with some codings and is silent about the others."""
    codings = headers.get_list("content-encoding", split_commas=True)
    return all(coding.strip().lower() in ("", "identity", *CODINGS.split(", ")) for coding in codings)


def as_bytes(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers for an HTTP client, which would refuse text that is not ASCII."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def passed_on(headers: Headers, status: str, key: str = "") -> Headers:
    """The provider's headers with the cache's own added."""
    kept = []
    for name, value in headers:
        if name == "cache-status":
            status = f"{value}, {status}"  # a cache nearer to the origin comes first
        else:
            kept.append((name, value))
    kept.append(("cache-status", status))
    if key:
        kept.append(("x-encore-key", key))
    return kept


def error_reply(
    status: int,
    message: str,
    *,
    kind: str,
    code: str,
    parameter: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Reply:
    """An error in the provider's own format."""
    error = {"error": {"message": message, "type": kind, "param": parameter, "code": code}}
    return Reply(status=status, headers=[("content-type", _JSON), *headers], content=encode_json(error))


def from_error(error: BaseException) -> Reply | None:
    """The reply to an error of the cache, or to a shared one of the provider; None for any other error."""
    match error:
        case InvalidInput():
            return error_reply(
                400, str(error), kind="invalid_request_error", code="invalid_cache_control", parameter=error.field
            )
        case NotCached():
            # SDKs repeat a request that ends in 504, unless a header says not to.
            again = [("x-should-retry", "false")]
            return error_reply(504, str(error), kind="cache_error", code="not_cached", headers=again)
        case APIStatusError():
            response = error.response
            headers = of_the_answer(response.headers)
            return Reply(status=response.status_code, headers=headers, content=response.content)
        case CacheError():
            return error_reply(503, str(error), kind="cache_error", code=type(error).__name__)
        case _:
            return None
