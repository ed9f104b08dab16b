"""Commands that can wait: a thread sends them to Redis in pipelines, so that no request waits for them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TypeAlias

import redis

from .background import BackgroundWorker, begin_in_each_process

logger = logging.getLogger("encore.outbox")

Command: TypeAlias = tuple[str | bytes | int | float, ...]

MAX_WAITING = 2_000
MAX_PIPELINE = 200
CLOSE_SECONDS = 5.0
EVERY_SECONDS = 1.0
"""How often the thread looks whether it can end; what is put wakes it at once."""


class Outbox:
    """Sends what it is given, in order, at most once: what Redis does not take is dropped and counted.

    `put` returns at once and never raises. A forked child begins with nothing.
    """

    def __init__(self, client: redis.Redis, *, max_waiting: int = MAX_WAITING) -> None:
        self._client = client
        self._max_waiting = max_waiting
        self._worker = BackgroundWorker(self._send_waiting, name="encore-outbox", every_seconds=EVERY_SECONDS)
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._waiting: deque[Command] = deque()
        self._sending = threading.Lock()
        self._is_failing = False
        self.dropped = 0
        """Commands that were never sent, or not taken."""

    def put(self, *commands: Command) -> None:
        """Queues commands; drops them when too many wait already. Returns at once, never raises."""
        if len(self._waiting) + len(commands) > self._max_waiting:
            self.dropped += len(commands)
            return
        self._waiting.extend(commands)
        self._worker.wake()

    def flush(self) -> None:
        """Sends all commands put so far. Returns when Redis has taken or refused them."""
        self._send_waiting()

    def close(self) -> None:
        """Sends the commands that wait and ends the thread."""
        self._worker.stop(CLOSE_SECONDS)
        self.flush()

    def _send_waiting(self) -> bool:
        found = False
        with self._sending:
            while self._waiting:
                found = True
                self._send([self._waiting.popleft() for _ in range(min(MAX_PIPELINE, len(self._waiting)))])
        return found

    def _send(self, batch: list[Command]) -> None:
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for command in batch:
                    pipeline.execute_command(*command)
                replies = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            self._note(len(batch), type(error).__name__)
            return
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        self._note(len(failures), type(failures[0]).__name__ if failures else "")

    def _note(self, dropped: int, problem: str) -> None:
        """Logs one line per change of state."""
        self.dropped += dropped
        if bool(problem) != self._is_failing:
            self._is_failing = bool(problem)
            logger.warning(
                "%s", f"queued commands are dropped: {problem}" if problem else "queued commands are sent again"
            )
