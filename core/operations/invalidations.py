"""Invalidations over HTTP: preview and apply, list, look at one, undo, sweep now. The rules are core's."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ..bans import MOST_TAGS, Selection
from ..errors import InvalidationNotFound
from ..invalidation import (
    LONGEST_REASON,
    ActivePage,
    HistoryPage,
    Invalidation,
    InvalidationFilter,
    InvalidationState,
    Previewed,
    Reach,
    cutoff,
    plain_invalidation,
    plain_preview,
    within,
)
from ..keys import user_pseudonym
from .idempotency import REPLAYED, IdempotencyKey
from .operators import Operator
from .parts import Answered, By, Cursor, Limit, Parts, cursor_of, position_of

router: Final = APIRouter(tags=["invalidations"])

NAMESPACE: Final = r"^[A-Za-z0-9._-]{1,64}(~[A-Za-z0-9._-]{1,64})?$"
NAMESPACE_OR_ALL: Final = rf"^\*$|{NAMESPACE}"
Text = Annotated[str, Field(min_length=1, max_length=256)]


# What is asked


class CriteriaIn(BaseModel):
    """What to invalidate: an entry must match every field that is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    namespace: str | None = Field(
        None,
        pattern=NAMESPACE_OR_ALL,
        max_length=129,
        description="The namespace; else ENCORE_NAMESPACE. `*`: all there are now, or all that the key is for.",
    )
    model: Text | None = Field(None, description="The exact name of a model.")
    pattern: Text | None = Field(None, description="A glob over the prompt or the key, case counts: `*refund*`.")
    created_before: float | None = Field(None, gt=0, lt=1e11, description="Stored before this time, in Unix seconds.")
    older_than_seconds: float | None = Field(None, gt=0, lt=1e11, description="Stored longer ago than this.")
    keywords: list[Text] = Field([], max_length=16, description="Words or phrases in the prompt, in any case.")
    keyword_mode: Literal["any", "all"] = Field("any", description="Any of the keywords, or all of them.")
    tags: list[Text] = Field(
        [],
        max_length=MOST_TAGS,
        description="Any of the tags that were given with the request. One invalidation has 32 of them: of more, it is "
        "several.",
    )
    user: Text | None = Field(
        None,
        description="The answers that are this user's own, by the name that requests give. It is not kept: criteria in "
        "answers have a pseudonym.",
    )
    key: str | None = Field(None, max_length=100, description="One entry, by its key.")
    all: bool = Field(False, description="Everything in the namespace; alone.")

    def fields(self, namespace: str) -> dict[str, Any]:
        """The fields that are given, the user by pseudonym, without an age and the namespace. Raises InvalidInput."""
        fields: dict[str, Any] = self.model_dump(exclude={"older_than_seconds", "namespace"}, exclude_defaults=True)
        if self.user is not None:
            fields["user"] = user_pseudonym(namespace, self.user)
        return fields

    def selection(self, namespace: str, now: float, previewed: Previewed | None) -> Selection:
        """The criteria as of now, or as of an earlier preview. Raises InvalidInput."""
        fields = self.fields(namespace)
        if self.older_than_seconds is not None:
            fields["created_before"] = cutoff(self.older_than_seconds, now, previewed)
        return Selection.from_dict({**fields, "namespace": namespace})


