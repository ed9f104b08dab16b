"""How far plain English is folded: where each mark, blank and capital may be what is asked about, it is kept."""

from __future__ import annotations

import pytest

from core.keys.certainty import LONGEST_ELSEWHERE, Certainty, certainty
from core.keys.identity import identify
from core.keys.normalization import normalize
from core.keys.phrases import TextKind, rules_data
from core.keys.plain import LONGEST, kind_of
from core.models import ChatRequest
from tests.growth import grows_with_the_square


def meet(one: str, other: str) -> bool:
    first, second = (
        identify(ChatRequest(model="m", messages=[{"role": "user", "content": text}]), "test").normalized
        for text in (one, other)
    )
    return first == second


def sure(text: str) -> Certainty:
    return certainty(text.lower(), kind_of(text))


# Capitals

CAPITALS = [
    # Units
    "How many pascals is 1 Mbar?|How many pascals is 1 mbar?",
    "How large is a dose of 1 Mrem?|How large is a dose of 1 mrem?",
    "What is 5 Mohm in ohms?|What is 5 mohm in ohms?",
    "How much is 5 Mcal in joules?|How much is 5 mcal in joules?",
    "How much is 5 Mgal in litres?|How much is 5 mgal in litres?",
    "How long is 2 Msec?|How long is 2 msec?",
    "How many molecules are in 1 Mmol?|How many molecules are in 1 mmol?",
    "How much is 1 Mvolt?|How much is 1 mvolt?",
    "How many joules are in a Calorie?|How many joules are in a calorie?",
    "How many grams is 3 Gg?|How many grams is 3 gg?",
    "How large is 1 Pm?|How large is 1 pm?",
    "How bright is 2 Mcd?|How bright is 2 mcd?",
    # Mixed case, identifiers
    "What does gUiw do in Vim?|What does guiw do in Vim?",
    "What is the phenotype of AaBb?|What is the phenotype of aabb?",
    "Can a docker image be called MyApp?|Can a docker image be called myapp?",
    "What is at the short link abCdE?|What is at the short link abcde?",
    "Where is order dQwWgX?|Where is order dqwwgx?",
    "What is LaTeX used for?|What is latex used for?",
    "How do I use useState?|How do I use usestate?",
    "What is eBay?|What is Ebay?",
    "What does ZZ do in Vim?|What does zz do in Vim?",
    "What is TeX?|What is tex?",
    # Code and chess
    "Why is Bxc6 good for White?|Why is bxc6 good for White?",
    "How do I use Any in Python?|How do I use any in Python?",
    "How do I use List in Scala?|How do I use list in Scala?",
    "What is None in Python?|What is none in Python?",
    "Why is Println undefined?|Why is println undefined?",
    "What does the method Sort do in Go?|What does the method sort do in Go?",
    "What is New in Go?|What is new in Go?",
    "Where is the file Makefile?|Where is the file makefile?",
    # Names that are words
    "Where is Sale?|Where is sale?",
    "Where is Worms?|Where is worms?",
    "Who is Mario?|Who is mario?",
    "What is Perplexity?|What is perplexity?",
    "What is Snowflake?|What is snowflake?",
    "What is the Met?|What is the met?",
    "What is Severance about?|What is severance about?",
    "Where is Cork?|Where is cork?",
    "Do Cardinals fly?|Do cardinals fly?",
    "How is the weather in Nice?|How is the weather in nice?",
    "How thick is Japan?|How thick is japan?",
    "Is Japan expensive?|Is japan expensive?",
    "What is the price of China?|What is the price of china?",
    "What Is Love About?|What is love about?",
    "WHAT IS FROZEN ABOUT?|What is frozen about?",
    # The letter i
    "What is I in physics?|What is i in physics?",
    "What is the value of I?|What is the value of i?",
    # Case is what is asked about
    "How many capitals are in Hello World?|How many capitals are in hello world?",
    "What is the numeric code of Hello?|What is the numeric code of hello?",
    "How would a pirate put I saw the Sun?|How would a pirate put i saw the sun?",
    "What is the fingerprint of Hello?|What is the fingerprint of hello?",
    "What is Hello in hexdump?|What is hello in hexdump?",
    "Is it a proper name Hello?|Is it a proper name hello?",
]


@pytest.mark.parametrize("pair", CAPITALS)
def test_a_word_inside_a_text_keeps_its_capitals_where_they_may_tell(pair: str) -> None:
    assert not meet(*pair.split("|"))


