"""Health: findings with their remedy, the masked settings, the isolation self-test."""

from __future__ import annotations

import pytest

from core import lookup
from core.bootstrap import bootstrap
from core.settings import Settings
from tests.pages.conftest import everything_said


@pytest.mark.parametrize("alone", [False, True])
def test_it_says_what_is_wrong_and_how_to_mend_it(open_page, services, alone):
    at = open_page("health", alone=alone)
    assert not at.exception
    said = everything_said(at)
    assert "No worker" in said or "no worker" in said
    assert "python -m workers" in said


def test_secrets_are_nowhere_on_the_page(open_page, pages_server, provider, use, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-of-health")
    password = pages_server.url.split(":")[2].split("@")[0]
    with bootstrap(Settings(redis_url=pages_server.url), provider=provider) as built:
        use(built)
        at = open_page("health")
        shown = everything_said(at) + "".join(str(table.value.to_dict()) for table in at.dataframe)
    assert "OPENAI_API_KEY" in shown
    assert "canary-of-health" not in shown
    assert password not in shown


def test_the_self_test_passes_on_a_sound_cache(open_page, services):
    at = open_page("health")
    at.button(key="self_test").click().run()
    assert "nothing crosses scopes" in at.success[0].value
    assert set(at.dataframe[0].value["result"]) == {"passed"}


def test_the_self_test_cries_out_when_an_invalidation_has_no_effect(open_page, services, monkeypatch):
    monkeypatch.setattr(lookup, "visibility", lambda entry, record: lookup.Visibility.FRESH)
    at = open_page("health")
    at.button(key="self_test").click().run()
    assert "NOT kept apart" in at.error[0].value


def test_a_viewer_may_look_and_not_test(open_page, services, viewer):
    at = open_page("health")
    assert at.button(key="self_test").disabled


def test_without_redis_the_page_says_so(open_page, provider, use, tmp_path):
    with bootstrap(Settings(redis_url=f"unix://{tmp_path}/none.sock"), provider=provider) as built:
        use(built)
        at = open_page("health")
        assert not at.exception
        assert "Redis" in everything_said(at)


def test_looking_again_looks_again(open_page, services, a_worker):
    at = open_page("health")
    before = at.session_state["diagnosis"]
    at.button(key="look_again").click().run()
    assert at.session_state["diagnosis"].at > before.at
