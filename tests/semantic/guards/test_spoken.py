"""Which language a text is in, and what may answer whom."""

from __future__ import annotations

import pytest

from core.semantic.guards.checks import Guard, check
from core.semantic.guards.data import codes
from core.semantic.guards.spoken import UNTOLD, spoken


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I reset my password?", "en"),
        ("I dont see my reciept", "en"),
        ("Wie setze ich mein Passwort zurück?", "de"),
        ("wie setze ich mein passwort zurueck", "de"),
        ("Comment réinitialiser mon mot de passe ?", "fr"),
        ("¿Cómo restablezco mi contraseña?", "es"),
    ],
)
def test_a_language_is_told_by_its_script_and_its_little_words(text, code):
    assert spoken(text).code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("¿Cómo restablezco mi contraseña?", "es"),
        ("Comment réinitialiser mon mot de passe ?", "fr"),
        ("Come reimposto la mia password?", "it"),
        ("Como redefino a minha senha?", "pt"),
        ("Как сбросить пароль?", "ru"),
        ("كيف أعيد تعيين كلمة المرور الخاصة بي؟", "ar"),
        ("मैं अपना पासवर्ड कैसे रीसेट करूँ?", "hi"),
        ("怎么重置我的密码？", "zh"),
        ("如何重置路由器？", "zh"),
        ("パスワードをリセットするにはどうすればいいですか？", "ja"),
        ("비밀번호를 어떻게 재설정하나요?", "ko"),
        ("iPhone 15의 배터리를 어떻게 교체하나요?", "ko"),
    ],
)
def test_a_language_is_known_to_the_guards_once_it_has_a_file(text, code):
    assert spoken(text).code == (code if code in codes() else "")


@pytest.mark.parametrize("text", ["BMW 320d", "ls -l", "12 * 8", "getUser()", "", "🙂", "東京大学", "Madrid Paris"])
def test_names_code_and_numbers_are_in_no_language(text):
    assert spoken(text) == UNTOLD


def test_a_language_without_guards_has_its_name():
    assert spoken("Gdzie jest moje zamówienie?") == ("Polish", "")


@pytest.mark.parametrize("text", ["วิธีการรีเซ็ตรหัสผ่าน in the app", "git pull してから commit する？"])
def test_little_words_of_one_language_in_the_script_of_another_tell_nothing(text):
    assert spoken(text) == UNTOLD


def test_one_of_chinese_characters_is_chinese_only_where_japanese_has_none_of_them():
    assert spoken("这个多少钱").code == "zh"
    assert spoken("東京都庁").code == ""


def test_scripts_that_one_language_writes_its_words_in_are_no_difference():
    verdict = check("りんごはいくらですか", "林檎はいくらですか")
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("question", "stored"),
    [
        ("Python list sort example", "Python list sort 예제"),
        ("What does this mean?", "What does this mean 谢谢?"),
        ("What is an α particle?", "What is an alpha particle?"),
    ],
)
def test_where_only_one_has_letters_of_a_script_only_a_judge_may_serve(question, stored):
    for verdict in (check(question, stored), check(stored, question)):
        assert verdict.guard is Guard.LANGUAGE
        assert verdict.judgeable


def test_letters_of_another_script_that_both_have_are_no_doubt():
    assert check("What does 谢谢 mean?", "What does 谢谢 mean, please?").passed


@pytest.mark.parametrize(
    ("question", "stored"),
    [
        ("What is the capital of France?", "Was ist die Hauptstadt von Frankreich?"),
        ("Gdzie jest moje zamówienie?", "How do I reset my password?"),
        ("Hoe wijzig ik mijn wachtwoord?", "Gdzie jest moje zamówienie?"),
    ],
)
def test_texts_in_two_languages_never_answer_each_other(question, stored):
    for verdict in (check(question, stored), check(stored, question)):
        assert verdict.guard is Guard.LANGUAGE
        assert not verdict.judgeable
        assert "one is in" in verdict.reason


@pytest.mark.parametrize(
    ("question", "stored"),
    [
        ("Gdzie jest moje zamówienie?", "Gdzie jest teraz moje zamówienie?"),
        ("BMW 320d", "What does a BMW 320d cost?"),
        ("BMW 320d", "BMW 320d xDrive"),
        ("How do I reset my password?", "How do I สวัสดี my สวัสดีสวัสดีสวัสดี?"),
    ],
)
def test_only_a_judge_serves_what_the_guards_do_not_know(question, stored):
    for verdict in (check(question, stored), check(stored, question)):
        assert verdict.guard is Guard.LANGUAGE
        assert verdict.judgeable


@pytest.mark.parametrize("text", ["ls -l", "Gdzie jest moje zamówienie?", "BMW 320d"])
def test_the_same_letters_pass_in_any_language(text):
    assert check(text, f" {text.replace(' ', '  ')}").passed
    assert not check(text, text.swapcase()).passed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("come faccio a cambiare la password", "it"),
        ("Perché il museo è chiuso di lunedì?", "it"),
        ("como faço para trocar a senha", "pt"),
        ("O museu não abre na segunda?", "pt"),
    ],
)
def test_italian_and_portuguese_are_told_from_spanish(text, code):
    assert spoken(text).code == code


@pytest.mark.parametrize(
    ("portuguese", "other"),
    [
        ("Onde está a estação central?", "¿Dónde está la estación central?"),
        ("Quando abre o museu?", "¿Cuándo abre el museo?"),
        ("Quanto custa um café?", "Quanto costa un caffè?"),
        ("Como fazer arroz?", "¿Cómo hacer arroz?"),
        ("cancelar Netflix Premium", "cancel Netflix Premium"),
        ("para que serve o boldo", "para que sirve el boldo"),
    ],
)
def test_a_portuguese_question_never_answers_one_of_a_neighbour(portuguese, other):
    assert not check(portuguese, other).passed
    assert not check(other, portuguese).passed


def test_a_letter_of_most_languages_tells_none():
    assert spoken("Como lavar um tênis?").code == "pt"


@pytest.mark.parametrize(
    "text",
    [
        "Де купити молоко?", "Можна пити каву перед сном?", "Чому небо синє?",
        "Как да сменя паролата?", "Колко струва билет за метро?", "Може ли без виза?", "Как да купя билет за театър",
        "Да ли могу без визе у Турску", "Где је музеј?", "Каде е музејот?", "Дзе купіць малако?",
        "Музей хаана байдаг вэ?",
    ],
)  # fmt: skip
def test_other_languages_of_its_script_are_no_russian(text):
    assert spoken(text).code != "ru"


@pytest.mark.parametrize(
    "text", ["Огурцы когда солить?", "Где купить молоко?", "Столица Литвы", "почему не работает wifi"]
)
def test_russian_is_told_in_a_few_words(text):
    assert spoken(text).code == "ru"
