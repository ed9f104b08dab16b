"""What many open dashboards cost: `python -m benchmarks.console`.

A console of its own on a Redis of its own, with steady traffic through the cache. Then sessions join that do what a
browser does: each opens the dashboard over a websocket, takes what the server sends, and asks for every part again when
its time has come. They share one reading of Redis: its commands a second are printed with one session and with many,
beside those of the traffic alone. A console that cannot keep up shows in sessions that do not open in time, or in
much fewer runs than ticks (one run may do for two ticks of a session).

Before that: how long pages take to open beside an empty one, and with many entries beside few; a search through all of
them; and the memory after sessions that came and went.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import websockets
from redis import Redis
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks._snapshots import APART_SECONDS, fill
from benchmarks.gateway import HOST, free_port
from core.bootstrap import bootstrap
from core.keys import Slot
from core.models import ChatRequest
from core.settings import Settings
from core.stores.redis import EmbeddedRedis
from tests.fakes import CountingProvider

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 60.0
OPENING_SECONDS = 60.0
"""Most seconds until every session has its tiles."""
SETTLE_SECONDS = 5.0
TILES = 10
TAG = "no-entry-has-it"
FEW, MANY = "few", "many"
"""Namespaces with entries."""
AGED_SECONDS = 5.1
"""Until what pages read is read anew."""
KEPT_SESSIONS = 130
GONE_SECONDS = 125.0
"""Until Streamlit forgets a session that went."""
TICK = os.sysconf("SC_CLK_TCK")


class Session:
    """One viewer of a page: of a live dashboard, unless it is given another one."""

    def __init__(self, url: str, page: str = "", query: str = "range=15m") -> None:
        self._url = f"ws://{url}/_stcore/stream"
        self._page = page
        self._query = query
        self.seen: Counter[str] = Counter()
        self._tag = ""
        self._script = ""
        self.searched = asyncio.Event()
        """Set when a search has come to its end."""

    async def run(self) -> None:
        """Keeps the page open until it is cancelled."""
        async with (
            websockets.connect(
                self._url, subprotocols=["streamlit"], max_size=None, ping_interval=None, open_timeout=OPENING_SECONDS
            ) as socket,
            asyncio.TaskGroup() as timers,
        ):
            await socket.send(self._asked().SerializeToString())
            ticking: dict[str, asyncio.Task[None]] = {}
            async for data in socket:
                assert isinstance(data, bytes)
                message = ForwardMsg.FromString(data)
                kind = message.WhichOneof("type") or "none"
                self.seen[kind] += 1
                self.seen["bytes"] += len(data)
                if kind == "navigation":
                    self._script = message.navigation.page_script_hash
                elif kind == "auto_rerun":
                    name = message.auto_rerun.fragment_id
                    if name not in ticking:
                        tick = self._tick(socket, name, message.auto_rerun.interval)
                        ticking[name] = timers.create_task(tick)
                elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                    element = message.delta.new_element
                    self.seen[element.WhichOneof("type") or "none"] += 1
                    if element.text_input.label == "Tag":
                        self._tag = element.text_input.id
                    if "Nothing matches" in element.markdown.body:
                        self.searched.set()

    async def opened(self, kind: str) -> float:
        """Opens the page, waits for the first message of a kind, and leaves. Returns the seconds that it took."""
        began = time.perf_counter()
        async with (
            asyncio.timeout(OPENING_SECONDS),
            websockets.connect(
                self._url, subprotocols=["streamlit"], max_size=None, ping_interval=None, open_timeout=OPENING_SECONDS
            ) as socket,
        ):
            await socket.send(self._asked().SerializeToString())
            async for data in socket:
                assert isinstance(data, bytes)
                message = ForwardMsg.FromString(data)
                if kind in (message.WhichOneof("type"), message.delta.new_element.WhichOneof("type")):
                    return time.perf_counter() - began
        raise SystemExit(f"{self._page or 'dashboard'} drew no {kind}")

    def _asked(self) -> BackMsg:
        asked = BackMsg()
        if self._script:
            asked.rerun_script.page_script_hash = self._script
        else:
            asked.rerun_script.page_name = self._page
        asked.rerun_script.query_string = self._query
        if self._tag and TAG in self._query:  # a control keeps its value only if the browser says it
            asked.rerun_script.widget_states.widgets.add(id=self._tag, string_value=TAG)
        return asked

    async def _tick(self, socket: websockets.ClientConnection, fragment: str, seconds: float) -> None:
        """Asks for a part of the page again and again, as the browser's timer does."""
        while True:
            await asyncio.sleep(seconds)
            again = self._asked()
            again.rerun_script.fragment_id = fragment
            again.rerun_script.is_auto_rerun = True
            await socket.send(again.SerializeToString())
            self.seen["asked"] += 1

    @property
    def is_open(self) -> bool:
        """Whether it has its tiles."""
        return self.seen["metric"] >= TILES


