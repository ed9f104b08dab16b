"""Processes that invalidate, undo and sweep."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.errors import CacheError
from core.invalidation.invalidator import CacheInvalidator
from core.stores.redis.store import RedisStore, patient_client
from tests.faults.history import Invalidated, Told
from tests.faults.plan import Plan, Signals
from tests.faults.questions import MODELS, NAMESPACES, REQUESTS, keys, popular

HOLD_SECONDS = 0.3
PATIENCE_SECONDS = 2.0
LOOK_SECONDS = 0.05
SWEEP_PAUSE_SECONDS = 0.05
KINDS = {"model": 4, "key": 4, "age": 2, "keyword": 3, "pattern": 3, "tag": 2, "all": 1}


@contextlib.contextmanager
def _invalidator(plan: Plan, url: str):
    client = patient_client(url, PATIENCE_SECONDS)
    try:
        yield CacheInvalidator(
            RedisStore(client), AuditLog(client), hold_seconds=HOLD_SECONDS, copies_seconds=plan.l1_seconds
        )
    finally:
        client.close()


def operate(plan: Plan, url: str, path: Path, signals: Signals) -> None:
    """One process: its threads invalidate and undo, one looks what is in force. Writes what it did to the path."""
    logging.disable()
    told = Told(invalidated=[], recorded=set())
    deadline = signals.wait()
    threads = [
        threading.Thread(target=_invalidate, args=(plan, url, number, deadline, told))
        for number in range(plan.invalidators)
    ]
    threads.append(threading.Thread(target=_look, args=(plan, url, deadline, told)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    path.write_bytes(msgspec.msgpack.encode(told))


def _look(plan: Plan, url: str, deadline: float, told: Told) -> None:
    """Which invalidations are in force, often enough to see each of them."""
    with _invalidator(plan, url) as invalidator:
        while time.monotonic() < deadline:
            with contextlib.suppress(CacheError):
                told.recorded.update(one.id for one in _in_force(invalidator))
            time.sleep(LOOK_SECONDS)


def _in_force(invalidator: CacheInvalidator):
    """All invalidations in force, page by page."""
    cursor = None
    while True:
        page = invalidator.active_page(500, cursor=cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def _invalidate(plan: Plan, url: str, number: int, deadline: float, told: Told) -> None:
    chance = random.Random(f"operator-{plan.seed}-{number}")
    known = keys()
    with _invalidator(plan, url) as invalidator:
        while time.monotonic() < deadline:
            told.invalidated.append(_invalidate_once(invalidator, known, chance))
            time.sleep(chance.uniform(*plan.invalidation_pause))


def _invalidate_once(invalidator: CacheInvalidator, known: list[str], chance: random.Random) -> Invalidated:
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    request = REQUESTS[popular(chance.random())]
    namespace = NAMESPACES[request.namespace]
    hold = chance.choice([0.0, None])
    selected: dict[str, Any] = {"question": request.question}
    match kind:
        case "model":
            criteria = Criteria(namespace=namespace, model=MODELS[request.model])
            selected = {"model": request.model}
        case "key":
            criteria = Criteria(namespace=namespace, key=known[request.number])
            selected = {"model": request.model, "question": request.question, "spelling": request.spelling}
        case "age":
            cutoff = time.time() - chance.uniform(0, 0.5)
            criteria = Criteria(namespace=namespace, created_before=cutoff)
            selected = {"created_before": cutoff}
        case "keyword":
            criteria = Criteria(namespace=namespace, keywords=(f"number {request.question}",))
        case "pattern":
            criteria = Criteria(namespace=namespace, pattern=f"*subject number {request.question}")
        case "tag":
            criteria = Criteria(namespace=namespace, tags=(f"doc:{request.question}", "doc:none"))
        case _:
            criteria = Criteria(namespace=namespace, all=True)
            selected = {}
    soft = chance.random() < 0.1
    event = Invalidated(
        id=f"{chance.getrandbits(64):016x}",
        asked_at=time.monotonic(),
        acknowledged=None,
        namespace=request.namespace,
        kind=kind,
        soft=soft,
        **selected,
    )
    try:
        done = invalidator.invalidate(criteria, actor="history", hold_seconds=hold, soft=soft, request_id=event.id)
    except CacheError as error:
        return msgspec.structs.replace(event, failure=type(error).__name__, failed_at=time.monotonic())
    event = msgspec.structs.replace(event, acknowledged=time.monotonic())
    # A soft one would stay for good: nothing expires here, and only so many can be in force.
    if not done.can_undo or not (soft or chance.random() < 0.5):
        return event
    time.sleep(chance.uniform(0, 0.2))  # time enough to ask anew what it hides
    began = time.monotonic()
    try:
        invalidator.undo(done.id, actor="history")
    except CacheError:
        # Refused, or its outcome is unknown: it may be in force or not from here on.
        return msgspec.structs.replace(event, undo_began=began)
    return msgspec.structs.replace(event, undo_began=began, undone=time.monotonic())


def sweep(plan: Plan, url: str, number: int, signals: Signals) -> None:
    """One process that sweeps what is due, again and again. It stops half-way now and then: it must not matter."""
    logging.disable()
    chance = random.Random(f"sweeper-{plan.seed}-{number}")
    deadline = signals.wait()
    with _invalidator(plan, url) as invalidator:
        while time.monotonic() < deadline:
            batches = iter(range(chance.choice([0, 1, 1000])))
            for namespace in NAMESPACES:
                with contextlib.suppress(CacheError):
                    invalidator.sweep(
                        namespace, should_stop=lambda batches=batches: next(batches, None) is None, rest=0
                    )
            time.sleep(SWEEP_PAUSE_SECONDS)
