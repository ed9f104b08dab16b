"""Entries one by one: list, read, pin, edit, move, explain."""

from . import tags
from .corrections import LONGEST_ANSWER, Corrections, Version, versions_of
from .edits import MOST_BYTES, Edits
from .elsewhere import MOST_TOGETHER, Elsewhere, Together, invalidate_together, questions_at, same_question
from .expectation import expect, look_elsewhere
from .explanation import Difference, Explanation, differences, explain
from .imports import MOST_REFUSALS, Import, Imported
from .listing import (
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
from .namespaces import NamespaceEntries, by_namespace, find_anywhere
from .nearest import Looked, Nearest, nearest_entries
from .pins import RELEASED_SECONDS, Pins
from .received import MAX_ANSWER, plain_recipients, plain_request, received_answers, recipients
from .responses import forget_response
from .seeding import SeedReport, import_seeds, read_seeds
from .transfer import Line, export
from .verdicts import Verdict, Verdicts

__all__ = [
    "LONGEST_ANSWER", "MAX_ANSWER", "MOST_BYTES", "MOST_REFUSALS", "MOST_TOGETHER", "PAGE_SIZE", "RELEASED_SECONDS",
    "Corrections", "Difference", "Edits", "Elsewhere", "EntryFilter", "EntryPage", "Explanation", "FoundEntry",
    "Import", "Imported", "Line", "Looked", "NamespaceEntries", "Nearest", "Pins", "Place", "SeedReport",
    "Together", "Verdict", "Verdicts", "Version", "by_namespace", "count_listed", "differences", "every_page", "expect",
    "explain", "export", "find_anywhere", "find_entry", "forget_response", "import_seeds", "invalidate_together",
    "look_elsewhere", "nearest_entries", "page_entries", "plain_recipients", "plain_request", "questions_at",
    "read_seeds", "received_answers", "recipients", "same_question", "stored_entry", "tags", "versions_of",
]  # fmt: skip