@pytest.mark.parametrize(
    "pair",
    [
        "What is the capital of Sweden?|What is the capital of sweden?",
        "How many people live in Japan?|how many people live in japan",
        "Who is the president of Brazil?|who is the president of brazil?",
        "Does Netflix work abroad?|does netflix work abroad?",
        "Does YouTube work abroad?|does youtube work abroad?",
        "How do I reset my password?|how do i reset my password?",
        "Do you know when I've paid?|do you know when i've paid",
        "What Does Photosynthesis Produce?|what does photosynthesis produce?",
        "WHERE IS THE NEAREST BAKERY?|where is the nearest bakery?",
        "WHAT IS THE CAPITAL OF FRANCE?|What is the capital of France?",
        "Who Invented The Telephone?|who invented the telephone?",
    ],
)
def test_capitals_that_say_nothing_are_folded(pair: str) -> None:
    assert meet(*pair.split("|"))


# Closing marks

SAID = ["you are leaving", "he left", "hello", "stop", "happy birthday", "we did it", "come here", "i got the job"]
ORDERS = [
    "Rate my enthusiasm {}",
    "Tell me how angry this person is {}",
    "Tell me if he is happy {}",
    "Give me the emotion of {}",
    "Describe the feeling in {}",
    "Create a QR code for {}",
    "Calculate the entropy of {}",
    "Compute the size in memory of {}",
    "Create a banner that reads {}",
    "Make a sticker with {}",
    "Suggest a reaction to {}",
    "Explain the subtext of {}",
    "Give me the loudness of {}",
    "I need a poster that reads {}",
    "Show me how to sing {}",
    "Teach me to voice {}",
    "Name the emotion in {}",
    "Set a reminder {}",
    "Write a card with {}",
]


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("order", ORDERS)
def test_an_order_that_may_bring_a_text_keeps_its_closing_mark(order: str, said: str) -> None:
    text = order.format(said)
    assert len({normalize(text + mark, kind_of(text + mark)) for mark in ("", ".", "!", "?")}) == 4


@pytest.mark.parametrize(
    "order",
    [
        "Explain println",
        "Explain panic",
        "Tell me about Yahoo",
        "Tell me about Jeopardy",
        "Explain gravity",
        "Help me with my card",
        "Sag mir wie wütend ist komm",
        "Erkläre du gehst",
        "Dis-moi l'émotion de tu viens",
        "Dime la emoción de ven",
        "Spiegami vieni",
        "Explique vem",
        "Beschrijf je komt",
        "Powiedz przyszedł",
        "Объясни ты придёшь",
        "Beskriv du kommer",
        "اشرح ستغادر",
        "请解释你走了",
        "告诉我你走了",
        "重力について教えてください",
    ],
)
def test_an_exclamation_mark_is_never_folded(order: str) -> None:
    for exclaimed, stopped in (("!", "."), ("!", ""), ("！", "。"), ("！", "")):
        assert not meet(order + exclaimed, order + stopped)


@pytest.mark.parametrize(
    "order",
    [
        "Explain no",
        "Define fig",
        "Explain Inc",
        "Tell me about Dr",
        "Explain v",
        "Write a card about art",
        "Explain gas",
    ],
)
def test_an_order_that_may_end_in_an_abbreviation_keeps_its_point(order: str) -> None:
    assert not meet(order, f"{order}.")


@pytest.mark.parametrize(
    "order", ["Tell me a joke", "Explain gravity", "Give me a recipe for pancakes", "I need my card"]
)
def test_an_order_of_known_words_may_lack_its_full_stop(order: str) -> None:
    assert meet(order, f"{order}.")
    assert not meet(order, f"{order}..."), "that trails off"


QUESTIONS = [
    "Is he asking or telling {}",
    "Is it a question {}",
    "What is the Spanish for {}",
    "What is the Latin equivalent of {}",
    "Does it end in a question mark {}",
    "How would a pirate put {}",
    "What is the intonation of {}",
    "What is the illocution of {}",
    "What is the pragmatic force of {}",
    "Is the person sure {}",
    "Does my remark look certain {}",
    "What kind of speech act is {}",
    "Which emotion is {}",
    "How certain is {}",
    "How long is {}",
    "Does the voice rise in {}",
    "What is the Klingon for {}",
    "How do the French put {}",
    "What would Yoda make of {}",
    "What is the final mark of {}",
]


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_may_bring_a_text_keeps_its_mark_and_its_blanks(question: str, said: str) -> None:
    text = question.format(said)
    assert not meet(f"{text}?", text)
    assert " " not in said or not meet(text, question.format(said.replace(" ", "  ")))


@pytest.mark.parametrize("word", ["empty", "even", "nil", "null", "blank", "hello", "yes"])
def test_a_question_about_what_code_or_people_end_in_a_mark_keeps_it(word: str) -> None:
    assert not meet(f"What does {word}?", f"What does {word}")


