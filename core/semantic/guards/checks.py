"""Small differences that decide an answer and that a cosine does not see: pure vetoes with a reason a person can read.

A guard that passes proves nothing; a guard that refuses has seen a difference. In long texts a detail that only one of
them has comes and goes without changing what is asked; one that each has its own way decides there too. The limits,
and what is on, come from measuring how many right and how many wrong answers each guard removes
(`benchmarks/semantic_quality.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from .contrasts import Contrasts, contrasts_of
from .language import language
from .letters import fold_letters, scripts_in
from .made_from import MAX_WORDS, added, moved
from .spoken import Spoken, spoken
from .wording import Part, Wording, wording_of

_DEFAULT = "en"
"""Whose words are looked at in texts whose language has no file."""

MAX_WORDS_CONTRAST = 24
"""In longer texts two words of one set meet by chance."""

MAX_WORDS_COMPARED = 400
MAX_CHARACTERS_COMPARED = 3_000
MAX_NAMES_COMPARED = 40
"""Longer texts, and those with more names, are refused: one detail among their words hardly moves a cosine, and to
compare all takes too long."""


class Guard(StrEnum):
    """What a guard looks at."""

    LENGTH = "length"
    NUMBERS = "numbers"
    NEGATION = "negation"
    CONTRAST = "contrast"
    QUESTION = "question"
    ROLES = "roles"
    NAMES = "names"
    IDENTIFIERS = "identifiers"
    ORDER = "order"
    LANGUAGE = "language"
    WORDS = "words"
    REMAINDER = "remainder"
    """What is left of two long texts: see `remainder`."""


DEFAULT_GUARDS: frozenset[Guard] = frozenset(Guard)
"""What is on unless a namespace says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """Whether a guard lets the texts stand for each other. `guard` None: all enabled guards passed.

    `judgeable`: it does not pass, but a judge's yes may still serve one for the other. `reason` quotes words of the
    texts: for the operator's screen, never for logs and metrics.
    """

    passed: bool
    guard: Guard | None
    reason: str
    judgeable: bool = False


class _Pair:
    """Two texts beside each other, with what the dictionary finds in them."""

    def __init__(self, a: Wording, b: Wording, contrasts: Contrasts | None, languages: tuple[Spoken, Spoken]) -> None:
        self.languages = languages
        self.a = a
        self.b = b
        self.language = a.language
        self.contrasts = contrasts or contrasts_of(self.language.code)
        self.longest = max(a.word_count, b.word_count)
        self.is_short = self.longest <= MAX_WORDS

    @cached_property
    def is_open(self) -> bool:
        """Whether a cosine may decide where the guards see no difference."""
        return all(language(one.code).data.is_open for one in self.languages if one.code)

    @cached_property
    def found(self) -> tuple[dict[int, dict[int, str]], dict[int, dict[int, str]]]:
        return self.contrasts.find(self.a), self.contrasts.find(self.b)


def check(
    question: str,
    stored: str,
    *,
    enabled: Collection[Guard] = DEFAULT_GUARDS,
    contrasts: Contrasts | None = None,
    languages: tuple[Spoken, Spoken] | None = None,
) -> GuardVerdict:
    """The first refusal of an enabled guard, else the first that a judge may lift, else a verdict that all passed.

    Symmetric in the two texts. `languages`: theirs, where more than these texts is known.
    """
    doubt = None
    enabled_in_order = [guard for guard in Guard if guard in enabled]
    for verdict in _verdicts(question, stored, enabled_in_order, contrasts, languages):
        if not verdict.passed:
            if not verdict.judgeable:
                return verdict
            doubt = doubt or verdict
    return doubt or GuardVerdict(passed=True, guard=None, reason="no guard sees a difference")


def check_each(question: str, stored: str, *, contrasts: Contrasts | None = None) -> tuple[GuardVerdict, ...]:
    """What every guard says, enabled or not, in a fixed order: for the screen that explains a lookup."""
    return tuple(_verdicts(question, stored, list(Guard), contrasts))


