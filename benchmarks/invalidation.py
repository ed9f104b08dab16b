"""What invalidating costs beside the least that the same work could cost: `python -m benchmarks.invalidation`.

Every case begins with the same entries, loaded from one snapshot. An entry has its normalized alias, as most have: both
must go. The bare loop that a sweep is compared with has their names in a sorted set and deletes them in scripts of 200;
the bare pass fetches every value by MGET of 500 and looks at none of them. Cases take turns, and the median of their
ratios is printed: of the time, and of the processor time of client and server together, which a busy machine does not
change. Sweeps run at full speed but where it says otherwise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import redis

from core import codec
from core.audit import AuditLog
from core.bans import Criteria
from core.codec import Glance
from core.embedded import EmbeddedRedis
from core.invalidation import CacheInvalidator
from core.keys import Slot
from core.models import CacheEntry, EntryHeader, Stamp
from core.stores.base import Write
from core.stores.redis import RedisStore, patient_client
from core.sweep import SweepProgress

SLOT = Slot("default", 0)
MODELS = ("gpt-4o-mini", "gpt-4o")
TTL_SECONDS = 86_400
READS_A_SECOND = 800
MEMORY_ONLY = ("maxmemory 0", "save ''")

_BARE = """
local names = redis.call('ZRANGE', KEYS[1], 0, 199)
if #names == 0 then return 0 end
redis.call('UNLINK', unpack(names))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, 199)
return #names
"""


class Setup:
    """A server with the entries, and what works on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = patient_client(url, 30)
        self.store = RedisStore(patient_client(url, 30))
        self.invalidator = CacheInvalidator(self.store, AuditLog(self.client))

    def used_bytes(self) -> int:
        """What the server holds, once what it was told to free is free."""
        time.sleep(0.2)
        return int(self.client.info("memory")["used_memory"])

    def names(self, is_chosen: Callable[[Glance], bool]) -> list[bytes]:
        """The names of all entries and aliases that are chosen, oldest first."""
        found = [(seen.created_at, SLOT.entry(seen.digest)) for seen in self._glances() if is_chosen(seen)]
        return [name for _, name in sorted(found)]

    def moments(self) -> list[float]:
        """When each was created."""
        return [seen.created_at for seen in self._glances()]

    def _glances(self) -> Iterator[Glance]:
        for rows in self.store.walk(SLOT, whole=False):
            for row in rows:
                yield codec.glance(row.value, with_text=False)

    def close(self) -> None:
        self.store.close()
        self.client.close()


