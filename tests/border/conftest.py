from __future__ import annotations

from tests.http.conftest import start_gateway, start_process

__all__ = ["start_gateway", "start_process"]
