"""What a person says of a scheduled invalidation: what it hides, when, and for how long a run can be undone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec

from ..bans import Criteria
from ..errors import InvalidInput
from ..text import exact_duration, printable
from .invalidator import LONGEST_HOLD_SECONDS
from .reason import checked_reason
from .rhythm import LONGEST_SECONDS, check_rhythm, in_order, rhythm_words, shortest_gap

LONGEST_NAME = 80
USUAL_HOLD_SECONDS = 12 * 3600.0
"""How long a run can be undone where the schedule does not say, unless it runs again before."""


class ScheduleFields(TypedDict, total=False):
    """What a person says of a schedule, as keyword arguments: the fields of a `Definition`."""

    name: str
    criteria: Mapping[str, Any]
    older_than_seconds: float | None
    every_seconds: float | None
    daily_at: str | None
    weekdays: tuple[str, ...]
    soft: bool
    hold_seconds: float | None
    reason: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a schedule. Durations are seconds.

    `criteria` are those of `Criteria` but `created_before`, which `older_than_seconds` gives at each run. It runs every
    `every_seconds`, or at `daily_at` ("03:30", UTC): on these `weekdays` ("mon" to "sun", of UTC), without any on all.
    What a run hides can be undone for `hold_seconds`; None: for 12 hours, or until the next run where that is sooner.
    `reason` is that of each run; without one it is the schedule's name.
    """

    name: str = ""
    criteria: Mapping[str, Any] = {}
    older_than_seconds: float | None = None
    every_seconds: float | None = None
    daily_at: str | None = None
    weekdays: tuple[str, ...] = ()
    soft: bool = False
    hold_seconds: float | None = None
    reason: str = ""

    @property
    def hold(self) -> float:
        """How long a run can be undone, in seconds."""
        if self.hold_seconds is not None:
            return self.hold_seconds
        return min(USUAL_HOLD_SECONDS, shortest_gap(self.every_seconds, self.weekdays))

    @property
    def rhythm(self) -> str:
        """The rhythm in words: `daily at 03:30 UTC`, `Mon-Fri at 03:30 UTC`, `every 6 h`."""
        return rhythm_words(self.every_seconds, self.daily_at, self.weekdays)

    @property
    def what(self) -> str:
        """The selection in words: `model gpt-4o, older than 7 d`."""
        words = []
        if self.criteria:
            try:
                words.append(str(Criteria.from_dict(self.criteria)))
            except InvalidInput as error:  # of another version
                words.append(f"cannot be run: {error}")
        if self.older_than_seconds is not None:
            words.append(f"older than {exact_duration(self.older_than_seconds)}")
        return ", ".join(words)

    def checked(self) -> Definition:
        """It, with the name trimmed, the reason on one line and the weekdays in order.

        Raises InvalidInput, which names the field. The criteria are checked where they are used.
        """
        weekdays = in_order(self.weekdays)
        check_rhythm(self.every_seconds, self.daily_at, self.weekdays)
        if self.older_than_seconds is not None and not 0 < self.older_than_seconds <= LONGEST_SECONDS * 10:
            raise InvalidInput("older_than_seconds", "give seconds between 1 and ten years")
        if "created_before" in self.criteria:
            raise InvalidInput("created_before", "give older_than_seconds: the age when it runs")
        if self.hold_seconds is not None and not 0 <= self.hold_seconds <= LONGEST_HOLD_SECONDS:
            raise InvalidInput("hold_seconds", f"give seconds between 0 and {LONGEST_HOLD_SECONDS}")
        name = self.name.strip()
        if len(name) > LONGEST_NAME or printable(name, LONGEST_NAME) != name:
            raise InvalidInput("name", f"give up to {LONGEST_NAME} visible characters")
        criteria = msgspec.json.decode(msgspec.json.encode(self.criteria))  # lists as they are kept, to be compared
        reason = checked_reason(self.reason)
        return msgspec.structs.replace(self, name=name, criteria=criteria, weekdays=weekdays, reason=reason)

    def hides_as(self, other: Definition) -> bool:
        """Whether a run of either hides, or marks stale, the same."""
        mine, theirs = ((dict(each.criteria), each.older_than_seconds, each.soft) for each in (self, other))
        return mine == theirs

    def runs_as(self, other: Definition) -> bool:
        """Whether both run at the same times."""
        mine, theirs = ((each.every_seconds, each.daily_at, each.weekdays) for each in (self, other))
        return mine == theirs
