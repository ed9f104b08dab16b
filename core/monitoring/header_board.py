"""Headers of callers that an operator should know of, over all processes: what the gateway drops because it does not
know it, and what is in the key and keeps every request apart.

Names only, never values. Whatever callers send, the number of names is bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from functools import partial
from typing import cast

import msgspec
import redis

from ..concurrency import beside
from ..errors import CacheError
from ..keys import names
from ..stores.redis import reading, writing
from ..text import printable

logger = logging.getLogger("encore.gateway")

MOST_NAMES = 100
LONGEST_NAME = 60
KEPT_SECONDS = 7 * 86_400
LOOKED_AT = 100
DIFFERENT = 90
"""Of so many misses with a header, so many values that were all different mean that it names the request."""


class Why(StrEnum):
    """Why a header is named."""

    DROPPED = "dropped"
    DIFFERS = "differs"


class NamedHeader(msgspec.Struct, frozen=True):
    """A header by its name, and why it is named."""

    name: str
    why: Why


class HeaderBoard:
    """What was seen by all processes with a client, by this one without. Threads may share it."""

    def __init__(self, client: redis.Redis | None, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._named: set[NamedHeader] = set()
        self._values: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def missed(self, dropped: Iterable[str], keyed: Collection[tuple[str, str]]) -> list[str]:
        """Looks at the headers of a request that was no hit, and gives the names of those that are in its key and
        differ at nearly every request. Names each at most once in the log, and does not wait for Redis."""
        found = [NamedHeader(_cut(name), Why.DROPPED) for name in dropped]
        found += [NamedHeader(_cut(name), Why.DIFFERS) for name, value in keyed if self._differs(_cut(name), value)]
        for header in found:
            with self._lock:
                if header in self._named or len(self._named) >= MOST_NAMES:
                    continue
                self._named.add(header)
            logger.warning(_WORDS[header.why], header.name)
            if self._client is not None:
                beside(partial(self._write, self._client, header))
        return [name for name, _ in keyed if NamedHeader(_cut(name), Why.DIFFERS) in self._named] if self._named else []

    def _differs(self, name: str, value: str) -> bool:
        with self._lock:
            if name not in self._values and len(self._values) >= MOST_NAMES:
                return False
            seen = self._values.setdefault(name, [])
            seen.append(hash(value))
            if len(seen) < LOOKED_AT:
                return False
            self._values[name] = []
        return len(set(seen)) >= DIFFERENT

    def _write(self, client: redis.Redis, header: NamedHeader) -> None:
        try:
            with writing():
                client.zadd(names.HEADERS, {f"{header.why}:{header.name}": self._clock()})
                client.zremrangebyrank(names.HEADERS, 0, -MOST_NAMES - 1)
                client.expire(names.HEADERS, KEPT_SECONDS)
        except CacheError as error:
            logger.debug("a header is not noted: %s", error)

    def all(self) -> list[NamedHeader]:
        """What was named in the last days, by name. Raises StoreUnavailable."""
        if self._client is None:
            return sorted(self._named, key=lambda header: header.name)
        with reading():
            since = self._clock() - KEPT_SECONDS
            found = cast("list[bytes]", self._client.zrangebyscore(names.HEADERS, since, "+inf"))
        told = (member.decode("utf-8", "replace").partition(":") for member in found)
        known = [NamedHeader(name, Why(why)) for why, _, name in told if why in list(Why)]
        return sorted(known, key=lambda header: header.name)


_WORDS = {
    Why.DROPPED: "the header %s of a caller is not sent to the provider: if it changes answers, name it in "
    "ENCORE_KEYED_HEADERS",
    Why.DIFFERS: "the header %s is in the key and differs at nearly every request: no answer is shared",
}


def _cut(name: str) -> str:
    return printable(name, LONGEST_NAME)
