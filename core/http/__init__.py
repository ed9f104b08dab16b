"""The cache in the path of HTTP: a transport for the SDK's client, and a gateway for clients in any language."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .transport import encore_async_client, encore_client

__all__ = ["encore_async_client", "encore_client"]

__getattr__ = lazily(__name__, transport="encore_async_client encore_client")
