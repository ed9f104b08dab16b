"""The server that the gateway runs in: one process, one event loop, no access log."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from ..bootstrap import bootstrap
from ..errors import InvalidSettings
from ..settings import Settings
from .callers import is_loopback
from .gateway import build
from .protocol import BoundedProtocol

STREAMS_END_SECONDS: Final = 10
"""Seconds for which streams may go on after the signal to stop."""
IDLE_SECONDS: Final = 75
"""How long a connection without requests is kept: longer than SDKs keep theirs, so that they close first."""


class Server(uvicorn.Server):
    """Uvicorn's server, for which being stopped by a signal is a success."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to signals while serving, and does not raise them again afterwards."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(settings: Settings) -> None:
    """Runs the gateway until a signal stops it. Raises InvalidSettings for one that would be open to anyone."""
    check(settings)
    _allow_files(4 * settings.gateway_connections)
    # The workers ask with the configured key: they cannot ask on behalf of callers who bring their own.
    asks_alike = settings.uses_demo_model or settings.openai_api_key is not None
    with bootstrap(settings, refreshes=asks_alike) as services:
        Server(
            server_config(
                build(services),
                settings,
                host=settings.gateway_host,
                port=settings.gateway_port,
                timeout_graceful_shutdown=STREAMS_END_SECONDS,
            )
        ).run()


def server_config(app: ASGIApp, settings: Settings, **options: Any) -> uvicorn.Config:
    """How the gateway is served."""
    protocol = partial(BoundedProtocol, most_connections=settings.gateway_connections)
    return uvicorn.Config(
        app,
        http=cast("type[BoundedProtocol]", protocol),
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=IDLE_SECONDS,
        **options,
    )


def _allow_files(number: int) -> None:
    """Lets the process open so many files, if the system does: each connection is one, and each to the provider."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check(settings: Settings) -> None:
    """Raises InvalidSettings when the gateway would be open to anyone with these settings."""
    if not is_loopback(settings.gateway_host) and not settings.gateway_keys:
        raise InvalidSettings(
            [f"ENCORE_GATEWAY_HOST: {settings.gateway_host} can be reached by others: set ENCORE_GATEWAY_KEYS"]
        )
    needs_key = not settings.uses_demo_model and settings.openai_base_url is None
    if settings.gateway_keys and needs_key and settings.openai_api_key is None:
        raise InvalidSettings(
            ["OPENAI_API_KEY: set the provider's key, since callers give one of ENCORE_GATEWAY_KEYS instead of theirs"]
        )
