"""The states of an entry: words, icon and colour of each."""

from __future__ import annotations

from core.bans import Visibility
from core.entries import FoundEntry
from pages.components.display.outcomes import Colour

STATES: dict[Visibility, tuple[str, str, Colour]] = {
    Visibility.FRESH: ("fresh", ":material/check_circle:", "green"),
    Visibility.STALE: ("marked stale", ":material/hourglass_bottom:", "violet"),
    Visibility.HIDDEN: ("invalidated, hidden", ":material/visibility_off:", "orange"),
    Visibility.UNKNOWN: ("not served until the invalidations are loaded", ":material/hourglass_top:", "gray"),
    Visibility.FOREIGN: ("from a lost record, never served", ":material/block:", "red"),
}
"""Words, icon and colour of what the record says of an entry."""
PAST_TTL: tuple[str, str, Colour] = ("past its TTL", ":material/timer_off:", "gray")


def look_of(found: FoundEntry, now: float) -> tuple[str, str, Colour]:
    """Words, icon and colour of an entry's state."""
    if found.state is Visibility.FRESH and now >= found.entry.header.fresh_until:
        return PAST_TTL
    return STATES[found.state]
