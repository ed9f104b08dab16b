"""Whether a request would be a hit, and why not: with its key, scope, TTL and audience. Asks and counts nothing."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from ..bootstrap import Services
from ..concurrency import in_thread
from ..entries import expect, look_elsewhere
from ..errors import InvalidInput
from ..inbound import MOST_VALUES, TOO_LARGE, Inbound, Target, divided, is_small, read, without_longer_ttl
from ..models import CacheStrategy, OutcomeKind
from .operators import MOST_JSON_BYTES, Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["requests"])

Endpoint = Literal["chat", "responses", "embeddings"]

AskedOf = Annotated[
    Literal["chat", "responses", "embeddings"],
    Query(description="Which endpoint of the provider the request would be sent to."),
]
REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The request as the provider's API takes it.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model"],
                    "properties": {
                        "model": {"type": "string"},
                        "messages": {"type": "array", "items": {"type": "object"}},
                    },
                },
                "examples": {
                    "a question": {
                        "value": {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a card?"}]}
                    }
                },
            }
        },
    }
}


class PartOut(BaseModel):
    """One thing that the answer depends on."""

    name: str
    words: str = Field(description="Its value, cut short.")
    digest: str
    absent: bool


class ExplainedOut(BaseModel):
    """What would become of the request now. What is null or left out does not apply."""

    outcome: OutcomeKind
    hit: bool
    reason: str = Field(description="How a hit is found, or why it is none: in the words of the request log.")
    why: str = Field(description="The reason in a sentence.")
    model: str
    namespace: str
    strategy: CacheStrategy
    key: str | None = Field(None, description="The key that its answer has, or would have.")
    scope: str | None = Field(None, description="The digest of all that the answer depends on but the last message.")
    kind: str | None = Field(None, description="What its text is taken for.")
    normalized: str | None = Field(None, description="What a normalized lookup compares.")
    ttl_class: str | None = None
    ttl_rule: str | None = None
    ttl_seconds: float | None = Field(None, description="By its class.")
    kept_seconds: float | None = Field(
        None, description="How long an answer of now would be fresh, with all settings and controls; null: not kept."
    )
    audience: Literal["everybody", "user"] | None = Field(None, description="Whom the answer is for.")
    own: str | None = Field(None, description="Why it is the named user's alone; empty when it is not.")
    may_be_near: bool = Field(
        False, description="A miss here may still be answered by a near question: those are not looked for here."
    )
    entry: str | None = Field(None, description="The key of the stored answer that was found, served or not.")
    age_seconds: float | None = None
    fresh_seconds: float | None = None
    saved_usd: float | None = None
    answer: str | None = Field(None, description="The text of the stored answer.")
    other_scopes: int | None = Field(
        None, description="Of a miss: in how many other scopes of the namespace the same question stands."
    )
    differs: list[str] = Field([], description="The parts of the request in which those are others.")
    elsewhere: str | None = Field(None, description="The same in a sentence. Of the 2,000 newest entries.")
    parts: list[PartOut] = Field([], description="What is in the scope, part by part.")


@router.post("/explain", response_model=ExplainedOut, openapi_extra=REQUEST_BODY)
async def explain(
    request: Request,
    by: By,
    parts: Parts,
    endpoint: AskedOf = "chat",
) -> dict[str, Any]:
    """Would a request be a hit, and why not? Send it as to the gateway, body and headers, with this address instead.

    `Cache-Control`, `X-Encore-*` and the `encore` object of the body count as they do there, but for
    `X-Encore-Namespace`: it is the whole name of a namespace, as entries have it. Nothing is asked, changed or counted.
    """
    content = await request.body()
    return await in_thread(lambda: _explained(request, content, endpoint, by, parts))


def _explained(request: Request, content: bytes, endpoint: Endpoint, by: Operator, parts: Services) -> dict[str, Any]:
    inbound = inbound_of(request, content, endpoint, parts)
    controls = msgspec.structs.replace(inbound.controls, namespace=by.namespace(inbound.controls.namespace))
    is_small_enough = is_small(content, parts.settings.max_request_bytes, MOST_VALUES)
    expected = expect(
        parts.cache,
        parts.store,
        parts.switch,
        inbound.request,
        controls,
        now=parts.clock(),
        bypass="" if is_small_enough else TOO_LARGE,
    )
    expected = look_elsewhere(parts.store, expected, buckets=parts.settings.buckets)
    found = [msgspec.to_builtins(part) for part in expected.explanation.parts]
    return expected.to_dict() | {"parts": found}


def inbound_of(request: Request, content: bytes, endpoint: Endpoint, parts: Services) -> Inbound:
    """The request as the gateway reads it. The key that opens this API is no part of it. Raises InvalidInput."""
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() != "authorization"}
    inbound = read(
        Target(endpoint, parts.provider.base_url),
        "",
        headers,
        content,
        keyed=divided(headers, parts.settings.keyed_headers).keyed,
        most_bytes=MOST_JSON_BYTES,
    )
    if inbound is None:
        raise InvalidInput(
            "body", f"is not a request of the endpoint {endpoint} that the cache reads: it would be a bypass"
        )
    if parts.settings.gateway_longer_ttl:
        return inbound
    return msgspec.structs.replace(inbound, controls=without_longer_ttl(inbound.controls))
