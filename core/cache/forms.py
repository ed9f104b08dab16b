"""The two forms of an answer, whole and streamed, as a request asks for them. Pure."""

from __future__ import annotations

from typing import Any

from ..models import ChatRequest
from ..wire import assemble, assemble_response, replay, split, split_response


def assembled(request: ChatRequest, chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer that the chunks of a whole stream amount to. Raises IncompleteStream, and UnclearStream."""
    if request.endpoint == "responses":
        return assemble_response(chunks)
    return assemble(chunks, choices=request.parameters.get("n") or 1)


def in_chunks(
    request: ChatRequest, body: dict[str, Any], chunks: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """An answer as the stream that the request asks for; `chunks` are those it came in, if it came as a stream."""
    if request.endpoint == "responses":
        return split_response(body) if chunks is None else chunks
    include_usage = wants_usage(request)
    if chunks is None:
        return split(body, include_usage=include_usage)
    return replay(chunks, include_usage=include_usage)


def can_be_streamed(request: ChatRequest, body: dict[str, Any]) -> bool:
    """Whether an answer could be given to a caller who asks for a stream of it, if there are such callers."""
    if request.endpoint not in ("chat", "responses"):
        return True
    try:
        in_chunks(request, body)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def wants_usage(request: ChatRequest) -> bool:
    """Whether the caller asked for the usage chunk."""
    options = request.unkeyed.get("stream_options")
    return bool(isinstance(options, dict) and options.get("include_usage"))