class Snapshots:
    """Snapshots of so many entries, each made once, and servers that begin with one."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._made: dict[int, Path] = {}
        self._servers = 0

    @contextmanager
    def server(self, entries: int) -> Iterator[Setup]:
        """A fresh server with so many entries."""
        if entries not in self._made:
            self._made[entries] = self._make(entries)
        with self._start(self._made[entries]) as setup:
            yield setup

    @contextmanager
    def _start(self, snapshot: Path | None) -> Iterator[Setup]:
        self._servers += 1
        home = self._home / f"server-{self._servers}"
        (home / "redis").mkdir(parents=True)
        if snapshot is not None:
            (home / "redis" / "dump.rdb").hardlink_to(snapshot)
        with EmbeddedRedis(home, durable=False, options=MEMORY_ONLY) as server:
            setup = Setup(server.url)
            try:
                yield setup
            finally:
                setup.close()
        shutil.rmtree(home)

    def _make(self, entries: int) -> Path:
        began = time.perf_counter()
        with self._start(None) as setup:
            fill(setup.store, entries)
            setup.client.save()
            made = self._home / f"{entries}.rdb"
            Path(setup.client.config_get("dir")["dir"], "dump.rdb").rename(made)
            size = setup.used_bytes() / max(1, entries)
        if entries:
            print(f"{entries:,} entries, {size:,.0f} bytes each with alias, in {time.perf_counter() - began:.0f} s")
        return made


def fill(store: RedisStore, entries: int) -> None:
    """Stores entries as a cache does: one after the other, half of them each of two models."""
    words = random.Random(7).choices(
        ["the", "a", "of", "your", "order", "can", "be", "changed", "in", "settings", "before", "we", "ship", "it"],
        k=4000,
    )
    record = store.ensure_record(SLOT)
    stamp = Stamp(record.incarnation, record.sequence)
    now = time.time()
    for number in range(entries):
        created_at = now - entries / 1000 + number / 1000
        digest, alias = sha256(b"e%d" % number).digest(), sha256(b"n%d" % number).digest()
        header = EntryHeader(
            digest=digest,
            scope=b"s" * 32,
            namespace=SLOT.namespace,
            model=MODELS[number % 2],
            incarnation=stamp.incarnation,
            sequence=stamp.sequence,
            created_at=created_at,
            fresh_until=created_at + TTL_SECONDS,
            input_tokens=40,
            output_tokens=300,
            cost_usd=0.01,
            latency_ms=900.0,
        )
        prompt = f"How do I change the delivery address of my order number {number} after it was paid?"
        text = " ".join(words[number % 3000 : number % 3000 + 400])[:1500]
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_800_000_000,
            "model": header.model,
            "choices": [choice],
            "usage": {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340},
        }
        alias_header = EntryHeader(
            **{name: getattr(header, name) for name in header.__struct_fields__} | {"digest": alias, "target": digest}
        )
        write = Write(
            digest=digest,
            value=codec.encode_entry(CacheEntry(header=header, prompt=prompt, body=body)),
            ttl_ms=TTL_SECONDS * 1000,
            model=header.model,
            created_at=created_at,
            alias=(alias, codec.encode_entry(CacheEntry(header=alias_header, prompt=prompt))),
        )
        store.write(SLOT, write, stamp, stamp.sequence)


def milliseconds(times: list[float]) -> str:
    """p50 and p99 of seconds."""
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms, longest {max(times) * 1000:.2f} ms"


def measure_acknowledgement(snapshots: Snapshots, sizes: list[int], times: int) -> None:
    """How long `invalidate` takes until it is effective, its two audit records included."""
    for size in sizes:
        with snapshots.server(size) as setup:
            taken = []
            for number in range(times):
                criteria = Criteria(model=MODELS[number % 2], keywords=("order",)) if number % 2 else Criteria(all=True)
                began = time.perf_counter()
                done = setup.invalidator.invalidate(criteria, actor="benchmark")
                taken.append(time.perf_counter() - began)
                setup.invalidator.undo(done.id)
            print(f"acknowledged beside {size:>9,} entries: {milliseconds(taken)}   (goal: p99 10 ms, any size)")


class Spent:
    """Seconds of the clock and of both processors since it was made."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._processor_began = self._processor()
        self._began = time.perf_counter()
        self.seconds = self.processor = 0.0

    def stop(self) -> Spent:
        """The same, with the seconds until now."""
        self.seconds = time.perf_counter() - self._began
        self.processor = self._processor() - self._processor_began
        return self

    def _processor(self) -> float:
        used = self._setup.client.info("cpu")
        return time.process_time() + float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def sweep(setup: Setup, criteria: Criteria) -> tuple[Spent, float, SweepProgress]:
    """What a sweep at full speed took, how long until the last entry was deleted, and what it did."""
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


def bare_deletion(setup: Setup, is_chosen: Callable[[Glance], bool]) -> Spent:
    """What the bare loop took over the names of what is chosen."""
    names = setup.names(is_chosen)
    for start in range(0, len(names), 1000):
        setup.client.zadd("bare", {name: start + place for place, name in enumerate(names[start : start + 1000])})
    script = setup.client.register_script(_BARE)
    spent = Spent(setup)
    while script(keys=["bare"]):
        pass
    return spent.stop()


def bare_pass(setup: Setup) -> Spent:
    """What the bare pass took over all values."""
    names = setup.names(lambda seen: True)
    random.shuffle(names)
    spent = Spent(setup)
    for start in range(0, len(names), 500):
        setup.client.mget(names[start : start + 500])
    return spent.stop()


