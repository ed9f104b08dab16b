"""Names and addresses of hosts, as settings and requests write them. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/?#@\[\]\\]+)(?::[0-9]*)?")


def host_name(header: str) -> str | None:
    """The name or address in a Host header, in lower case, without brackets and port; None where there is none."""
    match = _HOST.fullmatch(header)
    return match[1].strip("[]").rstrip(".").lower() if match is not None else None


def is_address(name: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether the address is reachable from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
