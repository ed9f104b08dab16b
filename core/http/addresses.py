"""The provider's address, and the addresses below it that callers may reach: never another server, never a path above.

Pure.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import httpx2

_DECODINGS: Final = 4
"""How often a path may be encoded in itself and still be understood; one that is more so is refused."""
# The last ones are bytes that no UTF-8 has: careless servers read them as longer forms of a dot or a slash.
_NEVER_IN_PATH: Final = re.compile(r"[\x00-\x1f\x7f\\\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]")
# One or two dots that are no part of a name, whatever follows them: some servers strip it.
_DOTS: Final = re.compile(r"\s*\.{1,2}(?![\w.-])", re.ASCII)
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class ProviderAddress:
    """The base URL of the provider, to which the path of a request after `/v1` is added."""

    def __init__(self, base_url: str) -> None:
        self._base = httpx2.URL(base_url)
        self._path = self._base.raw_path.decode("ascii").partition("?")[0].rstrip("/")

    def url(self, raw_path: str, query: str) -> httpx2.URL | None:
        """The address of a path as it came, still encoded. None for one that would lead elsewhere."""
        if not is_inside(raw_path):
            return None
        path = self._path + raw_path
        # Bytes outside of ASCII, which were read as latin-1, go on encoded.
        raw = _NOT_ASCII.sub(lambda match: f"%{ord(match[0]):02X}", f"{path}?{query}" if query else path)
        try:
            url = self._base.copy_with(raw_path=raw.encode("ascii"))
        except httpx2.InvalidURL:
            return None
        base = self._base
        is_same = (url.scheme, url.netloc, url.userinfo) == (base.scheme, base.netloc, base.userinfo)
        return url if is_same and url.raw_path.startswith(f"{self._path}/".encode("ascii")) else None


def is_inside(raw_path: str) -> bool:
    """Whether a path begins with a slash and goes down only, however servers on the way may decode or split it."""
    if not raw_path.startswith("/"):
        return False
    path = raw_path
    for _ in range(_DECODINGS):
        if _NEVER_IN_PATH.search(path) or any(map(_DOTS.match, path.split("/"))):
            return False
        decoded = unquote(path, "latin-1")
        if decoded == path:
            return True
        path = decoded
    return False
