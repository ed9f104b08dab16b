"""What an evaluation counts, with something to ask whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.evaluation import Counts, LabelledPair, LabelledQuestion, Verdict, evaluate, measuring

MESSAGES = ({"role": "user", "content": "Why?"},)


class Scripted:
    """Gives one verdict after another, the last for ever."""

    def __init__(self, *verdicts: Verdict) -> None:
        self._verdicts = list(verdicts)
        self.asked: list[str] = []

    def ask(self, messages: Sequence[object], label: str) -> Verdict:
        self.asked.append(label)
        return self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]


def pair(equivalent: bool, **names: str) -> LabelledPair:
    return LabelledPair(number=1, a=MESSAGES, b=MESSAGES, equivalent=equivalent, **names)


def question(answer_class: str, number: int = 1, **names: str) -> LabelledQuestion:
    return LabelledQuestion(number=number, messages=MESSAGES, answer_class=answer_class, **names)


@pytest.mark.parametrize("equivalent", [True, False])
@pytest.mark.parametrize(
    ("verdict", "became"),
    [(Verdict(served="a"), "served"), (Verdict(shown=("a",)), "judged"), (Verdict(), "")],
)
def test_a_pair_counts_by_what_became_of_its_second_question(equivalent, verdict, became):
    kind = "good" if equivalent else "traps"
    expected = Counts(**{kind: 1, **({f"{became}_{kind}": 1} if became else {})})
    begun: list[Scripted] = []

    def begin() -> Scripted:
        begun.append(Scripted(Verdict(), verdict))
        return begun[-1]

    assert evaluate([pair(equivalent)], begin).every == expected
    assert [one.asked for one in begun] == [["a", "b"]]


def test_each_pair_is_asked_of_something_empty_and_a_stream_of_one_thing():
    begun: list[Scripted] = []

    def begin() -> Scripted:
        begun.append(Scripted(Verdict()))
        return begun[-1]

    evaluate([question("x"), pair(True), question("y"), pair(False)], begin)
    assert [one.asked for one in begun] == [["x", "y"], ["a", "b"], ["a", "b"]]


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        (Verdict(served="own"), Counts(good=1, traps=1, served_good=1)),
        (Verdict(served="other"), Counts(good=1, traps=1, served_traps=1)),
        (Verdict(shown=("other", "own")), Counts(good=1, traps=1, judged_good=1)),
        (Verdict(shown=("other",)), Counts(good=1, traps=1, judged_traps=1)),
    ],
)
def test_in_a_stream_the_class_of_the_answer_decides(verdict, counts):
    asked = Scripted(Verdict(), verdict)
    assert evaluate([question("own"), question("own")], lambda: asked).every == counts


VERDICTS = st.builds(
    Verdict, served=st.sampled_from([None, "a", "x", "y"]), shown=st.lists(st.sampled_from("xy")).map(tuple)
)
NAMES = st.fixed_dictionaries({"category": st.sampled_from("pq"), "language": st.sampled_from(["de", "en"])})
LINES = st.lists(
    st.one_of(
        st.builds(lambda equivalent, names: pair(equivalent, **names), st.booleans(), NAMES),
        st.builds(lambda name, names: question(name, **names), st.sampled_from("xy"), NAMES),
    )
)


class Honest(Scripted):
    """Gives verdicts only about what it was asked before."""

    def ask(self, messages: Sequence[object], label: str) -> Verdict:
        stored = set(self.asked)
        verdict = super().ask(messages, label)
        served = verdict.served if verdict.served in stored else None
        return Verdict(served=served, shown=tuple(one for one in verdict.shown if one in stored))


@given(lines=LINES, verdicts=st.lists(VERDICTS, min_size=1))
def test_counts_add_up(lines, verdicts):
    asked = Honest(*verdicts)
    found = evaluate(lines, lambda: asked)
    every = msgspec.structs.astuple(found.every)
    assert found.every.good + found.every.traps == len(lines)
    for parts in (found.by_category, found.by_language):
        summed = [sum(column) for column in zip(*map(msgspec.structs.astuple, parts.values()), strict=True)]
        assert tuple(summed or [0] * 6) == every
    for counts in (found.every, *found.by_category.values(), *found.by_language.values()):
        good, traps, *became = msgspec.structs.astuple(counts)
        assert sum(became) <= good + traps
        assert counts.served_good + counts.judged_good <= good


def test_lines_without_a_name_are_in_no_part():
    assert evaluate([pair(True)], lambda: Scripted(Verdict())).by_category == {}


@pytest.mark.parametrize("limit", ["MOST_NAMES", "MOST_CLASSES"])
def test_more_names_than_are_kept_in_memory_are_refused_with_the_line(limit, monkeypatch):
    monkeypatch.setattr(measuring, limit, 2)
    lines = [question(str(number), number, category=str(number)) for number in range(1, 4)]
    with pytest.raises(InvalidInput, match=r"line 3: has one .* more than 2"):
        evaluate(lines, lambda: Scripted(Verdict()))
    assert evaluate(lines[:2] * 2, lambda: Scripted(Verdict())).every.good == 2
