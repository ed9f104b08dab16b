"""Who may do what: three roles, each with the rights of the one before. Pure; logins are the edges' business."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from core.errors import AccessDenied


class Role(IntEnum):
    """A viewer looks, an operator changes what can be undone or is small, an admin also invalidates everything."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As on screen and in messages."""
        return self.name.lower()


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: the name that audit records keep, and the role. `local`: nobody logged in, on this machine only."""

    name: str
    role: Role
    local: bool = False

    def may(self, role: Role) -> bool:
        """Whether the actor has the rights of a role."""
        return self.role >= role

    def require(self, role: Role, action: str) -> None:
        """Raises AccessDenied unless the actor has the rights of a role."""
        if not self.may(role):
            raise AccessDenied(f"{action} takes the role {role.word}; {self.name} has the role {self.role.word}")
