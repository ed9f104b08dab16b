"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from itertools import count

FIRST, LAST = 10_000, 22_000
"""Lower than those that the system gives to whoever asks for any: nobody takes one by chance before its server does."""
EACH = 97
"""Processes that run side by side begin so far from each other."""

_numbers = count(os.getpid() * EACH)


def free_port(*, fellow: int = 0) -> int:
    """A port of the loopback that is free and was not given before, as is the one so much higher."""
    while True:
        port = FIRST + next(_numbers) % (LAST - FIRST)
        with ExitStack() as probes:
            try:
                for each in {port, port + fellow}:
                    probes.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
        return port
