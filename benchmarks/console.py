"""What many open dashboards cost: `python -m benchmarks.console`.

A console of its own on a Redis of its own, with steady traffic through the cache. Then sessions join that do what a
browser does: each opens the dashboard over a websocket, takes what the server sends, and asks for every part again when
its time has come. They share one reading of Redis: its commands a second are printed with one session and with many,
beside those of the traffic alone. A console that cannot keep up shows in sessions that do not open in time, or in
much fewer runs than ticks (one run may do for two ticks of a session).
"""

from __future__ import annotations

import argparse
import asyncio
import os
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

from benchmarks.gateway import HOST, free_port
from core.bootstrap import bootstrap
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
TICK = os.sysconf("SC_CLK_TCK")


class Session:
    """One viewer with a live dashboard."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        """Keeps the dashboard open until it is cancelled."""
        async with (
            websockets.connect(
                self._url, subprotocols=["streamlit"], max_size=None, ping_interval=None, open_timeout=OPENING_SECONDS
            ) as socket,
            asyncio.TaskGroup() as timers,
        ):
            opening = BackMsg()
            opening.rerun_script.query_string = "range=15m"
            await socket.send(opening.SerializeToString())
            ticking: dict[str, asyncio.Task[None]] = {}
            async for data in socket:
                assert isinstance(data, bytes)
                message = ForwardMsg.FromString(data)
                kind = message.WhichOneof("type") or "none"
                self.seen[kind] += 1
                self.seen["bytes"] += len(data)
                if kind == "auto_rerun":
                    name = message.auto_rerun.fragment_id
                    if name not in ticking:
                        tick = self._tick(socket, name, message.auto_rerun.interval)
                        ticking[name] = timers.create_task(tick)
                elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                    self.seen[message.delta.new_element.WhichOneof("type") or "none"] += 1

    async def _tick(self, socket: websockets.ClientConnection, fragment: str, seconds: float) -> None:
        """Asks for a part of the page again and again, as the browser's timer does."""
        while True:
            await asyncio.sleep(seconds)
            again = BackMsg()
            again.rerun_script.query_string = "range=15m"
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
    sessions = [Session(f"ws://{url}/_stcore/stream") for _ in range(count)]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each number of sessions is measured")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second beside them")
    options = parser.parse_args()
    with ExitStack() as running:
        home = running.enter_context(tempfile.TemporaryDirectory())
        redis = running.enter_context(EmbeddedRedis(Path(home), durable=False))
        running.enter_context(traffic(redis.url, options.rate))
        pid, url = running.enter_context(console(home, redis.url))
        process = Process(pid)
        print("sessions  Redis commands/s  ticks/s    runs/s  of a core  ms a run  resident MB  exceptions")
        for count in (0, 1, options.sessions, 1):
            asyncio.run(watch(url, count, options.seconds, redis.url, process))


if __name__ == "__main__":
    main()