class InvalidateIn(BaseModel):
    """An invalidation, or with `dry_run` its preview."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"criteria": {"namespace": "default", "tags": ["doc:123"]}}]},
    )

    criteria: CriteriaIn
    mode: Literal["hard", "soft"] = Field(
        "hard",
        description="`hard` hides what matches; `soft` marks it stale: it is served only if the provider fails.",
    )
    hold_seconds: float | None = Field(
        None,
        ge=0,
        le=86_400,
        description="How long it can be undone; 0: the sweep begins at once. Else ENCORE_HOLD_SECONDS.",
    )
    reason: str = Field("", max_length=LONGEST_REASON, description="Why it is made: kept with its audit record.")
    dry_run: bool = Field(False, description="Only say what would be hidden: count, cost, a sample and a token.")
    token: str | None = Field(
        None,
        max_length=100,
        description="The token of a preview: an age counts from that preview, and it is refused if other entries match "
        "by now.",
    )


# What is answered


class CriteriaOut(BaseModel):
    """What an invalidation selects; only the fields that were given."""

    model_config = ConfigDict(extra="allow")


class PartOut(BaseModel):
    """What an invalidation of all namespaces came to in one of them."""

    namespace: str
    state: InvalidationState
    due_at: float
    preview_count: int | None = None
    deleted: int | None = None
    freed_bytes: int | None = None
    finished_at: float | None = None
    put_back: int | None = None
    kept_newer: int | None = None
    problem: str = Field("", description="Why it is not in force there, or why its sweep stopped.")


class InvalidationOut(BaseModel):
    """One invalidation."""

    id: str
    namespace: str = Field(description="`*`: all namespaces there were when it was applied.")
    criteria: CriteriaOut
    state: InvalidationState = Field(
        description="`held`: hidden, and can be undone. `sweeping`: being deleted. `swept`: deleted. `soft`: stale. "
        "`undone`, `refused`: not in force. `replaced`: a later run of its schedule hides what it hid. `unknown`: not "
        "applied, or its record was lost. `partly`: of all namespaces, in force or done in some and not in others."
    )
    actor: str = Field(description="Who did it: the name of a person or of a key.")
    applied_at: float
    due_at: float = Field(description="When its time to undo ends; of a soft one, when it is over.")
    preview_count: int | None = None
    share: float | None = Field(None, description="Of the namespace that it hid, at most: 0 to 1.")
    deleted: int | None = Field(None, description="Entries that the sweep has deleted.")
    freed_bytes: int | None = None
    finished_at: float | None = None
    put_back: int | None = Field(
        None,
        description="Of one undone: answers replaced meanwhile that are back in the place of the newer ones.",
    )
    kept_newer: int | None = Field(
        None, description="Of one undone: answers, at most, that keep the newer one, since the one before is gone."
    )
    replaced_by: str = Field("", description="The later run of its schedule that took its place.")
    reason: str = Field("", description="Why it was made, in the words of who made it.")
    problem: str = Field("", description="Why it was not applied, or why its sweep stopped.")
    parts: list[PartOut] = Field([], description="Of all namespaces: what it came to in each.")
    can_undo: bool
    effective: bool = Field(description="Whether what matches is hidden, stale or deleted by it.")


class PreviewRowOut(BaseModel):
    """One entry that would be hidden."""

    namespace: str
    key: str
    model: str
    prompt: str = Field(description="Its beginning.")
    age_seconds: float
    fresh_seconds: float
    bytes: int
    cost_usd: float | None
    tags: list[str] = []


class PreviewPartOut(BaseModel):
    """What would be hidden in one of all namespaces."""

    namespace: str
    count: int
    exact: bool
    at_least: bool
    high: int
    total: int
    bytes: int
    cost_usd: float
    problem: str = Field("", description="Why it is not known.")


class PreviewOut(BaseModel):
    """What an invalidation would hide now."""

    criteria: CriteriaOut
    namespace: str
    count: int
    exact: bool = Field(
        description="Whether `count` is exact; else it is between `low` and `high` with 95 % confidence."
    )
    at_least: bool = Field(description="`count` is what the indexes of the tags have: there may be more.")
    low: int
    high: int
    total: int = Field(description="Entries in the namespace.")
    scanned: int
    bytes: int
    tokens: int
    cost_usd: float = Field(description="What the answers cost that would be asked for again.")
    unknown_prices: int
    refetch_seconds: float
    oldest_at: float | None
    newest_at: float | None
    hits_last_day: int | None = None
    rows: list[PreviewRowOut] = Field(description="A sample.")
    parts: list[PreviewPartOut] = Field([], description="Of all namespaces: each of them, those with most first.")
    at: float
    share: float
    token: str = Field(description="Give it back to apply what was previewed.")


class InvalidatedOut(BaseModel):
    """Whether it was applied, and as which invalidations; of a dry run the preview."""

    applied: bool
    preview: PreviewOut | None = None
    invalidations: list[InvalidationOut] = Field([], description="One, or one for every 32 tags.")


class InvalidationsOut(BaseModel):
    """A page of invalidations, newest first."""

    items: list[InvalidationOut]
    next: str | None = Field(None, description="The cursor of the next page; none: this is the last.")


# The routes

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:-]{1,80}$", description="The id of an invalidation.")]

_EXAMPLES: Final[dict[str, Any]] = {
    "a document has changed": {"value": {"criteria": {"namespace": "default", "tags": ["doc:123"]}}},
    "what would it hide": {"value": {"criteria": {"model": "gpt-4o", "older_than_seconds": 604800}, "dry_run": True}},
    "in all namespaces": {"value": {"criteria": {"namespace": "*", "tags": ["doc:123"]}}},
    "mark stale": {"value": {"criteria": {"keywords": ["refund"]}, "mode": "soft"}},
}


@router.post("/invalidations", response_model=InvalidatedOut, responses={409: {}})
def invalidate(
    asked: Annotated[InvalidateIn, Body(openapi_examples=_EXAMPLES)],
    response: Response,
    by: By,
    parts: Parts,
    answered: Answered,
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Hide all answers that match, or with `dry_run` say which those are.

    In force in every process when it is answered, whatever their number. Until its hold ends it can be undone; then a
    worker deletes what it hides. In all namespaces (`*`) it takes an admin; where some refuse it, it is in force in the
    others: `parts` says where. Namespaces made later are not affected.
    """
    namespace = by.namespace_or_all(asked.criteria.namespace)
    if asked.dry_run:
        selection = _selection(asked, namespace, parts)
        preview = parts.invalidation.preview(selection, reach=_reach(asked, by))
        return {"applied": False, "preview": plain_preview(preview)}
    answer, replayed = answered.once(
        by.name,
        key,
        ["POST /invalidations", namespace, asked.model_dump(mode="json")],
        lambda request_id: _apply(asked, namespace, request_id, by, parts),
    )
    if replayed:
        response.headers[REPLAYED] = "true"
    return answer


