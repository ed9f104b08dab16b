"""Logins: from a provider's claims to an actor with a role, and which logins have ended.

The claims are those of an ID token whose signature has been checked. An e-mail address counts only when the provider
says that it is verified: else anybody could take an admin's.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import redis

from ..keys import names
from ..stores.redis import reading, writing
from ..text import printable
from .roles import Actor, Role

LONGEST_NAME = 200
SKEW_SECONDS = 300
"""How far ahead the provider's clock may be."""

LOG_IN = "Log in first"
NO_ROLE = "has no role here: ask the person who runs this console for one"


class RoleRules(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets which role: by the values of a claim, by e-mail address, or by `default`; the highest of them counts.

    `claim` may lead into an object, `realm_access.roles`. An address that begins with `@` is a whole domain.
    """

    claim: str | None = None
    values: Mapping[str, Role] = {}
    addresses: Mapping[str, Role] = {}
    default: Role = Role.NONE
    login_seconds: float

    @property
    def admits_somebody(self) -> bool:
        """Whether some login can get a role by these rules."""
        return bool(self.claim or self.addresses or self.default)


def actor_of(claims: Mapping[str, Any], rules: RoleRules, *, now: float) -> Actor:
    """Who a login is: a verified e-mail address or else the subject, with the role that the rules give."""
    address = _verified_address(claims)
    name = printable(address or str(claims.get("sub") or "somebody unnamed"), LONGEST_NAME)
    issued_at = _issued_at(claims)
    if issued_at is None or issued_at > now + SKEW_SECONDS:
        return Actor(name=name, role=Role.NONE, refusal="The provider does not say when you logged in: log in again")
    if now >= issued_at + rules.login_seconds:
        return Actor(name=name, role=Role.NONE, refusal="Your login has expired: log in again")
    given = [rules.values.get(value, Role.NONE) for value in _values(claims, rules.claim)]
    if address:
        domain = address[address.rindex("@") :]
        given += [rules.addresses.get(address, Role.NONE), rules.addresses.get(domain, Role.NONE)]
    role = max([rules.default, *given])
    if role is Role.NONE:
        return Actor(name=name, role=role, refusal=f"{name} {NO_ROLE}")
    return Actor(name=name, role=role)


def login_id(claims: Mapping[str, Any]) -> str:
    """An id that differs between any two logins, also of the same person."""
    parts = [str(claims.get(name, "")) for name in ("iss", "sub", "iat", "nonce", "sid", "jti")]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _verified_address(claims: Mapping[str, Any]) -> str:
    address, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(address, str) or verified not in (True, "true"):  # some providers write it as text
        return ""
    address = address.strip().casefold()
    return address if "@" in address else ""


def _issued_at(claims: Mapping[str, Any]) -> float | None:
    issued_at = claims.get("iat")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        return None
    return float(issued_at) if math.isfinite(issued_at) else None


def _values(claims: Mapping[str, Any], claim: str | None) -> list[str]:
    """The values of a claim: one text or several. A name with dots is looked up as it stands first."""
    if claim is None:
        return []
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [value for value in found if isinstance(value, str)] if isinstance(found, list | tuple) else []


class EndedLogins:
    """Logins that were ended before they expired, in all processes, or in this process without a client.

    The cookie of a login stays valid wherever it is kept; this is what makes logging out end it. A server that cannot
    be reached during a logout does not learn of it, but the process where it happened does.
    """

    def __init__(self, client: redis.Redis | None, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._here: dict[str, float] = {}
        self._lock = threading.Lock()

    def end(self, name: str, *, seconds: float) -> None:
        """Ends a login by its id and remembers that for the given number of seconds.

        Raises StoreUnavailable, WriteRefused.
        """
        now = self._clock()
        with self._lock:
            self._here = {known: until for known, until in self._here.items() if until > now} | {name: now + seconds}
        if self._client is not None:
            with writing():
                self._client.set(names.ENDED_LOGINS + name.encode(), b"", ex=max(1, round(seconds)))

    def is_ended_here(self, name: str) -> bool:
        """Whether a login was ended in this process."""
        return name in self._here

    def is_ended(self, name: str) -> bool:
        """Whether a login was ended. Raises StoreUnavailable."""
        if self.is_ended_here(name):
            return True
        if self._client is None:
            return False
        with reading():
            return bool(self._client.exists(names.ENDED_LOGINS + name.encode()))
