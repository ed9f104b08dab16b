"""Health over HTTP: what the doctor says, and the index of near questions, which workers rebuild.

A key for some namespaces is told what is said of no namespace.
"""

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


class RebuildOut(BaseModel):
    """What a rebuild did. `total` rows of other embedders there were, `done` of them were looked at."""

    embedder: str
    total: int
    done: int
    added: int = Field(description="Rows of the embedder in use that it added.")
    present: int = Field(description="Rows that were there already.")
    gone: int = Field(description="Rows that led to no answer that could be served.")
    unreadable: int = Field(description="Questions that the embedder cannot read.")
    failed: int = Field(description="Questions that the embedder failed at: rebuild again.")
    finished: bool


class RebuiltOut(BaseModel):
    """A rebuild that ended."""

    at: float
    progress: RebuildOut
    last: float = Field(description="When the last row of other embedders expires that there was then.")


class NearIndexOut(BaseModel):
    """What the index of near questions has of other embedders than the one in use."""

    others: int = Field(description="Rows of other embedders.")
    asked: bool = Field(description="Whether a rebuild waits for a worker.")
    rebuilt: RebuiltOut | None = Field(description="The last rebuild beside them.")
    wanting: bool = Field(description="Whether to rebuild: questions that only they lead to are not found.")
    words: str = Field(description="The same in a sentence; empty where there is nothing to say.")


class RebuildAskedOut(BaseModel):
    """A rebuild that a worker takes up within seconds."""

    asked: bool


@router.get("/near-index", response_model=NearIndexOut)
def near_index(by: By, parts: Parts) -> dict[str, Any]:
    """Whether the index of near questions is to be rebuilt, as after another ENCORE_EMBEDDER."""
    by.require_everywhere()
    return parts.near_index.state().to_dict()


@router.post("/near-index/rebuild", response_model=RebuildAskedOut)
def rebuild(by: By, parts: Parts) -> dict[str, Any]:
    """Have a worker rebuild the index of near questions. `rebuilt` of `GET /near-index` says when it has."""
    by.require_everywhere()
    parts.near_index.ask(actor=by.trail)
    return {"asked": True}
