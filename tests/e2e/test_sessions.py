"""Many live dashboards share one reading of Redis: a part of the soak in test_live.py that every run has time for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import websockets
from redis import Redis
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.console import Session
from core.bootstrap import bootstrap
from core.models import ChatRequest
from core.settings import Settings
from tests.conftest import RedisServer
from tests.e2e.consoles import Console
from tests.fakes import CountingProvider
from tests.ports import free_port

pytestmark = pytest.mark.timeout(900)

SESSIONS = 8
RUNS = 5
"""So many times each session draws something anew: some seconds."""
MOST = 3
"""Eight sessions that each read for themselves would send eight times the commands of one."""


@pytest.fixture(scope="module")
def server(redis_binary, tmp_path_factory) -> Iterator[str]:
    """A Redis with a few requests behind it, and nobody else on it."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as running:
        with bootstrap(Settings(redis_url=running.url), provider=CountingProvider()) as services:
            for number in range(30):
                messages = [{"role": "user", "content": f"What is number {number % 10}?"}]
                services.cache.complete(ChatRequest.from_openai(model="gpt-4o-mini", messages=messages))
        yield running.url


@pytest.fixture(scope="module")
def console(server, tmp_path_factory) -> Iterator[Console]:
    started = Console(tmp_path_factory.mktemp("console"), port=free_port(), ENCORE_REDIS_URL=server)
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.stop()


async def look_on(address: str, count: int, redis: Redis) -> tuple[int, list[Session]]:
    """Has sessions live until each has drawn so often since all were open; the commands Redis got meanwhile."""
    sessions = [Session(address.removeprefix("http://")) for _ in range(count)]
    tasks = [asyncio.create_task(session.run()) for session in sessions]

    async def until_all(ready) -> None:
        while not all(ready(session) for session in sessions):
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)

    try:
        await until_all(lambda session: session.is_open)
        drawn = {session: session.seen["script_finished"] for session in sessions}
        before = commands(redis)
        await until_all(lambda session: session.seen["script_finished"] >= drawn[session] + RUNS)
        return commands(redis) - before, sessions
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def commands(redis: Redis) -> int:
    return int(redis.info("stats")["total_commands_processed"])


def test_many_live_dashboards_ask_redis_hardly_more_than_one(console, server):
    with Redis.from_url(server) as redis:
        asyncio.run(look_on(console.address, 1, redis))  # imports everything; what it has read is old by its end
        alone, _ = asyncio.run(look_on(console.address, 1, redis))
        together, sessions = asyncio.run(look_on(console.address, SESSIONS, redis))
    assert alone > 0
    assert together < MOST * alone
    assert sum(session.seen["exception"] for session in sessions) == 0
    assert "Traceback" not in console.log.read_text(), console.log.read_text()


async def switched(address: str) -> tuple[str, set[str]]:
    """Opens a page, then another one, then rings a timer of the first: the second, and which pages were drawn then."""
    url = f"{address.replace('http', 'ws')}/_stcore/stream"
    async with websockets.connect(url, subprotocols=["streamlit"], max_size=None) as socket:

        async def drawn(page: str, fragment: str = "") -> list[ForwardMsg]:
            asked = BackMsg()
            asked.rerun_script.page_script_hash = page
            asked.rerun_script.fragment_id = fragment
            asked.rerun_script.is_auto_rerun = bool(fragment)
            await socket.send(asked.SerializeToString())
            messages = []
            while not messages or messages[-1].WhichOneof("type") != "script_finished":
                data = await socket.recv()
                assert isinstance(data, bytes)
                messages.append(ForwardMsg.FromString(data))
            return messages

        begun = await drawn("")
        *_, navigation = [one.navigation for one in begun if one.WhichOneof("type") == "navigation"]
        pages = {page.url_pathname: page.page_script_hash for page in navigation.app_pages}
        first, second = pages["requests"], pages["schedules"]
        await drawn(first)
        there = await drawn(second)
        ticking = [one.auto_rerun.fragment_id for one in there if one.WhichOneof("type") == "auto_rerun"]
        late = BackMsg()
        late.rerun_script.page_script_hash = first
        late.rerun_script.fragment_id = ticking[0]
        late.rerun_script.is_auto_rerun = True
        await socket.send(late.SerializeToString())
        after = await drawn(second, ticking[0])
        while not any(one.WhichOneof("type") == "delta" for one in after):  # what ended was the late one
            after += await drawn(second, ticking[0])
        return second, {one.new_session.page_script_hash for one in after if one.WhichOneof("type") == "new_session"}


def test_a_timer_of_the_page_before_draws_nothing_into_the_open_one(console):
    second, drawn = asyncio.run(asyncio.wait_for(switched(console.address), 120))
    assert drawn == {second}
