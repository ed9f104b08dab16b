"""The log of our processes: a record is one line, whoever's text is in it, and an error is where it came from.

A caller's text could else begin a line of its own, and the message of an error often quotes what it was given.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from types import TracebackType

from .printable import printable

LONGEST_LINE = 2000
MOST_ERRORS = 10

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """Writes each record on one line; of an error and its causes the types and places, never their messages."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """The record on one line."""
        return printable(super().formatMessage(record), LONGEST_LINE)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 (the library's name)
        """An indented line for the error, and one for each of its causes and parts."""
        lines: list[str] = []
        waiting = [ei[1]]
        while waiting and len(lines) < MOST_ERRORS:
            error = waiting.pop(0)
            if error is None:
                continue
            frames = reversed(traceback.extract_tb(error.__traceback__))
            places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
            reason = f" ({printable(error.strerror, 100)})" if isinstance(error, OSError) and error.strerror else ""
            lines.append(f"  Traceback: {type(error).__name__}{reason} at {places or 'no place'}")
            waiting.append(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
            if isinstance(error, BaseExceptionGroup):
                waiting += error.exceptions
        return "\n".join(lines)


def log_lines(level: int, form: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
    """Has this process log to its standard error, by the root logger, each record in the `form` of `logging`."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])
