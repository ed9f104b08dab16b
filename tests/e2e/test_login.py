"""Logging in with a real provider: what each role sees and may do, and how a login ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core.bootstrap import Services, bootstrap
from core.demo.model import DemoProvider
from core.models import ChatRequest, OutcomeKind
from core.settings import Settings
from tests.e2e.conftest import PAGES, PATIENCE_MS, is_inside, settled
from tests.e2e.consoles import Console, variables
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PEOPLE = {
    "vera": {"email": "vera@example.org", "email_verified": True},
    "olga": {"email": "olga@example.org", "email_verified": True, "groups": ["staff", "sre"]},
    "anna": {"email": "Anna@Example.org", "email_verified": True},
    "mallory": {"email": "anna@example.org", "email_verified": False},
}


class House:
    """A console with a login, its provider, and the services behind it."""

    def __init__(self, console: Console, provider: OidcProvider, services: Services) -> None:
        self.console = console
        self.provider = provider
        self.services = services

    def ask(self, prompt: str) -> str:
        """The key of the answer to a prompt. Asks until it is stored: on a busy machine Redis may be too late."""
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        answers = (self.services.cache.complete(request) for _ in range(100))
        key = next(answer.key for answer in answers if answer.outcome.kind is OutcomeKind.HIT)
        assert key
        return key


@pytest.fixture(scope="module")
def house(tmp_path_factory, redis_url: str) -> Iterator[House]:
    port = free_port()
    namespace = "login"
    with OidcProvider(PEOPLE) as provider:
        provider.redirect_uri = f"http://127.0.0.1:{port}/oauth2callback"
        settings = {
            "redis_url": redis_url,
            "namespace": namespace,
            "console_url": f"http://127.0.0.1:{port}",
            "oidc_metadata_url": provider.metadata_url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_cookie_secret": "0123456789abcdef" * 2,
            "admins": "anna@example.org",
            "viewers": "vera@example.org",
            "role_claim": "groups",
            "role_values": '{"sre": "operator"}',
        }
        console = Console(tmp_path_factory.mktemp("console"), port=port, **variables(settings))
        built = bootstrap(Settings(redis_url=redis_url, namespace=namespace), provider=DemoProvider(latency_scale=0))
        with built as services:
            console.wait_until_ready()
            yield House(console, provider, services)
            console.stop()
    assert "Traceback" not in console.log.read_text(), console.log.read_text()


@pytest.fixture
def visit(browser: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Opens an address of the console, in a browser of its own or in another window of one."""
    contexts: list[BrowserContext] = []
    outside: list[str] = []

    def begin(path: str = "", *, beside: Page | None = None) -> Page:
        if beside is None:
            contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        page = (beside.context if beside else contexts[-1]).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: None if is_inside(request.url) else outside.append(request.url))
        page.goto(f"{house.console.address}/{path}")
        settled(page)
        return page

    yield begin
    for context in contexts:
        context.close()
    house.provider.age_seconds = 0
    assert outside == []


def log_in(page: Page, name: str) -> None:
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url("http://127.0.0.1:*/**")
    settled(page)


def test_a_deep_link_leads_through_the_login_to_its_page(visit, picture):
    page = visit("invalidations?model=gpt-4o")
    expect(page.get_by_role("heading", level=1)).to_have_text("Encore")
    expect(page.locator(".st-key-menu")).to_have_count(0)
    expect(page.get_by_text("gpt-4o")).to_have_count(0)
    picture(page, "login")
    log_in(page, "vera")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invalidations")
    assert page.url.endswith("/invalidations?model=gpt-4o")
    expect(page.get_by_test_id("stSidebar").get_by_text("vera@example.org")).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_contain_text("viewer")