def measure_sweeps(snapshots: Snapshots, entries: int, turns: int) -> None:
    """Sweeps of what a model or an age selects against the bare loop, of words and patterns against the bare pass."""
    with snapshots.server(entries) as setup:
        middle = statistics.median(setup.moments())
    listed: dict[str, tuple[Criteria, Callable[[Glance], bool]]] = {
        "everything": (Criteria(all=True), lambda seen: True),
        "age, the older half": (Criteria(created_before=middle), lambda seen: seen.created_at < middle),
        "one model of two": (Criteria(model=MODELS[0]), lambda seen: seen.model == MODELS[0]),
    }
    # Each selects one entry in a hundred or so.
    worded = {
        "keyword": Criteria(keywords=("number 77",)),
        "pattern": Criteria(pattern="*number 76* after it was paid?"),
    }
    results: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in (*listed, *worded)}
    for _ in range(turns):
        for name, (criteria, is_chosen) in listed.items():
            with snapshots.server(entries) as setup:
                bare = bare_deletion(setup, is_chosen)
            with snapshots.server(entries) as setup:
                ours, gone_after, progress = sweep(setup, criteria)
            results[name].append(_ratios(ours, gone_after, bare, progress.deleted))
        with snapshots.server(entries) as setup:
            for name, criteria in worded.items():
                bare = bare_pass(setup)
                ours, gone_after, progress = sweep(setup, criteria)
                results[name].append(_ratios(ours, gone_after, bare, progress.scanned))
    for name, rows in results.items():
        time_ratio, processor_ratio, gone_ratio, rate = map(statistics.median, zip(*rows, strict=True))
        against, goal = ("loop", 1.6) if name in listed else ("pass", 2.5)
        print(
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
            names = setup.names(lambda seen: seen.model == MODELS[1])
            names = random.sample(names, min(5000, len(names)))
            began = time.perf_counter()
            setup.invalidator.invalidate(Criteria(model=MODELS[0]), actor="benchmark", hold_seconds=0)
            swept, failed = beside(setup, names, partial(setup.invalidator.sweep, SLOT.namespace))
            seconds = time.perf_counter() - began
            quiet, _ = beside(setup, names, partial(read_only, setup, names, seconds))
        ratios.append(p99(swept) / p99(quiet))
        stalls.append(max(swept))
        errors += failed
    print(
        f"default pace: the reader's p99 is {statistics.median(ratios):.2f} x that beside reads only (goal 3; last "
        f"{p99(swept) * 1000:.2f} and {p99(quiet) * 1000:.2f} ms), longest stall "
        f"{statistics.median(stalls) * 1000:.1f} ms (goal 25), {errors} errors (goal 0)"
    )


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


def measure_previews(snapshots: Snapshots, entries: int) -> None:
    """How long a preview takes, and what it knows."""
    with snapshots.server(entries) as setup:
        for criteria in (
            Criteria(model=MODELS[0]),
            Criteria(created_before=time.time() - 1),
            Criteria(all=True),
            Criteria(keywords=("number 77",)),
            Criteria(pattern="*number 77* after*"),
        ):
            began = time.perf_counter()
            preview = setup.invalidator.preview(criteria)
            took = time.perf_counter() - began
            known = "exactly" if preview.exact else f"{preview.low:,} to {preview.high:,}, from {preview.scanned:,}"
            print(f"preview of {str(criteria)[:40]:42} {took * 1000:7.0f} ms: {preview.count:,}, {known}")


def measure_memory(snapshots: Snapshots, entries: int) -> None:
    """What is left of the entries' memory when all are swept."""
    with snapshots.server(0) as setup:
        empty = setup.used_bytes()
    for name, criteria in (("everything", Criteria(all=True)), ("a keyword", Criteria(keywords=("order",)))):
        with snapshots.server(entries) as setup:
            full = setup.used_bytes()
            sweep(setup, criteria)
            left = (setup.used_bytes() - empty) / (full - empty)
        print(f"memory left after sweeping {name:12} {left:.1%} (goal 5 %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3, help="how often each case is run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder))
        entries = options.entries
        measure_acknowledgement(snapshots, [entries // 10, entries], 300)
        measure_sweeps(snapshots, entries, options.turns)
        measure_readers(snapshots, entries, options.turns)
        measure_previews(snapshots, entries)
        measure_memory(snapshots, entries)


if __name__ == "__main__":
    main()
