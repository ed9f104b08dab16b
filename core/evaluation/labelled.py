"""Labelled lines: pairs of questions or of conversations, and streams of questions with the class of their answer.

Reads one line at a time, gzip or plain. Knows no cache.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, cast

import msgspec

from ..errors import InvalidInput
from ..models import ChatRequest

MAX_LINE = 1_000_000
"""Bytes of a line, unpacked."""
MAX_NAME = 200
"""Characters of a category, a language or a class of answers."""

Messages = Sequence[Mapping[str, Any]]


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """One line: its number, and the category and language that it names, empty where it names none."""

    number: int
    category: str = ""
    language: str = ""


class LabelledPair(Labelled, frozen=True, kw_only=True):
    """`a` is stored, then `b` is asked; `equivalent` says whether the answer to `a` answers `b` too."""

    a: Messages
    b: Messages
    equivalent: bool


class LabelledQuestion(Labelled, frozen=True, kw_only=True):
    """One request of a stream; all questions of a class have the same answer."""

    messages: Messages
    answer_class: str


def read_labelled(file: IO[bytes]) -> Iterator[Labelled]:
    """The labelled lines of a file, which may be gzipped. Empty lines are skipped. Raises InvalidInput with the number.

    A line is `{"a", "b", "equivalent"}`, texts or lists of messages, or `{"query", "answer_class"}`; `category` and
    `language` may stand in each.
    """
    for number, line in _numbered(file):
        where = f"line {number}"
        try:
            record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput(where, "is not UTF-8") from None
        except (ValueError, RecursionError):
            raise InvalidInput(where, "is not JSON") from None
        yield _labelled(record, number, where)


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        lines = _plain(file)
        while line := lines.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise InvalidInput(f"line {number}", f"has more than {MAX_LINE:,} bytes")
            if line.strip():
                yield number, line
    except (OSError, EOFError, zlib.error):
        # Of a gzipped file that is cut off or damaged what is readable comes first.
        raise InvalidInput(f"line {number + 1}", "cannot be read from the file") from None


def _plain(file: IO[bytes]) -> IO[bytes]:
    """The file unpacked, by what it begins with: its name may be anything."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    return cast("IO[bytes]", gzip.open(buffered) if buffered.peek(2)[:2] == b"\x1f\x8b" else buffered)


def _labelled(record: Any, number: int, where: str) -> Labelled:
    if not isinstance(record, dict):
        raise InvalidInput(where, "is not an object")
    names = {name: _name(record.get(name), name, where) for name in ("category", "language")}
    if "query" in record or "answer_class" in record:
        answer_class = record.get("answer_class")
        if isinstance(answer_class, bool) or not isinstance(answer_class, str | int):
            raise InvalidInput(where, "has no answer_class beside its query")
        return LabelledQuestion(
            number=number,
            messages=_messages(record.get("query"), "query", where),
            answer_class=_name(str(answer_class), "answer_class", where),
            **names,
        )
    if not isinstance(record.get("equivalent"), bool):
        raise InvalidInput(where, "has neither a query with its answer_class nor a, b and equivalent (true or false)")
    a, b = (_messages(record.get(name), name, where) for name in ("a", "b"))
    return LabelledPair(number=number, a=a, b=b, equivalent=record["equivalent"], **names)


def _name(value: Any, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise InvalidInput(where, f"{name} is no text of at most {MAX_NAME} characters")
    return value


def _messages(value: Any, name: str, where: str) -> Messages:
    if isinstance(value, str) and value.strip():
        return ({"role": "user", "content": value},)
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) and "role" in one for one in value):
        raise InvalidInput(where, f"{name} is neither a text nor a list of messages with a role")
    try:
        ChatRequest.from_openai(model="evaluation", messages=value)
    except InvalidInput as error:
        raise InvalidInput(where, f"{name}: {error.problem}") from None
    return value
