"""The lists of how people point at what was said, by language."""

from __future__ import annotations

import pytest

from core.semantic.conversations.references import WORD, begins, languages, phrases_in, references_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How high is it?", "en"),
        ("¿Y cuántos años tiene?", "es"),
        ("Und wie lange dauert das?", "de"),
        ("Et combien de temps est-il valable ?", "fr"),
        ("E quanto custa para dois?", "pt"),
        ("E quanto costa per due?", "it"),
        ("Kilometres", "en"),
        ("Why?", "en"),
        ("warum", "de"),
        ("Почему?", None),
        ("为什么？", None),
    ],
)
def test_the_language_of_a_text_is_told_by_its_little_words(text, code):
    found = references_of(WORD.findall(text.lower()))
    assert found is (languages()[code] if code else None)


def test_a_phrase_is_found_where_it_stands():
    assert begins(("what", "about", "spain"), frozenset({"what", "what about"})) == 2
    assert begins(("whatever",), frozenset({"what"})) == 0
    assert list(phrases_in(("now", "from", "now", "on"), frozenset({"from now on"}))) == [(1, 3)]


def test_every_language_has_every_list_it_cannot_do_without():
    for code, lists in languages().items():
        for name in ("little", "pointers", "articles", "any", "openers", "orders", "yes", "no", "me", "manner"):
            assert getattr(lists, name), f"{code} has no {name}"
        assert len(lists.ordinals) >= 5, code
