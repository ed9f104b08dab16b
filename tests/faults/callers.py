"""Processes that ask: in each one thread that asks as fast as it can, and some that wait for their answers.

The fast one never waits: while its answers are being generated it goes on asking. All threads of a process share one
cache, as in an application.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
import zlib
from pathlib import Path
from typing import assert_never

import msgspec

from core.cache.cache import LLMCache
from core.cache.steps import Bypass, Follow, Hit, Lead, Step, give_up
from core.models import Answer, ChatRequest, Completion
from core.stores.redis.store import RedisStore, request_client
from tests.faults.history import COPIED, EXACT, FOUND, HIT, REASON_BITS, REASONS, UNASKED, Log
from tests.faults.plan import Plan, Signals
from tests.faults.questions import CONFIG, REQUESTS, popular

FOLLOW_SECONDS = 0.01
"""How often the fast thread looks whether another caller's answer is there."""


class _Generator:
    """Makes answers, and logs each before anyone can have it. An answer names its generation and its request."""

    def __init__(self, log: Log, first: int) -> None:
        self._log = log
        self._identities = itertools.count(first)

    def begin(self, request: int) -> Completion:
        """The answer, of a generation that begins now."""
        identity = next(self._identities)
        text = f"{identity:016x} {REQUESTS[request]} {'and so on ' * (identity % 50)}"
        self._log.generated(identity, time.monotonic(), zlib.crc32(text.encode()), request)
        message = {"role": "assistant", "content": text}
        return Completion(body={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


class _Provider:
    """What the waiting threads' cache asks: it takes its time."""

    name = "history"
    base_url = ""

    def __init__(self, plan: Plan, local: threading.local) -> None:
        self._plan = plan
        self._local = local

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        completion = self._local.generator.begin(self._local.request)
        time.sleep(self._plan.generation_seconds(self._local.chance))
        return completion


class Asking(threading.Thread):
    """A thread that asks random requests, waits for each answer and logs it."""

    def __init__(
        self, plan: Plan, cache: LLMCache, local: threading.local, folder: Path, name: str, first: int
    ) -> None:
        super().__init__(name=name)
        self._plan = plan
        self._cache = cache
        self._local = local
        self._log = Log(folder, name)
        self._chance = random.Random(f"{plan.seed}-{name}")
        self._generator = _Generator(self._log, first)
        self._requests = [request.as_sent() for request in REQUESTS]

    def run(self) -> None:
        self._local.generator, self._local.chance = self._generator, self._chance
        while time.monotonic() < self._deadline:
            number = self._local.request = popular(self._chance.random())
            request, controls = self._requests[number]
            began = time.monotonic()
            self._note(number, began, self._cache.complete(request, controls))
            time.sleep(self._chance.random() * self._plan.pause_ms / 1000)
        self._log.close()

    def ask_until(self, deadline: float) -> None:
        """Starts."""
        self._deadline = deadline
        self.start()

    def _note(self, number: int, began: float, answer: Answer) -> None:
        ended = time.monotonic()
        outcome = answer.outcome
        seen = 0
        if outcome.kind == "hit":
            seen = HIT | FOUND | (EXACT if outcome.detail == "exact" else 0) | (COPIED if outcome.copied else 0)
        elif outcome.collapsed:
            seen = HIT
        elif outcome.reason in REASONS:
            seen = REASONS.index(outcome.reason) << REASON_BITS
            if outcome.reason in ("store-down", "store-timeout"):
                seen |= UNASKED
        text = answer.completion.text
        try:
            generation = int(text[:16], 16)
        except ValueError:
            generation = 0  # of which there is none
        created_at = outcome.at - answer.age_seconds
        self._log.asked(began, ended, generation, created_at, zlib.crc32(text.encode()), number, seen)


class AskingOn(Asking):
    """The same without waiting: what is being generated is put aside until it is due."""

    def run(self) -> None:
        self._aside: list[tuple[float, int, Step, Completion | None, int, float]] = []
        self._ticket = itertools.count()
        chance, clock = self._chance.random, time.monotonic
        while (now := clock()) < self._deadline:
            while self._aside and self._aside[0][0] <= now:
                self._take_up()
            if len(self._aside) >= self._plan.at_once:
                time.sleep(max(0.0, self._aside[0][0] - clock()))
                continue
            number = popular(chance())
            began = clock()
            self._go_on(self._cache.begin(*self._requests[number]), number, began)
        for _, _, step, *_ in self._aside:
            give_up(step)
        self._log.close()

    def _go_on(self, step: Step, number: int, began: float) -> None:
        match step:
            case Hit():
                self._note(number, began, step.answer)
            case Lead() | Bypass():
                seconds = self._plan.generation_seconds(self._chance)
                self._put_aside(seconds, step, self._generator.begin(number), number, began)
            case Follow():
                self._put_aside(FOLLOW_SECONDS, step, None, number, began)
            case _:
                assert_never(step)

    def _put_aside(self, seconds: float, step: Step, completion: Completion | None, number: int, began: float) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._aside, (due, next(self._ticket), step, completion, number, began))

    def _take_up(self) -> None:
        _, _, step, completion, number, began = heapq.heappop(self._aside)
        match step:
            case Lead():
                assert completion is not None
                self._note(number, began, step.finish(completion))
            case Bypass():
                assert completion is not None
                self._note(number, began, step.finish(completion))
            case Follow():
                self._go_on(step.wait(0), number, began)
            case _:
                raise AssertionError(step)


def call(plan: Plan, url: str, folder: Path, number: int, signals: Signals) -> None:
    """One process. `number` is its own among all that there ever were: it may be killed and another take its place."""
    logging.disable()
    store = RedisStore(request_client(url, plan.timeout_seconds))
    local = threading.local()
    config = msgspec.structs.replace(CONFIG, l1_seconds=plan.l1_seconds)
    cache = LLMCache(config, store=store, provider=_Provider(plan, local))  # type: ignore[arg-type]
    threads = [
        (AskingOn if place < plan.fast else Asking)(
            plan, cache, local, folder, f"{number}-{place}", number << 40 | (place + 1) << 32
        )
        for place in range(plan.fast + plan.threads)
    ]
    deadline = signals.wait()
    for thread in threads:
        thread.ask_until(deadline)
    for thread in threads:
        thread.join()
    store.close()
