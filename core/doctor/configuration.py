"""The settings in effect, and where each value comes from. Secrets are not shown."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from pydantic import SecretStr

from ..access import Role
from ..namespaces import NamespaceLabel
from ..settings import Settings, unknown_settings, variable
from ..text import HIDDEN, looks_secret, masked, redacted
from .findings import Finding, Level


class EffectiveSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it is in force, secrets masked. `is_set`: given by a variable or `.env`, not the default."""

    variable: str
    value: str
    is_set: bool
    description: str


def effective_settings(settings: Settings) -> Iterator[EffectiveSetting]:
    """All settings in the order they are documented in."""
    for name, field in Settings.model_fields.items():
        yield EffectiveSetting(
            variable=variable(name),
            value=_shown(name, getattr(settings, name)),
            is_set=name in settings.model_fields_set,
            description=field.description or "",
        )


def setting_findings() -> Iterator[Finding]:
    """Whether a variable is set that is no setting."""
    if unknown := unknown_settings():
        remedy = "Correct the name, or unset it; docs/settings.md has them all."
        yield Finding(area="settings", level=Level.WARNING, text=unknown, remedy=remedy)


def _shown(name: str, value: Any) -> str:
    match value:
        case None | ():
            return ""
        case dict() if all(isinstance(part, Role) for part in value.values()):
            return msgspec.json.encode({name: role.word for name, role in value.items()}).decode() if value else ""
        case dict() if all(isinstance(part, NamespaceLabel) for part in value.values()):
            # Without the owners: a diagnosis is sent to others, and these may be addresses of people.
            return msgspec.json.encode({name: part.label for name, part in value.items()}).decode() if value else ""
        case dict():
            return msgspec.json.encode(redacted(value)).decode() if value else ""
        case SecretStr():
            return masked(value.get_secret_value()) if name.endswith("_url") else "********"
        case tuple() if all(isinstance(part, SecretStr) for part in value):
            return f"{len(value)} set"
        case tuple() if name in ("admins", "operators", "viewers", "operation_keys"):
            return f"{len(value)} set"  # a diagnosis is sent to others: whose addresses and keys is not their business
        case tuple():
            return f"{len(value)} rules" if name.endswith("_rules") else ", ".join(map(str, value))
        case bool():
            return "true" if value else "false"
        case str() if name.endswith("_url"):
            return masked(value)
        case str() if looks_secret(value):
            return HIDDEN
        case StrEnum():
            return value.value
        case Role():
            return value.word
        case _:
            return str(value)
