"""Time as the metrics keep it: slots of ten seconds, a minute and an hour, each kept for its own time. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Resolution(msgspec.Struct, frozen=True):
    """Slots of one length, named by a letter; times in seconds."""

    letter: str
    seconds: int
    keep_seconds: int

    def slot(self, at: float) -> Slot:
        """The slot a time lies in."""
        return Slot(self.letter, int(at // self.seconds))

    @property
    def ttl_seconds(self) -> int:
        """How long Redis keeps a slot: two hours beyond `keep_seconds`, so that a window finds all its slots."""
        return self.keep_seconds + 7200


class Slot(msgspec.Struct, frozen=True):
    """One slot: `index` counts slots of its length since 1970."""

    letter: str
    index: int

    @property
    def name(self) -> str:
        """The slot in names of keys: `m:29384756`."""
        return f"{self.letter}:{self.index}"


RESOLUTIONS = (
    Resolution("s", 10, 2 * 3600),
    Resolution("m", 60, 48 * 3600),
    Resolution("h", 3600, 90 * 86_400),
)
"""Finest first. All of them are written with each flush, so that none depends on another's being there in time."""

# A day and the day before it, both in steps of up to half an hour, are read in slots of one length.
_MARGIN_SECONDS = 1800

FINEST_SECONDS = RESOLUTIONS[0].seconds


def finest(at: float, now: float) -> Resolution:
    """The shortest slots still kept for a time."""
    oldest = now - _MARGIN_SECONDS
    return next((resolution for resolution in RESOLUTIONS if at >= oldest - resolution.keep_seconds), RESOLUTIONS[-1])


def aligned(at: float, now: float) -> int:
    """The start of the finest slot that is still kept and holds this time."""
    seconds = finest(at, now).seconds
    return int(at // seconds) * seconds


def cover(start: float, end: float, now: float) -> Iterator[Slot]:
    """The fewest slots that together are the time from `start` to `end`, both moved back to a slot's start.

    An `end` after `now` takes in everything since `start`. Windows that meet in one point share no slot.
    """
    is_open = end > now
    last = aligned(now, now) + FINEST_SECONDS if is_open else aligned(end, now)
    cursor = aligned(start, now)
    while cursor < last:
        # The finest always fits: both ends are multiples of it.
        longest = next(
            resolution
            for resolution in reversed(RESOLUTIONS)
            if cursor % resolution.seconds == 0 and (is_open or cursor + resolution.seconds <= last)
        )
        yield longest.slot(cursor)
        cursor += longest.seconds
