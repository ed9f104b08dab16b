"""A text as words and signs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .language import Language
from .letters import fold_letters

_NUMBERS = {
    ".": r"\d{1,3}(?:,\d{3})+(?:\.\d+)? | \d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)? | \d+(?:[.:]\d+)*",
    ",": r"\d{1,3}(?:[.\u00a0\u202f ]\d{3})+(?!\d)(?:,\d+)? | \d+(?:[.,:]\d+)*",
}
# Vowel signs of Devanagari, and marks on letters of any script: parts of words that Python calls no letters.
_MARKS = "\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0955-\u0957\u0962\u0963"


def _pattern(numbers: str) -> re.Pattern[str]:
    letter = rf"(?:[^\W\d_][{_MARKS}]*)"
    return re.compile(
        rf"""
          (?P<coded>   c\+\+ | [cf]\# | (?:[^\W\d_]\.){{2,}} | °\s?[cf]\b )
        | (?P<number>  (?:(?<![^\s(=])[-−])? (?: {numbers} ) )
                       (?P<suffix>(?:st|nd|rd|th|k|['’]?s)\b)?
        | (?P<word>    {letter}+ (?: ['’] {letter}+ )* )
        | (?P<sign>    [$€£¥₹₩₽%&] | [+*/^=<>×÷] | (?<=\s)[-−](?=\s) | [.?!;:,] )
        """,
        re.VERBOSE | re.IGNORECASE,
    )


_TOKENS = {decimal: _pattern(numbers) for decimal, numbers in _NUMBERS.items()}
_OPERATORS = {sign: sign for sign in "+-*/^=<>"} | {"−": "-", "×": "*", "÷": "/"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign: `word` folded and expanded, `raw` as written, `opens` at the start of a sentence."""

    word: str
    raw: str
    opens: bool = False


def tokenize(text: str, language: Language) -> tuple[Token, ...]:
    """The words and signs of a text, contractions expanded, numbers in plain form."""
    data = language.data.tokens
    tokens: list[Token] = []
    opens = True
    for match in _TOKENS[data.decimal].finditer(fold_letters(text)):
        raw = match.group()
        if match["sign"]:
            if raw in ".?!;:":
                opens = True
            else:
                tokens.append(Token(data.signs.get(raw) or _OPERATORS.get(raw, raw), raw))
            continue
        if match["number"]:
            tokens.append(Token(_plain_number(match["number"], match["suffix"] or "", data.decimal), raw))
        elif match["coded"]:
            tokens.append(_coded(raw, opens))
        elif (half := data.halves_of_day.get(raw.lower())) and tokens and tokens[-1].word[-1:].isdigit():
            tokens.append(Token(half, raw))
        elif not language.data.is_spaced:
            tokens.extend(Token(part.lower(), part, opens) for part in language.cut(raw))
        else:
            tokens.extend(_expand(raw, opens, language))
        opens = False
    return tuple(tokens)


def _plain_number(digits: str, suffix: str, decimal: str) -> str:
    plain = _with_decimal_point(digits, decimal).replace("−", "-")
    if plain.count(".") == 1 and plain.rstrip("0").endswith("."):
        plain = plain.rstrip("0").removesuffix(".")
    if not plain.isdigit():
        return plain
    if suffix.endswith("s") and len(plain) == 4:  # the 1980s are the 80s and the eighties
        return plain[2:]
    return plain + "000" if suffix.lower() == "k" else plain


def _with_decimal_point(digits: str, decimal: str) -> str:
    if decimal == ".":
        return digits.replace(",", "")
    whole, comma, fraction = digits.partition(",")
    grouped = re.fullmatch(r"([-−]?\d{1,3})((?:[.\u00a0\u202f ]\d{3})+)", whole)
    if grouped:
        whole = re.sub(r"[.\u00a0\u202f ]", "", whole)
    return f"{whole}.{fraction}" if comma else whole


def _coded(raw: str, opens: bool) -> Token:
    """`C++`, `°F`, `a.m.` stay whole; the points of other abbreviations go: `U.S.` is `US`."""
    folded = raw.lower().replace(" ", "")
    if folded.endswith(".") and folded not in ("a.m.", "p.m."):
        return Token(folded.replace(".", ""), raw.replace(".", ""), opens)
    return Token(folded, raw, opens)


def _expand(raw: str, opens: bool, language: Language) -> list[Token]:
    """One written word as one or more tokens: `don't` is `do not`, `l'homme` is `l' homme`, `Anna's` is `anna 's`."""
    raw = raw.replace("’", "'")
    word = raw.lower()
    word = language.contractions.get(word, word)
    if words := language.written_out.get(word):
        return [Token(words[0], raw, opens), *(Token(other, raw) for other in words[1:])]
    before: list[Token] = []
    if prefix := language.prefix_of(word):
        before = [Token(prefix, raw[: len(prefix)], opens)]
        raw, word = raw[len(prefix) :], word.removeprefix(prefix)
    if suffix := language.suffix_of(word):
        return [*before, Token(word.removesuffix(suffix), raw.removesuffix(suffix), opens), Token(suffix, suffix)]
    for ending, stands_for in language.data.tokens.endings.items():
        if word.endswith(ending) and len(word) > len(ending):
            bare = Token(word.removesuffix(ending), raw[: -len(ending)] if raw.lower() == word else raw, opens)
            if not stands_for or (stands_for == ending and bare.word in language.not_possessive):
                return [*before, bare]
            return [*before, bare, Token(stands_for, stands_for)]
    return [*before, Token(word, raw, opens)]
