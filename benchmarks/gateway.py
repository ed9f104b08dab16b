"""What the gateway costs beside a bare proxy and beside no proxy at all: `python -m benchmarks.gateway`.

One server of made-up answers is reached in four ways, in turns: straight, through a bare Starlette proxy, through the
gateway with questions it does not know (misses), and with one it knows (hits). Ratios are formed inside each turn and
their median is printed. The server answers at once, so that all that is measured is what stands before it. Server,
proxy, gateway, Redis and clients share the machine: with few cores the rates are low, the ratios are what counts.

Then many clients at once read one stored stream, and the gateway's memory is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.stores.redis import EmbeddedRedis

HOST = "127.0.0.1"
ANSWER = " ".join(["your order can be changed in the settings before we ship it"] * 25)
CHUNKS = 300
READY_SECONDS = 90.0
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk-bench\r\n"
    "content-type: application/json\r\ncontent-length: {}\r\n\r\n"
)


# The server of answers and the bare proxy, each in a process of its own


def upstream(delay_seconds: float) -> Starlette:
    """Answers every chat request with the same text after `delay_seconds`, and counts the requests."""
    calls = count(1)
    seen = {"calls": 0}

    async def chat(request: Request) -> Response:
        asked: Any = {}
        with suppress(ValueError, RecursionError):
            asked = json.loads(await request.body())
        number = seen["calls"] = next(calls)
        if delay_seconds:
            await asyncio.sleep(delay_seconds)
        head = {"id": f"chatcmpl-{number}", "created": 1_800_000_000, "model": "gpt-4o-mini"}
        usage = {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340}
        if not (isinstance(asked, dict) and asked.get("stream") is True):
            message = {"role": "assistant", "content": ANSWER}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        return StreamingResponse(events({**head, "object": "chat.completion.chunk"}), media_type="text/event-stream")

    async def counted(request: Request) -> Response:
        return JSONResponse(seen)

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/calls", counted)])


async def events(head: dict[str, Any]) -> AsyncIterator[bytes]:
    for number in range(CHUNKS):
        choice = {"index": 0, "delta": {"content": f"word {number} "}, "finish_reason": None, "logprobs": None}
        yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n".encode()
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield f"data: {json.dumps({**head, 'choices': [last]})}\n\ndata: [DONE]\n\n".encode()


def bare_proxy(url: str) -> Starlette:
    """The least a proxy does: passes on the body and the answer."""
    client = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100))

    async def forward(request: Request) -> Response:
        headers = {name: request.headers[name] for name in ("authorization", "content-type")}
        sent = client.build_request("POST", url + request.url.path, headers=headers, content=await request.body())
        answer = await client.send(sent, stream=True)
        kind = {"content-type": answer.headers["content-type"]}
        return StreamingResponse(answer.aiter_raw(), status_code=answer.status_code, headers=kind)

    return Starlette(routes=[Route("/v1/chat/completions", forward, methods=["POST"])])


def serve(what: str, port: int, target: str, delay_seconds: float) -> None:
    app = upstream(delay_seconds) if what == "upstream" else bare_proxy(target)
    # Connections are kept longer than clients keep theirs: none is closed just as it is used again.
    uvicorn.run(app, host=HOST, port=port, access_log=False, log_level="warning", timeout_keep_alive=75)


# Processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(*command: str, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, listening when this is entered."""
    started = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(OSError):
                socket.create_connection((HOST, port)).close()
                break
            if started.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield started
    finally:
        started.terminate()
        started.wait()


@contextmanager
def upstream_process(delay_seconds: float = 0.0) -> Iterator[str]:
    """The server of answers; its address."""
    port = free_port()
    command = ["-m", "benchmarks.gateway", "--serve", "upstream", "--port", str(port), "--delay", str(delay_seconds)]
    with process(*command, port=port):
        yield f"http://{HOST}:{port}"


