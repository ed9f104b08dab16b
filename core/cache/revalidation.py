"""Stale answers generated anew behind the scenes: who serves one leaves its request, a worker takes it up.

The request waits in Redis for some minutes under a name that says nothing; a job is told that name only. One refresh
per key at a time, whoever asks.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import redis

from ..errors import ProviderUnavailable
from ..keys import names, parse_readable_key
from ..models import CacheStrategy, ChatRequest, Controls, For, NoStore, Outcome, ttl
from ..stores.redis import reading, writing

if TYPE_CHECKING:
    from .cache import LLMCache
    from .call import Recorder

logger = logging.getLogger("encore.refresh")

WAITS_SECONDS: Final = 600
"""How long a request waits for a worker. Meanwhile nobody asks for the same again."""
RESTS_SECONDS: Final = 30
"""How long a key is left alone after its refresh has failed: an outage must not make a crowd of jobs."""
REPEAT_SECONDS: Final = 5.0
MOST_WAITING: Final = 1000
_SECRETS: Final = frozenset({"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to ask again: the request, and the controls that say how its answer is kept."""

    request: ChatRequest
    namespace: str | None = None
    strategy: CacheStrategy | None = None
    ttl_seconds: float | None = None
    tags: tuple[str, ...] = ()
    user: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Asked).decode


class Refreshes:
    """The requests that wait for a worker. As a Refresher it returns at once and never raises."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encore-refresh")
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._asked: dict[str, float] = {}

    def __call__(self, request: ChatRequest, controls: Controls, key: str) -> None:
        """Leaves a request to be asked again, unless that was done a moment ago."""
        now = time.monotonic()
        if now < self._asked.get(key, now) or not _may_be_kept(request) or not self._room.acquire(blocking=False):
            return
        if len(self._asked) >= MOST_WAITING:
            self._asked = {}
        self._asked[key] = now + REPEAT_SECONDS
        try:
            self._thread.submit(self._leave, request, controls, key)
        except RuntimeError:  # closed: the process is ending
            self._room.release()

    def _leave(self, request: ChatRequest, controls: Controls, key: str) -> None:
        asked = Asked(
            request=request,
            namespace=controls.namespace,
            strategy=controls.strategy,
            ttl_seconds=_seconds(controls),
            tags=controls.tags,
            user=controls.user,
        )
        try:
            if self._client.set(names.REFRESH + key.encode(), _encode(asked), nx=True, ex=WAITS_SECONDS):
                self._client.rpush(names.REFRESHES, key)
                self._client.expire(names.REFRESHES, WAITS_SECONDS)
        except (redis.RedisError, TypeError, ValueError) as error:
            logger.debug("a refresh is not asked for: %s", type(error).__name__)
        finally:
            self._room.release()

    def take(self, most: int = 100) -> list[str]:
        """Keys whose requests wait; each is given to one caller only. Raises StoreUnavailable."""
        with reading():
            taken = cast("list[bytes] | None", self._client.lpop(names.REFRESHES, most))
        return [name.decode() for name in taken or ()]

    def asked(self, key: str) -> Asked | None:
        """What to ask again, None when it has waited too long or cannot be read. Raises StoreUnavailable."""
        if parse_readable_key(key) is None:
            return None
        with reading():
            value = cast("bytes | None", self._client.get(names.REFRESH + key.encode()))
        try:
            return _decode(value) if value is not None else None
        except msgspec.MsgspecError:
            return None

    def ended(self, key: str, *, well: bool) -> None:
        """Lets the key be refreshed again: at once, or after a rest when it went wrong."""
        with writing():
            if well:
                self._client.delete(names.REFRESH + key.encode())
            else:
                self._client.expire(names.REFRESH + key.encode(), RESTS_SECONDS)

    def close(self) -> None:
        """Leaves what is on its way and ends the thread."""
        self._thread.shutdown(wait=True)


def refresh(cache: LLMCache, refreshes: Refreshes, key: str) -> str:
    """Asks the provider anew and stores the answer; what came of it in a word or two.

    Counted as a refresh and not as a request. Raises what the provider raises.
    """
    asked = refreshes.asked(key)
    if asked is None:
        return "gone"
    controls = Controls(
        namespace=asked.namespace,
        strategy=asked.strategy,
        ttl=ttl(asked.ttl_seconds),
        tags=asked.tags,
        user=asked.user,
        no_cache=True,
    )
    counts = RefreshCounts(cache.metrics)
    uncounted = cache.counted_by(counts)
    well = False
    try:
        answer = uncounted.complete(asked.request, controls)
        well = answer.outcome.stored
    except ProviderUnavailable as error:
        return f"not possible here: {error}"
    finally:
        refreshes.ended(key, well=well)
    return "stored" if well else f"not stored: {answer.outcome.not_stored or answer.outcome.reason}"


class RefreshCounts:
    """Counts refreshes apart from requests."""

    def __init__(self, metrics: Recorder) -> None:
        self._metrics = metrics

    def record(self, outcome: Outcome, prompt: str | None = None) -> None:
        """Counts a refresh by whether the new answer was stored."""
        self._metrics.count("refreshes" if outcome.stored else "refreshes_failed")

    def count(self, name: str, amount: int = 1) -> None:
        """Counts an event."""
        self._metrics.count(name, amount)


def _seconds(controls: Controls) -> float | None:
    match controls.ttl:
        case For(seconds=seconds):
            return seconds
        case NoStore():
            return 0.0
        case _:
            return None


def _may_be_kept(request: ChatRequest) -> bool:
    """Whether the request may wait in Redis: one with a secret of its own may not."""
    headers: Any = request.unkeyed.get("extra_headers") or {}
    return _SECRETS.isdisjoint(name.lower() for name in headers)
