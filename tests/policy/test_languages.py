"""Possession and timeliness in many languages: examples of the file, and sentences of our own beside them."""

from __future__ import annotations

import msgspec
import pytest

from core.policy import ttl
from core.policy.languages import Language, languages
from core.policy.matching import phrase_problem
from core.policy.ttl import TTLPolicy

POLICY = TTLPolicy()
ALL = languages()


@pytest.mark.parametrize("language", ALL.all, ids=lambda language: language.name)
def test_every_language_decides_its_own_examples(language: Language) -> None:
    assert language.personal or language.name == "English"  # whose rules are in ttl_rules.toml
    for text in language.personal:
        assert POLICY.explain(text).personal, text
    for text in language.now:
        assert POLICY.explain(text).ttl_class == "current_events", text
    for text in language.general:
        assert POLICY.explain(text).ttl_class == "general_knowledge", text


def test_there_are_at_least_forty_languages_with_a_first_person() -> None:
    assert len([one for one in ALL.all if one.me and one.mine]) >= 40


@pytest.mark.parametrize("language", ALL.all, ids=lambda language: language.name)
def test_a_first_person_of_every_language_makes_a_text_ones_own(language: Language) -> None:
    assert POLICY.explain("Explain how Python works").not_general == ""
    for word in language.me.split():
        text = f"Explain how Python {word.replace('_', ' ').replace('*', 'xx')} works"
        assert POLICY.explain(text).not_general, text


def test_every_phrase_is_one() -> None:
    for wording in (ALL.own, ALL.timely, ALL.holders, *ALL.reserved):
        assert [problem for phrase in (*wording.phrases, *wording.unless) if (problem := phrase_problem(phrase))] == []


def test_a_language_whose_examples_do_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Language(name="Wrong", marks="", me="zo", general=("¿Cuál es mi saldo?", "zork"), personal=("zork",))
    monkeypatch.setattr(ttl, "languages", lambda: msgspec.structs.replace(ALL, all=(*ALL.all, wrong)))
    with pytest.raises(ValueError, match="Wrong") as raised:
        ttl._standard.__wrapped__()
    assert str(raised.value).split("; ") == [
        "Wrong: 'zork' is general",
        "Wrong: '¿Cuál es mi saldo?' is own",
        "Wrong: 'zork' has none of its marks",
    ]


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("How is it?", True),
        ("Was ist das?", True),
        ("какой это город", True),
        ("这是什么", True),
        ("", False),
        ("zzz 42 😀", False),
        ("da ne za", False),  # short words are words of too many languages
        ("What is ଟୋକିଓ?", False),  # a script without rules
    ],
)
def test_a_text_is_understood_by_its_words_and_its_letters(text: str, understood: bool) -> None:
    assert ALL.understands(text) is understood