@contextmanager
def gateway_process(home: str, redis_url: str, target: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway before the server of answers; its process and its port."""
    port = free_port()
    environment = {
        "ENCORE_REDIS_URL": redis_url,
        "ENCORE_HOME": home,
        "ENCORE_GATEWAY_PORT": str(port),
        "ENCORE_TTL_SECONDS": "3600",
        "ENCORE_REDIS_TIMEOUT_SECONDS": "1",  # the machine is busy on purpose
        "OPENAI_BASE_URL": f"{target}/v1",
        "OPENAI_API_KEY": "sk-bench",
    }
    with process("-c", QUIET_GATEWAY, port=port, **environment) as running:
        yield running, port


QUIET_GATEWAY = (
    "import logging; logging.disable(logging.INFO); from core.http.__main__ import main; raise SystemExit(main())"
)


# Clients


def request_bytes(question: str, **fields: Any) -> bytes:
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}], **fields}).encode()
    return HEAD.format(len(body)).encode() + body


def fields_of(head: bytes) -> dict[bytes, bytes]:
    """The fields of an answer's header; names in lower case."""
    return dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Header and body of the next answer on the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = fields_of(head)
    if b"content-length" in fields:
        return head, await reader.readexactly(int(fields[b"content-length"]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return head, body


async def ask(port: int, questions: list[str], expected: bytes) -> list[float]:
    """One client with one connection: milliseconds of each answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    times = []
    for question in questions:
        request = request_bytes(question)
        began = time.perf_counter()
        writer.write(request)
        head, _ = await read_answer(reader)
        times.append((time.perf_counter() - began) * 1000)
        if b" 200 OK" not in head[:20] or expected not in head:
            raise SystemExit(f"unexpected answer: {head.decode()}")
    writer.close()
    await writer.wait_closed()
    return times


class Way:
    """One way to the answers. `fresh` questions are new each time."""

    def __init__(self, name: str, port: int, expected: bytes = b"", *, fresh: bool = True) -> None:
        self.name = name
        self.port = port
        self.expected = expected
        self.fresh = fresh
        self._numbers = count()

    async def run(self, clients: int, requests: int) -> tuple[float, list[float]]:
        """Requests a second and milliseconds of each."""
        per_client = max(1, requests // clients)
        texts = [[self._question() for _ in range(per_client)] for _ in range(clients)]
        began = time.perf_counter()
        times = await asyncio.gather(*(ask(self.port, mine, self.expected) for mine in texts))
        seconds = time.perf_counter() - began
        return clients * per_client / seconds, [each for mine in times for each in mine]

    def _question(self) -> str:
        number = next(self._numbers) if self.fresh else 0
        return f"How do I change the delivery address of my parcel number {number} to another town?"


async def compare(ways: list[Way], clients: int, requests: int, turns: int) -> None:
    """Prints rates, times and ratios to the bare proxy for a number of concurrent clients."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(turns + 1):
        for way in ways:
            rate, milliseconds = await way.run(clients, requests)
            if turn:  # the first is to warm up
                rates[way.name].append(rate)
                times[way.name] += milliseconds
    print(f"\n{clients} client(s)      requests/s  p50 ms  p99 ms   x proxy's rate  added to straight, p50 ms")
    straight = statistics.median(times["straight"])
    for way in ways:
        cuts = statistics.quantiles(times[way.name], n=100)
        ratios = [mine / proxy for mine, proxy in zip(rates[way.name], rates["bare proxy"], strict=True)]
        print(
            f"{way.name:18}{statistics.median(rates[way.name]):9,.0f}{cuts[49]:8.2f}{cuts[98]:8.2f}"
            f"{statistics.median(ratios):17.2f}{cuts[49] - straight:17.2f}"
        )


# Memory


def memory(pid: int) -> tuple[float, float]:
    """Resident memory now and at its highest, in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) / 1000, int(lines["VmHWM"].split()[0]) / 1000


async def replay(port: int, opened: asyncio.Semaphore, all_open: asyncio.Event, counts: dict[str, int]) -> int:
    """Asks for the stored stream, and reads it when everyone has asked; its length."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what is not read is the gateway's to hold
    narrow.setblocking(False)
    async with opened:
        await asyncio.get_running_loop().sock_connect(narrow, (HOST, port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
        writer.write(request_bytes("Tell me the long story.", stream=True))
        head = await reader.readuntil(b"\r\n\r\n")  # not before are others let in: a server takes 2,000 at once
    counts["asked"] += 1
    await all_open.wait()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
    body = await reader.readexactly(int(fields_of(head)[b"content-length"]))
    writer.close()
    if b"; hit;" not in head or not body.endswith(b"[DONE]\n\n"):
        raise SystemExit(f"not a whole replay: {head.decode()}")
    return len(body)


async def replays(pid: int, port: int, clients: int) -> None:
    """Prints the gateway's memory while a number of clients read one stored stream."""
    await first_stream(port)
    before, _ = memory(pid)
    opened, all_open, counts = asyncio.Semaphore(200), asyncio.Event(), {"asked": 0}
    began = time.perf_counter()
    tasks = [asyncio.create_task(replay(port, opened, all_open, counts)) for _ in range(clients)]
    while counts["asked"] < clients:
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                task.result()
    all_open.set()
    lengths = await asyncio.gather(*tasks)
    seconds = time.perf_counter() - began
    after, highest = memory(pid)
    print(
        f"\n{clients:,} concurrent replays of a stored stream of {lengths[0] / 1000:.0f} KB in {seconds:.1f} s: "
        f"memory {before:.0f} MB before, {highest:.0f} MB at most ({(highest - before) * 1000 / clients:.1f} KB each), "
        f"{after:.0f} MB after"
    )


async def first_stream(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, limit=2**20)
    writer.write(request_bytes("Tell me the long story.", stream=True))
    await read_answer(reader)
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200, help="of each way in each turn")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--replays", type=int, default=10_000, help="0: do not look at the memory")
    parser.add_argument("--serve", choices=["upstream", "proxy"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--target", default="", help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port, options.target, options.delay)
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with ExitStack() as running:
        home = running.enter_context(tempfile.TemporaryDirectory())
        redis = running.enter_context(EmbeddedRedis(Path(home), durable=False))
        target = running.enter_context(upstream_process())
        proxy_port = free_port()
        proxy = ["-m", "benchmarks.gateway", "--serve", "proxy", "--port", str(proxy_port), "--target", target]
        running.enter_context(process(*proxy, port=proxy_port))
        gateway, port = running.enter_context(gateway_process(home, redis.url, target))
        ways = [
            Way("straight", int(target.rpartition(":")[2])),
            Way("bare proxy", proxy_port),
            Way("gateway, miss", port, b"fwd=uri-miss; stored"),
            Way("gateway, hit", port, b"cache-status: encore; ", fresh=False),
        ]
        for clients in options.clients:
            asyncio.run(compare(ways, clients, options.requests, options.turns))
        if replays_wanted := min(options.replays, (files - 100)):
            asyncio.run(replays(gateway.pid, port, replays_wanted))


if __name__ == "__main__":
    main()
