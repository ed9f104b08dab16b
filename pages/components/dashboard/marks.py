"""Marks on time lines, of invalidations and deploys: one each while they are few, one for all of a step when not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from core.metrics import Bucket
from pages.components.display.charts import Mark

MOST_STEPS = 12
"""In more steps than these, what programs invalidate is no event any more: it is told in words."""

_COUNTED = "invalidations_"


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """The marks of a window, and how many invalidations by programs have none there."""

    marks: Sequence[Mark] = ()
    without: int = 0


def marked(
    by_people: Sequence[Mark], by_programs: Sequence[Mark], buckets: Sequence[Bucket], deploys: Sequence[Mark] = ()
) -> Marked:
    """The marks of the window: deploys, those of people, and those of programs unless these invalidate all the time.

    The latest ones by programs are known one by one; how many there were in all, the buckets have counted.
    """
    people, programs = _by_step(by_people, buckets), _by_step(by_programs, buckets)
    marks = [_of_people(of_step) for of_step in people.values()]
    marks += [_of_deploys(of_step) for of_step in _by_step(deploys, buckets).values()]
    counts = {}
    for step, bucket in enumerate(buckets):
        counted = sum(count for name, count in bucket.summary.events.items() if name.startswith(_COUNTED))
        others, known = counted - len(people.get(step, ())), len(programs.get(step, ()))
        # One more than is known may be of the step before: it is counted once it has been applied.
        if number := max(others if others > 1 else 0, known):
            counts[step] = number
    if len(counts) > MOST_STEPS:
        return Marked(marks=_in_order(marks), without=sum(counts.values()))
    for step, number in counts.items():
        bucket = buckets[step]
        middle = bucket.starts_at + bucket.seconds / 2
        several = Mark(at=middle, words=f"{number:,} invalidations by programs")
        marks.append(programs[step][0] if number == 1 else several)
    return Marked(marks=_in_order(marks))


def _by_step(marks: Sequence[Mark], buckets: Sequence[Bucket]) -> dict[int, list[Mark]]:
    """Marks that lie in the window, by the place of their bucket."""
    starts = [bucket.starts_at for bucket in buckets]
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        step = bisect_right(starts, mark.at) - 1
        if step >= 0 and mark.at < starts[step] + buckets[step].seconds:
            found.setdefault(step, []).append(mark)
    return found


def _of_people(marks: Sequence[Mark]) -> Mark:
    if len(marks) == 1:
        return marks[0]
    return Mark(at=marks[0].at, words=f"{len(marks):,} invalidations, the latest {marks[0].words}")


def _of_deploys(marks: Sequence[Mark]) -> Mark:
    latest = max(marks, key=lambda mark: mark.at)
    if len(marks) == 1:
        return latest
    return Mark(at=latest.at, words=f"{len(marks):,} marks, the latest {latest.words}", is_deploy=True)


def _in_order(marks: Sequence[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: mark.at)
