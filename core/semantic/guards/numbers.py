"""The numbers in a text: digits, words, Roman numerals, and the signs between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .tokens import Token
from .vocabulary import words

_OPERATOR_WORDS = {"plus": "+", "minus": "-", "times": "*"}

_SMALL_NUMBERS = words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """
)
_ORDINALS = words(
    """
    zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
    """
)
_TENS = words("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBER_WORDS = (
    {word: value for value, word in enumerate(_SMALL_NUMBERS)}
    | {word: value for value, word in enumerate(_ORDINALS)}
    | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
    | {word.removesuffix("y") + "ieth": 10 * value for value, word in enumerate(_TENS, start=2)}
    | {word.removesuffix("y") + "ies": 10 * value for value, word in enumerate(_TENS, start=2)}
    | {"once": 1, "twice": 2, "thrice": 3, "dozen": 12}
)
_MULTIPLIERS = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14}
# As a pronoun or an adverb these say nothing of a number: "this one", "do I have to pay first".
_LOOSE_NUMBERS = frozenset({"one", "first", "once"})


def numbers_in(tokens: tuple[Token, ...]) -> Iterator[str]:
    """Every number in plain form, and arithmetic signs beside them. A `?` at the end: may be a pronoun or an adverb."""
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.word[-1:].isdigit():
            yield token.word
        elif token.raw in _ROMAN:
            yield str(_ROMAN[token.raw])
        elif _starts_number(tokens, position):
            value, after = _spoken_number(tokens, position)
            alone = after == position + 1 and token.word in _LOOSE_NUMBERS
            yield f"{value}?" if alone else str(value)
            position = after
            continue
        elif sign := _operator(tokens, position):
            yield sign
        position += 1


def _starts_number(tokens: tuple[Token, ...], position: int) -> bool:
    word = tokens[position].word
    before = tokens[position - 1].word if position else ""
    if word in _MULTIPLIERS:
        return not before[-1:].isdigit()
    if word == "second" and before in ("a", "per", "each", "every", "split", "1"):  # the unit of time
        return False
    return word in _NUMBER_WORDS


def _spoken_number(tokens: tuple[Token, ...], position: int) -> tuple[int, int]:
    """The value of the number words from here, and the position after them: `two hundred and five` is 205."""
    total = current = 0
    start = position
    while position < len(tokens):
        word = tokens[position].word
        if word == "and" and position > start and (current or total):
            following = tokens[position + 1].word if position + 1 < len(tokens) else ""
            if following not in _NUMBER_WORDS or not (current >= 100 or total):
                break
        elif word in _MULTIPLIERS:
            scale = _MULTIPLIERS[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
        elif word in _NUMBER_WORDS:
            value = _NUMBER_WORDS[word]
            room = value < 10 if current % 100 >= 20 and current % 10 == 0 else current % 100 == 0
            if position > start and not (room and (current or total)):
                break
            current += value
        else:
            break
        position += 1
    return total + current, position


def _operator(tokens: tuple[Token, ...], position: int) -> str:
    """The arithmetic sign at this position, when numbers stand beside it; "" otherwise."""
    word = tokens[position].word
    beside = [tokens[index].word for index in (position - 1, position + 1) if 0 <= index < len(tokens)]
    numeric = sum(other[-1:].isdigit() or other in _NUMBER_WORDS for other in beside)
    if word in _OPERATOR_WORDS:
        return _OPERATOR_WORDS[word] if numeric == 2 else ""
    return word if word in "+-*^=<>" and numeric else ""
