"""Grouping: near questions stand together, in groups and on the map, whatever there is to group."""

from __future__ import annotations

import numpy as np
import pytest

from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.questions.grouping import MOST_GROUPS, group, how_many

TOPICS = {
    "card": [
        "Where is my new card?",
        "When does my new card arrive?",
        "My new card has not arrived",
        "Is my card here?",
    ],
    "rate": [
        "What is the exchange rate?",
        "Which exchange rate is used?",
        "Is the exchange rate good?",
        "Exchange rates?",
    ],
    "pin": [
        "How do I change my PIN?",
        "Can I change the PIN?",
        "Change my PIN please",
        "Where do I change my PIN?",
    ],
}


@pytest.fixture(scope="module")
def grouped():
    return group(WordLlamaEmbedder().embed([text for texts in TOPICS.values() for text in texts]))


def test_no_group_has_questions_about_two_things(grouped):
    by_topic = [set(topic) for topic in grouped.groups.reshape(len(TOPICS), -1).tolist()]
    assert sum(map(len, by_topic)) == len(set.union(*by_topic)) == how_many(12)


def test_on_the_map_a_question_is_nearer_to_its_own_than_to_others(grouped):
    middles = grouped.places.reshape(len(TOPICS), -1, 2).mean(axis=1)
    for number, places in enumerate(grouped.places.reshape(len(TOPICS), -1, 2)):
        for place in places:
            assert np.linalg.norm(middles - place, axis=1).argmin() == number


def test_the_map_is_filled_and_no_place_is_outside_of_it(grouped):
    assert grouped.places.min(axis=0) == pytest.approx([-1, -1], abs=1e-5)
    assert grouped.places.max(axis=0) == pytest.approx([1, 1], abs=1e-5)


def test_the_same_vectors_give_the_same_groups_and_places():
    vectors = WordLlamaEmbedder().embed(TOPICS["card"] + TOPICS["pin"])
    first, second = group(vectors), group(vectors.copy())
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_few_or_equal_vectors_are_grouped_too(count):
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (count, 1))
    grouped = group(vectors)
    assert (len(grouped.groups), grouped.places.shape) == (count, (count, 2))
    assert len(set(grouped.groups.tolist())) <= 1
    assert np.isfinite(grouped.places).all()
    assert np.isfinite(grouped.typical).all()


def test_groups_have_three_questions_on_average_and_are_bounded():
    assert [how_many(count) for count in (0, 1, 5, 6, 30, 360, 2000)] == [1, 1, 1, 2, 9, 30, MOST_GROUPS]
