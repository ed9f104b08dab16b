"""A finding of the doctor: how serious it is, what was seen, what to do."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is. Nothing but an error makes the doctor's exit status 1."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of a check: what was found, and what to do about it."""

    area: str
    level: Level
    text: str
    remedy: str = ""
