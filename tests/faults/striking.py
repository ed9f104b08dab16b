"""Faults, at random: what is lost, killed, hangs or is full."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Sequence

import redis

from core.keys.names import Slot
from core.stores.redis.embedded import EmbeddedRedis
from core.stores.redis.store import patient_client
from tests.faults.history import Struck
from tests.faults.plan import Plan
from tests.faults.questions import NAMESPACES
from tests.processes import children

FAULTS = {
    "record": 3,
    "flush": 1,
    "kill": 2,
    "hang": 2,
    "evict": 3,
    "full": 2,
    "caller": 1,
    "sweeper": 2,
    "worker": 1,
    "horse": 2,
}
HORSE_SECONDS = 1.0
"""How long a fault waits for a worker to be at work."""


class Faults:
    """Strikes until shortly before the end. Its thread must outlive the server: that ends with who has started it.

    `replace_caller` and `replace_sweeper` kill one of those processes and start another; `pool` is the workers' parent.
    """

    def __init__(
        self,
        plan: Plan,
        server: EmbeddedRedis,
        deadline: float,
        *,
        replace_caller: Callable[[random.Random], None],
        replace_sweeper: Callable[[], None],
        pool: int,
    ) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._server = server
        self._deadline = deadline
        self._pool = pool
        self._strikes: dict[str, Callable[[], object]] = {
            "record": self._lose_record,
            "flush": self._flush,
            "kill": self._kill,
            "hang": self._hang,
            "evict": self._evict,
            "full": self._fill,
            "caller": lambda: replace_caller(self._chance),
            "sweeper": replace_sweeper,
            "worker": lambda: self._kill_one(children(self._pool)),
            "horse": self._kill_horse,
        }
        self.struck: list[Struck] = []

    def strike(self) -> None:
        """Returns at the end."""
        while time.monotonic() < self._deadline - 2:
            time.sleep(self._chance.uniform(*self._plan.fault_pause))
            kind = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
            began = time.monotonic()
            with contextlib.suppress(redis.RedisError):
                if self._strikes[kind]() is False:
                    continue  # there was nothing to strike
            self.struck.append(Struck(kind=kind, began=began, ended=time.monotonic()))

    def _client(self) -> redis.Redis:
        return patient_client(self._server.url, 5.0)

    def _lose_record(self) -> None:
        with self._client() as client:
            client.unlink(Slot(self._chance.choice(NAMESPACES), 0).record)

    def _flush(self) -> None:
        with self._client() as client:
            client.flushall()

    def _kill(self) -> None:
        process = self._server.process
        assert process is not None
        process.kill()
        process.wait()
        time.sleep(self._chance.uniform(0, 0.2))
        self._server.start()

    def _hang(self) -> None:
        process = self._server.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.02, 0.4))
        process.send_signal(signal.SIGCONT)

    def _evict(self) -> None:
        """The server evicts some of what may be evicted: entries, leases and aliases, never a record."""
        with self._client() as client, self._limited(client, "volatile-random"):
            before = client.info("stats")["evicted_keys"]
            client.config_set("maxmemory", int(client.info("memory")["used_memory"] * self._chance.uniform(0.9, 0.99)))
            end = time.monotonic() + 0.2
            while client.info("stats")["evicted_keys"] == before and time.monotonic() < end:
                time.sleep(0.002)

    def _fill(self) -> None:
        with self._client() as client, self._limited(client, "noeviction"):
            client.config_set("maxmemory", 1)
            time.sleep(self._chance.uniform(0.05, 0.2))

    @contextlib.contextmanager
    def _limited(self, client: redis.Redis, policy: str):
        client.config_set("maxmemory-policy", policy)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)

    def _kill_one(self, found: Sequence[int]) -> bool:
        if not found:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._chance.choice(found), signal.SIGKILL)
        return True

    def _kill_horse(self) -> bool:
        """A worker's own process for the job that it runs, as soon as there is one."""
        end = time.monotonic() + HORSE_SECONDS
        while time.monotonic() < end:
            if found := [horse for worker in children(self._pool) for horse in children(worker)]:
                time.sleep(self._chance.uniform(0, 0.02))
                return self._kill_one(found)
            time.sleep(0.002)
        return False
