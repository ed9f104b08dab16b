"""Whether a text is plainly a question or an order to the model, or may be material that it is to work on.

Only the former are folded by normalized lookup: in a text to translate, correct or classify, case, spaces and marks
count. The rules are data, `plain_texts.toml`, checked when they are loaded; what they do not know may be material.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from ..models import FUNCTION_ENDPOINT, ChatRequest
from ..text import nfc
from .phrases import SENTENCE_END, Openings, Phrases, TextKind, Words, rules_data, words_of
from .reach import Reach
from .spelling import LONGEST, lower, respell

PLAIN_FUNCTION = "llm_function_is_plain"
"""The name in `unkeyed` by which `cached_llm_call` says that a function has nothing about it that may instruct."""
LONGEST_INSTRUCTION = 2000
REMEMBERED = 4096
LONGEST_NAME = 4
LONGEST_DATE = 5

_SYSTEM_ROLES = ("system", "developer")
_TEXT_ONLY = {"type": "text"}
_NAME_PARTS = (re.compile(r"[^\W\d_]+"), re.compile(r"[^\W_]+"))
"""In letters, and in letters and digits: `t5` and `gec` of `gec-t5`."""
_TASK_ENDS = ("ing", "ings", "ion", "ions", "ment", "ments", "izer", "iser")
_DATE_WORD = re.compile(
    r"""(?: \d{1,4} (?: st | nd | rd | th )?
      | \d{1,4} [-/.] \d{1,2} (?: [-/.] \d{1,4} )? (?: t \d\d:\d\d (?: :\d\d )? z? )?
      | \d{1,2} :\d\d (?: :\d\d )? (?: am | pm | z )? | \d{1,2} (?: am | pm )
      | am | pm | utc | gmt | [cew]est | [cemp][sd]?t
      | jan | feb | mar | apr | jun | jul | aug | sept? | oct | nov | dec | mon | tue | wed | thu | fri | sat | sun
      | january | february | march | april | may | june | july | august | september | october | november | december
      | (?: mon | tues | wednes | thurs | fri | satur | sun ) day | the | of | at
    )""",
    re.VERBOSE,
)


def kind_of_request(
    request: ChatRequest, text: str, shape: Any, plain_prompts: frozenset[str] = frozenset()
) -> TextKind:
    """What the last message's text is, given all that comes with it.

    `shape` is its message without the text, as `scope_parts` has it. `plain_prompts` are the operator's own system
    texts, as `spaced` makes them.
    """
    kind = kind_of(text) if shape is not None and _is_bare(shape) else TextKind.MATERIAL
    if kind is TextKind.MATERIAL:
        return kind
    if request.endpoint == FUNCTION_ENDPOINT and not request.unkeyed.get(PLAIN_FUNCTION):
        return TextKind.MATERIAL
    rules = _rules()
    if rules.works_on_texts(request.model):
        return TextKind.MATERIAL
    for message in request.messages[:-1]:
        if message.get("role") not in _SYSTEM_ROLES or message.keys() - {"role", "content", "type"}:
            return TextKind.MATERIAL
        if not _instructs_plainly(message.get("content"), plain_prompts):
            return TextKind.MATERIAL
    for name, value in request.parameters.items():
        if not rules.allows(name, value) and not (
            name in rules.instructions and _instructs_plainly(value, plain_prompts)
        ):
            return TextKind.MATERIAL
    return kind


def is_plain_function(reach: Reach | None) -> bool:
    """Whether all that a function can reach is seen, and none of it says what it has a model do.

    Its names are of words known to say nothing of that, its texts single words and plain forms.
    """
    rules = _rules()
    return (
        reach is not None
        and reach.names <= rules.plain_names
        and all(rules.is_word(text) or is_plain_instruction(text) for text in reach.texts)
    )


def kind_of(text: str) -> TextKind:
    """What a text is by its own words, with nothing before it and no instruction beside it. Remembers the latest."""
    return TextKind.MATERIAL if len(text) > LONGEST else _kind_of(text)


@lru_cache(maxsize=REMEMBERED)
def _kind_of(text: str) -> TextKind:
    return _rules().kind(text)


def spaced(text: str) -> str:
    """A system text as it is compared with those of the operator: composed, with single spaces."""
    return " ".join(nfc(text).split())


def _is_bare(shape: Sequence[Any]) -> bool:
    """Whether the message has nothing but a role and one text."""
    _, message, *part = shape
    return not message.keys() - {"role", "type"} and all(one == _TEXT_ONLY for one in part)


def _instructs_plainly(content: Any, plain_prompts: frozenset[str]) -> bool:
    if isinstance(content, list):
        return all(
            isinstance(part, Mapping)
            and part.keys() == {"type", "text"}
            and isinstance(part["text"], str)
            and _instructs_plainly(part["text"], plain_prompts)
            for part in content
        )
    if not isinstance(content, str):
        return False
    return bool(plain_prompts and spaced(content) in plain_prompts) or is_plain_instruction(content)


def is_plain_instruction(text: str) -> bool:
    """Whether each sentence of a system text only says who answers and how, and none what to do with what is said."""
    return len(text) <= LONGEST_INSTRUCTION and _is_plain_instruction(text)


@lru_cache(maxsize=REMEMBERED)
def _is_plain_instruction(text: str) -> bool:
    sentences = SENTENCE_END.split(nfc(text).replace("’", "'"))
    return all(_rules().instructs(sentence) for sentence in sentences if sentence.strip())


# The rules, compiled


class _Names:
    """What may be a name in a sentence, and which names are known to say nothing of a work on texts."""

    def __init__(self, words: Sequence[str], may_be: Sequence[bool], listed: frozenset[str], bodies: frozenset[str]):
        self._words, self._may_be, self._listed, self._bodies = words, may_be, listed, bodies

    def ends(self, begin: int, *, listed: bool) -> Iterator[int]:
        """Where names may end that begin here: a person or a company that is listed, or any one."""
        for end in range(begin + 1, min(begin + LONGEST_NAME, len(self._words)) + 1):
            if not self._may_be[end - 1]:
                return
            name = self._words[begin:end]
            if not listed or " ".join(name) in self._listed or (len(name) > 1 and name[-1] in self._bodies):
                yield end


class _Form:
    """A sentence of a system text, word by word: each step takes one of some sequences, once, at most once or often."""

    def __init__(self, form: str, lists: Mapping[str, Sequence[str]]) -> None:
        self._steps = [_Step(step, lists) for step in form.split()]

    def matches(self, words: Sequence[str], names: _Names) -> bool:
        """Whether the form takes all words."""
        ends = {0}
        for step in self._steps:
            ends = step.ends(ends, words, names)
        return len(words) in ends


class _Step:
    """One step of a form."""

    def __init__(self, step: str, lists: Mapping[str, Sequence[str]]) -> None:
        self._often = step.endswith("*")
        self._optional = step.endswith(("?", "*"))
        step = step.rstrip("?*")
        listed = lists.get(step[1:-1], ()) if step.startswith("{") else step.split("|")
        self._special = step if step in ("{name}", "{date}") else ""
        self._sequences = [_Sequence(item) for item in listed]

    def ends(self, begins: set[int], words: Sequence[str], names: _Names) -> set[int]:
        """Where the step may end, given where it may begin."""
        found = set(begins) if self._optional else set()
        waiting = set(begins)
        while waiting:
            reached = {end for begin in waiting for end in self._once(begin, words, names)}
            waiting = reached - found if self._often else set()
            found |= reached
        return found

    def _once(self, begin: int, words: Sequence[str], names: _Names) -> Iterator[int]:
        if self._special:
            yield from _special_ends(self._special, begin, words, names)
        for sequence in self._sequences:
            yield from sequence.ends(begin, words, names)


class _Sequence:
    """Words in a row, of which the last may be a name."""

    def __init__(self, item: str) -> None:
        self._special = next((one for one in ("{name}", "{any}") if item.endswith(one)), "")
        self._words = tuple(item.removesuffix(self._special).split())

    def ends(self, begin: int, words: Sequence[str], names: _Names) -> Iterator[int]:
        end = begin + len(self._words)
        if tuple(words[begin:end]) == self._words:
            if self._special:
                yield from _special_ends(self._special, end, words, names)
            else:
                yield end


def _special_ends(special: str, begin: int, words: Sequence[str], names: _Names) -> Iterator[int]:
    if special != "{date}":
        yield from names.ends(begin, listed=special == "{name}")
        return
    has_digit = False
    for end in range(begin + 1, min(begin + LONGEST_DATE, len(words)) + 1):
        if _DATE_WORD.fullmatch(words[end - 1]) is None:
            return
        has_digit = has_digit or any(map(str.isdigit, words[end - 1]))
        if has_digit:
            yield end


class _Rules:
    """All rules of `plain_texts.toml`, compiled."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        languages: Iterable[Mapping[str, Sequence[str]]] = data["languages"].values()

        def all_of(name: str) -> list[str]:
            return [item for language in languages for item in language.get(name, ())]

        lists = data["instructions"]["lists"]
        self._quoting = frozenset(data["marks"]["quoting"])
        self.instructions = frozenset(data["requests"]["instructions"])
        self._parameters = frozenset(data["requests"]["parameters"])
        self._forms = [_Form(form, lists) for form in data["instructions"]["forms"]]
        self._whole = frozenset(data["instructions"]["whole"])
        self._tongues = frozenset(lists["language"])
        self.plain_names = frozenset(data["functions"]["names"])
        self._openings = Openings(languages)
        self._begins = tuple(all_of("begins"))
        self._ends = tuple(all_of("ends"))
        self._order_begins = tuple(all_of("order_begins"))
        self._order_ends = tuple(all_of("order_ends"))
        self._material = Words(all_of("material"))
        self._about_texts = Phrases(all_of("about_texts"))
        self._tasks = Words(data["instructions"]["tasks"])
        self._bodies = frozenset(data["instructions"]["bodies"])
        self._companies = frozenset(data["instructions"]["companies"])
        self._listed = frozenset(data["instructions"]["named"])
        self._models = Words(data["models"]["words"])
        self._model_pieces = tuple(data["models"]["pieces"])
        self._signs = re.compile("|".join(map(re.escape, all_of("signs"))))

    def allows(self, name: str, value: Any) -> bool:
        """Whether a parameter holds no instruction: it is known for that, it asks for plain text, or it is a name."""
        match name:
            case "response_format":
                return bool(value == _TEXT_ONLY)
            case "text":
                return bool(value == {"format": _TEXT_ONLY})
            case _:
                return name in self._parameters

    def is_word(self, text: str) -> bool:
        """Whether a text is one word at most, and none about texts."""
        lowered = text.lower()
        parts = lowered.replace("_", " ").split()
        if "{" in text or len(lowered.split()) > 1:
            return False  # what is formatted may read an attribute
        return self._tongues.isdisjoint(parts) and not self._has_material(parts)

    def works_on_texts(self, model: str) -> bool:
        """Whether a model's name says that it was made to do something with texts, or trained by someone."""
        lowered = model.lower()
        return any(piece in lowered for piece in self._model_pieces) or any(
            word in self._models for pattern in _NAME_PARTS for word in pattern.findall(lowered)
        )

    def _is_task(self, lowered: str) -> bool:
        """Whether a word in a name may say what is done with a text."""
        return lowered in self._tasks or (lowered.endswith(_TASK_ENDS) and lowered not in self._bodies)

    def instructs(self, sentence: str) -> bool:
        """Whether a sentence of a system text is plain."""
        given = words_of(sentence)
        words = [word.lower() for word in given]
        if " ".join(sentence.lower().split()) in self._whole:
            return True
        may_be = [
            (word[0].isupper() or word[0].isdigit())
            and lowered not in self._material
            and lowered not in self._tongues
            and not self._is_task(lowered)
            for word, lowered in zip(given, words, strict=True)
        ]
        names = _Names(words, may_be, self._listed, self._companies)
        return any(form.matches(words, names) for form in self._forms)

    def kind(self, text: str) -> TextKind:
        """What a text is: each of its sentences must be plain, the last one says what it is."""
        kind = TextKind.MATERIAL
        if self._quoting.isdisjoint(text):
            for sentence in SENTENCE_END.split(nfc(lower(respell(nfc(text).strip()))).replace("’", "'")):
                if sentence := sentence.strip():
                    found = self._kind_of_sentence(sentence)
                    if found is None:
                        return TextKind.MATERIAL
                    kind = found
        return kind

    def problems(self, examples: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
        """The examples that do not hold, each with what is wrong."""
        return [
            f"{language}: {text!r} is {self.kind(text).value}, not {kind.value}"
            for language, rules in examples.items()
            for kind in TextKind
            for text in rules.get(f"must_be_{kind.value}", ())
            if self.kind(text) is not kind
        ]

    def _kind_of_sentence(self, sentence: str) -> TextKind | None:
        """What a sentence is, given in lower case and composed; None: it may be material."""
        words = words_of(sentence)
        kind = self._openings.kind(words) or self._closing(sentence)
        if kind is None or (not sentence.isascii() and self._signs.search(sentence)):
            return None
        return None if self._has_material(words) else kind

    def _closing(self, sentence: str) -> TextKind | None:
        """The kind by what a text begins or ends with in languages that set no spaces, or the verb last."""
        if sentence.startswith(self._begins) or sentence.endswith(self._ends):
            return TextKind.QUESTION
        if sentence.startswith(self._order_begins) or sentence.endswith(self._order_ends):
            return TextKind.ORDER
        return None

    def _has_material(self, words: Sequence[str]) -> bool:
        return (
            any(word in self._material for word in words)
            or self._about_texts.stand_in(words)
            or self._in_a_language(words)
        )

    def _in_a_language(self, words: Sequence[str]) -> bool:
        return any(
            word in self._tongues and before in ("in", "into", "to", "good", "proper")
            for before, word in pairwise(words)
        )


@cache
def _rules() -> _Rules:
    """The rules. Raises ValueError when an example of theirs does not hold."""
    data = rules_data()
    rules = _Rules(data)
    if problems := rules.problems(data["languages"]):
        raise ValueError("plain_texts.toml: " + "; ".join(problems))
    return rules
