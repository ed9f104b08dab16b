"""Sums in words or signs, computed exactly. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_STRENGTHS = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN_STRENGTH = 3
_SUM_TOKEN = re.compile(r"\s*((?:0|[1-9]\d*)(?:\.\d+)?(?!\d)|\.\d+|[-+*/^()])")
_SPOKEN_OPERATORS = (
    (r"(\d)\s*%\s*of\s*(?=\d)", r"\1 / 100 * "),
    (r"(\d)\s*percent of\s*(?=\d)", r"\1 / 100 * "),
    (r"\bmultiplied by\b|\btimes\b|×", "*"),
    (r"(?<=\d)\s*x\s*(?=\d)", "*"),
    (r"\bdivided by\b|÷", "/"),
    (r"\bplus\b", "+"),
    (r"\bminus\b|−", "-"),
    (r"\bsquared\b|²", "^2"),
    (r"\bcubed\b|³", "^3"),
    (r"\bto the power of\b|\*\*", "^"),
)
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SUM = re.compile(
    r"^(?:(?:so|and|please|hey|can you|could you|tell me)[, ]+)*"
    r"(?:what(?:'s|’s| is| are)|how much is|calculate|compute|solve|evaluate|work out)?\s*"
    r"([-+*/^().\d\s]*\d[-+*/^().\d\s]*?)\s*(?:=|equals?|equal to)?\s*(?:please)?[?.!=\s]*$"
)


def answer_sum(question: str) -> tuple[str, ...]:
    """Wordings of a sum's result, which is exact; empty when the question is no sum."""
    text = THOUSANDS.sub("", question.casefold().strip())
    for pattern, symbol in _SPOKEN_OPERATORS:
        text = re.sub(pattern, symbol, text)
    found = _SUM.match(text)
    if found is None:
        return ()
    expression = found[1].strip()
    try:
        tokens = _tokens(expression)
        if len(tokens) < 3:
            return ()
        value = _evaluate(tokens)
        if tokens:
            return ()
        shown, sign = written(value)
    except ZeroDivisionError:
        return ("Dividing by zero has no result.", "There is no answer to that one: it divides by zero.")
    except (IndexError, OverflowError, RecursionError, ValueError):
        return ()
    asked = _readable(expression)
    return (f"{asked} {sign} {shown}.", f"The result is {shown}: {asked} {sign} {shown}.", f"That makes {shown}.")


def _tokens(expression: str) -> list[str]:
    """The tokens of a sum, the first one last. Raises ValueError for anything else, such as a date (2024-01-02)."""
    tokens = []
    place = 0
    while place < len(expression):
        found = _SUM_TOKEN.match(expression, place)
        if found is None:
            raise ValueError("not a sum")
        tokens.append(found[1])
        place = found.end()
    return tokens[::-1]


def _evaluate(tokens: list[str], least: int = 0) -> Fraction:
    """The value of the sum at the head of the tokens, which it removes; ends before an operator weaker than `least`."""
    first = tokens.pop()
    if first == "(":
        value = _evaluate(tokens)
        if tokens.pop() != ")":
            raise ValueError("not a sum")
    elif first in ("+", "-"):
        value = _evaluate(tokens, _SIGN_STRENGTH)
        value = -value if first == "-" else value
    else:
        value = Fraction(first)
    while tokens and tokens[-1] in _STRENGTHS and _STRENGTHS[tokens[-1]] >= least:
        sign = tokens.pop()
        # Powers group from the right, everything else from the left.
        right = _evaluate(tokens, _STRENGTHS[sign] + (sign != "^"))
        value = _applied(value, sign, right)
    return value


def _applied(left: Fraction, sign: str, right: Fraction) -> Fraction:
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case _:
            if right.denominator != 1 or abs(right) > 64 or abs(left) > 10**9:
                raise ValueError("too large a power")
            return left ** int(right)


def written(value: Fraction) -> tuple[str, str]:
    """The number in plain notation, after "=" when that is exact and "≈" when it is rounded."""
    if value.denominator == 1:
        return str(value.numerator), "="
    if abs(value) < Fraction(1, 1000):
        return f"{float(value):.4g}", "≈"
    rounded = round(value, 6)
    shown = f"{float(rounded):f}".rstrip("0").rstrip(".")
    return shown, "=" if rounded == value else "≈"


def _readable(expression: str) -> str:
    spaced = re.sub(r"\s*([-+*/^])\s*", r" \1 ", expression)
    spaced = re.sub(r"(^|[(*/^+-] )\s*- (?=[\d(])", r"\1-", spaced)
    return spaced.replace("*", "×").replace("/", "÷").strip()
