"""Letters that are written in several ways are one; capitals, and the letters themselves, stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.guards.letters import fold_letters, script_of, scripts_in


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("١٢٣ ۴۵ १२ １２", "123 45 12 12"),
        ("أإآٱ مدرسة مُدَرِّس كتـــاب", "اااا مدرسه مدرس كتاب"),
        ("Ёлка, ёлка", "Елка, елка"),
        ("Straße", "Strasse"),
        ("ＡＢＣ", "ABC"),
        ("क़लम हिन्दी हाँ", "कलम हिन्दी हां"),
        ("e\u0301te\u0301", "été"),
        ("Plain ASCII stays", "Plain ASCII stays"),
    ],
)
def test_ways_to_write_a_letter_are_one(written, folded):
    assert fold_letters(written) == folded


@given(st.text(max_size=80))
def test_what_is_folded_stays_as_it_is(text):
    folded = fold_letters(text)
    assert fold_letters(folded) == folded


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "latin"), ("Ż", "latin"), ("я", "cyrillic"), ("ك", "arabic"), ("क", "devanagari"), ("東", "han"),
        ("ひ", "kana"), ("カ", "kana"), ("한", "hangul"), ("7", ""), ("-", ""), ("🙂", ""),
    ],
)  # fmt: skip
def test_a_letter_is_of_one_script(letter, script):
    assert script_of(letter) == script


def test_letters_are_counted_by_script():
    assert scripts_in("BMW 3, ｱ 東京 θ") == {"latin": 3, "han": 2, "another": 2}
    assert scripts_in("Plain text!") == {"latin": 9}
    assert scripts_in("12 + 3") == {}
