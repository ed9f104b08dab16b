"""Import and export over HTTP, as JSON lines: streamed both ways, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from ..concurrency import in_thread
from ..entries import EntryFilter, FoundEntry, Import, Imported, every_page, export
from ..metrics import reasons
from .entries import After, Before, InNamespace, OfModel, Tagged, edits_of, slots_of
from .operators import EXPORT, IMPORT, JSON_LINES
from .parts import By, Parts

router: Final = APIRouter(tags=["entries"])

EXAMPLE: Final = (
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I activate my card?"}], '
    '"answer": "Open the app and ...", "ttl_seconds": 86400, "tags": ["doc:12"]}\n'
)


class RefusalOut(BaseModel):
    """A line that was not stored."""

    line: int = Field(description="Its number, from 1.")
    reason: str
    why: str = Field(description="The reason in a sentence.")


class ImportedOut(BaseModel):
    """What an import came to."""

    lines: int = Field(description="Lines that were read, empty ones left out.")
    stored: int
    refused: int
    refusals: list[RefusalOut] = Field(description="Each line that was not stored.")
    is_whole: bool = Field(
        description="False: it ended after 10,000 lines that were not stored; send the lines after the last of them."
    )


@router.get(
    EXPORT,
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {}}, "description": "One entry a line, as an import takes it."}},
)
def export_lines(
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
    text: Annotated[str, Query(max_length=200, description="In the prompt, in any case.")] = "",
    model: OfModel = None,
    tag: Tagged = [],  # noqa: B006
    created_before: Before = None,
    created_after: After = None,
    pinned: Annotated[bool, Query(description="Only pinned ones.")] = False,
) -> StreamingResponse:
    """All entries of a namespace, or those that match, with whole prompts and answers, the newest first.

    Of a request an entry keeps the last message only: a line of one that had more is to be completed before it can be
    imported.
    """
    slots = slots_of(parts, by.namespace(namespace))
    where = EntryFilter(
        text=text,
        model=model,
        tags=tuple(tag),
        created_before=created_before,
        created_after=created_after,
        pinned=pinned,
    )
    pages = every_page(parts.store, slots, where, pins=parts.pins)
    first = next(pages)  # what fails before the answer has begun is a problem
    return StreamingResponse(_lines(first, pages), media_type=JSON_LINES)


def _lines(first: tuple[FoundEntry, ...], rest: Iterator[tuple[FoundEntry, ...]]) -> Iterator[bytes]:
    yield export(first).encode()
    for page in rest:
        if page:
            yield export(page).encode()


@router.post(
    IMPORT,
    response_model=ImportedOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "One request with its answer a line.",
            "content": {JSON_LINES: {"examples": {"one answer": {"value": EXAMPLE}}}},
        }
    },
)
async def import_lines(request: Request, by: By, parts: Parts, namespace: InNamespace = None) -> dict[str, Any]:
    """Store the answers in JSON lines as they come, to warm up a cache or to bring exported entries back.

    The rules for storing apply, and what was invalidated after it had been exported stays out. A line that is not
    stored is named with its number, and does not keep the others out.
    """
    name = by.namespace(namespace)
    importing = await in_thread(partial(_begun, edits_of(parts, by).importing(name)))
    try:
        async for piece in request.stream():
            if not importing.is_full:  # else the rest is received and left: whoever sends it waits for the answer
                await in_thread(partial(importing.feed, piece))
        done = await in_thread(importing.end)
    finally:
        await in_thread(importing.close)
    return _plain(done)


def _begun(importing: Import) -> Import:
    importing.begin()
    return importing


def _plain(done: Imported) -> dict[str, Any]:
    refusals = [msgspec.to_builtins(one) | {"why": reasons.why_refused(one.reason)} for one in done.refusals]
    return msgspec.to_builtins(done) | {"refused": done.refused, "refusals": refusals}  # type: ignore[no-any-return]
