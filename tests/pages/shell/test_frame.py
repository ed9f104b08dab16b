"""Every page: its title, its connection state, and what it says when the parts around it are missing."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.errors import ProviderUnavailable
from core.settings import Settings
from pages.components.data import context
from pages.components.display import figures
from tests.pages.conftest import everything_said

PAGES = {
    "dashboard": "Dashboard",
    "requests": "Requests",
    "playground": "Playground",
    "questions": "Questions",
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
        assert at.metric[0].value == "50.0 %"
        server.kill()
        context.readings().renew()
        at.run()
        assert "You see the last values, read at" in at.error[0].value
        assert at.metric[0].value == ":gray[50.0 %]"
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
    assert "100 % of requests failed" in at.error[0].value.replace("\\", "")
    assert re.search(r"Since \d\d:\d\d:\d\d \(\d", at.error[0].value)
    assert at.button(key="alert-error-rate").label == "Show failed requests"
    assert [warning.value for warning in at.warning if "No worker is alive" in warning.value]


def test_an_alert_is_told_once(open_page, services):
    for number in range(100):  # in small pieces: a large one would be there twice
        services.redis.set(f"ballast {number}", b"-" * 100_000)
    used = services.store.info().used_bytes
    services.redis.config_set("maxmemory", used + used // 20)
    try:
        at = open_page("dashboard")
        told = [warning.value for warning in at.warning]
    finally:
        services.redis.config_set("maxmemory", 0)
    assert len([words for words in told if "memory limit" in words]) == 1
    assert len([words for words in told if "No worker" in words]) == 1


@pytest.mark.parametrize("page", ["workers", "invalidations", "schedules"])
def test_that_no_worker_is_alive_is_told_once_on_every_page_with_how_to_start_one(open_page, services, page):
    at = open_page(page)
    [told] = [warning.value for warning in at.warning if "No worker is alive" in warning.value]
    assert "`python -m workers`" in told
    leads_on = [button.key for button in at.button if button.key == "alert-no-worker"]
    assert leads_on == ([] if page == "workers" else ["alert-no-worker"])


def refused(open_page, services, page: str):
    services.redis.config_set("min-replicas-to-write", 1)
    try:
        return open_page(page)
    finally:
        services.redis.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("page", ["dashboard", "health", "workers", "invalidations", "entries", "schedules"])
def test_refused_writes_are_told_once_with_their_cause_and_nothing_that_follows_from_them(open_page, services, page):
    at = refused(open_page, services, page)
    [told] = [words for error in at.error if "refuses writes" in (words := error.value.replace("\\", ""))]
    assert "too few replicas follow it" in told
    assert "Nothing is stored or invalidated; the bypass switch works" in told
    assert not [warning.value for warning in at.warning]
    said = everything_said(at)
    assert "python -m workers" not in said
    assert at.button(key="bypass-open-banner").label == "Bypass the cache…"


def test_the_bypass_switch_is_turned_from_any_page_and_shows_its_state(open_page, services, a_worker, ask, monkeypatch):
    monkeypatch.setattr(services.switch, "_pause", lambda seconds: None)
    ask("What is a cat?")
    at = open_page("dashboard")
    assert "Bypass off" in everything_said(at)
    at.button(key="bypass-open").click().run()
    assert at.button(key="bypass-turn").disabled, "nothing is chosen"
    name = services.settings.namespace
    at.selectbox(key="bypass-namespace").select(name).run()
    at.text_input(key="bypass-note").input("wrong <b>fees</b>").run()
    at.button(key="bypass-turn").click().run()
    [switch] = services.switch.all([name])
    assert (switch.namespace, switch.actor, switch.note) == (name, "console", "wrong <b>fees</b>")
    assert [one.actor for one in services.audit.records(action="bypass.on")] == ["console"]
    at = open_page("health")
    assert "Bypass on: 1 namespace" in everything_said(at)
    assert [box.value for box in at.warning if "`wrong <b>fees</b>`" in box.value]
    at.button(key=f"bypass-off-{name}-health").click().run()
    assert services.switch.all([name]) == []


def test_all_namespaces_can_bypass_the_cache_at_once(open_page, services, a_worker, monkeypatch):
    monkeypatch.setattr(services.switch, "_pause", lambda seconds: None)
    at = open_page("entries")
    at.button(key="bypass-open").click().run()
    at.selectbox(key="bypass-namespace").select("*").run()
    at.button(key="bypass-turn").click().run()
    assert [switch.namespace for switch in services.switch.all()] == ["*"]
    at.run()
    assert "Bypass on: all namespaces" in everything_said(at)


def test_someone_who_may_only_look_sees_the_bypass_switch_and_cannot_turn_it(open_page, services, a_worker, viewer):
    at = open_page("health")
    assert at.button(key="bypass-open-health").disabled
    at.button(key="bypass-open").click().run()
    at.selectbox(key="bypass-namespace").select("*").run()
    assert at.button(key="bypass-turn").disabled
    assert "this needs the role operator" in everything_said(at)


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


@pytest.mark.parametrize("name", [*PAGES, "entries", "health"])
def test_each_page_names_the_zone_of_its_times_once(open_page, services, ask, monkeypatch, name):
    for prompt in ("What is a cat?", "What is a cat?"):
        ask(prompt)
    services.invalidation.invalidate(Criteria(model="gpt-3"), actor="anna")
    services.metrics.flush()
    monkeypatch.setattr(figures, "zone", lambda: ZoneInfo("Asia/Tokyo"))
    said = everything_said(open_page(name))
    assert said.count("Times are in Asia/Tokyo.") == said.count("Asia/Tokyo") == 1
