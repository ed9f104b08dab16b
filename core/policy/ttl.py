"""TTLPolicy: how long the answer to a prompt may be served, by rules that an operator can read, try and replace.

Rules see whole words, never parts of them: "know" is not "now", "zip code" is not code. Matching takes time linear in
the text, whatever the rules, and looks at the beginning and the end of a long prompt only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from ..models import LONGEST_SECONDS, TTL, AtMost, For, NoStore
from .languages import Wording, languages
from .matching import Matcher
from .pointing import asks_for_code, points
from .rules import TTLRule

PERSONALIZED: Final = "personalized"
"""The class whose answers belong to one user: the user joins the scope."""

LOOKED_AT: Final = 1000
"""Characters looked at from each end of a prompt: a question stands before or after what it is about."""

REMEMBERED: Final = 4096
"""Prompts of up to `LOOKED_AT` characters whose decision is remembered: hits are repeats."""


GENERAL_CLASSES: Final = frozenset({"static_facts", "general_knowledge", "code"})
"""The classes whose answers may be the same for everybody."""

_KINDS: Final = {PERSONALIZED: "own", "current_events": "timely"}
_TIMELESS: Final = "static_facts"
_CODE: Final = "code"

NO_RULE: Final = "no-rule"
KIND: Final = "kind"
LONG: Final = "long"
LANGUAGE: Final = "language"
FIRST_PERSON: Final = "first-person"
ACCOUNT: Final = "account"
POINTING: Final = "pointing"
CODE_AT_HAND: Final = "code-at-hand"


class TTLDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The policy's decision on a prompt: class, rule, TTL in seconds (0: do not store), and what the rule matched.

    `not_general` says why the prompt is not surely general, empty when it is: no rule but one that takes what is left
    (`no-rule`), another class (`kind`), a part that no rule looked at (`long`), a language without rules (`language`),
    a first person (`first-person`), an account, an order and the like (`account`), something that only the asker's
    surroundings know (`pointing`: "the report", "she"), or code that may be at hand (`code-at-hand`: "list branches").
    """

    ttl_class: str
    rule: str
    seconds: float
    matched: str = ""
    not_general: str = ""

    @property
    def personal(self) -> bool:
        """Whether the answer belongs to one user."""
        return self.ttl_class == PERSONALIZED


class TTLPolicy:
    """The rules in order; the first that matches decides. Build it once: that compiles them.

    `classes` are seconds by class, over the default ones; new names are new classes. `rules` come before the default
    ones; one with the name of a default rule replaces it in its place. Raises ValueError for a rule of no known class
    or seconds out of range.
    """

    def __init__(self, classes: Mapping[str, float] | None = None, rules: Iterable[TTLRule] = ()) -> None:
        rules = tuple(rules)
        classes = classes or {}
        if problems := class_problems(classes) + rule_problems(rules, classes):
            raise ValueError("; ".join(problems))
        standard_classes, standard = _standard()
        self._classes = {**standard_classes, **classes}
        own = {rule.name: rule for rule in rules}
        replaced = {rule.name for rule in standard} & own.keys()
        self._rules = (
            *(rule for rule in rules if rule.name not in replaced),
            *(own.get(rule.name, rule) for rule in standard),
        )
        *matching, self._unread, self._rest = self._rules
        self._matcher = _compiled(tuple(matching))
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._classify)

    def classes(self) -> dict[str, float]:
        """Seconds by class."""
        return dict(self._classes)

    def rules(self) -> Sequence[TTLRule]:
        """All rules in order of precedence."""
        return self._rules

    def explain(self, prompt: str) -> TTLDecision:
        """Class, rule and TTL of a prompt. A hundred characters take about 20 us the first time, 0.1 us again."""
        return self._remembered(prompt) if len(prompt) <= LOOKED_AT else self._classify(prompt)

    def timeless(self) -> TTLDecision:
        """The decision on what is the same for everybody and at any time."""
        seconds = self._classes[_TIMELESS]
        return TTLDecision(ttl_class=_TIMELESS, rule="the same at any time", seconds=seconds)

    def _classify(self, prompt: str) -> TTLDecision:
        looked_at = _ends(prompt)
        found = self._matcher.first(looked_at)
        if found is None:
            found = self._rest if _may_keep(looked_at) else self._unread, ""
        rule, matched = found
        return TTLDecision(
            ttl_class=rule.ttl_class,
            rule=rule.name,
            seconds=self._classes[rule.ttl_class],
            matched=matched,
            not_general=_not_general(prompt, rule, matched),
        )


def kept_seconds(
    asked: TTL,
    seconds: float,
    *,
    configured: float | None,
    longest: float,
    vary: Callable[[float], float] = lambda seconds: seconds,
) -> float | None:
    """How long an answer is fresh, None for not at all: as its request asks, else for the `seconds` of its class.

    `configured` is one TTL for all, `longest` the most for this kind of request; `vary` is not for what is asked.
    """
    if isinstance(asked, NoStore):
        return None
    if isinstance(asked, For) and not isinstance(asked, AtMost):
        return asked.seconds
    # One TTL for all is for what may be kept at all: the rules' 0 stays 0.
    seconds = seconds if configured is None or not seconds else configured
    if not seconds:
        return None
    kept = vary(min(seconds, longest))
    return min(kept, asked.seconds) if isinstance(asked, AtMost) else kept


