"""ProviderSettings: the provider of answers that the cache does not have."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from .mending import base_url


class ProviderChoice(StrEnum):
    """`auto`: the OpenAI-compatible provider when a key or a base URL is set, else the demo model."""

    AUTO = "auto"
    OPENAI = "openai"
    DEMO = "demo"


class ProviderSettings(BaseModel):
    """The provider, its key and how long it may take."""

    provider: ProviderChoice = Field(ProviderChoice.AUTO, description="auto, openai or demo.")
    openai_api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("openai_api_key", "OPENAI_API_KEY"), description="The provider's key."
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias=AliasChoices("openai_base_url", "OPENAI_BASE_URL"),
        description="The provider's base URL; unset: the SDK's default.",
    )
    default_model: str | None = Field(None, description="Model the console offers first.")
    provider_timeout_seconds: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Longest wait for an answer, whatever a caller says; unset: what the caller's client says "
        "(`X-Stainless-Read-Timeout`, `X-Stainless-Timeout`), 600 where it says nothing.",
    )

    @field_validator("openai_base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        return None if value is None else base_url(value)

    @property
    def uses_demo_model(self) -> bool:
        """Whether answers come from the demo model."""
        if self.provider is ProviderChoice.AUTO:
            return self.openai_api_key is None and self.openai_base_url is None
        return self.provider is ProviderChoice.DEMO
