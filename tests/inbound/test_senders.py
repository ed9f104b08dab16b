"""Who sends a request, as its headers say it."""

from __future__ import annotations

import pytest

from core.inbound.senders import credentials_in, label_of, request_id_in


def test_a_label_is_the_same_for_the_same_keys_only_and_tells_nothing_of_them():
    one = credentials_in({"authorization": "Bearer sk-1", "accept": "*/*"})
    assert one == [("authorization", "Bearer sk-1")]
    assert label_of(one) == label_of([("authorization", "Bearer sk-1")])
    assert (
        len({label_of(one), label_of([("api-key", "Bearer sk-1")]), label_of([("authorization", "Bearer sk-2")])}) == 3
    )
    assert label_of(one).startswith("key-")
    assert "sk-1" not in label_of(one)


def test_without_a_key_there_is_no_label():
    assert label_of(credentials_in({"authorization": "", "user-agent": "x"})) == ""


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "req-1", "x-client-request-id": "other"}, "req-1"),
        ({"x-client-request-id": "other"}, "other"),
        ({"x-request-id": "two words"}, None),
        ({"x-request-id": "x" * 129}, None),
        ({"x-request-id": 5}, None),
        ({}, None),
    ],
)
def test_the_senders_own_id_is_taken_where_it_can_stand_in_a_header(headers, expected):
    assert request_id_in(headers) == expected
