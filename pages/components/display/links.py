"""Links from one page to another."""

from __future__ import annotations

import msgspec

REQUESTS = "pages/requests.py"


class Link(msgspec.Struct, frozen=True):
    """A link to a page: its words, the page, and the query parameters it opens with."""

    words: str
    page: str = REQUESTS
    parameters: dict[str, str] = {}
