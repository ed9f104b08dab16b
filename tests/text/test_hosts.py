"""Names and addresses of hosts, as requests and settings write them."""

import pytest

from core.text import host_name, is_address, is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_what_only_this_machine_can_reach(host, expected):
    assert is_loopback(host) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST.:8090", "localhost"),
        ("[::1]:8090", "::1"),
        ("[fd00::1]", "fd00::1"),
        ("10.1.2.3:8090", "10.1.2.3"),
        ("llm.example.org:", "llm.example.org"),
        ("", None),
        ("[::1", None),
        ("127.0.0.1@example.org", None),
        ("example.org#127.0.0.1", None),
        ("localhost, example.org", None),
        ("local host", None),
    ],
)
def test_the_name_in_a_host_header(header, expected):
    assert host_name(header) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("10.1.2.3", True), ("fd00::1", True), ("localhost", False), ("", False)]
)
def test_what_is_an_address(name, expected):
    assert is_address(name) == expected