def _verdicts(
    question: str,
    stored: str,
    guards: Sequence[Guard],
    contrasts: Contrasts | None,
    languages: tuple[Spoken, Spoken] | None = None,
) -> Iterator[GuardVerdict]:
    if too_long := _too_long(question, stored):
        for guard in guards:
            is_met = guard is Guard.LENGTH
            yield GuardVerdict(passed=not is_met, guard=guard, reason=too_long if is_met else "not compared: too long")
        return
    pair = _pair(question, stored, contrasts, languages or (spoken(question), spoken(stored)))
    for guard in guards:
        if guard in _DOUBTS:
            reason, judgeable = _DOUBTS[guard](pair)
        else:
            reason, judgeable = _GUARDS[guard](pair), False
        yield GuardVerdict(
            passed=not reason, guard=guard, reason=reason or "no difference seen", judgeable=bool(reason) and judgeable
        )


def _pair(question: str, stored: str, contrasts: Contrasts | None, languages: tuple[Spoken, Spoken]) -> _Pair:
    """The two texts as one language has them: their own, or what the guards know best where it has no file."""
    ours, theirs = languages
    code = ours.code or theirs.code or _DEFAULT
    return _Pair(
        wording_of(question, ours.code or code), wording_of(stored, theirs.code or code), contrasts, (ours, theirs)
    )


def _too_long(*texts: str) -> str:
    if all(len(text) <= MAX_CHARACTERS_COMPARED and len(text.split()) <= MAX_WORDS_COMPARED for text in texts):
        return ""
    return f"too long to compare: more than {MAX_WORDS_COMPARED} words or {MAX_CHARACTERS_COMPARED} characters"


# Each returns why the texts differ, "" when it sees no difference.


def _numbers(pair: _Pair) -> str:
    a, b = pair.a, pair.b
    ours, theirs = Counter(a.numbers), Counter(b.numbers)
    ours, theirs = ours - theirs, theirs - ours
    _settle_loose(ours, theirs)
    _settle_loose(theirs, ours)
    _settle_numeronyms(a, ours, b)
    _settle_numeronyms(b, theirs, a)
    if not (+ours or +theirs) or not (pair.is_short or (+ours and +theirs)):
        return ""
    return f"numbers differ: {_listed(ours)} and {_listed(theirs)}"


def _settle_loose(ours: Counter[str], theirs: Counter[str]) -> None:
    """`one` goes with 1, or with nothing at all."""
    for number in [number for number in ours if number.endswith("?")]:
        plain = number.removesuffix("?")
        if theirs[plain] > 0:
            theirs[plain] -= 1
        elif +theirs:
            continue
        del ours[number]


def _settle_numeronyms(text: Wording, numbers: Counter[str], other: Wording) -> None:
    """k8s goes with kubernetes."""
    if not text.numeronyms:
        return
    outlines = {(word[0], len(word), word[-1]) for word in other.words}
    for first, count, last in text.numeronyms:
        if (first, int(count) + 2, last) in outlines:
            numbers[count] -= 1


def _listed(numbers: Counter[str]) -> str:
    return ", ".join(number.removesuffix("?") for number in sorted((+numbers).elements())) or "none"


def _negation(pair: _Pair) -> str:
    a, b = pair.a, pair.b
    ours, theirs = _negations(a, b), _negations(b, a)
    if not pair.is_short or (len(ours) - len(theirs)) % 2 == 0:
        return ""
    if (ours.count("") - theirs.count("")) % 2:
        return "only one is in the negative"
    # Where the other text does not speak of what is negated here, it is another wording and not another polarity.
    shared = (set(ours) - set(theirs)) & b.stems | (set(theirs) - set(ours)) & a.stems
    return f"only one is negated: {min(shared)}" if shared else ""


def _negations(text: Wording, other: Wording) -> tuple[str, ...]:
    """With those made by a prefix, where the other text has the bare word: unsafe and safe."""
    by_prefix = [
        text.language.stem(bare)
        for word, bare in text.prefixed
        if bare in other.word_set and word not in other.word_set
    ]
    return text.negations + tuple(by_prefix)


def _contrast(pair: _Pair) -> str:
    if pair.longest > MAX_WORDS_CONTRAST:
        return ""
    ours, theirs = pair.found
    for group in sorted(ours.keys() & theirs.keys()):
        only_ours = ours[group].keys() - theirs[group].keys()
        only_theirs = theirs[group].keys() - ours[group].keys()
        if only_ours and only_theirs:
            left, right = ours[group][min(only_ours)], theirs[group][min(only_theirs)]
            return f"{left} is not {right} ({pair.contrasts.name(group)})"
    return ""


