"""One lookup under way: what each of its steps reads, asks, counts and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from core.keys.identity import identify
from core.models import CacheEntry, ChatRequest, SemanticMode
from core.semantic.decision import Ask, Bounds, Candidates, Miss, NearEntry, Objection, Serve, overtaken
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Judgement, SemanticResult
from core.semantic.search import Search
from tests.samples import an_entry

QUESTION = "How do I reset my password?"
IDENTITY = identify(ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}]), "test")
THRESHOLD = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=0.9)


class Desk:
    """A search over given entries, and a list of what was done, in order."""

    def __init__(self, *entries: tuple[float, str], words: tuple[str, ...] = ()) -> None:
        self.done: list[str] = []
        self.words = iter(words)
        self.counts: Counter[str] = Counter()
        self.seen: list[SemanticResult] = []
        self.search = Search(
            IDENTITY,
            THRESHOLD,
            Candidates(bounds=Bounds(serve=0.9, lowest=0.7, noted=0.5), nearest=entries[0][0] if entries else None),
            self.fetched(entries),
            embedder="ab",
            judge=self,
            count=lambda name: self.counts.update([name]),
            observer=lambda identity, threshold, result: self.seen.append(result),
        )

    def fetched(self, entries: tuple[tuple[float, str], ...]) -> Iterator[NearEntry]:
        for similarity, guard in entries:
            self.done.append(f"read {similarity}")
            yield NearEntry(
                entry=an_entry(str(similarity)), bucket=1, similarity=similarity, objection=Objection(guard, "")
            )

    def rule(self, namespace: str, question: str, stored: CacheEntry) -> Judgement:
        assert (namespace, question) == ("test", QUESTION)
        self.done.append(f"judge {stored.prompt}")
        return Judgement(word=next(self.words))

    def run(self) -> SemanticResult:
        step = self.search.decide()
        while isinstance(step, Ask):
            self.search.ask(step)
            step = self.search.decide()
        return self.search.report(step)


def test_the_nearest_is_read_alone_when_it_decides():
    desk = Desk((0.95, ""), (0.94, ""))
    result = desk.run()
    assert desk.done == ["read 0.95"]
    assert (result.found.entry.prompt, result.bucket, result.similarity, result.judged) == ("0.95", 1, 0.95, False)
    assert (result.reason, result.nearest, result.embedder) == ("", 0.95, "ab")
    assert desk.seen == [result]


def test_a_next_entry_is_read_only_after_the_judge_said_no():
    desk = Desk((0.85, ""), (0.8, ""), (0.75, ""), words=("no", "yes"))
    result = desk.run()
    assert desk.done == ["read 0.85", "judge 0.85", "read 0.8", "judge 0.8"]
    assert (result.found.entry.prompt, result.judged) == ("0.8", True)
    assert [one.ruling for one in result.neighbours] == ["no", "yes"]
    assert desk.counts == {"judge_no": 1, "judge_yes": 1}


def test_guards_are_counted_once_and_far_ones_never():
    desk = Desk((0.95, "numbers"), (0.85, "numbers"), (0.6, "contrast"))
    result = desk.run()
    assert desk.counts == {"guard_numbers": 2}
    assert (result.found, result.similarity, result.reason, result.nearest) == (None, None, "guard-numbers", 0.95)
    assert [one.far for one in result.neighbours] == [False, False, True]


def test_a_word_of_two_parts_is_counted_by_a_name():
    desk = Desk((0.85, ""), words=("over-budget",))
    assert desk.run().reason == "judge-over-budget"
    assert desk.counts == {"judge_over_budget": 1}


def test_nothing_near_is_reported_too():
    desk = Desk()
    assert desk.run() == SemanticResult(reason="far", embedder="ab")
    assert len(desk.seen) == 1


def test_an_overtaken_yes_is_a_miss_that_is_reported_once():
    desk = Desk((0.85, ""), words=("yes",))
    step = desk.search.decide()
    assert step == Ask(place=0)
    assert desk.seen == []
    desk.search.ask(step)
    step = desk.search.decide()
    assert step == Serve(place=0)
    result = desk.search.report(overtaken(step))
    assert (result.found, result.judged, result.reason) == (None, False, "judge-overtaken")
    assert [one.ruling for one in result.neighbours] == ["yes"]
    assert desk.seen == [result]


def test_a_decision_is_repeated_without_reading_again():
    desk = Desk((0.6, ""))
    assert desk.search.decide() == desk.search.decide() == Miss(reason="far", looked_at=1)
    assert desk.done == ["read 0.6"]


def test_without_a_judge_nobody_can_be_asked():
    search = Search(
        IDENTITY,
        THRESHOLD,
        Candidates(bounds=Bounds(serve=0.9, lowest=0.9, noted=0.5), nearest=None),
        iter(()),
        embedder="",
        judge=None,
        count=lambda name: None,
        observer=lambda identity, threshold, result: None,
    )
    with pytest.raises(AssertionError):
        search.ask(Ask(place=0))
