"""Labelled lines as people write them, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from core.errors import InvalidInput
from core.evaluation import LabelledPair, LabelledQuestion, read_labelled
from core.evaluation.labelled import MAX_LINE

PAIR = {"a": "Why is the sky blue?", "b": "Why is the sea blue?", "equivalent": False}


def read(*lines: object, packed: bool = False):
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return list(read_labelled(io.BytesIO(gzip.compress(content) if packed else content)))


@pytest.mark.parametrize("packed", [False, True])
def test_pairs_streams_and_chats_are_read_gzipped_or_not(packed):
    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    ]
    pair, question, chats = read(
        PAIR | {"category": "name", "language": "en", "id": 7},
        {"query": "Where is my card?", "answer_class": 3},
        b"",
        {"a": chat, "b": chat, "equivalent": True},
        packed=packed,
    )
    assert isinstance(pair, LabelledPair)
    assert (pair.category, pair.language, pair.equivalent) == ("name", "en", False)
    assert isinstance(question, LabelledQuestion)
    assert (question.answer_class, question.number) == ("3", 2)
    assert (chats.number, list(chats.a)) == (4, chat)


def test_a_mark_of_byte_order_before_the_first_line_is_no_part_of_it():
    assert len(read("\ufeff".encode() + json.dumps(PAIR).encode())) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff{}", "is not UTF-8"),
        ([], "is not an object"),
        ({}, "has neither a query"),
        (PAIR | {"equivalent": "no"}, "has neither a query"),
        (PAIR | {"b": " "}, "b is neither a text"),
        (PAIR | {"b": []}, "b is neither a text"),
        (PAIR | {"b": ["Why?"]}, "b is neither a text"),
        (PAIR | {"b": [{"content": "Why?"}]}, "b is neither a text"),
        (PAIR | {"category": 3}, "category is no text"),
        (PAIR | {"language": "x" * 201}, "language is no text"),
        ({"query": "Why?"}, "has no answer_class"),
        ({"answer_class": "why"}, "query is neither a text"),
        ({"query": "Why?", "answer_class": True}, "has no answer_class"),
        (b"x" * (MAX_LINE + 1), "has more than 1,000,000 bytes"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(line, problem):
    with pytest.raises(InvalidInput, match=f"line 3: .*{problem}"):
        read(PAIR, b"", line)


def test_of_a_file_that_is_cut_off_the_line_after_the_last_whole_one_is_named():
    packed = gzip.compress(b"\n".join(json.dumps(PAIR | {"id": number}).encode() for number in range(2000)))
    lines = read_labelled(io.BytesIO(packed[: len(packed) // 2]))
    with pytest.raises(InvalidInput, match=r"line \d+: cannot be read"):
        for _ in lines:
            pass
