"""One message as the rules see it."""

from __future__ import annotations

import pytest

from core.semantic.conversations.reading import reading_of


@pytest.mark.parametrize(
    "text",
    [
        "How old is it?",
        "When did he die?",
        "And in winter?",
        "What about Spain?",
        "Why?",
        "Is there anything cheaper?",
        "How long is the bridge?",
        "Yes please.",
        "Make it sadder.",
        "Go on.",
        "Kilometres",
        "¿Y cuánto cuesta?",
        "Und wie lange dauert das?",
        "Et pourquoi ?",
        "他多大了？",
    ],
)
def test_a_message_that_leaves_out_what_it_is_about_is_bound(text):
    assert reading_of(text).depends
    assert reading_of(text).is_bound


@pytest.mark.parametrize(
    "text",
    [
        "Why is the sky blue?",
        "What is photosynthesis?",
        "How do I get red wine out of a carpet?",
        "When was the bridge over the Tay built?",
        "Is there a train from Lyon to Milan?",
        "Which phone that folds should I buy?",
        "Where was Bram Stoker born?",
        "Who is the president of the US?",
    ],
)
def test_a_message_that_says_all_itself_is_not(text):
    assert not reading_of(text).is_bound


def test_a_name_beside_a_pronoun_says_what_it_is_about():
    reading = reading_of("Is Nadal older than him?")
    assert reading.depends
    assert not reading.is_bound


@pytest.mark.parametrize(
    "text",
    [
        "Make it shorter",
        "Translate that into Italian, please",
        "can you summarise it",
        "Continue",
        "Give me a shorter version.",
    ],
)
def test_an_order_to_work_on_the_last_answer_is_one(text):
    assert reading_of(text).works_on_answer


@pytest.mark.parametrize("text", ["Translate 'good morning' into the Italian of Naples for my aunt", "Who made it?"])
def test_another_order_is_not(text):
    assert not reading_of(text).works_on_answer


@pytest.mark.parametrize(
    "text",
    [
        "I'm allergic to peanuts.",
        "We run PostgreSQL 16.",
        "My budget is 300 euros.",
        "Please answer in Spanish from now on.",
        "Use metric units.",
        "Ich wohne in Bonn.",
        "Réponds en anglais.",
    ],
)
def test_what_holds_for_the_whole_conversation_stands(text):
    assert [reading.text for reading in reading_of(text).standing] == [text]


@pytest.mark.parametrize(
    "text", ["I want to open an account.", "I'd like to know more", "How do I get there?", "I wonder why", "Thanks!"]
)
def test_a_wish_or_a_question_does_not_stand(text):
    assert reading_of(text).standing == ()


def test_nouns_are_told_from_verbs():
    reading = reading_of("Can I bring my dog into the office?")
    assert reading.nouns == {"dog", "offic"}


@pytest.mark.parametrize(("text", "word"), [("Yes please.", "yes"), ("No.", "no"), ("okay, sure", "yes"), ("Why?", "")])
def test_a_reply_says_yes_or_no(text, word):
    assert reading_of(text).yes_or_no == word
