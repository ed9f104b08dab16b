"""Every error Encore raises, split by what the caller can do about it.

One tree under `CacheError`. A message never holds a secret, a prompt or an answer. Errors of the provider are not
translated: they reach the caller as the provider's own client raised them.
"""

from __future__ import annotations

from collections.abc import Sequence


class CacheError(Exception):
    """Root of the tree: catches everything Encore raises on its own account."""


# What the caller gave is wrong: correct it and call again.


class InvalidInput(CacheError, ValueError):
    """Raised when an argument cannot be used; names the field and says what to do."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(CacheError):
    """Raised when what was named does not exist, or no longer."""


class InvalidSettings(CacheError, ValueError):
    """Raised at start when settings cannot be used; lists every problem at once, secrets masked."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("settings cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


# The cache cannot do its work now: the answer may still be had from the provider.


class StoreUnavailable(CacheError):
    """Raised when the store did not answer, refused the connection or is behind an open circuit breaker."""


class StoreTimeout(StoreUnavailable):
    """Raised when the store did not answer within its client's patience: it hangs, is busy or is too far away."""


class NotPermitted(StoreUnavailable):
    """Raised when Redis does not let its user run a command; names it. The server answers, and all else may work."""


class WriteRefused(CacheError):
    """Raised when the store answered that it takes no writes now (out of memory, read-only, failed snapshot)."""


class OutcomeUnknown(CacheError):
    """Raised when a write was sent and no answer came: it may have been applied; repeat it with the same id.

    `timed_out`: none came within the client's patience.
    """

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class NotCached(CacheError):
    """Raised for a request that may only be answered from the cache (`only-if-cached`) and is not there."""


# Invalidations


class InvalidationRefused(CacheError):
    """Raised when an invalidation or an undo is understood and cannot be done; the message says the way out."""


class InvalidationNotFound(InvalidationRefused, NotFound):
    """Raised when no active invalidation has the given id."""


class AccessDenied(CacheError):
    """Raised when the actor's role does not allow the action; names the role it takes."""


class ThresholdRefused(CacheError):
    """Raised when labels do not support a threshold; says what is missing."""


# Parts around the cache


class ProviderUnavailable(CacheError):
    """Raised when no provider is configured for the request."""


class EmbedderError(CacheError):
    """Raised when an embedder gives no usable vector; semantic lookup is skipped, exact lookup is unaffected."""


class EmbeddedRedisError(CacheError):
    """Raised when no Redis server can be found or started on this machine; says the ways out."""


class IncompleteStream(CacheError):
    """Raised when a stream did not come to its proper end or cannot be put together: there is no whole answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the stream has no whole answer: {reason}")


class UnclearStream(IncompleteStream):
    """Raised when a stream can be put together in more ways than one: it is passed on, and what it says is not kept."""


class DecodeError(CacheError):
    """Raised by the codec for bytes that are not an entry it can read; a lookup counts it as a miss."""
