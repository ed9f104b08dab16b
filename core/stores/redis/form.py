"""The form of what is stored on a Redis: one at a time, and what older forms have left there.

Names of another form are never read, so two versions on one Redis would not see each other's invalidations: whoever
finds a newer form than its own must not start.
"""

from __future__ import annotations

import logging
from typing import cast

import redis

from ...errors import CacheError, InvalidSettings
from ...keys import names
from ...text import printable
from .cluster import ClusterClient, ClusterServers
from .failures import reading, writing
from .servers import OneServer, Servers, scan

logger = logging.getLogger("encore.store")


def claim_form(client: redis.Redis) -> None:
    """Notes on a Redis that this form is in use there. Raises InvalidSettings when a newer one is.

    A Redis that does not answer, or takes no writes, is logged: the cache may fail, a process still starts.
    """
    try:
        found = _claimed(client)
    except CacheError as error:
        logger.warning("which version of Encore uses this Redis is not known or not noted: %s", error)
        return
    if _number(found) > names.FORM:
        newer = printable(found.decode("latin-1"), 20)
        problem = (
            f"ENCORE_REDIS_URL: a newer version of Encore uses this Redis (form {newer} of what is stored; this "
            f"version has form {names.FORM}). Neither version would see the other's invalidations: start the newer "
            "version, or name another Redis or another database of it"
        )
        raise InvalidSettings([problem])


def _claimed(client: redis.Redis) -> bytes:
    """The highest form in use, this one included."""
    with reading():
        found = cast("bytes | None", client.get(names.FORM_KEY))
    if _number(found) < names.FORM:
        with writing():
            found = cast("bytes | None", client.set(names.FORM_KEY, names.FORM, get=True))
            if _number(found) > names.FORM:  # a newer version has come in between
                client.set(names.FORM_KEY, found or b"")
    return found or b""


def _number(form: bytes | None) -> float:
    """A form as it is stored; one that is no number is newer than any."""
    if not form:
        return 0
    return int(form) if form.isdigit() and len(form) < 10 else float("inf")


def has_older(client: redis.Redis) -> bool:
    """Whether an older form has left something, by its list of namespaces. Raises StoreUnavailable."""
    with reading():
        return any(client.exists(name) for name in names.OLDER_NAMESPACES)


def remove_older(client: redis.Redis) -> int:
    """Deletes what older forms have left, by a full SCAN. Returns the number of keys. Can be repeated.

    Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
    """
    servers: Servers = ClusterServers(client) if isinstance(client, ClusterClient) else OneServer(client)
    removed = 0
    with writing():
        for server in servers.each():
            for page in scan(server, b"encore:"):
                older = [name for name in page if names.is_older(name) and name not in names.OLDER_NAMESPACES]
                with server.pipeline(transaction=False) as pipeline:
                    for name in older:  # one by one: on a cluster each is in a slot of its own
                        pipeline.unlink(name)
                    removed += sum(pipeline.execute())
        # Last, so that what is left of a pass that broke off is known to be there.
        return removed + sum(client.unlink(name) for name in names.OLDER_NAMESPACES)
