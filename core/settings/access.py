"""AccessSettings: logins at the console, and the roles of people."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from ..access import Role
from ..text import HIDDEN, looks_secret, printable
from .fields import FROM_JSON
from .mending import web_address

SHORTEST_SECRET = 32
"""Fewest characters of the secret that signs the cookies of logins."""


def _read_role(value: Any) -> Any:
    """A role by its word."""
    if not isinstance(value, str):
        return value
    try:
        return Role[value.strip().upper()]
    except KeyError:
        raise ValueError("use none, viewer, operator or admin") from None


def _read_addresses(value: Any) -> Any:
    """E-mail addresses and domains as they are compared."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    addresses = tuple(part.strip().casefold() for part in parts if part.strip())
    for address in addresses:
        if not re.fullmatch(r"[^@\s]*@[^@\s]+", address):
            shown = HIDDEN if looks_secret(address) else printable(address, 60)
            raise ValueError(f"{shown} is neither an e-mail address nor a @domain")
    return addresses


ByWord = Annotated[Role, BeforeValidator(_read_role)]
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read_addresses)]


class AccessSettings(BaseModel):
    """The login provider, and the role of each person."""

    console_url: str | None = Field(
        None, description="Address of the console in browsers, e.g. https://encore.example.org; needed for a login."
    )
    oidc_metadata_url: str | None = Field(
        None,
        description="The login provider's discovery document: https://…/.well-known/openid-configuration; unset: the "
        "`[auth]` section of `.streamlit/secrets.toml`, else no login.",
    )
    oidc_client_id: str | None = Field(None, description="What the provider knows the console as.")
    oidc_client_secret: SecretStr | None = Field(None, description="The provider's secret for the console.")
    oidc_cookie_secret: SecretStr | None = Field(
        None, description="Signs the cookies of logins: 32 random characters or more, e.g. of `openssl rand -hex 32`."
    )
    login_hours: float = Field(12, gt=0, le=720, description="How long a login lasts.")
    role_claim: str | None = Field(
        None, description="Claim of the login that gives the role, e.g. groups or realm_access.roles."
    )
    role_values: Annotated[dict[str, ByWord], NoDecode, FROM_JSON] = Field(
        {}, description='Which value of it gives which role, as JSON: {"sre": "operator"}; unset: the roles by name.'
    )
    admins: Addresses = Field((), description="Verified e-mail addresses of admins, or @domains, separated by commas.")
    operators: Addresses = Field(
        (), description="Verified e-mail addresses of operators, or @domains, separated by commas."
    )
    viewers: Addresses = Field(
        (), description="Verified e-mail addresses of viewers, or @domains, separated by commas."
    )
    default_role: ByWord = Field(Role.NONE, description="Role of all others who log in; none: they stay outside.")
    cli_role: ByWord = Field(Role.ADMIN, description="Role of the command line's user: viewer, operator or admin.")

    @field_validator("console_url")
    @classmethod
    def _check_console_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value := web_address(value))
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("give the address alone, e.g. https://encore.example.org")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ValueError("must begin with https:// (http:// is for this machine only)")
        return value.rstrip("/")

    @field_validator("oidc_metadata_url")
    @classmethod
    def _check_metadata_url(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @field_validator("oidc_cookie_secret")
    @classmethod
    def _check_cookie_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"give {SHORTEST_SECRET} random characters or more: who guesses it can log in as anyone")
        return value

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.oidc_metadata_url is None:
            return self
        needed = ("console_url", "oidc_client_id", "oidc_client_secret", "oidc_cookie_secret")
        if missing := [f"ENCORE_{name.upper()}" for name in needed if getattr(self, name) is None]:
            raise ValueError(f"ENCORE_OIDC_METADATA_URL also needs {', '.join(missing)}")
        return self
