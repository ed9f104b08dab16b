"""The one place that refuses what no lookup may trust."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from core.errors import EmbedderError
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import EmbedderIdentity, NoVector, Vectors

AXES = np.eye(3, dtype=np.float32)


class ScriptedEmbedder:
    """Gives what a test tells it to: `answer` is an array, an exception or a function of the texts."""

    def __init__(self, answer: object = None, objection: NoVector | None = None) -> None:
        self.answer = answer
        self.objections = objection
        self.batches: list[list[str]] = []
        self.gate: threading.Event | None = None
        self.identity = EmbedderIdentity(name="scripted", version="1", dimension=3)

    def objection(self, text: str) -> NoVector | None:
        if isinstance(self.objections, Exception):
            raise self.objections
        return self.objections

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        if self.gate is not None:
            self.gate.wait(120)
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            return self.answer(texts)
        return AXES[: len(texts)] if self.answer is None else self.answer


NAN, INFINITY = np.full((1, 3), np.nan, np.float32), np.array([[np.inf, 0, 0]], np.float32)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros((1, 2), np.float32), NoVector.WRONG_SHAPE),
        (np.zeros((0, 3), np.float32), NoVector.WRONG_SHAPE),
        (np.zeros((2, 3), np.float32), NoVector.WRONG_SHAPE),
        (np.zeros(3, np.float32), NoVector.WRONG_SHAPE),
        ([[1.0, 0.0, 0.0]], NoVector.WRONG_SHAPE),
        (lambda texts: None, NoVector.WRONG_SHAPE),
        (NAN, NoVector.NOT_FINITE),
        (INFINITY, NoVector.NOT_FINITE),
        (np.zeros((1, 3), np.float32), NoVector.ZERO),
        (EmbedderError("down"), NoVector.FAILED),
        (RuntimeError("a bug in foreign code"), NoVector.FAILED),
    ],
)
def test_what_cannot_be_trusted_is_a_reason_and_not_a_vector(answer, reason):
    assert CheckedEmbedder(ScriptedEmbedder(answer)).vector("text") is reason


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_not_embedded(text):
    embedder = ScriptedEmbedder()
    assert CheckedEmbedder(embedder).vector(text) is NoVector.EMPTY
    assert embedder.batches == []


def test_an_objection_is_the_answer():
    embedder = ScriptedEmbedder(objection=NoVector.TOO_LONG)
    assert CheckedEmbedder(embedder).vector("long text") is NoVector.TOO_LONG
    assert embedder.batches == []


def test_an_objection_that_fails_is_a_reason_too():
    assert CheckedEmbedder(ScriptedEmbedder(objection=RuntimeError())).vector("text") is NoVector.FAILED


def test_half_a_surrogate_pair_is_unreadable():
    assert CheckedEmbedder(ScriptedEmbedder()).vector("\ud800") is NoVector.UNREADABLE


def test_a_vector_has_length_one_whatever_the_embedder_says():
    vector = CheckedEmbedder(ScriptedEmbedder(np.array([[3.0, 4.0, 0.0]], np.float32))).vector("text")
    assert vector == pytest.approx([0.6, 0.8, 0.0])


def test_a_vector_cannot_be_changed_by_one_of_its_users():
    vector = CheckedEmbedder(ScriptedEmbedder()).vector("text")
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 5


def test_a_text_is_embedded_once():
    embedder = ScriptedEmbedder()
    checked = CheckedEmbedder(embedder)
    assert checked.vector("text") is checked.vector("text")
    assert embedder.batches == [["text"]]


def test_a_failure_is_not_remembered():
    embedder = ScriptedEmbedder(EmbedderError("down"))
    checked = CheckedEmbedder(embedder)
    assert checked.vector("text") is NoVector.FAILED
    embedder.answer = None
    assert checked.vector("text") == pytest.approx(AXES[0])


def test_only_so_many_are_remembered_and_the_oldest_goes_first():
    embedder = ScriptedEmbedder()
    checked = CheckedEmbedder(embedder, remembered=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        checked.vector(text)
    assert embedder.batches == [["a"], ["b"], ["c"], ["b"]]


def test_a_batch_asks_for_what_is_missing_and_keeps_the_order():
    embedder = ScriptedEmbedder()
    checked = CheckedEmbedder(embedder)
    known = checked.vector("known")
    answers = checked.vectors(["x", "", "known", "y"])
    assert embedder.batches == [["known"], ["x", "y"]]
    assert answers[0] == pytest.approx(AXES[0])
    assert answers[1] is NoVector.EMPTY
    assert answers[2] is known
    assert answers[3] == pytest.approx(AXES[1])


def test_one_bad_row_does_not_spoil_the_others_of_a_batch():
    rows = np.array([[0, 0, 0], [0, 1, 0]], np.float32)
    answers = CheckedEmbedder(ScriptedEmbedder(rows)).vectors(["bad", "good"])
    assert answers[0] is NoVector.ZERO
    assert answers[1] == pytest.approx(AXES[1])


@pytest.fixture
def slow():
    embedder = ScriptedEmbedder()
    gate = embedder.gate = threading.Event()
    checked = CheckedEmbedder(embedder, deadline_seconds=0.02)
    yield embedder, checked
    gate.set()
    checked.close()


def test_an_embedder_in_time_is_like_one_without_a_deadline():
    checked = CheckedEmbedder(ScriptedEmbedder(), deadline_seconds=20)
    assert checked.vector("text") == pytest.approx(AXES[0])
    checked.close()


def test_a_late_embedder_costs_the_deadline_and_its_vector_serves_the_next(slow):
    embedder, checked = slow
    once = iter([AXES[:1]])
    embedder.answer = lambda texts: next(once)  # fails from the second time on
    assert checked.vector("text") is NoVector.LATE
    embedder.gate.set()
    while isinstance(answer := checked.vector("text"), NoVector):
        pass
    assert answer == pytest.approx(AXES[0])


def test_a_hanging_embedder_is_not_given_more_than_it_has_threads(slow):
    embedder, checked = slow
    texts = [f"text {number}" for number in range(CheckedEmbedder.WORKERS + 3)]
    assert {checked.vector(text) for text in texts} == {NoVector.LATE}
    embedder.gate.set()
    while isinstance(checked.vector("afterwards"), NoVector):
        pass
    embedded = {text for batch in embedder.batches for text in batch}
    assert embedded & set(texts) == set(texts[: CheckedEmbedder.WORKERS])  # nothing had been queued


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_embeds_on_threads_of_its_own():
    checked = CheckedEmbedder(ScriptedEmbedder(), deadline_seconds=20)
    checked.vector("in the parent")

    def child(answers):
        answers.put(isinstance(checked.vector("in the child"), np.ndarray))

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert answers.get()
    checked.close()


def test_after_closing_it_can_be_used_again():
    checked = CheckedEmbedder(ScriptedEmbedder(), deadline_seconds=20)
    checked.vector("a")
    checked.close()
    assert isinstance(checked.vector("b"), np.ndarray)
    checked.close()
