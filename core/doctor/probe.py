"""Asking something outside, such as a provider, that may fail in any way or stay silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

PROBE_SECONDS = 5.0

Value = TypeVar("Value")


class Probed(msgspec.Struct, Generic[Value]):
    """The result of a probe: an answer, an error, or neither when nothing came in time."""

    value: Value | None = None
    failure: Exception | None = None
    milliseconds: float = 0.0

    @property
    def problem(self) -> str:
        """Why there is no answer: the class of the error, or that it was silent."""
        return type(self.failure).__name__ if self.failure else f"no answer for {PROBE_SECONDS:.0f} s"


def probe(ask: Callable[[], Value]) -> Probed[Value]:
    """Calls a function on a thread of its own and waits for at most PROBE_SECONDS. Never raises."""
    probed: Probed[Value] = Probed()

    def run() -> None:
        began = time.perf_counter()
        try:
            value = ask()
        except Exception as error:  # noqa: BLE001 (reported in the diagnosis, and nowhere else)
            probed.milliseconds = (time.perf_counter() - began) * 1000
            probed.failure = error
        else:
            probed.milliseconds = (time.perf_counter() - began) * 1000
            probed.value = value

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return probed
