"""Whether the interval of an estimated preview holds what it says: 95 times of a hundred."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.preview import _interval
from core.keys.names import Slot
from core.stores.base import Write
from core.stores.codec import encode_entry
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import NOW, an_entry, digest_of
from tests.stores.test_contract import put

RUNS = 4000


def test_among_many_entries_a_tag_is_counted_by_its_index_and_said_to_be_the_least(redis_url: str, namespace: str):
    store, slot = RedisStore(patient_client(redis_url)), Slot(namespace, 0)
    for number in range(300):
        put(store, slot, f"p{number}", alias=f"a{number}", tags=("doc:1", "page:7") if number % 60 == 0 else ("doc:2",))
    operator = CacheInvalidator(store, AuditLog(None), namespace=namespace, clock=lambda: NOW)
    preview = operator.preview(Criteria(tags=("doc:1",)), exact_limit=100)
    assert (preview.count, preview.low, preview.high, preview.exact, preview.about) == (5, 5, 5, False, "at least ")
    assert (preview.total, preview.scanned) == (300, 5)
    assert len(preview.rows) == 5
    assert operator.preview(Criteria(tags=("doc:1", "page:7"), keywords=("p60",)), exact_limit=100).count == 1
    store._client.delete(slot.by_tag("doc:1"))
    assert operator.preview(Criteria(tags=("doc:1",)), exact_limit=100).about == "at least "
    exact = operator.preview(Criteria(tags=("doc:1",)))
    assert (exact.count, exact.about) == (5, "")
    common = operator.preview(Criteria(tags=("doc:2",)), exact_limit=100)
    assert (common.about, common.low <= 295 <= common.high) == ("about ", True)
    store.close()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("scanned", "total"), [(1000, 20_000), (20_000, 100_000), (2000, 1_000_000)])
def test_the_interval_of_a_random_sample_holds_the_truth(share: float, scanned: int, total: int):
    chance = np.random.default_rng(int(share * 1000) + scanned)
    truth = max(1, round(share * total))
    samples = chance.hypergeometric(truth, total - truth, scanned, size=RUNS)
    held = {
        found: low <= truth <= high for found in set(samples) for low, high in [_interval(int(found), scanned, total)]
    }
    covered = sum(held[found] for found in samples) / RUNS
    assert covered > 0.93
    widths = [high - low for low, high in (_interval(int(found), scanned, total) for found in set(samples))]
    assert min(widths) < total, "and says something"


def test_what_a_walk_meets_first_is_a_random_sample(redis_url: str, namespace: str):
    store, slot, chance = RedisStore(patient_client(redis_url)), Slot(namespace, 0), random.Random(7)
    record = store.ensure_record(slot)
    truths = dict.fromkeys(range(60), 0)
    for number in range(3000):
        chosen = [word for word in truths if chance.random() < 0.02 + word / 100]
        for word in chosen:
            truths[word] += 1
        entry = an_entry(
            f"question {number} " + " ".join(f"w{word}w" for word in chosen),
            namespace=namespace,
            incarnation=record.incarnation,
            sequence=record.sequence,
            digest=digest_of(f"{namespace} {number}"),
        )
        write = Write(
            digest=entry.header.digest, value=encode_entry(entry), ttl_ms=600_000, model="gpt-4o", created_at=NOW
        )
        store.write(slot, write, record.stamp, record.sequence)
    operator = CacheInvalidator(store, AuditLog(None), namespace=namespace, clock=lambda: NOW)
    held = 0
    for word, truth in truths.items():
        preview = operator.preview(Criteria(keywords=(f"w{word}w",)), exact_limit=400)
        assert not preview.exact
        assert preview.scanned < 1000
        held += preview.low <= truth <= preview.high
    assert held >= 0.85 * len(truths)
    store.close()
