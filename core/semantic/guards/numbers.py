"""The numbers in a text: digits, words, Roman numerals, and the signs between them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from .language import Language
from .tokens import Token

_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14}
_ROMAN |= {"XV": 15, "XVI": 16, "XVII": 17, "XVIII": 18, "XIX": 19, "XX": 20, "XXI": 21}
_PLAIN = re.compile(r"\d{1,15}(?:\.\d{1,6})?")
_THOUSAND: Final = 1000
_LONG_TENS: Final = (60, 80)
"""Tens that go on to nineteen: soixante-dix, quatre-vingt-onze."""


class Number(NamedTuple):
    """A number or an arithmetic sign in plain form, and the places of its words. A `?` at the end: may be a pronoun."""

    plain: str
    start: int
    end: int


def numbers_in(tokens: Sequence[Token], language: Language) -> Iterator[Number]:
    """Every number of a text, and arithmetic signs beside numbers."""
    idle = {place for match in language.idle_numbers.find([token.word for token in tokens]) for place in match.places}
    position = 0
    while position < len(tokens):
        token = tokens[position]
        plain, after = "", position + 1
        if token.word[-1:].isdigit():
            plain, after = _with_scales(tokens, position, language)
        elif token.raw in _ROMAN:
            plain = str(_ROMAN[token.raw])
        elif position not in idle and (token.word in language.numbers or token.word in language.scales):
            value, after = _spoken_number(tokens, position, language)
            is_loose = after == position + 1 and token.word in language.loose_numbers
            plain = f"{value}?" if is_loose else str(value)
        else:
            plain = _operator(tokens, position, language)
        if plain:
            yield Number(plain, position, after)
        position = after


def in_smaller_units(tokens: tuple[Token, ...], language: Language) -> tuple[Token, ...]:
    """Two weeks as 14 days, 1.5 hours as 90 minutes."""
    if not any(language.stem(token.word) in language.units for token in tokens):
        return tuple(tokens)
    written: list[Token] = []
    place = 0
    for number in numbers_in(tokens, language):
        plain, unit = number.plain.removesuffix("?"), tokens[number.end].word if number.end < len(tokens) else ""
        if _PLAIN.fullmatch(plain) and (smaller := language.units.get(language.stem(unit))):
            count = f"{Decimal(plain) * smaller[0]:f}"
            count = count.rstrip("0").removesuffix(".") if "." in count else count
            written += (*tokens[place : number.start], Token(count, count), Token(smaller[1], tokens[number.end].raw))
            place = number.end + 1
    return (*written, *tokens[place:])


def _with_scales(tokens: Sequence[Token], position: int, language: Language) -> tuple[str, int]:
    """Digits, and the words behind them that multiply: 3 million is 3000000."""
    plain, after = tokens[position].word, position + 1
    while after < len(tokens) and (scale := language.scales.get(tokens[after].word)) and _PLAIN.fullmatch(plain):
        plain, after = f"{Decimal(plain) * scale:f}", after + 1
    if after > position + 1 and "." in plain:
        plain = plain.rstrip("0").removesuffix(".")
    return plain, after


def _spoken_number(tokens: Sequence[Token], position: int, language: Language) -> tuple[int, int]:
    """The value of the number words from here, and the position after them: `two hundred and five` is 205."""
    numbers, scales = language.numbers, language.scales
    total = section = pending = 0  # thousands and more, hundreds, what is below them
    start = position
    while position < len(tokens):
        word = tokens[position].word
        if position > start and word == language.data.numbers.conjunction:
            following = numbers.get(tokens[position + 1].word) if position + 1 < len(tokens) else None
            if following is None or not _joins(language, total + section, pending, following):
                break
        elif (scale := scales.get(word)) is not None:
            if scale < _THOUSAND:
                section, pending = section + max(pending, 1) * scale, 0
            elif 0 < total < scale:
                total, section, pending = (total + section + pending) * scale, 0, 0
            else:
                total, section, pending = total + max(section + pending, 1) * scale, 0, 0
        elif (value := numbers.get(phrase := _two_words(tokens, position), numbers.get(word))) is not None:
            if position > start and not _has_room(pending, value, tokens[position - 1].word, language):
                break
            pending += value
            position += phrase in numbers
        else:
            break
        position += 1
    return total + section + pending, position


def _two_words(tokens: Sequence[Token], position: int) -> str:
    """This word and the next one, as a file joins the words of a phrase: quatre_vingt; empty at the last word."""
    return f"{tokens[position].word}_{tokens[position + 1].word}" if position + 1 < len(tokens) else ""


def _joins(language: Language, above: int, pending: int, following: int) -> bool:
    """Whether an `and` stands inside a number: after hundreds, after tens, or between units and tens."""
    match language.data.numbers.joins:
        case "tens":
            return bool(above and not pending) or (pending >= 20 and pending % 10 == 0 and following < 20)
        case "units":
            return bool(above) or (0 < pending < 10 and following >= 20)
        case _:
            return bool(above) and (not pending or pending % 10 == 0)


def _has_room(pending: int, value: int, before: str, language: Language) -> bool:
    if not pending:
        return True
    if before == language.data.numbers.conjunction and pending < 10:
        return value >= 20
    if pending >= 100 and pending % 100 == 0 and value < 100:  # двести пятьдесят
        return True
    return pending % 10 == 0 and pending >= 20 and (value < 10 or (pending in _LONG_TENS and value < 20))


def _operator(tokens: Sequence[Token], position: int, language: Language) -> str:
    """The arithmetic sign at this position, when numbers stand beside it; "" otherwise."""
    word = tokens[position].word
    operators = language.data.numbers.operators
    if word not in operators and word not in "+-*^=<>":
        return ""
    beside = [tokens[index].word for index in (position - 1, position + 1) if 0 <= index < len(tokens)]
    numeric = sum(other[-1:].isdigit() or other in language.numbers for other in beside)
    if word in operators:
        return operators[word] if numeric == 2 else ""
    return word if numeric else ""
