"""OperationSettings: how long things may take, when there is an alert, how many workers run."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from ..namespaces import MOST_LABELS, NamespaceLabel
from .fields import FROM_JSON, AnyNamespace


class OperationSettings(BaseModel):
    """How the installation is run."""

    redis_timeout_seconds: float = Field(0.05, gt=0, le=5, description="Longest wait for Redis on the request path.")
    lease_seconds: float = Field(60, ge=1, le=3600, description="Longest time others wait for a caller computing.")

    alert_hit_rate: float = Field(0, ge=0, le=1, description="Alert when fewer lookups are hits; 0: never.")
    alert_error_rate: float = Field(0.05, ge=0, le=1, description="Alert when more requests fail; 1: never.")
    alert_memory: float = Field(0.9, gt=0, le=1, description="Alert when more of Redis' memory is used; 1: never.")
    alert_workers: int = Field(1, ge=0, le=10_000, description="Alert when fewer workers are alive; 0: never.")
    alert_min_requests: int = Field(50, ge=1, description="Requests in the window from which rates are judged.")
    alert_window_seconds: float = Field(300, ge=60, le=86_400, description="Window that rates are judged over.")

    workers: int = Field(2, ge=1, le=64, description="Worker processes of the pool.")

    namespace_labels: Annotated[dict[AnyNamespace, NamespaceLabel], NoDecode, FROM_JSON] = Field(
        {},
        description='What namespaces are called on screens, as JSON: {"acme": {"label": "Acme", "owner": "team-acme", '
        '"colour": "blue"}}; these win over labels that are given in the console. Use one value in all processes.',
    )

    @field_validator("namespace_labels")
    @classmethod
    def _check_number_of_labels(cls, value: dict[str, NamespaceLabel]) -> dict[str, NamespaceLabel]:
        if len(value) > MOST_LABELS:
            raise ValueError(f"give at most {MOST_LABELS:,}")
        return value
