"""Of equal requests at the same time one asks the provider; the rest wait, take over, or go alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.flights import MAX_TAKEOVERS, FlightKey, Flights
from core.keys.names import Slot
from core.models import Answer, ChatRequest, Controls
from core.stores.codec import encode_entry
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes
from tests.samples import an_entry

CALLERS = 40


def ask(question: str = "What is the capital of France?", **arguments) -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}], **arguments)


class Gate:
    """Holds the provider up until so many callers wait behind the first."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, call: int) -> None:
        self.entered.set()
        assert self.opened.wait(120)


@pytest.fixture
def make(redis_url: str, namespace: str) -> Iterator[Callable[..., LLMCache]]:
    """Caches on one Redis, each as another process would have it."""
    stores = []

    def build(provider: CountingProvider, **config) -> LLMCache:
        store = RedisStore(request_client(redis_url, 5))
        stores.append(store)
        return LLMCache(CacheConfig(namespace=namespace, **config), store=store, provider=provider, metrics=Outcomes())

    yield build
    for store in stores:
        store.close()


def waiting(cache: LLMCache) -> int:
    """How many requests of a cache wait for its flights."""
    futures = [flight.result for flight in list(cache.flights._flights.values())]
    return sum(len(future._waiters) + len(future._done_callbacks) for future in futures)


