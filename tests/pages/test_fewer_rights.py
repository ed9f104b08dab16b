"""The console where Redis' user may not run everything: each page draws what it may know, and says what it lacks."""

from __future__ import annotations

import pytest

from core.bootstrap import bootstrap
from core.models import ChatRequest
from core.settings import Settings
from tests.pages.conftest import everything_said
from tests.stores.redis.users import url_of_user

PAGES = ("dashboard", "playground", "entries", "invalidations", "schedules", "quality", "requests", "workers", "health")


@pytest.fixture
def with_less(pages_server, provider, use):
    """Has the pages use a user without these rights; two answers are stored."""
    built = []

    def begin(*less: str):
        with pages_server.client() as client:
            client.flushall()
        with bootstrap(Settings(redis_url=pages_server.url), provider=provider) as full:
            for text in ("What is an owl?", "What is a cat?"):
                full.cache.complete(
                    ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])
                )
        built.append(bootstrap(Settings(redis_url=url_of_user(pages_server, *less)), provider=provider))
        return use(built[-1])

    yield begin
    for services in built:
        services.close()


@pytest.mark.parametrize("less", ["-info", "-script", "-@hash", "-@sortedset", "-@set", "-@stream", "-@write"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_draws_what_it_may_know_and_says_that_rights_are_missing(open_page, with_less, page, less):
    with_less(less)
    at = open_page(page)
    assert not at.exception
    said = everything_said(at)
    assert "Redis does not answer" not in said
    assert "lacks rights" in said
    assert "ACL SETUSER encore" in said


def test_health_says_for_each_part_what_does_not_work_and_the_line_to_change(open_page, with_less):
    with_less("-info", "-script")
    said = everything_said(open_page("health"))
    assert "may not run INFO" in said
    assert "may not run SCRIPT EXISTS, SCRIPT LOAD" in said
    assert "ACL SETUSER encore +info +script|exists +script|load" in said
    assert "state not known" in said


def test_nothing_is_said_of_rights_that_are_there(open_page, with_less):
    with_less()
    assert "lacks rights" not in everything_said(open_page("health"))
