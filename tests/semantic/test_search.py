"""One lookup under way: what each of its steps reads, asks, counts and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from core.keys.identity import identify
from core.models import CacheEntry, ChatRequest, SemanticMode
from core.semantic.decision import Ask, Bounds, Candidates, Miss, NearEntry, Objection, Serve, overtaken
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Case, Judgement, SemanticResult
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
        self.cases: list[Case] = []
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

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        assert (case.namespace, case.question) == ("test", QUESTION)
        self.cases.append(case)
        self.done.append(f"judge {' '.join(entry.prompt for entry in stored)}")
        return [Judgement(word=next(self.words)) for _ in stored]

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


def test_the_judge_is_asked_once_about_the_nearest_three():
    desk = Desk((0.85, ""), (0.84, "numbers"), (0.8, ""), (0.75, ""), (0.74, ""), words=("no", "yes", "unnamed"))
    result = desk.run()
    assert desk.done == ["read 0.85", "read 0.84", "read 0.8", "read 0.75", "judge 0.85 0.8 0.75"]
    assert (result.found.entry.prompt, result.judged, result.similarity) == ("0.8", True, 0.8)
    assert [one.ruling for one in result.neighbours] == ["no", "", "yes", "unnamed"], "what it said of each is evidence"
    assert [one.served for one in result.neighbours] == [False, False, True, False]
    assert desk.counts == {"guard_numbers": 1, "judge_yes": 1}


def test_a_guard_is_asked_before_the_judge_of_every_candidate():
    desk = Desk((0.85, "numbers"), (0.8, "negation"), (0.75, ""), words=("yes",))
    assert desk.run().found.entry.prompt == "0.75"
    assert desk.done[-1] == "judge 0.75"


def test_the_judge_is_told_what_came_before_the_question():
    desk = Desk((0.85, ""), words=("no",))
    earlier = [{"role": "user", "content": "I use online banking."}, {"role": "assistant", "content": "I see."}]
    last = {"role": "user", "content": QUESTION}
    request = ChatRequest.from_openai(model="gpt-4o", messages=[*earlier, last])
    desk.search._identity = identify(request, "test")
    desk.run()
    assert desk.cases[0].history == ("user: I use online banking.", "assistant: I see.")


@pytest.mark.parametrize(("words", "counted"), [(("no", "no"), "judge_no"), (("late", "late"), "judge_late")])
def test_a_call_is_counted_once_by_what_came_of_it(words, counted):
    desk = Desk((0.85, ""), (0.8, ""), words=words)
    desk.run()
    assert desk.counts == {counted: 1}


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
    assert step == Ask(places=(0,))
    assert desk.seen == []
    desk.search.ask(step)
    step = desk.search.decide()
    assert step == Serve(place=0)
    result = desk.search.report(overtaken())
    assert (result.found, result.judged, result.reason) == (None, False, "judge-overtaken")
    assert [one.ruling for one in result.neighbours] == ["yes"]
    assert desk.seen == [result]


def test_a_decision_is_repeated_without_reading_again():
    desk = Desk((0.6, ""))
    assert desk.search.decide() == desk.search.decide() == Miss(reason="far")
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
        search.ask(Ask(places=(0,)))
