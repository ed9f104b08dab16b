"""What a prompt must contain to be selected: no more is said than is so."""

from __future__ import annotations

import sys

import pytest

from core.bans.criteria import Criteria
from core.bans.prefilter import ASCII_FOLDING, FOLDING_LEADS, required_substrings
from core.text import fold


def test_no_other_character_becomes_ascii_when_it_is_folded():
    made = tuple(
        character.encode()
        for character in map(chr, range(0x80, sys.maxunicode + 1))
        if not 0xD800 <= ord(character) < 0xE000 and any(each.isascii() for each in fold(character))
    )
    assert made == ASCII_FOLDING
    assert all(FOLDING_LEADS[0] <= maker[:1] <= FOLDING_LEADS[1] for maker in ASCII_FOLDING)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"keywords": ("Refund", "Größe")}, {("refund",), ("gr", "sse")}),
        ({"keywords": ("Refund", "Größe"), "keyword_mode": "all"}, {("refund", "gr", "sse")}),
        ({"keywords": ("Refund", "漢字")}, None),
        ({"keywords": ("Refund", "漢字"), "keyword_mode": "all"}, {("refund",)}),
        ({"pattern": "*Refund?of*"}, {("refund", "of")}),
        ({"pattern": "*Refund[abc]*"}, None),
        ({"pattern": "*Refund*", "keywords": ("sky", "sea")}, {("refund", "sky"), ("refund", "sea")}),
        ({"pattern": "*Refund*", "keywords": ("漢字",)}, {("refund",)}),
        ({"pattern": "*beef*"}, None),
        ({"pattern": "漢*"}, None),
        ({"tags": ("news",)}, None),
        ({"model": "gpt-4o"}, None),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_what_must_be_in_a_prompt(criteria, expected):
    found = required_substrings(Criteria(**criteria))
    assert found == (None if expected is None else {frozenset(map(str.encode, group)) for group in expected})
