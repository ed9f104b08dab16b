"""What a stream comes to while it is passed on: kept as it was streamed, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.http.collector import MOST_CONTAINERS, MOST_WHOLE_BYTES, Room, read_whole
from core.http.exchange import PlainStreams
from core.models import OutcomeKind
from core.wire.assembly import assemble
from core.wire.events import MOST_EVENT_BYTES
from tests.fakes import a_body
from tests.growth import grows_with_the_square
from tests.http.feeding import Fed
from tests.wire.test_assembly import STREAMS

CHAT = "/chat/completions"
USAGE = {"stream_options": {"include_usage": True}}
TOLD = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


def sent(*events: Any) -> bytes:
    return b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    )


def chunk(delta: Any = None, *, finish_reason: Any = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **fields}


WORDS = [chunk({"role": "assistant", "content": "One"}), chunk({"content": " two"})]
STOP = chunk(finish_reason="stop")
USED = {**chunk(), "choices": [], "usage": TOLD}


def events_in(stream: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]


@pytest.mark.parametrize("name", STREAMS)
def test_every_dialect_is_passed_on_byte_by_byte_and_kept_as_it_was_streamed_or_not_at_all(name):
    stream = STREAMS[name]
    raw = sent(*stream["chunks"], *([b"[DONE]"] if stream["done"] else []))
    more = {"n": stream["n"]} if stream["n"] > 1 else {}
    has_usage = any("usage" in chunk for chunk in stream["chunks"])
    fields = more | (USAGE if has_usage else {})
    fed = Fed(CHAT, **fields)
    assert fed.feed(raw, list(range(0, len(raw), 97))) == raw
    streamed, whole = fed.asked(stream=True, **fields), fed.asked(**more)
    if not stream["clear"] or not stream.get("stored", True):
        assert (streamed, whole) == (None, None)
        return
    assert streamed is not None
    assert whole is not None
    assert events_in(streamed) == stream["chunks"]
    assert json.loads(whole) == assemble(stream["chunks"], choices=stream["n"])


ENDINGS = {
    "the end without a blank line": ([*WORDS, STOP], b"data: [DONE]\n", {}, True),
    "the end without a line's end": ([*WORDS, STOP], b"data: [DONE]", {}, True),
    "no end, usage told": ([*WORDS, STOP, USED], b"", {}, True),
    "no end, usage asked for and told": ([*WORDS, STOP, USED], b"", USAGE, True),
    "no end, usage told with the last words": ([*WORDS, STOP | {"usage": TOLD}], b"", USAGE, True),
    "no end, no usage": ([*WORDS, STOP], b"", {}, True),
    "no end, usage asked for and not told": ([*WORDS, STOP], b"", USAGE, False),
    "usage asked for and not told": ([*WORDS, STOP], b"data: [DONE]\n\n", USAGE, True),
    "an end and no finish reason": (WORDS, b"data: [DONE]\n\n", {}, False),
    "no end and no finish reason": (WORDS, b"", {}, False),
    "no finish reason, usage told": ([*WORDS, USED], b"data: [DONE]\n\n", {}, False),
    "broken off within the usage": ([*WORDS, STOP], b'data: {"id":"c","choices":[],"usa', {}, False),
    "broken off within the end": ([*WORDS, STOP], b"data: [DO", {}, False),
    "an error after the finish reason": ([*WORDS, STOP, {"error": {"code": 1}}], b"data: [DONE]\n\n", {}, False),
    "an event called error": ([*WORDS, STOP], b'event: error\ndata: {"detail":"gone"}\n\ndata: [DONE]\n\n', {}, False),
    "an event that is no JSON": ([*WORDS, STOP], b"data: oops\n\ndata: [DONE]\n\n", {}, False),
    "words after the finish reason": ([*WORDS, STOP, *WORDS], b"data: [DONE]\n\n", {}, False),
    "words after usage beside the finish reason": ([WORDS[0], STOP | {"usage": TOLD}, WORDS[1]], b"", {}, False),
    "usage without a blank line": ([*WORDS, STOP], sent(USED)[:-1], {}, True),
    "usage without a line's end": ([*WORDS, STOP], sent(USED)[:-2] + b"  ", {"n": 1} | USAGE, False),
    "words after the end": ([*WORDS, STOP], sent(b"[DONE]", *WORDS), {}, False),
    "two ends": ([*WORDS, STOP], sent(b"[DONE]", b"[DONE]"), {}, True),
    "an error of Groq's": ([*WORDS, STOP | {"x_groq": {"error": "over capacity"}}], sent(b"[DONE]"), {}, False),
    "a detail after the finish reason": ([*WORDS, STOP, {"detail": "gone"}], sent(b"[DONE]"), {}, False),
    "a code after the finish reason": ([*WORDS, STOP, {"code": 500, "message": "gone"}], sent(b"[DONE]"), {}, False),
    "a filtered chunk": (
        [*WORDS, chunk(finish_reason="stop", content_filter_results={"hate": {"filtered": True}})],
        sent(b"[DONE]"),
        {},
        False,
    ),
    "an event that is no UTF-8": ([*WORDS, STOP], b'data: {"caf\xe9":1}\n\ndata: [DONE]\n\n', {}, False),
    "an event with NaN": ([*WORDS, STOP], b'data: {"id":"c","x":NaN}\n\ndata: [DONE]\n\n', {}, False),
    "an event with a number that is none": (
        [*WORDS, STOP],
        b'data: {"id":"c","x":1e999}\n\ndata: [DONE]\n\n',
        {},
        False,
    ),
    "no events": ([], b"It rains.\n", {}, False),
    "nothing": ([], b"", {}, False),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_stream_is_kept_when_all_of_it_came_and_it_ended_cleanly(name):
    chunks, ending, fields, is_kept = ENDINGS[name]
    fed = Fed(CHAT, **fields)
    raw = sent(*chunks) + ending
    shown = fed.feed(raw, [])
    assert shown == (raw if fields else raw.replace(sent(USED), b""))
    assert (fed.asked() is not None) == is_kept
    assert fed.outcomes.all[0].stored == is_kept


def test_the_largest_stream_makes_room_for_the_others():
    plain_streams = PlainStreams()
    plain_streams.room = Room(most_bytes=20_000)
    long, short, last = (Fed(CHAT, plain_streams=plain_streams, user=str(number)) for number in range(3))
    long.exchange.feed(sent(*WORDS * 30))
    short.exchange.feed(sent(*WORDS))
    assert long.exchange.is_clear
    last.exchange.feed(sent(*WORDS * 15))
    assert [fed.exchange.is_clear for fed in (long, short, last)] == [False, True, True]
    for fed in (long, short, last):
        assert fed.feed(sent(STOP, b"[DONE]"), []) == sent(STOP, b"[DONE]"), "the caller gets all of it"
    assert [fed.outcomes.all[0].stored for fed in (long, short, last)] == [False, True, True]
    assert plain_streams.room.is_empty


@pytest.mark.parametrize("end", ["settled", "failed", "whole", "lost"])
def test_what_has_ended_takes_no_room(end: str):
    fed = Fed(CHAT, plain_streams=(plain_streams := PlainStreams()))
    fed.exchange.feed(b'{"choices": [' if end == "whole" else sent(*WORDS))
    assert not plain_streams.room.is_empty
    if end in ("failed", "whole"):
        fed.exchange.fail(ConnectionError())
    else:
        fed.feed(sent(*WORDS, STOP, b"[DONE]") if end == "settled" else b"data: oops\n\n", [])
    assert plain_streams.room.is_empty


def test_half_a_surrogate_pair_is_collected_as_it_came():
    fed = Fed(CHAT, **USAGE)
    half = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    raw = half + sent(STOP, USED, b"[DONE]")
    fed.exchange.feed(raw)
    assert fed.exchange._stream.chunks[0]["choices"][0]["delta"] == {"content": "\ud83d"}


def test_it_is_kept_with_its_usage_before_the_end_is_sent():
    fed = Fed(CHAT)
    for event in (*WORDS, STOP):
        fed.exchange.feed(sent(event))
        assert not fed.exchange.is_decided
    fed.exchange.feed(sent(USED))
    assert fed.exchange.is_decided
    fed.settle()
    assert fed.asked() is not None
    assert fed.exchange.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("stream", "kind", "reason"),
    [
        (sent(chunk({"x_new": "a"}), chunk({"x_new": "b"}), STOP, USED, b"[DONE]"), OutcomeKind.MISS, "unclear"),
        (sent(b"oops", b"[DONE]"), OutcomeKind.MISS, "unclear"),
        (sent(*WORDS, b"[DONE]"), OutcomeKind.MISS, "unclear"),
        (sent(b"[DONE]"), OutcomeKind.MISS, "unclear"),
        (b"It rains.\n", OutcomeKind.MISS, "unclear"),
        (sent(*WORDS, {"error": {"message": "gone"}}), OutcomeKind.ERROR, ""),
        (sent(*WORDS), OutcomeKind.ERROR, ""),
    ],
)
def test_the_outcome_says_why_a_stream_was_not_kept(stream, kind, reason):
    fed = Fed(CHAT)
    fed.feed(stream, [])
    (outcome,) = fed.outcomes.all
    assert (outcome.kind, outcome.not_stored) == (kind, reason)


def test_a_server_that_gives_fewer_choices_than_asked_for_does_not_fail():
    fed = Fed(CHAT, n=2)
    fed.feed(sent(*WORDS, STOP, USED, b"[DONE]"), [])
    assert [(outcome.kind, outcome.not_stored) for outcome in fed.outcomes.all] == [(OutcomeKind.MISS, "unclear")]


def test_the_tokens_of_a_stream_that_is_not_kept_are_counted():
    fed = Fed(CHAT)
    fed.feed(sent(chunk({"x_new": "a"}), chunk({"x_new": "b"}), STOP, USED, b"[DONE]"), [])
    assert fed.outcomes.all[0].output_tokens == 20


# An answer in one piece, though a stream was asked for


@pytest.mark.parametrize("before", [b"", b"\n", b" \n\n "])
def test_a_whole_answer_in_place_of_a_stream_is_passed_on_and_kept(before):
    fed = Fed(CHAT)
    raw = before + json.dumps(a_body("Yes."), indent=1).encode()
    assert fed.feed(raw, [1, 5, 50]) == raw
    whole, streamed = fed.asked(), fed.asked(stream=True)
    assert whole is not None
    assert streamed is not None
    assert json.loads(whole) == a_body("Yes.")
    assert assemble(events_in(streamed))["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    ]


@pytest.mark.parametrize(
    "raw", [b'{"error": {"code": 502}}', b'{"choices": [', b"{}", b'{"choices": []}', b"{" + b" " * 5_000_000 + b"}"]
)
def test_what_is_no_whole_answer_is_passed_on_and_not_kept(raw):
    fed = Fed(CHAT)
    assert fed.feed(raw, []) == raw
    assert fed.asked() is None


# The form asked for

RESPONSE = {
    "id": "r",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Old."}]}],
}
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("/responses", RESPONSE),
    ("/responses", RESPONSE | {"object": "chat.completion"}),
    (CHAT, a_body("Old.") | {"object": "response"}),
    (CHAT, a_body("Old.") | {"object": None}),
    (CHAT, a_body("Old.", choices=[{"finish_reason": "stop", "message": {"content": "Old."}, "logprobs": "none"}])),
    (CHAT, a_body("Old.", choices=[{"finish_reason": "stop", "message": {"content": "Old.", "tool_calls": ["x"]}}])),
    (CHAT, a_body("Old.", choices=[{"finish_reason": "stop", "message": {"content": "Old.", "tool_calls": 3}}])),
    (CHAT, a_body("Old.", choices=[{"finish_reason": "stop", "message": {"content": "Old.", "function_call": "f"}}])),
]


SHAPES += [
    (CHAT, a_body("Old.", choices=[{"finish_reason": "stop", "message": {"content": "Old."}, **at}] * 2))
    for at in ({"index": 0}, {}, {"index": []}, {"index": None})
]


@pytest.mark.parametrize(("path", "body"), SHAPES)
def test_a_hit_can_be_given_in_both_forms_or_is_none(path, body):
    fed = Fed(path, stream=False)
    content = json.dumps(body).encode()
    assert fed.exchange.whole(200, [], content).content == content
    whole, streamed = fed.asked(), fed.asked(stream=True)
    assert (whole is None) == (streamed is None)
    assert whole is None or json.loads(whole) == body
    assert streamed is None or b"Old." in streamed


# Large answers hold nobody up


def picture(size: int) -> bytes:
    url = "data:image/png;base64," + "A" * size
    return sent(
        chunk({"role": "assistant", "images": [{"image_url": {"url": url}}]}),
        chunk({"content": "Here."}),
        STOP,
        USED,
        b"[DONE]",
    )


def test_an_event_as_large_as_a_picture_is_passed_on_as_it_comes_and_not_kept():
    raw = picture(4_000_000)
    fed = Fed(CHAT)
    shown = 0
    for start in range(0, len(raw), 65_536):
        piece = fed.exchange.feed(raw[start : start + 65_536])
        shown += len(piece)
        assert start + 65_536 - shown <= MOST_EVENT_BYTES + 65_536, "it is not held back"
    assert fed.asked() is None


def test_the_cost_of_a_large_event_grows_with_its_length():
    def fed_in_pieces(text: str) -> None:
        raw = text.encode()
        exchange = Fed(CHAT).exchange
        for start in range(0, len(raw), 16_384):
            exchange.feed(raw[start : start + 16_384])

    assert not grows_with_the_square(fed_in_pieces, lambda size: picture(size).decode(), 8_000_000)
    assert not grows_with_the_square(fed_in_pieces, lambda size: picture(size).decode(), 900_000)


def test_what_would_take_long_to_read_is_not_read():
    assert read_whole(b'{"a": "%s"}' % (b"x" * MOST_WHOLE_BYTES)) == {}
    assert read_whole(b'{"a": [%s]}' % b",".join([b"{}"] * MOST_CONTAINERS)) == {}
    assert read_whole(b'{"a": [{}]}') == {"a": [{}]}
    for text in (b"[1]", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -1E+999, "b": "\\ud83d"}'):
        assert read_whole(text) is None


# Usage that was sent unasked


def test_usage_that_a_server_sends_unasked_is_passed_on_once_that_is_known():
    streams = PlainStreams()
    unasked, plain = sent(*WORDS, STOP, USED, b"[DONE]"), sent(*WORDS, STOP, b"[DONE]")

    def shown() -> tuple[bool, bytes]:
        fed = Fed(CHAT, plain_streams=streams)
        return b"include_usage" in fed.exchange.outgoing, fed.feed(unasked, [])

    assert shown() == (True, plain), "it may have come because it was asked for"
    assert shown() == (False, unasked), "it came unasked"
    assert shown() == (False, unasked)


def test_a_server_that_sends_usage_when_asked_is_asked_again():
    streams = PlainStreams()
    asked = []
    for stream in (sent(*WORDS, STOP, USED, b"[DONE]"), sent(*WORDS, STOP, b"[DONE]"), sent(*WORDS, STOP, USED)):
        fed = Fed(CHAT, plain_streams=streams)
        asked.append(b"include_usage" in fed.exchange.outgoing)
        assert fed.feed(stream, []) == stream.replace(sent(USED), b"")
    assert asked == [True, False, True]


def test_a_server_that_says_usage_comes_later_sends_it_as_it_was_asked_for():
    streams = PlainStreams()
    for _ in range(2):
        fed = Fed(CHAT, plain_streams=streams)
        assert b"include_usage" in fed.exchange.outgoing
        later = [chunk | {"usage": None} for chunk in (*WORDS, STOP)]
        assert events_in(fed.feed(sent(*later, USED, b"[DONE]"), [])) == [*WORDS, STOP]


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from([CHAT, "/responses"]))
def test_whatever_bytes_come_within_a_stream_are_passed_on(junk, place, path):
    raw = sent(*WORDS, STOP, b"[DONE]")
    place = min(place, len(raw))
    raw = raw[:place] + junk + raw[place:]
    assert Fed(path, **USAGE).feed(raw, [place]) == raw
