"""One wrong answer over HTTP: correct it, its versions, the same question elsewhere. The rules are core's."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from ..bootstrap import Services
from ..entries import (
    LONGEST_ANSWER,
    MOST_TOGETHER,
    Corrections,
    Place,
    invalidate_together,
    same_question,
    stored_entry,
    versions_of,
)
from ..invalidation import LONGEST_REASON
from ..wire import readable
from .entries import KEY, EntryDetailOut, EntryOut, InNamespace, Key, detail_of
from .invalidations import NAMESPACE, InvalidationOut
from .operators import Operator
from .parts import By, Cursor, Parts, cursor_of, position_of

router: Final = APIRouter(tags=["entries"])

Reason = Annotated[str, Field(max_length=LONGEST_REASON, description="Why: kept with the audit record.")]


class CorrectIn(BaseModel):
    """The right answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer: str = Field(min_length=1, max_length=LONGEST_ANSWER)
    pin: bool = Field(False, description="Pin it too. One that is pinned stays so.")
    reason: Reason = ""
    seen_at: float | None = Field(
        None, description="`created_at` of the answer that it is to replace: another one is left alone."
    )


class RestoreIn(BaseModel):
    """A version as it was shown."""

    model_config = ConfigDict(extra="forbid", strict=True)

    replaced_at: float = Field(description="That of the version.")
    reason: Reason = ""
    seen_at: float | None = Field(None, description="`created_at` of the answer that it is to replace.")


class VersionOut(BaseModel):
    """An answer that stood in an entry before it was corrected."""

    created_at: float
    replaced_at: float
    actor: str = Field(description="Who replaced it.")
    reason: str = Field(description="Why, in their words.")
    answer: str = Field(description="The text of the answer.")


class VersionsOut(BaseModel):
    """The versions of an entry, the latest first: a few, and gone with the entry."""

    items: list[VersionOut]


class StandingOut(EntryOut):
    """An entry with the same question."""

    scope: str = Field(description="The digest of all that the answer depends on but the last message.")
    differs: list[str] = Field(description="The parts in which its request is another one: `model`, `system prompt`.")


class ElsewhereOut(BaseModel):
    """Entries with the same question. It ends early where few match: `next` alone says whether there are more."""

    items: list[StandingOut]
    next: str | None = Field(None, description="The cursor of the next look; none: this was the last.")
    looked_through: int = Field(description="Entries that were looked at for this.")
    listed: int = Field(description="How many the indexes list in all the namespaces.")


class PlaceIn(BaseModel):
    """An entry, by its place."""

    model_config = ConfigDict(extra="forbid", strict=True)

    namespace: str = Field(pattern=NAMESPACE, max_length=129)
    key: str = Field(pattern=KEY)


class TogetherIn(BaseModel):
    """Answers that are invalidated together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    entries: list[PlaceIn] = Field(min_length=1, max_length=MOST_TOGETHER)
    reason: Reason = ""
    hold_seconds: float | None = Field(None, ge=0, le=86_400, description="How long each can be undone.")


class TogetherOut(BaseModel):
    """What became of it: one invalidation for each, to be undone by itself."""

    invalidations: list[InvalidationOut]
    asked: int
    problem: str = Field(description="Why it ended before the last of them.")


_CORRECTIONS: Final[dict[str, Any]] = {
    "the right answer": {"value": {"answer": "Open the app and ...", "pin": True, "reason": "The menu has changed"}}
}
_RESTORED: Final[dict[str, Any]] = {"as it was shown": {"value": {"replaced_at": 1_760_000_000.0}}}
_TOGETHER: Final[dict[str, Any]] = {
    "two of them": {
        "value": {
            "entries": [{"namespace": "default", "key": f"0-{digit * 64}"} for digit in "ab"],
            "reason": "The fee has changed",
        }
    }
}


@router.post("/invalidate-entries", response_model=TogetherOut, responses={409: {}})
def together(asked: Annotated[TogetherIn, Body(openapi_examples=_TOGETHER)], by: By, parts: Parts) -> dict[str, Any]:
    """Take several answers out of service: what `GET /entries/{key}/elsewhere` found, say."""
    places = [(by.namespace(one.namespace), one.key) for one in asked.entries]
    done = invalidate_together(
        parts.invalidation, places, actor=by.trail, reason=asked.reason, hold_seconds=asked.hold_seconds
    )
    return done.to_dict()


@router.post("/entries/{key}/correct", response_model=EntryDetailOut, responses={409: {}})
def correct(
    key: Key,
    asked: Annotated[CorrectIn, Body(openapi_examples=_CORRECTIONS)],
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
) -> dict[str, Any]:
    """Put the right answer in the place of a wrong one. Its question, tags, TTL and pin stay; hits are counted anew.

    From the moment it is answered nobody gets the answer of before, nor one whose generation began before.
    """
    name = by.namespace(namespace)
    _corrections(parts, by).correct(name, key, asked.answer, pin=asked.pin, reason=asked.reason, seen_at=asked.seen_at)
    return detail_of(parts, name, key)


def _corrections(parts: Services, by: Operator) -> Corrections:
    return Corrections(parts.cache, parts.store, by.trail, pins=parts.pins, clock=parts.clock)


@router.get("/entries/{key}/versions", response_model=VersionsOut)
def versions(key: Key, by: By, parts: Parts, namespace: InNamespace = None) -> dict[str, Any]:
    """What stood at a key before it was corrected. Never served."""
    found = stored_entry(parts.store, by.namespace(namespace), key)
    known = versions_of(found.entry)
    return {"items": [msgspec.to_builtins(one) | {"answer": readable(one.body)} for one in known]}


@router.post("/entries/{key}/versions/restore", response_model=EntryDetailOut, responses={409: {}})
def restore(
    key: Key,
    asked: Annotated[RestoreIn, Body(openapi_examples=_RESTORED)],
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
) -> dict[str, Any]:
    """Put a version in its place again, as a correction."""
    name = by.namespace(namespace)
    _corrections(parts, by).restore(name, key, asked.replaced_at, reason=asked.reason, seen_at=asked.seen_at)
    return detail_of(parts, name, key)


@router.get("/entries/{key}/elsewhere", response_model=ElsewhereOut)
def elsewhere(
    key: Key,
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
    cursor: Cursor = None,
    everywhere: Annotated[bool, Query(description="In all namespaces that the key is for; else in this one.")] = True,
) -> dict[str, Any]:
    """Find the same question under other models, in other scopes and namespaces, and what keeps them apart.

    Case, spaces and the closing mark do not count. A look takes a second or two and looks through 50,000 entries at
    most; `next` goes on from there.
    """
    name = by.namespace(namespace)
    here = stored_entry(parts.store, name, key)
    names = [one for one in parts.store.namespaces() if by.may_enter(one)] if everywhere else [name]
    looked = same_question(
        parts.store,
        names,
        here,
        buckets=parts.settings.buckets,
        hits=parts.metrics.hits,
        after=position_of(cursor, tuple[str, Place | None]),
    )
    now = parts.clock()
    return {
        "items": [one.to_dict(now) for one in looked.found],
        "next": cursor_of(looked.next) if looked.next is not None else None,
        "looked_through": looked.looked_through,
        "listed": looked.listed,
    }
