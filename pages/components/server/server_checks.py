"""Who can reach the console, and what its configuration needs before it serves anyone.

Without a login everyone who reaches the console is an admin, so only this machine may reach it. Streamlit's own
protections must be on in any case: a configuration that weakens one is refused by name and not corrected, because it
was set on purpose.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit import config

from core.configuration import role_rules
from core.errors import InvalidSettings
from core.settings import SHORTEST_SECRET, Settings

Option = Callable[[str], Any]

CALLBACK = "/oauth2callback"
FONTS = tuple(f"theme.{part}{name}" for part in ("", "sidebar.") for name in ("font", "headingFont", "codeFont"))
NEEDED_OF_PROVIDER = ("client_id", "client_secret", "server_metadata_url")


def login_secrets(settings: Settings) -> dict[str, Any]:
    """The `[auth]` section made from the settings; empty without a provider in them."""
    if settings.oidc_metadata_url is None or settings.oidc_client_secret is None or settings.oidc_cookie_secret is None:
        return {}
    return {
        "auth": {
            "redirect_uri": f"{settings.console_url}{CALLBACK}",
            "cookie_secret": settings.oidc_cookie_secret.get_secret_value(),
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": settings.oidc_metadata_url,
        }
    }


def login_section() -> Mapping[str, Any]:
    """The `[auth]` section in force; empty without a login."""
    try:
        section = st.secrets.get("auth")
    except FileNotFoundError:
        return {}
    return section if isinstance(section, Mapping) else {}


def address_in_browsers(settings: Settings | None) -> str | None:
    """Where browsers see the console, as its login says; None without a login."""
    section = (login_secrets(settings).get("auth") if settings is not None else None) or login_section()
    return str(section["redirect_uri"]) if section.get("redirect_uri") else None


def is_loopback(host: str | None) -> bool:
    """Whether an address of this machine can be reached from this machine only. An unset one means all addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def problems(option: Option, section: Mapping[str, Any], *, admits_somebody: bool) -> list[str]:
    """Why the console may not serve as it is set up, one sentence each; none when it may. Pure."""
    found: list[str] = []
    if section:
        found += _login_problems(option, section)
        if not admits_somebody:
            found.append(
                "A login is set up, but nobody would have a role: set ENCORE_ADMINS to your e-mail address, or "
                "ENCORE_ROLE_CLAIM or ENCORE_DEFAULT_ROLE."
            )
    elif not is_loopback(option("server.address")):
        found.append(
            f"There is no login, so the console may only listen on this machine: set server.address to 127.0.0.1 "
            f"(it is {option('server.address') or 'all addresses'}), or set up a login."
        )
    return [*found, *_weakened(option)]


def _login_problems(option: Option, section: Mapping[str, Any]) -> Iterator[str]:
    if len(str(section.get("cookie_secret", ""))) < SHORTEST_SECRET:
        needed = f"give {SHORTEST_SECRET} random characters or more"
        yield f"auth.cookie_secret: {needed}: anyone who guesses it can pose as any user."
    address = urlsplit(str(section.get("redirect_uri", "")))
    if not address.path.endswith(CALLBACK) or not address.hostname:
        yield f"auth.redirect_uri: give the console's address with {CALLBACK} at its end."
    elif address.scheme != "https" and not is_loopback(address.hostname):
        yield "auth.redirect_uri: must begin with https://: a login must not cross a network unencrypted."
    elif not _is_allowed(address.hostname, option("server.allowedHosts") or ()):
        yield f"server.allowedHosts: add {address.hostname}, the host of the console's address."
    if not providers(section):
        yield f"auth: give {', '.join(NEEDED_OF_PROVIDER)} of a provider."


def providers(section: Mapping[str, Any]) -> list[str | None]:
    """The providers to log in with, by name; None is the one that has no name."""
    found: list[str | None] = [None] if _is_provider(section) else []
    return found + [name for name, value in section.items() if isinstance(value, Mapping) and _is_provider(value)]


def _is_provider(section: Mapping[str, Any]) -> bool:
    return all(section.get(name) for name in NEEDED_OF_PROVIDER)


def _is_allowed(host: str, allowed: list[str] | tuple[str, ...]) -> bool:
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in allowed)


def _weakened(option: Option) -> Iterator[str]:
    """Protections of Streamlit that the configuration weakens."""
    if option("client.showErrorDetails") != "none":
        yield "client.showErrorDetails: must be none: errors may quote what only an operator should read."
    for name in ("server.enableXsrfProtection", "server.enableCORS"):
        if option(name) is not True:
            yield f"{name}: must be true: without it other web sites can act through a visitor's browser."
    hosts = option("server.allowedHosts") or []
    if not hosts or "*" in hosts:
        yield "server.allowedHosts: must name the hosts of the console: without them other web sites can reach it."
    if option("server.corsAllowedOrigins"):
        yield "server.corsAllowedOrigins: must be empty: other web sites could act through a visitor's browser."
    if option("server.xsrfCookieSameSite") == "none":
        yield "server.xsrfCookieSameSite: must not be none: other web sites would get the cookie sent."
    if option("server.trustedUserHeaders") not in ({}, None, "", "{}"):
        yield "server.trustedUserHeaders: must be unset: anyone who can send a header could pose as any user."
    for name in ("server.enableAgentApi", "global.developmentMode", "browser.gatherUsageStats"):
        if option(name) is not False:
            yield f"{name}: must be false."
    for name in FONTS:
        if "//" in str(option(name) or ""):
            yield f"{name}: must not be loaded from another server: it would see every visitor."
    if option("theme.fontFaces"):
        yield "theme.fontFaces: must be unset: fonts are the system's."


@st.cache_resource(show_spinner=False)
def has_login() -> bool:
    """Whether there was a login at the first look: a secrets file that vanishes later gives no access."""
    try:
        configured = login_secrets(Settings())
    except InvalidSettings:
        configured = {}
    return bool(configured or login_section())


def found() -> list[str]:
    """The problems of the configuration now, for pages; the server has checked it at its start."""
    section = login_section()
    if has_login() and not section:
        return ["The login configuration is gone: start the console again with `streamlit run app.py`."]
    if config.get_option("global.appTest"):  # no server, so nobody can reach it
        return []
    return problems(st.get_option, section, admits_somebody=True)


def refuse_to_serve() -> Settings | None:
    """Ends this process, with the reasons, unless the console may serve. The settings; None when they are unusable.

    Unusable settings are shown by the pages as long as only this machine can see them.
    """
    section = login_section()
    try:
        settings: Settings | None = Settings()
    except InvalidSettings as error:
        settings, unusable = None, str(error)
    else:
        unusable = ""
    if settings is not None:
        section = login_secrets(settings).get("auth", section)
    admits_somebody = settings is None or role_rules(settings).admits_somebody
    reasons = problems(st.get_option, section, admits_somebody=admits_somebody)
    if unusable and (section or reasons):
        reasons.append(unusable)
    has_login()
    if reasons:
        sys.exit("The console does not start.\n" + "\n".join(reasons))
    _know_own_address()
    return settings


def _know_own_address() -> None:
    """Has Streamlit know the console by the address that it listens on.

    A literal address: no other site can make one its own, as it can a name.
    """
    address, hosts = config.get_option("server.address"), config.get_option("server.allowedHosts")
    if is_loopback(address) and address not in hosts:
        config.set_option("server.allowedHosts", [*hosts, address])