def _reach(asked: InvalidateIn, by: Operator) -> Reach:
    """What criteria of all namespaces leave open: which those are of this key, and the user by name."""
    return Reach(within=by.namespaces, user=asked.criteria.user)


def _selection(asked: InvalidateIn, namespace: str, parts: Parts) -> Selection:
    previewed = Previewed.parse(asked.token) if asked.token is not None else None
    return asked.criteria.selection(namespace, parts.clock(), previewed)


def _apply(asked: InvalidateIn, namespace: str, request_id: str | None, by: Operator, parts: Parts) -> dict[str, Any]:
    invalidation = parts.invalidation
    selection = _selection(asked, namespace, parts)
    preview = None
    if asked.token is not None:
        preview = invalidation.preview(selection, reach=_reach(asked, by))
        Previewed.parse(asked.token).require(preview)
    criteria = list(selection.parts())
    done = [
        invalidation.invalidate(
            one,
            actor=by.trail,
            soft=asked.mode == "soft",
            hold_seconds=asked.hold_seconds,
            request_id=None if request_id is None else f"{request_id}-{number}",
            preview=preview if len(criteria) == 1 else None,
            reason=asked.reason,
            reach=_reach(asked, by),
        )
        for number, one in enumerate(criteria)
    ]
    return {"applied": True, "invalidations": list(map(plain_invalidation, done))}


