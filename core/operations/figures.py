"""Figures over HTTP: a window in sums and in steps, savings by month, and the moments that are marked on charts.

Of a key for some namespaces: of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ..bootstrap import Services
from ..errors import InvalidInput, NotFound
from ..metrics import (
    DIMENSIONS,
    LONGEST_SECONDS,
    Dimension,
    RequestFilter,
    Sample,
    causes_of,
    kept_month,
    month_of,
    steps_of,
)
from ..monitoring import LONGEST_MARK, DeployMark
from .entries import OfModel
from .invalidations import NAMESPACE
from .namespaces import AllScopesOut, NamespaceOut, NearOut, named_parts, near_of
from .operators import Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["figures"])

LONGEST_BY: Final = 100

Window = Annotated[float, Query(ge=1, le=LONGEST_SECONDS, description="How far back, in seconds.")]
OfNamespace = Annotated[
    str | None, Query(pattern=NAMESPACE, max_length=129, description="Of this namespace; else of all of the key's.")
]


class LatencyOut(BaseModel):
    """Latencies in milliseconds; null without any."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class KindsOut(BaseModel):
    """Numbers of requests by outcome."""

    hits: int
    misses: int
    bypasses: int
    errors: int


class SummaryOut(KindsOut):
    """The figures of one window. `requests` = hits + misses + bypasses + errors. Money is US dollars.

    A cost is null when no price in it is known; `unpriced_...` count what is not in it. `events` are what is counted
    beside requests, for all namespaces together only.
    """

    model_config = ConfigDict(extra="forbid")

    starts_at: float
    ends_at: float
    requests: int
    hit_rate: float | None = Field(description="hits / (hits + misses), 0 to 1.")
    error_rate: float | None
    details: dict[str, int] = Field(description="Hits by how they were found.")
    stale_hits: int
    copied_hits: int
    collapsed: int = Field(description="Misses that got the answer another one was waiting for.")
    stored: int
    input_tokens: int
    output_tokens: int
    tokens: int
    saved_input_tokens: int
    saved_output_tokens: int
    saved_tokens: int
    cost_usd: float | None
    saved_cost_usd: float | None
    overhead_usd: float = Field(description="What judging and embedding cost; for all namespaces together only.")
    net_saved_usd: float | None
    unpriced_requests: int
    unpriced_hits: int
    saved_seconds: float
    hit_latency: LatencyOut
    miss_latency: LatencyOut
    bypass_latency: LatencyOut
    error_latency: LatencyOut
    lookup: LatencyOut = Field(description="The cache's part.")
    provider: LatencyOut = Field(description="The provider's part.")
    with_cache: LatencyOut
    without_cache: LatencyOut = Field(description="What requests would have taken without the cache.")
    reasons: dict[str, dict[str, int]] = Field(description="By outcome, then by reason.")
    not_stored: dict[str, int]
    forgone: dict[str, int] = Field(description="Misses that would have been hits but for a caution: at least so many.")
    ttl_classes: dict[str, KindsOut]
    strategies: dict[str, KindsOut]
    events: dict[str, int]


class StatsOut(BaseModel):
    """The figures of a window, and with `by` those of each model or namespace, the busiest first."""

    summary: SummaryOut
    near: NearOut | None = Field(None, description="Of the namespace asked for, where not all near hits are judged.")
    parts: dict[str, SummaryOut] | None = None
    namespaces: dict[str, NamespaceOut] | None = Field(
        None, description="With `by=namespace`, what each of these is called."
    )


class LookupsOut(BaseModel):
    """Hits and misses of a window."""

    hits: int
    misses: int
    hit_rate: float | None


class ChangePartOut(BaseModel):
    """What a group added to the change of the hit rate. What it is told apart by is there, the rest is not.

    The reason `mix`: its share of all lookups is another one. Any other: it missed more or less often for this reason.
    """

    namespace: str | None = None
    model: str | None = None
    reason: str | None = None
    change: float = Field(description="-0.1: ten points less.")
    before: LookupsOut
    now: LookupsOut


class CauseOut(BaseModel):
    """Why the hit rate changed. Without model and reason it is of all requests of the namespace."""

    namespace: str
    words: str = Field(description="The headline, where there is one, and the details.")
    headline: str
    details: str
    lost_hits: int = Field(description="Misses of the latest requests whose question had been asked in another scope.")
    change: float | None = Field(description="-0.1: ten points less; null without a window before.")
    model: str | None
    reason: str | None
    since: float | None = Field(description="Since when hits are lost by it, where it is known.")
    until: float | None = Field(description="Null: it goes on.")
    system_prompt: list[str] | None = Field(description="The words in which two differ, where prompts are kept.")


class ChangeOut(BaseModel):
    """A hit rate beside that of the window before. All parts together are the change, and so are all by one name."""

    starts_at: float
    ends_at: float
    before: LookupsOut
    now: LookupsOut
    change: float | None = Field(description="Null where one of the windows has no lookup.")
    causes: list[CauseOut] = Field(description="Why, what lost most hits first.")
    parts: list[ChangePartOut] = Field(description="What changed it most, by namespace, model and reason.")
    by_namespace: list[ChangePartOut]
    by_model: list[ChangePartOut]
    by_reason: list[ChangePartOut]
    scopes: AllScopesOut


