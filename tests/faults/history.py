"""A history checker: many processes use one cache while faults strike; every operation is logged and judged afterwards.

Checked offline, as of the moments each operation began and ended (CLOCK_MONOTONIC, which processes share):

* (R): a lookup that begins after an invalidation was acknowledged never returns an answer it selects whose generation
  began before that invalidation was asked for, unless the invalidation was undone meanwhile.
* A hit is what was generated for exactly this request: namespace, model, question.
* What was undone is visible again, if nothing else took it away.

Run by tests/faults/test_history.py for seconds with a fixed seed, by `make soak` for as long as one likes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
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


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came of it. `generated_*`: what the answer says of its own making."""

    began: float
    ended: float
    namespace: str
    model: str
    question: int
    hit: bool
    reason: str
    generated_namespace: str
    generated_model: str
    generated_question: int
    generation_began: float
    created_at: float
    key: str
    serial: str


class Invalidated(msgspec.Struct, frozen=True, kw_only=True):
    """One invalidation. `acknowledged` is None when its outcome is unknown; `undo_began`/`undone` when undone."""

    id: str
    asked_at: float
    acknowledged: float | None
    namespace: str
    kind: str
    criteria: dict[str, Any]
    question: int | None
    undo_began: float | None = None
    undone: float | None = None
    failure: str = ""


