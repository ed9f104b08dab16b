"""The forms of bodies: JSON of a bounded size everywhere, but for lines that are streamed on two paths."""

from __future__ import annotations

from typing import Final

JSON: Final = "application/json"
MOST_JSON_BYTES: Final = 2_000_000
JSON_LINES: Final = "application/jsonl"
SAME_LINES: Final = "application/x-ndjson"
"""Another name that is in use for JSON lines."""
IMPORT: Final = "/import"
EXPORT: Final = "/export"
"""Where lines are taken, and where they are answered."""
