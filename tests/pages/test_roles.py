"""Each page with each role: what is offered, and that nothing a viewer clicks changes anything, offered or not."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from core.access.logins import login_id
from core.access.roles import REQUIRED, Action, Actor, Role
from core.bans.criteria import Criteria
from core.bootstrap import Services
from pages.components.data import context
from tests.pages.conftest import everything_said, select_rows
from tests.pages.server.test_server_checks import SECTION
from workers.queue import JobQueue
from workers.queue.records import job_id

PAGES = (
    *("dashboard", "requests", "playground", "questions", "savings", "entries"),
    *("invalidations", "schedules", "quality", "workers", "health"),
)
LOOKING = (b"encore:metrics", b"encore:gauges", b"encore:{gauges}", b"encore:alerts", b"encore:4:namespaces")
"""What looking may write: figures, and what is known of alerts."""


@pytest.fixture
def filled(services: Services, queue: JobQueue, a_worker, ask) -> Services:
    """Something to act on, on every page."""
    for prompt in ("What is a cat?", "What is a cat?", "What is a dog?"):
        ask(prompt)
    services.invalidation.invalidate(Criteria(model="gpt-3"), actor="anna")
    services.invalidation.invalidate(Criteria(all=True, namespace="other"), actor="anna")
    assert services.schedules
    for name, criteria in (("Nightly", {"model": "gpt-4o"}), ("Everything", {"all": True})):
        services.schedules.add(
            namespace=services.settings.namespace, actor="anna", name=name, criteria=criteria, daily_at="03:00"
        )
    queue.stop(queue.enqueue_sweep("other").id)
    queue.enqueue_sweep(services.settings.namespace)
    services.metrics.flush()
    return services


def be(monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    monkeypatch.setattr(context, "actor", lambda: Actor(name=f"{role.word}@example.org", role=role))


def stored(services: Services) -> dict[bytes, Any]:
    client = services.redis
    assert client
    names = [name for name in client.keys("*") if not name.startswith(LOOKING)]
    return {name: client.dump(name) for name in names}


@pytest.mark.parametrize(
    ("name", "role"),
    [(name, role) for name in PAGES for role in (Role.VIEWER, Role.OPERATOR)],
)
def test_a_page_is_drawn_for_each_role_and_says_what_takes_a_higher_one(open_page, filled, monkeypatch, name, role):
    be(monkeypatch, role)
    at = open_page(name)
    assert not at.exception
    said = everything_said(at)
    assert role.word in said
    if role is Role.VIEWER and name not in ("dashboard", "requests", "savings", "entries"):
        assert "Read only: this needs the role operator, yours is viewer." in said
    if role is Role.OPERATOR and name not in ("schedules", "quality", "invalidations", "health"):
        assert "Read only" not in said
    if name == "workers":
        assert at.button(key="suspend").disabled is (role is Role.VIEWER)
        assert at.button(key=f"stop-{job_id('sweep', 'default')}").disabled is (role is Role.VIEWER)
    if name == "schedules":
        assert at.button(key=f"run-{schedule(filled, 'Nightly')}").disabled is (role is Role.VIEWER)
        assert at.button(key=f"run-{schedule(filled, 'Everything')}").disabled
        assert "Read only: this needs the role admin" in said


def schedule(services: Services, name: str) -> str:
    assert services.schedules
    return next(one.id for one in services.schedules.all() if one.name == name)


@pytest.mark.parametrize("name", PAGES)
def test_whatever_a_viewer_clicks_changes_nothing_even_if_it_were_offered(open_page, filled, monkeypatch, name):
    be(monkeypatch, Role.VIEWER)
    monkeypatch.setattr(Actor, "may", lambda self, action: True)
    before = stored(filled)
    at = open_page(name)
    if name == "playground":
        at.chat_input[0].set_value("What is a bird?").run()
    clicked = 0
    elsewhere = ("log_out", "bypass-open")  # the second opens a dialog, and a page has one at a time
    for key in [button.key for button in at.button if button.key not in elsewhere]:
        if key in [button.key for button in at.button if not button.disabled]:
            at.button(key=key).click().run()
            clicked += 1
        assert not at.exception, key
    assert clicked or name in ("dashboard", "requests", "savings")
    after = stored(filled)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def test_a_viewer_does_not_turn_the_bypass_switch_even_if_it_were_offered(open_page, filled, monkeypatch):
    be(monkeypatch, Role.VIEWER)
    monkeypatch.setattr(Actor, "may", lambda self, action: True)
    at = open_page("dashboard")
    at.button(key="bypass-open").click().run()
    at.selectbox(key="bypass-namespace").select("*").run()
    at.button(key="bypass-turn").click().run()
    assert "needs the role operator" in [error.value for error in at.error][-1]
    assert filled.switch.all() == []


def test_a_login_decides_the_role_and_the_name_of_who_acts(open_page, filled, monkeypatch):
    monkeypatch.setattr(filled.settings, "__dict__", filled.settings.__dict__ | {"operators": ("olga@example.org",)})
    at = open_page("health", alone=True)
    st.cache_resource.clear()
    at.secrets = {"auth": dict(SECTION)}
    at.user = {"is_logged_in": True, "email": "olga@example.org", "email_verified": True, "iat": 4_000_000_000}
    at.run()
    assert [title.value for title in at.title] == ["Encore"]  # logged in in the future
    at.user = at.user | {"iat": int(filled.audit.records(1)[0].at), "sub": "olga"}
    at.run()
    assert [title.value for title in at.title] == ["Health"]
    assert "olga@example.org" in [text.value for text in at.text]
    assert not at.button(key="self_test").disabled
    filled.logins.end(login_id(at.user), seconds=60)
    at.button(key="self_test").click().run()
    assert at.warning[0].value.replace("\\", "").startswith("You have logged out: log in again.")
    assert [title.value for title in at.title] == ["Encore"]
    assert not at.metric


@pytest.mark.parametrize("name", ["dashboard", "requests", "workers"])
def test_an_admin_by_login_is_refused_nothing_and_is_named(open_page, filled, monkeypatch, name):
    monkeypatch.setattr(filled.settings, "__dict__", filled.settings.__dict__ | {"admins": ("anna@example.org",)})
    at = open_page(name)
    st.cache_resource.clear()
    at.secrets = {"auth": dict(SECTION)}
    at.user = {
        "is_logged_in": True,
        "email": "anna@example.org",
        "email_verified": True,
        "iat": int(filled.audit.records(1)[0].at),
        "sub": "anna",
    }
    at.run()
    assert not at.exception
    assert [title.value for title in at.title] == [name.capitalize()]
    assert "anna@example.org" in [text.value for text in at.sidebar.text]
    assert Role.ADMIN.word in everything_said(at)
    assert "Read only" not in everything_said(at)
    if name == "requests":
        select_rows(at, "requests", 0)
        assert not at.button(key="to-playground").disabled
    if name == "workers":
        at.button(key="suspend").click().run()
        assert at.button(key="resume")
        assert filled.audit.records(1)[0].actor == "anna@example.org"


def test_every_action_that_a_viewer_may_not_take_is_known():
    assert {action for action in Action if REQUIRED[action] is Role.VIEWER} == {Action.LOOK}
