"""What a Redis server says of itself, in the project's words: version, memory, persistence, policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from ..base import Persistence, StoreFacts


def _facts(server: redis.Redis) -> StoreFacts:
    info = server.info("everything")
    return StoreFacts(
        kind="redis",
        version=str(info.get("redis_version", "")),
        used_bytes=info.get("used_memory"),
        max_bytes=info.get("maxmemory") or None,
        policy=str(info.get("maxmemory_policy", "")),
        evicted=int(info.get("evicted_keys", 0)),
        role=str(info.get("role", "")),
        replicas=int(info.get("connected_slaves", 0)),
        persistence=_persistence(server, info),
        writable=info.get("role") == "master"
        and (info.get("rdb_last_bgsave_status") == "ok" or not _stops_when_it_cannot_save(server)),
    )


def _persistence(server: redis.Redis, info: dict[str, Any]) -> Persistence:
    if info.get("aof_enabled"):
        return Persistence.LOG
    return Persistence.SNAPSHOTS if _saves(server) else Persistence.NOTHING


def _saves(server: redis.Redis) -> bool:
    """Whether snapshots are configured; a server that keeps its configuration to itself is taken to make some."""
    try:
        return bool(server.config_get("save").get("save"))
    except redis.ResponseError:
        return True


def _stops_when_it_cannot_save(server: redis.Redis) -> bool:
    """Whether writes are refused after a failed snapshot, as they are unless the server was told to go on."""
    try:
        goes_on = server.config_get("stop-writes-on-bgsave-error").get("stop-writes-on-bgsave-error") == "no"
    except redis.ResponseError:
        return True
    return not goes_on and _saves(server)


def _together(all_facts: Sequence[StoreFacts]) -> StoreFacts:
    """Sums, and of the rest the worst: a cluster is as good as the least of its servers."""
    first = min(all_facts, key=lambda facts: [int(part) for part in facts.version.split(".") if part.isdecimal()])
    limits = [facts.max_bytes for facts in all_facts]
    policies = [facts.policy for facts in all_facts]
    return msgspec.structs.replace(
        first,
        used_bytes=sum(facts.used_bytes or 0 for facts in all_facts),
        max_bytes=None if None in limits else sum(limit or 0 for limit in limits),
        policy=next((policy for policy in policies if policy.startswith("allkeys")), policies[0]),
        evicted=sum(facts.evicted for facts in all_facts),
        persistence=min((facts.persistence for facts in all_facts), key=list(Persistence).index),
        writable=all(facts.writable for facts in all_facts),
    )
