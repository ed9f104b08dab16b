"""Transcripts: the playground's turns as a file, and turns read from such a file.

A file may come from anybody: it is checked field by field, it is small, and nothing in it is more than text and
figures to look at. Nothing of it is sent, and no entry is changed by the keys that it names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import msgspec

from core.errors import InvalidInput
from core.keys import NAMESPACE_PATTERN, READABLE_KEY_PATTERN
from core.models import Answer, CacheStrategy, Completion, Outcome
from core.text import is_name
from pages.components.playground.conversation import MOST_TURNS, Ask, Turn

MOST_BYTES = 5_000_000
FORMAT: Final = "encore-transcript-1"
_WORD = re.compile(r"[A-Za-z0-9_ .-]{0,64}")
_LARGEST = 1e11
"""Larger figures cannot be: it is more than three thousand years in seconds."""

_Prompt = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
_System = Annotated[str, msgspec.Meta(max_length=20_000)]
_Text = Annotated[str, msgspec.Meta(max_length=200_000)]
_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Figure = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """One turn as it stands in the file."""

    prompt: _Prompt
    model: _Name = ""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.2
    strategy: CacheStrategy = CacheStrategy.NORMALIZED
    ttl_seconds: _Figure | None = None
    past_cache: bool = False
    namespace: Annotated[str, msgspec.Meta(pattern=rf"^{NAMESPACE_PATTERN}\Z")] = "default"
    system: _System = ""
    history: Annotated[list[tuple[Literal["user", "assistant"], _Text]], msgspec.Meta(max_length=100)] = []
    parameters: _System = ""
    asked_at: _Figure = 0.0
    answer: _Text = ""
    problem: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    key: Annotated[str, msgspec.Meta(pattern=rf"^({READABLE_KEY_PATTERN.pattern})?\Z")] = ""
    age_seconds: _Figure = 0.0
    fresh_seconds: _Figure = 0.0
    outcome: Outcome | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal["encore-transcript-1"]
    turns: Annotated[list[_Line], msgspec.Meta(max_length=MOST_TURNS)]


_decode = msgspec.json.Decoder(_File).decode


def dump(turns: Iterable[Turn]) -> bytes:
    """The turns as JSON."""
    lines = [_line(turn) for turn in turns]
    return msgspec.json.format(msgspec.json.encode(_clean(msgspec.to_builtins(_File(format=FORMAT, turns=lines)))))


def load(text: bytes) -> list[Turn]:
    """The turns of a file. Raises InvalidInput, naming what is wrong with it."""
    if len(text) > MOST_BYTES:
        raise InvalidInput("transcript", f"give a file of at most {MOST_BYTES // 1_000_000} MB")
    try:
        lines = _decode(text).turns
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("transcript", f"is not a transcript of the playground: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.outcome is not None and not _is_possible(line.outcome):
            raise InvalidInput("transcript", f"turn {number} has an impossible outcome")
        if not is_name(line.model):
            raise InvalidInput("transcript", f"turn {number} has an impossible model name")
    return [_turn(line) for line in lines]


def _line(turn: Turn) -> _Line:
    ask, answer = turn.ask, turn.answer
    return _Line(
        prompt=ask.prompt,
        model=ask.model,
        temperature=ask.temperature,
        strategy=ask.strategy,
        ttl_seconds=ask.ttl_seconds,
        past_cache=ask.past_cache,
        namespace=ask.namespace,
        system=ask.system,
        history=list(ask.history),
        parameters=ask.parameters,
        asked_at=turn.asked_at,
        answer=turn.text,
        problem=turn.problem,
        key=answer.key if answer else "",
        age_seconds=answer.age_seconds if answer else 0.0,
        fresh_seconds=answer.ttl_seconds if answer else 0.0,
        outcome=answer.outcome if answer else None,
    )


def _turn(line: _Line) -> Turn:
    answer = None
    if line.outcome is not None:
        answer = Answer(
            completion=Completion(body={}),
            outcome=line.outcome,
            key=line.key,
            age_seconds=line.age_seconds,
            ttl_seconds=line.fresh_seconds,
            similarity=line.outcome.similarity,
        )
    ask = Ask(
        prompt=line.prompt,
        model=line.model,
        temperature=line.temperature,
        strategy=line.strategy,
        ttl_seconds=line.ttl_seconds,
        past_cache=line.past_cache,
        namespace=line.namespace,
        system=line.system,
        history=tuple(line.history),
        parameters=line.parameters,
    )
    return Turn(
        id=uuid4().hex[:12],
        ask=ask,
        asked_at=line.asked_at,
        text=line.answer,
        answer=answer,
        problem=line.problem or ("" if answer else "The file holds no answer."),
        imported=True,
    )


def _is_possible(outcome: Outcome) -> bool:
    words = (outcome.reason, outcome.not_stored, outcome.ttl_class)
    figures: list[Any] = [value for value in msgspec.structs.astuple(outcome) if isinstance(value, int | float)]
    return all(math.isfinite(figure) and -1 <= figure <= _LARGEST for figure in figures) and all(
        _WORD.fullmatch(word) for word in words
    )


def _clean(value: Any) -> Any:
    """Without lone surrogates, which JSON cannot carry."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {name: _clean(item) for name, item in value.items()}
        case list():
            return [_clean(item) for item in value]
        case _:
            return value
