"""The path of a request as effects: told what came of each, and abandoned at every one of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.cache import flights
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.cache.drivers import Run, abandon, drive, drive_async
from core.cache.effects import AwaitFlight, Effect, GiveBack, IsLeased, Keep, MakeRecord, Pause, Read, Stop, TakeLease
from core.cache.steps import Fetched, Follow, Hit, Lead, first_step, settle
from core.models import Answer, ChatRequest, Completion, Controls, Stamp
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes, a_body

OF_A_MISS = [Read, MakeRecord, TakeLease, Read, Lead, Keep, GiveBack]
"""What a miss that is stored wants done, in order."""


def ask(question: str = "What is the capital of France?") -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])


ANSWER = Fetched(Completion(body=a_body("Paris.")))


class Setup:
    """A cache on a store of its own, whose effects a test performs itself."""

    def __init__(self, store: MemoryStore | RedisStore, namespace: str, **config: Any) -> None:
        self.store = store
        self.outcomes = Outcomes()
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, **config),
            store=store,
            provider=CountingProvider(),
            metrics=self.outcomes,
        )

    def run(self, **controls: Any) -> Run[Any]:
        return self.cache.run(ask(), Controls(**controls))

    def effects(self, run: Run[Any]) -> Iterator[Effect]:
        """Performs the effects one by one; each is given out before it is performed."""
        try:
            effect = run.flow.send(None)
            while True:
                yield effect
                effect = run.flow.send(ANSWER if isinstance(effect, Stop) else effect.perform(run.world))
        except StopIteration:
            return

    def leaves_nothing(self) -> bool:
        """Whether nobody holds, or waits for, anything."""
        keyed = self.cache.identify(ask()).keyed
        assert keyed is not None
        _, record = self.store.read(keyed.slot, [])
        stamp = record.stamp if record is not None else Stamp(b"", 0)
        is_leased = self.store.leased(keyed.slot, keyed.identity.exact, stamp.sequence)
        return len(self.cache.flights) == 0 and not is_leased


@pytest.fixture(params=["memory", "redis"])
def setup(request: pytest.FixtureRequest, namespace: str) -> Iterator[Setup]:
    store: MemoryStore | RedisStore = MemoryStore(100)
    if request.param == "redis":
        store = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    setup = Setup(store, namespace)
    yield setup
    setup.cache.close()


def until(condition: Callable[[], bool]) -> None:
    pause, tries = threading.Event(), 0
    while not condition():
        tries += 1
        assert tries < 3000, "it never came about"
        pause.wait(0.01)


def test_a_miss_is_these_effects_in_this_order(setup: Setup):
    assert [type(effect) for effect in setup.effects(setup.run())] == OF_A_MISS
    assert setup.outcomes.words() == ["miss (absent), stored"]


def test_a_hit_is_one_read(setup: Setup):
    list(setup.effects(setup.run()))
    assert [type(effect) for effect in setup.effects(setup.run())] == [Read]
    assert setup.outcomes.words()[-1] == "hit (exact)"


def stand_at(setup: Setup, number: int) -> Run[Any]:
    """A request that wants its effect of this number done."""
    run = setup.run()
    effects = setup.effects(run)
    for _ in range(number + 1):
        next(effects)
    return run


@pytest.mark.parametrize("number", range(len(OF_A_MISS)))
def test_abandoned_at_any_effect_it_leaves_nothing_behind(setup: Setup, number: int):
    abandon(stand_at(setup, number))
    until(setup.leaves_nothing)
    assert setup.outcomes.words() == ["error (cancelled)"]
    list(setup.effects(setup.run()))
    assert setup.outcomes.words()[1:] in (["miss (absent), stored"], ["hit (exact)"])


@pytest.mark.parametrize("number", range(len(OF_A_MISS)))
def test_dropped_at_any_effect_it_leaves_nothing_behind(setup: Setup, number: int):
    stand_at(setup, number).flow.close()
    until(setup.leaves_nothing)
    assert setup.outcomes.words() == ["error (cancelled)"]


@pytest.mark.parametrize("number", [n for n, kind in enumerate(OF_A_MISS) if kind is not Keep])
def test_what_an_effect_raises_ends_the_request_and_leaves_nothing_behind(setup: Setup, number: int):
    run = stand_at(setup, number)
    with pytest.raises(ZeroDivisionError):
        drive(run, error=ZeroDivisionError())
    until(setup.leaves_nothing)
    assert setup.outcomes.words() == ["error (ZeroDivisionError)"]


def test_what_goes_wrong_when_an_answer_is_kept_costs_nobody_the_answer(setup: Setup):
    answer = drive(stand_at(setup, OF_A_MISS.index(Keep)), error=ZeroDivisionError())
    assert answer.completion.text
    until(setup.leaves_nothing)
    assert setup.outcomes.words() == ["miss (absent)"]
    assert setup.outcomes.all[-1].not_stored == "unencodable"


@pytest.mark.parametrize("number", [n for n, kind in enumerate(OF_A_MISS) if kind is not Lead])
def test_a_caller_that_is_cancelled_while_an_effect_is_performed_leaves_nothing_behind(setup: Setup, number: int):
    """The effect goes on on its thread; what it has brought about is ended when it is done."""
    began, may_end = threading.Event(), threading.Event()
    counted = iter(range(100))

    def held(perform: Callable[[Effect, Any], Any]) -> Callable[[Effect, Any], Any]:
        def performing(effect: Effect, world: Any) -> Any:
            if next(counted) != (number if number < OF_A_MISS.index(Lead) else number - 1):
                return perform(effect, world)
            began.set()
            assert may_end.wait(30)
            return perform(effect, world)

        return performing

    async def go() -> None:
        run = setup.run()
        flow = run.flow
        holding = _Holding(flow, held)
        asking = asyncio.ensure_future(_complete(Run(holding, run.world)))
        await asyncio.to_thread(began.wait, 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_end.set()
        await asyncio.to_thread(until, setup.leaves_nothing)

    asyncio.run(go())
    until(lambda: len(setup.outcomes.words()) == 1)


def test_a_caller_that_is_cancelled_just_when_the_lease_has_been_taken_gives_it_back(setup: Setup, monkeypatch):
    """The thread has ended, and the loop has heard of it, but the caller is cancelled before it goes on."""
    take = setup.cache._world.leases.take

    async def go() -> None:
        loop = asyncio.get_running_loop()

        def busy() -> None:
            until(lambda: not taking.is_set())
            threading.Event().wait(0.1)  # the thread's result is in the loop's queue now
            loop.call_soon(asking.cancel)

        def taken(*args: Any) -> Any:
            taking.set()
            lease = take(*args)
            loop.call_soon_threadsafe(busy)
            taking.clear()
            return lease

        monkeypatch.setattr(type(setup.cache._world.leases), "take", lambda leases, *args: taken(*args))
        taking = threading.Event()
        asking = asyncio.ensure_future(setup.cache.acomplete(ask()))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(until, setup.leaves_nothing)

    asyncio.run(go())
    assert setup.outcomes.words() == ["error (cancelled)"]


def test_an_answer_that_is_being_stored_counts_though_its_caller_goes_away(setup: Setup, monkeypatch):
    writing, may_write = threading.Event(), threading.Event()
    write = type(setup.store).write

    def slow(store: Any, *args: Any) -> Any:
        writing.set()
        assert may_write.wait(30)
        return write(store, *args)

    monkeypatch.setattr(type(setup.store), "write", slow)

    async def go() -> None:
        asking = asyncio.ensure_future(setup.cache.acomplete(ask()))
        await asyncio.to_thread(writing.wait, 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_write.set()
        await asyncio.to_thread(until, setup.leaves_nothing)

    asyncio.run(go())
    until(lambda: setup.outcomes.words() == ["miss (absent), stored"])


class _Holding:
    """A flow whose effects are performed by way of a function of the test's."""

    def __init__(self, flow: Any, held: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._flow = flow
        self._held = held

    def send(self, value: Any) -> Any:
        return self._wrapped(self._flow.send(value))

    def throw(self, error: BaseException) -> Any:
        return self._wrapped(self._flow.throw(error))

    def close(self) -> None:
        self._flow.close()

    def _wrapped(self, effect: Effect) -> Effect:
        return effect if isinstance(effect, Stop | AwaitFlight | Pause) else _HeldEffect(effect, self._held)


class _HeldEffect(Effect):
    def __init__(self, effect: Effect, held: Callable[..., Any]) -> None:
        self._perform = held(type(effect).perform)
        self._effect = effect

    def perform(self, world: Any) -> Any:
        return self._perform(self._effect, world)


async def _complete(run: Run[Any]) -> Answer:
    step = await drive_async(run)
    assert isinstance(step, Lead)
    answer = await drive_async(run, ANSWER)
    assert isinstance(answer, Answer)
    return answer


class TestWaiting:
    def test_a_follower_that_goes_away_leaves_the_leader_alone(self, setup: Setup):
        lead = settle(setup.run())
        assert isinstance(lead, Lead)
        follower = setup.run()
        assert isinstance(drive(follower, waits=False), AwaitFlight)
        assert lead.is_awaited
        abandon(follower)
        assert not lead.is_awaited
        assert lead.finish(ANSWER.completion).outcome.stored
        assert setup.leaves_nothing()

    def test_a_follower_is_handed_the_answer(self, setup: Setup):
        lead = settle(setup.run())
        assert isinstance(lead, Lead)
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(lambda: settle(setup.run()))
            until(lambda: lead.is_awaited)
            lead.finish(ANSWER.completion)
            hit = following.result(30)
        assert isinstance(hit, Hit)
        assert str(hit.answer.outcome) == "miss (collapsed), collapsed"

    def test_a_caller_out_of_patience_waits_no_longer(self, setup: Setup):
        lead = settle(setup.run())
        assert isinstance(lead, Lead)
        with pytest.raises(TimeoutError):
            settle(setup.cache.run(ask(), patience_seconds=0.01))
        assert setup.outcomes.words() == ["error (cancelled)"]
        assert not lead.is_awaited
        lead.abandon()
        assert setup.leaves_nothing()

    def test_a_driver_that_does_its_own_waiting_hears_of_another_process(self, redis_url: str, namespace: str):
        there, here = (Setup(RedisStore(request_client(redis_url, 5)), namespace) for _ in range(2))
        lead = settle(there.run())
        assert isinstance(lead, Lead)
        step = first_step(here.run())
        assert isinstance(step, Follow)
        assert step.wait(0) is not None
        lead.finish(ANSWER.completion)
        while isinstance(step, Follow):
            step = step.wait(0)
        assert isinstance(step, Hit)
        for each in (there, here):
            each.cache.close()

    @pytest.mark.parametrize("number", range(3))
    def test_abandoned_while_another_process_computes_it_leaves_nothing_behind(
        self, redis_url: str, namespace: str, number: int
    ):
        there, here = (Setup(RedisStore(request_client(redis_url, 5)), namespace) for _ in range(2))
        lead = settle(there.run())
        assert isinstance(lead, Lead)
        run = here.run()
        effects = (effect for effect in here.effects(run) if not isinstance(effect, TakeLease))
        waiting = [next(effects) for _ in range(2 + number)]  # the lookup that missed, then round and round
        assert [type(effect) for effect in waiting] == [Read, Pause, Read, IsLeased][: len(waiting)]
        abandon(run)
        assert len(here.cache.flights) == 0
        assert here.outcomes.words() == ["error (cancelled)"]
        lead.finish(ANSWER.completion)
        assert there.leaves_nothing()
        for each in (there, here):
            each.cache.close()


def test_a_step_of_ones_own_ends_the_request_by_itself_when_it_is_forgotten(setup: Setup):
    step = first_step(setup.run())
    assert isinstance(step, Lead)
    del step
    gc.collect()
    until(setup.leaves_nothing)


def test_requests_that_were_dropped_may_be_collected_anywhere(setup: Setup, monkeypatch):
    """The collector runs on any thread, at any allocation: here while that thread joins a flight of its own."""

    def collected() -> Any:
        gc.collect()
        return future()

    future = flights.Future
    gc.disable()
    try:
        setup.cache.stream(ask())
        stream = setup.cache.stream(ask("And of Italy?"))
        next(iter(stream))
        del stream
        monkeypatch.setattr(flights, "Future", collected)
        asking = threading.Thread(
            target=lambda: setup.cache.complete(ask("What is the capital of Spain?")), daemon=True
        )
        asking.start()
        asking.join(30)
        assert not asking.is_alive()
    finally:
        gc.enable()
    assert setup.outcomes.words() == ["error (cancelled)", "error (cancelled)", "miss (absent), stored"]
    until(setup.leaves_nothing)


def test_a_stream_that_is_closed_early_has_given_its_lease_back(setup: Setup):
    with setup.cache.stream(ask()) as stream:
        next(iter(stream))
        assert not setup.leaves_nothing()
    assert setup.leaves_nothing()
    assert setup.outcomes.words() == ["error (cancelled)"]


def test_a_stream_that_is_closed_early_has_given_its_lease_back_on_an_event_loop(setup: Setup):
    async def go() -> None:
        async with await setup.cache.astream(ask()) as stream:
            await anext(aiter(stream))
            assert not setup.leaves_nothing()
        assert setup.leaves_nothing()

    asyncio.run(go())
    assert setup.outcomes.words() == ["error (cancelled)"]
