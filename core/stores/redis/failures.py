"""Redis' errors in the project's words: the one place that decides what a failed command means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from ...errors import OutcomeUnknown, StoreUnavailable, WriteRefused

_REFUSALS = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOPERM")


@contextmanager
def reading() -> Iterator[None]:
    """Around commands that change nothing: raises StoreUnavailable for what the client raises."""
    try:
        yield
    except redis.RedisError as error:
        raise translated(error, writing=False) from error


@contextmanager
def writing() -> Iterator[None]:
    """Around commands that write: raises StoreUnavailable, WriteRefused, or OutcomeUnknown when no answer came."""
    try:
        yield
    except redis.RedisError as error:
        raise translated(error, writing=True) from error


def translated(error: redis.RedisError, *, writing: bool) -> StoreUnavailable | WriteRefused | OutcomeUnknown:
    """The error in the project's words. Redis' own text is kept as the cause; it may name keys, so it is not shown."""
    text = str(error)
    if writing and (
        isinstance(error, redis.exceptions.OutOfMemoryError | redis.exceptions.ReadOnlyError)
        or any(code in text for code in _REFUSALS)
    ):
        # The client cuts the code off the text of the errors that it has classes for.
        is_replica = isinstance(error, redis.exceptions.ReadOnlyError)
        code = "READONLY" if is_replica else next((code for code in _REFUSALS if code in text), "OOM")
        return WriteRefused(f"Redis takes no writes now ({code})")
    if isinstance(error, redis.exceptions.AuthenticationError):
        return StoreUnavailable("Redis refused the password or user")
    if isinstance(error, redis.TimeoutError):
        if writing:
            return OutcomeUnknown("Redis did not answer in time: the write may or may not have been done")
        return StoreUnavailable("Redis did not answer in time")
    if isinstance(error, redis.ConnectionError):
        if writing and "connecting" not in text:
            return OutcomeUnknown("Redis closed the connection: the write may or may not have been done")
        return StoreUnavailable("Redis cannot be reached")
    return StoreUnavailable(f"Redis answered with an error ({type(error).__name__})")
