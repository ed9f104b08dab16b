"""What the demo model says: a small, honest stock of answers for people who try the cache without a key.

Pure and free of claims it cannot keep: sums and conversions are computed, facts come from short tables, and what it
does not know it says it does not know. `variation` changes the wording only, as a real model's temperature would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import msgspec

_STOCK = Path(__file__).with_name("demo_stock.toml")


class _Topic(msgspec.Struct, frozen=True):
    """Wordings of one answer, and the patterns that call for it.

    A pattern is beginnings of words that must all occur ("card arriv"); one that ends in $ is a whole word.
    """

    when: tuple[str, ...]
    say: tuple[str, ...]


class _Definition(msgspec.Struct, frozen=True):
    of: tuple[str, ...]
    say: tuple[str, ...]


class _Stock(msgspec.Struct, frozen=True):
    topic: tuple[_Topic, ...]
    definition: tuple[_Definition, ...]
    capitals: dict[str, str]


@cache
def _stock() -> _Stock:
    return msgspec.toml.decode(_STOCK.read_bytes(), type=_Stock)


@cache
def _patterns() -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Patterns with their answers, the longest first."""
    patterns = [(tuple(pattern.split()), topic.say) for topic in _stock().topic for pattern in topic.when]
    return tuple(sorted(patterns, key=lambda pattern: -len(pattern[0])))


# Five openings and seven closings: with no common divisor, they come round together after 35 variations only.
_OPENINGS = ("", "Of course.", "Sure.", "Happy to help.", "Here you go.")
_CLOSINGS = (
    "",
    "Let me know if you would like more detail.",
    "Is there anything else you would like to know?",
    "I hope that helps.",
    "Feel free to ask a follow-up question.",
    "Just ask if anything is unclear.",
    "That is the gist of it.",
)
_LONGEST_QUESTION = 400
"""Characters that are looked at."""


def answer(question: str, variation: int) -> str:
    """The demo model's answer. Variations that follow each other differ in wording."""
    for find in (_greeting, _unknowable):
        if bodies := find(question[:_LONGEST_QUESTION]):
            return _turn(bodies, variation)
    bodies = facts(question)
    if not bodies:
        return _turn(_fallback(question[:_LONGEST_QUESTION]), variation)
    parts = (_turn(_OPENINGS, variation), _turn(bodies, variation).strip(), _turn(_CLOSINGS, variation))
    # Code and verse stand in lines of their own.
    return ("\n\n" if "\n" in parts[1] else " ").join(part for part in parts if part)


def facts(question: str) -> tuple[str, ...]:
    """What it has to say on the matter, in all its wordings; empty when it knows nothing of it."""
    for find in (_sum, _conversion, _capital, _definition, _topic):
        if bodies := find(question[:_LONGEST_QUESTION]):
            return tuple(bodies)
    return ()


def _turn(choices: Sequence[str], variation: int) -> str:
    return choices[variation % len(choices)]


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, without punctuation."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())


_GREETING = re.compile(r"(?:hi|hello|hey|hiya|greetings|good (?:morning|afternoon|evening|day)|there|encore|\W)+")
_THANKS = re.compile(
    r"(?:many |great |perfect |ok |okay |\W)*(?:thanks|thank you|thx|cheers)(?: (?:a lot|so much|very much)|\W)*"
)
_IDENTITY = re.compile(
    r"\b(?:who|what) are you\b|\byour name\b|\bare you (?:an? |the )?(?:real|human|robot|bot|ai|chatgpt)\b"
)


def _greeting(question: str) -> Sequence[str]:
    text = question.casefold().strip()
    if _GREETING.fullmatch(text):
        return (
            "Hello! This is Encore's demo model. Ask me about a bank card, a capital city, a sum, or a bit of code.",
            "Hi there. I am the demo model: ask something twice and watch the second answer come from the cache.",
            "Welcome! I stand in for a real model: my knowledge is small, but my latency is believable.",
        )
    if _THANKS.fullmatch(text):
        return ("You are welcome!", "Any time.", "My pleasure.")
    if _IDENTITY.search(text):
        return (
            "I am Encore's demo model: tables and templates, so that the cache can be tried without a key.",
            "I am no language model. I am the demo model that comes with Encore, and answer from a small stock.",
        )
    return ()


