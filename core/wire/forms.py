"""The two forms of an answer, whole and streamed, in each family of the API. Pure."""

from __future__ import annotations

from typing import Any, Final

from .assembly import assemble
from .chat import replay, split
from .responses import assemble_response, split_response


def from_chunks(endpoint: str, chunks: list[dict[str, Any]], *, choices: int = 1) -> dict[str, Any]:
    """The answer that the chunks of a whole stream amount to. Raises IncompleteStream, and UnclearStream."""
    return assemble_response(chunks) if endpoint == "responses" else assemble(chunks, choices=choices)


def in_chunks(
    endpoint: str, body: dict[str, Any], chunks: list[dict[str, Any]] | None = None, *, include_usage: bool = False
) -> list[dict[str, Any]]:
    """An answer as a stream; `chunks` are those in which it came, if it came as one."""
    if endpoint == "responses":
        return split_response(body) if chunks is None else chunks
    if chunks is None:
        return split(body, include_usage=include_usage)
    return replay(chunks, include_usage=include_usage)


SHORT: Final = 20


def can_be_streamed(endpoint: str, body: dict[str, Any]) -> bool:
    """Whether an answer could be given to a caller who asks for a stream of it, if such callers can be."""
    if endpoint not in ("chat", "responses"):
        return True
    try:
        in_chunks(endpoint, _shortened(body))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def _shortened(value: Any) -> Any:
    """The same with its texts cut short: they cost time, and it is the shape that counts."""
    match value:
        case str():
            return value[:SHORT]
        case dict():
            return {name: _shortened(inner) for name, inner in value.items()}
        case list():
            return [_shortened(inner) for inner in value]
        case _:
            return value
