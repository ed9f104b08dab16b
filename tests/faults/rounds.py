"""Rounds of many processes on one cache while faults strike: `python -m tests.faults.rounds`.

Each round has a server, workers, callers and operators of its own and is judged at its end (see `tests.faults.verdict`
for what is checked). Run by tests/faults/test_history.py for seconds with a fixed seed, by `make soak` for as long as
one likes.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from core.stores.redis.embedded import EmbeddedRedis
from tests.faults.bursts import burst
from tests.faults.callers import call
from tests.faults.history import Told, read
from tests.faults.operators import operate, sweep
from tests.faults.plan import Plan, Signals
from tests.faults.striking import Faults
from tests.faults.verdict import Verdict, judge
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SOAK = Plan(
    seconds=120,
    invalidators=2,
    invalidation_pause=(0.1, 1.0),
    fault_pause=(0.5, 4.0),
)
"""For hours: many more lookups between two invalidations, and patience for a busy machine."""

SYNCED = "appendfsync always"
"""With the usual `everysec` a kill while the disk is busy takes what Redis has acknowledged in its last second."""
L1_SECONDS = 0.2
END_SECONDS = 60.0
"""How long a process may take to end once its time is over."""


class Round:
    """Starts everything, lets faults strike, ends everything."""

    def __init__(self, plan: Plan, home: Path) -> None:
        self._plan = plan
        self._home = home
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.callers", "tests.faults.operators", "tests.faults.bursts"])
        self._server = EmbeddedRedis(home, durable=True, options=[SYNCED])
        self._bursts = range(plan.burst_processes if plan.tags_a_second else 0)
        self._signals = Signals(self._context, plan.callers + 2 + len(self._bursts))
        self._numbers = 0
        self._callers: list[BaseProcess] = []

    def run(self) -> Verdict:
        """The verdict over the round."""
        told = [self._home / f"told-{number}" for number in range(1 + len(self._bursts))]
        with self._server, self._pool() as pool, self._gateway() as port:
            self._callers = [self._start_caller() for _ in range(self._plan.callers)]
            self._sweeper = self._start_sweeper()
            operators = [self._start(operate, self._plan, self._server.url, told[0], self._signals)]
            operators += [
                self._start(burst, self._plan, self._server.url, port, told[1 + number], number, self._signals)
                for number in self._bursts
            ]
            deadline = self._signals.start(self._plan.seconds)
            faults = Faults(
                self._plan,
                self._server,
                deadline,
                replace_caller=self._replace_caller,
                replace_sweeper=self._replace_sweeper,
                pool=pool,
            )
            if self._plan.faults:
                faults.strike()
            for process in (*self._callers, *operators, self._sweeper):
                process.join(max(0.0, deadline - time.monotonic()) + END_SECONDS)
                if process.exitcode != 0:
                    process.kill()
                    raise SystemExit(f"a process of the history failed: {process.exitcode}")
        parts = [msgspec.msgpack.decode(path.read_bytes(), type=Told) for path in told]
        return judge(read(self._home, parts, faults.struck))

    @contextlib.contextmanager
    def _pool(self):
        """The workers, as an operator starts them: the process that their parent is."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ENCORE_")}
        environment |= {"ENCORE_REDIS_URL": self._server.url, "ENCORE_PROVIDER": "demo", "ENCORE_HOME": str(self._home)}
        command = [sys.executable, "-m", "workers", "--workers", "1"]
        with (self._home / "workers.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process.pid
            if process.poll() is not None:
                raise SystemExit(f"the workers ended: {(self._home / 'workers.log').read_text()}")
        finally:
            process.terminate()
            process.wait(END_SECONDS)

    @contextlib.contextmanager
    def _gateway(self):
        """The port of a gateway with the operations API; 0 without one."""
        if not self._plan.over_http:
            yield 0
            return
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ENCORE_")}
        environment |= {"ENCORE_REDIS_URL": self._server.url, "ENCORE_PROVIDER": "demo", "ENCORE_HOME": str(self._home)}
        environment |= {"ENCORE_GATEWAY_PORT": str(port), "ENCORE_OPERATION_RATE": "1000000"}
        with (self._home / "gateway.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "core.http"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            end = time.monotonic() + END_SECONDS
            while not _serves(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"the gateway does not serve: {(self._home / 'gateway.log').read_text()}")
                time.sleep(0.1)
            yield port
            if process.poll() is not None:
                raise SystemExit(f"the gateway ended: {(self._home / 'gateway.log').read_text()}")
        finally:
            process.terminate()
            process.wait(END_SECONDS)

    def _start(self, target: Callable[..., None], *arguments: Any) -> BaseProcess:
        process = self._context.Process(target=target, args=arguments)
        process.start()
        return process

    def _start_caller(self) -> BaseProcess:
        self._numbers += 1
        return self._start(call, self._plan, self._server.url, self._home, self._numbers, self._signals)

    def _start_sweeper(self) -> BaseProcess:
        self._numbers += 1
        return self._start(sweep, self._plan, self._server.url, self._numbers, self._signals)

    def _replace_caller(self, chance: random.Random) -> None:
        place = chance.randrange(len(self._callers))
        self._callers[place].kill()
        self._callers[place].join()
        self._callers[place] = self._start_caller()

    def _replace_sweeper(self) -> None:
        self._sweeper.kill()
        self._sweeper.join()
        self._sweeper = self._start_sweeper()


def _serves(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False


def run(plan: Plan, home: Path) -> Verdict:
    """One round in a folder."""
    return Round(plan, home).run()


class Sum(msgspec.Struct, kw_only=True):
    """What all rounds so far have seen."""

    rounds: int = 0
    operations: int = 0
    hits: int = 0
    copied: int = 0
    generations: int = 0
    invalidations: int = 0
    kept_over_undo: int = 0
    put_back: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    failures: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """One more round."""
        self.rounds += 1
        for name in ("operations", "hits", "copied", "generations", "invalidations", "kept_over_undo", "put_back"):
            setattr(self, name, getattr(self, name) + getattr(verdict, name))
        for counts, more in (
            (self.faults, verdict.faults),
            (self.kinds, verdict.kinds),
            (self.failures, verdict.failures),
        ):
            counts.update(more)

    def __str__(self) -> str:
        return (
            f"{self.operations:,} lookups and {self.copied:,} copies served ({self.hits:,} hits), "
            f"{self.generations:,} generations, "
            f"{self.invalidations:,} invalidations {dict(self.kinds)}, not acknowledged {dict(self.failures)}, "
            f"{self.kept_over_undo:,} answers found again after an undo, "
            f"{self.put_back:,} of them in the place of newer ones, "
            f"{self.faults.total()} faults {dict(self.faults)}"
        )


def rounds(
    plan: Plan, *, first_seed: int, minutes: float, is_enough: Callable[[Sum], bool] = lambda total: False
) -> list[str]:
    """Round after round, each with the next seed, a line each, until the time is over or enough has been seen.

    Every fifth with copies in the processes.

    What was violated, in the first round in which something was.
    """
    end, total = time.monotonic() + minutes * 60, Sum()
    while (left := end - time.monotonic()) > 0 and not is_enough(total):
        seed = first_seed + total.rounds
        plan = msgspec.structs.replace(
            plan,
            seed=seed,
            seconds=min(plan.seconds, max(10.0, left)),
            l1_seconds=L1_SECONDS if seed % 5 == 0 else 0.0,
        )
        with tempfile.TemporaryDirectory(prefix="encore-history-") as home:
            verdict = run(plan, Path(home))
        total.add(verdict)
        print(
            f"{time.strftime('%H:%M:%S')} seed {seed}: {len(verdict.violations)} violations in "
            f"{verdict.operations:,} lookups, {verdict.invalidations} invalidations; so far {total}",
            flush=True,
        )
        if not verdict.clean:
            return verdict.violations
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--round", type=float, default=60, help="seconds of a round")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--callers", type=int, default=2, help="processes that ask")
    parser.add_argument("--lookups", type=int, help="end when there were so many, and")
    parser.add_argument("--invalidations", type=int, help="so many of these")
    parser.add_argument("--tags", type=float, default=0, metavar="RATE", help="invalidate so many tags a second, too")
    parser.add_argument("--http", action="store_true", help="do that through the operations API")
    parser.add_argument("--no-faults", action="store_true")
    options = parser.parse_args()
    plan = msgspec.structs.replace(
        SOAK,
        seconds=options.round,
        callers=options.callers,
        tags_a_second=options.tags,
        over_http=options.http,
        faults=not options.no_faults,
    )

    def is_enough(total: Sum) -> bool:
        wanted = ((options.lookups, total.operations), (options.invalidations, total.invalidations))
        return any(most for most, _ in wanted) and all(so_far >= (most or 0) for most, so_far in wanted)

    violations = rounds(plan, first_seed=options.seed, minutes=options.minutes, is_enough=is_enough)
    for violation in violations:
        print("   ", violation)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
