"""The map is made of a bounded part of the questions, can be stopped, and has no text in it."""

from __future__ import annotations

import pytest

from core.models import OutcomeKind
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.questions import making
from core.semantic.questions.making import Stopped, make
from core.semantic.questions.question_map import decode, digest, encode
from tests.semantic.questions.test_report import a_record


@pytest.fixture(scope="module")
def embedder():
    return CheckedEmbedder(WordLlamaEmbedder())


def test_each_question_has_one_place_whatever_its_case(embedder):
    made = make([a_record("Where is my card?"), a_record("where is MY card?"), a_record("A fee?")], embedder, 9.0)
    assert set(made.places) == {digest("Where is my card?"), digest("A fee?")}
    assert (made.at, made.model, made.unread, made.left_out) == (9.0, "wordllama", 0, 0)


def test_what_is_kept_quotes_nothing_and_can_be_read_again(embedder):
    made = make([a_record("My secret pet is called Rex"), a_record("A fee?")], embedder, 9.0)
    stored = encode(made)
    assert decode(stored) == made
    assert not [word for word in (b"secret", b"Rex", b"rex", b"fee") if word in stored]


@pytest.mark.parametrize("value", [None, b"", b"\xc1", b"\x80"])
def test_what_is_no_map_is_none(value):
    assert decode(value) is None


def test_beyond_the_most_the_rarest_and_oldest_are_left_out(embedder, monkeypatch):
    monkeypatch.setattr(making, "MOST_QUESTIONS", 2)
    records = [a_record(text) for text in ("The newest?", "Asked often?", "The oldest?", "Asked often?")]
    made = make(records, embedder, 9.0)
    assert set(made.places) == {digest("Asked often?"), digest("The newest?")}
    assert made.left_out == 1


def test_what_the_model_cannot_read_is_counted(embedder):
    made = make([a_record("你好吗，我的卡在哪里"), a_record("Where is my card?")], embedder, 9.0)
    assert (len(made.places), made.unread) == (1, 1)


def test_requests_without_a_prompt_make_an_empty_map(embedder):
    assert make([a_record(None, OutcomeKind.BYPASS)], embedder, 9.0).places == {}


def test_it_reports_its_progress_and_stops_between_two_batches(embedder, monkeypatch):
    monkeypatch.setattr(making, "BATCH", 2)
    records = [a_record(f"What is thing {number}?") for number in range(5)]
    told: list[tuple[int, int]] = []
    with pytest.raises(Stopped):
        make(
            records,
            embedder,
            9.0,
            on_batch=lambda progress: told.append((progress.done, progress.total)),
            should_stop=lambda: len(told) == 2,
        )
    assert told == [(2, 5), (4, 5)]


def test_each_question_knows_the_nearest_other_if_it_is_near_enough(embedder, monkeypatch):
    monkeypatch.setattr(making, "BATCH", 2)
    card, cards, fee = "Where is my new card?", "Where is my card?", "How do birds fly south?"
    made = make([a_record(text) for text in (fee, card, cards)], embedder, 9.0)
    near = {name: place.near for name, place in made.places.items()}
    assert near == {digest(card): digest(cards), digest(cards): digest(card), digest(fee): b""}
