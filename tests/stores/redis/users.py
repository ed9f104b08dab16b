"""Users of a Redis server who may not run everything."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from core.stores.redis.rights import acl_line
from tests.conftest import RedisServer

NAME, SECRET = "encore", "a-secret"

CATEGORIES = (
    *("keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "stream", "fast", "slow"),
    *("blocking", "dangerous", "admin", "connection", "transaction", "scripting", "pubsub"),
)
"""Those of Redis 6.2 and later that hold a command that Encore runs, or may hold one."""


def url_of_user(server: RedisServer, *less: str) -> str:
    """Makes the documented user on a server, then takes rights away. The URL by which it connects."""
    _, _, name, *rules = acl_line(NAME, SECRET).split()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", name, "reset", *rules, *less)
    where = urlsplit(server.url)
    if where.scheme == "unix":
        return f"unix://{NAME}:{SECRET}@{quote(where.path)}?db=0"
    return where._replace(netloc=f"{NAME}:{SECRET}@{where.hostname}:{where.port}").geturl()
