"""Processes and those that they have started."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CHILD_SECONDS = 30


def in_child(check: Callable[[], object]) -> None:
    """Checks something in a fork of this process, which fails when an assertion does, or when it hangs."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(CHILD_SECONDS)
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@contextmanager
def hearing_signals() -> Iterator[None]:
    """What is started meanwhile hears all signals, as from a terminal. Under nohup or in the background of a shell
    some are ignored, and whoever is started there inherits that.
    """
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still are."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """Its children, and theirs."""
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]
