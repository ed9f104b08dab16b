"""A history checker: many processes use one cache while faults strike; every operation is logged and judged afterwards.

Checked offline, as of the moments each operation began and ended (CLOCK_MONOTONIC, which processes share):

* (R): a lookup that begins after an invalidation was acknowledged never returns an answer it selects whose generation
  began before that invalidation was asked for, unless the invalidation was undone meanwhile.
* A hit is what was generated for exactly this request: namespace, model, question, and the spelling of an exact hit.
* What was undone is visible again: the first lookup of what was a hit before is a hit, if no other invalidation may
  have selected it and no fault has struck meanwhile.
* An invalidation that was said not to be applied is in no record.

Run by tests/faults/test_history.py for seconds with a fixed seed, by `make soak` for as long as one likes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import random
import signal
import sys
import tempfile
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from core.audit import AuditLog
from core.bans import Criteria
from core.cache import LLMCache
from core.decider import CacheConfig
from core.embedded import EmbeddedRedis
from core.errors import CacheError
from core.invalidation import CacheInvalidator
from core.keys import Slot
from core.models import ChatRequest, Completion, Controls
from core.stores.redis import RedisStore, patient_client, request_client

NAMESPACES = ("tenant-a", "tenant-b")
MODELS = ("m1", "m2", "m3")
QUESTIONS = 12
HOLD_SECONDS = 0.3


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long, how much, and with which faults."""

    seconds: float = 10.0
    seed: int = 1
    processes: int = 2
    threads: int = 4
    invalidators: int = 1
    faults: bool = True
    generation_ms: tuple[float, float] = (2.0, 60.0)
    pause_ms: float = 1.0
    l1_seconds: float = 0.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came of it. `generated_*`: what the answer says of its own making.

    `hit`: found, or made for another caller at the same time. `found`: in the store. `exact`: by its very spelling.
    """

    began: float
    ended: float
    namespace: str
    model: str
    question: int
    spelling: int
    hit: bool
    found: bool
    exact: bool
    copied: bool = False
    reason: str
    generated_namespace: str
    generated_model: str
    generated_question: int
    generated_spelling: int
    generation_began: float
    created_at: float


class Invalidated(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation. `acknowledged` is None when it failed; `undo_began`/`undone` when undone.

    What it selects, as far as it matters for its kind: `model`, `question`, `spelling`, or what was created before a
    time (Unix seconds).
    """

    id: str
    asked_at: float
    acknowledged: float | None
    namespace: str
    kind: str
    model: str | None = None
    question: int | None = None
    spelling: int | None = None
    created_before: float | None = None
    soft: bool = False
    undo_began: float | None = None
    undone: float | None = None
    failure: str = ""


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from when it may have been felt until it was over."""

    kind: str
    began: float
    ended: float


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of invalidations that were seen in a record."""

    ids: tuple[str, ...]


Event = Asked | Invalidated | Struck | Recorded
History = list[Event]


