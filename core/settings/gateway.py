"""GatewaySettings: the OpenAI-compatible gateway."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from ..access import OperationKey
from ..text import printable
from ..wire import Treatment, header_treatment
from .fields import NamespaceName


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _read_host(text: str) -> str:
    """A host's name as requests have it, from what people paste: with a scheme, a port, a slash at its end."""
    try:
        name = urlsplit(text if "//" in text else f"//{text}").hostname
    except ValueError:
        name = None
    if not name or not re.fullmatch(r"[\w.:-]+", name):
        raise ValueError(f"{text!r} is no name of a host, such as llm.example.org")
    return name.rstrip(".")


def _read_origin(text: str) -> str:
    """An origin as browsers send it."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([^\s/?#@*]+)/?", text.lower())
    if match is None:
        raise ValueError(f"{text!r} is no origin, such as https://chat.example.org (there is no *: name each)")
    scheme, host = match.groups()
    return f"{scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, ' '))}"


def _read_header(text: str) -> str:
    """A header's name in lower case."""
    name = text.lower()
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]{1,100}", name, re.ASCII):
        raise ValueError(f"{printable(name, 50)!r} is no name of a header")
    if header_treatment(name) in (Treatment.OURS, Treatment.FORM, Treatment.CREDENTIAL):
        raise ValueError(f"{name} cannot be in the key: it is made anew, or says who calls")
    return name


def _read_operation_keys(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Lines that say whose each key is, what it may do and where. No two have one name: the audit log has the names."""
    names = [OperationKey.parse(line).name for line in lines]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two keys have the name {min(twice)}")
    return lines


_OWN_PATHS = ("/openai", "/encore", "/metrics", "/healthz", "/readyz")


SecretKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
OperationKeyLines = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_read_operation_keys)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_read_host)], ...], NoDecode, BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_read_origin)], ...], NoDecode, BeforeValidator(_split)]


class GatewaySettings(BaseModel):
    """Where the gateway listens, and which requests it takes."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on; others need gateway keys.")
    gateway_namespace: NamespaceName | None = Field(
        None, description="Namespace shared by all callers of the gateway; unset: one per API key."
    )
    gateway_keys: SecretKeys = Field((), description="Keys the gateway accepts, separated by commas; empty: any.")
    operation_keys: OperationKeyLines = Field(
        (),
        description="Keys of the operations API, separated by commas, each `name:role:namespaces:hash` as "
        "`python -m core operation-key` prints it; unset: it answers this machine only. One for all namespaces opens "
        "`/metrics` too, which is open while there are neither these nor gateway keys.",
    )
    operation_rate: int = Field(
        10_000, ge=1, le=10_000_000, description="Requests a minute that each key of the operations API may make."
    )
    gateway_hosts: Hosts = Field(
        (),
        description="Names, separated by commas, that a gateway without keys answers to beside localhost and "
        "addresses: what a proxy on this machine passes on as Host.",
    )
    gateway_origins: Origins = Field(
        (),
        description="Origins of web pages that may use the gateway from a browser (CORS), separated by commas, e.g. "
        "https://chat.example.org.",
    )
    gateway_root_path: str = Field(
        "", description="Path before `/v1` that a proxy leaves in the requests it passes on, e.g. /llm."
    )
    gateway_max_body_bytes: int | None = Field(
        None, ge=1000, description="Larger request bodies get 413; unset: what the provider takes."
    )
    keyed_headers: Annotated[
        tuple[Annotated[str, AfterValidator(_read_header)], ...], NoDecode, BeforeValidator(_split)
    ] = Field(
        (),
        description="Headers of callers that the gateway sends on and has in the key, separated by commas, beside "
        "those that are known to change answers. What it does not know it drops.",
    )
    gateway_longer_ttl: bool = Field(
        False, description="A caller of the gateway may ask for a longer TTL than the rules give (X-Encore-TTL)."
    )
    gateway_body_seconds: float = Field(
        60,
        ge=0.1,
        le=3600,
        description="Request bodies that take longer to arrive get 408; for those too large for the cache it is the "
        "longest pause.",
    )
    gateway_connections: int = Field(
        1000, ge=10, le=100_000, description="Connections of clients at a time; for one more an idle one is closed."
    )

    @field_validator("gateway_root_path")
    @classmethod
    def _check_root_path(cls, value: str) -> str:
        if value and not re.fullmatch(r"(?:/[\w.~-]+)+/?", value):
            raise ValueError("give a path that begins with a slash, e.g. /llm")
        value = value.rstrip("/")
        if value.endswith("/v1") or value in _OWN_PATHS:
            raise ValueError("give only what a proxy has before /v1, e.g. /llm; unset where it has nothing there")
        return value
