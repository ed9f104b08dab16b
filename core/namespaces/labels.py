"""Labels of namespaces: what people call one, who owns it and its colour. Given by an admin or by the settings.

A label is for reading only: requests, keys and criteria name a namespace by its id. Nothing on the path of a request
reads one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import redis
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ..access import Acting, Action, AuditLog
from ..errors import InvalidInput, StoreUnavailable
from ..keys import NAMESPACE_PATTERN, names
from ..stores.redis import shared_hash
from ..text import printable

MOST_LABELS: Final = 1000
"""Namespaces that can have one, as many as figures are kept for."""
LONGEST_LABEL: Final = 40
LONGEST_OWNER: Final = 80
ELLIPSIS: Final = "…"
"""Stands for what is left out of a hash, so that no label may have it."""


class Colour(StrEnum):
    """The colours there are: all can be read on a light and on a dark screen."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    VIOLET = "violet"
    GRAY = "gray"


class NamespaceLabel(BaseModel):
    """What a namespace is called. `owner` is a team, a person or an address, or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    owner: str = ""
    colour: Colour | None = None

    @field_validator("label")
    @classmethod
    def _check_label(cls, value: str) -> str:
        if not (value := _one_line(value, LONGEST_LABEL)):
            raise ValueError("is empty")
        if names.PART_SEPARATOR in value or ELLIPSIS in value:
            raise ValueError(f"has {names.PART_SEPARATOR} or {ELLIPSIS}, which names of namespaces are written with")
        return value

    @field_validator("owner")
    @classmethod
    def _check_owner(cls, value: str) -> str:
        return _one_line(value, LONGEST_OWNER)


class NamespaceLabels:
    """The labels of all namespaces: of all processes with a client, of this one without.

    `configured` are those of the settings. They win, and cannot be changed here: whoever reads the settings can rely on
    them, and no change seems to work and is gone after the next start.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        audit: AuditLog,
        configured: Mapping[str, NamespaceLabel] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hash = shared_hash(client, names.NAMESPACE_LABELS)  # without a TTL: people gave them
        self._audit = audit
        self.configured = dict(configured or {})
        self._clock = clock

    def all(self) -> dict[str, NamespaceLabel]:
        """The labels by namespace, those of the settings included. One round trip. Raises StoreUnavailable."""
        stored = {namespace: found for namespace, value in self._hash.all().items() if (found := _decode(value))}
        return {**stored, **self.configured}

    def known(self) -> dict[str, NamespaceLabel]:
        """The same; those of the settings alone where the others cannot be read. For what is said in passing."""
        try:
            return self.all()
        except StoreUnavailable:
            return self.configured

    def get(self, namespace: str) -> NamespaceLabel | None:
        """The label of one namespace; None where there is none. Raises StoreUnavailable."""
        return self.configured.get(namespace) or _decode(self._hash.get(namespace))

    def give(
        self, namespace: str, label: str, *, owner: str = "", colour: str | None = None, actor: Acting
    ) -> NamespaceLabel:
        """Gives a namespace a label, in place of the one it has. Every screen has it within seconds.

        Raises AccessDenied, InvalidInput (which names the field), StoreUnavailable, WriteRefused, OutcomeUnknown.
        """
        trail = self._audit.by(actor)
        trail.require(Action.LABEL_NAMESPACE)
        self._check(namespace)
        given = _checked({"label": label, "owner": owner, "colour": colour or None})
        while True:
            before = self._hash.get(namespace)
            if not before and len(self._hash.fields()) >= MOST_LABELS:
                raise InvalidInput("label", f"{MOST_LABELS:,} namespaces have one already: remove one first")
            if self._hash.swap(namespace, before, given.model_dump_json().encode()):
                break
        details = {"before": _plain(_decode(before)), "after": _plain(given)}
        trail.record("namespace.labelled", at=self._clock(), namespace=namespace, details=details)
        return given

    def remove(self, namespace: str, *, actor: Acting) -> bool:
        """Takes the label from a namespace; False when it had none. Raises what `give` raises."""
        trail = self._audit.by(actor)
        trail.require(Action.LABEL_NAMESPACE)
        self._check(namespace)
        while before := self._hash.get(namespace):
            if self._hash.swap(namespace, before, b""):
                details = {"before": _plain(_decode(before)), "after": None}
                trail.record("namespace.unlabelled", at=self._clock(), namespace=namespace, details=details)
                return True
        return False

    def _check(self, namespace: str) -> None:
        if not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        if namespace in self.configured:
            raise InvalidInput("namespace", "has its label from ENCORE_NAMESPACE_LABELS: change it there")


def _one_line(text: str, most: int) -> str:
    text = text.strip()
    if len(text) > most or printable(text, most) != text:
        raise ValueError(f"give up to {most} visible characters on one line")
    return text


def _checked(fields: Mapping[str, Any]) -> NamespaceLabel:
    try:
        return NamespaceLabel.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_input=False)[0]
        field = str(found["loc"][0])
        if field == "colour":
            raise InvalidInput(field, f"use {', '.join(Colour)} or none") from None
        raise InvalidInput(field, str(found["msg"]).removeprefix("Value error, ")) from None


def _decode(value: bytes) -> NamespaceLabel | None:
    """A stored label; None for what another program has put there."""
    if not value:
        return None
    try:
        return NamespaceLabel.model_validate_json(value)
    except ValidationError:
        return None


def _plain(given: NamespaceLabel | None) -> dict[str, Any] | None:
    return None if given is None else given.model_dump(mode="json")
