from __future__ import annotations

from tests.http.conftest import start_gateway

__all__ = ["start_gateway"]