_QUESTIONS_APART = frozenset(
    frozenset((one, other))
    for one, others in {
        "reason": ("person", "place", "time", "duration", "frequency", "quantity", "way"),
        "person": ("place", "time", "duration", "frequency", "quantity", "way"),
        "place": ("time", "duration", "frequency", "quantity"),
        "way": ("time", "duration", "frequency", "quantity"),
        "time": ("quantity",),
        "frequency": ("quantity",),
        "permission": ("advice", "duty"),
    }.items()
    for other in others
)
"""Pairs that no one answer serves. A place may be a way ("where / how can I ..."), a duration may be a time."""


def _question(pair: _Pair) -> str:
    ours, theirs = pair.a.asks, pair.b.asks
    if not pair.is_short or not ours or not theirs:
        return ""
    if all(frozenset((one, other)) in _QUESTIONS_APART for one in ours for other in theirs):
        return f"one asks for the {min(ours)}, the other for the {min(theirs)}"
    return ""


def _roles(pair: _Pair) -> str:
    """Who does it to whom, and from where to where."""
    if pair.a.stems & pair.language.symmetric and pair.b.stems & pair.language.symmetric:
        return ""
    ours, theirs = _single(pair.a.parts), _single(pair.b.parts)
    for word in sorted(ours.keys() & theirs.keys()):
        if frozenset((ours[word], theirs[word])) in pair.language.opposite_markers:
            return f"{ours[word]} {word} is not {theirs[word]} {word}"
    swapped = _swapped(pair.a.parts, pair.b.parts, pair.language.clauses)
    return f"{swapped[0]} and {swapped[1]} are swapped" if swapped else ""


def _single(parts: Sequence[Part]) -> dict[str, str]:
    """stem -> marker of the words that a text has once."""
    counts = Counter(part.stem for part in parts)
    return {part.stem: part.marker for part in parts if counts[part.stem] == 1}


def _swapped(ours: Sequence[Part], theirs: Sequence[Part], clauses: Collection[str]) -> tuple[str, str] | None:
    """The two words that changed places, when all else is the same words in the same order and construction."""
    if [part.marker for part in ours] != [part.marker for part in theirs]:
        return None  # "payment on my card" is "card payment"
    apart = [index for index, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one.stem != other.stem]
    if len(apart) != 2:
        return None
    first, last = apart
    if (ours[first].stem, ours[last].stem) != (theirs[last].stem, theirs[first].stem):
        return None
    if last == first + 1 and not ours[last].marker:
        return None  # "pending payment" is "payment pending"
    between = (*ours[first + 1 : last + 1], *theirs[first + 1 : last + 1])
    if any(part.coordinated and part.marker not in clauses for part in between):
        return None  # "cats and dogs" are "dogs and cats"; "rinse and then dry" is not "dry and then rinse"
    return ours[first].stem, ours[last].stem


def _names(pair: _Pair) -> str:
    a, b = pair.a, pair.b
    if max(len(a.names), len(b.names)) > MAX_NAMES_COMPARED:
        return f"more than {MAX_NAMES_COMPARED} names: too many to compare"
    ours, theirs = pair.found
    known = {
        word
        for group in ours.keys() & theirs.keys()
        for alternative in ours[group].keys() & theirs[group].keys()
        for word in (*ours[group][alternative].split(), *theirs[group][alternative].split())
    }
    only_ours = [name for name in a.names - known if not _mentions(b, name, a)]
    only_theirs = [name for name in b.names - known if not _mentions(a, name, b)]
    return f"names differ: {min(only_ours)} and {min(only_theirs)}" if only_ours and only_theirs else ""


def _mentions(text: Wording, name: str, origin: Wording) -> bool:
    """Whether a text has the name: inflected, misspelt by a letter, as its initials or spelt out."""
    root = origin.language.stem(name)
    if root in text.stems or any(_is_same_name(root, other) for other in text.stems):
        return True
    return (len(name) > 1 and name in text.initials) or any(
        acronym in origin.initials and name[0] in acronym for acronym in text.names if len(acronym) > 1
    )


