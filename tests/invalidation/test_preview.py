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

RUNS = 4000


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
