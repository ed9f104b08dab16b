"""Scheduled invalidations over HTTP: list, add, edit, pause, resume, remove, run. The rules are core's."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

import msgspec
from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from ..bootstrap import Services
from ..errors import InvalidationNotFound, InvalidInput
from ..invalidation import LONGEST_NAME, LONGEST_REASON, Schedule, ScheduleFields, kept_schedules, plain_invalidation
from ..keys import EVERYWHERE
from .invalidations import CriteriaIn, CriteriaOut, InvalidationOut
from .operators import Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["schedules"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{1,40}$", description="The id of a schedule.")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


_HOLD: Final = (
    "How long each run can be undone, at most a day; null: 12 hours, or until the next run where that is sooner."
)


def _without_default(schema: dict[str, Any]) -> None:
    """What is not given stays as it is: the document names no value for it."""
    schema.pop("default", None)


class ScheduleOut(BaseModel):
    """One scheduled invalidation. Times are Unix seconds."""

    id: str
    name: str
    namespace: str
    criteria: CriteriaOut
    older_than_seconds: float | None = Field(description="The age that an entry must have at each run.")
    every_seconds: float | None
    daily_at: str | None = Field(description="The time of day in UTC; either this or `every_seconds` is given.")
    weekdays: list[Weekday] = Field(description="The days on which it runs at `daily_at`, in UTC; none: every day.")
    soft: bool
    hold_seconds: float | None = Field(description="How long each run can be undone, as it was given.")
    effective_hold_seconds: float = Field(
        description="How long each run can be undone; not given: 12 hours, or until the next run where that is sooner."
    )
    reason: str
    enabled: bool
    unbounded: bool = Field(description="Whether a run may hide any share of the namespace: an admin answers for it.")
    actor: str
    created_at: float
    resumed_at: float | None
    rhythm_since: float | None = Field(description="When its rhythm was changed: it counts from there.")
    last_run_at: float | None
    last: str = Field(description="What the latest run came to.")
    last_applied: str = Field(description="The invalidation of the latest run that was applied.")
    taken_since: float | None = Field(description="When the first of the runs was whose place that one has taken.")
    what: str = Field(description="What it selects, in words.")
    rhythm: str = Field(description="When it runs, in words.")
    next_run_at: float


class SchedulesOut(BaseModel):
    """All schedules, the next one due first."""

    items: list[ScheduleOut]


class ScheduleIn(BaseModel):
    """A new schedule. Give either `every_seconds` or `daily_at`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=80, description="A name that no other schedule has.")
    criteria: CriteriaIn = Field(description="As of an invalidation; an age counts from each run.")
    every_seconds: float | None = Field(None, description="How often it runs, first after that time.")
    daily_at: str | None = Field(None, max_length=5, description="A time of day in UTC: `03:30`.")
    weekdays: list[Weekday] = Field([], max_length=7, description="With `daily_at`: only on these days of UTC.")
    soft: bool = Field(False, description="Marks stale instead: served only if the provider fails.")
    hold_seconds: float | None = Field(None, description=_HOLD)
    reason: str = Field("", max_length=LONGEST_REASON, description="The reason of each run; else the schedule's name.")


class ScheduleChangeIn(BaseModel):
    """A change of a schedule: what is given is changed, all else stays. Its namespace stays always."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool = Field(True, description="False pauses it, true resumes it.")
    name: str = Field(
        "",
        min_length=1,
        max_length=LONGEST_NAME,
        description="A name that no other schedule has.",
        json_schema_extra=_without_default,
    )
    criteria: CriteriaIn = Field(CriteriaIn(), description="In place of all criteria; an age counts from each run.")
    every_seconds: float | None = Field(None, description="In place of a time of day.")
    daily_at: str | None = Field(None, max_length=5, description="In place of an interval: a time of day in UTC.")
    weekdays: list[Weekday] = Field([], max_length=7, description="Only on these days of UTC; none: every day.")
    soft: bool = Field(False, description="Marks stale instead: served only if the provider fails.")
    hold_seconds: float | None = Field(None, description=_HOLD)
    reason: str = Field("", max_length=LONGEST_REASON, description="The reason of each run; empty: its name.")

    def fields(self, namespace: str) -> ScheduleFields:
        """What is changed, beside whether it is paused. Raises InvalidInput."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"enabled", "criteria"}}
        if "weekdays" in given:
            given["weekdays"] = tuple(self.weekdays)
        if "criteria" in self.model_fields_set:
            if self.criteria.namespace not in (None, namespace):
                raise InvalidInput("criteria.namespace", "stays as it is: for another one add a schedule")
            given["criteria"] = self.criteria.fields(namespace)
            given["older_than_seconds"] = self.criteria.older_than_seconds
        return cast("ScheduleFields", given)


