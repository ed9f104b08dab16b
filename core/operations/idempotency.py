"""Idempotency keys: a request that is sent again is answered as it was, and what it asks for is not done twice."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
import redis
from cachetools import TTLCache
from fastapi import Header

from ..errors import AccessDenied, CacheError, InvalidationRefused, InvalidInput, NotFound, WriteRefused
from ..keys import names
from ..stores import Clock
from ..stores.redis import reading, writing
from .problems import KEY_REUSED, Refused

KEPT_SECONDS: Final = 86_400
MOST_HERE: Final = 10_000
"""Answers that are kept without Redis."""
REPLAYED: Final = "idempotent-replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Any text of the caller's own, a new one for each new request. The same request with the same key "
        "is done once and answered alike for a day; another request with it is refused.",
    ),
]


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a request: a digest of what it asked for, and its answer once there is one."""

    what: str
    answer: dict[str, Any] | None = None


class Kept:
    """The answers of a day, by operator and key: in Redis, or in this process without it."""

    def __init__(self, client: redis.Redis | None, *, clock: Clock) -> None:
        self._client = client
        self._here: TTLCache[bytes, bytes] = TTLCache(MOST_HERE, KEPT_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def once(
        self, operator: str, key: str | None, asked: Any, act: Callable[[str | None], dict[str, Any]]
    ) -> tuple[dict[str, Any], bool]:
        """The answer of `act`, or the one that it gave to the same request before; and whether it is that one.

        `asked` is all that the request asks for, as plain JSON. `act` gets an id that is the same whenever the request
        is repeated, None without a key: what broke off in the middle is done again under the same id. Raises Refused
        for a key that came with another request, and what `act` raises.
        """
        if key is None:
            return act(None), False
        what = hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()
        name = names.IDEMPOTENCY + hashlib.sha256(f"{operator} {key}".encode()).hexdigest().encode()
        known = self._claim(name, _Kept(what))
        if known is not None and known.what != what:
            raise Refused(KEY_REUSED, "another request came with this key within the last day", field="Idempotency-Key")
        if known is not None and known.answer is not None:
            return known.answer, True
        try:
            answer = act(hashlib.sha256(name + what.encode()).hexdigest()[:24])
        except (Refused, InvalidInput, NotFound, AccessDenied, InvalidationRefused):
            self._forget(name)  # nothing was done: a corrected request may come with the same key
            raise
        with suppress(CacheError):  # it is done; a repetition is then done again under the same id
            self._keep(name, _Kept(what, answer))
        return answer, False

    def _claim(self, name: bytes, mine: _Kept) -> _Kept | None:
        """What is kept under the name; None when it is ours now, or when nothing can be kept."""
        value = msgspec.json.encode(mine)
        if self._client is None:
            with self._lock:
                found = self._here.setdefault(name, value)
            return None if found is value else msgspec.json.decode(found, type=_Kept)
        try:
            with writing():
                if self._client.set(name, value, nx=True, ex=KEPT_SECONDS):
                    return None
        except WriteRefused:
            return None  # an invalidation works then, and its id is the same at each repetition
        with reading():
            kept = self._client.get(name)
        return msgspec.json.decode(kept, type=_Kept) if isinstance(kept, bytes) else None

    def _keep(self, name: bytes, kept: _Kept) -> None:
        value = msgspec.json.encode(kept)
        if self._client is None:
            with self._lock:
                self._here[name] = value
            return
        with writing():
            self._client.set(name, value, ex=KEPT_SECONDS)

    def _forget(self, name: bytes) -> None:
        if self._client is None:
            with self._lock:
                self._here.pop(name, None)
            return
        with suppress(CacheError), writing():
            self._client.unlink(name)
