"""Entries one by one: list, read, pin, edit, move, explain."""

from . import reasons
from .edits import MOST_BYTES, Edits
from .expectation import Expectation, expect
from .explanation import Difference, Explanation, differences, explain
from .imports import MOST_REFUSALS, Import, Imported, Refusal
from .listing import (
    LOOKED_THROUGH,
    LOOKING_SECONDS,
    PAGE_SIZE,
    EntryFilter,
    EntryPage,
    FoundEntry,
    Place,
    count_listed,
    every_page,
    find_entry,
    page_entries,
    stored_entry,
)
from .nearest import Looked, Nearest, nearest_entries
from .pins import RELEASED_SECONDS, Pins
from .received import MAX_ANSWER, plain_recipients, plain_request, received_answers, recipients
from .responses import forget_response
from .seeding import SeedReport, import_seeds, read_seeds
from .transfer import Line, export
from .verdicts import Verdict, Verdicts

__all__ = [
    "LOOKED_THROUGH", "LOOKING_SECONDS", "MAX_ANSWER", "MOST_BYTES", "MOST_REFUSALS", "PAGE_SIZE", "RELEASED_SECONDS",
    "Difference", "Edits", "EntryFilter", "EntryPage", "Expectation", "Explanation", "FoundEntry", "Import",
    "Imported", "Line", "Looked", "Nearest", "Pins", "Place", "Refusal", "SeedReport", "Verdict", "Verdicts",
    "count_listed", "differences", "every_page", "expect", "explain", "export", "find_entry", "forget_response",
    "import_seeds", "nearest_entries", "page_entries", "plain_recipients", "plain_request", "read_seeds", "reasons",
    "received_answers", "recipients", "stored_entry",
]  # fmt: skip
