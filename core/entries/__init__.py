"""Entries one by one: list, read, pin, edit, move, explain."""

from . import reasons
from .edits import Edits, Imported
from .explanation import Difference, Explanation, differences, explain
from .listing import (
    LOOKED_THROUGH,
    LOOKING_SECONDS,
    PAGE_SIZE,
    EntryFilter,
    EntryPage,
    FoundEntry,
    Place,
    count_listed,
    find_entries,
    find_entry,
    page_entries,
)
from .nearest import Looked, Nearest, nearest_entries
from .pins import RELEASED_SECONDS, Pins
from .responses import forget_response
from .seeding import SeedReport, import_seeds, read_seeds
from .transfer import MOST_BYTES, MOST_LINES, export
from .verdicts import Verdict, Verdicts

__all__ = [
    "LOOKED_THROUGH", "LOOKING_SECONDS", "MOST_BYTES", "MOST_LINES", "PAGE_SIZE", "RELEASED_SECONDS",
    "Difference", "Edits", "EntryFilter", "EntryPage", "Explanation", "FoundEntry", "Imported", "Looked", "Nearest",
    "Pins", "Place", "SeedReport", "Verdict", "Verdicts", "count_listed", "differences", "explain", "export",
    "find_entries", "find_entry", "forget_response", "import_seeds", "nearest_entries", "page_entries", "read_seeds",
    "reasons",
]  # fmt: skip
