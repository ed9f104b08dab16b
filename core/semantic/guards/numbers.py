"""The numbers in a text: digits, words, Roman numerals, and the signs between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .language import Language
from .tokens import Token

_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14}


def numbers_in(tokens: tuple[Token, ...], language: Language) -> Iterator[str]:
    """Every number in plain form, and arithmetic signs beside them. A `?` at the end: may be a pronoun or an adverb."""
    idle = {place for match in language.idle_numbers.find([token.word for token in tokens]) for place in match.places}
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.word[-1:].isdigit():
            yield token.word
        elif token.raw in _ROMAN:
            yield str(_ROMAN[token.raw])
        elif position not in idle and _starts_number(tokens, position, language):
            value, after = _spoken_number(tokens, position, language)
            alone = after == position + 1 and token.word in language.loose_numbers
            yield f"{value}?" if alone else str(value)
            position = after
            continue
        elif sign := _operator(tokens, position, language):
            yield sign
        position += 1


def _starts_number(tokens: tuple[Token, ...], position: int, language: Language) -> bool:
    word = tokens[position].word
    if word in language.scales:
        return not (position and tokens[position - 1].word[-1:].isdigit())
    return word in language.numbers


def _spoken_number(tokens: tuple[Token, ...], position: int, language: Language) -> tuple[int, int]:
    """The value of the number words from here, and the position after them: `two hundred and five` is 205."""
    numbers, scales = language.numbers, language.scales
    total = current = 0
    start = position
    while position < len(tokens):
        word = tokens[position].word
        if word == language.data.numbers.conjunction and position > start and (current or total):
            following = tokens[position + 1].word if position + 1 < len(tokens) else ""
            if following not in numbers or not (current >= 100 or total):
                break
        elif word in scales:
            scale = scales[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
        elif word in numbers:
            value = numbers[word]
            room = value < 10 if current % 100 >= 20 and current % 10 == 0 else current % 100 == 0
            if position > start and not (room and (current or total)):
                break
            current += value
        else:
            break
        position += 1
    return total + current, position


def _operator(tokens: tuple[Token, ...], position: int, language: Language) -> str:
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
