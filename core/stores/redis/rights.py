"""What Redis' user must be allowed to do: the rules to give it, which rights it lacks, and what does not work then.

Rights are found by trying. Redis looks at a user's rights before it looks at a command's arguments, so each command is
sent in a form that changes nothing: for a key that never exists, or with an argument that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import redis

from ...keys import names
from .connection import ThreadConnections, packed
from .failures import is_denied, reading

QUEUE_PREFIX: Final = "rq:"

RULES: Final[tuple[str, ...]] = (
    *(f"~{names.PREFIX.decode()}*", f"~{QUEUE_PREFIX}*", "resetchannels", f"&{QUEUE_PREFIX}*"),
    *("-@all", "+@read", "+@write", "+@transaction", "+@pubsub", "+@blocking", "+@connection", "-@dangerous"),
    *("+eval", "+evalsha", "+script|exists", "+script|load", "+select", "+wait", "+time", "+info", "+config|get"),
    *("+client|setname", "+client|info", "+client|setinfo"),
    *("+cluster|nodes", "+cluster|slots", "+cluster|shards", "+cluster|getkeysinslot"),
)
"""What a user needs for everything, as ACL SETUSER takes it: on Redis 6.2 and later, Valkey, and in a cluster."""

MOST_NAMED = 8
"""Missing rights that are listed one by one; of more than that, all rules are given again."""

_SUBCOMMANDED = ("script", "config", "client", "cluster")
_NO_SCRIPT = "0" * 40


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """What needs certain commands, and what is so without them. Commands are named as in rules: `config|get`.

    `prefix` is that of the keys or channels it needs, empty when it needs none.
    """

    name: str
    needs: frozenset[str]
    without: str
    prefix: str = ""


def _feature(name: str, needs: str, without: str, prefix: str = names.PREFIX.decode()) -> Feature:
    return Feature(name=name, needs=frozenset(needs.split()), without=without, prefix=prefix)


FEATURES: Final[tuple[Feature, ...]] = (
    _feature("hits", "mget get xrange hvals hlen hscan", "no answer is served from the cache"),
    _feature(
        "stores",
        "get set sadd zadd zrangebyscore zrem pttl pexpire hsetnx xrevrange unlink eval evalsha",
        "no answer is kept",
    ),
    _feature(
        "invalidations",
        "get set unlink exists sadd smembers mget eval evalsha xadd xtrim rpush pexpire hget hset hdel hmget zadd zrem "
        "zrange",
        "not everything can be invalidated",
    ),
    _feature(
        "undo of what was answered again",
        "mget getrange hexists hset hdel hlen hscan hsetnx pttl pexpire rename strlen unlink zadd zrangebyscore zrem "
        "eval evalsha",
        "an undo leaves the newer answer where one was stored meanwhile",
    ),
    _feature(
        "bypass switch",
        "hmget hkeys hget hset hdel eval evalsha",
        "the bypass switch has no effect, or cannot be turned",
    ),
    _feature(
        "marks of the bypass switch",
        "script|exists script|load",
        "the bypass switch has no effect if it is turned while Redis takes no writes",
        "",
    ),
    _feature(
        "single flight",
        "set get exists unlink pexpire eval evalsha",
        "processes do not wait for each other's answers to the same question",
    ),
    _feature(
        "sweeps",
        "scan getrange strlen exists unlink get mget hdel hlen hscan hexists zadd zcard zrange zrangebyscore zrem "
        "zremrangebyrank eval evalsha",
        "the memory of invalidated answers is not freed",
    ),
    _feature(
        "metrics",
        "hgetall hget hset hlen hincrby get set expire zadd zincrby zcount zremrangebyscore zrem zrangebyscore xadd "
        "xrevrange eval evalsha",
        "requests are not counted, or not listed",
    ),
    _feature(
        "entries",
        "smembers hgetall zcard zcount zrange zscan zmscore scan getrange pttl hmget",
        "entries are not listed, or not counted",
    ),
    _feature(
        "pins, schedules, marks and alerts",
        "hget hset hdel hkeys hvals hgetall hexists hsetnx expire",
        "they are not kept or shown",
    ),
    _feature(
        "semantic lookup",
        "xadd xread xrange xrevrange hset hdel hscan zadd zrange zrangebyscore zremrangebyscore expire expireat "
        "unlink srem sadd smembers incrby rpush lpop ltrim llen",
        "near questions are found only by the process that has seen them, or their verdicts are lost",
    ),
    _feature("ended logins", "set exists", "a login that was ended holds until it expires"),
    _feature("clock", "time", "answers age by the clock of each machine", ""),
    _feature("state of Redis", "info config|get", "its version, memory, role and persistence are not known", ""),
    _feature("replicas", "wait", "an invalidation does not wait for replicas", ""),
)
"""What the cache does with Redis. The first ones are the ones that its callers notice."""

QUEUE_FEATURES: Final[tuple[Feature, ...]] = (
    _feature(
        "jobs",
        "multi watch unwatch sadd srem smembers hset hget hgetall hdel hincrby zadd zrem zcard zcount zrange "
        "zrangebyscore zscore zremrangebyscore rpush lrem lpop blpop blmove llen lindex lrange lpos expire persist "
        "exists del get set eval evalsha subscribe publish",
        "jobs do not run, or cannot be stopped: memory is not freed, schedules and refreshes do not run",
        QUEUE_PREFIX,
    ),
    _feature("names of connections", "client|setname", "the connections of workers have no names", ""),
)
"""What workers do with the Redis of the job queue."""

_ARGUMENTS: Final[dict[str, str]] = {
    **dict.fromkeys(("hget", "hmget", "hexists", "hdel"), "KEY f"),
    **dict.fromkeys(("zrange", "zcount", "zrangebyscore", "zremrangebyscore", "zremrangebyrank"), "KEY 0 0"),
    **dict.fromkeys(("getrange", "ltrim", "lrange"), "KEY 0 0"),
    **dict.fromkeys(("hscan", "zscan", "lindex"), "KEY 0"),
    **dict.fromkeys(("zmscore", "zscore", "zrem", "srem", "lpos"), "KEY m"),
    **dict.fromkeys(("expire", "pexpire", "expireat"), "KEY 1"),
    "xrange": "KEY - + COUNT 1",
    "xrevrange": "KEY + - COUNT 1",
    "xread": "COUNT 1 STREAMS KEY 0",
    "lrem": "KEY 0 v",
    "xtrim": "KEY MAXLEN 0",
    "scan": "wrong",
    "rename": "KEY KEY",
    "set": "KEY v WRONG",
    "hset": "KEY f v f",
    "zadd": "KEY NX XX 1 m",
    "zincrby": "KEY wrong m",
    "hincrby": "KEY f wrong",
    "incrby": "KEY wrong",
    "xadd": "KEY 0-0 f v",
    "eval": "return 0",
    "evalsha": f"{_NO_SCRIPT} 0",
    "script|exists": _NO_SCRIPT,
    "script|load": "return",
    "config|get": "save",
    "info": "server",
    "wait": "0 1",
    "time": "",
    "unwatch": "",
    "publish": "CHANNEL v",
}
"""Arguments of each command that change nothing; those of the others are a key."""

_QUEUED: Final[dict[str, str]] = {
    "sadd": "KEY m",
    "hsetnx": "KEY f v",
    "rpush": "KEY v",
    "blpop": "KEY 1",
    "blmove": "KEY KEY LEFT LEFT 1",
    "subscribe": "CHANNEL",
    "client|setname": "rights",
}
"""Commands that no argument keeps from having an effect: they are queued in a transaction, which is then dropped."""

_KIN: Final[dict[str, str]] = {"sadd": "srem", "hsetnx": "hset", "rpush": "ltrim"}
"""By which command to judge one that needs a transaction, where there can be none."""

Ask = Callable[[bytes, int], list[Any]]
"""Sends packed commands over one connection; the replies in order, errors in their places. Raises redis.RedisError."""


def acl_line(user: str, secret: str) -> str:
    """The command that makes the user whom Encore needs."""
    return f"ACL SETUSER {user} on >{secret} {' '.join(RULES)}"


def missing_rights(ask: Ask, features: Iterable[Feature] = FEATURES, *, prefix: str | None = None) -> tuple[str, ...]:
    """The rules that the user lacks, such as `+info` or `~encore:*`: those of keys only, when it may use none of them.

    Two round trips. `prefix` is that of the names of keys, Encore's own unless given.
    Raises redis.RedisError when the server does not answer.
    """
    prefix = names.PREFIX.decode() if prefix is None else prefix
    commands = sorted({command for feature in features for command in feature.needs})
    plain = [command for command in commands if command not in _QUEUED and command != "multi"]
    queued = [command for command in commands if command in _QUEUED]
    found = _denied(ask, [_words(command, _ARGUMENTS.get(command, "KEY"), prefix) for command in plain], plain, prefix)
    if queued:
        found |= _denied(ask, [[b"MULTI"]], ["multi"], prefix)
        if "+multi" not in found:
            words = [_words(command, _QUEUED[command], prefix) for command in queued]
            found |= _denied(ask, [*words, [b"DISCARD"]], [*queued, "discard"], prefix)
        else:
            found |= {f"+{command}" for command in queued if f"+{_KIN.get(command)}" in found}
            if "multi" not in commands:
                found.discard("+multi")
    return tuple(sorted(found))


def queue_rights(client: redis.Redis) -> tuple[str, ...]:
    """The rules that the user of a job queue lacks. Raises StoreUnavailable."""
    connections = ThreadConnections(client)
    try:
        with reading():
            return missing_rights(connections.ask_all, QUEUE_FEATURES, prefix=QUEUE_PREFIX)
    finally:
        connections.close()


def _denied(ask: Ask, words: Sequence[Sequence[bytes]], commands: Sequence[str], prefix: str) -> set[str]:
    replies = ask(b"".join(map(packed, words)), len(words))
    return {
        _rule(str(reply), command, prefix) for command, reply in zip(commands, replies, strict=True) if is_denied(reply)
    }


def _rule(error: str, command: str, prefix: str) -> str:
    if "channel" in error:
        return f"&{prefix}*"
    return f"~{prefix}*" if re.search(r"\bkeys?\b", error) else f"+{command}"


def _words(command: str, arguments: str, prefix: str) -> list[bytes]:
    name, *sub = command.split("|") if command.startswith(_SUBCOMMANDED) else [command]
    places = {"KEY": f"{prefix}rights", "CHANNEL": f"{prefix}pubsub:rights"}
    return [word.encode() for word in (name, *sub, *(places.get(each, each) for each in arguments.split()))]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What does not work, wholly or in part, and the commands that it lacks; none when it may not use the keys."""

    feature: str
    without: str
    commands: tuple[str, ...]


def losses(missing: Iterable[str], features: Iterable[Feature] = (*FEATURES, *QUEUE_FEATURES)) -> tuple[Loss, ...]:
    """What does not work without these rights, the most important first."""
    rules = set(missing)
    commands = {rule[1:] for rule in rules if rule.startswith("+")}
    found = []
    for feature in features:
        is_shut_out = feature.prefix and rules & {f"~{feature.prefix}*", f"&{feature.prefix}*"}
        lacked = feature.needs & commands
        if lacked or is_shut_out:
            found.append(Loss(feature=feature.name, without=feature.without, commands=_shown(lacked)))
    return tuple(found)


def _shown(commands: Iterable[str]) -> tuple[str, ...]:
    return tuple(command.upper().replace("|", " ") for command in sorted(commands))


def remedy(missing: Sequence[str], user: str) -> str:
    """The command that grants what is missing."""
    rules = missing if len(missing) <= MOST_NAMED else RULES
    return f"ACL SETUSER {user or 'default'} {' '.join(rules)}"


def user_of(client: redis.Redis) -> str:
    """The name of the user that a client is for Redis."""
    return str(client.connection_pool.connection_kwargs.get("username") or "default")
