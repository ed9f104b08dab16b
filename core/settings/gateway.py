"""GatewaySettings: the OpenAI-compatible gateway."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from ..text import printable
from ..wire import Treatment, header_treatment
from .fields import NamespaceName

_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]{1,100}", re.ASCII)


class GatewaySettings(BaseModel):
    """Where the gateway listens, and which requests it takes."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on; others need gateway keys.")
    gateway_namespace: NamespaceName | None = Field(
        None, description="Namespace shared by all callers of the gateway; unset: one per API key."
    )
    gateway_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys the gateway accepts, separated by commas; empty: any."
    )
    keyed_headers: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Headers of callers that the gateway sends on and has in the key, separated by commas, beside "
        "those that are known to change answers. What it does not know it drops.",
    )
    gateway_longer_ttl: bool = Field(
        False, description="A caller of the gateway may ask for a longer TTL than the rules give (X-Encore-TTL)."
    )
    gateway_max_body_bytes: int = Field(10_000_000, ge=1000, description="Larger request bodies get 413.")
    gateway_body_seconds: float = Field(
        60, ge=0.1, le=3600, description="Request bodies that take longer to arrive get 408."
    )

    @field_validator("gateway_keys", "keyed_headers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("keyed_headers")
    @classmethod
    def _check_headers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.lower() for name in value)
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{printable(name, 50)!r} is no name of a header")
            if header_treatment(name) in (Treatment.OURS, Treatment.FORM, Treatment.CREDENTIAL):
                raise ValueError(f"{name} cannot be in the key: it is made anew, or says who calls")
        return names
