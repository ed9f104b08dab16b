"""Two hundred hostile texts wherever text comes from outside: shown as text on every page, run by nobody.

They are prompts, answers, models, tags, criteria, actors, names of schedules, near questions, a judge's reasons, notes,
functions of jobs and names of workers.
"""

from __future__ import annotations

import itertools
import re
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from core.bans.criteria import Criteria
from core.bootstrap import Services
from core.models import ChatRequest, Completion, Controls, SemanticMode
from core.semantic.quality.calibration import Labeller
from core.semantic.quality.records import PairRecord, pair_id
from core.semantic.quality.thresholds import Threshold
from core.text.printable import is_name, printable
from tests.e2e.conftest import answers, metric, settled
from tests.e2e.installation import SEMANTIC
from tests.e2e.traffic import beside
from tests.fakes import CountingProvider, a_body
from workers.queue.records import queue_on

SETTINGS = SEMANTIC
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

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
        super().complete(request)
        return Completion(body=a_body(request.messages[-1]["content"]))


def can_be_encoded(text: str) -> bool:
    """Whether it can be a criterion, a tag or a name: a lone surrogate cannot."""
    return "\udc80" not in text


@pytest.fixture(scope="module")
def poisoned(encore) -> dict[str, str]:
    """Hostile texts in all places; links to an entry and to an invalidation of them."""
    texts, key = list(filter(can_be_encoded, CORPUS)), ""
    with beside(encore, Echo()) as services:
        for number, text in enumerate(CORPUS):
            tags = (text[:256],) if can_be_encoded(text) else ()
            messages = [{"role": "system", "content": text}] if number % 10 == 3 else []
            request = ChatRequest.from_openai(
                model=text[:200] if number % 4 == 0 and is_name(text[:200]) else "gpt-4o",
                messages=[*messages, {"role": "user", "content": text}],
                user="u",
            )
            key = services.cache.complete(request, Controls(tags=tags)).key or key
        for number, text in enumerate(texts[::5]):
            words = Criteria(keywords=(text[:100].strip() or "xx", "no such word"), keyword_mode="all")
            done = services.invalidation.invalidate(words if number % 2 else Criteria(tags=(text[:256],)), actor=text)
            services.invalidation.undo(done.id, actor=text)
        near(services, texts)
        for text in texts[:12]:
            services.schedules.add(
                namespace="default",
                actor=text,
                name=printable(text, 80),
                criteria={"keywords": [text[:99]]},
                every_seconds=3600,
            )
            grey = services.thresholds.current("default").grey
            threshold = Threshold(mode=SemanticMode.JUDGE, grey=grey - 0.01, serve=None)
            services.thresholds.publish("default", threshold, actor=text, note=text[:200])
        jobs(services, texts)
    return {"key": key, "invalidation": done.id}


def near(services: Services, texts: list[str]) -> None:
    """Pairs of near questions, what a judge said of them and by which name."""
    for text, other in zip(texts, reversed(texts), strict=True):
        services.evidence.add(
            PairRecord(
                pair=pair_id("default", text, other),
                at=time.time(),
                namespace="default",
                embedder="e" * 16,
                similarity=0.9,
                equivalent=True,
                labeller=Labeller.JUDGE,
                labelled_by=text,
                mode=SemanticMode.JUDGE,
                guard=text[:40],
                first=True,
                served=True,
                question=text,
                stored=other,
                reason=text,
            )
        )


def jobs(services: Services, texts: list[str]) -> None:
    """Jobs of functions that no worker runs, and workers that are registered and do nothing."""
    queue = queue_on(services.queue_redis)
    for number, text in enumerate(texts[:5]):
        queue.enqueue_call(text, kwargs={"version": 1, "namespace": text}, job_id=f"hostile-{number}")
    for text in [text for text in texts if not re.search(r"[=\s]", text)][:5]:  # what a connection can be named
        SimpleWorker([queue], name=text, connection=services.queue_redis, serializer=JSONSerializer).register_birth()


def test_there_are_two_hundred_of_them():
    assert len(set(CORPUS)) == 200


def assert_harmless(page: Page) -> None:
    """Nothing of it ran, nothing of it is a link or a picture, and nothing turns the direction of the text.

    The parts of a time of day are set apart by Streamlit itself.
    """
    settled(page)
    assert page.evaluate("window.hurt") is None
    everything = page.locator("body")
    loads = "a[href*='outside.invalid'], a[href^='javascript:'], img[src*='outside'], iframe, link[href*='outside']"
    assert [one.evaluate("one => one.outerHTML") for one in everything.locator(loads).all()] == []
    shown = re.sub(r"\u2066\s*\d\d\s*:\s*\d\d\s*\u2069", "", everything.inner_text())
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize("path", ["dashboard?live=false", "requests"])
def test_the_dashboard_runs_and_loads_nothing(open_console, poisoned, path):
    page = open_console(path)
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert_harmless(page)


@pytest.mark.parametrize("path", ["entries", "entries?id={key}", "workers", "health", "schedules"])
def test_a_page_runs_and_loads_nothing(open_console, poisoned, path):
    assert_harmless(open_console(path.format(**poisoned)))


@pytest.mark.parametrize("path", ["invalidations?tags=a", "invalidations?id={invalidation}"])
def test_invalidations_run_and_load_nothing(open_console, poisoned, path):
    page = open_console(path.format(**poisoned))
    if "pattern" in path:
        page.get_by_role("button", name="Preview").click()
        expect(metric(page, "Entries")).to_be_visible()
    assert_harmless(page)


def test_the_review_of_near_questions_runs_and_loads_nothing(open_console, poisoned):
    page = open_console("quality")
    for _ in range(6):
        expect(page.get_by_text("The judge's reason")).to_be_visible()
        assert_harmless(page)
        page.get_by_role("button", name="Skip").click()


def test_the_playground_runs_and_loads_nothing(open_console, poisoned):
    page = open_console(f"playground?prompt={quote(CORPUS[10])}")
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    expect(answers(page)).to_have_count(1)
    page.get_by_text(re.compile(r"^Why, in detail$|^Why was this not a hit\?$")).click()
    expect(page.get_by_text("What identifies this request")).to_be_visible()
    assert_harmless(page)
