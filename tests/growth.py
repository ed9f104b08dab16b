"""How the cost of a text grows with its length, which says more of a function than the time it takes on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGER = 8
RUNS = 3


def grows_with_the_square(function: Callable[[str], object], text: Callable[[int], str], size: int) -> bool:
    """Whether a text of `size` costs far more than so many times one of an eighth of it: a square would be 64 times.

    In CPU time of this thread, the least of a few runs: others on the machine have no part in it.
    """
    short, long = text(size // LONGER), text(size)
    return cost(function, long) > 3 * LONGER * max(cost(function, short), 0.0005)


def cost(function: Callable[[str], object], text: str, *, runs: int = RUNS) -> float:
    """Seconds."""
    costs = []
    for _ in range(runs):
        began = time.thread_time()
        function(text)
        costs.append(time.thread_time() - began)
    return min(costs)
