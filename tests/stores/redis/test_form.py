"""One form of what is stored on a Redis at a time: a newer one keeps this version from starting, older ones can go."""

from __future__ import annotations

import logging

import pytest

from core import Settings, bootstrap
from core.demo import DemoProvider
from core.doctor import Level, diagnose
from core.errors import InvalidSettings
from core.keys import Slot, names
from core.stores.redis import claim_form, has_older, patient_client, remove_older
from tests.conftest import RedisFactory, RedisServer

OLDER = (
    *("encore:{shop:0}:record", "encore:{shop:0}:e:" + 64 * "0", "encore:{key-12ab:1f}:models"),
    *("encore:vs:{0123}:news", "encore:namespaces", "encore:1:{shop:0}:record", "encore:1:vs:{0123}:news"),
    *("encore:3:{shop:0}:record", "encore:3:vs:{0123}:news", "encore:3:namespaces"),
)
KEPT = (
    *(Slot("shop", 0).record.decode(), Slot("shop~desk", 3).entry(bytes(32)).decode(), "encore:4:{shop:0}:record"),
    *("encore:{gauges}:s", "encore:audit", "encore:schedules", "encore:thresholds", "encore:evidence", "encore:form"),
    *(names.NAMESPACES.decode(), names.VECTORS.decode() + "{0123}:news", "encore:pins", "another:{shop:0}:record"),
)


@pytest.fixture
def server(redis_server: RedisFactory) -> RedisServer:
    return redis_server()


def settings(server: RedisServer) -> Settings:
    return Settings(redis_url=server.url, provider="demo")


@pytest.mark.parametrize("found", [None, b"1", b"2", b"3", b"4"])
def test_the_highest_form_in_use_is_noted_at_the_start(server, found):
    with server.client() as client:
        if found is not None:
            client.set("encore:form", found)
        bootstrap(settings(server)).close()
        assert client.get("encore:form") == b"4"


@pytest.mark.parametrize("found", [b"5", b"10", b"5.1", b"a form of another kind", b"99999999999999999999"])
def test_nothing_starts_beside_a_newer_form_and_it_is_left_as_it_was(server, found):
    with server.client() as client:
        client.set("encore:form", found)
        with pytest.raises(InvalidSettings, match="ENCORE_REDIS_URL: a newer version of Encore uses this Redis"):
            bootstrap(settings(server))
        assert client.get("encore:form") == found


def test_a_newer_form_that_comes_in_between_is_not_lowered(server):
    class Between:
        """A client before whose write a newer version starts."""

        def __init__(self, client):
            self._client = client

        def get(self, name):
            return self._client.get(name)

        def set(self, name, value, **options):
            if options:
                self._client.set(name, b"5")
            return self._client.set(name, value, **options)

    with server.client() as client:
        with pytest.raises(InvalidSettings):
            claim_form(Between(client))
        assert client.get("encore:form") == b"5"


def test_a_process_starts_where_redis_is_away_or_takes_no_writes(server, caplog):
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with caplog.at_level(logging.WARNING):
            bootstrap(settings(server)).close()
        assert "takes no writes" in caplog.text
        assert client.get("encore:form") is None
    server.kill()
    bootstrap(settings(server)).close()


def test_what_older_forms_left_is_named_by_the_doctor_and_can_be_deleted(server):
    with server.client() as client:
        for name in (*OLDER, *KEPT):
            client.set(name, b"2")
        client.delete(names.NAMESPACES)
        with bootstrap(settings(server), provider=DemoProvider(latency_scale=0)) as services:
            [told] = [found for found in diagnose(services, outside=()).findings if "older version" in found.text]
            assert (told.level, "python -m core clean" in told.remedy) == (Level.WARNING, True)
        with patient_client(server.url) as patient:
            assert remove_older(patient) == len(OLDER)
            assert remove_older(patient) == 0
            assert not has_older(patient)
        assert {name.decode() for name in client.scan_iter()} == set(KEPT) - {names.NAMESPACES.decode()}


def test_names_of_this_form_are_told_from_older_ones():
    assert [name for name in (*OLDER, *KEPT) if names.is_older(name.encode())] == list(OLDER)
