"""Processes that invalidate tags at the rate of events, as an application does whose data change all day.

The first of them calls the library, the others the operations API.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import msgspec

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.errors import CacheError, InvalidationRefused, OutcomeUnknown, StoreUnavailable, WriteRefused
from core.invalidation.invalidator import CacheInvalidator
from core.settings import Settings
from core.stores.redis.store import RedisStore, patient_client
from tests.faults.history import Invalidated, Told
from tests.faults.plan import Plan, Signals
from tests.faults.questions import NAMESPACES, QUESTIONS
from tests.http.running import PLAIN_HTTP, RunningGateway

PATIENCE_SECONDS = 2.0
LONG_SECONDS = 3600.0
"""A hold that does not end while the round lasts: so bans pile up."""
KNOWN = 0.2
"""How many of the tags entries have; the others must hide nothing, and there are more of them than of anything else."""
OTHERS = 50_000
ERRORS = {
    "store-unavailable": StoreUnavailable,
    "write-refused": WriteRefused,
    "outcome-unknown": OutcomeUnknown,
    "refused": InvalidationRefused,
}
"""What a problem of the operations API is in the library; another one is a mistake."""

Invalidate = Callable[[Criteria, float, str], object]
"""Invalidates criteria with a hold in seconds and a request id. Raises CacheError."""


class Answered(Exception):
    """The API's refusal, by the name of the error in core: any other leaves open whether it was done."""


FAILURES = {
    "store-unavailable": "StoreUnavailable",
    "write-refused": "WriteRefused",
    "refused": "InvalidationRefused",
}


@contextlib.contextmanager
def by_api(port: int) -> Iterator[Invalidate]:
    """Through the operations API of a gateway, as a program in any language does it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS * 5)

    def invalidate(criteria: Criteria, hold: float, request_id: str) -> None:
        body = json.dumps({"criteria": criteria.to_dict(), "hold_seconds": hold})
        headers = {"Content-Type": "application/json", "Idempotency-Key": request_id}
        try:
            connection.request("POST", "/encore/v1/invalidations", body, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise Answered("OutcomeUnknown") from error
        if answer.status != 200:
            raise Answered(FAILURES.get(told["type"].rpartition("/")[2], "OutcomeUnknown"))

    try:
        yield invalidate
    finally:
        connection.close()


@contextlib.contextmanager
def by_library(plan: Plan, url: str) -> Iterator[Invalidate]:
    """Through the library."""
    client = patient_client(url, PATIENCE_SECONDS)
    invalidator = CacheInvalidator(RedisStore(client), AuditLog(client), copies_seconds=plan.l1_seconds)
    try:
        yield lambda criteria, hold, request_id: invalidator.invalidate(
            criteria, actor="wiki", hold_seconds=hold, request_id=request_id
        )
    finally:
        client.close()


@contextlib.contextmanager
def by_http(plan: Plan, url: str) -> Iterator[Invalidate]:
    """Through the operations API of a gateway of its own, as a program in another language does."""
    settings = Settings(redis_url=url, l1_seconds=plan.l1_seconds, provider="demo", operation_rate=1_000_000)
    with (
        bootstrap(settings, operator_timeout_seconds=PATIENCE_SECONDS) as services,
        RunningGateway(services) as gateway,
        httpx2.Client(base_url=f"{gateway.root}/encore/v1", verify=PLAIN_HTTP, timeout=60) as http,
    ):
        http.get("/openapi.json").raise_for_status()

        def invalidate(criteria: Criteria, hold: float, request_id: str) -> None:
            response = http.post(
                "/invalidations",
                headers={"Idempotency-Key": request_id},
                json={"criteria": criteria.to_dict(), "hold_seconds": hold},
            )
            if not response.is_success:
                problem = response.json()
                raise ERRORS[problem["type"].rpartition("/")[2]](problem["detail"])

        yield invalidate


def burst(plan: Plan, url: str, port: int, path: Path, number: int, signals: Signals) -> None:
    """One process of those that share the rate, through the API of the gateway at a port, or the library without one.

    Writes what it did to the path.
    """
    logging.disable()
    told = Told(invalidated=[], recorded=set())
    chance = random.Random(f"burst-{plan.seed}-{number}")
    way = by_http if number else by_library
    with way(plan, url) as invalidate:
        deadline = signals.wait()
        due = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if now < due:
                time.sleep(due - now)
            due += plan.burst_processes / plan.tags_a_second
            told.invalidated.append(_invalidate(invalidate, chance))
    path.write_bytes(msgspec.msgpack.encode(told))


def _invalidate(invalidate: Invalidate, chance: random.Random) -> Invalidated:
    namespace = chance.randrange(len(NAMESPACES))
    question = chance.randrange(QUESTIONS) if chance.random() < KNOWN else None
    tag = f"page:{chance.randrange(OTHERS)}" if question is None else f"doc:{question}"
    hold = chance.choice([0.0, 0.3, LONG_SECONDS])
    event = Invalidated(
        id=f"{chance.getrandbits(64):016x}",
        asked_at=time.monotonic(),
        acknowledged=None,
        namespace=namespace,
        kind="other tag" if question is None else "tag",
        question=question,
    )
    try:
        invalidate(Criteria(namespace=NAMESPACES[namespace], tags=(tag,)), hold, event.id)
    except (CacheError, Answered) as error:
        failure = str(error) if isinstance(error, Answered) else type(error).__name__
        return msgspec.structs.replace(event, failure=failure, failed_at=time.monotonic())
    return msgspec.structs.replace(event, acknowledged=time.monotonic())
