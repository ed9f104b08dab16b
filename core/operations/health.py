"""Health over HTTP: what the doctor says. Of a key for some namespaces, what he says of no namespace."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from ..doctor import Level
from .parts import By, Doctor, Parts

router: Final = APIRouter(tags=["health"])

OF_NO_NAMESPACE: Final = frozenset({"redis", "queue", "workers", "provider", "embedder"})
"""The areas whose findings speak of the installation only."""


class FindingOut(BaseModel):
    """One result of a check: what was found, and what to do about it."""

    area: str
    level: Level
    text: str
    remedy: str


class SettingOut(BaseModel):
    """One setting as it is in force, secrets masked."""

    variable: str
    value: str
    is_set: bool = Field(description="Whether it was given; else it is the default.")
    description: str


class HealthOut(BaseModel):
    """What the doctor found. Redis and this machine are looked at every ten seconds, all else every five minutes."""

    worst: Level = Field(description="The worst of the findings.")
    at: float
    outside_at: float = Field(description="When provider and embedder were asked.")
    findings: list[FindingOut]
    settings: list[SettingOut] = Field(description="Empty for a key that is not for all namespaces.")


@router.get("/health", response_model=HealthOut)
def health(by: By, parts: Parts, doctor: Doctor) -> dict[str, Any]:
    """What is configured, what can be reached, what is wrong and how to fix it."""
    looked = doctor.look(parts)
    diagnosis = looked.diagnosis
    if by.namespaces:
        findings = tuple(one for one in diagnosis.findings if one.area in OF_NO_NAMESPACE)
        diagnosis = msgspec.structs.replace(diagnosis, findings=findings, settings=())
    return diagnosis.to_dict() | {"outside_at": looked.outside_at}
