"""A console that would be open to whoever reaches it, or has a protection taken off, does not start, and says why."""

from __future__ import annotations

import pytest

from tests.e2e.consoles import Console, variables
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.ports import free_port

pytestmark = pytest.mark.timeout(900)

OPEN = "There is no login, so the console may only listen on this machine: set server.address to 127.0.0.1"
LOGIN = {
    "console_url": "https://encore.example.org",
    "oidc_metadata_url": "https://id.example.org/.well-known/openid-configuration",
    "oidc_client_id": CLIENT_ID,
    "oidc_client_secret": CLIENT_SECRET,
    "oidc_cookie_secret": "0123456789abcdef" * 2,
}


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (("--server.address", "0.0.0.0"), {}, OPEN),
        ((), {"STREAMLIT_SERVER_ADDRESS": "::"}, OPEN),
        (("--server.enableXsrfProtection", "false"), {}, "server.enableXsrfProtection: must be true"),
        (("--client.showErrorDetails", "full"), {}, "client.showErrorDetails: must be none"),
        (("--server.address", "0.0.0.0"), variables(LOGIN), "nobody would have a role: set ENCORE_ADMINS"),
    ],
    ids=["every-address", "every-address-of-ipv6", "no-xsrf-protection", "errors-in-the-browser", "nobody-admitted"],
)
def test_it_does_not_start(tmp_path, options, environment, words):
    console = Console(tmp_path, *options, port=free_port(), **environment)
    try:
        said = console.refusal()
    finally:
        console.stop()
    assert "The console does not start." in said
    assert words in said
    assert "Traceback" not in said
    assert CLIENT_SECRET not in said
