"""ServerSettings: the Redis servers, the folder of data and the ports."""

from __future__ import annotations

from pathlib import Path

import redis
from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from ..stores.redis import ServerKind, parse_address
from .mending import redis_url


class ServerSettings(BaseModel):
    """Where the data is, and which ports are listened on."""

    redis_url: SecretStr | None = Field(
        None,
        description="The cache's Redis: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:port,…/service` "
        "(`?sentinel_password=…` for Sentinels with one), `redis+cluster://host:port,…`; unset: `make run` starts its "
        "own.",
    )
    queue_redis_url: SecretStr | None = Field(
        None, description="Redis of the job queue, no cluster; unset: the cache's, if that is no cluster."
    )
    home: Path = Field(Path(".encore"), description="Folder of the embedded Redis and its data.")
    console_port: int = Field(8501, ge=1, le=65535, description="Port of the console.")
    gateway_port: int = Field(8090, ge=1, le=65535, description="Port of the OpenAI-compatible gateway.")
    operations_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the operations API alone; unset: it is at `/encore/v1` on the gateway's port.",
    )
    buckets: int = Field(
        1, ge=1, le=256, description="Buckets per namespace: 1 on one server, 16 or more on a cluster."
    )

    @field_validator("home")
    @classmethod
    def _read_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("redis_url", "queue_redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        value = SecretStr(redis_url(value.get_secret_value()))
        address = parse_address(value.get_secret_value())
        for url in filter(None, (address.url, address.sentinel_url)):
            _check_options(url)
        if info.field_name == "queue_redis_url" and address.kind is ServerKind.CLUSTER:
            raise ValueError("the job queue needs a single primary, not a cluster")
        return value


def _check_options(url: str) -> None:
    """Raises ValueError for an option that the client would refuse at its first use."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError, AttributeError, redis.RedisError):
        raise ValueError("has an option (after the ?) that is none, or a value that is none for it") from None
