"""A question in a conversation, completed by what it depends on. Pure.

Deterministic rules name the dependencies: from the last turn back, as long as a message cannot be understood by itself,
what the user asked about and what the last answer named; an item of a list; and, wherever they stand, statements of the
user about themselves and orders about answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .reading import Reading, reading_of
from .references import References
from .turns import Turn, sentences

_FURTHEST: Final = 6
"""Turns of the user that a chain of dependencies goes back."""
_SHORT_ANSWER: Final = 160
"""Characters of an answer that is looked at whole; of a longer one its first sentence is."""
_MOST_PHRASES: Final = 12

_ITEM = re.compile(r"(?m)^[^\S\n]*(?:(\d{1,2})[.)]|[-*•])[^\S\n]+(.+)$")
_EITHER = re.compile(
    r"\b(?:either )?([^\s,.?!]{1,60}(?: [^\s,.?!]{1,60})?),? (?:or|and) (?:an? |the )?"
    r"([^\s,.?!]{1,60}(?: [^\s,.?!]{1,60})?)"
)  # bounded, as it is tried at every word


@dataclass(frozen=True, kw_only=True, eq=False)
class Completed:
    """The last message of a conversation and what it depends on.

    `context` are the user's turns that it goes on with, the latest last, `answer` what counts of the last answer,
    `item` what "the second one" is, `standing` what holds for the whole conversation, `spoken` all turns.
    `answer_digest` is the whole last answer's; empty without one.
    """

    message: Reading
    context: tuple[Reading, ...] = ()
    answer: Reading | None = None
    item: str = ""
    standing: tuple[Reading, ...] = ()
    spoken: tuple[Reading, ...] = ()
    answer_digest: bytes = b""
    is_reply: bool = False

    @property
    def is_bound(self) -> bool:
        """Whether the message cannot be understood without its context."""
        return self.message.is_bound or self.is_reply

    @cached_property
    def known_stems(self) -> frozenset[str]:
        """Stems of everything that was said, the message included."""
        return frozenset(stem for reading in (self.message, *self.spoken) for stem in reading.stems) | self.stems

    @property
    def works_on_answer(self) -> bool:
        """Whether the last answer is worked on."""
        return self.message.works_on_answer and bool(self.answer_digest)

    @cached_property
    def referents(self) -> frozenset[str]:
        """Stems of what the message is about without saying so."""
        if self.item:
            return reading_of(self.item).stems
        pointed = self.message.known_nouns
        spoken = frozenset(stem for reading in self._sources for stem in reading.stems)
        if pointed and pointed <= spoken and not self.message.pointers and not self.message.goes_on:
            heads = pointed
            near = frozenset(stem for reading in self._sources if reading.stems & heads for stem in reading.stems)
            return near | heads
        return frozenset(stem for reading in self.context for stem in reading.stems)

    @property
    def _sources(self) -> tuple[Reading, ...]:
        return (*self.context, *((self.answer,) if self.answer is not None else ()))

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the message and of all that it depends on."""
        readings = (self.message, *self._sources, *self.standing)
        stems = frozenset(stem for reading in readings for stem in reading.stems)
        return stems | (reading_of(self.item).stems if self.item else frozenset())

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The dependencies in words, the nearest first; what the message says itself is left out."""
        found: dict[str, None] = {}
        said = set(self.message.stems)
        if self.item:
            found[self.item] = None
            said |= reading_of(self.item).stems
        if self.message.depends or self.is_reply:
            replaced = self._replaced
            for reading in reversed(self.context):
                for phrase, stems in _phrases(reading):
                    if not stems <= said and not stems & replaced:
                        found.setdefault(phrase)
                        said |= stems
            if self.answer is not None and (self._asks_of_answer or not self.context):
                for phrase, stems in _phrases(self.answer, names_only=not self.is_reply):
                    if not stems <= said:
                        found.setdefault(phrase)
                        said |= stems
        return tuple(found)[:_MOST_PHRASES]

    @property
    def _asks_of_answer(self) -> bool:
        known = self.message.references
        persons = known.persons | known.places if known is not None else frozenset()
        return self.is_reply or bool(self.message.pointers & persons)

    @property
    def _replaced(self) -> frozenset[str]:
        """What the message says anew: in "and to Japan?" the name before, in "and for three?" the number."""
        if not self.message.goes_on or not self.context:
            return frozenset()
        before = self.context[-1]
        replaced: set[str] = set()
        if self.message.spoken_names and len(before.names) == 1:
            replaced |= {one.stem for one in before.matter if one.raw.lower() in before.names}
        if self.message.numbers:
            replaced |= set(before.numbers)
        return frozenset(replaced)

    @cached_property
    def text(self) -> str:
        """The message with its dependencies: what is embedded."""
        standing = [reading.text for reading in self.standing]
        return "\n".join((self.message.text, *filter(None, [", ".join(self.phrases)]), *standing))

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        """What the message depends on, in words for a judge and an operator."""
        return (*self.phrases, *(reading.text for reading in self.standing))


def complete(turns: Sequence[Turn], question: str) -> Completed:
    """The completed form of a question after a history. Takes time linear in the texts."""
    message = reading_of(question)
    said = [reading_of(turn.text) for turn in turns if turn.is_user]
    last = turns[-1] if turns and not turns[-1].is_user else None
    is_reply = last is not None and _asks_back(last.text) and _answers(message)
    answer = _answer(last, message, is_reply=is_reply) if last is not None else None
    item = _item(message, said[-1:], last)
    standing = [sentence for reading in said for sentence in reading.standing]
    standing += [sentence for sentence in message.standing if len(sentences(message.text)) > 1]
    return Completed(
        message=message,
        context=_chain(said, message, is_reply=is_reply),
        answer=answer,
        item=item,
        standing=tuple(dict.fromkeys(standing)),
        spoken=tuple(reading_of(turn.text) for turn in turns),
        answer_digest=last.digest if last is not None else b"",
        is_reply=is_reply,
    )


def _chain(said: Sequence[Reading], message: Reading, *, is_reply: bool) -> tuple[Reading, ...]:
    """The user's turns that a message goes on with, from the oldest: back to the first that says all itself."""
    chain: list[Reading] = []
    open_ = message.depends or is_reply or not message.says_all
    for reading in reversed(said[-_FURTHEST:]):
        if not open_:
            break
        if reading.matter:
            chain.append(reading)
        open_ = not reading.matter or reading.depends or (not reading.says_all and not _asks_plainly(reading))
    return tuple(reversed(chain))


