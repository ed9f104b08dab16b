"""Where answers come from: one protocol, its implementation by the OpenAI API, and what answers cost.

A provider knows nothing of the cache. Its errors are those of the `openai` package and reach the caller unchanged.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .base import Provider
    from .library import http_library
    from .openai import CONNECT_SECONDS, OPENAI_URL, PATIENCE_SECONDS, OpenAIProvider
    from .prices import price

__all__ = [
    "CONNECT_SECONDS",
    "OPENAI_URL",
    "PATIENCE_SECONDS",
    "OpenAIProvider",
    "Provider",
    "http_library",
    "price",
]

__getattr__ = lazily(
    __name__,
    base="Provider",
    library="http_library",
    openai="CONNECT_SECONDS OPENAI_URL PATIENCE_SECONDS OpenAIProvider",
    prices="price",
)
