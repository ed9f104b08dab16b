"""A lock that all processes share: held by one of them at a time, and by none that has died for long."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from .failures import writing
from .script import load_script

_RELEASE = load_script(__file__, "release")


@contextmanager
def lock(client: redis.Redis, key: bytes, ttl_ms: int) -> Iterator[bool]:
    """Holds the lock at a key while the block runs, `ttl_ms` at most; False when another process holds it.

    It does not wait. Raises StoreUnavailable, WriteRefused or OutcomeUnknown; what the block raises passes through.
    """
    token = secrets.token_bytes(16)
    with writing():
        is_held = bool(client.set(key, token, nx=True, px=ttl_ms))
    try:
        yield is_held
    finally:
        if is_held:
            with writing():
                client.register_script(_RELEASE)(keys=[key], args=[token])
