"""Invalidations at the rate of events: what they cost those who look up, and how fast they are.

Ratios are formed in one run, cases taking turns in chunks: the median of the ratios is printed.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.access.audit import AuditLog
from core.bans import Ban, BanState, Book, Criteria, Visibility, changes, visibility
from core.bootstrap import Services, bootstrap
from core.invalidation import CacheInvalidator
from core.keys import Slot
from core.models import ChatRequest, Completion, Controls
from core.settings import Settings
from core.stores import codec
from core.stores.redis import EmbeddedRedis, RedisStore, patient_client, request_client

ACTIVE = 100_000
PROMPTS = 100
CHUNK = 25
READS_A_SECOND = 300
BURST = 2000


def say(line: str) -> None:
    """Prints one result at once."""
    print(line, flush=True)


def measure_events(minutes: float, turns: int) -> None:
    """All of it, on a server of its own."""
    with tempfile.TemporaryDirectory() as home, EmbeddedRedis(Path(home), durable=False) as server:
        settings = Settings(redis_url=server.url, redis_timeout_seconds=1, ttl_seconds=86_400)
        with bootstrap(settings) as services:
            for namespace in ("none", "many"):
                fill(services, namespace)
            measure_moved(services, server.url, turns)
            measure_many(services, server.url, turns)
            measure_absence(services, server.url)
            measure_rate(services, server.url, minutes)
            measure_buckets(server.url)


def request_for(number: int) -> ChatRequest:
    """One of the requests."""
    question = f"How do I change the delivery address of my order number {number} after it was paid?"
    return ChatRequest.from_openai(model="gpt-4o-mini", messages=[{"role": "user", "content": question}])


def fill(services: Services, namespace: str) -> None:
    """Stores the answers, each with two tags that are never invalidated."""
    text = "The order can be changed in your settings before we ship it. " * 24
    for number in range(PROMPTS):
        body = {
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        }
        controls = Controls(namespace=namespace, tags=(f"order:{number}", "orders"))
        if isinstance(stored := services.cache.put(request_for(number), Completion(body=body), controls), str):
            raise SystemExit(f"the answer was not stored: {stored}")


def hit(services: Services, namespace: str, number: int) -> None:
    """One exact hit."""
    answer = services.cache.complete(request_for(number), Controls(namespace=namespace))
    if str(answer.outcome) != "hit (exact)":
        raise SystemExit(f"not a hit: {answer.outcome} {answer.outcome.reason}")


def append_many(store: RedisStore, slot: Slot, count: int, first: int = 0) -> None:
    """Appends bans of tags, straight to the store."""
    for number in range(first, first + count):
        ban = changes.new_ban(
            f"{number:016x}", Criteria(tags=(f"page:{number}",)), now=time.time(), hold_seconds=86_400
        )
        store.append(slot, ban)


def ratio(
    cases: tuple[Callable[[int], object], Callable[[int], object]],
    turns: int,
    before: Callable[[int, int], object] = lambda case, number: None,
) -> tuple[float, float, float]:
    """Median microseconds of two cases that take turns, and the median of their ratios; `before` is not timed."""
    times: tuple[list[float], list[float]] = [], []
    ratios = []
    for turn in range(turns):
        medians = [0.0, 0.0]
        for case in random.sample((0, 1), 2):
            chunk = []
            for step in range(CHUNK):
                number = (turn * CHUNK + step) % PROMPTS
                before(case, number)
                began = time.perf_counter()
                cases[case](number)
                chunk.append((time.perf_counter() - began) * 1e6)
            times[case].extend(chunk)
            medians[case] = statistics.median(chunk)
        ratios.append(medians[1] / medians[0])
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios)


def measure_moved(services: Services, url: str, turns: int) -> None:
    """A lookup that finds that the revision has just moved, beside one that finds it has not."""
    operator = RedisStore(patient_client(url))
    counted = iter(range(10**9))

    def move(case: int, number: int) -> None:
        # Either way something was just appended on another connection: for the first case, to another namespace.
        append_many(operator, Slot("none" if case else "elsewhere", 0), 1, 10**9 + next(counted))

    for number in range(PROMPTS):
        hit(services, "none", number)
    still, moved, times = ratio(
        (lambda number: hit(services, "none", number), lambda number: hit(services, "none", number)), turns, move
    )
    say(f"a lookup whose revision has just moved: {moved:.0f} us beside {still:.0f} us, {times:.2f} x   (goal 2.2)")
    found = operator.bans(Slot("none", 0), limit=100_000)
    for start in range(0, len(found), 500):
        page = [ban.id for ban in found[start : start + 500]]
        operator.change(Slot("none", 0), page, lambda bans: changes.Change([(ban, None) for ban in bans]))
    operator.close()


def measure_many(services: Services, url: str, turns: int) -> None:
    """An exact hit with very many active bans of tags beside one with none; what these bans take."""
    operator = RedisStore(patient_client(url))
    slot = Slot("many", 0)
    before = operator._client.info("memory")["used_memory"]
    append_many(operator, slot, ACTIVE)
    taken = operator._client.info("memory")["used_memory"] - before
    operator.read(slot, [])
    services.store.read(slot, [])
    none, many, times = ratio(
        (lambda number: hit(services, "none", number), lambda number: hit(services, "many", number)), turns
    )
    say(
        f"an exact hit with {ACTIVE:,} active bans by tag: {many:.1f} us beside {none:.1f} us, {times:.3f} x "
        "  (goal 1.05)"
    )
    tracemalloc.start()
    book = Book(
        Ban(
            sequence=number + 1_800_000_000_000_000,
            id=f"{number:016x}",
            criteria=Criteria(tags=(f"page:{number}",)),
            state=BanState.HELD,
            created_at=time.time(),
            due_at=time.time(),
        )
        for number in range(ACTIVE)
    )
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    say(f"an active ban takes {taken / ACTIVE:.0f} bytes in Redis, {held / len(book):.0f} in each process")
    operator.close()


def measure_absence(services: Services, url: str) -> None:
    """How long a process that has been away for very many changes misses, and one that begins anew."""
    slot, operator = Slot("many", 0), RedisStore(patient_client(url))
    away = RedisStore(request_client(url, 1), waits=False)
    _until_complete(away, slot)
    append_many(operator, slot, ACTIVE, ACTIVE)
    for name, store in (
        (f"away for {ACTIVE:,} changes", away),
        (f"begun with {2 * ACTIVE:,} active", RedisStore(request_client(url, 1), waits=False)),
    ):
        seconds, looks, longest = _until_complete(store, slot)
        say(
            f"a process {name} misses for {seconds:.2f} s ({looks} lookups of one thread, the longest took "
            f"{longest * 1000:.0f} ms)"
        )
        store.close()
    operator.close()


def _until_complete(store: RedisStore, slot: Slot) -> tuple[float, int, float]:
    began, looks, longest = time.perf_counter(), 0, 0.0
    while True:
        looked = time.perf_counter()
        _, record = store.read(slot, [])
        longest = max(longest, time.perf_counter() - looked)
        looks += 1
        if record is None or record.is_complete:
            return time.perf_counter() - began, looks, longest
        time.sleep(0.01)


def read_on(url: str, names: list[bytes], begun: Any, ended: Any, results: Any) -> None:
    """Looks up at a fixed rate, in a process of its own. Latencies count from when a lookup was due."""
    store, slot, chance = RedisStore(request_client(url, 1), waits=False), Slot("rate", 0), random.Random(3)
    taken, hidden = [], 0
    _until_complete(store, slot)  # one that has just begun is measured by itself
    begun.set()
    due = time.perf_counter()
    while not ended.is_set():
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        [value], record = store.read(slot, [chance.choice(names)])
        if value is not None and record is not None:
            hidden += visibility(codec.decode_entry(value), record) is not Visibility.FRESH
        taken.append(time.perf_counter() - due)
        due += 1 / READS_A_SECOND
    results.put((taken, hidden))


def beside(url: str, names: list[bytes], work: Callable[[], object]) -> list[float]:
    """What a reader measured while the work was done: latencies in seconds."""
    context = multiprocessing.get_context("spawn")
    begun, ended, results = context.Event(), context.Event(), context.Queue()
    reader = context.Process(target=read_on, args=(url, names, begun, ended, results))
    reader.start()
    begun.wait(60)
    work()
    ended.set()
    taken, _ = results.get(timeout=60)
    reader.join()
    return taken


def quantiles(times: list[float]) -> str:
    """p50, p99 and the longest of seconds."""
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms, longest {max(times) * 1000:.1f} ms"


def measure_rate(services: Services, url: str, minutes: float) -> None:
    """A hundred invalidations a second with the default hold, and bursts, while another process looks up."""
    fill(services, "rate")
    client = patient_client(url)
    invalidator = CacheInvalidator(RedisStore(client), AuditLog(client), namespace="rate")
    slot = Slot("rate", 0)
    names = [row.digest for rows in services.store.walk(slot, whole=False) for row in rows]

    def invalidate_for(seconds: float, rate: float, threads: int) -> list[float]:
        """Latencies from when each was due."""
        taken: list[float] = []
        count = int(seconds * rate)
        lock, numbers = threading.Lock(), iter(range(count))
        began = time.perf_counter()

        def run() -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                due = began + number / rate
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                tag = f"page:{random.randrange(10**9)}"
                invalidator.invalidate(Criteria(namespace="rate", tags=(tag,)), actor="benchmark")
                taken.append(time.perf_counter() - due)

        workers = [threading.Thread(target=run) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if len(taken) != count:
            raise SystemExit("not all were acknowledged")
        return taken

    seconds = minutes * 60
    quiet = beside(url, names, lambda: time.sleep(min(seconds, 20)))
    steady: list[float] = []
    busy = beside(url, names, lambda: steady.extend(invalidate_for(seconds, 100, 2)))
    times = statistics.quantiles(busy, n=100)[98] / statistics.quantiles(quiet, n=100)[98]
    say(f"{len(steady):,} invalidations at 100 a second, all acknowledged: {quantiles(steady)}   (goal p99 10 ms)")
    say(f"  a reader meanwhile: {quantiles(busy)}; without: {quantiles(quiet)}; p99 {times:.2f} x   (goal 2)")
    for _ in range(3):
        burst: list[float] = []
        busy = beside(url, names, lambda burst=burst: burst.extend(invalidate_for(1.0, BURST, 4)))  # type: ignore[misc]
        times = statistics.quantiles(busy, n=100)[98] / statistics.quantiles(quiet, n=100)[98]
        say(
            f"a burst of {BURST:,} in a second, all acknowledged: {quantiles(burst)}; the reader's p99 {times:.2f} x "
            "  (goal 2)"
        )


def measure_buckets(url: str) -> None:
    """Invalidations a second of one caller where each goes to sixteen buckets."""
    client = patient_client(url)
    invalidator = CacheInvalidator(RedisStore(client), AuditLog(client), namespace="buckets", buckets=16)
    began, count = time.perf_counter(), 300
    for number in range(count):
        invalidator.invalidate(Criteria(namespace="buckets", tags=(f"page:{number}",)), actor="benchmark")
    say(f"{count / (time.perf_counter() - began):,.0f} invalidations a second of one caller with 16 buckets")