@pytest.mark.parametrize(
    "question",
    [
        "What is photosynthesis",
        "Who wrote Hamlet",
        "When did Columbus land",
        "What does HTTP stand for",
        "Who is taller, Messi or Ronaldo",
        "What do I do if I lose my card",
        "How long does it take before I get my money",
        "Why hasn't the payment I made arrived",
        "Can you help me with my account",
        "How old is the Earth",
        "How far is it to Paris",
    ],
)
def test_a_question_with_one_clause_and_one_name_may_lack_its_mark(question: str) -> None:
    assert meet(question, f"{question}?")


# Blanks


@pytest.mark.parametrize(
    "pair",
    [
        "Is a b one token?|Is a  b one token?",
        "How many blanks are in a b?|How many blanks are in a  b?",
        "How wide is hello?|How wide is  hello?",
        "What is the indent of b?|What is the indent of  b?",
        "What does the tab do in make?|What does the tab do  in make?",
        "Is a b one token?|Is a\u00a0b one token?",
        "Who wrote Gone girl?|Who wrote Gone  girl?",
        "Explain a b|Explain a  b",
        "Wie breit ist a b?|Wie breit ist a  b?",
        "Warum ist der Himmel blau?|Warum ist  der Himmel blau?",
    ],
)
def test_blanks_are_kept_beside_what_is_not_known(pair: str) -> None:
    assert not meet(*pair.split("|"))


def test_blanks_between_known_words_are_folded() -> None:
    assert meet("How do I  activate my\tcard?", "how do I activate my card")


# How sure it is


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I activate my card?", Certainty.SURE),
        ("What is photosynthesising?", Certainty.NAMED),
        ("What is the frobnication of cards?", Certainty.UNSURE),
        ("What is DNS? What is the frobnication of cards?", Certainty.UNSURE),
        ("What is the card i lost?", Certainty.SURE),
        ("What is the price of you left?", Certainty.UNSURE),
        ("What kind of card is you left?", Certainty.UNSURE),
        ("Is my card in stop?", Certainty.UNSURE),
        ("How big is welcome?", Certainty.UNSURE),
        ("Was ist ein Motor?", Certainty.NAMED),
        ("Was ist die Absicht von du gehst?", Certainty.UNSURE),
        ("Erkläre die Schwerkraft.", Certainty.UNSURE),
        ("什么是重力？", Certainty.NAMED),
        ("什么是" + "重" * 20, Certainty.UNSURE),
    ],
)
def test_a_text_is_sure_as_far_as_its_words_and_its_form_are_known(text: str, expected: Certainty) -> None:
    assert sure(text) is expected


def test_a_long_question_in_another_language_is_not_sure() -> None:
    words = ["Was", "ist", *["der"] * (LONGEST_ELSEWHERE - 2)]
    assert sure(" ".join(words)) is Certainty.NAMED
    assert sure(" ".join([*words, "Motor"])) is Certainty.UNSURE


def test_known_words_are_listed_once_and_none_is_about_texts() -> None:
    known = rules_data()["known"]
    everyday, capitalised = known["everyday"].split(), known["capitalised"].split()
    assert len({*everyday, *capitalised}) == len(everyday) + len(capitalised)
    for word in {*everyday, *capitalised} - {"password"}:
        assert kind_of(f"What is the {word}") is TextKind.QUESTION, word


@pytest.mark.parametrize("piece", ["what ", "is you ", "i ", "it ", "card ", "the ", "stop ", "x", "'s ", "? "])
def test_hostile_texts_are_judged_at_once(piece: str) -> None:
    assert not grows_with_the_square(
        lambda text: certainty(text, TextKind.QUESTION), lambda size: piece * (size // len(piece)), LONGEST * 100
    )


@pytest.mark.parametrize("frame", ["How do you react to {}", "How does {} sound", "How should I take {}", "How is {}"])
@pytest.mark.parametrize("said", ["pleese", "grommet left", "nice grommet"])
def test_how_what_is_said_is_taken_keeps_its_mark(frame, said):
    asked = frame.format(said)
    assert normalize(f"{asked}?", TextKind.QUESTION) != normalize(asked, TextKind.QUESTION)


@pytest.mark.parametrize("asked", ["How do I reset my router", "How can we install Kubernetes", "How does TCP work"])
def test_how_a_thing_works_or_is_done_needs_no_mark(asked):
    assert normalize(f"{asked}?", TextKind.QUESTION) == normalize(asked, TextKind.QUESTION)
