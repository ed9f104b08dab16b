"""Why a Redis that answers takes no writes, in plain words: for alerts, the doctor and the console."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why writes are refused. The value is the code in Redis' own answer."""

    READONLY = "READONLY"
    NOREPLICAS = "NOREPLICAS"
    MISCONF = "MISCONF"
    OOM = "OOM"

    @property
    def cause(self) -> str:
        """Why, as the end of a sentence."""
        return _CAUSES[self]

    @property
    def remedy(self) -> str:
        """What to do, as a sentence."""
        return _REMEDIES[self]

    @property
    def allows_invalidations(self) -> bool:
        """Whether invalidations are done all the same: a full server still takes them."""
        return self is Refusal.OOM


_CAUSES = {
    Refusal.READONLY: "it is a replica",
    Refusal.NOREPLICAS: "too few replicas follow it",
    Refusal.MISCONF: "it cannot save to its disk",
    Refusal.OOM: "its memory is full",
}
_REMEDIES = {
    Refusal.READONLY: "Name the primary in ENCORE_REDIS_URL.",
    Refusal.NOREPLICAS: "Bring its replicas back, or lower min-replicas-to-write.",
    Refusal.MISCONF: "Free space on its disk, or set stop-writes-on-bgsave-error to no.",
    Refusal.OOM: "Raise maxmemory, or set maxmemory-policy to volatile-lru.",
}
