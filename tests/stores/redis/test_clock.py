"""The one clock: whatever the clocks of machines say, all processes go by Redis'."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from core.bootstrap import Services, bootstrap
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.doctor.diagnosis import diagnose
from core.keys import names
from core.models import ChatRequest, Controls, For, OutcomeKind
from core.settings import Settings
from core.stores.redis.clients import open_client
from core.stores.redis.clock import CHECK_SECONDS, RedisClock, wrong_clocks
from core.stores.redis.cluster import servers_of
from core.stores.redis.store import RedisStore
from tests.conftest import RedisServer
from tests.fakes import CountingProvider, a_body
from tests.samples import Clock

ROOT = Path(__file__).parents[3]
FAR = 3000.0
"""Seconds by which a clock is wrong, far more than any step here takes."""
NEAR = 300.0


@pytest.fixture
def server(redis_server) -> RedisServer:
    return redis_server()


@pytest.fixture
def client(server) -> Iterator:
    with open_client(server.url) as client:
        yield client


def now_of(client) -> float:
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6


def wrong_by(seconds: float):
    return lambda: time.time() + seconds


@pytest.mark.parametrize("ahead", [-FAR, 0.0, FAR])
def test_it_says_what_redis_says_whatever_the_machine_says(client, ahead):
    before = now_of(client)
    clock = RedisClock(servers_of(client), machine=wrong_by(ahead))
    now = clock()
    assert before - 1 < now < now_of(client) + 1
    clock.close()


def test_a_machine_s_clock_that_is_set_moves_nothing(client):
    machine = Clock(time.time())
    clock = RedisClock(servers_of(client), machine=machine)
    before = clock()
    machine.forward(FAR)
    assert before <= clock() < before + NEAR
    machine.forward(-2 * FAR)
    assert before <= clock() < before + NEAR
    clock.close()


def test_it_goes_on_by_the_last_it_knew_while_redis_is_away_and_asks_again(server, client):
    steady = Clock(1000.0)
    clock = RedisClock(servers_of(client), machine=wrong_by(FAR), steady=steady)
    began = clock()
    server.kill()
    steady.forward(CHECK_SECONDS)
    assert clock._check_again()
    assert clock() == began + CHECK_SECONDS
    server.start()
    steady.forward(NEAR)  # Redis' clock has not: its word counts
    assert clock._check_again()
    assert clock() < began + NEAR
    clock.close()


def test_it_is_asked_now_and_then_and_not_for_each_time(client):
    steady = Clock(1000.0)
    clock = RedisClock(servers_of(client), steady=steady)
    clock.close()  # here the test is the thread
    assert [clock() for _ in range(50)] == [clock()] * 50
    for seconds in (0.0, CHECK_SECONDS / 2, CHECK_SECONDS):
        steady.now = 1000.0 + seconds
        clock._check_again()
    assert client.info("commandstats")["cmdstat_time"]["calls"] == 4, "once by the first call, then three at a time"


def test_until_redis_has_answered_it_goes_by_the_machine(server, client):
    server.kill()
    clock = RedisClock(servers_of(client), machine=wrong_by(FAR))
    assert clock() > time.time() + NEAR
    server.start()
    clock._check_at = None
    assert clock() < time.time() + NEAR
    clock.close()


class FarServers:
    """A server that gets each question after a while, and is heard after as long again."""

    def __init__(self, steady: Clock, seconds: list[float]) -> None:
        self.steady = steady
        self.seconds = seconds

    def ask(self, name: bytes, command: bytes) -> list[bytes]:
        way = self.seconds.pop(0)
        self.steady.forward(way)
        told = self.steady.now + NEAR
        self.steady.forward(way)
        return [b"%d" % told, b"%d" % (told % 1 * 1e6)]


def test_half_of_what_an_answer_takes_is_its_way_back_and_the_quickest_counts():
    steady = Clock(1000.0)
    servers = FarServers(steady, [8.0, 4.0, 0.25, 2.0])
    clock = RedisClock(servers, machine=lambda: steady.now + NEAR, steady=steady)
    clock.close()
    assert clock() == steady.now + NEAR
    clock._check_at = None
    clock._check_again()
    assert clock() == steady.now + NEAR


class HangingServers:
    """A server that hangs before it looks at its clock, or before it says what it saw: each question has both times."""

    def __init__(self, steady: Clock, hangs: list[tuple[float, float]]) -> None:
        self.steady = steady
        self.hangs = hangs

    def ask(self, name: bytes, command: bytes) -> list[bytes]:
        before, after = self.hangs.pop(0)
        self.steady.forward(before)
        told = self.steady.now + NEAR
        self.steady.forward(after)
        return [b"%d" % told, b"%d" % (told % 1 * 1e6)]


@pytest.mark.parametrize(("hang", "ahead"), [((4.0, 0.0), 2.0), ((0.0, 4.0), -2.0)])
def test_a_hang_in_the_first_question_puts_the_clock_wrong_by_half_of_it_until_the_next(hang, ahead):
    steady = Clock(1000.0)
    servers = HangingServers(steady, [hang, hang, (0.0, 0.0), hang])
    clock = RedisClock(servers, machine=lambda: steady.now + NEAR, steady=steady)
    clock.close()
    assert clock() == steady.now + NEAR + ahead
    steady.forward(CHECK_SECONDS)
    clock._check_again()
    assert clock() == steady.now + NEAR
    assert not servers.hangs


def test_a_wrong_clock_is_reported_to_all_until_it_is_right(client):
    machine = Clock(time.time() + FAR)
    clock = RedisClock(servers_of(client), machine=machine, steady=Clock(1000.0))
    clock()
    [wrong] = wrong_clocks(client, now_of(client))
    assert FAR - NEAR < wrong.ahead_seconds < FAR + NEAR
    assert wrong_clocks(client, now_of(client) + 3600) == (), "long ago"
    machine.now = time.time()
    clock._check_at = None
    clock._check_again()
    assert wrong_clocks(client, now_of(client)) == ()
    clock.close()


def test_what_others_have_written_there_does_no_harm(client):
    client.hset(names.CLOCKS.decode(), "web", "yesterday")
    assert wrong_clocks(client, now_of(client)) == ()


# Answers, by processes whose clocks are wrong


def a_cache(client, ahead: float, namespace: str) -> LLMCache:
    clock = RedisClock(servers_of(client), machine=wrong_by(ahead))
    store = RedisStore(client, clock=clock)
    return LLMCache(CacheConfig(namespace=namespace, ttl_jitter=0), store=store, provider=CountingProvider())


QUESTION = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "What is an owl?"}])


@pytest.mark.parametrize(("writer", "reader"), list(product((-FAR, 0.0, FAR), repeat=2)))
def test_an_answer_is_fresh_as_long_as_it_was_to_be_whoever_wrote_and_whoever_reads(client, namespace, writer, reader):
    writing, reading = a_cache(client, writer, namespace), a_cache(client, reader, namespace)
    began = now_of(client)
    writing.complete(QUESTION, Controls(ttl=For(NEAR)))
    answer = reading.complete(QUESTION, Controls(max_age=NEAR))
    assert answer.outcome.kind is OutcomeKind.HIT
    assert answer.age_seconds < NEAR
    assert answer.ttl_seconds <= NEAR + 1
    found = reading.look_up(QUESTION).found
    assert began - 1 < found.entry.header.created_at < now_of(client) + 1
    assert found.entry.header.fresh_until < now_of(client) + NEAR + 1
    for cache in (writing, reading):
        cache._world.leases.close()


def test_a_store_without_a_clock_of_another_s_goes_by_redis(client, namespace):
    cache = LLMCache(CacheConfig(namespace=namespace), store=RedisStore(client))
    assert cache.set(QUESTION, completion := _completion())
    assert abs(cache.look_up(QUESTION).found.entry.header.created_at - now_of(client)) < NEAR
    assert cache.get(QUESTION).completion.text == completion.text


def _completion():
    from core.models import Completion

    return Completion(body=a_body("An owl is a bird."))


STORE = """
import time
real = time.time
time.time = lambda: real() + {ahead}
from core import Settings, bootstrap, ChatRequest
from tests.fakes import CountingProvider
settings = Settings(redis_url={url!r}, namespace={namespace!r}, redis_timeout_seconds=5)
with bootstrap(settings, provider=CountingProvider()) as services:
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{{"role": "user", "content": "What is an owl?"}}])
    print(services.cache.complete(request).outcome.stored)
"""


@pytest.mark.parametrize("ahead", [-FAR, FAR])
def test_a_whole_process_with_a_wrong_clock_is_put_right_and_found(server, namespace, ahead):
    script = STORE.format(ahead=ahead, url=server.url, namespace=namespace)
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.stdout == "True\n", told.stderr
    assert "the clock of this machine is 3000 s" in told.stderr
    with a_services(server, namespace) as services:
        answer = services.cache.complete(QUESTION)
        assert answer.outcome.kind is OutcomeKind.HIT
        assert answer.age_seconds < NEAR
        said = [finding.text for finding in diagnose(services, outside=()).findings if "clock" in finding.text]
        assert len(said) == 1
        assert f"3000 s {'ahead of' if ahead > 0 else 'behind'} Redis'" in said[0]
        health = services.health.check()
        [alert] = [alert for alert in services.alert_board.look(None, health) if alert.name == "clock"]
        assert "3000 s" in alert.sentence


def a_services(server: RedisServer, namespace: str) -> Services:
    return bootstrap(Settings(redis_url=server.url, namespace=namespace), provider=CountingProvider())
