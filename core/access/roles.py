"""Who may do what: four roles, each with the rights of the one before, and the role that each action takes.

Pure. Every method that changes something calls `allowed` first, for every caller; identifying the actor is the
business of the edges (logins in `core.access.logins`, the command line in `core.cli.shell`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import msgspec

from ..errors import AccessDenied


class Role(IntEnum):
    """A viewer looks, an operator changes what can be undone or is small, an admin also does what hits everybody."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role's name on screens, in settings and in messages."""
        return self.name.lower()


class Action(StrEnum):
    """An act that needs a role. The value completes the sentence "… needs the role operator"."""

    LOOK = "looking at the console"
    ASK = "sending prompts"
    TEST_ISOLATION = "running the self-test"
    INVALIDATE = "invalidating"
    INVALIDATE_ALL = "invalidating more than a tenth of a namespace"
    EVERYWHERE = "invalidating in all namespaces at once"
    UNDO = "undoing an invalidation"
    BYPASS = "turning the bypass switch"
    SWEEP = "starting a sweep"
    END_HOLD = "ending the time to undo"
    END_HOLD_ALL = "ending the time to undo of more than a tenth of a namespace"
    SCHEDULE = "changing schedules"
    SCHEDULE_ALL = "scheduling the invalidation of more than a tenth of a namespace"
    EDIT_ENTRIES = "changing entries"
    LABEL = "labelling pairs"
    LABEL_NAMESPACE = "labelling namespaces"
    PUBLISH_THRESHOLD = "publishing a threshold"
    PUBLISH_UNSUPPORTED = "publishing a threshold that labels do not support"
    MARK = "marking moments on charts"
    MANAGE_JOBS = "changing jobs"
    MANAGE_WORKERS = "pausing or resuming workers"


REQUIRED: Mapping[Action, Role] = {
    Action.LOOK: Role.VIEWER,
    Action.ASK: Role.OPERATOR,  # it costs money and stores an answer
    Action.TEST_ISOLATION: Role.OPERATOR,
    Action.INVALIDATE: Role.OPERATOR,
    Action.INVALIDATE_ALL: Role.ADMIN,
    Action.EVERYWHERE: Role.ADMIN,
    Action.UNDO: Role.OPERATOR,
    Action.BYPASS: Role.OPERATOR,
    Action.SWEEP: Role.OPERATOR,
    Action.END_HOLD: Role.OPERATOR,
    Action.END_HOLD_ALL: Role.ADMIN,
    Action.SCHEDULE: Role.OPERATOR,
    Action.SCHEDULE_ALL: Role.ADMIN,
    Action.EDIT_ENTRIES: Role.OPERATOR,
    Action.LABEL: Role.OPERATOR,
    Action.LABEL_NAMESPACE: Role.ADMIN,
    Action.PUBLISH_THRESHOLD: Role.OPERATOR,
    Action.PUBLISH_UNSUPPORTED: Role.ADMIN,
    Action.MARK: Role.OPERATOR,
    Action.MANAGE_JOBS: Role.OPERATOR,
    Action.MANAGE_WORKERS: Role.OPERATOR,
}


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: the name that audit records keep, and the role.

    `local`: there is no login, on this machine only. `refusal`: why the actor has no role, and what to do.
    """

    name: str
    role: Role
    local: bool = False
    refusal: str = ""

    def may(self, action: Action) -> bool:
        """Whether the actor's role allows an action."""
        return self.role >= REQUIRED[action]

    def require(self, action: Action) -> None:
        """Raises AccessDenied unless the actor's role allows an action."""
        if self.role >= REQUIRED[action]:
            return
        if self.refusal:
            raise AccessDenied(self.refusal)
        raise AccessDenied(
            f"{action.value} needs the role {REQUIRED[action].word}; {self.name} has the role {self.role.word}"
        )


def allowed(actor: Actor | str, action: Action) -> str:
    """The actor's name for the audit record. Raises AccessDenied unless the actor's role allows the action.

    A plain name is that of a program which calls Encore from its own code: it holds the address of Redis, and with it
    every right there is.
    """
    if isinstance(actor, str):
        return actor
    actor.require(action)
    return actor.name