# Sums

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
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SUM = re.compile(
    r"^(?:(?:so|and|please|hey|can you|could you|tell me)[, ]+)*"
    r"(?:what(?:'s|’s| is| are)|how much is|calculate|compute|solve|evaluate|work out)?\s*"
    r"([-+*/^().\d\s]*\d[-+*/^().\d\s]*?)\s*(?:=|equals?|equal to)?\s*(?:please)?[?.!=\s]*$"
)


def _sum(question: str) -> Sequence[str]:
    text = _THOUSANDS.sub("", question.casefold().strip())
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
        shown, sign = _number(value)
    except ZeroDivisionError:
        return (
            "Dividing by zero has no result.",
            "There is no answer to that one: it divides by zero.",
        )
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
    """The value of what comes first in the tokens, as far as its operators bind at least so strongly; takes it off."""
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


def _number(value: Fraction) -> tuple[str, str]:
    """The number as people write it, and the sign that says whether it is exact."""
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


# Units; cups, pints and gallons are those of the United States

_UNITS: dict[str, tuple[str, Fraction]] = {
    name: (kind, Fraction(factor))
    for kind, table in {
        "length": {
            "mm millimeter millimetre": "0.001",
            "cm centimeter centimetre": "0.01",
            "m meter metre": "1",
            "km kilometer kilometre": "1000",
            "inch inche": "0.0254",
            "ft foot feet": "0.3048",
            "yd yard": "0.9144",
            "mi mile": "1609.344",
        },
        "mass": {
            "g gram gramme": "0.001",
            "kg kilo kilogram kilogramme": "1",
            "t tonne": "1000",
            "oz ounce": "0.028349523125",
            "lb pound": "0.45359237",
            "stone": "6.35029318",
        },
        "volume": {
            "ml milliliter millilitre": "0.001",
            "l liter litre": "1",
            "cup": "0.2365882365",
            "pint": "0.473176473",
            "gallon": "3.785411784",
        },
        "time": {
            "second sec": "1",
            "minute min": "60",
            "hour": "3600",
            "day": "86400",
            "week": "604800",
        },
        "data": {
            "byte": "1",
            "kb kilobyte": "1000",
            "mb megabyte": "1000000",
            "gb gigabyte": "1000000000",
            "tb terabyte": "1000000000000",
        },
        "temperature": {"c celsius": "1", "f fahrenheit": "1", "k kelvin": "1"},
    }.items()
    for names, factor in table.items()
    for name in names.split()
}
_QUANTITY = r"(-?\d+(?:[.,]\d+)?|an?|one)\s*(?:°|degrees?\s+)?\s*([a-z]+)"
_FORWARD = re.compile(_QUANTITY + r"\s+(?:in|to|into|as|equals? how many)\s+(?:°|degrees?\s+)?([a-z]+)")
_BACKWARD = re.compile(r"how many\s+([a-z]+)\s+(?:are\s+|is\s+)?(?:there\s+)?(?:in|make)\s+" + _QUANTITY)


def _conversion(question: str) -> Sequence[str]:
    text = _THOUSANDS.sub("", question.casefold())
    if found := _BACKWARD.search(text):
        to, amount, unit = found.groups()
    elif found := _FORWARD.search(text):
        amount, unit, to = found.groups()
    else:
        return ()
    source, target = _unit(unit), _unit(to)
    if source is None or target is None or source[0] != target[0]:
        return ()
    value = Fraction(1) if amount in ("a", "an", "one") else Fraction(amount.replace(",", "."))
    if source[0] == "temperature":
        converted = _from_kelvin(_to_kelvin(value, unit[0]), to[0])
    else:
        converted = value * source[1] / target[1]
    shown, sign = _number(round(converted, 4))
    word = "is" if sign == "=" and round(converted, 4) == converted else "is about"
    given = _number(value)[0]
    return (
        f"{given} {unit} {word} {shown} {to}.",
        f"That {word} {shown} {to}.",
        f"Converted to {to}, {given} {unit} {word} {shown}.",
    )


def _unit(name: str) -> tuple[str, Fraction] | None:
    return _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))


def _to_kelvin(value: Fraction, scale: str) -> Fraction:
    if scale == "c":
        return value + Fraction("273.15")
    return (value + Fraction("459.67")) * Fraction(5, 9) if scale == "f" else value