class Process:
    """Processor time and memory of a process, from /proc."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_megabytes(self) -> float:
        line = next(line for line in (self._folder / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@contextmanager
def console(home: str, redis_url: str) -> Iterator[tuple[int, str]]:
    """A console of this checkout; its process id and address."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ENCORE_", "OPENAI_"))}
    environment |= {"ENCORE_HOME": home, "ENCORE_REDIS_URL": redis_url}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with Path(home, "console.log").open("wb") as log:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"http://{HOST}:{port}/_stcore/health").is_success:
                    break
            if started.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(Path(home, "console.log").read_text())
            time.sleep(0.1)
        yield started.pid, f"{HOST}:{port}"
    finally:
        started.terminate()
        started.wait()


@contextmanager
def traffic(redis_url: str, rate: float) -> Iterator[None]:
    """Requests through the cache, `rate` a second, most of them hits."""
    ended = threading.Event()
    services = bootstrap(Settings(redis_url=redis_url), provider=CountingProvider())

    def ask() -> None:
        number = 0
        while not ended.wait(1 / rate):
            number += 1
            messages = [{"role": "user", "content": f"What is the number {number % 50 if number % 5 else number}?"}]
            services.cache.complete(ChatRequest.from_openai(model=f"model-{number % 3}", messages=messages))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        services.close()


