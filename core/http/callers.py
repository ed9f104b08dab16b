"""Who calls the gateway: whether it may, its namespace, and the credentials that the provider gets.

Pure. Two callers never share answers unless the operator says so; a caller without any credential shares with no one,
not even with itself, since it cannot be distinguished from others.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from cachetools import LRUCache, TTLCache

from ..access import OperationKeys
from ..errors import InvalidInput
from ..inbound import CREDENTIALS, credentials_in, label_of, without_longer_ttl
from ..keys import names
from ..models import Controls
from ..settings import Settings

MOST_PARTS: Final = 1000
PARTS_SECONDS: Final = 7200.0
"""Parts of its namespace that a caller may name within so many seconds: each leaves a record."""
MOST_CALLERS: Final = 1000
"""Callers whose parts are remembered."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A caller that may use the gateway. `namespace` is where its answers are stored; None: nowhere.

    `label` is what stands for its key in records, empty without one.
    """

    namespace: str | None
    label: str = ""


class Callers:
    """Identifies callers by the rules in the settings."""

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.gateway_namespace
        self._keys = [_digest(key.get_secret_value()) for key in settings.gateway_keys]
        key = settings.openai_api_key
        self._provider_key = key.get_secret_value() if key is not None else None
        self._operation_keys = OperationKeys(settings.operation_keys)
        self._longer_ttl = settings.gateway_longer_ttl
        self._parts: LRUCache[str, TTLCache[str, None]] = LRUCache(MOST_CALLERS)

    def identify(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller; None when it gives none of the gateway's keys. Names of headers are in lower case."""
        given = credentials_in(headers)
        if self._keys:
            # What else comes with a key, and how and where it is spelt, makes no other caller.
            key = next((token for _, value in given if self._is_key(token := _token(value))), None)
            if key is None:
                return None
            given = [(CREDENTIALS[0], f"Bearer {key}")]
        label = label_of(given)
        return Caller(namespace=self._namespace if self._namespace is not None else label or None, label=label)

    def may_operate(self, headers: Mapping[str, str]) -> bool:
        """Whether the caller may see what concerns all callers: it has an operator's key for all namespaces, or no keys
        are needed."""
        if not self._keys and not self._operation_keys:
            return True
        found = [self._operation_keys.find(_token(value)) for _, value in credentials_in(headers)]
        return any(key is not None and not key.namespaces for key in found)

    def own_controls(self, controls: Controls, caller: Caller) -> Controls:
        """The controls with the namespace that the caller may use; none, which is a bypass, when it names too many.

        Raises InvalidInput for a name that does not fit in.
        """
        own = own_controls(controls, caller, longer_ttl=self._longer_ttl)
        if controls.namespace is None or caller.namespace is None or own.namespace is None:
            return own
        parts = self._parts.get(caller.namespace)
        if parts is None:
            parts = self._parts[caller.namespace] = TTLCache(MOST_PARTS + 1, PARTS_SECONDS)
        parts[own.namespace] = None
        return own if len(parts) <= MOST_PARTS else msgspec.structs.replace(own, namespace=None)

    def _is_key(self, token: str) -> bool:
        return _is_one_of(self._keys, token)

    def credentials(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """The headers that authenticate at the provider: the configured key, else the caller's; never a gateway key."""
        if self._provider_key is not None:
            return [("authorization", f"Bearer {self._provider_key}")]
        if self._keys:
            return []
        return credentials_in(headers)


def own_controls(controls: Controls, caller: Caller, *, longer_ttl: bool) -> Controls:
    """The controls with the namespace that the caller may use: its own, or a part of it that the request names.

    Unless `longer_ttl`, a TTL is the most that the caller wants: what others are served is not kept longer for it.
    Raises InvalidInput for a name that does not fit in.
    """
    if not longer_ttl:
        controls = without_longer_ttl(controls)
    if caller.namespace is None:
        return msgspec.structs.replace(controls, namespace=None)
    if controls.namespace is None:
        return msgspec.structs.replace(controls, namespace=caller.namespace)
    if not re.fullmatch(names.OWN_NAMESPACE_PATTERN, controls.namespace):
        raise InvalidInput("X-Encore-Namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
    part = f"{caller.namespace}{names.PART_SEPARATOR}{controls.namespace}"
    return msgspec.structs.replace(controls, namespace=part)


def _is_one_of(keys: Sequence[bytes], token: str) -> bool:
    digest = _digest(token)
    # All are compared, so that the time reveals nothing.
    return sum(hmac.compare_digest(digest, key) for key in keys) > 0


def _token(value: str) -> str:
    scheme, space, token = value.partition(" ")
    return token.strip() if space and scheme.lower() == "bearer" else value


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