def _from_kelvin(value: Fraction, scale: str) -> Fraction:
    if scale == "c":
        return value - Fraction("273.15")
    return value * Fraction(9, 5) - Fraction("459.67") if scale == "f" else value


# What no demo can know

_UNKNOWABLE = (
    ("the time", "a clock", r"what (?:the )?(?:current )?(?:time|date)$|what day is|time is it|today's date"),
    ("the weather", "a forecast", r"weather|forecast|will it (?:rain|snow)|temperature (?:outside|today|in)"),
    ("today's news", "a news site", r"news|headlines|who (?:won|is winning)|latest score"),
    ("live prices", "a market feed", r"(?:stock|share|bitcoin|gold|oil) price|price of (?:bitcoin|gold|oil)"),
    (
        "your own data",
        "the service that holds them",
        r"(?:what|show|check|read)\b.* my (?:balance|calendar|e-?mails?)$",
    ),
)


def _unknowable(question: str) -> Sequence[str]:
    text = re.sub(r"(?<=what)(?:'s|’s| is)", "", question.casefold()).rstrip(" ?.!")
    for thing, source, pattern in _UNKNOWABLE:
        if re.search(rf"\b(?:{pattern})\b", text):
            return (
                f"This is the demo model: it has no way of knowing {thing}. Please look at {source} for that.",
                f"I cannot know {thing}, since the demo model is connected to nothing. You will want {source}.",
                f"For {thing} you need {source}; the demo model only has a small stock of answers.",
            )
    return ()


# Tables

_CAPITAL = re.compile(r"\bcapital(?: city)? of (?:the )?([^?.!,]+)|\b([a-z .'’-]+?)(?:'s|’s) capital\b")
_DEFINITION = re.compile(
    r"^(?:please |can you |could you )*"
    r"(?:what(?:'s|’s| is| are| does)|define|explain|describe|tell me about|(?:the )?definition of|meaning of)\s+"
    r"(?:(?:an?|the|meant by|meaning of|definition of|concept of|term) )*"
    r"([^?.!]+?)(?: mean| stand for| work| in simple terms| to me| please| briefly)*[?.!\s]*$"
)


def _capital(question: str) -> Sequence[str]:
    found = _CAPITAL.search(question.casefold())
    if found is None:
        return ()
    asked = (found[1] or found[2]).strip().removeprefix("what is ").removeprefix("the ")
    for country, city in _stock().capitals.items():
        if asked == country.removeprefix("the ").casefold():
            return (
                f"The capital of {country} is {city}.",
                f"{city} is the capital of {country}.",
                f"That is {city}.",
            )
    return ()


def _definition(question: str) -> Sequence[str]:
    found = _DEFINITION.match(question.casefold().strip())
    if found is None:
        return ()
    term = found[1].strip(" \"'“”")
    for definition in _stock().definition:
        if term in definition.of or term.removesuffix("s") in definition.of:
            return definition.say
    return ()


def _topic(question: str) -> Sequence[str]:
    words = words_of(re.sub(r"\btop(?:ped|ping)?[ -]?ups?\b", "topup", question.casefold()))
    for stems, bodies in _patterns():
        if all(_occurs(stem, words) for stem in stems):
            return bodies
    return ()


def _occurs(stem: str, words: Sequence[str]) -> bool:
    if stem.endswith("$"):
        return stem[:-1] in words
    return any(word.startswith(stem) for word in words)


_FALLBACK = (
    """This is the demo model. You asked about "{topic}", which is not in its small stock of answers. With a real \
provider configured, its answer would stand here, and the cache would treat it just the same.""",
    """The demo model has no answer to "{topic}". It can still show how Encore works: ask again, and this very text \
comes back from the cache, in a fraction of the time.""",
    """About "{topic}" the demo model knows nothing, so this is a placeholder. Set OPENAI_API_KEY or \
OPENAI_BASE_URL to have a real model answer.""",
    """I would need to be a real model for "{topic}". I am the demo model: I know some banking, some capitals, \
units, sums and a little code.""",
)


def _fallback(question: str) -> Sequence[str]:
    topic = " ".join(question.split())
    if len(topic) > 90:
        topic = topic[:90].rsplit(" ", 1)[0] + " ..."
    topic = topic.rstrip("?.! ").replace('"', "'") or "nothing"
    return [text.format(topic=topic) for text in _FALLBACK]
