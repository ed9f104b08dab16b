"""What the console reads: each read is kept under its own function and arguments, so that none answers for another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.metrics import RequestFilter
from core.settings import Settings
from pages.components.data import context, marks, queries, semantic, series
from pages.components.data.view import EvidenceView, View

PAGES = Path(__file__).resolve().parents[3] / "pages"


def test_two_lists_of_different_length_read_in_the_same_second_are_both_whole(services):
    for model in ("gpt-4o", "gpt-4o-mini", "o3"):
        services.invalidation.invalidate(Criteria(namespace="default", model=model), actor="console")
    assert len(queries.invalidations(1).value) == 1
    assert len(queries.invalidations(3).value) == 3
    assert len(queries.invalidations(1).value) == 1


def test_the_dashboard_does_not_shorten_the_history_of_the_invalidations_page(services, monkeypatch):
    monkeypatch.setattr(marks, "MOST_MARKS", 1)
    for model in ("gpt-4o", "gpt-4o-mini"):
        services.invalidation.invalidate(Criteria(namespace="default", model=model), actor="console")
    assert len(marks.invalidations(View(range="15m", namespace=None, model=None), True)) == 1
    assert len(queries.invalidations(queries.MOST_INVALIDATIONS).value) == 2


def test_an_entry_is_read_with_its_hits_for_every_page(services, ask):
    key = ask("What is a cat?").key
    ask("What is a cat?")
    services.metrics.flush()
    assert queries.entry("default", key).value.hits.total == 1


def test_equal_requests_are_read_once(services, monkeypatch):
    reads = []
    real = services.metrics.recent
    monkeypatch.setattr(type(services.metrics), "recent", lambda self, *args: reads.append(args) or real(*args))
    for _ in range(3):
        queries.requests(RequestFilter(model="gpt-4o"), 900)
    queries.requests(RequestFilter(model="gpt-4o"), 3600)
    queries.requests(RequestFilter(model="o3"), 900)
    assert len(reads) == 3


def test_the_beginning_of_a_window_is_no_part_of_the_key(services):
    view = EvidenceView(namespace="default", window="24h")
    assert semantic.evidence(view) is semantic.evidence(EvidenceView(namespace="default", window="24h"))


def test_without_redis_queries_are_empty_or_say_why(use, provider, tmp_path):
    with bootstrap(Settings(redis_url=None, home=tmp_path), provider=provider) as built:
        use(built)
        assert queries.schedules().value == []
        assert not series.gauges(View(range="15m", namespace=None, model=None))
        assert queries.alive_workers().error.startswith("there is no Redis")


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES.rglob("*.py") if path.name != "readings.py"],
    ids=lambda path: str(path.relative_to(PAGES)),
)
def test_readings_are_asked_through_their_functions_only(path):
    """A key is derived from the function that reads: nobody makes one up."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "get":
            assert ast.unparse(node.value).rpartition(".")[2] not in ("readings()", "queue_readings()"), node.lineno


def test_a_page_begins_with_the_configured_namespace_unless_all_requests_or_entries_are_in_others(services, ask):
    assert queries.namespace_in_use() == "default"
    for namespace, count in (("shop", 1), ("desk", 2)):
        for number in range(count):
            ask(f"What is number {number}?", namespace=namespace)
    services.metrics.flush()
    context.readings().renew()
    assert queries.namespace_in_use() == "desk", "the busiest"
    ask("What is a cat?")
    services.metrics.flush()
    context.readings().renew()
    assert queries.namespace_in_use() == "default"
    services.invalidation.invalidate(Criteria(namespace="default", all=True), actor="olga", hold_seconds=0)
    services.invalidation.sweep("default", rest=0)
    context.readings().renew()
    assert queries.namespace_in_use() == "desk", "there is nothing in the configured one"


def test_without_counted_requests_a_page_begins_with_the_namespace_with_most_entries(services, ask):
    for namespace, count in (("shop", 2), ("attic", 1)):
        for number in range(count):
            ask(f"What is number {number}?", namespace=namespace)
    # Requests are counted when they are flushed, which has not happened.
    assert queries.namespace_in_use() == "shop"
