"""The guards, by what they must refuse and what they must let pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.guards.checks import (
    DEFAULT_GUARDS,
    MAX_CHARACTERS_COMPARED,
    MAX_WORDS,
    MAX_WORDS_COMPARED,
    MAX_WORDS_CONTRAST,
    Guard,
    GuardVerdict,
    check,
    check_each,
)
from core.semantic.guards.contrasts import Contrasts

REFUSED = [
    # numbers
    (Guard.NUMBERS, "Cancel order 48213", "Cancel order 48231"),
    (Guard.NUMBERS, "What is 12 times 8?", "What is 12 times 9?"),
    (Guard.NUMBERS, "Book a table for two", "Book a table for three"),
    (Guard.NUMBERS, "Is 1.5 mg enough?", "Is 15 mg enough?"),
    (Guard.NUMBERS, "How do I pay $1,500?", "How do I pay $15,000?"),
    (Guard.NUMBERS, "Who was the twenty-first speaker?", "Who was the 22nd speaker?"),
    (Guard.NUMBERS, "Songs of the 1970s", "Songs of the nineties"),
    (Guard.NUMBERS, "Set an alarm for 7:30", "Set an alarm for 7:45"),
    (Guard.NUMBERS, "What changed in version 3.1?", "What changed in version 3.10?"),
    (Guard.NUMBERS, "Tell me about World War I and II", "Tell me about World War I"),
    (Guard.NUMBERS, "What is -5 + 3?", "What is 5 + 3?"),
    (Guard.NUMBERS, "What is 6 + 3?", "What is 6 - 3?"),
    (Guard.NUMBERS, "List the top 10 films", "List the top films"),
    # negation
    (Guard.NEGATION, "Why does the printer work?", "Why doesn't the printer work?"),
    (Guard.NEGATION, "Foods I can eat with gout", "Foods I can not eat with gout"),
    (Guard.NEGATION, "Which birds cannot swim?", "Which birds can swim?"),
    (Guard.NEGATION, "Send the newsletter", "Don't send the newsletter"),
    (Guard.NEGATION, "How to cook without oil", "How to cook with oil"),
    (Guard.NEGATION, "Is the mushroom safe?", "Is the mushroom unsafe?"),
    (Guard.NEGATION, "How do I pay taxes?", "How do I avoid taxes?"),
    (Guard.NEGATION, "dont delete my account", "delete my account"),
    # antonyms and exclusive groups
    (Guard.CONTRAST, "Turn the lamp on", "Turn the lamp off"),
    (Guard.CONTRAST, "How do I enable sync?", "How do I disable sync?"),
    (Guard.CONTRAST, "Cheapest hotel in town", "Most expensive hotel in town"),
    (Guard.CONTRAST, "Is the museum open on Monday?", "Is the museum open on Tuesday?"),
    (Guard.CONTRAST, "Weather in March", "Weather in April"),
    (Guard.CONTRAST, "What is 20 miles in metres?", "What is 20 miles in yards?"),
    (Guard.CONTRAST, "How much is 5 euros?", "How much is 5 dollars?"),
    (Guard.CONTRAST, "How much is €5?", "How much is £5?"),
    (Guard.CONTRAST, "Say hello in Spanish", "Say hello in Portuguese"),
    (Guard.CONTRAST, "Population of Austria", "Population of Australia"),
    (Guard.CONTRAST, "Sort a list in Go", "Sort a list in Rust"),
    (Guard.CONTRAST, "Read a file in C", "Read a file in C++"),
    (Guard.CONTRAST, "Who was the first king?", "Who was the last king?"),
    (Guard.CONTRAST, "Call me at 9 am", "Call me at 9 pm"),
    (Guard.CONTRAST, "Is it 30 °C outside?", "Is it 30 °F outside?"),
    (Guard.CONTRAST, "Show the closed tickets", "Show the open tickets"),
    (Guard.CONTRAST, "Flights to New York", "Flights to New Orleans"),
    (Guard.CONTRAST, "What is an http header?", "What is an https header?"),
    (Guard.CONTRAST, "Do all employees get a bonus?", "Do some employees get a bonus?"),
    (Guard.CONTRAST, "Can both parents apply?", "Can either parent apply?"),
    (Guard.CONTRAST, "Is alcohol allowed on board?", "Is alcohol forbidden on board?"),
    (Guard.CONTRAST, "Foods rich in iron", "Foods low in iron"),
    (Guard.CONTRAST, "How do I change my billing address?", "How do I change my shipping address?"),
    (Guard.CONTRAST, "How do I freeze a virtual card?", "How do I freeze a physical card?"),
    (Guard.CONTRAST, "What is the domestic transfer limit?", "What is the international transfer limit?"),
    (Guard.CONTRAST, "What is the cause of anemia?", "What is the cure for anemia?"),
    (Guard.CONTRAST, "What is the height of the tower?", "What is the weight of the tower?"),
    (Guard.CONTRAST, "Convert 50 CAD to EUR", "Convert 50 AUD to EUR"),
    (Guard.CONTRAST, "How many calories are in 100 g of rice?", "How many calories are in 100 oz of rice?"),
    # what is asked for
    (Guard.QUESTION, "How often should I water a cactus?", "How much should I water a cactus?"),
    (Guard.QUESTION, "Why is the server down?", "When is the server down?"),
    (Guard.QUESTION, "Who sells this bike?", "Where is this bike sold?"),
    (Guard.QUESTION, "How many users do we have?", "Why do we have users?"),
    # who and whom, from and to
    (Guard.ROLES, "Translate from English to German", "Translate from German to English"),
    (Guard.ROLES, "Convert metres to feet", "Convert feet to metres"),
    (Guard.ROLES, "Can Alice sue Bob?", "Can Bob sue Alice?"),
    (Guard.ROLES, "Is Java faster than Python?", "Is Python faster than Java?"),
    (Guard.ROLES, "Trains from Leeds on Sunday", "Trains to Leeds on Sunday"),
    (Guard.ROLES, "Is A a part of B?", "Is B a part of A?"),
    (Guard.ROLES, "Rate it 3 out of 5", "Rate it 5 out of 3"),
    # names
    (Guard.NAMES, "How high is Mount Kenya?", "How high is Mount Elbrus?"),
    (Guard.NAMES, "Who played Gandalf in the film?", "Who played Saruman in the film?"),
    (Guard.NAMES, "What does the ENOSPC error mean?", "What does the EPERM error mean?"),
    (Guard.NAMES, "Explain vitamin D to me", "Explain vitamin E to me"),
    # identifiers
    (Guard.IDENTIFIERS, "What does grep -v do?", "What does grep -V do?"),
    (Guard.IDENTIFIERS, "What does rsync --delete do?", "What does rsync --dry-run do?"),
    (Guard.IDENTIFIERS, "Explain parse_url", "Explain parse_path"),
    (Guard.IDENTIFIERS, "Explain parseUrl to me", "Explain parsePath to me"),
    (Guard.IDENTIFIERS, "What is in setup.py?", "What is in setup.toml?"),
    (Guard.IDENTIFIERS, "What does WHO recommend?", "Who does recommend?"),
]

ALIKE = [
    ("Do all employees get a bonus?", "Does every employee get a bonus?"),
    ("How does my personal account work?", "How do I use my personal account?"),
    ("How long does delivery take?", "How much time does delivery take?"),
    ("How many calories are in 100 g of rice?", "How many calories does 100 grams of rice have?"),
    ("What is the monthly fee?", "How much is the fee per month?"),
    ("What are the benefits of fasting?", "Which benefits does fasting have?"),
    ("How do I reset my password?", "How can I reset my password?"),
    ("Can you tell me the opening hours?", "Can't you tell me the opening hours?"),
    ("Isn't it too late to apply?", "Is it too late to apply?"),
    ("I don't know how to export a chart", "How to export a chart"),
    ("I am not sure where my invoice is", "Where is my invoice?"),
    ("It is late, isn't it?", "It is late"),
    ("Why does my phone not charge?", "Why doesn't my phone charge?"),
    ("This is not possible", "This is impossible"),
    ("Is the bridge not safe?", "Is the bridge unsafe?"),
    ("My parcel has not arrived yet", "My parcel still has not arrived"),
    ("He did not give me as much as I asked for", "He gave me less than I asked for"),
    ("Tell me whether or not it rains", "Tell me whether it rains"),
    ("How many legs do 2 spiders have?", "How many legs do two spiders have?"),
    ("What is 1,000 times 3?", "What is 1000 times 3?"),
    ("Which one is the largest lake?", "Which is the largest lake?"),
    ("Do I have to register first?", "Do I have to register?"),
    ("Who was the 16th president?", "Who was the sixteenth president?"),
    ("Music of the 1980s", "Music of the eighties"),
    ("How much is $20 in euros?", "How much is 20 dollars in euros?"),
    ("How do I install k8s?", "How do I install Kubernetes?"),
    ("Is it open on Sat?", "Is it open on Saturday?"),
    ("Who is the president of the USA?", "Who is the president of the United States?"),
    ("What is AI?", "What is artificial intelligence?"),
    ("A payment on my card is pending", "My card payment is pending"),
    ("In Java, how do I sort a list?", "How do I sort a list in Java?"),
    ("Compare cats and dogs", "Compare dogs and cats"),
    ("Difference between tea and coffee", "Difference between coffee and tea"),
    ("Is a steel frame or an alloy frame stiffer?", "Is an alloy frame or a steel frame stiffer?"),
    ("What is the distance from Leeds to York?", "What is the distance from York to Leeds?"),
    ("Is it not only fast but cheap?", "Is it fast but cheap?"),
    ("Where can I get a new card?", "How can I get a new card?"),
    ("Play jazz on the speaker", "Play jazz off the speaker"),
    ("Why do cats purr?", "Why does a cat purr?"),
    ("What do Pakistanis eat?", "What do people from Pakistan eat?"),
    ("Is Hilary Mantel a writer?", "Is Hillary Mantel a writer?"),
    ("Answer yes or no: is tea healthy?", "Is tea healthy? Answer yes or no."),
    ("Wie ändere ich meine Adresse?", "Wie kann ich meine Adresse ändern?"),
]


@pytest.mark.parametrize(("guard", "question", "stored"), REFUSED)
def test_a_difference_that_decides_is_refused_by_its_guard(guard, question, stored):
    verdicts = {verdict.guard: verdict for verdict in check_each(question, stored)}
    assert not verdicts[guard].passed, verdicts[guard]
    assert not check(question, stored).passed
    assert not check(stored, question).passed


@pytest.mark.parametrize(("question", "stored"), ALIKE)
def test_another_wording_of_the_same_question_passes(question, stored):
    assert check(question, stored) == GuardVerdict(passed=True, guard=None, reason="no guard sees a difference")
    assert check(stored, question).passed


@pytest.mark.parametrize(("guard", "question", "stored"), REFUSED)
def test_a_guard_that_is_off_refuses_nothing(guard, question, stored):
    verdict = check(question, stored, enabled=frozenset(Guard) - {guard})
    assert verdict.passed or verdict.guard is not guard


def test_the_reason_says_what_differs():
    assert check("Cancel order 48213", "Cancel order 48231").reason == "numbers differ: 48213 and 48231"
    assert check("Why does it work?", "Why doesn't it work?").reason == "only one is negated: work"
    assert check("Open on Monday?", "Open on Friday?").reason == "monday is not friday (weekday)"
    assert check("Why is it red?", "When is it red?").reason == "one asks for the reason, the other for the time"
    assert check("Can Ann see Bo?", "Can Bo see Ann?").reason == "ann and bo are swapped"


def test_every_guard_says_its_piece_for_display():
    verdicts = check_each("Turn it on", "Turn it off")
    assert [verdict.guard for verdict in verdicts] == list(Guard)
    assert [verdict.guard for verdict in verdicts if not verdict.passed] == [Guard.CONTRAST]
    assert all(verdict.reason for verdict in verdicts)


def test_word_order_alone_is_off_and_can_be_turned_on():
    pair = ("red pepper soup", "pepper soup red")
    assert Guard.ORDER not in DEFAULT_GUARDS
    assert check(*pair).passed
    assert check(*pair, enabled=frozenset(Guard)).guard is Guard.ORDER


@pytest.mark.parametrize("headline", ["Why Is My Phone Slow Today", "WHY IS MY PHONE SLOW"])
def test_a_headline_has_no_names(headline):
    (verdict,) = (verdict for verdict in check_each(headline, "why is my Tablet slow") if verdict.guard is Guard.NAMES)
    assert verdict.passed


def padded(text: str, words: int) -> str:
    return text + " please" * (words - len(text.split()))


def test_a_detail_that_only_one_has_decides_in_short_texts_only():
    question, stored = padded("films of 1994", MAX_WORDS), padded("films", MAX_WORDS)
    assert check(question, stored).guard is Guard.NUMBERS
    assert check(question + " now", stored).passed


def test_an_exchanged_detail_decides_in_longer_texts():
    question, stored = padded("films of 1994", MAX_WORDS_COMPARED), padded("films of 1995", MAX_WORDS_COMPARED)
    assert check(question, stored).guard is Guard.NUMBERS


def test_texts_too_long_to_be_compared_are_refused():
    longest = padded("films of 1994", MAX_WORDS_COMPARED)
    assert check(longest, longest).passed
    assert check(longest + " now", longest).guard is Guard.LENGTH
    assert check(longest, longest + " now").guard is Guard.LENGTH
    word = "a." * (MAX_CHARACTERS_COMPARED // 2)
    assert check(word, word).passed
    assert check(word + "a", word).guard is Guard.LENGTH
    assert "not compared" in check_each(longest + " now", longest)[1].reason


def test_two_words_of_one_set_decide_up_to_a_length():
    question, stored = padded("open on monday", MAX_WORDS_CONTRAST), padded("open on friday", MAX_WORDS_CONTRAST)
    assert check(question, stored).guard is Guard.CONTRAST
    assert check(question + " now", stored).passed


def test_an_operator_can_bring_a_dictionary():
    own = Contrasts(opposites="pro plan | starter", exclusive={"tier": "gold\n| silver"})
    assert check("What is in starter?", "What is in pro?", contrasts=own).guard is Guard.CONTRAST
    assert check("Buy it", "Sell it", contrasts=own).passed
    assert check("the gold tier", "the silver tier", contrasts=own).reason == "gold is not silver (tier)"


WORDS = ["not", "no", "3", "three", "one", "Paris", "to", "from", "why", "how", "-x", "k8s", "'s", "US", "us", "and"]
TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(WORDS)).map(" ".join),
)


@given(TEXT)
def test_no_text_differs_from_itself(text):
    assert all(verdict.passed for verdict in check_each(text, text))


@given(TEXT, TEXT)
def test_the_two_texts_may_change_places(question, stored):
    ours = [(verdict.guard, verdict.passed) for verdict in check_each(question, stored)]
    assert ours == [(verdict.guard, verdict.passed) for verdict in check_each(stored, question)]
