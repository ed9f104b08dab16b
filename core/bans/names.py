"""Names by which bans are found for an entry without looking at every ban.

An entry has a handful of names: its own digest, that of the entry it is an alias of, its tags, its users, its model,
and one that everything has. A ban is filed under the narrowest name that all it selects have. One that has no such name
(a pattern, keywords, an age) is listed, and compared with every entry: there are few of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Literal, get_args

from ..models import CacheEntry
from .criteria import Criteria, Selectable

Kind = Literal["key", "tag", "user", "model", "all"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Name = tuple[Kind, str | bytes]
"""A kind, and what is so named: `("tag", "doc:1")`."""

EVERYTHING: Name = ("all", "")
DIGEST_BYTES = 8
"""A short digest of a name, for scripts that only ask whether two names may be the same."""


def named(kind: Kind, header: Selectable, tags: tuple[str, ...]) -> tuple[str | bytes | None, ...]:
    """The names of one kind that an entry or alias has; None is none."""
    match kind:
        case "tag":
            return tags
        case "key":
            return header.digest, header.target
        case "user":
            return header.users
        case "model":
            return (header.model,)
        case "all":
            return ("",)


def names_of(header: Selectable, tags: tuple[str, ...]) -> list[Name]:
    """All names of an entry or alias."""
    return [(kind, value) for kind in KINDS for value in named(kind, header, tags) if value is not None]


def filed_under(criteria: Criteria) -> tuple[Name, ...]:
    """The names under which a ban is filed: everything it selects has one of them. None: it is listed."""
    if (digest := criteria.digest) is not None:
        return (("key", digest),)
    if criteria.tags:
        return tuple(("tag", tag) for tag in dict.fromkeys(criteria.tags))
    if (user := criteria.user_digest) is not None:
        return (("user", user),)
    if not says_only_names(criteria):
        return ()
    return (EVERYTHING,) if criteria.model is None else (("model", criteria.model),)


def says_only_names(criteria: Criteria) -> bool:
    """Whether a ban selects all that has one of its names: nothing but the name is to be compared."""
    if criteria.pattern is not None or criteria.created_before is not None or criteria.keywords:
        return False
    names = criteria.key is not None, bool(criteria.tags), criteria.user is not None, criteria.model is not None
    return sum(names) <= 1


def digests_of(names: Iterable[Name]) -> bytes:
    """The short digests of these names, one after the other."""
    return b"".join([_digest(kind, value) for kind, value in names])


def entry_digests(entry: CacheEntry) -> bytes:
    """The short digests of an entry's names."""
    return digests_of(names_of(entry.header, entry.tags))


def _digest(kind: str, value: str | bytes) -> bytes:
    named = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return sha256(b"%b:%b" % (kind.encode(), named)).digest()[:DIGEST_BYTES]
