"""What the console refuses to serve with: reachable from elsewhere without a login, or with a protection taken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from core.settings import Settings
from pages.components.server import server_checks
from tests.pages.conftest import everything_said

SOUND: dict[str, Any] = {
    "server.address": "127.0.0.1",
    "client.showErrorDetails": "none",
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.allowedHosts": ["localhost", "127.0.0.1"],
    "server.corsAllowedOrigins": [],
    "server.xsrfCookieSameSite": "lax",
    "server.trustedUserHeaders": {},
    "server.enableAgentApi": False,
    "global.developmentMode": False,
    "browser.gatherUsageStats": False,
    "theme.fontFaces": None,
    **dict.fromkeys(server_checks.FONTS),
}
SECTION = {
    "redirect_uri": "https://encore.example.org/oauth2callback",
    "cookie_secret": "0123456789abcdef" * 2,
    "client_id": "encore",
    "client_secret": "s",
    "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
}
HOSTS = {"server.allowedHosts": ["encore.example.org"]}


def problems(options: dict[str, Any] | None = None, section: dict[str, Any] | None = None, *, admits: bool = True):
    given = SOUND | (options or {})
    return server_checks.problems(given.__getitem__, section or {}, admits_somebody=admits)


def test_as_it_is_shipped_nothing_is_wrong():
    assert server_checks.problems(st.get_option, {}, admits_somebody=True) == []
    assert problems() == []


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_without_a_login_this_machine_may(address):
    assert problems({"server.address": address}) == []


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.0.2.1", "encore.example.org", "127.0.0.1.evil"])
def test_without_a_login_nobody_else_may(address):
    [problem] = problems({"server.address": address})
    assert problem.startswith("There is no login, so the console may only listen on this machine: set server.address")
    assert problems({"server.address": address, **HOSTS}, SECTION) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client.showErrorDetails", "full"),
        ("client.showErrorDetails", "type"),
        ("client.showErrorDetails", True),
        ("server.enableXsrfProtection", False),
        ("server.enableCORS", False),
        ("server.allowedHosts", []),
        ("server.allowedHosts", None),
        ("server.allowedHosts", ["localhost", "*"]),
        ("server.corsAllowedOrigins", ["*"]),
        ("server.corsAllowedOrigins", ["https://other.example.org"]),
        ("server.xsrfCookieSameSite", "none"),
        ("server.trustedUserHeaders", {"X-User": "email"}),
        ("server.trustedUserHeaders", '{"X-User": "email"}'),
        ("server.enableAgentApi", True),
        ("global.developmentMode", True),
        ("browser.gatherUsageStats", True),
        ("theme.font", "Inter:https://fonts.example.org/inter.css"),
        ("theme.sidebar.codeFont", "//fonts.example.org/inter.css"),
        ("theme.fontFaces", [{"family": "Inter", "url": "https://fonts.example.org/inter.woff2"}]),
    ],
)
def test_a_weakened_protection_is_refused_by_its_name(name, value):
    [problem] = problems({name: value})
    assert problem.startswith(f"{name}: must ")
    assert name in checked_options()


def checked_options() -> set[str]:
    """Names that Streamlit knows."""
    return {
        name for name in SOUND if st.get_option(name) is not None or name in (*server_checks.FONTS, "theme.fontFaces")
    }


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"cookie_secret": "short"}, "auth.cookie_secret: give 32 random characters or more"),
        ({"redirect_uri": "http://encore.example.org/oauth2callback"}, "auth.redirect_uri: must begin with https://"),
        ({"redirect_uri": "https://encore.example.org/"}, "auth.redirect_uri: give the console's address"),
        ({"redirect_uri": "https://other.example.org/oauth2callback"}, "server.allowedHosts: add other.example.org"),
        ({"client_secret": ""}, "auth: give client_id, client_secret, server_metadata_url"),
    ],
)
def test_a_login_that_is_half_set_up_is_refused(section, words):
    [problem] = problems(HOSTS, SECTION | section)
    assert problem.startswith(words)


def test_a_login_that_lets_nobody_in_is_refused():
    [problem] = problems(HOSTS, SECTION, admits=False)
    assert "nobody would have a role: set ENCORE_ADMINS" in problem


def test_providers_have_names_or_none():
    named = {"google": dict.fromkeys(server_checks.NEEDED_OF_PROVIDER, "x"), "half": {"client_id": "x"}}
    assert server_checks.providers(SECTION) == [None]
    assert server_checks.providers(SECTION | named) == [None, "google"]
    assert server_checks.providers({"redirect_uri": "x"} | named) == ["google"]


def test_settings_are_a_login_section():
    settings = Settings(
        console_url="https://encore.example.org/",
        oidc_metadata_url=SECTION["server_metadata_url"],
        oidc_client_id="encore",
        oidc_client_secret="s",
        oidc_cookie_secret=SECTION["cookie_secret"],
    )
    assert server_checks.login_secrets(settings) == {"auth": SECTION}
    assert server_checks.login_secrets(Settings()) == {}


@pytest.fixture
def listening() -> Iterator[Callable[[str], None]]:
    """Has Streamlit listen at an address, as `--server.address` does."""
    names = ("server.address", "server.allowedHosts")
    before = {name: config.get_option(name) for name in names}

    def at(address: str) -> None:
        config.set_option("server.address", address)

    yield at
    for name, value in before.items():
        config.set_option(name, value)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("::1", "[::1]:8501"),
        ("127.1.2.3", "127.1.2.3:8501"),
        ("127.0.0.1", "127.0.0.1:8501"),
        ("localhost", "localhost"),
    ],
)
def test_the_address_that_it_listens_on_is_a_name_of_the_console(listening, address, host):
    listening(address)
    server_checks._know_own_address()
    assert is_host_allowed(host), "as Streamlit sees it"
    assert not is_host_allowed("evil.example")
    once = list(config.get_option("server.allowedHosts"))
    server_checks._know_own_address()
    assert config.get_option("server.allowedHosts") == once


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "encore.example.org", None])
def test_an_address_for_others_adds_no_name(listening, address):
    listening(address)
    before = list(config.get_option("server.allowedHosts"))
    server_checks._know_own_address()
    assert config.get_option("server.allowedHosts") == before


def test_the_address_in_browsers_is_the_logins():
    settings = Settings(
        console_url="https://encore.example.org/",
        oidc_metadata_url=SECTION["server_metadata_url"],
        oidc_client_id="encore",
        oidc_client_secret="s",
        oidc_cookie_secret=SECTION["cookie_secret"],
    )
    assert server_checks.address_in_browsers(settings) == "https://encore.example.org/oauth2callback"
    assert server_checks.address_in_browsers(Settings()) is None
    assert server_checks.address_in_browsers(None) is None


def test_a_page_that_may_not_be_served_shows_why_and_nothing_else(open_page, services, monkeypatch):
    monkeypatch.setattr(server_checks, "found", lambda: ["server.enableCORS: must be true."])
    for alone in (True, False):
        at = open_page("entries", alone=alone)
        assert not at.exception
        assert at.error[0].value == "The console refuses to run with this configuration."
        assert at.code[0].value == "server.enableCORS: must be true."
        assert not at.title
        assert not at.button
        assert not at.sidebar.children


def test_a_login_that_vanishes_opens_no_door(open_page, services):
    at = open_page("entries", alone=True)
    assert at.title
    st.cache_resource.clear()
    at.secrets = {"auth": dict(SECTION)}
    at.user = {}
    at.run()
    assert not at.exception
    assert [title.value for title in at.title] == ["Encore"]
    at.secrets = {}
    at.run()
    assert "The login configuration is gone" in at.code[0].value
    assert not at.title
    assert "The login configuration is gone" in everything_said(at)
