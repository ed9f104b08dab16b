"""Variables that libraries read by themselves are checked where a provider is asked, and named when they are wrong."""

from __future__ import annotations

import certifi
import pytest

from core.errors import InvalidSettings
from core.settings import Settings
from core.settings.environment import IN_HEADERS, PROXIES


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these variables is set."""
    for name in (*PROXIES, "NO_PROXY", *IN_HEADERS):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def problems() -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as error:
        Settings(openai_api_key="sk")
    return error.value.problems


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("socks5://127.0.0.1:1080", "SOCKS needs a package that is not installed: python -m pip install socksio"),
        ("socks5h://user:hush@127.0.0.1:1080", "SOCKS needs a package that is not installed"),
        ("socks4://127.0.0.1:1080", "must begin with http://, https:// or socks5://"),
        ("ftp://proxy", "must begin with http://, https:// or socks5://"),
        ("http://proxy:3128\n", "has blanks, a line end or quotes around it"),
        (" http://proxy:3128", "has blanks, a line end or quotes around it"),
        ('"http://proxy:3128"', "has blanks, a line end or quotes around it"),
        ("\ufeffhttp://proxy:3128", "has blanks, a line end or quotes around it"),
        ("http://proxy:hush", "is no proxy"),
        ("http://user:hush@", "is no proxy"),
        ("http://[::1", "is no proxy"),
        ("http://pro xy", "is no proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_with_the_way_out(monkeypatch, name, value, problem) -> None:
    monkeypatch.setattr("core.settings.environment.find_spec", lambda package: None)
    monkeypatch.setenv(name, value)
    [said] = problems()
    assert said.startswith(f"{name}: {problem}")
    assert "\n" not in said
    assert "hush" not in said


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "https://proxy", "proxy:3128", "http://user:pass@proxy:3128", "http://[::1]:3128"]
)
def test_a_proxy_that_can_be_used_is_no_problem(monkeypatch, value) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/8,*.example.org, ::1")
    Settings(openai_api_key="sk")


def test_where_no_host_is_reached_through_a_proxy_none_is_looked_at(monkeypatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "localhost, *")
    Settings(openai_api_key="sk")


def test_certificates_that_cannot_be_read_are_named_with_the_way_out(monkeypatch, tmp_path) -> None:
    (tmp_path / "hush.pem").write_text("no certificate")
    for name, value, problem in (
        ("SSL_CERT_FILE", "/nonexistent/hush", "is no file of certificates (PEM) that can be read"),
        ("SSL_CERT_FILE", str(tmp_path), "is no file of certificates (PEM) that can be read"),
        ("SSL_CERT_FILE", str(tmp_path / "hush.pem"), "is no file of certificates (PEM) that can be read"),
        ("SSL_CERT_DIR", "/nonexistent/hush", "is no folder"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            [said] = problems()
        assert said.startswith(f"{name}: {problem}")
        assert "hush" not in said


def test_certificates_that_can_be_read_are_no_problem(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    monkeypatch.setenv("SSL_CERT_DIR", f"/nonexistent:{tmp_path}")
    Settings(openai_api_key="sk")


@pytest.mark.parametrize("name", IN_HEADERS)
def test_what_the_sdk_sends_as_a_header_can_be_one(monkeypatch, name) -> None:
    monkeypatch.setenv(name, "org-hush\n")
    [said] = problems()
    assert said.startswith(f"{name}: has a blank or a character that no header can carry")
    assert "hush" not in said
    monkeypatch.setenv(name, "org-1")
    Settings(openai_api_key="sk")


def test_the_demo_model_is_reached_through_no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    assert Settings().uses_demo_model
