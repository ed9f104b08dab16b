"""Which addresses below the provider's a path may lead to: none of another server, none above."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.http.addresses import ProviderAddress

BASES = ["http://host:4000", "http://host:4000/", "https://host/v1", "http://user:pw@[::1]:4000/a/b/", "https://host"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models", "/models"),
        ("/models/org%2Fmodel:free", "/models/org%2Fmodel:free"),
        ("/files/file-1/content", "/files/file-1/content"),
        ("/@127.0.0.1:80/x", "/@127.0.0.1:80/x"),
        ("/a:b@c", "/a:b@c"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/...", "/a..b/..."),
        ("/..a/.b-c/.-/._", "/..a/.b-c/.-/._"),
        ("/%E6%BC%A2/%C3%A9", "/%E6%BC%A2/%C3%A9"),
        ("/100%25", "/100%25"),
        ("/caf\xe9", "/caf%E9"),
        ("/a b", "/a%20b"),
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_a_path_is_added_to_the_base(base, path, expected):
    url = ProviderAddress(base).url(path, "")
    assert url is not None
    assert str(url).replace("[secure]", "pw") == base.rstrip("/") + expected


@pytest.mark.parametrize(
    "path",
    [
        *("", "models", "@127.0.0.1:1/x", "%2F@127.0.0.1:1/x", ":80@127.0.0.1/x", ".evil.example/x"),
        *("/..", "/.", "/a/../b", "/a/./b", "/%2e%2e/x", "/%2E./x", "/a/%2e", "/%252e%252e/x", "/%25252e%25252e/x"),
        *("/..;/x", "/..;a=b/x", "/a%2f..%2fb", "/%2e%2e%2fx", "/..%00/x"),
        *("/..%c0%af", "/..%20/x", "/..%20", "/%20../x", "/.%20/x", "/..%3b/x", "/..%252f/x", "/..%5c", "/..?/x"),
        *("/%c0%ae%c0%ae/x", "/%c0%2e/x", "/a%e0%80%afb", "/%f0%80%80%ae%f0%80%80%ae/x", "/..%e2%80%8b/x", "/..~/x"),
        *("/a\\b", "/\\evil.example", "/a%5c..%5cb", "/%5C%5Cevil"),
        *("/a\r\nHost: x", "/a%0d%0aX", "/a%00", "/a\x7f", "/a%7f", "/a%09b", "/%250d%250a"),
        *("/x#y", "/%" + "25" * 10 + "2e%" + "25" * 10 + "2e"),
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_no_path_leads_out(base, path):
    assert ProviderAddress(base).url(path, "") is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [("a=1&b=%20", b"a=1&b=%20"), ("a=http://x/@y", b"a=http://x/@y"), ("q=caf\xe9", b"q=caf%E9"), ("a=?", b"a=?")],
)
def test_a_query_goes_on_as_it_came(query, expected):
    url = ProviderAddress("http://host/v1").url("/models", query)
    assert url is not None
    assert url.raw_path == b"/v1/models?" + expected


@given(
    st.text("/.@:%2Ff5cC\\#?;[]x é\r\n", max_size=30),
    st.text("/.@:%2F#?&=x\r\né", max_size=20),
    st.sampled_from(BASES),
)
def test_whatever_comes_goes_to_the_provider_or_nowhere(path, query, base):
    address = ProviderAddress(base)
    root = address.url("/x", "")
    url = address.url(path, query)
    assert root is not None
    if url is not None:
        assert (url.scheme, url.host, url.port, url.userinfo) == (root.scheme, root.host, root.port, root.userinfo)
        assert url.raw_path.startswith(root.raw_path.removesuffix(b"x"))
        parts = url.raw_path.partition(b"?")[0].lower().replace(b"%2e", b".").replace(b"%2f", b"/").split(b"/")
        assert not {b".", b".."}.intersection(parts)
