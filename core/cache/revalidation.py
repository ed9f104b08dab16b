"""Stale answers generated anew in the background: the process that serves one queues its request, a worker repeats it.

The request waits in Redis for some minutes under the key of its answer, and the job is given that key only. One refresh
per key at a time, however many processes serve the stale answer.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import msgspec
import redis
from cachetools import TTLCache

from ..concurrency import BackgroundWorker, begin_in_each_process
from ..errors import ProviderUnavailable
from ..keys import names, parse_readable_key
from ..metrics import Asking, Telling
from ..models import AtMost, CacheStrategy, ChatRequest, Controls, For, NoStore, Outcome, ttl
from ..stores.redis import reading, writing
from ..wire import is_secret

if TYPE_CHECKING:
    from .cache import LLMCache
    from .call import Recorder

logger = logging.getLogger("encore.refresh")

WAITS_SECONDS: Final = 600
"""How long a request waits for a worker. Until then its key is not queued again."""
RESTS_SECONDS: Final = 30
"""How long a key is left alone after its refresh has failed: an outage must not make a crowd of jobs."""
REPEAT_SECONDS: Final = 5.0
"""How long a process does not queue a key again that it has just queued."""
MOST_WAITING: Final = 1000
"""Requests that wait to be written to Redis, and keys that are remembered as just queued."""
EVERY_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 5.0


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be sent again, and the controls that say how its answer is stored."""

    request: ChatRequest
    namespace: str | None = None
    strategy: CacheStrategy | None = None
    ttl_seconds: float | None = None
    is_most: bool = False
    tags: tuple[str, ...] = ()
    user: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RefreshRequest).decode


class RefreshQueue:
    """The requests that wait in Redis for a worker to send them again. Thread-safe; a forked child begins with none.

    A thread writes them, so that the request that found a stale answer does not wait for Redis.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._worker = BackgroundWorker(self._write_waiting, name="encore-refresh", every_seconds=EVERY_SECONDS)
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._waiting: deque[tuple[ChatRequest, Controls, str]] = deque()
        self._lock = threading.Lock()
        self._queued: TTLCache[str, bool, float] = TTLCache(MOST_WAITING, REPEAT_SECONDS)

    def __call__(self, request: ChatRequest, controls: Controls, key: str) -> None:
        """Queues a request, unless its key was queued a moment ago or too many wait. Returns at once, never raises."""
        if not _may_be_kept(request):
            return
        with self._lock:
            if key in self._queued or len(self._waiting) >= MOST_WAITING:
                return
            self._queued[key] = True
            self._waiting.append((request, controls, key))
        self._worker.wake()

    def _write_waiting(self) -> bool:
        found = False
        while self._waiting:
            try:
                self._write(*self._waiting.popleft())
            except IndexError:
                break  # another thread took the last
            found = True
        return found

    def _write(self, request: ChatRequest, controls: Controls, key: str) -> None:
        asked = RefreshRequest(
            request=request,
            namespace=controls.namespace,
            strategy=controls.strategy,
            ttl_seconds=_seconds(controls),
            is_most=isinstance(controls.ttl, AtMost),
            tags=controls.tags,
            user=controls.user,
        )
        try:
            if self._client.set(names.REFRESH + key.encode(), _encode(asked), nx=True, ex=WAITS_SECONDS):
                self._client.rpush(names.REFRESHES, key)
                self._client.expire(names.REFRESHES, WAITS_SECONDS)
        except (redis.RedisError, TypeError, ValueError) as error:
            logger.debug("a refresh is not queued: %s", type(error).__name__)

    def take(self, most: int = 100) -> list[str]:
        """Takes up to `most` keys whose requests wait; each is given to one caller only.

        Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        with writing():
            taken = cast("list[bytes] | None", self._client.lpop(names.REFRESHES, most))
        return [name.decode() for name in taken or ()]

    def asked(self, key: str) -> RefreshRequest | None:
        """The request of a key, None when it has waited too long or cannot be read. Raises StoreUnavailable."""
        if parse_readable_key(key) is None:
            return None
        with reading():
            value = cast("bytes | None", self._client.get(names.REFRESH + key.encode()))
        try:
            return _decode(value) if value is not None else None
        except msgspec.MsgspecError:
            return None

    def ended(self, key: str, *, well: bool) -> None:
        """Lets a key be refreshed again: at once, or RESTS_SECONDS after a refresh that did not go `well`.

        Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        with writing():
            if well:
                self._client.delete(names.REFRESH + key.encode())
            else:
                self._client.expire(names.REFRESH + key.encode(), RESTS_SECONDS)

    def close(self) -> None:
        """Writes the requests that wait and ends the thread."""
        self._worker.stop(CLOSE_SECONDS)
        self._write_waiting()


def refresh(cache: LLMCache, refreshes: RefreshQueue, key: str) -> str:
    """Sends a queued request to the provider and stores the answer. Returns the outcome in a few words.

    Counted as a refresh and not as a request. Raises what the provider raises.
    """
    asked = refreshes.asked(key)
    if asked is None:
        return "gone"
    controls = Controls(
        namespace=asked.namespace,
        strategy=asked.strategy,
        ttl=AtMost(asked.ttl_seconds) if asked.is_most and asked.ttl_seconds else ttl(asked.ttl_seconds),
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

    def record(
        self,
        outcome: Outcome,
        prompt: str | None = None,
        sender: Telling | None = None,
        asked: Asking | None = None,
    ) -> None:
        """Counts a refresh by whether the new answer was stored."""
        self._metrics.count("refreshes" if outcome.stored else "refreshes_failed")

    def count(self, name: str, amount: int = 1) -> None:
        """Counts an event that is not a request."""
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
    return not any(is_secret(name.lower()) for name in (*request.headers, *request.unkeyed.get("extra_headers", ())))