def class_problems(classes: Mapping[str, float]) -> list[str]:
    """Everything wrong with an operator's classes."""
    problems = [
        f"class {name!r}: use 1 to 32 lower-case letters, digits and underscores"
        for name in classes
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name)
    ]
    return problems + [
        f"class {name!r}: give seconds between 1 and {LONGEST_SECONDS}, or 0 for no storing"
        for name, seconds in classes.items()
        if not (seconds == 0 or 1 <= seconds <= LONGEST_SECONDS)
    ]


def rule_problems(rules: Sequence[TTLRule], classes: Mapping[str, float]) -> list[str]:
    """Everything wrong with an operator's rules together, given the operator's classes."""
    known = _standard()[0].keys() | classes.keys()
    problems = [
        f"rule {rule.name!r}: no class {rule.ttl_class!r}; there are {', '.join(sorted(known))}"
        for rule in rules
        if rule.ttl_class not in known
    ]
    last = {rule.name for rule in _standard()[1] if not rule.can_match}
    problems += [
        f"rule {rule.name!r}: "
        + ("takes what no other rule does: give it no words" if rule.can_match else "give it words, phrases or signs")
        for rule in rules
        if rule.can_match == (rule.name in last)
    ]
    names = [rule.name for rule in rules]
    return problems + [f"rule {name!r}: given twice" for name in sorted(set(names)) if names.count(name) > 1]


@cache
def _standard() -> tuple[dict[str, float], tuple[TTLRule, ...]]:
    """The classes and rules of `ttl_rules.toml`. Raises ValueError for examples of languages that do not hold."""
    data = tomllib.loads((Path(__file__).parent / "ttl_rules.toml").read_text(encoding="utf-8"))
    classes = {name: float(seconds) for name, seconds in data["classes"].items()}
    rules = tuple(_rule(fields) for fields in data["rules"])
    matcher = _compiled(tuple(rule for rule in rules if rule.can_match))

    def kind_of(text: str) -> str:
        found = matcher.first(text)
        return _KINDS.get(found[0].ttl_class, "") if found else ""

    if problems := list(languages().problems(kind_of)):
        raise ValueError("; ".join(problems))
    return classes, rules


def _rule(fields: dict[str, Any]) -> TTLRule:
    wording: Wording | None = getattr(languages(), fields.pop("languages", ""), None)
    if wording is None:
        return TTLRule(**fields)
    # Their examples are checked, and their phrases by a test: pydantic would take longer for them than all the rest.
    return TTLRule.model_construct(**fields, phrases=wording.phrases, signs=wording.signs, unless=wording.unless)


@cache
def _reserved() -> Matcher[Wording]:
    return Matcher(languages().reserved)


@cache
def _anybodys() -> Sequence[Matcher[Wording]]:
    return [Matcher([wording]) for wording in languages().anybodys]


def _may_keep(text: str) -> bool:
    """Whether what no rule takes may be kept for long: English, whose rules know what is personal and what soon old; in
    other languages only how something is done, or what everybody may know."""
    known = languages()
    if known.is_english(text):
        return True
    how, asks = _anybodys()
    if how.first(text):
        return known.understands(text)
    return bool(asks.first(text)) and known.understands(text) and not _reserved().first(text)


def _not_general(prompt: str, rule: TTLRule, matched: str) -> str:
    """Why a prompt is not surely general, given the rule that decides and what it matched; empty when it is."""
    if not rule.can_match:
        return NO_RULE
    if rule.ttl_class not in GENERAL_CLASSES:
        return KIND
    if len(prompt) > 2 * LOOKED_AT:
        return LONG
    if reserved := _reserved().first(prompt):
        return reserved[0].name
    if not languages().understands(prompt):
        return LANGUAGE
    is_code = rule.ttl_class == _CODE
    by_operator = not any(rule is one for one in _standard()[1])
    if points(prompt, "" if is_code else matched, by_operator=by_operator):
        return POINTING
    return CODE_AT_HAND if is_code and not asks_for_code(prompt) else ""


def _ends(prompt: str) -> str:
    """The beginning and the end of a long prompt, without the words that the cut would break."""
    if len(prompt) <= 2 * LOOKED_AT:
        return prompt
    head, tail = prompt[: LOOKED_AT + 1], prompt[-LOOKED_AT - 1 :]
    return re.sub(r"(?<!\w)\w+$", "", head) + "\n" + re.sub(r"^\w+", "", tail)


@lru_cache(maxsize=8)
def _compiled(rules: tuple[TTLRule, ...]) -> Matcher[TTLRule]:
    """What rules are compiled to takes milliseconds to make, and never changes: each job of a worker needs it."""
    return Matcher(rules)
