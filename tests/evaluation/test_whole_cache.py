"""Labelled questions through a whole cache: what it serves, what a judge would be shown."""

from __future__ import annotations

import pytest

from core.bootstrap import evaluated
from core.errors import InvalidSettings
from core.evaluation import LabelledPair, LabelledQuestion, Verdict, evaluate
from core.settings import Settings

ASKED = "How do I reset my password?"
NEAR = "How can I reset my password?"
JUDGED = {"strategy": "semantic", "semantic": "judge"}
SERVED = {"strategy": "semantic", "semantic": "serve", "semantic_threshold": 0.8}


def messages(*texts: str):
    return [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]


def asked_of(*questions: str, **settings: object) -> list[Verdict]:
    """The verdicts on questions, each labelled by its place."""
    cache = evaluated(Settings(**settings))()
    return [cache.ask(messages(question), str(place)) for place, question in enumerate(questions)]


def test_the_label_served_is_that_of_the_stored_question():
    verdicts = asked_of("Why is the sky blue?", ASKED, ASKED, "how do i reset my password", **SERVED)
    assert [verdict.served for verdict in verdicts] == [None, None, "1", "1"]


def test_by_default_only_what_is_typed_otherwise_is_served():
    assert asked_of(ASKED, NEAR) == [Verdict(), Verdict()]
    assert asked_of(ASKED, ASKED.lower())[1].served == "0"


def test_near_questions_are_served_from_the_threshold_of_the_settings():
    assert asked_of(ASKED, NEAR, **SERVED)[1] == Verdict(served="0")
    assert asked_of(ASKED, NEAR, **SERVED | {"semantic_threshold": 1.0})[1] == Verdict()


def test_what_a_judge_would_be_shown_is_noted_and_served_to_nobody():
    assert asked_of(ASKED, NEAR, NEAR, **JUDGED) == [Verdict(), Verdict(shown=("0",)), Verdict(served="1")]


def test_what_is_hidden_from_a_judge_is_not_shown():
    verdicts = {}
    for word in ("yes", "soon"):
        stored = f"How do I get a customer to reply only {word}?"
        verdicts[word] = asked_of(stored, stored.replace("do I", "can I"), **JUDGED)[1]
    assert verdicts == {"yes": Verdict(), "soon": Verdict(shown=("0",))}


def test_personal_questions_are_compared_as_those_of_one_user():
    assert asked_of("What is my balance?", "what is my balance", audience="auto")[1].served == "0"


def test_conversations_are_judged_where_the_settings_say_so():
    chats = messages("Who wrote Faust?", "Goethe.", "When was he born?"), messages("When was Goethe born?")
    for settings, shown in ((JUDGED | {"semantic_conversations": "judge"}, ("a",)), (JUDGED, ())):
        cache = evaluated(Settings(**settings))()
        cache.ask(chats[0], "a")
        verdict = cache.ask(messages("Who wrote Faust?", "It was Goethe.", "When was he born?"), "b")
        assert (verdict.served, verdict.shown) == (None, shown)


def test_pairs_know_nothing_of_each_other_and_a_stream_does():
    begin = evaluated(Settings(**SERVED))
    pairs = [
        LabelledPair(number=1, a=messages(ASKED), b=messages("Is it raining?"), equivalent=False),
        LabelledPair(number=2, a=messages("Why is the sky blue?"), b=messages(NEAR), equivalent=False),
    ]
    assert evaluate(pairs, begin).every.served_traps == 0
    stream = [LabelledQuestion(number=1, messages=messages(text), answer_class="reset") for text in (ASKED, NEAR)]
    assert evaluate(stream, begin).every.served_good == 1


def test_half_of_a_surrogate_pair_is_a_miss_like_any_other():
    assert asked_of("\ud800 Why?", "\ud800 Why?", **SERVED)[1].shown == ()


def test_an_embedder_that_is_asked_over_the_network_is_refused():
    with pytest.raises(InvalidSettings, match="asks no server"):
        evaluated(Settings(strategy="semantic", embedder="openai:text-embedding-3-small"))
    evaluated(Settings(embedder="openai:text-embedding-3-small"))  # not used by this strategy
