"""Two hundred hostile texts as prompts, answers, models, criteria and actors: shown as text, run by nobody."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.bans import Criteria
from core.bootstrap import bootstrap
from core.models import ChatRequest
from core.settings import Settings
from tests.e2e.conftest import settled
from tests.fakes import CountingProvider

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ACTS = [
    "<script>window.hurt=1</script>",
    "<img src=x onerror=window.hurt=1>",
    "<svg onload=window.hurt=1>",
    "<iframe srcdoc='<script>parent.hurt=1</script>'></iframe>",
    "<a href='javascript:window.hurt=1'>x</a>",
    "<img src=http://outside.invalid/i.png>",
    "<link rel=stylesheet href=http://outside.invalid/s.css>",
    "<style>@import 'http://outside.invalid/s.css'</style>",
    "![i](http://outside.invalid/i.png)",
    "[click](javascript:window.hurt=1)",
    "[click](http://outside.invalid/)",
    "<http://outside.invalid/>",
    "http://outside.invalid/plain",
    "$\\href{javascript:window.hurt=1}{x}$",
    ":material/home: :red[red] :violet-badge[badge]",
    "{{constructor.constructor('window.hurt=1')()}}",
    '=HYPERLINK("http://outside.invalid/")',
    "\u202egnp.exe\u202c \u2066hidden\u2069 \u200bzero",
    "\x1b[31mred\x07\x00null",
    "lone \udc80 surrogate",
]
WRAPPINGS = ["{}", "`{}", "``` \n{}", '"{}', "'>{}", "</code>{}", "]({}", "**{}", "| {} |\n|-|", "> {}"]
CORPUS = [wrapping.format(act) for act, wrapping in itertools.product(ACTS, WRAPPINGS)]


class Echo(CountingProvider):
    """Answers with the prompt."""

    def complete(self, request, timeout_seconds=None):
        self.body = {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": request.messages[-1]["content"]},
                    "finish_reason": "stop",
                }
            ]
        }
        return super().complete(request)


def can_be_encoded(text: str) -> bool:
    """Whether it can be an invalidation's criterion: a lone surrogate cannot."""
    return "\udc80" not in text


@pytest.fixture(scope="module")
def poisoned(encore) -> None:
    settings = Settings(redis_url=(Path(encore.home) / "redis.url").read_text())
    with bootstrap(settings, provider=Echo()) as services:
        for number, text in enumerate(CORPUS):
            model = text[:200] if number % 4 == 0 else "gpt-4o"
            request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": text}], user="u")
            services.cache.complete(request)
        for text in filter(can_be_encoded, CORPUS[::5]):
            done = services.invalidation.invalidate(
                Criteria(keywords=(text[:100].strip() or "xx", "no such word"), keyword_mode="all"), actor=text
            )
            services.invalidation.undo(done.id, actor=text)


def test_there_are_two_hundred_of_them():
    assert len(set(CORPUS)) == 200


@pytest.mark.parametrize(
    "path",
    [
        "dashboard",
        "requests",
        "invalidations?pattern=*a*",
        "entries",
        "workers",
        "health",
        "playground?prompt=%3Cimg%20src%3Dx%20onerror%3Dwindow.hurt%3D1%3E",
    ],
)
def test_a_page_full_of_hostile_text_runs_and_loads_nothing(open_console, poisoned, path):
    page = open_console(path)
    if path.startswith("invalidations"):
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_test_id("stMetric").first).to_be_visible()
    if path.startswith("dashboard"):
        for tab in ("Missed most", "By model", "Reasons"):
            page.get_by_role("tab", name=tab).click()
            settled(page)
    if path.startswith("playground"):
        page.get_by_test_id("stChatInputTextArea").press("Enter")
        expect(page.get_by_text("Waited", exact=True)).to_be_visible()
    settled(page)
    assert page.evaluate("window.hurt") is None
    main = page.get_by_test_id("stMainBlockContainer")
    assert main.locator("a[href*='outside.invalid'], a[href^='javascript:'], img[src*='outside'], iframe").count() == 0
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069]", main.inner_text())
