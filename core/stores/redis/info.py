"""What a Redis server says of itself as a `StoreInfo`, and what is seen of it: rights, distance, clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import redis

from ...keys import names
from ..base import Persistence, StoreInfo
from ..refusal import Refusal
from .clock import asked_time
from .connection import packed
from .failures import is_denied
from .rights import missing_rights, user_of
from .servers import Servers

MEASURED = 3
"""Round trips of which the shortest counts: the first may open a connection."""

Answer = TypeVar("Answer")


def store_info(servers: Servers) -> StoreInfo:
    """State and configuration of all servers that answer. A few round trips. Raises redis.RedisError when none does."""
    answers, silent = ask_each(servers, server_info)
    found = combined_info(answers)
    round_trip, ahead = _measured(servers)
    return msgspec.structs.replace(
        found,
        servers=len(answers) + len(silent),
        silent_servers=tuple(silent),
        user=next(map(user_of, servers.each()), ""),
        missing_rights=_missing(servers),
        round_trip_ms=None if round_trip is None else 1000 * round_trip,
        clock_ahead_seconds=ahead,
    )


def ask_each(servers: Servers, ask: Callable[[redis.Redis], Answer]) -> tuple[list[Answer], list[str]]:
    """The answers of the servers that give one, a refusal included, and the addresses of the others.

    Raises redis.RedisError when none answers.
    """
    answers: list[Answer] = []
    silent: list[str] = []
    failure: redis.RedisError | None = None
    is_reached = False
    for server in servers.each():
        try:
            answers.append(ask(server))
            is_reached = True
        except redis.RedisError as error:
            if is_denied(error):
                is_reached = True
            else:
                failure = failure or error
                where = server.connection_pool.connection_kwargs
                silent.append(f"{where.get('host', '')}:{where.get('port', '')}")
    if failure is not None and not is_reached:
        raise failure
    return answers, silent


def _measured(servers: Servers) -> tuple[float | None, float | None]:
    """The round trip in seconds, and by how much this machine's clock is ahead; None for what cannot be found out."""
    try:
        moments = [asked_time(servers, time.time) for _ in range(MEASURED)]
    except redis.RedisError as error:
        return _distance(servers) if is_denied(error) else None, None
    best = min(moments, key=lambda moment: moment.round_trip_seconds)
    return best.round_trip_seconds, -best.base


def _distance(servers: Servers) -> float | None:
    """The round trip of a server that does not say what time it is: its refusal takes as long."""
    seconds = []
    for _ in range(MEASURED):
        began = time.perf_counter()
        try:
            servers.ask_all(names.CLOCKS, packed([b"EXISTS", names.CLOCKS]), 1)
        except redis.RedisError:
            return None
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _missing(servers: Servers) -> tuple[str, ...]:
    try:
        return missing_rights(lambda commands, count: servers.ask_all(names.CLOCKS, commands, count))
    except redis.RedisError:
        return ()  # its server is one of those that do not answer


def server_info(server: redis.Redis) -> StoreInfo:
    """State and configuration of one server, as far as its user may know them. Two round trips.

    Raises redis.RedisError.
    """
    try:
        reply = server.info("everything")
    except redis.ResponseError as error:
        if not is_denied(error):
            raise
        return StoreInfo(kind="redis", persistence=Persistence.UNKNOWN)
    product = str(reply.get("server_name") or "redis").capitalize()
    version = reply.get(f"{product.lower()}_version") or reply.get("redis_version", "")
    return StoreInfo(
        kind="redis",
        product=product,
        version=str(version),
        used_bytes=reply.get("used_memory"),
        max_bytes=reply.get("maxmemory") or None,
        policy=str(reply.get("maxmemory_policy", "")),
        evicted=int(reply.get("evicted_keys", 0)),
        role=str(reply.get("role", "")),
        replicas=int(reply.get("connected_slaves", 0)),
        persistence=_persistence(server, reply),
        refusal=_refusal(server, reply),
    )


def _refusal(server: redis.Redis, reply: dict[str, Any]) -> Refusal | None:
    """Why the server takes no writes; None when it does, as far as it says."""
    if reply.get("role") != "master":
        return Refusal.READONLY
    followers = reply.get("min_slaves_good_slaves")  # said only where a number is asked for
    if followers is not None and followers < _least_followers(server):
        return Refusal.NOREPLICAS
    if reply.get("aof_enabled") and reply.get("aof_last_write_status") != "ok":
        return Refusal.MISCONF
    if reply.get("rdb_last_bgsave_status") != "ok" and _stops_when_it_cannot_save(server):
        return Refusal.MISCONF
    return Refusal.OOM if _is_full(reply) else None


def _least_followers(server: redis.Redis) -> int:
    """How many replicas a write takes; a server that keeps its configuration to itself is taken to ask for one."""
    try:
        return int(server.config_get("min-replicas-to-write").get("min-replicas-to-write") or 1)
    except redis.ResponseError:
        return 1


def _is_full(reply: dict[str, Any]) -> bool:
    """Whether memory is full and nothing can be evicted."""
    limit = reply.get("maxmemory")
    if not limit or reply.get("used_memory", 0) - reply.get("mem_not_counted_for_evict", 0) <= limit:
        return False
    policy = str(reply.get("maxmemory_policy", ""))
    if policy.startswith("volatile"):
        return not any(value.get("expires") for name, value in reply.items() if name.startswith("db"))
    return policy == "noeviction"


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
    used = [info.used_bytes for info in infos]
    return msgspec.structs.replace(
        first,
        used_bytes=None if None in used else sum(each or 0 for each in used),
        max_bytes=None if None in limits else sum(limit or 0 for limit in limits),
        policy=next((policy for policy in policies if policy.startswith("allkeys")), policies[0]),
        evicted=sum(info.evicted for info in infos),
        persistence=min((info.persistence for info in infos), key=list(Persistence).index),
        refusal=next((info.refusal for info in infos if info.refusal is not None), None),
    )
