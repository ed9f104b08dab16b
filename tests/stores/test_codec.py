from __future__ import annotations

import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DecodeError
from core.models import CacheEntry
from core.stores import codec
from tests.samples import an_entry, digest_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)


@given(
    prompt=texts,
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
    tags=st.lists(texts, max_size=3).map(tuple),
    body=st.dictionaries(st.text(), json_values, max_size=4),
    chunks=st.none() | st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=3),
    sequence=st.integers(0, 2**63),
    cost=st.none() | st.floats(0, 1000),
    target=st.none() | st.binary(min_size=32, max_size=32),
    users=st.lists(st.binary(min_size=16, max_size=16), max_size=2).map(tuple),
)
def test_an_entry_comes_back_as_it_was(prompt, model, tags, body, chunks, sequence, cost, target, users):
    fields = {"model": model, "sequence": sequence, "cost_usd": cost, "target": target, "users": users}
    entry = an_entry(prompt="p", tags=tags, body=body, chunks=chunks, **fields)
    assert codec.decode_entry(codec.encode_entry(entry)) == entry


@pytest.mark.parametrize("named", [{}, {"tags": ("doc:1", "doc:2"), "users": (b"u" * 16,)}])
@pytest.mark.parametrize("content", ["short", "long " * 1000])
def test_every_flipped_bit_and_every_truncation_is_noticed(content, named):
    value = codec.encode_entry(an_entry(body={"choices": [{"message": {"content": content}}]}, **named))
    for position in range(len(value)):
        for bit in (1, 128):
            flipped = bytearray(value)
            flipped[position] ^= bit
            with pytest.raises(DecodeError):
                codec.decode_entry(bytes(flipped))
        with pytest.raises(DecodeError):
            codec.decode_entry(value[:position])
    with pytest.raises(DecodeError):
        codec.decode_entry(value + b"x")


@given(st.binary(max_size=600))
def test_bytes_that_are_no_entry_are_refused_and_nothing_else_is_raised(value):
    with pytest.raises(DecodeError):
        codec.decode_entry(value)


def test_a_pickle_is_refused():
    with pytest.raises(DecodeError):
        codec.decode_entry(pickle.dumps({"prompt": "x"}))


def test_another_schema_is_refused():
    value = codec.encode_entry(an_entry())
    with pytest.raises(DecodeError, match="schema"):
        codec.decode_entry(bytes([codec.SCHEMA + 1]) + value[1:])


def test_a_payload_that_unpacks_to_too_much_is_refused(monkeypatch):
    value = codec.encode_entry(an_entry(body={"text": "a" * 100_000}))
    assert len(value) < 5000
    monkeypatch.setattr(codec, "MAX_PAYLOAD_BYTES", 50_000)
    with pytest.raises(DecodeError, match="too large"):
        codec.decode_entry(value)


def seen_by_a_ban(entry: CacheEntry, *, with_text: bool) -> codec.EntrySummary:
    header = entry.header
    fields = (header.digest, header.model, header.incarnation, header.sequence, header.created_at, header.target)
    return codec.EntrySummary(*fields, entry.tags, header.users, entry.prompt if with_text else "")


@pytest.mark.parametrize("body", [{"text": "short"}, {"text": "a b " * 5000}, None])
@pytest.mark.parametrize("target", [None, digest_of("target")])
def test_what_a_ban_looks_at_is_read_without_the_answer(body, target):
    entry = an_entry("Why?", tags=("doc:1",), users=(b"u" * 16, b"v" * 16), target=target, body=body)
    assert codec.summarize(codec.encode_entry(entry), with_text=True) == seen_by_a_ban(entry, with_text=True)


def test_what_a_ban_looks_at_beside_the_text_is_in_the_first_bytes():
    names = {"model": "m" * 80, "namespace": "n" * 64, "tags": tuple(map("doc:{:06}".format, range(8)))}
    entry = an_entry(**names, users=(b"u" * 16,) * 2, target=digest_of("target"), body={"text": "a b " * 5000})
    start = codec.encode_entry(entry)[: codec.HEADER_BYTES]
    assert codec.summarize(start, with_text=False) == seen_by_a_ban(entry, with_text=False)


@pytest.mark.parametrize("named", [{"tags": ("x" * 200,) * 3}, {"users": (b"u" * 16,) * 25}])
def test_a_header_that_was_not_read_to_its_end_is_not_taken_for_one_without_names(named):
    value = codec.encode_entry(an_entry(**named))
    for end in range(137, codec.HEADER_BYTES):
        with pytest.raises(DecodeError):
            codec.summarize(value[:end], with_text=False)


@given(st.binary(max_size=600), st.booleans())
def test_a_glance_at_bytes_that_are_no_entry_raises_nothing_else(value, with_text):
    with pytest.raises(DecodeError):
        codec.summarize(value, with_text=with_text)


def test_the_creation_time_stands_where_a_sweep_looks_for_it():
    value = codec.encode_entry(an_entry(created_at=1234.5))
    assert struct.unpack_from(">d", value, codec.CREATED_OFFSET) == (1234.5,)


def test_the_stamp_stands_where_compare_and_delete_looks_for_it():
    value = codec.encode_entry(an_entry(sequence=77))
    stamp = value[codec.STAMP_OFFSET : codec.STAMP_OFFSET + codec.STAMP_BYTES]
    assert stamp == codec.stamp_bytes(b"i" * 16, 77)


@pytest.mark.parametrize("odd", [{"body": {"text": "\ud800"}}, {"tags": ("\ud800",)}, {"tags": ("x" * 70_000,)}])
def test_what_cannot_be_written_is_refused_when_it_is_stored(odd):
    with pytest.raises(DecodeError):
        codec.encode_entry(an_entry(**odd))
