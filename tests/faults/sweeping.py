"""A process that sweeps, in steps small enough to be killed between any two of them."""

from __future__ import annotations

from functools import partialmethod
from multiprocessing.connection import Connection

from core.access.audit import AuditLog
from core.invalidation.invalidator import CacheInvalidator
from core.stores.redis.store import RedisStore, patient_client


class SmallSteps(RedisStore):
    """Walks and removes a few entries at a time."""

    walk = partialmethod(RedisStore.walk, batch=4)  # type: ignore[assignment]
    remove_model = partialmethod(RedisStore.remove_model, batch=8)  # type: ignore[assignment]


def sweep(url: str, namespace: str, begun: Connection) -> None:
    """Sweeps once, and says when it begins to."""
    client = patient_client(url)
    invalidator = CacheInvalidator(SmallSteps(client), AuditLog(client))
    begun.send(True)
    invalidator.sweep(namespace, rest=0.2)
