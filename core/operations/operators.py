"""Who calls the operations API, with which role, and in which namespaces it may act."""

from __future__ import annotations

from typing import Final

import msgspec

from ..access import Action, AuditTrail, covers
from ..errors import AccessDenied
from ..keys import EVERYWHERE

OPERATOR: Final = "encore.operator"
"""Where a scope has the operator, once the request is let in."""
BELOW_A_PATH: Final = "encore.below-a-path"
"""True in the scope of a request that came below ENCORE_GATEWAY_ROOT_PATH: a proxy passed it on."""
SOURCE: Final = "api"
"""The source in audit records: a machine, whatever its key is called."""


# Forms of bodies

JSON: Final = "application/json"
MOST_JSON_BYTES: Final = 2_000_000
JSON_LINES: Final = "application/jsonl"
SAME_LINES: Final = "application/x-ndjson"
"""Another name that is in use for JSON lines."""
IMPORT: Final = "/import"
EXPORT: Final = "/export"
"""Where lines are taken, and where they are answered."""


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of one request. `trail` is what the methods of core take as the actor.

    No `namespaces`: it may act in all. `home` is the configured namespace.
    """

    trail: AuditTrail
    namespaces: tuple[str, ...]
    home: str

    @property
    def name(self) -> str:
        """The name of the key, as audit records have it."""
        return self.trail.name

    def require(self, *actions: Action) -> None:
        """Raises AccessDenied unless the role allows all these actions."""
        self.trail.require(*actions)

    def may_enter(self, namespace: str) -> bool:
        """Whether the key is for a namespace."""
        return not self.namespaces or covers(self.namespaces, namespace)

    def namespace(self, given: str | None) -> str:
        """The namespace that a request is about: the given one, else the configured one. Raises AccessDenied."""
        namespace = given or self.home
        if not self.may_enter(namespace):
            raise AccessDenied(f"the key {self.name} is for {', '.join(self.namespaces)}, not for {namespace}")
        return namespace

    def namespace_or_all(self, given: str | None) -> str:
        """The same for what may be about all namespaces (`*`): of a key of some, about these."""
        return EVERYWHERE if given == EVERYWHERE else self.namespace(given)

    def require_everywhere(self) -> None:
        """Raises AccessDenied for a key of some namespaces only: for what concerns all of them."""
        if self.namespaces:
            raise AccessDenied(f"this concerns all namespaces; the key {self.name} is for {', '.join(self.namespaces)}")
