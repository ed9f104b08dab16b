"""Pairs of questions to develop and check near hits with: traps and paraphrases in twelve languages, and across two.

Written by hand for this project, each language by itself: no list is a translation of another. Their writer had not
read the guards, so that figures from them say something about questions that the guards have not seen. Odd numbers are
for development, even ones for checking: rules are written from the odd half only.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "es", "de", "fr", "pt", "it", "ru", "ar", "hi", "zh", "ja", "ko")
TRAPS = frozenset(
    (
        "number",
        "number-word",
        "negation",
        "opposite",
        "before-after",
        "more-less",
        "only-also",
        "month-day",
        "direction",
        "question-kind",
        "name",
        "unit",
        "audience",
        "added-noun",
        "sequence",
        "roles",
        "relative-time",
        "containment",
        "stop-non",
        "modal",
        "tense",
    )
)
"""Kinds of pairs that look alike and have different answers."""

PARAPHRASES = frozenset(
    (
        "synonym",
        "politeness",
        "word-order",
        "short-form",
        "typo",
        "number-form",
        "abbreviation",
        "request",
        "colloquial",
    )
)
"""Kinds of pairs that have the same answer."""


class Pair(NamedTuple):
    """Two questions and whether one answer serves both. `language` is that of both, or of `a` and `b` as in "es pt"."""

    id: str
    a: str
    b: str
    equivalent: bool
    kind: str
    language: str

    @property
    def for_development(self) -> bool:
        """Whether rules may be written from it: the half with odd numbers; the other half only checks them."""
        return int(self.id.rpartition("-")[2]) % 2 == 1


def pairs(language: str) -> tuple[Pair, ...]:
    """The traps and paraphrases of one language of `LANGUAGES`, in the order of their numbers."""
    rows = tomllib.loads((FOLDER / "languages" / f"{language}.toml").read_text(encoding="utf-8"))["pairs"]
    return tuple(Pair(row["id"], row["a"], row["b"], row["kind"] in PARAPHRASES, row["kind"], language) for row in rows)


def crossed_pairs() -> tuple[Pair, ...]:
    """One question in two languages: never served for each other. `kind` says what makes the two look alike."""
    rows = tomllib.loads((FOLDER / "crossed.toml").read_text(encoding="utf-8"))["pairs"]
    return tuple(Pair(row["id"], row["a"], row["b"], False, row["kind"], row["languages"]) for row in rows)
