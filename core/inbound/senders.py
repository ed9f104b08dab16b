"""What a request's headers say of who sends it: the keys it comes with, and the sender's own id of it. Pure.

A key is never kept. What is kept of it, and shown, is its label: the same by which a namespace of its own is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

CREDENTIALS: Final = ("authorization", "api-key", "x-api-key")
"""Headers that say who calls: OpenAI's, Azure's, and the one some routers use."""

_LABEL_DIGITS: Final = 24
_REQUEST_IDS: Final = ("x-request-id", "x-client-request-id")
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")


def credentials_in(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that say who calls, with their values. Names of headers are in lower case."""
    return [(name, headers[name]) for name in CREDENTIALS if headers.get(name)]


def label_of(credentials: Sequence[tuple[str, str]]) -> str:
    """What stands for a caller in records: `key-` and a digest of its keys; empty for a caller without any."""
    if not credentials:
        return ""
    digest = sha256(repr(list(credentials)).encode()).hexdigest()
    return f"key-{digest[:_LABEL_DIGITS]}"


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """The sender's own id of a request; None without one that can stand in a header."""
    for name in _REQUEST_IDS:
        given = headers.get(name)
        if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
            return given
    return None