async def watch(url: str, count: int, seconds: float, redis_url: str, process: Process) -> None:
    """Runs a number of sessions for some seconds; prints their cost, or how many did not open the page in time."""
    sessions = [Session(url) for _ in range(count)]
    tasks: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            for session in sessions:
                tasks.append(asyncio.create_task(session.run()))
                while not session.is_open:
                    for task in tasks:
                        if task.done():
                            task.result()
                    await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_SECONDS)
        await measure(sessions, seconds, redis_url, process)
    except TimeoutError:
        opened = sum(session.is_open for session in sessions)
        print(f"{count:8}  only {opened} of them had opened the page after {OPENING_SECONDS:.0f} s", flush=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(sessions: list[Session], seconds: float, redis_url: str, process: Process) -> None:
    """Prints what open sessions cost, each number of them for `seconds`."""

    def total(kind: str) -> int:
        return sum(session.seen[kind] for session in sessions)

    with Redis.from_url(redis_url) as client:
        before = int(client.info("stats")["total_commands_processed"])
        cpu, began, asked, runs = process.cpu_seconds(), time.monotonic(), total("asked"), total("script_finished")
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        commands = int(client.info("stats")["total_commands_processed"]) - before
    asked, runs = total("asked") - asked, total("script_finished") - runs
    used = process.cpu_seconds() - cpu
    print(
        f"{len(sessions):8}{commands / took:16.1f}{asked / took:9.1f}{runs / took:10.1f}{used / took:12.0%}"
        f"{1000 * used / runs if runs else 0:10.1f}{process.resident_megabytes():13.0f}"
        f"{total('exception'):12}",
        flush=True,
    )


def fill_namespaces(redis_url: str, entries: int) -> None:
    """Stores the entries that pages are opened on: many in one namespace, few in another."""
    for namespace, count in ((FEW, 1000), (MANY, entries)):
        fill(redis_url, range(count), time.time() - count * APART_SECONDS, False, Slot(namespace, 0))


async def measure_opening(url: str, turns: int) -> None:
    """Prints how long pages take to open, in turns; shared readings of a turn are too old for the next one."""
    cases = {
        "an empty page, whole": (Session(url, "schedules", ""), "script_finished"),
        "Dashboard, its first tile": (Session(url), "metric"),
        "Dashboard, whole": (Session(url), "script_finished"),
        "Entries, 1,000": (Session(url, "entries", f"namespace={FEW}"), "dataframe"),
        "Entries, many": (Session(url, "entries", f"namespace={MANY}"), "dataframe"),
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    order = list(cases)
    for _ in range(turns):
        for name in order:
            session, kind = cases[name]
            taken[name].append(await session.opened(kind))
            await asyncio.sleep(AGED_SECONDS)
        order.reverse()
    middle = {name: statistics.median(times) for name, times in taken.items()}
    for name, seconds in middle.items():
        print(f"{name:28}{seconds * 1000:8.0f} ms", flush=True)
    of_dashboard = middle["Dashboard, its first tile"] / middle["an empty page, whole"]
    of_entries = middle["Entries, many"] / middle["Entries, 1,000"]
    print(f"the Dashboard's first tile: {of_dashboard:.1f} times an empty page (goal: 3)")
    print(f"opening Entries with many: {of_entries:.2f} times with 1,000 (goal: 1.5)", flush=True)


async def measure_search(url: str, entries: int) -> None:
    """Prints how long a search that finds nothing takes, and what it does to those who open a page meanwhile."""
    page = Session(url, "schedules", "")
    alone = [await page.opened("script_finished") for _ in range(40)]
    session = Session(url, "entries", f"namespace={MANY}&tag={TAG}")
    began = time.perf_counter()
    searching = asyncio.create_task(session.run())
    beside = []
    try:
        while not session.searched.is_set():
            if searching.done():
                searching.result()
            beside.append(await page.opened("script_finished"))
        took = time.perf_counter() - began
    finally:
        searching.cancel()
        await asyncio.gather(searching, return_exceptions=True)
    usual = statistics.median(alone)
    print(
        f"a search through {entries:,} entries goes on by itself: {took:.1f} s, {session.seen['progress']} times its "
        f"progress; an empty page opens in {statistics.median(beside) / usual:.1f} times, p95 "
        f"{statistics.quantiles(beside, n=20)[-1] / usual:.1f} times (alone: p95 "
        f"{statistics.quantiles(alone, n=20)[-1] / usual:.1f})",
        flush=True,
    )


async def measure_memory(url: str, count: int, process: Process) -> None:
    """Prints the memory before and after sessions that come and go.

    Streamlit keeps those that went for two minutes or until the next one goes, at most 128: as many come before.
    """
    sessions = [Session(url), Session(url, "entries", f"namespace={MANY}"), Session(url, "requests", "")]

    async def come_and_go(number: int) -> None:
        for each in range(number):
            await sessions[each % len(sessions)].opened("script_finished")

    sizes = []
    for number in (KEPT_SESSIONS, count):
        await come_and_go(number)
        await asyncio.sleep(GONE_SECONDS)
        sizes.append(process.resident_megabytes())
    print(f"memory before and after {count} sessions that came and went: {sizes[0]:.0f} MB, {sizes[1]:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each number of sessions is measured")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second beside them")
    parser.add_argument("--entries", type=int, default=100_000, help="how many the larger namespace has")
    parser.add_argument("--turns", type=int, default=10, help="how often each page is opened")
    parser.add_argument("--gone", type=int, default=200, help="how many sessions come and go")
    options = parser.parse_args()
    with ExitStack() as running:
        home = running.enter_context(tempfile.TemporaryDirectory())
        redis = running.enter_context(EmbeddedRedis(Path(home), durable=False))
        if options.entries:
            fill_namespaces(redis.url, options.entries)
        running.enter_context(traffic(redis.url, options.rate))
        pid, url = running.enter_context(console(home, redis.url))
        process = Process(pid)
        if options.entries:
            asyncio.run(measure_opening(url, options.turns))
            asyncio.run(measure_search(url, options.entries))
        if options.gone:
            asyncio.run(measure_memory(url, options.gone, process))
        if not options.sessions:
            return
        print("sessions  Redis commands/s  ticks/s    runs/s  of a core  ms a run  resident MB  exceptions")
        for count in (0, 1, options.sessions, 1):
            asyncio.run(watch(url, count, options.seconds, redis.url, process))


if __name__ == "__main__":
    main()
