"""Links from one page to another."""

from __future__ import annotations

import msgspec

REQUESTS = "pages/requests.py"


class Way(msgspec.Struct, frozen=True):
    """Where a click leads: the button's words, the page, and what it is to show."""

    words: str
    page: str = REQUESTS
    parameters: dict[str, str] = {}
