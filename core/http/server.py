"""The server that the gateway runs in: one process, one event loop, no access log."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from ..bootstrap import Services, bootstrap
from ..errors import InvalidSettings
from ..operations import Operations
from ..settings import Settings
from ..text import is_loopback
from .gateway import build
from .protocol import BoundedProtocol

LOOPBACK: Final = "127.0.0.1"
STREAMS_END_SECONDS: Final = 10
"""Seconds for which streams may go on after the signal to stop."""
IDLE_SECONDS: Final = 75
"""How long a connection without requests is kept: longer than SDKs keep theirs, so that they close first."""


class Server(uvicorn.Server):
    """Uvicorn's server, for which being stopped by a signal is a success. `beside` it others run in the same loop."""

    def __init__(self, config: uvicorn.Config, *beside: uvicorn.Server) -> None:
        super().__init__(config)
        self._beside = beside

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until a signal, and so do the others."""
        await asyncio.gather(super().serve(sockets), *(server.serve() for server in self._beside))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stops all of them."""
        super().handle_exit(sig, frame)
        for server in self._beside:
            server.handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to signals while serving, and does not raise them again afterwards."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)


class Beside(uvicorn.Server):
    """A server beside another one, which hears the signals for both."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to none."""
        yield


def serve(settings: Settings) -> None:
    """Runs the gateway until a signal stops it. Raises InvalidSettings for one that would be open to anyone."""
    check(settings)
    _allow_files(4 * settings.gateway_connections)
    # The workers ask with the configured key: they cannot ask on behalf of callers who bring their own.
    asks_alike = settings.uses_demo_model or settings.openai_api_key is not None
    with bootstrap(settings, refreshes=asks_alike) as services:
        gateway = server_config(
            build(services),
            settings,
            host=settings.gateway_host,
            port=settings.gateway_port,
            timeout_graceful_shutdown=STREAMS_END_SECONDS,
        )
        Server(gateway, *operations_server(services)).run()


def operations_server(services: Services) -> Iterator[uvicorn.Server]:
    """The server of the operations API, if it has a port of its own.

    It listens where the gateway does; without keys, which others than this machine need, on this machine only.
    """
    settings = services.settings
    if settings.operations_port is not None:
        host = settings.gateway_host if settings.operation_keys else LOOPBACK
        options = {"host": host, "port": settings.operations_port, "timeout_graceful_shutdown": STREAMS_END_SECONDS}
        yield Beside(server_config(Operations(services), settings, **options, lifespan="off"))


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
        timeout_keep_alive=IDLE_SECONDS,
        **{"lifespan": "on", **options},
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
