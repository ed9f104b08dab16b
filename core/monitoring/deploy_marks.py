"""Marks that people and programs set on charts over time: a deploy, a new prompt, a test under load.

For reading only: nothing on the path of a request reads one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
import redis

from ..access import Acting, Action, AuditLog
from ..errors import InvalidInput
from ..keys import NAMESPACE_PATTERN, names
from ..stores.redis import shared_hash
from ..text import printable

KEPT_SECONDS: Final = 90 * 86_400
"""How long a mark is kept: as long as the figures of hours are."""
MOST_DEPLOY_MARKS: Final = 1000
"""Marks that are kept. One more takes the place of the oldest: no pipeline that marks its deploys fails for it."""
LONGEST_MARK: Final = 80
_AHEAD_SECONDS: Final = 60.0
"""How far ahead the clock of a program that marks may be."""


class DeployMark(msgspec.Struct, frozen=True, kw_only=True):
    """A named moment, in Unix seconds. Without a `namespace` it is on the charts of all of them."""

    id: str
    name: str
    at: float
    actor: str
    namespace: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


class DeployMarks:
    """The marks of all processes with a client, of this one without. Each is kept for 90 days, 1,000 at most."""

    def __init__(self, client: redis.Redis | None, audit: AuditLog, *, clock: Callable[[], float] = time.time) -> None:
        self._hash = shared_hash(client, names.DEPLOY_MARKS, keep_seconds=KEPT_SECONDS)
        self._audit = audit
        self._clock = clock

    def all(self) -> list[DeployMark]:
        """The marks, the latest first. One round trip. Raises StoreUnavailable."""
        oldest = self._clock() - KEPT_SECONDS
        found = (mark for value in self._hash.all().values() if (mark := _decode(value)) and mark.at >= oldest)
        return sorted(found, key=lambda mark: (mark.at, mark.id), reverse=True)

    def add(self, name: str, *, actor: Acting, at: float | None = None, namespace: str | None = None) -> DeployMark:
        """Marks a moment (Unix seconds), now by default. The same name, second and namespace again are the same mark.

        Raises AccessDenied, InvalidInput (which names the field), StoreUnavailable, WriteRefused, OutcomeUnknown.
        """
        trail = self._audit.by(actor)
        trail.require(Action.MARK)
        moment = self._checked_moment(at)
        name = _checked_name(name)
        if namespace is not None and not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        mark = DeployMark(
            id=sha256(f"{namespace or ''}\n{int(moment)}\n{name}".encode()).hexdigest()[:16],
            name=name,
            at=moment,
            actor=trail.name,
            namespace=namespace,
        )
        values = self._hash.all()
        if (known := _decode(values.get(mark.id, b""))) is not None:
            return known
        self._make_room(values)
        if self._hash.swap(mark.id, values.get(mark.id, b""), msgspec.json.encode(mark)):
            trail.record("mark.added", at=self._clock(), namespace=namespace, details=mark.to_dict())
        return mark

    def remove(self, mark_id: str, *, actor: Acting) -> DeployMark | None:
        """Takes a mark from the charts; returns it, None when there is none with this id. Raises what `add` raises."""
        trail = self._audit.by(actor)
        trail.require(Action.MARK)
        value = self._hash.get(mark_id)
        mark = _decode(value)
        if mark is None or not self._hash.swap(mark_id, value, b""):
            return None
        trail.record("mark.removed", at=self._clock(), namespace=mark.namespace, details=mark.to_dict())
        return mark

    def get(self, mark_id: str) -> DeployMark | None:
        """The mark with an id; None where there is none. Raises StoreUnavailable."""
        return _decode(self._hash.get(mark_id))

    def _checked_moment(self, at: float | None) -> float:
        now = self._clock()
        if at is None:
            return now
        if not now - KEPT_SECONDS <= at <= now + _AHEAD_SECONDS:
            raise InvalidInput("at", "give a time within the last 90 days, and not one to come")
        return float(at)

    def _make_room(self, values: dict[str, bytes]) -> None:
        """Drops what is too old or no mark, and the oldest where there are too many for one more."""
        marks = {field: _decode(value) for field, value in values.items()}
        by_age = sorted(marks, key=lambda field: found.at if (found := marks[field]) else 0.0)
        oldest = self._clock() - KEPT_SECONDS
        for place, field in enumerate(by_age):
            mark = marks[field]
            if mark is None or mark.at < oldest or len(by_age) - place >= MOST_DEPLOY_MARKS:
                self._hash.swap(field, values[field], b"")


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise InvalidInput("name", "is empty")
    if len(name) > LONGEST_MARK or printable(name, LONGEST_MARK) != name:
        raise InvalidInput("name", f"give up to {LONGEST_MARK} visible characters on one line")
    return name


def _decode(value: bytes) -> DeployMark | None:
    """A stored mark; None for what another program has put there."""
    try:
        return msgspec.json.decode(value, type=DeployMark) if value else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