class _Provider:
    """Answers with what it was asked and when it began; takes its time."""

    name = "history"
    base_url = ""

    def __init__(self, plan: Plan, randomness: random.Random, namespace: threading.local) -> None:
        self._plan = plan
        self._random = randomness
        self._local = namespace

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        began = time.monotonic()
        time.sleep(self._random.uniform(*self._plan.generation_ms) / 1000)
        told = {
            "namespace": self._local.namespace,
            "model": request.model,
            "question": int(request.messages[-1]["content"].split()[-1]),
            "spelling": self._local.spelling,
            "began": began,
        }
        message = {"role": "assistant", "content": json.dumps(told)}
        return Completion(body={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def _question(number: int, spelling: int) -> str:
    """The same question, spelled so that only the normal form is the same."""
    text = f"please explain the subject number {number}"
    return (text, text.capitalize(), f"  {text}")[spelling]


def _requests(plan: Plan, url: str, number: int, deadline: float) -> History:
    """What one process does: its threads ask, one or more of them invalidate, undo and sweep."""
    logging.disable()
    store = RedisStore(request_client(url, 0.05))
    local = threading.local()
    history: History = []
    lock = threading.Lock()
    cache = LLMCache(
        CacheConfig(namespace=NAMESPACES[0], ttl=3600, lease_seconds=2, l1_seconds=plan.l1_seconds),
        store=store,
        provider=_Provider(plan, random.Random(plan.seed * 1000 + number), local),  # type: ignore[arg-type]
    )

    def ask(thread: int) -> None:
        chance = random.Random(f"{plan.seed}-{number}-{thread}")
        while time.monotonic() < deadline:
            namespace, model = chance.choice(NAMESPACES), chance.choice(MODELS)
            question = chance.randrange(QUESTIONS)
            spelling = chance.randrange(3)
            text = _question(question, spelling)
            local.namespace, local.spelling = namespace, spelling
            request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": text}])
            began = time.monotonic()
            answer = cache.complete(request, Controls(namespace=namespace, tags=(f"doc:{question}",)))
            ended = time.monotonic()
            told = json.loads(answer.completion.text)
            event = Asked(
                began=began,
                ended=ended,
                namespace=namespace,
                model=model,
                question=question,
                spelling=spelling,
                hit=answer.outcome.kind == "hit" or answer.outcome.collapsed,
                found=answer.outcome.kind == "hit",
                exact=answer.outcome.detail == "exact" and not answer.outcome.collapsed,
                copied=answer.outcome.copied,
                reason=answer.outcome.reason,
                generated_namespace=told["namespace"],
                generated_model=told["model"],
                generated_question=told["question"],
                generated_spelling=told["spelling"],
                generation_began=told["began"],
                created_at=time.time() - answer.age_seconds,
            )
            with lock:
                history.append(event)
            if plan.pause_ms:
                time.sleep(chance.random() * plan.pause_ms / 1000)

    def operate(thread: int) -> None:
        chance = random.Random(f"operator-{plan.seed}-{number}-{thread}")
        client = patient_client(url, 2.0)
        operator = CacheInvalidator(
            RedisStore(client), AuditLog(client), hold_seconds=HOLD_SECONDS, copies_seconds=plan.l1_seconds
        )
        while time.monotonic() < deadline:
            event = _invalidate(operator, cache, chance)
            with lock:
                history.append(event)
            time.sleep(chance.uniform(0.005, 0.05))
        client.close()

    def look() -> None:
        """Which invalidations are in force, often enough to see each of them."""
        client = patient_client(url, 2.0)
        operator = CacheInvalidator(RedisStore(client), AuditLog(client))
        seen: set[str] = set()
        while time.monotonic() < deadline:
            with contextlib.suppress(CacheError):
                seen.update(ban.id for _, ban in operator.active())
            time.sleep(0.05)
        history.append(Recorded(ids=tuple(seen)))
        client.close()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(plan.threads)]
    threads += [threading.Thread(target=operate, args=(index,)) for index in range(plan.invalidators)]
    threads += [threading.Thread(target=_sweep, args=(plan, url, number, deadline)), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    return history


def _sweep(plan: Plan, url: str, number: int, deadline: float) -> None:
    """Sweeps what is due, again and again. A sweep stops half-way now and then: it must not matter."""
    logging.disable()
    client = patient_client(url, 2.0)
    operator = CacheInvalidator(RedisStore(client), AuditLog(client), hold_seconds=HOLD_SECONDS)
    chance = random.Random(f"sweeper-{plan.seed}-{number}")
    while time.monotonic() < deadline:
        batches = iter(range(chance.choice([0, 1, 1000])))
        for namespace in NAMESPACES:
            with contextlib.suppress(CacheError):
                operator.sweep(namespace, should_stop=lambda batches=batches: next(batches, None) is None, rest=0)
        time.sleep(0.05)
    client.close()


def _invalidate(operator: CacheInvalidator, cache: LLMCache, chance: random.Random) -> Invalidated:
    namespace = chance.choice(NAMESPACES)
    kinds = {"model": 4, "key": 4, "age": 2, "keyword": 3, "pattern": 3, "tag": 2, "all": 1}
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    model, question, spelling = chance.choice(MODELS), chance.randrange(QUESTIONS), chance.randrange(3)
    hold: float | None = None
    selected: dict[str, Any] = {}
    match kind:
        case "model":
            criteria = Criteria(namespace=namespace, model=model)
            selected = {"model": model}
        case "key":
            text = _question(question, spelling)
            request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": text}])
            _, keyed = cache.decider.prepared(request, Controls(namespace=namespace))
            assert keyed is not None
            criteria = Criteria(namespace=namespace, key=keyed.identity.key)
            hold = chance.choice([0.0, None])
            selected = {"model": model, "question": question, "spelling": spelling}
        case "age":
            cutoff = time.time() - chance.uniform(0, 0.5)
            criteria = Criteria(namespace=namespace, created_before=cutoff)
            selected = {"created_before": cutoff}
        case "keyword":
            criteria = Criteria(namespace=namespace, keywords=(f"number {question}",))
            selected = {"question": question}
        case "pattern":
            criteria = Criteria(namespace=namespace, pattern=f"*subject number {question}")
            selected = {"question": question}
        case "tag":
            criteria = Criteria(namespace=namespace, tags=(f"doc:{question}", "doc:none"))
            selected = {"question": question}
        case _:
            criteria = Criteria(namespace=namespace, all=True)
    soft = chance.random() < 0.1
    event = Invalidated(
        id=f"{chance.getrandbits(64):016x}",
        asked_at=time.monotonic(),
        acknowledged=None,
        namespace=namespace,
        kind=kind,
        soft=soft,
        **selected,
    )
    try:
        done = operator.invalidate(criteria, actor="history", hold_seconds=hold, soft=soft, request_id=event.id)
    except CacheError as error:
        return msgspec.structs.replace(event, failure=type(error).__name__)
    event = msgspec.structs.replace(event, acknowledged=time.monotonic())
    # A soft one would stay for good: nothing expires here, and only so many can be in force.
    if done.can_undo and (soft or chance.random() < 0.3):
        time.sleep(chance.uniform(0, 0.1))
        began = time.monotonic()
        try:
            operator.undo(done.id, actor="history")
        except CacheError:
            # Refused, or its outcome is unknown: it may be in force or not from here on.
            return msgspec.structs.replace(event, undo_began=began)
        return msgspec.structs.replace(event, undo_began=began, undone=time.monotonic())
    return event


def _run_process(plan: Plan, url: str, number: int, deadline: float, path: str) -> None:
    Path(path).write_bytes(
        msgspec.msgpack.encode([(type(e).__name__, e) for e in _requests(plan, url, number, deadline)])
    )


class Sweeper:
    """A process that does nothing but sweep, and is killed in the middle of it."""

    def __init__(self, plan: Plan, url: str, deadline: float) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (plan, url, 1000, deadline)
        self.start()

    def start(self) -> None:
        self._process = self._context.Process(target=_sweep, args=self._arguments)
        self._process.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


FAULTS = {"record": 3, "flush": 1, "kill": 1, "hang": 2, "evict": 3, "full": 2, "sweeper": 2}


class Faults(threading.Thread):
    """Strikes at random: loses the record or everything, kills, hangs or fills the server, evicts, kills a sweeper."""

    def __init__(self, plan: Plan, server: EmbeddedRedis, sweeper: Sweeper, deadline: float) -> None:
        super().__init__()
        self._chance = random.Random(plan.seed)
        self._server = server
        self._sweeper_process = sweeper
        self._deadline = deadline
        self.struck: History = []

    def run(self) -> None:
        while time.monotonic() < self._deadline - 2:
            time.sleep(self._chance.uniform(0.2, 0.8))
            fault = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
            began = time.monotonic()
            with contextlib.suppress(redis.RedisError):
                getattr(self, "_" + fault)()
            self.struck.append(Struck(kind=fault, began=began, ended=time.monotonic()))

    def _sweeper(self) -> None:
        self._sweeper_process.kill()
        self._sweeper_process.start()

    def _client(self) -> redis.Redis:
        return patient_client(self._server.url, 5.0)

    def _record(self) -> None:
        with self._client() as client:
            client.unlink(Slot(self._chance.choice(NAMESPACES), 0).record)

    def _flush(self) -> None:
        with self._client() as client:
            client.flushall()

    def _kill(self) -> None:
        process = self._server.process
        if process is not None:
            process.kill()
            process.wait()
            time.sleep(self._chance.uniform(0, 0.2))
            self._server.start()

    def _hang(self) -> None:
        process = self._server.process
        if process is not None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(self._chance.uniform(0.02, 0.4))
            process.send_signal(signal.SIGCONT)

    def _evict(self) -> None:
        with self._client() as client:
            names = list(client.scan_iter(match="encore:{*}:e:*", count=1000))
            for name in self._chance.sample(names, len(names) // 3):
                client.unlink(name)

    def _full(self) -> None:
        with self._client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
            time.sleep(self._chance.uniform(0.05, 0.2))
            client.config_set("maxmemory", "0")


class Verdict(msgspec.Struct, kw_only=True):
    """What was found, and what it was found in."""

    operations: int = 0
    hits: int = 0
    copied: int = 0
    invalidations: int = 0
    undone: int = 0
    undone_and_seen: int = 0
    failures: dict[str, int] = {}
    faults: dict[str, int] = {}
    kinds: dict[str, int] = {}
    violations: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


NOT_APPLIED = ("StoreUnavailable", "WriteRefused", "InvalidationRefused")
"""Failures that say so; of OutcomeUnknown either may be true."""

CLOCKS_SECONDS = 0.05
"""`created_before` is by the wall's clock, and told as an age: what lies nearer to it may be on either side."""

AFTERMATH_SECONDS = 1.5
"""How long a fault is felt: a circuit breaker lets one lookup a second through."""


def judge(history: History) -> Verdict:
    """The verdict over a whole history. Pure."""
    asked = sorted((event for event in history if isinstance(event, Asked)), key=lambda event: event.began)
    invalidated = sorted(
        (event for event in history if isinstance(event, Invalidated)), key=lambda event: event.asked_at
    )
    struck = [event for event in history if isinstance(event, Struck)]
    by_namespace = {name: _Bans(ban for ban in invalidated if ban.namespace == name) for name in NAMESPACES}
    verdict = Verdict(
        operations=len(asked),
        hits=sum(event.hit for event in asked),
        copied=sum(event.copied for event in asked),
        invalidations=len(invalidated),
        undone=sum(ban.undone is not None for ban in invalidated),
        failures=dict(Counter(ban.failure for ban in invalidated if ban.failure)),
        faults=dict(Counter(fault.kind for fault in struck)),
        kinds=dict(Counter(ban.kind for ban in invalidated)),
        violations=[],
    )
    for event in asked:
        wanted = [event.namespace, event.model, event.question]
        told = [event.generated_namespace, event.generated_model, event.generated_question]
        if event.exact:
            wanted.append(event.spelling)
            told.append(event.generated_spelling)
        if told != wanted:
            verdict.violations.append(f"another request's answer: {event}")
        if event.hit:
            verdict.violations += [
                f"served after its invalidation: {ban} {event}"
                for ban in by_namespace[event.namespace].between(event.generation_began, event.began)
                if _forbids(ban, event)
            ]
    recorded = {ban_id for event in history if isinstance(event, Recorded) for ban_id in event.ids}
    verdict.violations += [
        f"said not to be applied, and was: {ban}"
        for ban in invalidated
        if ban.failure in NOT_APPLIED and ban.id in recorded
    ]
    _judge_undo(verdict, asked, by_namespace, struck)
    return verdict


class _Bans:
    """Invalidations of a namespace by the time they were asked for."""

    def __init__(self, bans: Iterable[Invalidated]) -> None:
        self.all = list(bans)
        self._times = [ban.asked_at for ban in self.all]

    def between(self, after: float, before: float) -> list[Invalidated]:
        """Those asked for later than one moment and earlier than the other."""
        return self.all[bisect_right(self._times, after) : bisect_left(self._times, before)]


def _forbids(ban: Invalidated, event: Asked) -> bool:
    if ban.acknowledged is None or ban.acknowledged >= event.began:
        return False
    if ban.undo_began is not None and ban.undo_began <= event.ended:
        return False
    return _selects(ban, event, -CLOCKS_SECONDS)


def _selects(ban: Invalidated, event: Asked, margin_seconds: float) -> bool:
    """Whether an invalidation selects what a request was answered with; for certain if the margin is below zero."""
    match ban.kind:
        case "all":
            return True
        case "model":
            return event.model == ban.model
        case "keyword":
            # Keywords are substrings: "number 1" is in "number 11".
            return str(event.question).startswith(str(ban.question))
        case "pattern" | "tag":
            return event.question == ban.question
        case "age":
            return event.created_at < (ban.created_before or 0) + margin_seconds
        case "key":
            # An alias is hidden with the entry it stands for, wherever it was found.
            made_for = (event.generated_model, event.generated_question, event.generated_spelling)
            return made_for == (ban.model, ban.question, ban.spelling)
        case _:
            raise AssertionError(ban.kind)


def _judge_undo(
    verdict: Verdict, asked: Sequence[Asked], by_namespace: Mapping[str, _Bans], struck: Sequence[Struck]
) -> None:
    """What was found before an invalidation that was undone is found after it."""
    lookups: dict[tuple[Any, ...], list[Asked]] = {}
    for event in asked:
        lookups.setdefault((event.namespace, event.model, event.question, event.spelling), []).append(event)
    for place, events in lookups.items():
        began = [event.began for event in events]
        bans = by_namespace[place[0]]
        for ban in bans.all:
            if ban.undone is None:
                continue
            before = next(
                (
                    event
                    for event in reversed(events[: bisect_left(began, ban.asked_at)])
                    if event.found and event.exact and event.ended < ban.asked_at
                ),
                None,
            )
            first = bisect_right(began, ban.undone)
            if before is None or first == len(events) or not _selects(ban, before, -CLOCKS_SECONDS):
                continue
            after = events[first]
            others = bans.between(before.generation_began, after.ended)
            if any(_selects(other, before, CLOCKS_SECONDS) for other in others if other is not ban) or any(
                fault.began < after.ended and fault.ended + AFTERMATH_SECONDS > before.began for fault in struck
            ):
                continue
            verdict.undone_and_seen += 1
            if not after.hit and after.reason != "store-down":
                verdict.violations.append(f"not there after an undo: {ban} {before} {after}")


def run(plan: Plan, home: Path) -> Verdict:
    """Starts a server and the processes, lets faults strike, and judges."""
    context = multiprocessing.get_context("spawn")
    server = EmbeddedRedis(home, durable=True)
    server.start()
    try:
        deadline = time.monotonic() + plan.seconds
        paths = [str(home / f"history-{number}") for number in range(plan.processes)]
        processes = [
            context.Process(target=_run_process, args=(plan, server.url, number, deadline, path))
            for number, path in enumerate(paths)
        ]
        for process in processes:
            process.start()
        sweeper = Sweeper(plan, server.url, deadline)
        faults = Faults(plan, server, sweeper, deadline)
        if plan.faults:
            faults.start()
            faults.join()
        for process in processes:
            process.join()
        sweeper.kill()
        if any(process.exitcode for process in processes):
            raise SystemExit("a process of the history failed")
    finally:
        server.stop()
    history = list(faults.struck)
    kinds = {kind.__name__: kind for kind in (Asked, Invalidated, Recorded)}
    for path in paths:
        for name, fields in msgspec.msgpack.decode(Path(path).read_bytes()):
            history.append(msgspec.convert(fields, kinds[name]))
    return judge(history)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--l1-seconds", type=float, default=0.0, help="serve in-process copies for so long")
    options = parser.parse_args()
    plan = Plan(
        seconds=options.seconds,
        seed=options.seed,
        processes=options.processes,
        threads=options.threads,
        faults=not options.no_faults,
        l1_seconds=options.l1_seconds,
    )
    with tempfile.TemporaryDirectory() as home:
        verdict = run(plan, Path(home))
    print(
        f"seed {plan.seed}: {verdict.operations} requests ({verdict.hits} hits, {verdict.copied} of them copies), "
        f"{verdict.invalidations} invalidations"
    )
    print(f"  of kinds {verdict.kinds}, not acknowledged {verdict.failures}")
    print(f"  {verdict.undone} undone, {verdict.undone_and_seen} answers looked for before and after")
    print(f"  faults {verdict.faults}")
    print(f"  {len(verdict.violations)} violations")
    for violation in verdict.violations[:10]:
        print("   ", violation)
    sys.exit(0 if verdict.clean else 1)


if __name__ == "__main__":
    main()
