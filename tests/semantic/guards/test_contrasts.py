"""The dictionaries of contrasts are data that people edit: what must hold of them."""

from __future__ import annotations

import pytest

from core.semantic.guards.contrasts import sets_of
from core.semantic.guards.data import codes, read


def lines(code: str) -> list[tuple[str, str]]:
    data = read(code).contrasts
    return [
        *(("opposites", line) for line in sets_of(data.opposites)),
        *(("particles", line) for line in data.particles.values()),
        *((name, line) for name, text in data.exclusive.items() for line in sets_of(text)),
    ]


LINES = [pytest.param(name, line, id=f"{code}-{name}") for code in codes() for name, line in lines(code)]


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_line_has_alternatives_without_a_word_in_common(name, line):
    alternatives = [set(alternative.split()) for alternative in line.split("|")]
    assert len(alternatives) > 1
    assert all(alternatives), f"{name}: {line}"
    words = [word for alternative in alternatives for word in alternative]
    assert len(words) == len(set(words)), f"{name}: {line}"


@pytest.mark.parametrize(("name", "line"), LINES)
def test_words_are_written_as_they_are_looked_up(name, line):
    for word in line.replace("|", " ").split():
        assert not word.startswith("_")
        assert not word.endswith("_")
        assert "-" not in word, f"{name}: join the parts of {word} with _"
