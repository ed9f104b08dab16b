"""Logins: who a login is, with which role, until when; and that one which has ended stays so."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.logins import LONGEST_NAME, EndedLogins, actor_of, login_id
from core.access.roles import Action, Role
from core.configuration import role_rules
from core.errors import InvalidSettings
from core.settings import Settings
from core.stores.redis.store import patient_client

NOW = 1_790_000_000.0


def who(claims: dict[str, Any], **settings: Any):
    return actor_of({"iat": NOW - 60, "sub": "s-1", **claims}, role_rules(Settings(**settings)), now=NOW)


def verified(address: str) -> dict[str, Any]:
    return {"email": address, "email_verified": True}


@pytest.mark.parametrize(
    ("claims", "settings", "name", "role"),
    [
        (verified("anna@example.org"), {"admins": "anna@example.org"}, "anna@example.org", Role.ADMIN),
        (verified(" Anna@Example.ORG "), {"admins": "ANNA@example.org"}, "anna@example.org", Role.ADMIN),
        (verified("a@example.org"), {"viewers": "@example.org"}, "a@example.org", Role.VIEWER),
        (verified("a@example.org"), {"viewers": "@example.org", "operators": "a@example.org"}, "a@example.org", 2),
        (verified("a@evil-example.org"), {"admins": "@example.org"}, "a@evil-example.org", Role.NONE),
        (verified("a@example.org@evil.net"), {"admins": "@example.org"}, "a@example.org@evil.net", Role.NONE),
        (verified("a@example.org.evil.net"), {"admins": "@example.org"}, "a@example.org.evil.net", Role.NONE),
        ({"email": "anna@example.org"}, {"admins": "anna@example.org"}, "s-1", Role.NONE),
        ({"email": "anna@example.org", "email_verified": False}, {"admins": "anna@example.org"}, "s-1", Role.NONE),
        ({"email": "anna@example.org", "email_verified": 1}, {"admins": "anna@example.org"}, "anna@example.org", 3),
        ({"email": "anna@example.org", "email_verified": "true"}, {"admins": "anna@example.org"}, None, Role.ADMIN),
        ({"email": "anna@example.org", "email_verified": "yes"}, {"admins": "anna@example.org"}, "s-1", Role.NONE),
        ({"email": ["anna@example.org"], "email_verified": True}, {"admins": "anna@example.org"}, "s-1", Role.NONE),
        ({"roles": "admin"}, {"role_claim": "roles"}, "s-1", Role.ADMIN),
        ({"roles": ["x", "viewer", "operator"]}, {"role_claim": "roles"}, "s-1", Role.OPERATOR),
        ({"roles": {"admin": True}}, {"role_claim": "roles"}, "s-1", Role.NONE),
        ({"roles": [["admin"], None, 3]}, {"role_claim": "roles"}, "s-1", Role.NONE),
        ({"roles": "none"}, {"role_claim": "roles"}, "s-1", Role.NONE),
        ({"roles": "admin"}, {"role_claim": "groups"}, "s-1", Role.NONE),
        ({"roles": "admin"}, {}, "s-1", Role.NONE),
        ({"realm": {"roles": ["admin"]}}, {"role_claim": "realm.roles"}, "s-1", Role.ADMIN),
        ({"https://a.b/roles": ["admin"]}, {"role_claim": "https://a.b/roles"}, "s-1", Role.ADMIN),
        ({"groups": ["sre"]}, {"role_claim": "groups", "role_values": '{"sre": "operator"}'}, "s-1", Role.OPERATOR),
        ({"groups": ["admin"]}, {"role_claim": "groups", "role_values": '{"sre": "operator"}'}, "s-1", Role.NONE),
        ({}, {"default_role": "viewer"}, "s-1", Role.VIEWER),
        ({"roles": "admin"}, {"role_claim": "roles", "default_role": "viewer"}, "s-1", Role.ADMIN),
        ({"sub": "x" * 900}, {"default_role": "viewer"}, None, Role.VIEWER),
        ({"sub": "a\x1b[2J\nb"}, {"default_role": "viewer"}, None, Role.VIEWER),
    ],
)
def test_the_role_is_the_highest_that_a_rule_gives(claims, settings, name, role):
    found = who(claims, **settings)
    assert found.role == role
    assert name in (None, found.name)
    assert len(found.name) <= LONGEST_NAME
    assert found.name.isprintable()
    assert not found.local
    assert bool(found.refusal) is (role == Role.NONE)
    assert found.may(Action.LOOK) is (role > Role.NONE)


@pytest.mark.parametrize(
    ("issued_at", "is_in"),
    [
        (NOW, True),
        (NOW - 2 * 3600 + 1, True),
        (NOW - 2 * 3600, False),
        (NOW + 299, True),
        (NOW + 301, False),
        (None, False),
        ("1790000000", False),
        (True, False),
        (float("nan"), False),
        (float("inf"), False),
        (float("-inf"), False),
    ],
)
def test_a_login_lasts_as_long_as_configured_from_when_the_provider_says(issued_at, is_in):
    found = who({"iat": issued_at}, default_role="admin", login_hours=2)
    assert found.may(Action.LOOK) is is_in
    assert is_in or found.refusal.endswith("log in again")


def test_a_login_is_told_from_every_other_one():
    claims = {"iss": "i", "sub": "s", "iat": 1, "nonce": "n"}
    others = [claims | {name: "x"} for name in ("iss", "sub", "iat", "nonce", "sid", "jti")]
    assert len({login_id(other) for other in [claims, *others]}) == 7
    assert login_id(claims) == login_id(dict(reversed(claims.items())) | {"name": "Anna", "tokens": {}})
    assert login_id({"iss": "a,", "sub": "b"}) != login_id({"iss": "a", "sub": ",b"})


def test_a_login_that_has_ended_stays_so_in_every_process(redis_url):
    with patient_client(redis_url) as client:
        here, there = EndedLogins(client), EndedLogins(client)
        name, other = login_id({"sub": "a", "nonce": redis_url}), login_id({"sub": "b", "nonce": redis_url})
        assert not here.is_ended(name)
        here.end(name, seconds=60)
        assert here.is_ended_here(name)
        assert not there.is_ended_here(name)
        assert there.is_ended(name)
        assert not there.is_ended(other)
        assert 0 < client.ttl(b"encore:logins:ended:" + name.encode()) <= 60


def test_without_redis_this_process_knows():
    clock = [0.0]
    logins = EndedLogins(None, clock=lambda: clock[0])
    logins.end("one", seconds=60)
    assert logins.is_ended("one")
    assert not logins.is_ended("two")
    clock[0] = 61
    logins.end("two", seconds=60)
    assert logins.is_ended("two")
    assert not logins.is_ended("one")  # it has ended by its age long since


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"admins": "anna"}, "ENCORE_ADMINS: anna is neither an e-mail address nor a @domain"),
        ({"default_role": "boss"}, "ENCORE_DEFAULT_ROLE: use none, viewer, operator or admin"),
        ({"role_values": '{"sre": "boss"}'}, "ENCORE_ROLE_VALUES"),
        ({"role_values": "sre"}, "ENCORE_ROLE_VALUES: not JSON"),
        ({"console_url": "http://encore.example.org"}, "ENCORE_CONSOLE_URL: must begin with https://"),
        ({"console_url": "https://encore.example.org/?a=b"}, "ENCORE_CONSOLE_URL: give the address alone"),
        ({"oidc_cookie_secret": "short"}, "ENCORE_OIDC_COOKIE_SECRET: give 32 random characters or more"),
        ({"oidc_metadata_url": "https://id.example.org/x"}, "ENCORE_OIDC_METADATA_URL also needs ENCORE_CONSOLE_URL"),
        ({"login_hours": 0}, "ENCORE_LOGIN_HOURS"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, words):
    with pytest.raises(InvalidSettings) as refused:
        Settings(**settings)
    assert words in str(refused.value)
    assert "short" not in str(refused.value)
