"""CacheSettings: what is looked up, stored and served, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from ..bans import COPIES_SECONDS
from ..models import CacheStrategy
from ..policy import Audience, TTLRule, class_problems, rule_problems
from .fields import FROM_JSON, NamespaceName


class CacheSettings(BaseModel):
    """What the cache does with a request and its answer."""

    namespace: NamespaceName = Field("default", description="Namespace of requests that name none.")
    strategy: CacheStrategy = Field(
        CacheStrategy.NORMALIZED, description="How far a lookup may go: exact, normalized or semantic."
    )
    ttl_seconds: float | None = Field(None, description="One TTL for all; unset: by kind of question.")
    ttl_jitter: float = Field(0.05, ge=0, le=0.5, description="Share by which a TTL is shortened at random.")
    ttl_classes: Annotated[dict[str, Annotated[float, Field(strict=True)]], NoDecode, FROM_JSON] = Field(
        {}, description='TTL by kind of question, as JSON: {"code": 3600, "catalogue": 600}; 0: do not store.'
    )
    ttl_rules: Annotated[tuple[TTLRule, ...], NoDecode, FROM_JSON] = Field(
        (), description='Rules before the standard ones, as JSON: [{"name": ..., "ttl_class": ..., "phrases": [...]}].'
    )
    audience: Audience = Field(
        Audience.AUTO,
        description="For whom answers are. auto: a named user (user, safety_identifier, X-Encore-User) shares only "
        "what is surely general; shared: everybody, where the provider answers from the request alone, whoever asks; "
        "user: a named user shares nothing.",
    )
    audiences: Annotated[dict[NamespaceName, Audience], NoDecode, FROM_JSON] = Field(
        {}, description='The same by namespace and its parts, as JSON: {"faq": "shared", "support": "user"}.'
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
    max_temperature: float = Field(
        0.8, ge=0, le=2, description="Requests above it are not cached, unless their model takes no other."
    )
    cache_tool_calls: bool = Field(False, description="Store answers that call tools.")
    cache_errors: bool = Field(False, description="Remember provider errors for a few seconds.")
    max_request_bytes: int = Field(1_000_000, ge=1000, description="Larger requests bypass the cache.")
    max_entry_bytes: int = Field(2_000_000, ge=1000, description="Larger answers are not stored.")
    max_size: int = Field(10_000, ge=1, description="Without Redis: entries that each process keeps in its own memory.")
    l1_seconds: float = Field(
        0,
        ge=0,
        le=COPIES_SECONDS,
        description="Longest time, at most 1, that copies are served from a process' own memory before Redis is asked "
        "again; an invalidation takes that much longer, and ends all copies of its namespace. 0: never. Use one value "
        "in all processes.",
    )
    l1_megabytes: int = Field(64, ge=1, le=1_000_000, description="Memory of these copies in a process.")
    strip_stop_words: bool = Field(False, description="Normalized lookup also ignores English stop words.")
    plain_prompts: Annotated[tuple[str, ...], NoDecode, FROM_JSON] = Field(
        (),
        description="Your own system prompts, whole, that only say who answers, and how: a JSON list. Under them "
        "normalized lookup folds plain questions, as without a system prompt. Not for prompts that say what to do with "
        "the text.",
    )
    hold_seconds: float = Field(300, ge=0, le=86_400, description="How long an invalidation can be undone.")
    invalidation_replicas: int = Field(
        0, ge=0, le=10, description="Replicas that must have an invalidation before it is acknowledged."
    )
    invalidation_synced: bool = Field(
        False,
        description="Acknowledge an invalidation only when it is on the disk of Redis (7.2 or later, appendonly yes): "
        "within a second or so.",
    )
    fresh_ids: bool = Field(
        False,
        description="Give each chat completion that the cache answers with an id of its own, for logs and bills that "
        "take a repeated one for a duplicate.",
    )
    log_hits: bool = Field(False, description="Log one line per hit (key and model, never the prompt).")
    record_prompts: bool = Field(True, description="Keep prompt text with the recent request records and near matches.")
    record_callers: bool = Field(
        False,
        description="Keep with the recent request records who asked, as callers send it: the user's name and the id of "
        "the request. The key they come with is kept as a pseudonym in any case.",
    )

    @field_validator("ttl_seconds")
    @classmethod
    def _check_ttl(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value <= 315_360_000:
            raise ValueError("give seconds between 0 (do not store) and 315360000")
        return value

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