def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition that other threads bring about."""
    pause, tries = threading.Event(), 0
    while not condition():
        tries += 1
        assert tries < 12_000, "it never came about"
        pause.wait(0.01)


def crowd(cache: LLMCache, callers: int = CALLERS, request: ChatRequest | None = None):
    pool = ThreadPoolExecutor(callers)
    return pool, [pool.submit(cache.complete, request or ask()) for _ in range(callers)]


def test_equal_concurrent_misses_make_one_call(make):
    gate = Gate()
    provider = CountingProvider(before=gate)
    cache = make(provider)
    pool, calls = crowd(cache)
    with pool:
        assert gate.entered.wait(120)
        until(lambda: waiting(cache) == CALLERS - 1)
        gate.opened.set()
        answers = [call.result(120) for call in calls]
    assert provider.calls == 1
    assert {answer.completion.text for answer in answers} == {"answer 1"}
    assert sum(answer.outcome.collapsed for answer in answers) == CALLERS - 1
    assert len({id(answer.completion.body) for answer in answers}) == CALLERS, "nobody shares an object"


def test_two_processes_make_one_call(make):
    gate = Gate()
    provider = CountingProvider(before=gate)
    first, second = make(provider), make(provider)
    pool, calls = crowd(first, 5)
    other_pool, other_calls = crowd(second, 5)
    with pool, other_pool:
        assert gate.entered.wait(120)
        until(lambda: waiting(first) + waiting(second) >= 8)
        gate.opened.set()
        answers = [call.result(120) for call in (*calls, *other_calls)]
    assert provider.calls == 1
    assert {answer.completion.text for answer in answers} == {"answer 1"}


def test_different_requests_do_not_wait_for_each_other(make, namespace):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None)
    cache = make(provider)
    pool, _ = crowd(cache, 1)
    with pool:
        assert gate.entered.wait(120)
        assert cache.complete(ask("And of Italy?")).completion.text == "answer 2"
        assert cache.complete(ask(), Controls(namespace=namespace + "-b")).completion.text == "answer 3"
        assert cache.complete(ask(temperature=0.5)).completion.text == "answer 4"
        gate.opened.set()


def test_one_follower_takes_over_when_the_leader_fails(make):
    gate = Gate()

    def fail_once(call: int) -> None:
        if call == 1:
            gate(call)
            raise ConnectionError("provider down")

    provider = CountingProvider(before=fail_once)
    cache = make(provider)
    pool, calls = crowd(cache)
    with pool:
        assert gate.entered.wait(120)
        until(lambda: waiting(cache) == CALLERS - 1)
        gate.opened.set()
        failures = [call for call in calls if call.exception(120)]
    assert len(failures) == 1
    assert provider.calls == 2


def test_a_provider_that_keeps_failing_is_not_asked_once_per_follower(make):
    gate = Gate()

    def fail(call: int) -> None:
        if call == 1:
            gate(call)
        raise ConnectionError("provider down")

    provider = CountingProvider(before=fail)
    cache = make(provider)
    pool, calls = crowd(cache)
    with pool:
        assert gate.entered.wait(120)
        until(lambda: waiting(cache) == CALLERS - 1)
        gate.opened.set()
        assert all(isinstance(call.exception(120), ConnectionError) for call in calls)
    assert provider.calls <= 4


def test_an_answer_that_may_not_be_shared_lets_everyone_ask(make):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None, finish_reason="length")
    cache = make(provider)
    pool, calls = crowd(cache, 6)
    with pool:
        assert gate.entered.wait(120)
        until(lambda: waiting(cache) == 5)
        gate.opened.set()
        texts = {call.result(120).completion.text for call in calls}
    assert texts == {f"answer {number}" for number in range(1, 7)}


def test_nobody_who_asks_after_an_invalidation_gets_the_answer_begun_before_it(make, namespace):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None)
    cache = make(provider)
    pool, calls = crowd(cache, 1)
    with pool:
        assert gate.entered.wait(120)
        cache.store.append(Slot(namespace, 0), new_ban("b", Criteria(all=True), now=1.0, hold_seconds=60))
        with ThreadPoolExecutor(1) as another:
            later = another.submit(cache.complete, ask())
            until(lambda: provider.calls == 2 or waiting(cache) > 0)
            waits = waiting(cache)
            gate.opened.set()
            assert waits == 0, "it asks for itself"
            assert later.result(120).completion.text == "answer 2"
        assert calls[0].result(120).completion.text == "answer 1"
    assert cache.complete(ask()).completion.text == "answer 2"


def test_an_invalidation_of_other_answers_parts_nobody(make, namespace):
    gate = Gate()
    provider = CountingProvider(before=gate)
    first, second = make(provider), make(provider)
    slot = Slot(namespace, 0)
    first.store.append(slot, new_ban("before", Criteria(tags=("doc:0",)), now=1.0, hold_seconds=60))
    pool, calls = crowd(first, 1)
    with pool, ThreadPoolExecutor(4) as others:
        assert gate.entered.wait(120)
        for number, criteria in enumerate(
            (Criteria(tags=("doc:1",)), Criteria(model="o3"), Criteria(key="0-" + "ab" * 32))
        ):
            first.store.append(slot, new_ban(f"b{number}", criteria, now=1.0, hold_seconds=60))
        later = [others.submit(cache.complete, ask()) for cache in (first, first, second, second)]
        until(lambda: waiting(first) == 2 and len(second.flights) == 1 and waiting(second) == 1)
        gate.opened.set()
        answers = [call.result(120) for call in (*calls, *later)]
    assert provider.calls == 1
    assert {answer.completion.text for answer in answers} == {"answer 1"}


@pytest.mark.parametrize(
    "criteria",
    [Criteria(tags=("doc:1",)), Criteria(model="gpt-4o"), Criteria(keywords=("france",)), Criteria(pattern="*France*")],
    ids=["tag", "model", "keyword", "pattern"],
)
def test_an_invalidation_that_may_be_of_the_answer_parts_those_before_from_those_after(make, namespace, criteria):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None)
    cache = make(provider)
    tagged = Controls(tags=("doc:1",))
    with ThreadPoolExecutor(1) as one:
        first = one.submit(cache.complete, ask(), tagged)
        assert gate.entered.wait(120)
        cache.store.append(Slot(namespace, 0), new_ban("b", criteria, now=1.0, hold_seconds=60))
        assert cache.complete(ask(), tagged).completion.text == "answer 2", "it waits for nobody"
        gate.opened.set()
        assert first.result(120).completion.text == "answer 1"


def test_an_answer_with_tags_that_were_invalidated_is_given_to_nobody_who_asks_afterwards(make, namespace):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None)
    cache = make(provider)
    with ThreadPoolExecutor(2) as two:
        first = two.submit(cache.complete, ask(), Controls(tags=("doc:1",)))
        assert gate.entered.wait(120)
        cache.store.append(Slot(namespace, 0), new_ban("b", Criteria(tags=("doc:1",)), now=1.0, hold_seconds=60))
        untagged = two.submit(cache.complete, ask())
        until(lambda: waiting(cache) == 1)
        gate.opened.set()
        assert first.result(120).completion.text == "answer 1"
        assert untagged.result(120).completion.text == "answer 2"


def test_an_answer_found_by_other_words_before_an_invalidation_of_it_is_given_to_nobody_who_asks_after_it(
    make, namespace
):
    cache = make(CountingProvider())
    slot = Slot(namespace, 0)
    leader = cache.begin(ask())
    found = an_entry(namespace=namespace, incarnation=cache.store.ensure_record(slot).incarnation, tags=("doc:9",))
    cache.store.append(slot, new_ban("b", Criteria(tags=("doc:9",)), now=1.0, hold_seconds=60))
    with ThreadPoolExecutor(1) as one:
        later = one.submit(cache.complete, ask())
        until(lambda: waiting(cache) == 1)
        [flight] = cache.flights._flights.values()
        flight.finish(encode_entry(found))
        leader.abandon()
        assert later.result(120).completion.text == "answer 1"


def test_a_leader_that_died_holds_nobody_longer_than_its_lease(make, namespace):
    provider = CountingProvider()
    cache = make(provider, lease_seconds=1)
    record = cache.store.ensure_record(Slot(namespace, 0))
    step = make(provider, lease_seconds=1).begin(ask())  # a process that leads and is never heard of again
    assert step.reason == "absent"
    assert cache.store.leased(Slot(namespace, 0), bytes.fromhex(step.key[2:]), record.floor)
    answer = cache.complete(ask())
    assert answer.completion.text == "answer 1"
    assert answer.outcome.latency_ms < 10_000


async def test_a_cancelled_leader_passes_the_lead_on(make):
    gate = Gate()
    provider = CountingProvider(before=lambda call: gate(call) if call == 1 else None)
    cache = make(provider)
    leader = asyncio.create_task(cache.acomplete(ask()))
    await asyncio.to_thread(gate.entered.wait, 120)
    followers = [asyncio.create_task(cache.acomplete(ask())) for _ in range(5)]
    await asyncio.to_thread(until, lambda: waiting(cache) >= 1)
    leader.cancel()
    answers: list[Answer] = await asyncio.gather(*followers)
    gate.opened.set()
    assert {answer.completion.text for answer in answers} == {"answer 2"}
    with pytest.raises(asyncio.CancelledError):
        await leader


async def test_a_cancelled_follower_disturbs_nobody(make):
    gate = Gate()
    provider = CountingProvider(before=gate)
    cache = make(provider)
    tasks = [asyncio.create_task(cache.acomplete(ask())) for _ in range(6)]
    await asyncio.to_thread(gate.entered.wait, 120)
    await asyncio.to_thread(until, lambda: waiting(cache) >= 1)
    for _ in range(3):
        await asyncio.sleep(0)
    gate.opened.set()
    done = await asyncio.gather(*tasks)
    assert {answer.completion.text for answer in done} == {"answer 1"}
    assert provider.calls == 1


def test_a_stream_s_followers_get_the_answer_when_it_has_ended(make):
    gate = Gate()
    provider = CountingProvider(before=gate)
    cache = make(provider)
    with ThreadPoolExecutor(4) as pool:
        streams = [pool.submit(lambda: list(cache.stream(ask(stream=True)))) for _ in range(4)]
        assert gate.entered.wait(120)
        until(lambda: waiting(cache) == 3)
        gate.opened.set()
        chunks = [stream.result(120) for stream in streams]
    assert provider.calls == 1
    assert all(stream == chunks[0] for stream in chunks)


def test_no_flight_is_left_behind(make):
    cache = make(CountingProvider())
    for question in ("a question", "another question"):
        cache.complete(ask(question))
    cache.begin(ask("one more question")).abandon()
    assert len(cache.flights) == 0


def test_errors_that_were_shared_are_freed(monkeypatch):
    monkeypatch.setattr("core.cache.flights.SHARED_SECONDS", 0.0)
    flights = Flights(60)
    for number in range(50):
        for _ in range(MAX_TAKEOVERS + 1):
            flight, leads = flights.join(FlightKey(b"%d" % number, b"", 0))
            assert leads
            flight.finish(error=ConnectionError("down"))
    assert len(flights._shared) <= 1
