"""Links from one page to another."""

from __future__ import annotations

import msgspec

REQUESTS = "pages/requests.py"
FOUND_REQUESTS = "find-requests"
"""Where the session keeps the text that requests are looked for by. It may be a prompt: it is never in a URL."""


class Link(msgspec.Struct, frozen=True):
    """A link to a page: its words, the page, and the query parameters it opens with."""

    words: str
    page: str = REQUESTS
    parameters: dict[str, str] = {}
