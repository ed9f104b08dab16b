"""Settings: everything an operator may tune, read once from `ENCORE_*` variables and `.env`.

All problems are reported at once, with secrets masked. Nothing else in the project reads the environment.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..access import Role
from ..bans import COPIES_SECONDS
from ..errors import InvalidSettings
from ..keys import NAMESPACE_PATTERN
from ..models import CacheStrategy, IndexChoice, SemanticMode
from ..policy import TTLRule, class_problems, rule_problems
from ..stores.redis import ServerKind, parse_address


class ProviderChoice(StrEnum):
    """`auto`: the OpenAI-compatible provider when a key or a base URL is set, else the demo model."""

    AUTO = "auto"
    OPENAI = "openai"
    DEMO = "demo"


SHORTEST_SECRET = 32


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
            raise ValueError(f"{address} is neither an e-mail address nor a @domain")
    return addresses


ByWord = Annotated[Role, BeforeValidator(_read_role)]
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_read_addresses)]


class Settings(BaseSettings):
    """The effective configuration. Raises InvalidSettings with every problem found.

    Durations are seconds unless the name says otherwise.
    """

    # Empty is unset: templates of .env files and containers leave variables empty.
    model_config = SettingsConfigDict(
        env_prefix="ENCORE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    # Where things are
    redis_url: SecretStr | None = Field(
        None,
        description="The cache's Redis: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:port,…/service`, "
        "`redis+cluster://host:port,…`; unset: `make run` starts its own.",
    )
    queue_redis_url: SecretStr | None = Field(
        None, description="Redis of the job queue, no cluster; unset: the cache's, if that is none."
    )
    home: Path = Field(Path(".encore"), description="Folder of the embedded Redis and its data.")
    console_port: int = Field(8501, ge=1, le=65535, description="Port of the console.")
    gateway_port: int = Field(8090, ge=1, le=65535, description="Port of the OpenAI-compatible gateway.")
    buckets: int = Field(1, ge=1, le=256, description="Slots per namespace: 1 on one server, 16 or more on a cluster.")

    # What the cache does
    namespace: str = Field("default", description="Namespace of requests that name none.")
    strategy: CacheStrategy = Field(
        CacheStrategy.NORMALIZED, description="Dearest lookup: exact, normalized or semantic."
    )
    ttl_seconds: float | None = Field(None, description="One TTL for all; unset: by kind of question.")
    ttl_jitter: float = Field(0.05, ge=0, le=0.5, description="Share by which a TTL is shortened at random.")
    ttl_classes: Annotated[dict[str, Annotated[float, Field(strict=True)]], NoDecode] = Field(
        {}, description='TTL by kind of question, as JSON: {"code": 3600, "catalogue": 600}; 0: do not store.'
    )
    ttl_rules: Annotated[tuple[TTLRule, ...], NoDecode] = Field(
        (), description='Rules before the standard ones, as JSON: [{"name": ..., "ttl_class": ..., "phrases": [...]}].'
    )
    stale_seconds: float = Field(
        3600, ge=0, le=2_592_000, description="How long past its TTL an entry is kept for stale-if-error."
    )
    stale_if_error_seconds: float = Field(
        0,
        ge=0,
        le=2_592_000,
        description="Serve an answer this far past its TTL when the provider fails; 0: only if asked.",
    )
    stale_while_revalidate_seconds: float = Field(
        0,
        ge=0,
        le=2_592_000,
        description="Serve an answer this far past its TTL while a worker refreshes it; 0: never.",
    )
    max_temperature: float = Field(0.8, ge=0, le=2, description="Requests above it are not cached.")
    cache_tool_calls: bool = Field(False, description="Store answers that call tools.")
    cache_errors: bool = Field(False, description="Remember provider errors for a few seconds.")
    max_request_bytes: int = Field(1_000_000, ge=1000, description="Larger requests bypass the cache.")
    max_entry_bytes: int = Field(2_000_000, ge=1000, description="Larger answers are not stored.")
    max_size: int = Field(10_000, ge=1, description="Entries of the in-process store.")
    l1_seconds: float = Field(
        0,
        ge=0,
        le=COPIES_SECONDS,
        description="Serve copies from a process' own memory for so long, at most 1, before Redis is asked again; an "
        "invalidation takes as much longer. 0: never. The same in all processes.",
    )
    l1_megabytes: int = Field(64, ge=1, le=1_000_000, description="Memory of these copies in a process.")
    strip_stop_words: bool = Field(False, description="Normalized lookup also ignores English stop words.")
    hold_seconds: float = Field(300, ge=0, le=86_400, description="How long an invalidation can be undone.")
    invalidation_replicas: int = Field(
        0, ge=0, le=10, description="Replicas that must have an invalidation before it is acknowledged."
    )
    invalidation_synced: bool = Field(
        False,
        description="Acknowledge an invalidation only when it is on the disk of Redis (7.2 or later, appendonly yes): "
        "within a second or so.",
    )
    log_hits: bool = Field(False, description="Log one line per hit (key and model, never the prompt).")
    record_prompts: bool = Field(True, description="Keep prompt text with the recent request records and near matches.")

    # Semantic lookup
    semantic: SemanticMode = Field(SemanticMode.OFF, description="off, judge or serve.")
    semantic_threshold: float = Field(
        0.97, gt=0, le=1, description="Cosine from which mode serve serves, until a threshold is published."
    )
    semantic_grey: float = Field(0.70, gt=0, le=1, description="Cosine from which a near entry is shown to the judge.")
    semantic_index: IndexChoice = Field(
        IndexChoice.NUMPY,
        description="numpy: in each process; redis: vector sets (Redis 8), for 200,000 rows and more.",
    )
    semantic_index_megabytes: int = Field(
        512, ge=1, le=1_000_000, description="Memory of the index in a process; beyond it the oldest rows leave."
    )
    embedder: str = Field(
        "wordllama", description="wordllama, openai:MODEL, sentence-transformers:MODEL or onnx:FOLDER."
    )
    embedder_dimension: int | None = Field(
        None, ge=1, le=65_536, description="Dimension of an openai:MODEL that is not OpenAI's own."
    )
    embedder_deadline_seconds: float = Field(
        1.0, gt=0, le=30, description="Longest wait for an embedding; wordllama takes microseconds."
    )
    judge_model: str | None = Field(None, description="Model that judges near matches; unset: none, judge mode misses.")
    judge_parameters: Annotated[dict[str, Any], NoDecode] = Field(
        {}, description='Parameters of the judge\'s calls, as JSON: {"temperature": null, "reasoning_effort": "low"}.'
    )
    judge_deadline_seconds: float = Field(1.0, gt=0, le=30, description="A verdict later than this is a no.")
    judge_hedge: bool = Field(
        False, description="Call the provider beside the judge, and serve what comes first; costs more, waits less."
    )
    judge_budget_per_hour: int = Field(1000, ge=0, description="Judge calls per namespace and hour.")
    judge_sample: float = Field(
        0.05, ge=0, le=1, description="Share of unjudged semantic hits that a worker has judged afterwards."
    )
    false_hit_budget: float = Field(
        0.02, gt=0, lt=1, description="Share of false hits per hit beyond which a threshold tightens by itself."
    )

    # The provider
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
    provider_timeout_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for an answer.")

    # The gateway
    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on; others need gateway keys.")
    gateway_namespace: str | None = Field(
        None, description="Namespace shared by all callers of the gateway; unset: one per API key."
    )
    gateway_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys the gateway accepts, separated by commas; empty: any."
    )
    gateway_max_body_bytes: int = Field(10_000_000, ge=1000, description="Larger request bodies get 413.")
    gateway_body_seconds: float = Field(
        60, ge=0.1, le=3600, description="Request bodies that take longer to arrive get 408."
    )

    # Who may do what
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
    role_values: Annotated[dict[str, ByWord], NoDecode] = Field(
        {}, description='Which value of it gives which role, as JSON: {"sre": "operator"}; unset: the roles by name.'
    )
    admins: Addresses = Field((), description="Verified e-mail addresses of admins, or @domains, separated by commas.")
    operators: Addresses = Field((), description="The same for operators.")
    viewers: Addresses = Field((), description="The same for viewers.")
    default_role: ByWord = Field(Role.NONE, description="Role of all others who log in; none: they stay outside.")
    cli_role: ByWord = Field(Role.ADMIN, description="Role of the command line's user: viewer, operator or admin.")

    # Failing
    redis_timeout_seconds: float = Field(0.05, gt=0, le=5, description="Longest wait for Redis on the request path.")
    lease_seconds: float = Field(60, ge=1, le=3600, description="Longest time others wait for a caller computing.")

    # Alerts
    alert_hit_rate: float = Field(0, ge=0, le=1, description="Alert when fewer lookups are hits; 0: never.")
    alert_error_rate: float = Field(0.05, ge=0, le=1, description="Alert when more requests fail; 1: never.")
    alert_memory: float = Field(0.9, gt=0, le=1, description="Alert when more of Redis' memory is used; 1: never.")
    alert_workers: int = Field(1, ge=0, le=10_000, description="Alert when fewer workers are alive; 0: never.")
    alert_min_requests: int = Field(50, ge=1, description="Requests in the window from which rates are judged.")
    alert_window_seconds: float = Field(300, ge=60, le=86_400, description="Window that rates are judged over.")

    # Workers
    workers: int = Field(2, ge=1, le=64, description="Worker processes of the pool.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings([_problem(details) for details in error.errors(include_input=False)]) from None
        except UnicodeDecodeError:
            raise InvalidSettings([".env: is not UTF-8 text"]) from None

    @field_validator("gateway_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("ttl_classes", "ttl_rules", "judge_parameters", "role_values", mode="before")
    @classmethod
    def _read_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ValueError(f"not JSON: {error}") from None

    @field_validator("ttl_classes")
    @classmethod
    def _check_ttl_classes(cls, value: dict[str, float]) -> dict[str, float]:
        if problems := class_problems(value):
            raise ValueError("; ".join(problems))
        return value

    @field_validator("ttl_rules")
    @classmethod
    def _check_ttl_rules(cls, value: tuple[TTLRule, ...], info: ValidationInfo) -> tuple[TTLRule, ...]:
        if "ttl_classes" in info.data and (problems := rule_problems(value, info.data["ttl_classes"])):
            raise ValueError("; ".join(problems))
        return value

    @field_validator("namespace", "gateway_namespace")
    @classmethod
    def _check_namespace(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(NAMESPACE_PATTERN, value):
            raise ValueError("use 1 to 64 letters, digits, dots, dashes and underscores")
        return value

    @field_validator("ttl_seconds")
    @classmethod
    def _check_ttl(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value <= 315_360_000:
            raise ValueError("give seconds between 0 (do not store) and 315360000")
        return value

    @field_validator("embedder")
    @classmethod
    def _check_embedder(cls, value: str) -> str:
        if not re.fullmatch(r"wordllama|(?:openai|sentence-transformers):\S+|onnx:\S.*", value):
            raise ValueError("use wordllama, openai:MODEL, sentence-transformers:MODEL or onnx:FOLDER")
        return value

    @field_validator("console_url")
    @classmethod
    def _check_console_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("give the address alone, e.g. https://encore.example.org")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ValueError("must begin with https:// (http:// is for this machine only)")
        return value.rstrip("/")

    @field_validator("oidc_metadata_url")
    @classmethod
    def _check_metadata_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]", value):
            raise ValueError("must begin with https:// and name a host")
        return value

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

    @field_validator("openai_base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]", value):
            raise ValueError("must begin with http:// or https:// and name a host")
        return value

    @field_validator("redis_url", "queue_redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        address = parse_address(value.get_secret_value())
        if info.field_name == "queue_redis_url" and address.kind is ServerKind.CLUSTER:
            raise ValueError("the job queue needs a single primary, not a cluster")
        return value

    @property
    def uses_demo_model(self) -> bool:
        """Whether answers come from the demo model."""
        if self.provider is ProviderChoice.AUTO:
            return self.openai_api_key is None and self.openai_base_url is None
        return self.provider is ProviderChoice.DEMO


def _problem(details: Any) -> str:
    if not details["loc"]:  # of several settings together; it names them
        return str(details["msg"]).removeprefix("Value error, ")
    name = str(details["loc"][0])
    variable = name.upper() if name.upper().startswith("OPENAI_") else f"ENCORE_{name.upper()}"
    for part in details["loc"][1:]:
        variable += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{variable}: {details['msg'].removeprefix('Value error, ')}"
