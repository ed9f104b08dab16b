"""The form of a language's file in `languages`: `languages/README.md` explains every field. Knows no guard."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from .letters import fold_letters

_FOLDER = Path(__file__).parent / "languages"


class _Part(msgspec.Struct, frozen=True):
    """A table of a file."""


class TokenData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a written word is taken apart."""

    decimal: Literal[".", ","] = "."
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    whole: str = ""
    signs: dict[str, str] = {}
    halves_of_day: dict[str, str] = {}
    contractions: str = ""
    written_out: dict[str, str] = {}
    endings: dict[str, str] = {}
    not_possessive: str = ""


class StemData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Endings that change a word's form and not what it means."""

    irregular: dict[str, str] = {}
    endings: tuple[str, ...] = ()
    not_endings: str = ""
    undoubled: str = ""
    doubled: str = ""
    last: str = ""


class NumberData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers in words."""

    words: str = ""
    scales: str = ""
    conjunction: str = msgspec.field(name="and", default="")
    joins: Literal["hundreds", "tens", "units"] = "hundreds"
    loose: str = ""
    idle: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()
    units: str = ""
    operators: dict[str, str] = {}


class NegationData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What turns a text round, and what only looks so."""

    of_next: tuple[str, ...] = ()
    whole: str = ""
    once: bool = False
    inside: str = ""
    idle: tuple[str, ...] = ()
    prefixes: str = ""


class RoleData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words that say what part another word plays."""

    follow: bool = False
    markers: str = ""
    compound: str = ""
    particles: str = ""
    telling: str = ""
    clauses: str = ""
    passive: tuple[str, ...] = ()
    agent: str = ""
    coordinators: str = ""
    opposite: str = ""
    symmetric: str = ""


class NameData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is particular about names."""

    case_decides: str = ""


class ContrastData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words of which one cannot stand for another."""

    opposites: str = ""
    exclusive: dict[str, str] = {}
    particles: dict[str, str] = {}


class MeaningData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phrases by which two texts may differ and still ask the same. `anywhere`: of which one may stand at any place.

    `light`: words that one text of an open language may have more than the other; `idle`: patterns of such phrases.
    """

    nothing: str = ""
    greetings: str = ""
    same: str = ""
    anywhere: str = ""
    light: str = ""
    idle: tuple[str, ...] = ()


class Examples(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairs of texts, each `one | the other`. `guard`: which refuses them; empty where all guards pass.

    `judged`: no guard refuses them for good, and only a judge's yes may serve them.
    """

    guard: str = ""
    judged: bool = False
    pairs: tuple[str, ...]

    def texts(self) -> list[tuple[str, str]]:
        """The two texts of every pair. Raises ValueError for one that is none."""
        pairs = []
        for pair in self.pairs:
            one, other = pair.split(" | ")
            pairs.append((one, other))
        return pairs


class LanguageData(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    name: str
    is_open: bool = False
    script: Literal["latin", "cyrillic", "arabic", "devanagari", "han", "kana", "hangul"] = "latin"
    is_spaced: bool = True
    letters: str = ""
    alphabet: str = ""
    capitals: Literal["names", "nouns"] = "names"
    lists: dict[str, str] = {}
    tokens: TokenData = TokenData()
    stems: StemData = StemData()
    numbers: NumberData = NumberData()
    negation: NegationData = NegationData()
    questions: dict[str, tuple[str, ...]] = {}
    tenses: dict[str, tuple[str, ...]] = {}
    roles: RoleData = RoleData()
    names: NameData = NameData()
    contrasts: ContrastData = ContrastData()
    meaning: MeaningData = MeaningData()
    examples: tuple[Examples, ...] = ()


def read(code: str) -> LanguageData:
    """The file of a language, by its name: "en".

    Raises FileNotFoundError, msgspec.ValidationError or tomllib.TOMLDecodeError.
    """
    text = (_FOLDER / f"{code}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(fold_letters(text)), LanguageData)


def codes() -> tuple[str, ...]:
    """The languages there are files for, by the names of their files."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
