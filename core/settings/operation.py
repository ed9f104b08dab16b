"""OperationSettings: how long things may take, when there is an alert, how many workers run."""

from __future__ import annotations

from pydantic import BaseModel, Field


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
