"""Variables that libraries read by themselves: proxies, certificates, and the SDK's own.

Checked at the start, where it can be said.

Left to the libraries, a proxy that cannot be used is a traceback at the first client, and a name that no header can
carry fails every call.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from .mending import mended

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
IN_HEADERS = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
SOCKS = ("socks5", "socks5h")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def environment_problems(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with the variables by which a provider is reached, one line each. Values are not shown."""
    problems = [f"{name}: {problem}" for name, value in _proxies(environment) if (problem := _proxy_problem(value))]
    problems += [f"{name}: {problem}" for name in CERTIFICATES if (problem := _certificates_problem(name, environment))]
    return problems + [
        f"{name}: has a blank or a character that no header can carry: write it without"
        for name in IN_HEADERS
        if not re.fullmatch(r"[\x21-\x7e]*", environment.get(name, ""))
    ]


def _proxies(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    without = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if "*" in [host.strip() for host in without.split(",")]:  # no proxy is used for any host
        return
    for name in PROXIES:
        for variable in (name, name.lower()):
            if value := environment.get(variable):
                yield variable, value


def _certificates_problem(name: str, environment: Mapping[str, str]) -> str:
    if not (value := environment.get(name)):
        return ""
    if name == "SSL_CERT_DIR":
        are_there = any(Path(folder).is_dir() for folder in value.split(os.pathsep))
        return "" if are_there else "is no folder: give that of your certificates, or unset it"
    try:
        ssl.create_default_context(cafile=value)
    except (OSError, ValueError):  # and ssl.SSLError, which is an OSError
        return "is no file of certificates (PEM) that can be read: give yours, or unset it"
    return ""


def _proxy_problem(value: str) -> str:
    if mended(value) != value:
        return "has blanks, a line end or quotes around it: write it without"
    address = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(address)
        is_one = bool(parts.hostname) and parts.port != 0 and " " not in value and value.isprintable()
    except ValueError:
        is_one = False
    if not is_one:
        return "is no proxy: give one like http://proxy.example.org:3128, or unset it"
    scheme = address.partition("://")[0].lower()
    if scheme not in ("http", "https", *SOCKS):
        return "must begin with http://, https:// or socks5://, or be unset"
    if scheme in SOCKS and find_spec("socksio") is None:
        return (
            "SOCKS needs a package that is not installed: python -m pip install socksio; or name an http:// proxy, "
            "or unset it"
        )
    return ""
