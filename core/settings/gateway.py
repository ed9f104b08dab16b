"""GatewaySettings: the OpenAI-compatible gateway."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from .fields import NamespaceName


class GatewaySettings(BaseModel):
    """Where the gateway listens, and which requests it takes."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on; others need gateway keys.")
    gateway_namespace: NamespaceName | None = Field(
        None, description="Namespace shared by all callers of the gateway; unset: one per API key."
    )
    gateway_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys the gateway accepts, separated by commas; empty: any."
    )
    gateway_max_body_bytes: int = Field(10_000_000, ge=1000, description="Larger request bodies get 413.")
    gateway_body_seconds: float = Field(
        60, ge=0.1, le=3600, description="Request bodies that take longer to arrive get 408."
    )

    @field_validator("gateway_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
