"""The cache in the path of HTTP: a transport for the SDK's client, and a gateway for clients in any language."""

from .transport import encore_async_client, encore_client

__all__ = ["encore_async_client", "encore_client"]
