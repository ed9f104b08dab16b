"""Which headers of a caller the gateway sends on, and which of them are in the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSettings
from core.inbound.headers import JSON_FORM, divided
from core.settings import Settings
from core.wire import Treatment, header_treatment

NAMES = st.sampled_from(
    [
        *(
            "openai-organization",
            "accept-language",
            "traceparent",
            "x-request-id",
            "x-forwarded-for",
            "cookie",
            "accept",
        ),
        *("authorization", "content-type", "x-of-tomorrow", "x-encore-ttl", "host", "user-agent", "x-my-token"),
    ]
)


@given(st.dictionaries(NAMES, st.sampled_from(["1", "*", "application/json"])), st.lists(NAMES, max_size=3).map(tuple))
def test_what_is_sent_is_in_the_key_or_is_excepted_or_always_the_same(headers, also_keyed):
    found = divided(headers, also_keyed)
    for name, value in found.sent:
        is_excepted = header_treatment(name) is Treatment.UNKEYED and name not in also_keyed
        assert found.keyed.get(name) == value or is_excepted or (name, value) in JSON_FORM
    assert found.keyed.items() <= headers.items()
    sent = {name for name, _ in found.sent}
    assert set(found.dropped) == {name for name in headers if header_treatment(name) is Treatment.UNKNOWN} - set(
        also_keyed
    )
    assert not sent & set(found.dropped)


def test_an_operator_has_headers_sent_and_keyed():
    settings = Settings(keyed_headers="X-Of-Tomorrow, traceparent,cookie")
    headers = {"x-of-tomorrow": "1", "traceparent": "2", "cookie": "3", "prefer": "wait", "x-title": "t"}
    found = divided(headers, settings.keyed_headers)
    assert found.keyed == {"x-of-tomorrow": "1", "traceparent": "2", "cookie": "3"}
    assert found.dropped == ("prefer",)
    assert found.sent == [*found.keyed.items(), ("x-title", "t"), *JSON_FORM]


@pytest.mark.parametrize("name", ["host", "Content-Type", "authorization", "x-encore-ttl", "x:y", "(x)", "é"])
def test_what_cannot_be_in_the_key_is_refused_at_the_start(name):
    with pytest.raises(InvalidSettings, match="ENCORE_KEYED_HEADERS"):
        Settings(keyed_headers=name)