def _asks_plainly(reading: Reading) -> bool:
    """Whether a turn is a whole question or order by itself, however short: "What is throat cancer?"."""
    return not reading.depends and bool(reading.stems)


def _asks_back(answer: str) -> bool:
    """Whether an answer ends with a question to the user."""
    return answer.rstrip().endswith(("?", "？", "؟"))


def _answers(message: Reading) -> bool:
    """Whether a message replies to a question: it does not ask, or says more before it does."""
    return not message.is_question or bool(message.yes_or_no) or len(sentences(message.text)) > 1


def _answer(last: Turn, message: Reading, *, is_reply: bool) -> Reading:
    """What counts of the last answer: the question that it ends with, a short one whole, else its beginning."""
    parts = sentences(last.text)
    if is_reply and parts:
        return reading_of(parts[-1])
    if len(last.text) <= _SHORT_ANSWER or not parts:
        return reading_of(last.text)
    return reading_of(parts[0])


def _item(message: Reading, before: Sequence[Reading], last: Turn | None) -> str:
    """What "the second one", "the last" and "the former" stand for; empty where that cannot be told."""
    known = message.references
    if known is None:
        return ""
    place = _ordinal(message, known)
    if place is None:
        return ""
    items = [found[2].strip() for found in _ITEM.finditer(last.text)] if last is not None else []
    if len(items) < 2:
        items = [list(found.groups()) for reading in before for found in _EITHER.finditer(reading.text)][-1:]  # type: ignore[assignment]
        items = items[0] if items else []  # type: ignore[assignment]
    return items[place] if -len(items) <= place < len(items) else ""


def _ordinal(message: Reading, known: References) -> int | None:
    """Which of some things a message points at, from 0 on, -1 for the last; None for none."""
    words = message.words
    matter = {one.raw.lower() for one in message.matter}
    for place, word in enumerate(words):
        if place and words[place - 1] in known.articles:
            following = words[place + 1] if place + 1 < len(words) else ""
            is_bare = (
                following in ("", "one", "ones", "item", "option", "point", "suggestion") or following not in matter
            )
            if word in known.ordinals and is_bare:
                return known.ordinals.index(word)
            if word == "former":
                return 0
            if word == "latter" or (word == known.last and is_bare):
                return -1
    return None


def _phrases(reading: Reading, *, names_only: bool = False) -> list[tuple[str, frozenset[str]]]:
    """What a message is about, in its words: runs of names and nouns, numbers with what follows; all, without any."""
    found: list[tuple[str, frozenset[str]]] = []
    run: list[tuple[str, str]] = []
    last = -2
    chosen = {
        one.place: one
        for one in reading.matter
        if one.raw.lower() in reading.spoken_names or (not names_only and (one.is_noun or reading.references is None))
    }
    places = dict.fromkeys(sorted({*chosen, *_number_places(reading)} if not names_only else chosen))
    for place in places:
        if place != last + 1 and run:
            found.append(_joined(run))
            run = []
        one = chosen.get(place)
        run.append((reading.raws[place], one.stem if one is not None else reading.words[place]))
        last = place
    if run:
        found.append(_joined(run))
    if not found and not names_only:
        found = [(one.raw, frozenset({one.stem})) for one in reading.matter]
    return found


def _number_places(reading: Reading) -> list[int]:
    return [place for place, raw in enumerate(reading.raws) if raw[:1].isdigit()]


def _joined(run: Sequence[tuple[str, str]]) -> tuple[str, frozenset[str]]:
    return " ".join(raw for raw, _ in run), frozenset(stem for _, stem in run)
