"""Who got an answer, and which answers requests got."""

from __future__ import annotations

import pytest

from core.entries import received
from core.entries.received import MAX_ANSWER, received_answers, recipients
from core.errors import InvalidInput
from core.keys.names import Slot, readable_key
from core.metrics import CacheMetrics, RequestRecord
from core.stores.memory import MemoryStore
from tests.entries.test_listing import put
from tests.metrics.outcomes import a_bypass, a_hit, a_miss
from tests.samples import NOW, Clock, digest_of


@pytest.fixture
def store():
    made = MemoryStore()
    yield made
    made.close()


def a_body(text):
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


def key_of(prompt, bucket=0):
    return readable_key(bucket, digest_of(prompt))


def test_a_request_has_the_answer_that_it_got_and_no_other(store):
    put(store, Slot("test", 0), "a cat", created_at=NOW, body=a_body("It is a pet."))
    records = [
        RequestRecord.of(at, outcome, None)
        for at, outcome in [
            (NOW + 1, a_hit(key=key_of("a cat"))),
            (NOW, a_miss(key=key_of("a cat"), stored=True)),
            (NOW - 1, a_hit(key=key_of("a cat"))),
            (NOW + 1, a_miss(key=key_of("a cat"), not_stored="too-large")),
            (NOW + 1, a_hit(key=key_of("a cat"), namespace="another")),
            (NOW + 1, a_hit(key=key_of("a dog"))),
            (NOW + 1, a_hit(key="no key")),
            (NOW + 1, a_bypass()),
        ]
    ]
    assert received_answers(store, records) == ["It is a pet.", "It is a pet.", *[None] * 6]


def test_long_answers_are_cut_and_a_list_of_them_is_bounded(store, monkeypatch):
    monkeypatch.setattr(received, "MOST_BYTES_READ", 1)
    monkeypatch.setattr(received, "_BATCH", 1)
    for prompt in ("a cat", "a dog"):
        put(store, Slot("test", 0), prompt, created_at=NOW, body=a_body("x" * 10_000))
    records = [RequestRecord.of(NOW, a_hit(key=key_of(prompt)), None) for prompt in ("a cat", "a dog")]
    assert received_answers(store, records) == ["x" * MAX_ANSWER, None]


def test_recipients_are_of_the_answer_that_stands_there_also_for_an_alias_and_of_all_once_it_is_gone(store):
    put(store, Slot("test", 0), "a cat", alias="cats", created_at=NOW)
    with CacheMetrics(None, flush_seconds=1000, clock=Clock(NOW + 10)) as metrics:
        for seconds in (-1, 1, 2):
            metrics.record(a_hit(key=key_of("a cat"), at=NOW + seconds))
        for key in (key_of("a cat"), key_of("cats")):
            found = recipients(store, metrics, "test", key)
            assert ([one.at for one in found.got], [one.at for one in found.got_earlier]) == (
                [NOW + 2, NOW + 1],
                [NOW - 1],
            )
        store.close()
        gone = recipients(MemoryStore(), metrics, "test", key_of("a cat"))
        assert len(gone.got) == 3
        with pytest.raises(InvalidInput):
            recipients(store, metrics, "test", "no key")
