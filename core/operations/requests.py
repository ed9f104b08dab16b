"""The request log over HTTP: the latest requests one by one, what is asked most often, and groups of questions."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ..entries import plain_recipients, plain_request
from ..entries import recipients as who_got
from ..errors import InvalidInput
from ..metrics import MAX_TEXT, RequestFilter
from ..models import HitDetail, OutcomeKind
from .entries import InNamespace, Key, OfModel
from .figures import OfNamespace
from .operators import Operator
from .parts import By, Cursor, Limit, Parts, cursor_of, position_of

router: Final = APIRouter(tags=["requests"])

Reason = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="With this reason, also for not being stored, or this caution."),
]


class RequestOut(BaseModel):
    """One request as it went. Latencies are milliseconds, money is US dollars."""

    id: str
    at: float
    kind: OutcomeKind
    namespace: str
    model: str
    strategy: str
    detail: HitDetail | None = Field(None, description="How a hit was found.")
    reason: str = ""
    why: str = Field(description="The reason in a sentence.")
    not_stored: str = Field("", description="Why a fresh answer was not kept.")
    forgone: str = Field("", description="The caution without which it would have been a hit.")
    ttl_class: str = ""
    key: str = ""
    similarity: float | None = None
    stale: bool = False
    stored: bool = False
    collapsed: bool = False
    latency_ms: float = 0
    lookup_ms: float = 0
    provider_ms: float = 0
    saved_ms: float = 0
    tokens: int = 0
    saved_tokens: int = 0
    cost_usd: float | None = None
    saved_cost_usd: float | None = None
    prompt: str | None = Field(
        None, description="The beginning of the last message; none unless ENCORE_RECORD_PROMPTS has it kept."
    )
    caller: str = Field("", description="What stands for the key that it came with; empty without one.")
    user: str | None = Field(
        None, description="The user it was sent for, by name; none unless ENCORE_RECORD_CALLERS has it kept."
    )
    request_id: str | None = Field(
        None, description="The sender's own id of it (X-Request-ID); none unless ENCORE_RECORD_CALLERS has it kept."
    )
    scope: str = Field("", description="A part of the digest of all that the answer depends on but the last message.")
    apart: list[str] | None = Field(
        None,
        description="Where the system prompt of a miss is another than the latest ones: the words of such a one that "
        "differ, and its own. None unless ENCORE_RECORD_PROMPTS has prompts kept.",
    )


class RequestsOut(BaseModel):
    """A page of requests, the newest first."""

    items: list[RequestOut]
    next: str | None = Field(None, description="The cursor of the next page; none: this is the last.")


class FrequentOut(BaseModel):
    """Requests with one key, or without a key one prompt. Sums are over `count` requests."""

    key: str
    prompt: str | None
    model: str
    namespace: str
    count: int
    latency_ms: float
    cost_usd: float
    saved_cost_usd: float


class FrequentsOut(BaseModel):
    """What has an outcome most often among the latest requests."""

    items: list[FrequentOut]


@router.get("/requests", response_model=RequestsOut)
def requests(
    by: By,
    parts: Parts,
    outcome: Annotated[OutcomeKind | None, Query(description="With this outcome only.")] = None,
    detail: Annotated[HitDetail | None, Query(description="Hits that were found in this way only.")] = None,
    reason: Reason = None,
    namespace: OfNamespace = None,
    model: OfModel = None,
    key: Annotated[str | None, Query(min_length=1, max_length=100, description="Of the entry at this key.")] = None,
    ttl_class: Annotated[str | None, Query(min_length=1, max_length=32, description="Of this TTL class.")] = None,
    text: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_TEXT,
            description="In the beginning of the prompt, the user, the request id, the caller or the key, in any case.",
        ),
    ] = None,
    slower_than_ms: Annotated[float | None, Query(ge=0, lt=1e12, description="That took at least so long.")] = None,
    since: Annotated[float | None, Query(ge=0, lt=1e11, description="From this time on, in Unix seconds.")] = None,
    until: Annotated[float | None, Query(ge=0, lt=1e11, description="Before this time, in Unix seconds.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """The latest requests of all processes, the newest first. All that is given must match. The log keeps 5,000."""
    where = RequestFilter(
        kind=outcome,
        detail=detail,
        reason=reason,
        namespace=None if namespace is None else by.namespace(namespace),
        model=model,
        key=key,
        ttl_class=ttl_class,
        text=text,
        slower_than_ms=slower_than_ms,
        starts_at=since,
        ends_at=until,
    )
    try:
        found = parts.metrics.recent(limit + 1, where, within=_within(by), before_id=position_of(cursor, str))
    except InvalidInput:
        raise InvalidInput("cursor", "is not a cursor of this list") from None
    items = found[:limit]
    return {
        "items": [plain_request(record) for record in items],
        "next": cursor_of(items[-1].id) if len(found) > limit else None,
    }


class RecipientsOut(BaseModel):
    """Who got an answer, among the requests in the log, the newest first."""

    looked_at: int = Field(description="Requests in the log that were looked at.")
    since: float | None = Field(description="When the oldest of them ended; null: there were none.")
    got: list[RequestOut] = Field(description="Those that got the answer.")
    got_earlier: list[RequestOut] = Field(
        description="Those that got an answer to the same request which stood there before the present one."
    )


@router.get("/entries/{key}/recipients", response_model=RecipientsOut)
def recipients(key: Key, by: By, parts: Parts, namespace: InNamespace = None) -> dict[str, Any]:
    """Who got the answer at a key, of the latest requests, also where it is stored no more."""
    found = who_got(parts.store, parts.metrics, by.namespace(namespace), key, within=_within(by))
    return plain_recipients(found)


def _within(by: Operator) -> Any:
    return by.may_enter if by.namespaces else None


@router.get("/requests/frequent", response_model=FrequentsOut)
def frequent(
    by: By,
    parts: Parts,
    outcome: Annotated[Literal["hit", "miss", "bypass", "error"], Query(description="Which outcome.")] = "miss",
    namespace: OfNamespace = None,
    model: OfModel = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 15,
) -> dict[str, Any]:
    """What is asked most often with one outcome, among the latest requests."""
    where = RequestFilter(namespace=None if namespace is None else by.namespace(namespace), model=model)
    found = parts.metrics.top(OutcomeKind(outcome), limit, where, within=_within(by))
    return {"items": [msgspec.to_builtins(one) for one in found]}


class AskedOut(BaseModel):
    """Requests by outcome. Money is US dollars; requests without a price are in no sum, and in `unpriced`."""

    question: str
    hits: int
    misses: int
    bypasses: int
    errors: int
    requests: int
    hit_rate: float | None = Field(description="hits / (hits + misses).")
    spent_usd: float = Field(description="What its misses cost.")
    saved_usd: float = Field(description="What its hits would have cost.")
    repeats: int = Field(description="Misses of what the same namespace had asked the same model before.")
    repeated_usd: float = Field(description="What these cost.")
    unpriced: int


class GroupOut(AskedOut):
    """A group, by the question that is most typical of it."""

    number: int = Field(description="Its rank: the dearest is 1.")
    id: str = Field(description="Its name, until the questions are grouped anew.")
    questions: int = Field(description="Different questions in it, whatever their case and white space.")


class QuestionOut(AskedOut):
    """The requests with one question, with its place on the map."""

    group: int = Field(description="The number of its group.")
    x: float = Field(description="From -1 to 1.")
    y: float = Field(description="From -1 to 1.")
    key: str = Field(description="Of its latest request.")
    id: str = Field(description="The name of the question, whatever is asked meanwhile.")


class QuestionsOut(BaseModel):
    """Groups and their questions, the dearest first."""

    at: float | None = Field(description="When they were grouped; null: not yet.")
    model: str = Field(description="The local model that read them.")
    looked_at: int = Field(description="Requests in the log.")
    since: float | None = Field(description="When the oldest of them ended.")
    without_prompt: int = Field(description="Requests whose prompt is not recorded.")
    newer: int = Field(description="Requests that ask what is in no group.")
    unread: int = Field(description="Questions that the local model cannot read.")
    left_out: int = Field(description="Questions beyond the 2,000 that are grouped.")
    empty: str = Field(description="Why there are no groups; empty where there are some.")
    near_misses: int = Field(description="Misses that semantic lookup would have answered at most.")
    near_usd: float = Field(description="What these cost.")
    near_words: str
    groups: list[GroupOut]
    questions: list[QuestionOut]


class WishOut(BaseModel):
    """A grouping that a worker takes up within seconds."""

    asked: bool


@router.get("/questions", response_model=QuestionsOut)
def questions(by: By, parts: Parts, namespace: OfNamespace = None, model: OfModel = None) -> dict[str, Any]:
    """What people ask, in groups, by the latest requests: those that cost most first."""
    chosen = None if namespace is None else by.namespace(namespace)
    found = parts.questions.report(namespace=chosen, model=model, within=_within(by))
    return found.to_dict()


@router.post("/questions/group", response_model=WishOut)
def group(by: By, parts: Parts) -> dict[str, Any]:
    """Have a worker group the recorded questions anew. `at` of `GET /questions` says when it has."""
    by.require_everywhere()
    parts.questions.ask(actor=by.trail)
    return {"asked": True}
