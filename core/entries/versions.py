"""Versions: the answers that stood in an entry before it was corrected. Pure.

They are kept inside the entry's own stored form, behind all that a lookup looks at, and are never served. So they go
wherever the entry goes: its TTL, an eviction, a sweep, an erasure by user, a newer answer in its place end them too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..models import CacheEntry

MOST_VERSIONS = 5
MOST_BYTES = 32_000
"""Of all versions of an entry together, but for the latest one: each hit of a corrected answer reads them."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that stood in an entry from `created_at` to `replaced_at` (Unix seconds), and who replaced it, and why.

    `body` is the answer in the wire form of its endpoint.
    """

    body: dict[str, Any]
    created_at: float
    replaced_at: float
    actor: str
    reason: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Version, ...]).decode


def versions_of(entry: CacheEntry) -> tuple[Version, ...]:
    """The versions that an entry has, the latest first; none in bytes that cannot be read."""
    try:
        return _decode(entry.versions) if entry.versions else ()
    except msgspec.MsgspecError:
        return ()


def with_version(entry: CacheEntry, *, at: float, actor: str, reason: str = "") -> bytes:
    """The versions of what takes the place of an entry: its own answer first, and as many of its versions as fit."""
    if entry.body is None:
        return b""
    latest = Version(body=entry.body, created_at=entry.header.created_at, replaced_at=at, actor=actor, reason=reason)
    kept, total = [latest], 0
    for version in versions_of(entry)[: MOST_VERSIONS - 1]:
        total += len(_encode(version))
        if total > MOST_BYTES:
            break
        kept.append(version)
    return _encode(kept)
