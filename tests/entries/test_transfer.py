"""Entries as JSON Lines, and lines as requests with their answers."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bans.record import Visibility
from core.entries import transfer
from core.entries.listing import FoundEntry
from core.entries.transfer import Line, LineReader, export
from core.errors import InvalidInput
from core.models import For, NoStore
from tests.samples import NOW, an_entry, digest_of


def found(prompt="What?", **fields):
    return FoundEntry(
        key="0-" + digest_of(prompt).hex(), entry=an_entry(prompt, **fields), state=Visibility.FRESH, bytes=1
    )


def one(**fields):
    return Line(**({"model": "gpt-4o", "messages": [{"role": "user", "content": "What?"}], "answer": "That."} | fields))


def read_lines(*pieces):
    reader = LineReader()
    return [*(line for piece in pieces for line in reader.feed(piece)), *reader.end()]


def test_an_export_is_read_again_as_it_was():
    text = export([found("What\n\u2028?", tags=("doc:1",), ttl_class="code", cost_usd=0.5)])
    [(number, line)] = read_lines(text.encode())
    assert number == 1
    assert line.messages == [{"role": "user", "content": "What\n\u2028?"}]
    assert (line.model, line.tags, line.ttl_class, line.cost_usd) == ("gpt-4o", ("doc:1",), "code", 0.5)
    assert (line.created_at, line.fresh_until, line.namespace) == (NOW, NOW + 3600, "test")
    assert line.reply(NOW).text == "Paris"


def test_aliases_are_left_out_of_an_export():
    assert export([found("alias", target=digest_of("What?"))]) == ""


def test_blank_lines_are_nothing_and_bad_ones_are_named():
    text = b'\xef\xbb\xbf{"model":"m","messages":[],"answer":"a"}\n\n  \n{"model":1}\n\xff\n[1]\n{"mod'
    read = read_lines(text)
    assert [number for number, _ in read] == [1, 4, 5, 6, 7]
    assert isinstance(read[0][1], Line)
    assert all(isinstance(line, str) and line.startswith("not a line of an import") for _, line in read[1:])


@given(st.data())
def test_lines_are_the_same_however_the_file_is_cut_into_pieces(data):
    text = b'{"model":1}\n\n\xc3\xa9 no line\r\n\n{"model":"m","messages":[],"answer":"\xc3\xa9"}'
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    assert read_lines(*pieces) == read_lines(text)


def test_a_line_that_is_too_long_is_named_and_never_kept(monkeypatch):
    monkeypatch.setattr(transfer, "LONGEST_LINE", 100)
    reader = LineReader()
    kept = 0
    for _ in range(1000):
        assert list(reader.feed(b"x" * 90)) == []
        kept = max(kept, len(reader._begun))
    assert kept <= 100
    [(number, why), after] = [*reader.feed(b"\nno line\n")]
    assert (number, "longer than 100 bytes" in why, after[0]) == (1, True, 2)


def test_a_text_becomes_a_completion_that_cost_nothing():
    completion = one().reply(NOW)
    assert (completion.text, completion.tokens.output_tokens) == ("That.", 0)
    assert completion.to_openai().choices[0].finish_reason == "stop"


@pytest.mark.parametrize("fields", [{"answer": None}, {"completion": {"choices": []}}])
def test_a_line_has_one_answer(fields):
    with pytest.raises(InvalidInput, match="either answer or completion"):
        one(**fields).reply(NOW)


@pytest.mark.parametrize("name", ["model", "messages", "base_url", "extra_headers", "extra_body"])
def test_a_parameter_cannot_turn_the_request_into_another(name):
    with pytest.raises(InvalidInput, match=f"{name} is no parameter"):
        one(parameters={name: "x"}).request()


def test_parameters_are_those_of_the_request():
    assert one(parameters={"temperature": 0.2}).request().parameters == {"temperature": 0.2}


@pytest.mark.parametrize(
    ("fields", "ttl"),
    [
        ({"ttl_seconds": 60}, For(60)),
        ({"ttl_seconds": 0}, NoStore()),
        ({"fresh_until": NOW + 90, "ttl_seconds": 5}, For(90)),
        ({"fresh_until": NOW + 0.5}, NoStore()),
        ({"fresh_until": NOW - 90}, NoStore()),
    ],
)
def test_an_exported_answer_stays_fresh_no_longer_than_it_would_have(fields, ttl):
    assert one(**fields).controls("n", NOW).ttl == ttl


def test_an_export_can_be_completed_by_hand():
    line = msgspec.json.decode(export([found()]).encode())
    line["messages"].insert(0, {"role": "system", "content": "Be brief."})
    line["parameters"] = {"temperature": 0}
    [(_, read)] = read_lines(msgspec.json.encode(line))
    assert read.request().messages[0]["role"] == "system"