@router.get("/invalidations", response_model=InvalidationsOut)
def invalidations(
    by: By,
    parts: Parts,
    cursor: Cursor = None,
    limit: Limit = 100,
    namespace: Annotated[str | None, Query(pattern=NAMESPACE, description="Of this namespace only.")] = None,
    state: Annotated[InvalidationState | None, Query(description="In this state only.")] = None,
    active: Annotated[bool, Query(description="Only those that hide something now.")] = False,
    actor: Annotated[str | None, Query(max_length=200, description="By this person or key only.")] = None,
    find: Annotated[str, Query(max_length=256, description="Part of the criteria, the id or the reason.")] = "",
    whose: Annotated[
        Literal["people", "programs"] | None,
        Query(alias="by", description="By people or by programs only; else half of a page is of either."),
    ] = None,
) -> dict[str, Any]:
    """List invalidations, newest first: those in force and those of the past.

    Of `active` ones alone, where there are more than a page of them, those come first whose time to undo ends first. A
    page that is looked for may be short, or empty, though there are more: `next` says so.
    """
    if namespace is not None:
        by.namespace(namespace)
    wanted = InvalidationFilter(text=find, state=state, actor=actor, namespace=namespace, active=active)

    def is_wanted(one: Invalidation) -> bool:
        seen = within(one, by.may_enter)
        return seen is not None and wanted.matches(seen)

    position, invalidation = position_of(cursor, str), parts.invalidation
    page: ActivePage | HistoryPage
    if active and whose is None:
        page = invalidation.active_page(limit, cursor=position, namespace=namespace, where=is_wanted)
    else:
        machines = None if whose is None else whose == "programs"
        page = invalidation.past(limit, cursor=position, namespace=namespace, machines=machines, where=is_wanted)
    following = cursor_of(page.next) if page.next is not None else None
    seen = [known for one in page.items if (known := within(one, by.may_enter)) is not None]
    return {"items": list(map(plain_invalidation, seen)), "next": following}


@router.get("/invalidations/{invalidation_id}", response_model=InvalidationOut)
def invalidation(invalidation_id: Id, by: By, parts: Parts) -> dict[str, Any]:
    """One invalidation, in force or past."""
    return plain_invalidation(_known(invalidation_id, by, parts)[0])


def _known(invalidation_id: str, by: Operator, parts: Parts) -> tuple[Invalidation, bool]:
    """The invalidation as the key may see it, and whether that is all of it.

    Raises InvalidationNotFound, for one of other namespaces too.
    """
    known = parts.invalidation.find(invalidation_id)
    seen = within(known, by.may_enter) if known is not None else None
    if seen is None:
        raise InvalidationNotFound(f"no invalidation has the id {invalidation_id}")
    return seen, seen == known


def _own(invalidation_id: str, by: Operator, parts: Parts) -> None:
    """Raises AccessDenied for an invalidation that reaches namespaces which the key is not for."""
    if not _known(invalidation_id, by, parts)[1]:
        by.require_everywhere()


@router.post("/invalidations/{invalidation_id}/undo", response_model=InvalidationOut, responses={409: {}})
def undo(invalidation_id: Id, by: By, parts: Parts) -> dict[str, Any]:
    """Bring back what an invalidation hid, with the remaining TTLs, also where it was answered again meanwhile.

    Refused once its sweep has begun; of all namespaces it is undone wherever that has not.
    """
    _own(invalidation_id, by, parts)
    return plain_invalidation(parts.invalidation.undo(invalidation_id, actor=by.trail))


@router.post("/invalidations/{invalidation_id}/sweep", response_model=InvalidationOut, responses={409: {}})
def sweep(invalidation_id: Id, by: By, parts: Parts) -> dict[str, Any]:
    """End an invalidation's time to undo now: a worker deletes within seconds what it hides."""
    _own(invalidation_id, by, parts)
    return plain_invalidation(parts.invalidation.end_hold(invalidation_id, actor=by.trail))
