"""What the demo model says: a small, honest stock of answers for people who try the cache without a key.

Pure and free of claims it cannot keep: sums and conversions are computed, facts come from short tables, and what it
does not know it says it does not know. `variation` changes the wording only, as a real model's temperature would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from .arithmetic import answer_sum
from .units import answer_conversion

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
    """The facts that answer the question, in all their wordings; empty when the demo model knows none."""
    for find in (answer_sum, answer_conversion, _capital, _definition, _topic):
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
