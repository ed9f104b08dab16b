"""Keys of programs that operate the cache: each with a name, a role and namespaces. Only their hashes are kept.

A key is random and long, so that its plain SHA-256 tells nobody what it is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from ..errors import InvalidInput
from ..keys import NAMESPACE_PATTERN, names
from .roles import Role

KEY_PREFIX: Final = "encore-"
"""What every key begins with, so that nobody takes it for its hash and scanners for secrets find it."""
ALL_NAMESPACES: Final = "*"
KEY_NAME_PATTERN: Final = r"[A-Za-z0-9._-]{1,64}"
_BETWEEN: Final = "+"
_LINE: Final = re.compile(rf"({KEY_NAME_PATTERN}):(viewer|operator|admin):([^:]+):([0-9a-f]{{64}})")


class OperationKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key: who uses it, what that program may do, and where. No `namespaces`: in all of them."""

    name: str
    role: Role
    namespaces: tuple[str, ...] = ()
    digest: str

    @classmethod
    def parse(cls, line: str) -> OperationKey:
        """Reads `name:role:namespaces:hash`, as `line` writes it. Raises InvalidInput, which echoes nothing."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise InvalidInput(
                "operation key", "give lines of `python -m core operation-key`: name:role:namespaces:hash, never a key"
            )
        name, role, places, digest = found.groups()
        namespaces = () if places == ALL_NAMESPACES else tuple(places.split(_BETWEEN))
        return cls(name=name, role=Role[role.upper()], namespaces=checked_namespaces(namespaces), digest=digest)

    @property
    def line(self) -> str:
        """The key as it is configured."""
        places = _BETWEEN.join(self.namespaces) or ALL_NAMESPACES
        return f"{self.name}:{self.role.word}:{places}:{self.digest}"


class OperationKeys:
    """The configured keys. Takes their lines. Raises InvalidInput for one that is none."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._keys = [OperationKey.parse(line) for line in lines]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, token: str) -> OperationKey | None:
        """The key that a caller gives; None for what is none. All are compared, so that the time reveals nothing."""
        digest = key_digest(token)
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None


def new_operation_key(name: str, role: Role, namespaces: Iterable[str] = ()) -> tuple[str, OperationKey]:
    """A new key, which is kept nowhere, and what is kept of it. Raises InvalidInput."""
    if not re.fullmatch(KEY_NAME_PATTERN, name):
        raise InvalidInput("name", "use 1 to 64 letters, digits, dots, dashes and underscores")
    key = KEY_PREFIX + secrets.token_hex(32)
    places = checked_namespaces(tuple(dict.fromkeys(namespaces)))
    return key, OperationKey(name=name, role=role, namespaces=places, digest=key_digest(key))


def key_digest(token: str) -> str:
    """The hash of a key, as hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def covers(namespaces: Iterable[str], namespace: str) -> bool:
    """Whether a namespace is one of these, or the part of one that a caller of the gateway names."""
    return any(namespace == own or namespace.startswith(own + names.PART_SEPARATOR) for own in namespaces)


def checked_namespaces(namespaces: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces. Raises InvalidInput for a name that is none."""
    for namespace in namespaces:
        if not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
    return namespaces
