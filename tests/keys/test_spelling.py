"""Spellings of one text: what is given up, where it is kept, and that it costs no more than the text is long."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.keys.identity import identify
from core.keys.normalization import is_literal, normalize
from core.keys.phrases import TextKind
from core.keys.plain import kind_of
from core.keys.spelling import (
    _hides_in_code,
    _in_any_text,
    _in_one_width,
    _without_emoji,
    _without_selectors,
    lower,
    lower_in_turkish,
    respell,
    respell_cautiously,
    with_mark_joined,
    without_opening_marks,
)
from core.models import ChatRequest
from tests.growth import grows_with_the_square


def normal(text: str) -> bytes | None:
    return identify(ChatRequest(model="m", messages=[{"role": "user", "content": text}]), "test").normalized


# What is given up

NOISE = ["\ufeff", "\u200b", "\u00ad", "\u2060", "\u200e", "\u200f", "\u202a", "\u202c", "\u200c", "\u200d"]
QUESTIONS = [
    "What is gravity?",
    "How do I activate my card?",
    "Was ist ein Motor?",
    "Qu'est-ce que la gravité?",
    "¿Cuál es la capital de Perú?",
    "Что такое гравитация?",
    "Τι είναι η βαρύτητα;",
]


@pytest.mark.parametrize("noise", NOISE, ids=ascii)
@pytest.mark.parametrize("text", QUESTIONS)
def test_what_cannot_be_seen_is_not_there(text: str, noise: str) -> None:
    assert {respell(text[:at] + noise + text[at:]) for at in range(1, len(text) - 1) if text[at].isalpha()} == {text}


@pytest.mark.parametrize(
    "text",
    [
        "Is \u202etxt.exe a picture?",
        "What is \u200b ?",
        "Is pay\u200bpal or paypal right?",
        "Is it’s or it's right?",
        "Is ﬁre or fire right?",
        "Is ❤\ufe0f or ❤ right?",
        "Is ❤\ufe0f or ❤\ufe0e right?",
        "What is user\u200bName?",
        "What is a\u200b1?",
        "می\u200cخواهم",
        "क\u094d\u200dष",
        "👨\u200d👩\u200d👧",
        "ひらがなとｶﾀｶﾅとカタカナ",
        "What is ﬁ?",
        "ｱとは何ですか",
        "What is ﷺ?",
        "What is x² or ½?",
        "Ａ or B",
        "Wer ist Weiß?",
        "هـ",
    ],
)
def test_what_may_be_asked_about_is_kept(text: str) -> None:
    assert respell(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is gravity ?", "What is gravity?"),
        ("What is gravity  ? ?", "What is gravity??"),
        ("What is gravity ?!", "What is gravity ?!"),
        ("What does NASA stand for ?", "What does NASA stand for?"),
        ("What is the meaning of ?", "What is the meaning of ?"),
        ("What is ?", "What is ?"),
        ("重力とは何ですか ？", "重力とは何ですか？"),
        ("什么是 ？", "什么是 ？"),
        ("Yerçekimi nedir ?", "Yerçekimi nedir?"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_a_closing_mark_stands_beside_the_last_word_unless_it_is_asked_about(text: str, expected: str) -> None:
    assert with_mark_joined(text, TextKind.QUESTION) == expected
    assert with_mark_joined(text, TextKind.MATERIAL) == text


def test_a_french_mark_is_joined_whatever_is_quoted_and_another_is_not() -> None:
    french, english = "Comment fonctionne un grommet à vapeur ?", "How does a grommet of steam feel ?"
    assert respell_cautiously(french, TextKind.QUESTION) == french.replace(" ?", "?")
    assert respell_cautiously(english, TextKind.QUESTION) == english


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¿Qué es el DNS?", "Qué es el DNS?"),
        ("Hola, ¿qué es el DNS?", "Hola, qué es el DNS?"),
        ("¡Explica la gravedad!", "Explica la gravedad!"),
        ("¿Está abierto?", "¿Está abierto?"),
        ("¡Explica la gravedad", "¡Explica la gravedad"),
        ("Explica cuándo se usa ¿", "Explica cuándo se usa ¿"),
        ("¿Qué es el ¿?", "¿Qué es el ¿?"),
    ],
)
def test_an_opening_mark_is_left_out_where_the_words_ask_without_it(text: str, expected: str) -> None:
    assert without_opening_marks(text) == expected


@pytest.mark.parametrize(("text", "small", "turkish"), [("IŞIK", "işik", "ışık"), ("İKLİM", "iklim", "iklim")])
def test_turkish_has_two_letters_i(text: str, small: str, turkish: str) -> None:
    assert (lower(text), lower_in_turkish(text)) == (small, turkish)


# Properties

CHARACTERS = st.sampled_from([*NOISE, *"aAbIiıİßsﬁéx²½1१Ａａ１ｱア’'ʼ´ـﻣم\u00a0\u3000 ?!？;.❤\ufe0f🙂🙏🍎", "\u0301"])
TEXTS = st.builds(
    lambda text, at, noise, end: text[:at] + "".join(noise) + text[at:] + "".join(end),
    st.sampled_from(
        [*QUESTIONS, "What is get1User?", "重力とは何ですか？", "ما هو الجاذبية؟", "Işık nedir?", "WHO ARE YOU"]
    ),
    st.integers(0, 30),
    st.lists(CHARACTERS, max_size=4),
    st.lists(CHARACTERS, max_size=3),
)


def letters(text: str) -> str:
    """All of a text that says something, by another road: its letters and digits without their case and look."""
    text = text.replace("ß", "ss").replace("İ", "i").replace("ı", "i").replace("ﬁ", "fi")
    kept = [each for each in text if unicodedata.category(each) not in ("Cf", "Lm", "Mn", "Po", "Sk", "Zs", "So")]
    return "".join(unicodedata.normalize("NFKC", each) if each not in "²½" else each for each in kept).casefold()


@given(TEXTS, st.sampled_from(TextKind))
@example("What is gravity? 🙂 \u200b", TextKind.QUESTION)
@example("e\u200b\u0301 is it", TextKind.QUESTION)
@example("¿¿Qué es el DNS?", TextKind.QUESTION)
def test_a_normal_form_is_its_own(text: str, kind: TextKind) -> None:
    found = normalize(text, kind)
    assert normalize(found, kind) == found


@given(TEXTS, TEXTS)
@example("What is x²?", "What is x2?")
@example("What is 1?", "What is १?")
def test_texts_of_other_letters_never_meet(one: str, other: str) -> None:
    assume(letters(one) != letters(other))
    assert normal(one) is None or normal(one) != normal(other)


IDENTIFIERS = st.from_regex(r"[a-z]{1,5}[A-Z0-9][A-Za-z0-9]{1,6}|[A-Z0-9][a-z0-9]{1,4}[A-Z0-9]{1,5}", fullmatch=True)
FRAMES = ["What is {}?", "How do I call {}?", "Where is {}", "Tell me about {}.", "Was ist {}?", "{}とは何ですか"]


@given(IDENTIFIERS, IDENTIFIERS, st.sampled_from(FRAMES), st.sampled_from(["", *NOISE]))
@example("getUser", "getuser", "What is {}?", "")
@example("getUser", "getUser", "What is {}?", "\u200b")
def test_identifiers_of_other_letters_or_digits_never_meet(one: str, other: str, frame: str, noise: str) -> None:
    for changed in (other, one.swapcase(), one.lower(), one.upper(), one[:2] + noise + one[2:]):
        if changed != one:
            assert normal(frame.format(one)) != normal(frame.format(changed))


# Cost

STEPS: list[Callable[[str], object]] = [
    _in_any_text,
    _without_emoji,
    _in_one_width,
    _without_selectors,
    _hides_in_code,
    respell,
    without_opening_marks,
    is_literal,
    lambda text: with_mark_joined(text, TextKind.QUESTION),
    lambda text: respell_cautiously(text, TextKind.ORDER),
    lambda text: normalize(text, TextKind.QUESTION),
    kind_of,
]
PIECES = [
    "\u200b",
    "\u200b ",
    "a\u200b",
    "\u200c",
    "ـ",
    "مـ",
    "ﻣ",
    "ß",
    "aß ",
    "aaaa",
    "’a",
    "❤\ufe0f",
    "🙂",
    "Ａ",
    "ｶﾞ",
    "ﬁ",
]


@pytest.mark.parametrize("piece", [*PIECES, "? ", " ?", "¿a", "\u00a0", "\u0301", "I", "İ"], ids=ascii)
@pytest.mark.parametrize("step", STEPS)
def test_a_hostile_text_is_respelt_in_the_time_it_takes_to_read(step: Callable[[str], object], piece: str) -> None:
    for end in ("", "ß?", "\u202e", " x"):
        assert not grows_with_the_square(step, lambda size, end=end: piece * (size // len(piece)) + end, 24_000)
