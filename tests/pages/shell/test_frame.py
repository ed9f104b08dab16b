"""Every page: its title, its connection state, and what it says when the parts around it are missing."""

from __future__ import annotations

import re

import pytest

from core.bootstrap import bootstrap
from core.errors import ProviderUnavailable
from core.settings import Settings
from pages.components.data import context
from tests.pages.conftest import everything_said

PAGES = {
    "dashboard": "Dashboard",
    "requests": "Requests",
    "playground": "Playground",
    "savings": "Savings",
    "invalidations": "Invalidations",
    "schedules": "Schedules",
    "quality": "Quality",
    "workers": "Workers",
}


@pytest.mark.parametrize("alone", [False, True], ids=["through app.py", "alone"])
@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_is_drawn_when_it_is_opened_first(open_page, services, name, title, alone):
    at = open_page(name, alone=alone)
    assert not at.exception
    assert [heading.value for heading in at.title] == [title]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_with_something_to_show(open_page, services, ask, queue, a_worker, name):
    for prompt in ("What is a cat?", "What is a cat?", "what is a  cat"):
        ask(prompt)
    services.invalidation.invalidate_by_model("gpt-4o", actor="console")
    queue.enqueue_sweep(services.settings.namespace)
    at = open_page(name)
    assert not at.exception
    assert not at.error
    assert "1 worker" in everything_said(at)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_redis_server_says_since_when_and_keeps_standing(
    open_page, use, redis_server, provider, monkeypatch, name
):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        server.kill()
        at = open_page(name)
        assert not at.exception
        banner = at.error[0].value
        assert "Redis cannot be reached, since " in banner
        assert "Requests go on to the provider" in banner
        assert "Redis does not answer" in everything_said(at)


def test_the_last_values_stay_when_redis_goes_away(open_page, use, redis_server, provider, monkeypatch, ask_with):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        ask_with(built, "What is a cat?")
        ask_with(built, "What is a cat?")
        at = open_page("dashboard")
        assert at.metric[0].value == "50.0%"
        server.kill()
        context.readings().renew()
        at.run()
        assert "You see the last values, read at" in at.error[0].value
        assert at.metric[0].value == ":gray[50.0%]"
        server.start()
        context.readings().renew()
        at.run()
        assert not at.error


def test_settings_that_cannot_be_used_are_listed(open_page, monkeypatch):
    monkeypatch.setenv("ENCORE_STRATEGY", "guess")
    monkeypatch.setenv("ENCORE_HOLD_SECONDS", "-1")
    at = open_page("dashboard")
    assert not at.exception
    assert at.error[0].value == "The console cannot start: its settings cannot be used."
    assert "ENCORE_STRATEGY" in at.code[0].value
    assert "ENCORE_HOLD_SECONDS" in at.code[0].value


@pytest.mark.parametrize("name", PAGES)
def test_a_console_without_redis_works_in_memory_and_says_so(open_page, monkeypatch, tmp_path, name):
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    at = open_page(name)
    assert not at.exception
    assert "entries live in the memory of this console only" in at.warning[0].value


def test_an_eviction_policy_that_loses_jobs_is_warned_of(open_page, services):
    services.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        at = open_page("dashboard")
        assert "jobs and invalidation records may be lost" in at.warning[0].value
    finally:
        services.redis.config_set("maxmemory-policy", "noeviction")


def test_someone_who_is_logged_in_sees_name_and_role(open_page, services, viewer):
    at = open_page("dashboard")
    assert "vera@example.org" in [text.value for text in at.text]
    assert "viewer" in everything_said(at)


def test_alerts_of_the_figures_and_the_parts_are_told(open_page, services, provider, ask):
    def fail(call: int) -> None:
        raise ProviderUnavailable("the provider does not answer")

    provider.before = fail
    for number in range(60):
        with pytest.raises(ProviderUnavailable):
            ask(f"Question {number}?")
    services.metrics.flush()
    at = open_page("dashboard")
    assert "100% of requests failed" in at.error[0].value.replace("\\", "")
    assert re.search(r"Since \d\d:\d\d:\d\d \(\d", at.error[0].value)
    assert at.button(key="alert-error-rate").label == "Show failed requests"
    assert [warning.value for warning in at.warning if "No worker is alive" in warning.value]


def test_an_alert_is_told_once(open_page, services):
    used = services.store.info().used_bytes
    services.redis.config_set("maxmemory", used + used // 50)
    try:
        told = [warning.value for warning in open_page("dashboard").warning]
    finally:
        services.redis.config_set("maxmemory", 0)
    assert len([words for words in told if "memory limit" in words]) == 1
    assert len([words for words in told if "No worker" in words]) == 1


def test_what_a_page_tells_itself_the_banner_does_not(open_page, services):
    for page in ("workers", "invalidations"):
        assert not [warning.value for warning in open_page(page).warning if "Alert" in warning.value]


def test_with_a_worker_and_no_trouble_there_is_no_banner(open_page, services, a_worker):
    at = open_page("dashboard")
    assert not at.warning
    assert not at.error


def test_an_alert_leads_to_where_something_can_be_done(open_page, services):
    at = open_page("dashboard")
    at.button(key="alert-no-worker").click().run()
    assert not at.exception
    assert [title.value for title in at.title] == ["Workers"]


def test_alerts_obey_the_settings(open_page, use, pages_server, services, provider, monkeypatch):
    monkeypatch.setenv("ENCORE_ALERT_WORKERS", "0")
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        assert not open_page("dashboard").warning
