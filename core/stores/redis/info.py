"""The INFO of a Redis server as a `StoreInfo`: version, memory, persistence, policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from ..base import Persistence, StoreInfo


def server_info(server: redis.Redis) -> StoreInfo:
    """State and configuration of one server. Two round trips. Raises redis.RedisError."""
    reply = server.info("everything")
    return StoreInfo(
        kind="redis",
        version=str(reply.get("redis_version", "")),
        used_bytes=reply.get("used_memory"),
        max_bytes=reply.get("maxmemory") or None,
        policy=str(reply.get("maxmemory_policy", "")),
        evicted=int(reply.get("evicted_keys", 0)),
        role=str(reply.get("role", "")),
        replicas=int(reply.get("connected_slaves", 0)),
        persistence=_persistence(server, reply),
        writable=reply.get("role") == "master"
        and (reply.get("rdb_last_bgsave_status") == "ok" or not _stops_when_it_cannot_save(server)),
    )


def _persistence(server: redis.Redis, reply: dict[str, Any]) -> Persistence:
    if reply.get("aof_enabled"):
        return Persistence.LOG
    return Persistence.SNAPSHOTS if _saves(server) else Persistence.NOTHING


def _saves(server: redis.Redis) -> bool:
    """Whether snapshots are configured; a server that keeps its configuration to itself is taken to make some."""
    try:
        return bool(server.config_get("save").get("save"))
    except redis.ResponseError:
        return True


def _stops_when_it_cannot_save(server: redis.Redis) -> bool:
    """Whether writes are refused after a failed snapshot, as they are by default."""
    try:
        goes_on = server.config_get("stop-writes-on-bgsave-error").get("stop-writes-on-bgsave-error") == "no"
    except redis.ResponseError:
        return True
    return not goes_on and _saves(server)


def combined_info(infos: Sequence[StoreInfo]) -> StoreInfo:
    """The state of a cluster: sums of bytes and counts, and the worst value of everything else."""
    first = min(infos, key=lambda info: [int(part) for part in info.version.split(".") if part.isdecimal()])
    limits = [info.max_bytes for info in infos]
    policies = [info.policy for info in infos]
    return msgspec.structs.replace(
        first,
        used_bytes=sum(info.used_bytes or 0 for info in infos),
        max_bytes=None if None in limits else sum(limit or 0 for limit in limits),
        policy=next((policy for policy in policies if policy.startswith("allkeys")), policies[0]),
        evicted=sum(info.evicted for info in infos),
        persistence=min((info.persistence for info in infos), key=list(Persistence).index),
        writable=all(info.writable for info in infos),
    )
