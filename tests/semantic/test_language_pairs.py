"""The shape of the pairs in `sets`: enough of each kind in each language, each once, and both halves alike."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.semantic.sets.language_pairs import FOLDER, LANGUAGES, PARAPHRASES, TRAPS, Pair, crossed_pairs, pairs

LEAST_TRAPS, LEAST_PARAPHRASES, LEAST_CROSSED = 110, 60, 60
LEAST_TRAPS_OF_A_KIND, LEAST_PARAPHRASES_OF_A_KIND = 8, 7
CROSSED_KINDS = {"near-languages", "loan-words", "unlike-languages"}


def faults(rows: tuple[Pair, ...], prefix: str) -> list[str]:
    """What is wrong with single rows: ids, texts that are equal or empty, a pair that stands there twice."""
    wrong = [
        f"{row.id}: not {prefix}-{number:03}" for number, row in enumerate(rows, 1) if row.id != f"{prefix}-{number:03}"
    ]
    wrong += [f"{row.id}: no text" for row in rows if not (row.a.strip() and row.b.strip())]
    wrong += [f"{row.id}: a and b are the same" for row in rows if row.a == row.b]
    twice = Counter(frozenset((row.a, row.b)) for row in rows)
    return wrong + [f"{row.id}: stands there twice" for row in rows if twice[frozenset((row.a, row.b))] > 1]


def test_each_language_has_a_file():
    assert {path.stem for path in (FOLDER / "languages").iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_enough_pairs_of_each_kind_and_each_once(language):
    rows = pairs(language)
    assert faults(rows, language) == []
    traps = Counter(row.kind for row in rows if not row.equivalent)
    paraphrases = Counter(row.kind for row in rows if row.equivalent)
    assert set(traps) == TRAPS
    assert set(paraphrases) == PARAPHRASES
    assert min(traps.values()) >= LEAST_TRAPS_OF_A_KIND
    assert traps.total() >= LEAST_TRAPS
    assert min(paraphrases.values()) >= LEAST_PARAPHRASES_OF_A_KIND
    assert paraphrases.total() >= LEAST_PARAPHRASES


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_halves_of_a_language_have_all_kinds_alike(language):
    development = Counter(row.kind for row in pairs(language) if row.for_development)
    checking = Counter(row.kind for row in pairs(language) if not row.for_development)
    assert all(abs(development[kind] - checking[kind]) <= 1 for kind in TRAPS | PARAPHRASES)


def test_no_text_stands_in_two_pairs_or_in_two_languages():
    texts = Counter(text for language in LANGUAGES for row in pairs(language) for text in (row.a, row.b))
    assert [text for text, times in texts.items() if times > 1] == []


def test_crossed_pairs_are_in_two_languages_and_never_equivalent():
    rows = crossed_pairs()
    assert faults(rows, "crossed") == []
    assert len(rows) >= LEAST_CROSSED
    assert {row.kind for row in rows} == CROSSED_KINDS
    assert not any(row.equivalent for row in rows)
    assert all(len(set(row.language.split())) == 2 for row in rows)


def test_the_check_sees_each_of_its_faults():
    good = Pair("en-001", "a", "b", False, "number", "en")
    assert faults((good,), "en") == []
    assert "not en-002" in faults((good, good._replace(a="c")), "en")[0]
    assert "no text" in faults((good._replace(a=" "),), "en")[0]
    assert "the same" in faults((good._replace(a="b"),), "en")[0]
    assert "twice" in faults((good, good._replace(id="en-002", a="b", b="a")), "en")[0]