class BucketOut(BaseModel):
    """One step, with its figures. `entries` is how many were stored at its end; null where nobody looked."""

    starts_at: int
    seconds: int
    complete: bool = Field(description="False: it has the figures so far.")
    entries: int | None
    summary: SummaryOut


class SeriesOut(BaseModel):
    """A window in steps, the oldest first, empty ones too, the present one last."""

    buckets: list[BucketOut]


class AmountsOut(BaseModel):
    """Money in US dollars. An amount is null when no price in it is known; `unpriced_...` count what is not in it."""

    model_config = ConfigDict(extra="forbid")

    requests: int
    hits: int
    saved_usd: float | None = Field(description="What the answers from the cache had cost.")
    spent_usd: float | None = Field(description="What calls of the provider cost.")
    unpriced_hits: int
    unpriced_calls: int
    saved_tokens: int
    saved_seconds: float


class MonthOut(AmountsOut):
    """The sums of a month in UTC. `overhead` is what judging and embedding cost, of all namespaces and models only."""

    month: str
    starts_at: float
    ends_at: float
    complete: bool
    overhead: dict[str, float]
    unpriced_overhead: int
    overhead_usd: float
    net_usd: float | None = Field(description="saved_usd - overhead_usd")
    without_cache_usd: float | None = Field(description="saved_usd + spent_usd")


class LineOut(AmountsOut):
    """The sums of a namespace, model or TTL class, or of a combination: what `by` names is there, the rest is not."""

    namespace: str | None = None
    model: str | None = None
    ttl_class: str | None = None


class SavingsOut(BaseModel):
    """The kept months, the oldest first, and the lines of one of them, the largest saving first."""

    months: list[MonthOut]
    month: str
    by: list[str]
    lines: list[LineOut]
    since: float | None = Field(description="When months began to be counted.")
    total_usd: float | None = Field(description="All that was ever saved, as /metrics says.")
    earlier_usd: float = Field(description="The part of it that is in none of these months.")
    namespaces: dict[str, NamespaceOut] | None = Field(
        None, description="With lines by namespace, what each of these is called."
    )


class MarkOut(BaseModel):
    """A named moment, in Unix seconds. Without a namespace it is on the charts of all of them."""

    id: str
    name: str
    at: float
    actor: str
    namespace: str | None


class MarksOut(BaseModel):
    """The marks of the last 90 days, the latest first."""

    items: list[MarkOut]


class MarkIn(BaseModel):
    """A moment to mark."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=LONGEST_MARK, description="What happened, on one line: `v1.2`.")
    at: float | None = Field(None, description="Unix seconds, within the last 90 days; else now.")
    namespace: str | None = Field(
        None, pattern=NAMESPACE, max_length=129, description="On the charts of this one only; else of all."
    )


MarkId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,40}$", description="The id of a mark.")]
_MARKS: Final[dict[str, Any]] = {"a deploy": {"value": {"name": "v1.2"}}}


@router.get("/stats", response_model=StatsOut)
def stats(
    by: By,
    parts: Parts,
    window: Window = 86_400,
    namespace: OfNamespace = None,
    model: OfModel = None,
    breakdown: Annotated[
        Literal["model", "namespace"] | None, Query(alias="by", description="Also for each of these.")
    ] = None,
) -> dict[str, Any]:
    """Requests, hit rate, money and latency of a window."""
    chosen = _chosen(by, namespace)
    answer = {"summary": parts.metrics.summary(window, model=model, **chosen).to_dict()}
    answer |= near_of(parts, chosen.get("namespace"))
    if breakdown is not None:
        groups = parts.metrics.breakdown(window, breakdown, model=model, **chosen)
        answer["parts"] = {name: summary.to_dict() for name, summary in groups.items()}
        if breakdown == "namespace":
            answer["namespaces"] = named_parts(parts, by, groups)
    return answer


@router.get("/stats/change", response_model=ChangeOut, response_model_exclude_unset=True)
def change(
    by: By,
    parts: Parts,
    window: Annotated[float, Query(ge=1, le=LONGEST_SECONDS / 2, description="How far back, in seconds.")] = 86_400,
    namespace: OfNamespace = None,
    model: OfModel = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many parts.")] = 20,
) -> dict[str, Any]:
    """What changed the hit rate against the window before, and whether requests lose hits by their scopes."""
    chosen = _chosen(by, namespace)
    found = parts.metrics.change(window, model=model, **chosen)
    where = RequestFilter(namespace=chosen.get("namespace"), model=model)
    scopes = parts.metrics.scopes(where, within=chosen.get("within"))
    causes = [cause.to_dict() for cause in causes_of(found, scopes)[:limit]]
    return found.to_dict(most=limit) | {"causes": causes, "scopes": scopes.to_dict()}


@router.get("/series", response_model=SeriesOut)
def series(
    by: By,
    parts: Parts,
    window: Window = 3600,
    step: Annotated[
        int | None,
        Query(
            ge=10,
            le=LONGEST_SECONDS,
            description="Seconds of a step: a multiple of 10; of 60 for a window beyond two hours; of 3600 beyond two "
            "days. Else one that makes at most 100 steps.",
        ),
    ] = None,
    namespace: OfNamespace = None,
    model: OfModel = None,
) -> dict[str, Any]:
    """The figures of a window in steps."""
    seconds = steps_of(window) if step is None else step
    buckets = parts.metrics.series(window, seconds, model=model, **_chosen(by, namespace))
    stored = _stored(parts, by, window, seconds, namespace)
    return {
        "buckets": [
            {
                "starts_at": bucket.starts_at,
                "seconds": bucket.seconds,
                "complete": bucket.is_complete,
                "entries": stored.get(bucket.starts_at),
                "summary": bucket.summary.to_dict(),
            }
            for bucket in buckets
        ]
    }


@router.get("/savings", response_model=SavingsOut, response_model_exclude_unset=True)
def savings(
    by: By,
    parts: Parts,
    month: Annotated[
        str | None, Query(max_length=7, description="The month that lines are of, such as 2026-11; else this one.")
    ] = None,
    namespace: OfNamespace = None,
    model: OfModel = None,
    breakdown: Annotated[
        str, Query(alias="by", max_length=LONGEST_BY, description=f"Lines by {', '.join(DIMENSIONS)}, with commas.")
    ] = "namespace",
) -> dict[str, Any]:
    """What was saved and spent in each month that is kept."""
    now = parts.clock()
    chosen = kept_month(month, now) if month is not None else month_of(now)
    found = parts.metrics.savings(_dimensions(breakdown), model=model, **_chosen(by, namespace))
    answer = found.to_dict(chosen.name)
    if "namespace" in found.by:
        answer["namespaces"] = named_parts(parts, by, {line["namespace"]: None for line in answer["lines"]})
    return answer


@router.get("/marks", response_model=MarksOut)
def marks(by: By, parts: Parts) -> dict[str, Any]:
    """The marks of the last 90 days: those for all namespaces, and those of the key's."""
    return {"items": [mark.to_dict() for mark in parts.marks.all() if _may_see(by, mark)]}


