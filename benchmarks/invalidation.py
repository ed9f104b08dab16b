"""What invalidating costs beside the least that the same work could cost: `python -m benchmarks.invalidation`.

With a million entries: `python -m benchmarks.invalidation --entries 1000000 --turns 1`. Only what very many of them
cost: `python -m benchmarks.invalidation --events --minutes 10`.

Every case begins with the same entries, loaded from one snapshot. An entry has its normalized alias, as most have: both
must go. The bare loop that a sweep is compared with has the names of as many entries in a sorted set and deletes them
in scripts of 200; the bare pass fetches every value by MGET of 500 and looks at none of them. Cases take turns, and the
median of their ratios is printed: of the time, and of the processor time of client and server together, which a busy
machine does not change. Sweeps run at full speed but where it says otherwise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
from rq import Queue

from benchmarks import _noop
from benchmarks._events import measure_events
from benchmarks._snapshots import (
    ALIKE,
    APART_SECONDS,
    MODELS,
    PATIENCE_SECONDS,
    SLOT,
    Setup,
    Snapshots,
    model_of,
    tag_of,
)
from core.access.audit import AuditLog
from core.bans import Criteria
from core.invalidation import SweepProgress
from core.stores.redis import patient_client
from workers.queue import JobQueue
from workers.queue.records import job_id
from workers.queue.views import JobState

READS_A_SECOND = 800
DELETION_SECONDS = 10.0

_BARE = """
local names = redis.call('ZRANGE', KEYS[1], 0, 199)
if #names == 0 then return 0 end
redis.call('UNLINK', unpack(names))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, 199)
return #names
"""


def milliseconds(times: list[float]) -> str:
    """p50 and p99 of seconds."""
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms, longest {max(times) * 1000:.2f} ms"


def measure_acknowledgement(setup: Setup, times: int) -> None:
    """How long `invalidate` takes until it is effective, its two audit records included."""
    taken = []
    for number in range(times):
        criteria = Criteria(model=MODELS[number % 2], keywords=("order",)) if number % 2 else Criteria(all=True)
        began = time.perf_counter()
        done = setup.invalidator.invalidate(criteria, actor="benchmark")
        taken.append(time.perf_counter() - began)
        setup.invalidator.undo(done.id)
    say(f"acknowledged beside {setup.entries:>9,} entries: {milliseconds(taken)}   (goal: p99 10 ms, any size)")


class Spent:
    """Seconds of the clock and of both processors since it was made."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._processor_began = self._processor()
        self._began = time.perf_counter()
        self.seconds = self.processor = 0.0

    def stop(self) -> Spent:
        """Stops the clocks. Returns the object with the seconds until now."""
        self.seconds = time.perf_counter() - self._began
        self.processor = self._processor() - self._processor_began
        return self

    def _processor(self) -> float:
        used = self._setup.client.info("cpu")
        return time.process_time() + float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def sweep(setup: Setup, *each: Criteria) -> tuple[Spent, float, SweepProgress]:
    """What a sweep at full speed took, how long until the last entry was deleted, and what it did."""
    for criteria in each:
        setup.invalidator.invalidate(criteria, actor="benchmark", hold_seconds=0)
    spent = Spent(setup)
    began = time.perf_counter()
    gone_after = deleted = 0.0

    def note(progress: SweepProgress) -> None:
        nonlocal gone_after, deleted
        if progress.deleted > deleted:
            gone_after, deleted = time.perf_counter() - began, progress.deleted

    progress = setup.invalidator.sweep(SLOT.namespace, rest=0, on_batch=note)
    if not progress.finished:
        raise SystemExit("the sweep did not come to its end")
    return spent.stop(), gone_after, progress


def bare_deletion(setup: Setup, names: list[bytes]) -> Spent:
    """What the bare loop takes over these names."""
    for start in range(0, len(names), 1000):
        setup.client.zadd("bare", {name: start + place for place, name in enumerate(names[start : start + 1000])})
    script = setup.client.register_script(_BARE)
    spent = Spent(setup)
    while script(keys=["bare"]):
        pass
    return spent.stop()


