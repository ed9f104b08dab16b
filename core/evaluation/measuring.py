"""The evaluation itself: asks what is labelled, and counts what became of it. Knows no cache and no file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Protocol

import msgspec

from ..errors import InvalidInput
from .counts import MOST_NAMES, Counts, Evaluation
from .labelled import Labelled, LabelledPair, LabelledQuestion, Messages

MOST_CLASSES = 1_000_000
"""Classes of answers in one file: what is known of each stays in memory."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a question: the label of the answer that was served, else those that a judge would be shown."""

    served: str | None = None
    shown: tuple[str, ...] = ()


class Asked(Protocol):
    """Something that is asked one question after another, and remembers the answers."""

    def ask(self, messages: Messages, label: str) -> Verdict:
        """Asks a question. What is not served is stored, under the label of its answer."""
        ...


def evaluate(lines: Iterable[Labelled], begin: Callable[[], Asked]) -> Evaluation:
    """What becomes of labelled lines. `begin` gives something empty to ask: one for each pair, one for the stream.

    Raises InvalidInput with the number of a line where there are too many categories, languages or classes.
    """
    found = Evaluation()
    stream: Asked | None = None
    seen: set[bytes] = set()
    for line in lines:
        match line:
            case LabelledPair():
                is_good, became = _pair(line, begin())
            case LabelledQuestion():
                stream = stream or begin()
                is_good, became = _question(line, stream, seen)
            case _:
                raise AssertionError(f"no such line: {type(line).__name__}")
        found.every.add(is_good=is_good, became=became)
        for name, counts in ((line.category, found.by_category), (line.language, found.by_language)):
            if name:
                _counted(name, counts, line).add(is_good=is_good, became=became)
    return found


def _pair(pair: LabelledPair, asked: Asked) -> tuple[bool, str]:
    asked.ask(pair.a, "a")
    verdict = asked.ask(pair.b, "b")
    kind = "good" if pair.equivalent else "traps"
    if verdict.served is not None:
        return pair.equivalent, f"served_{kind}"
    return pair.equivalent, f"judged_{kind}" if verdict.shown else ""


def _question(question: LabelledQuestion, asked: Asked, seen: set[bytes]) -> tuple[bool, str]:
    """In a stream an answer is right when it is of the question's class, whichever question it was given to."""
    own = question.answer_class
    digest = blake2b(own.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    is_good = digest in seen
    if len(seen) >= MOST_CLASSES and not is_good:
        raise InvalidInput(f"line {question.number}", f"has one answer_class more than {MOST_CLASSES:,}")
    seen.add(digest)
    verdict = asked.ask(question.messages, own)
    if verdict.served is not None:
        return is_good, "served_good" if verdict.served == own else "served_traps"
    if verdict.shown:
        return is_good, "judged_good" if own in verdict.shown else "judged_traps"
    return is_good, ""


def _counted(name: str, counts: dict[str, Counts], line: Labelled) -> Counts:
    if name not in counts and len(counts) >= MOST_NAMES:
        raise InvalidInput(f"line {line.number}", f"has one category or language more than {MOST_NAMES:,}")
    return counts.setdefault(name, Counts())
