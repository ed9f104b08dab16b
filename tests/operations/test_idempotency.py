"""Idempotency keys: done once, answered alike, under one id whatever broke off; with Redis and without."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

from core.access import Repeats
from core.errors import InvalidInput, OutcomeUnknown
from core.operations.idempotency import Kept
from core.operations.problems import Refused
from tests.samples import Clock


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest, redis_url: str):
    if request.param == "memory":
        yield Kept(Repeats(None, clock=Clock()))
        return
    with redis.Redis.from_url(redis_url) as client:
        yield Kept(Repeats(client, clock=Clock()))


class Act:
    """Something that is done under an id. Raises what is in `errors` first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.ids: list[str | None] = []

    def __call__(self, request_id: str | None) -> dict[str, Any]:
        self.ids.append(request_id)
        if self.errors:
            raise self.errors.pop(0)
        return {"number": len(self.ids)}


def test_without_a_key_it_is_done_each_time(kept):
    act = Act()
    assert kept.once("wiki", None, {}, act) == ({"number": 1}, False)
    assert kept.once("wiki", None, {}, act) == ({"number": 2}, False)
    assert act.ids == [None, None]


def test_with_a_key_it_is_done_once(kept, namespace):
    act = Act()
    assert kept.once("wiki", namespace, {"a": 1}, act) == ({"number": 1}, False)
    assert kept.once("wiki", namespace, {"a": 1}, act) == ({"number": 1}, True)
    with pytest.raises(Refused) as refused:
        kept.once("wiki", namespace, {"a": 2}, act)
    assert refused.value.kind.name == "key-reused"
    assert kept.once("another", namespace, {"a": 2}, act) == ({"number": 2}, False)  # keys are each operator's own


def test_what_broke_off_is_done_again_under_the_same_id(kept, namespace):
    act = Act(OutcomeUnknown("no answer came"))
    with pytest.raises(OutcomeUnknown):
        kept.once("wiki", namespace, {}, act)
    assert kept.once("wiki", namespace, {}, act) == ({"number": 2}, False)
    assert act.ids[0] == act.ids[1] is not None
    with pytest.raises(Refused):
        kept.once("wiki", namespace, {"other": True}, act)


def test_what_was_refused_leaves_the_key_free_for_the_corrected_request(kept, namespace):
    act = Act(InvalidInput("tags", "are wrong"))
    with pytest.raises(InvalidInput):
        kept.once("wiki", namespace, {"tags": "wrong"}, act)
    assert kept.once("wiki", namespace, {"tags": ["right"]}, act) == ({"number": 2}, False)
    assert act.ids[0] != act.ids[1]


def test_the_same_request_from_many_at_once_has_one_id(kept, namespace):
    act, barrier = Act(), threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        kept.once("wiki", namespace, {}, act)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(act.ids)) == 1
