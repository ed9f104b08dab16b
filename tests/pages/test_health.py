"""Health: findings with their remedy, the masked settings, the isolation self-test."""

from __future__ import annotations

import re

import pytest
import streamlit as st

from core.bootstrap import bootstrap
from core.doctor import checkup
from core.doctor.configuration import EffectiveSetting
from core.doctor.diagnosis import Diagnosis
from core.doctor.findings import Finding, Level
from core.errors import ProviderUnavailable
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from core.stores import lookup
from tests.pages.conftest import everything_said

SOME = (EffectiveSetting(variable="ENCORE_HOME", value=".encore", is_set=False, description="Folder."),)


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


def badges(at):
    """The badges of the page itself, as words."""
    return [badge.value for badge in at.main.get("markdown") if "-badge[" in badge.value]


def test_a_problem_that_is_gone_is_not_told_any_more(open_page, services, a_worker, monkeypatch):
    problem = "No worker is alive: invalidations are still in force"  # the alert above says it in other words
    pools = WorkerPools(services.queue_redis)
    pools.leave("pool")
    at = open_page("health")
    assert problem in everything_said(at)
    pools.beat("pool", host="localhost", pid=1, workers=1)
    assert problem in everything_said(at.run())  # a look lasts for some seconds
    monkeypatch.setattr(checkup, "CHECKUP_SECONDS", 0.0)
    said = everything_said(at.run())
    assert problem not in said
    assert "1 worker is alive." in said


def test_looking_again_looks_at_everything_now(open_page, services, a_worker, monkeypatch):
    at = open_page("health")
    asked = []
    real = checkup.outside_findings
    monkeypatch.setattr(checkup, "outside_findings", lambda services: asked.append(1) or real(services))
    at.run()
    assert not asked
    at.button(key="look_again").click().run()
    assert asked
    assert not at.exception
    assert re.search(r"Checked at \d\d:\d\d:\d\d, and every 10 seconds\.", everything_said(at))


def test_findings_are_counted_by_how_bad_they_are(open_page, services, monkeypatch):
    levels = (Level.ERROR, Level.WARNING, Level.WARNING, Level.OK)
    found = tuple(Finding(area="here", level=level, text=f"number {number}") for number, level in enumerate(levels))
    monkeypatch.setattr(checkup, "diagnose", lambda *_, now, outside: Diagnosis(settings=SOME, findings=found, at=now))
    said = " ".join(badges(open_page("health")))
    assert [words in said for words in ("1 wrong", "2 to check", "1 in order")] == [True] * 3
    st.cache_resource.clear()
    found = found[3:]
    assert "everything in order" in " ".join(badges(open_page("health")))


def test_the_embedder_and_redis_say_how_fast_they_are(open_page, pages_server, provider, use):
    with bootstrap(
        Settings(redis_url=pages_server.url, strategy="semantic", semantic="judge", judge_model="gpt-4o-mini"),
        provider=provider,
    ) as built:
        use(built)
        said = everything_said(open_page("health"))
    assert re.search(r"wordllama embeds a question in \d+(\.\d+)? m?s\.", said)
    assert re.search(r"Redis [\d.]+ answers in (0\.(0[1-9]|[1-9]\d)|[1-9](\.\d)?\d*) ms\.", said)


def test_an_embedder_that_does_not_work_is_told_with_what_to_do(open_page, pages_server, provider, use, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ProviderUnavailable("the server of the embedder does not answer")

    monkeypatch.setattr(provider, "embed", refuse)
    settings = Settings(
        redis_url=pages_server.url,
        strategy="semantic",
        semantic="judge",
        judge_model="gpt-4o-mini",
        embedder="openai:text-embedding-3-small",
    )
    with bootstrap(settings, provider=provider) as built:
        use(built)
        at = open_page("health")
        assert not at.exception
        said = everything_said(at)
    assert "openai:text-embedding-3-small embeds nothing (" in said
    assert "near questions are misses" in said
    assert "check its server" in said


def test_a_viewer_is_told_what_the_self_test_takes(open_page, services, viewer):
    said = everything_said(open_page("health"))
    assert "Read only: this needs the role operator, yours is viewer." in said
