"""Idempotency keys: a request that is sent again is answered as it was, and what it asks for is not done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from fastapi import Header

from ..access import Repeats
from ..errors import AccessDenied, CacheError, InvalidationRefused, InvalidInput, NotFound, WriteRefused
from .problems import KEY_REUSED, Refused

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
    """The answers of a day, by operator and key."""

    def __init__(self, repeats: Repeats) -> None:
        self._repeats = repeats

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
        name = f"{operator} {key}"  # with a space, which is in no request id
        known = self._claim(name, _Kept(what))
        if known is not None and known.what != what:
            raise Refused(KEY_REUSED, "another request came with this key within the last day", field="Idempotency-Key")
        if known is not None and known.answer is not None:
            return known.answer, True
        try:
            answer = act(hashlib.sha256(f"{name} {what}".encode()).hexdigest()[:24])
        except (Refused, InvalidInput, NotFound, AccessDenied, InvalidationRefused):
            with suppress(CacheError):  # nothing was done: a corrected request may come with the same key
                self._repeats.forget(name)
            raise
        with suppress(CacheError):  # it is done; a repetition is then done again under the same id
            self._repeats.keep(name, msgspec.json.encode(_Kept(what, answer)))
        return answer, False

    def _claim(self, name: str, mine: _Kept) -> _Kept | None:
        """What is kept under the name; None when it is ours now, or when nothing can be kept."""
        try:
            kept = self._repeats.claim(name, msgspec.json.encode(mine))
        except WriteRefused:
            return None  # an invalidation works then, and its id is the same at each repetition
        return msgspec.json.decode(kept, type=_Kept) if kept is not None else None