@router.post("/marks", response_model=MarkOut)
def add_mark(asked: Annotated[MarkIn, Body(openapi_examples=_MARKS)], by: By, parts: Parts) -> dict[str, Any]:
    """Mark a moment on the charts. Sent again with the same `at`, it is the same mark."""
    namespace = _of_mark(by, asked.namespace)
    return parts.marks.add(asked.name, at=asked.at, namespace=namespace, actor=by.trail).to_dict()


@router.delete("/marks/{mark_id}", response_model=MarkOut)
def remove_mark(mark_id: MarkId, by: By, parts: Parts) -> dict[str, Any]:
    """Take a mark from the charts, and answer with it as it was."""
    known = _known_mark(mark_id, by, parts)
    _of_mark(by, known.namespace)
    if parts.marks.remove(mark_id, actor=by.trail) is None:
        raise _no_mark(mark_id)
    return known.to_dict()


def _chosen(by: Operator, namespace: str | None) -> dict[str, Any]:
    """Which namespaces figures are of: the one that is asked for, else all that the key is for."""
    if namespace is not None:
        return {"namespace": by.namespace(namespace)}
    return {"within": by.may_enter} if by.namespaces else {}


def _stored(parts: Services, by: Operator, window: float, step: int, namespace: str | None) -> Mapping[int, int | None]:
    if parts.gauges is None:
        return {}
    found = parts.gauges.series(window, step, ends_at=parts.clock())
    return {bucket.starts_at: _entries(bucket.last, by, namespace) for bucket in found}


def _entries(sample: Sample | None, by: Operator, namespace: str | None) -> int | None:
    if sample is None:
        return None
    if namespace is None and by.namespaces:
        return sum(count for name, count in sample.namespaces.items() if by.may_enter(name))
    return sample.entries_of(namespace)


def _dimensions(text: str) -> tuple[Dimension, ...]:
    given = set(text.split(","))
    if not given <= set(DIMENSIONS):
        raise InvalidInput("by", f"give {', '.join(DIMENSIONS)}, or some of them with commas between")
    return tuple(name for name in DIMENSIONS if name in given)


def _of_mark(by: Operator, namespace: str | None) -> str | None:
    """The namespace whose charts are marked; None for all. Raises AccessDenied where the key is not for it."""
    if namespace is None:
        by.require_everywhere()
        return None
    return by.namespace(namespace)


def _may_see(by: Operator, mark: DeployMark) -> bool:
    return mark.namespace is None or by.may_enter(mark.namespace)


def _known_mark(mark_id: str, by: Operator, parts: Services) -> DeployMark:
    """The mark. Raises NotFound, for one of another namespace too."""
    known = parts.marks.get(mark_id)
    if known is None or not _may_see(by, known):
        raise _no_mark(mark_id)
    return known


def _no_mark(mark_id: str) -> NotFound:
    return NotFound(f"no mark has the id {mark_id}")