def _is_same_name(one: str, other: str) -> bool:
    """`pakistani` is `pakistan`, `hilary` is `hillary`; `austria` is not `australia`."""
    short, long = sorted((one, other), key=len)
    if one[0] != other[0] or len(short) < 4:
        return False
    if long.startswith(short):
        return len(long) - len(short) <= 4
    return len(short) >= 5 and _one_letter_apart(short, long)


def _one_letter_apart(short: str, long: str) -> bool:
    same = next((index for index, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]


def _identifiers(pair: _Pair) -> str:
    only_ours, only_theirs = _missing(pair.a, pair.b), _missing(pair.b, pair.a)
    if not (only_ours or only_theirs) or not (pair.is_short or (only_ours and only_theirs)):
        return ""
    return f"identifiers differ: {min(only_ours, default='none')} and {min(only_theirs, default='none')}"


def _missing(text: Wording, other: Wording) -> set[str]:
    """Identifiers of a text that the other one lacks; a word like macOS may be written without its capitals."""
    missing = {found for found in text.identifiers if found.lower() not in other.word_set}
    missing |= {token.raw for token in text.tokens if token.raw in text.language.case_decides}
    return missing - other.identifiers - {token.raw for token in other.tokens}


def _order(pair: _Pair) -> tuple[str, bool]:
    return moved(pair.a, pair.b) if pair.is_open else "", True


_SCRIPTS = {"han": "Chinese", "kana": "Japanese", "hangul": "Korean", "another": "other"}
_JAPANESE = frozenset({"han", "kana"})
"""Scripts in which any word of one language may be written."""


def _language(pair: _Pair) -> tuple[str, bool]:
    """Texts in two languages never answer each other; who serves without a judge must know the language."""
    ours, theirs = pair.languages
    if ours.name and theirs.name and ours != theirs:
        return f"one is in {ours.name}, the other in {theirs.name}", False
    if pair.a.text.split() == pair.b.text.split():
        return "", True
    strange = _scripts(pair.a.text) ^ _scripts(pair.b.text)
    if ours.code == theirs.code == "ja":
        strange -= _JAPANESE
    if strange:
        return f"only one has {_SCRIPTS.get(min(strange), min(strange).capitalize())} letters", True
    if ours.code and theirs.code:
        return "", True
    name = ours.name if ours == theirs else ""
    return (f"the guards do not know {name}" if name else "only names, code or numbers: no language can be told"), True


@lru_cache(maxsize=4096)
def _scripts(text: str) -> frozenset[str]:
    return frozenset(scripts_in(fold_letters(text)))


def _words(pair: _Pair) -> tuple[str, bool]:
    """Where it is not measured how much a cosine may overlook, nothing but what the file calls the same may differ."""
    if pair.is_open:
        return added(pair.a, pair.b), True
    if pair.a.meaning == pair.b.meaning:
        return "", True
    ours, theirs = Counter(pair.a.meaning), Counter(pair.b.meaning)
    only_ours, only_theirs = min(ours - theirs, default=""), min(theirs - ours, default="")
    if not only_ours and not only_theirs:
        return "the same words in another order", True
    return f"only one says it: {only_ours or 'nothing'} and {only_theirs or 'nothing'}", True


_DOUBTS: dict[Guard, Callable[[_Pair], tuple[str, bool]]] = {
    Guard.LANGUAGE: _language,
    Guard.ORDER: _order,
    Guard.WORDS: _words,
}
"""Guards that may leave it to a judge: each returns why, "" for nothing, and whether a judge may say."""

_GUARDS: dict[Guard, Callable[[_Pair], str]] = {
    Guard.LENGTH: lambda pair: "",  # looked at before the texts are taken apart
    Guard.CONTRAST: _contrast,
    Guard.NUMBERS: _numbers,
    Guard.NEGATION: _negation,
    Guard.QUESTION: _question,
    Guard.ROLES: _roles,
    Guard.NAMES: _names,
    Guard.IDENTIFIERS: _identifiers,
    Guard.REMAINDER: lambda pair: "",  # looks at two texts before they are a pair
}
