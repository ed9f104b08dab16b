"""Who calls, and what the provider is told of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access import Role
from core.errors import InvalidInput, InvalidSettings
from core.http.callers import Caller, Callers, own_controls
from core.keys import Slot
from core.models import AtMost, Controls, Default, For, NoStore
from core.settings import Settings
from tests.samples import operation_key

SK = {"authorization": "Bearer sk-of-a-caller"}

(KEY, FIRST), (KEY_OF_ONE, SECOND) = operation_key("a", Role.VIEWER), operation_key("b", Role.ADMIN, "docs")
KEYS = (KEY, KEY_OF_ONE)


def callers(**settings: object) -> Callers:
    return Callers(Settings(**settings))


@pytest.mark.parametrize(
    ("settings", "headers", "expected"),
    [
        ({}, SK, [("authorization", "Bearer sk-of-a-caller")]),
        ({}, SK | {"api-key": "k"}, [("authorization", "Bearer sk-of-a-caller"), ("api-key", "k")]),
        ({}, {}, []),
        ({"openai_api_key": "sk-operator"}, SK | {"api-key": "k"}, [("authorization", "Bearer sk-operator")]),
        ({"openai_api_key": "sk-operator"}, {}, [("authorization", "Bearer sk-operator")]),
        ({"gateway_keys": "sk-of-a-caller"}, SK | {"api-key": "k"}, []),
    ],
)
def test_the_provider_is_told_of_one_key_and_never_one_of_the_gateways(settings, headers, expected):
    assert callers(**settings).credentials(headers) == expected


credentials = st.dictionaries(
    st.sampled_from(["authorization", "api-key", "x-api-key"]), st.text(min_size=1, max_size=20), min_size=1
)


@given(credentials, credentials)
def test_only_equal_credentials_are_the_same_caller(one, other):
    first, second = (callers().identify(headers) for headers in (one, other))
    assert first is not None
    assert second is not None
    assert (first.namespace == second.namespace) == (one == other)


def test_a_namespace_tells_nothing_of_the_key():
    caller = callers().identify(SK)
    assert caller is not None
    assert caller.namespace is not None
    assert "sk-" not in caller.namespace.removeprefix("key-")


def test_without_credentials_there_is_no_namespace():
    assert callers().identify({}) == Caller(namespace=None)
    assert callers().identify({"authorization": ""}) == Caller(namespace=None)
    assert callers(gateway_namespace="team").identify({}) == Caller(namespace="team")


@pytest.mark.parametrize("value", ["Bearer one", "bearer one", "BEARER  one ", "one"])
def test_a_gateway_key_is_known_in_its_usual_forms(value):
    assert callers(gateway_keys="zero,one").identify({"authorization": value}) is not None
    assert callers(gateway_keys="zero,one").identify({"x-api-key": value}) is not None


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer oneone", "Bearer zero,one", "Basic one", "ONE"])
def test_anything_else_is_no_gateway_key(value):
    assert callers(gateway_keys="zero,one").identify({"authorization": value}) is None


def test_a_key_is_one_caller_whatever_comes_with_it_and_however_it_is_spelt():
    with_keys = callers(gateway_keys="zero,one")
    alone = with_keys.identify({"authorization": "Bearer one"})
    assert alone == callers().identify({"authorization": "Bearer one"}), "as without keys: nobody goes cold"
    for headers in (
        {"authorization": "bearer one"},
        {"authorization": "BEARER   one  "},
        {"authorization": "Bearer one", "x-api-key": "anything"},
        {"authorization": "Bearer one", "api-key": "zero", "x-api-key": "one"},
        {"authorization": "one"},
        {"api-key": "one"},
        {"x-api-key": "one"},
        {"x-api-key": "Bearer one"},
        {"authorization": "Basic eA==", "x-api-key": "one"},
        {"authorization": "Bearer none", "api-key": "one", "x-api-key": "zero"},
    ):
        assert with_keys.identify(headers) == alone
    assert with_keys.identify({"x-api-key": "zero"}) != alone


def test_a_caller_names_so_many_parts_of_its_namespace_and_no_more(monkeypatch):
    monkeypatch.setattr("core.http.callers.MOST_PARTS", 3)
    gateway, acme = callers(), Caller(namespace="acme")
    named = [gateway.own_controls(Controls(namespace=f"n{number}"), acme).namespace for number in range(5)]
    assert [name is None for name in named] == [False, False, False, True, True]
    assert gateway.own_controls(Controls(), acme).namespace == "acme"
    assert gateway.own_controls(Controls(namespace="n0"), Caller(namespace="globex")).namespace is not None


@given(st.sampled_from(["acme", "acme.internal", "key-0123", 64 * "n"]), st.text("ab.-_~", min_size=1, max_size=70))
def test_a_part_of_a_namespace_stays_inside_of_it_and_is_none_that_can_be_configured(own, name):
    caller = Caller(namespace=own)
    if len(name) <= 64 and "~" not in name:
        found = own_controls(Controls(namespace=name), caller, longer_ttl=False).namespace
        assert found.partition("~") == (own, "~", name)
        assert Slot(found, 0).namespace == found
        with pytest.raises(InvalidSettings, match="ENCORE_NAMESPACE"):
            Settings(namespace=found)
        with pytest.raises(InvalidSettings, match="ENCORE_GATEWAY_NAMESPACE"):
            Settings(gateway_namespace=found)
    else:
        with pytest.raises(InvalidInput, match="X-Encore-Namespace"):
            own_controls(Controls(namespace=name), caller, longer_ttl=False)


@pytest.mark.parametrize(
    ("ttl", "allowed", "expected"),
    [
        (For(60), False, AtMost(60)),
        (For(60), True, For(60)),
        (NoStore(), False, NoStore()),
        (Default(), False, Default()),
    ],
)
def test_a_caller_says_how_long_an_answer_is_kept_at_most(ttl, allowed, expected):
    assert own_controls(Controls(ttl=ttl), Caller(namespace="acme"), longer_ttl=allowed).ttl == expected


@pytest.mark.parametrize(
    ("settings", "key", "expected"),
    [
        ({}, None, True),
        ({}, "anything", True),
        ({"gateway_keys": "tenant"}, None, False),
        ({"gateway_keys": "tenant"}, "tenant", False),
        ({"gateway_keys": "tenant", "operation_keys": f"{FIRST.line},{SECOND.line}"}, "tenant", False),
        ({"gateway_keys": "tenant", "operation_keys": f"{FIRST.line},{SECOND.line}"}, KEYS[0], True),
        ({"operation_keys": FIRST.line}, None, False),
        ({"operation_keys": FIRST.line}, KEYS[0], True),
        ({"operation_keys": FIRST.line}, KEYS[0][:-1], False),
        ({"operation_keys": FIRST.line}, FIRST.digest, False),
        ({"operation_keys": f"{FIRST.line},{SECOND.line}"}, KEYS[1], False),  # of one namespace alone
    ],
)
def test_what_concerns_all_callers_is_for_who_has_an_operators_key(settings, key, expected):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    assert callers(**settings).may_operate(headers) == expected


def test_an_operators_key_is_no_callers():
    assert (
        callers(gateway_keys="tenant", operation_keys=FIRST.line).identify({"authorization": f"Bearer {KEYS[0]}"})
        is None
    )
