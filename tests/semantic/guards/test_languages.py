"""The files of languages are data that people edit: each decides its own examples."""

from __future__ import annotations

import pytest

from core.semantic.guards.checks import Guard, check, check_each
from core.semantic.guards.data import codes, read
from core.semantic.guards.language import language
from core.semantic.guards.wording import wording_of

EXAMPLES = [
    pytest.param(examples, *pair, id=f"{code}-{examples.guard or 'alike'}-{pair[0]}")
    for code in codes()
    for examples in read(code).examples
    for pair in examples.texts()
]


@pytest.mark.parametrize(("examples", "question", "stored"), EXAMPLES)
def test_a_language_decides_its_own_examples(examples, question, stored):
    both = [check(question, stored), check(stored, question)]
    if not examples.guard:
        assert [verdict.reason for verdict in both if not verdict.passed] == []
        return
    verdicts = {verdict.guard: verdict for verdict in check_each(question, stored)}
    assert not verdicts[Guard(examples.guard)].passed, verdicts[Guard(examples.guard)]
    assert not any(verdict.passed for verdict in both)
    assert [verdict.judgeable for verdict in both] == [examples.judged] * 2, both


@pytest.mark.parametrize("code", codes())
def test_a_language_has_examples_of_every_kind(code):
    data = read(code)
    guards = {examples.guard for examples in data.examples}
    assert {"numbers", "negation", "contrast", "question", "roles", ""} <= guards
    assert data.is_open or any(examples.judged for examples in data.examples)


def test_latin_words_in_running_text_are_not_cut():
    assert wording_of("wifiとmlのlogin", "ja").words == ("wifi", "と", "ml", "の", "login")
    assert wording_of("用git更新", "zh").words == ("用", "git", "更新")


def test_the_guards_know_these_languages_and_one_is_open():
    assert set(codes()) == {"ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "zh"}
    assert [code for code in codes() if language(code).data.is_open] == ["en"]


@pytest.mark.parametrize(
    ("question", "stored"),
    [
        ("Все ли знают?", "Всё ли знают?"),
        ("Почему болит нёбо?", "Почему болит небо?"),
        ("Где мы узнаём правду?", "Где мы узнаем правду?"),
        ("Где мы узнае\u0308м правду?", "Где мы узнаем правду?"),
    ],
)
def test_where_a_letter_makes_another_word_only_a_judge_may_serve(question, stored):
    verdicts = [check(question, stored), check(stored, question)]
    assert [(verdict.guard, verdict.judgeable) for verdict in verdicts] == [(Guard.WORDS, True)] * 2
    assert check("Почему ёлка зелёная?", "Почему елка зеленая?").passed


@pytest.mark.parametrize(
    ("text", "code", "numbers"),
    [
        ("quatre-vingt-dix-neuf", "fr", "99"),
        ("quatre-vingts ou vingt-quatre", "fr", "80 24"),
        ("cent quatre-vingt-dix", "fr", "190"),
        ("soixante-dix-sept", "fr", "77"),
        ("soixante et onze", "fr", "71"),
        ("septante-deux et nonante et un", "fr", "72 91"),
        ("quatre fois vingt", "fr", "4 * 20"),
        ("entre dix et vingt", "fr", "10 20"),
        ("dix-huit", "fr", "18"),
        ("treinta y cinco", "es", "35"),
        ("doscientos cincuenta", "es", "250"),
        ("двести пятьдесят три", "ru", "253"),
        ("тысяча девятьсот сорок первый", "ru", "1941"),
        ("в XIX и XX веке", "ru", "19 20"),
        ("one or first", "en", "1? 1?"),
    ],
)
def test_numbers_in_words_are_read(text, code, numbers):
    assert " ".join(wording_of(text, code).numbers) == numbers