History = list[Asked | Invalidated]
Event = Asked | Invalidated


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
            "began": began,
            "serial": f"{random.getrandbits(64):x}",
        }
        message = {"role": "assistant", "content": json.dumps(told)}
        return Completion(body={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def _question(number: int, spelling: int) -> str:
    """The same question, spelled so that only the normal form is the same."""
    text = f"please explain the subject number {number}"
    return (text, text.capitalize(), f"  {text}")[spelling]


def _requests(plan: Plan, url: str, number: int, deadline: float) -> History:
    """What one process does: its threads ask, one or more of them invalidate, undo and sweep."""
    store = RedisStore(request_client(url, 0.05))
    local = threading.local()
    history: History = []
    lock = threading.Lock()
    cache = LLMCache(
        CacheConfig(namespace=NAMESPACES[0], ttl=3600, lease_seconds=2),
        store=store,
        provider=_Provider(plan, random.Random(plan.seed * 1000 + number), local),  # type: ignore[arg-type]
    )

    def ask(thread: int) -> None:
        chance = random.Random(f"{plan.seed}-{number}-{thread}")
        while time.monotonic() < deadline:
            namespace, model = chance.choice(NAMESPACES), chance.choice(MODELS)
            question = chance.randrange(QUESTIONS)
            text = _question(question, chance.randrange(3))
            local.namespace = namespace
            request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": text}])
            began = time.monotonic()
            answer = cache.complete(request, Controls(namespace=namespace))
            ended = time.monotonic()
            told = json.loads(answer.completion.text)
            event = Asked(
                began=began,
                ended=ended,
                namespace=namespace,
                model=model,
                question=question,
                hit=answer.outcome.kind == "hit" or answer.outcome.collapsed,
                reason=answer.outcome.reason,
                generated_namespace=told["namespace"],
                generated_model=told["model"],
                generated_question=told["question"],
                generation_began=told["began"],
                created_at=time.time() - answer.age_seconds,
                # An alias' hit came from another spelling's entry: only an exact one is known by its key.
                key=answer.key if answer.outcome.detail == "exact" or answer.outcome.collapsed else "",
                serial=told["serial"],
            )
            with lock:
                history.append(event)
            if plan.pause_ms:
                time.sleep(chance.random() * plan.pause_ms / 1000)

    def operate(thread: int) -> None:
        chance = random.Random(f"operator-{plan.seed}-{number}-{thread}")
        client = patient_client(url, 2.0)
        operator = CacheInvalidator(RedisStore(client), AuditLog(client), hold_seconds=HOLD_SECONDS)
        while time.monotonic() < deadline:
            event = _invalidate(operator, cache, chance)
            with lock:
                history.append(event)
            time.sleep(chance.uniform(0.005, 0.05))
        client.close()

    def sweep() -> None:
        client = patient_client(url, 2.0)
        operator = CacheInvalidator(RedisStore(client), AuditLog(client), hold_seconds=HOLD_SECONDS)
        chance = random.Random(f"sweeper-{plan.seed}-{number}")
        while time.monotonic() < deadline:
            # A sweep dies half-way now and then: it must not matter.
            dies_after = chance.choice([0, 1, 1000])
            batches = iter(range(dies_after))
            for namespace in NAMESPACES:
                try:
                    operator.sweep(namespace, should_stop=lambda batches=batches: next(batches, None) is None, rest=0)
                except CacheError:
                    continue
            time.sleep(0.05)
        client.close()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(plan.threads)]
    threads += [threading.Thread(target=operate, args=(index,)) for index in range(plan.invalidators)]
    threads.append(threading.Thread(target=sweep))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    return history


def _invalidate(operator: CacheInvalidator, cache: LLMCache, chance: random.Random) -> Invalidated:
    namespace = chance.choice(NAMESPACES)
    kind = chance.choices(["model", "key", "age", "keyword", "pattern", "all"], [4, 4, 2, 3, 3, 1])[0]
    question: int | None = chance.randrange(QUESTIONS)
    hold: float | None = None
    match kind:
        case "model":
            criteria = Criteria(namespace=namespace, model=chance.choice(MODELS))
        case "key":
            text = _question(question or 0, chance.randrange(3))
            request = ChatRequest.from_openai(model=chance.choice(MODELS), messages=[{"role": "user", "content": text}])
            _, keyed = cache.decider.prepared(request, Controls(namespace=namespace))
            assert keyed is not None
            criteria = Criteria(namespace=namespace, key=keyed.identity.key)
            hold = chance.choice([0.0, None])
        case "age":
            criteria = Criteria(namespace=namespace, created_before=time.time() - chance.uniform(0, 0.5))
        case "keyword":
            criteria = Criteria(namespace=namespace, keywords=(f"number {question}",))
        case "pattern":
            criteria = Criteria(namespace=namespace, pattern=f"*subject number {question}")
        case _:
            criteria = Criteria(namespace=namespace, all=True)
    asked_at = time.monotonic()
    event = Invalidated(
        id="",
        asked_at=asked_at,
        acknowledged=None,
        namespace=namespace,
        kind=kind,
        criteria=criteria.to_dict(),
        question=question if kind in ("keyword", "pattern") else None,
    )
    try:
        done = operator.invalidate(criteria, actor="history", hold_seconds=hold)
    except CacheError as error:
        return msgspec.structs.replace(event, failure=type(error).__name__)
    event = msgspec.structs.replace(event, id=done.id, acknowledged=time.monotonic())
    if done.can_undo and chance.random() < 0.3:
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


class Faults(threading.Thread):
    """Strikes at random: a lost record, a flush, a kill and restart, a hang, evictions, a full memory."""

    def __init__(self, plan: Plan, server: EmbeddedRedis, deadline: float) -> None:
        super().__init__()
        self._chance = random.Random(plan.seed)
        self._server = server
        self._deadline = deadline
        self.struck: Counter[str] = Counter()

    def run(self) -> None:
        while time.monotonic() < self._deadline - 2:
            time.sleep(self._chance.uniform(0.2, 0.8))
            fault = self._chance.choices(["record", "flush", "kill", "hang", "evict", "full"], [3, 1, 1, 2, 3, 2])[0]
            try:
                getattr(self, "_" + fault)()
            except redis.RedisError:
                continue
            self.struck[fault] += 1

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
    invalidations: int = 0
    undone: int = 0
    failures: dict[str, int] = {}
    faults: dict[str, int] = {}
    kinds: dict[str, int] = {}
    violations: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


def judge(history: History) -> Verdict:
    """The verdict over a whole history. Pure."""
    verdict = Verdict(violations=[])
    invalidated = sorted(
        (event for event in history if isinstance(event, Invalidated)), key=lambda event: event.asked_at
    )
    verdict.invalidations = len(invalidated)
    verdict.undone = sum(event.undone is not None for event in invalidated)
    verdict.failures = dict(Counter(event.failure for event in invalidated if event.failure))
    verdict.kinds = dict(Counter(event.kind for event in invalidated))
    by_namespace = {
        namespace: [event for event in invalidated if event.namespace == namespace and event.acknowledged is not None]
        for namespace in NAMESPACES
    }
    for event in history:
        if not isinstance(event, Asked):
            continue
        verdict.operations += 1
        verdict.hits += event.hit
        told = (event.generated_namespace, event.generated_model, event.generated_question)
        if told != (event.namespace, event.model, event.question):
            verdict.violations.append(f"another request's answer: asked {event}, got {told}")
        if not event.hit:
            continue
        for ban in by_namespace[event.namespace]:
            if ban.asked_at > event.began:
                break
            if _forbids(ban, event):
                verdict.violations.append(f"served after its invalidation: {ban} {event}")
    return verdict


def _forbids(ban: Invalidated, event: Asked) -> bool:
    if ban.acknowledged is None or ban.acknowledged >= event.began or event.generation_began >= ban.asked_at:
        return False
    if ban.undo_began is not None and ban.undo_began <= event.ended:
        return False
    match ban.kind:
        case "all":
            return True
        case "model":
            return event.model == ban.criteria["model"]
        case "keyword":
            # Keywords are substrings: "number 1" is in "number 11".
            return str(event.question).startswith(str(ban.question))
        case "pattern":
            return event.question == ban.question
        case "age":
            # The clock of `created_before` is the wall's: leave it room.
            return event.created_at < float(ban.criteria["created_before"]) - 0.05
        case "key":
            return event.key == ban.criteria["key"]
        case _:
            raise AssertionError(ban.kind)


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
        faults = Faults(plan, server, deadline)
        if plan.faults:
            faults.start()
            faults.join()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a process of the history failed")
    finally:
        server.stop()
    history: History = []
    for path in paths:
        for name, fields in msgspec.msgpack.decode(Path(path).read_bytes()):
            history.append(msgspec.convert(fields, {"Asked": Asked, "Invalidated": Invalidated}[name]))
    verdict = judge(history)
    verdict.faults = dict(faults.struck)
    return verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--no-faults", action="store_true")
    options = parser.parse_args()
    plan = Plan(
        seconds=options.seconds,
        seed=options.seed,
        processes=options.processes,
        threads=options.threads,
        faults=not options.no_faults,
    )
    with tempfile.TemporaryDirectory() as home:
        verdict = run(plan, Path(home))
    print(
        f"seed {plan.seed}: {verdict.operations} requests ({verdict.hits} hits), {verdict.invalidations} invalidations"
    )
    print(f"  of kinds {verdict.kinds}, {verdict.undone} undone, not acknowledged {verdict.failures}")
    print(f"  faults {verdict.faults}")
    print(f"  {len(verdict.violations)} violations")
    for violation in verdict.violations[:10]:
        print("   ", violation)
    sys.exit(0 if verdict.clean else 1)


if __name__ == "__main__":
    main()