class RunIn(BaseModel):
    """A run of a schedule as it was shown."""

    model_config = ConfigDict(extra="forbid", strict=True)

    last_run_at: float | None = Field(description="As it was shown: when it has run since, it is refused.")


_NEW: Final[dict[str, Any]] = {
    "older than a week, every night": {
        "value": {
            "name": "Nightly",
            "criteria": {"namespace": "default", "older_than_seconds": 604_800},
            "daily_at": "03:30",
        }
    }
}
_CHANGES: Final[dict[str, Any]] = {
    "pause": {"value": {"enabled": False}},
    "resume": {"value": {"enabled": True}},
    "on weekdays, at another time": {"value": {"daily_at": "03:00", "weekdays": ["mon", "tue", "wed", "thu", "fri"]}},
}
_RUNS: Final[dict[str, Any]] = {"unless it has run since": {"value": {"last_run_at": None}}}


@router.get("/schedules", response_model=SchedulesOut)
def schedules(by: By, parts: Parts) -> dict[str, Any]:
    """All schedules, the next one due first."""
    found = kept_schedules(parts.schedules).all()
    return {"items": [one.to_dict() for one in found if by.may_enter(one.namespace)]}


@router.post("/schedules", response_model=ScheduleOut)
def add(asked: Annotated[ScheduleIn, Body(openapi_examples=_NEW)], by: By, parts: Parts) -> dict[str, Any]:
    """Add a scheduled invalidation. Preview its criteria with `POST /invalidations` first.

    No two have one name: repeated after an unknown outcome it is refused rather than there twice.
    """
    given = asked.criteria
    if given.namespace == EVERYWHERE:
        by.require_everywhere()
    namespace = by.namespace_or_all(given.namespace)
    added = kept_schedules(parts.schedules).add(
        namespace=namespace,
        actor=by.trail,
        name=asked.name,
        criteria=given.fields(namespace),
        older_than_seconds=given.older_than_seconds,
        every_seconds=asked.every_seconds,
        daily_at=asked.daily_at,
        weekdays=tuple(asked.weekdays),
        soft=asked.soft,
        hold_seconds=asked.hold_seconds,
        reason=asked.reason,
    )
    return added.to_dict()


@router.get("/schedules/{schedule_id}", response_model=ScheduleOut)
def schedule(schedule_id: Id, by: By, parts: Parts) -> dict[str, Any]:
    """One schedule."""
    return _known(schedule_id, by, parts).to_dict()


def _known(schedule_id: str, by: Operator, parts: Services) -> Schedule:
    """The schedule. Raises InvalidationNotFound, for one of another namespace too."""
    known = kept_schedules(parts.schedules).get(schedule_id)
    if not by.may_enter(known.namespace):
        raise InvalidationNotFound(f"no schedule has the id {schedule_id}")
    return known


@router.patch("/schedules/{schedule_id}", response_model=ScheduleOut)
def change(
    schedule_id: Id, asked: Annotated[ScheduleChangeIn, Body(openapi_examples=_CHANGES)], by: By, parts: Parts
) -> dict[str, Any]:
    """Change a schedule, pause it or resume it. It keeps its id, and is not run for what it has missed."""
    known = _known(schedule_id, by, parts)
    if not asked.model_fields_set:
        raise InvalidInput("body", "say what to change")
    kept = kept_schedules(parts.schedules)
    changed = kept.edit(schedule_id, actor=by.trail, **asked.fields(known.namespace))
    if "enabled" in asked.model_fields_set:
        changed = (kept.resume if asked.enabled else kept.pause)(schedule_id, actor=by.trail)
    return changed.to_dict()


@router.delete("/schedules/{schedule_id}", response_model=ScheduleOut)
def remove(schedule_id: Id, by: By, parts: Parts) -> dict[str, Any]:
    """Remove a schedule, and answer with it as it was. What it has invalidated stays invalidated."""
    known = _known(schedule_id, by, parts)
    kept_schedules(parts.schedules).remove(schedule_id, actor=by.trail)
    return known.to_dict()


@router.post("/schedules/{schedule_id}/run", response_model=InvalidationOut, responses={409: {}})
def run(
    schedule_id: Id, by: By, parts: Parts, asked: Annotated[RunIn | None, Body(openapi_examples=_RUNS)] = None
) -> dict[str, Any]:
    """Run a schedule now, also when it is paused or not due."""
    known = _known(schedule_id, by, parts)
    expected = None if asked is None else msgspec.structs.replace(known, last_run_at=asked.last_run_at)
    done = kept_schedules(parts.schedules).run_now(schedule_id, actor=by.trail, expected=expected)
    return plain_invalidation(done)
