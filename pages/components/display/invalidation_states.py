"""The states of an invalidation: words, icon and colour of each."""

from __future__ import annotations

from core.invalidation import InvalidationState
from pages.components.display.outcomes import Colour

STATES: dict[InvalidationState, tuple[str, str, Colour]] = {
    InvalidationState.HELD: ("hidden, can be undone", ":material/visibility_off:", "orange"),
    InvalidationState.SWEEPING: ("being swept", ":material/cleaning_services:", "blue"),
    InvalidationState.SOFT: ("marked stale", ":material/hourglass_bottom:", "violet"),
    InvalidationState.SWEPT: ("swept", ":material/check_circle:", "green"),
    InvalidationState.UNDONE: ("undone", ":material/undo:", "gray"),
    InvalidationState.REPLACED: ("replaced by a later run", ":material/event_repeat:", "gray"),
    InvalidationState.REFUSED: ("refused", ":material/block:", "red"),
    InvalidationState.PARTLY: ("not in all namespaces", ":material/rule:", "orange"),
    InvalidationState.UNKNOWN: ("not known", ":material/help:", "gray"),
}

WORDS = {state: words for state, (words, _, _) in STATES.items()}
"""The words of each state."""
