"""Clocks: Unix seconds that pass evenly, whatever is done to the clock of the machine meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], float]
"""The time now, in seconds since 1970."""

elapsed: Clock = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds on a clock that never jumps and, where there is one, goes on while the machine sleeps."""


def even_clock(machine: Clock = time.time, steady: Clock = elapsed) -> Clock:
    """The machine's clock as it is now, and as it would be later if nobody set it: for times that one process keeps."""
    base = machine() - steady()
    return lambda: steady() + base