def test_a_viewer_looks_an_operator_writes_and_an_admin_does_what_hits_everybody(visit, house, picture):
    key = house.ask("How do refunds work?")
    for name, role, may_one, may_all in (
        ("vera", "viewer", False, False),
        ("olga", "operator", True, False),
        ("anna", "admin", True, True),
    ):
        page = visit(f"invalidations?namespace=login&key={key}")
        log_in(page, name)
        expect(page.get_by_test_id("stSidebar")).to_contain_text(role)
        apply = page.get_by_role("button", name=re.compile(r"^Invalidate \d+ entr"))
        page.get_by_role("button", name="Preview").click()
        (expect(apply).to_be_enabled if may_one else expect(apply).to_be_disabled)()
        if not may_one:
            expect(page.get_by_text("this needs the role operator, yours is viewer").first).to_be_visible()
            picture(page, "invalidations-viewer")
        page = visit("invalidations?namespace=login", beside=page)
        page.get_by_role("button", name="Everything", exact=True).click()
        settled(page)
        page.get_by_role("button", name="Preview").click()
        apply = page.get_by_role("button", name=re.compile(r"^Invalidate \d+ entr"))
        (expect(apply).to_be_enabled if may_all else expect(apply).to_be_disabled)()


@pytest.mark.pictures
@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_for_a_viewer(visit, house, picture, name):
    house.ask("How do refunds work?")
    page = visit(name)
    log_in(page, "vera")
    expect(page.get_by_role("heading", level=1)).to_have_text(name.capitalize())
    picture(page, f"{name}-read-only")


def test_what_is_done_is_on_record_under_the_address_of_the_login(visit, house):
    page = visit("health")
    log_in(page, "olga")
    page.get_by_role("button", name="Run the self-test").click()
    expect(page.get_by_text("nothing crosses scopes")).to_be_visible()
    key = house.ask("What is a cat?")
    page.goto(f"{house.console.address}/invalidations?namespace=login&key={key}")
    settled(page)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Invalidate 1 entry in login", exact=True).click()
    expect(page.get_by_text("hidden from every lookup now")).to_be_visible()
    assert house.services.audit.records(1, action="invalidate.applied")[0].actor == "olga@example.org"


def test_one_without_a_role_stays_outside_even_with_the_unverified_address_of_an_admin(visit, picture):
    page = visit("entries")
    log_in(page, "mallory")
    expect(page.get_by_text("No role.")).to_be_visible()
    expect(page.get_by_text("subject-of-mallory has no role here")).to_be_visible()
    expect(page.locator(".st-key-menu")).to_have_count(0)
    picture(page, "login-no-role")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()


def test_logging_out_in_one_window_ends_the_login_in_the_others(visit, house):
    first = visit("health")
    log_in(first, "anna")
    second = visit("health", beside=first)
    expect(second.get_by_test_id("stSidebar").get_by_text("anna@example.org")).to_be_visible()
    cookies = first.context.cookies()
    before = house.provider.logged_out
    at_provider = f"{house.provider.issuer}/logout"
    with first.expect_response(lambda response: response.url.startswith(at_provider)):
        first.get_by_test_id("stSidebar").get_by_role("button", name="Log out").click()
    expect(first.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    assert house.provider.logged_out == before + 1
    # The other window finds out by itself or at the next click, and does nothing any more.
    expect(second.get_by_text("You have logged out: log in again.")).to_be_visible()
    expect(second.get_by_text("anna@example.org")).to_have_count(0)
    # Nor does the cookie open the door again, wherever it was kept.
    first.context.add_cookies(cookies)
    third = visit("health", beside=first)
    expect(third.get_by_text("You have logged out: log in again.")).to_be_visible()


def test_a_login_does_not_last_for_ever(visit, house, picture):
    house.provider.age_seconds = 12 * 3600 + 1
    page = visit("workers")
    log_in(page, "anna")
    expect(page.get_by_text("Your login has expired: log in again.")).to_be_visible()
    picture(page, "login-ended")
    house.provider.age_seconds = 0
    log_in(page, "anna")
    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