def bare_pass(setup: Setup, names: list[bytes]) -> Spent:
    """What the bare pass takes over these values."""
    spent = Spent(setup)
    for start in range(0, len(names), 500):
        setup.client.mget(names[start : start + 500])
    return spent.stop()


Ratios = tuple[float, float, float, float]


def measure_listed(snapshots: Snapshots, entries: int) -> dict[str, Ratios]:
    """One turn of sweeps of what the index lists: half of the entries each, and the bare loop over the other half."""
    half = entries // 2
    halves: dict[str, tuple[Callable[[Setup], Criteria], Callable[[int], bool]]] = {
        "one model of two": (lambda setup: Criteria(model=MODELS[0]), lambda number: model_of(number) != MODELS[0]),
        "age, the older half": (
            lambda setup: Criteria(created_before=setup.oldest_at + half * APART_SECONDS),
            lambda number: number >= half,
        ),
    }
    found = {}
    for name, (criteria, is_left) in halves.items():
        with snapshots.server(entries) as setup:
            ours, gone_after, progress = sweep(setup, criteria(setup))
            bare = bare_deletion(setup, setup.names(is_left))
        found[name] = _ratios(ours, gone_after, bare, progress.deleted)
    return found


def measure_tagged(snapshots: Snapshots, entries: int) -> dict[str, Ratios]:
    """One turn of sweeps by tag, against the loop over what they delete and one pass over everything together.

    All entries have a tag, a few the same one. One tag is invalidated, or those of half of the entries, one by one.
    """
    found = {}
    for name, count in (("one tag", ALIKE), ("the tags of half", entries // 2)):
        with snapshots.server(entries) as setup:
            ours, gone_after, progress = sweep(setup, *(Criteria(tags=(tag_of(at),)) for at in range(0, count, ALIKE)))
        with snapshots.server(entries) as setup:
            names = setup.names()
            random.shuffle(names)
            passed = bare_pass(setup, names)
            loop = bare_deletion(setup, setup.names(lambda number, count=count: number < count))
        found[name] = (
            ours.seconds / (loop.seconds + passed.seconds),
            ours.processor / (loop.processor + passed.processor),
            gone_after / loop.seconds,
            progress.scanned / ours.seconds,
        )
    return found


def measure_everything(snapshots: Snapshots, entries: int) -> tuple[dict[str, Ratios], float]:
    """One turn of sweeps of everything, and the share of its memory that is left afterwards."""
    with snapshots.server(0) as setup:
        empty = setup.used_bytes()
    with snapshots.server(entries) as setup:
        full = setup.used_bytes()
        ours, gone_after, progress = sweep(setup, Criteria(all=True))
        left = (setup.used_bytes() - empty) / (full - empty)
    with snapshots.server(entries) as setup:
        bare = bare_deletion(setup, setup.names())
    return {"everything": _ratios(ours, gone_after, bare, progress.deleted)}, left


def measure_worded(setup: Setup, turns: int) -> dict[str, list[Ratios]]:
    """Sweeps of what words and patterns select, one entry in a hundred or so, against the bare pass."""
    names = setup.names()
    random.shuffle(names)
    found: dict[str, list[Ratios]] = {"keyword": [], "pattern": []}
    for turn in range(turns):
        for name, criteria in (
            ("keyword", Criteria(keywords=(f"number {turn + 1}7",))),
            ("pattern", Criteria(pattern=f"*number {turn + 1}6* after it was paid?")),
        ):
            bare = bare_pass(setup, names)
            ours, gone_after, progress = sweep(setup, criteria)
            found[name].append(_ratios(ours, gone_after, bare, progress.scanned))
    return found


def print_sweeps(results: dict[str, list[Ratios]], against: str, goal: float) -> None:
    """Prints the medians of the sweeps."""
    for name, rows in results.items():
        time_ratio, processor_ratio, gone_ratio, rate = map(statistics.median, zip(*rows, strict=True))
        say(
            f"sweep, {name:20} {time_ratio:.2f} x the bare {against}'s time, {processor_ratio:.2f} x its work "
            f"(goal {goal}), the last gone after {gone_ratio:.2f} x; {rate:,.0f} entries/s"
        )


def _ratios(ours: Spent, gone_after: float, bare: Spent, entries: int) -> tuple[float, float, float, float]:
    return (
        ours.seconds / bare.seconds,
        ours.processor / bare.processor,
        gone_after / bare.seconds,
        entries / ours.seconds,
    )


def read_on(url: str, names: list[bytes], begun: Any, ended: Any, results: Any) -> None:
    """Reads at a fixed rate. Latencies count from when a read was due, and so include what a stall held up."""
    client = redis.Redis.from_url(url, socket_timeout=1)
    chance = random.Random(3)
    for _ in range(200):
        client.get(chance.choice(names))
    begun.set()
    taken, errors = [], 0
    due = time.perf_counter()
    while not ended.is_set():
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        try:
            client.get(chance.choice(names))
        except redis.RedisError:
            errors += 1
        taken.append(time.perf_counter() - due)
        due += 1 / READS_A_SECOND
    results.put((taken, errors))


def beside(setup: Setup, names: list[bytes], work: Callable[[], object]) -> tuple[list[float], int]:
    """What a reader in a process of its own measured while the work was done: latencies in seconds, errors."""
    context = multiprocessing.get_context("spawn")
    begun, ended, results = context.Event(), context.Event(), context.Queue()
    reader = context.Process(target=read_on, args=(setup.url, names, begun, ended, results))
    reader.start()
    begun.wait(60)
    work()
    ended.set()
    found: tuple[list[float], int] = results.get(timeout=60)
    reader.join()
    return found


def read_only(setup: Setup, names: list[bytes], seconds: float) -> None:
    """Another client that only reads, as fast as pipelines of 200 go."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pipeline = setup.client.pipeline(transaction=False)
        for name in random.sample(names, 200):
            pipeline.exists(name)
        pipeline.execute()


def measure_readers(snapshots: Snapshots, entries: int, turns: int) -> None:
    """What a reader notices of a sweep at its default pace."""
    ratios, stalls, errors = [], [], 0
    for _ in range(turns):
        with snapshots.server(entries) as setup:
            names = setup.names(lambda number: model_of(number) == MODELS[1])
            names = random.sample(names, min(5000, len(names)))
            began = time.perf_counter()
            setup.invalidator.invalidate(Criteria(model=MODELS[0]), actor="benchmark", hold_seconds=0)
            swept, failed = beside(setup, names, partial(setup.invalidator.sweep, SLOT.namespace))
            seconds = time.perf_counter() - began
            quiet, _ = beside(setup, names, partial(read_only, setup, names, seconds))
        ratios.append(p99(swept) / p99(quiet))
        stalls.append(max(swept))
        errors += failed
    say(
        f"default pace: the reader's p99 is {statistics.median(ratios):.2f} x that beside reads only (goal 3; last "
        f"{p99(swept) * 1000:.2f} and {p99(quiet) * 1000:.2f} ms), longest stall "
        f"{statistics.median(stalls) * 1000:.1f} ms (goal 25), {errors} errors (goal 0)"
    )


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


def measure_previews(setup: Setup) -> None:
    """How long a preview takes, and what it knows."""
    for criteria in (
        Criteria(model=MODELS[0]),
        Criteria(created_before=setup.oldest_at + setup.entries * APART_SECONDS / 2),
        Criteria(all=True),
        Criteria(keywords=("number 77",)),
        Criteria(pattern="*number 77* after*"),
    ):
        began = time.perf_counter()
        preview = setup.invalidator.preview(criteria)
        took = time.perf_counter() - began
        known = "exactly" if preview.exact else f"{preview.low:,} to {preview.high:,}, from {preview.scanned:,}"
        say(f"preview of {str(criteria)[:40]:42} {took * 1000:7.0f} ms: {preview.count:,}, {known}   (goal 5 s)")


class Deletions:
    """Hears of keys as the server deletes them."""

    def __init__(self, setup: Setup) -> None:
        self._client = patient_client(setup.url, PATIENCE_SECONDS)
        self._client.config_set("notify-keyspace-events", "Eg")
        self._channel = self._client.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe("__keyevent@0__:del")

    def wait(self, prefix: bytes, call: Callable[[], object]) -> float | None:
        """Milliseconds from a call until the first deletion of a key that begins so; None when there was none."""
        while self._channel.get_message(timeout=0.01):
            pass
        began = time.perf_counter()
        call()
        while time.perf_counter() - began < DELETION_SECONDS:
            message = self._channel.get_message(timeout=1)
            if message and message["data"].startswith(prefix):
                return (time.perf_counter() - began) * 1000
        return None

    def close(self) -> None:
        self._channel.close()
        self._client.config_set("notify-keyspace-events", "")
        self._client.close()


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[None]:
    """A program of this project beside us."""
    command = [sys.executable, "-m", *arguments]
    root = Path(__file__).parents[1]
    running = subprocess.Popen(command, cwd=root, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def measure_start(snapshots: Snapshots, entries: int, times: int) -> None:
    """From the call that enqueues a sweep to its first deletion, beside the start of a job of RQ that does nothing."""
    found = []
    with (
        snapshots.server(entries) as setup,
        process("workers", "--workers", "1", ENCORE_REDIS_URL=setup.url),
        process("benchmarks._noop", setup.url),
    ):
        deletions, noop = Deletions(setup), Queue("noop", connection=setup.client)
        queue = JobQueue(setup.client, AuditLog(setup.client))
        deletions.wait(_noop.KEY, lambda: noop.enqueue(_noop.start))
        while not queue.alive_workers():
            time.sleep(0.05)
        for turn in range(times):
            bare = deletions.wait(_noop.KEY, lambda: noop.enqueue(_noop.start))
            cutoff = setup.oldest_at + (turn + 1) * APART_SECONDS * entries / (times + 1)
            setup.invalidator.invalidate(Criteria(created_before=cutoff), actor="benchmark", hold_seconds=0)
            ours = deletions.wait(SLOT.entries, lambda: queue.enqueue_sweep(SLOT.namespace))
            if ours and bare:  # else the workers had found by themselves what is due
                found.append((ours, bare, ours / bare))
            while (job := queue.job(job_id("sweep", SLOT.namespace))) is None or job.state is not JobState.FINISHED:
                time.sleep(0.02)
        deletions.close()
    mine, other, ratio = map(statistics.median, zip(*found, strict=True))
    say(
        f"from the call to the first deletion by a worker {mine:.1f} ms, {ratio:.2f} x the start of RQ's job that does "
        f"nothing, {other:.1f} ms (goal 1.3)"
    )


def say(line: str) -> None:
    """Prints one result at once."""
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3, help="how often each case is run")
    parser.add_argument("--events", action="store_true", help="only invalidations at the rate of events")
    parser.add_argument("--minutes", type=float, default=0.2, help="how long 100 a second go on")
    options = parser.parse_args()
    measure_events(options.minutes, 100)
    if options.events:
        return
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder))
        of_tagged = Snapshots(Path(folder, "tagged"), tagged=True)
        entries = options.entries
        with snapshots.server(entries // 10) as setup:
            measure_acknowledgement(setup, 300)
        with snapshots.server(entries) as setup:
            measure_acknowledgement(setup, 300)
            measure_previews(setup)
            print_sweeps(measure_worded(setup, options.turns), "pass", 2.5)
        listed: dict[str, list[Ratios]] = {}
        for _ in range(options.turns):
            everything, left = measure_everything(snapshots, entries)
            for name, row in (measure_listed(snapshots, entries) | everything).items():
                listed.setdefault(name, []).append(row)
        print_sweeps(listed, "loop", 1.6)
        tagged: dict[str, list[Ratios]] = {}
        for _ in range(options.turns):
            for name, row in measure_tagged(of_tagged, entries).items():
                tagged.setdefault(name, []).append(row)
        print_sweeps(tagged, "loop and pass", 1.6)
        say(f"memory left after sweeping everything {left:.1%} (goal 5%)")
        measure_readers(snapshots, entries, options.turns)
        measure_start(snapshots, min(entries, 10_000), 15)


if __name__ == "__main__":
    main()
