"""Redis' errors in the project's words: the one place that decides what a failed command means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.sentinel

from ...errors import NotPermitted, OutcomeUnknown, StoreTimeout, StoreUnavailable, WriteRefused

_REFUSALS = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")

_DENIED = re.compile(r"no permissions to |executing the script can't |^NOPERM", re.IGNORECASE)
_DENIED_COMMAND = re.compile(r"permissions to run the '([a-z|.-]{1,40})' command")


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
    if is_denied(error):
        found = _DENIED_COMMAND.search(text)
        what = f"run {found[1].upper().replace('|', ' ')}" if found else "run this, or use its keys"
        return NotPermitted(f"Redis does not let its user {what}")
    if writing and is_refusal(error):
        # The client cuts the code off the text of the errors that it has classes for.
        is_replica = isinstance(error, redis.exceptions.ReadOnlyError)
        code = "READONLY" if is_replica else next((code for code in _REFUSALS if code in text), "OOM")
        return WriteRefused(f"Redis takes no writes now ({code})")
    if isinstance(error, redis.sentinel.MasterNotFoundError) and "Auth" in text:
        return StoreUnavailable("the Sentinels refuse the password or user (sentinel_password in the URL)")
    if isinstance(error, redis.exceptions.AuthenticationError):
        return StoreUnavailable("Redis refused the password or user")
    if isinstance(error, redis.TimeoutError):
        if writing:
            return OutcomeUnknown(
                "Redis did not answer in time: the write may or may not have been done", timed_out=True
            )
        return StoreTimeout("Redis did not answer in time")
    if isinstance(error, redis.ConnectionError):
        if writing and "connecting" not in text:
            return OutcomeUnknown("Redis closed the connection: the write may or may not have been done")
        return StoreUnavailable("Redis cannot be reached")
    return StoreUnavailable(f"Redis answered with an error ({type(error).__name__})")


def is_refusal(error: object) -> bool:
    """Whether an error says that the server takes no writes now."""
    return isinstance(error, redis.exceptions.OutOfMemoryError | redis.exceptions.ReadOnlyError) or (
        isinstance(error, redis.ResponseError) and any(code in str(error) for code in _REFUSALS)
    )


def is_denied(error: object) -> bool:
    """Whether an error says that Redis' user may not run a command, or not with these keys, by itself or in a script.

    What a script was refused comes as an error of the script, which the client has no class for.
    """
    return isinstance(error, redis.exceptions.NoPermissionError) or (
        isinstance(error, redis.ResponseError) and _DENIED.search(str(error)) is not None
    )
