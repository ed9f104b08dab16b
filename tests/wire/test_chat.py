"""Streams and bodies are two forms of one answer; a broken stream is neither."""

import json
from itertools import pairwise

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IncompleteStream
from core.wire.chat import assemble, replay, split, without_usage
from core.wire.events import DONE, EventReader, encode_event
from core.wire.responses import assemble_response, is_complete, split_response
from tests.openai_server import Behaviour


def chunk(delta=None, *, index=0, finish_reason=None, **others):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **others}


def message_of(*deltas, finish_reason="stop"):
    body = assemble([*(chunk(delta) for delta in deltas), chunk(finish_reason=finish_reason)])
    return body["choices"][0]["message"]


# Every kind of text a model may produce, half surrogate pairs included: they arrive escaped in JSON.
text = st.text(st.characters(), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
unknown_names = st.sampled_from(["annotations", "audio", "x_future", "reasoning_details"])
unknown_values = st.recursive(
    st.booleans() | st.integers(0, 9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "id", "b"]), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def messages(draw):
    message = {"role": "assistant", "content": draw(st.none() | text)}
    for name in draw(st.sets(st.sampled_from(["refusal", "reasoning_content", "reasoning"]))):
        message[name] = draw(st.none() | text)
    if draw(st.booleans()):
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(draw(st.lists(st.tuples(text, text), max_size=3)))
        ]
    if draw(st.booleans()):
        message["function_call"] = {"name": draw(text), "arguments": draw(text)}
    return message | draw(st.dictionaries(unknown_names, unknown_values, max_size=2))


@st.composite
def log_probabilities(draw, content):
    if not isinstance(content, str) or draw(st.booleans()):
        return draw(st.none() | st.just({"content": [], "refusal": None}))
    cuts = sorted(draw(st.sets(st.integers(0, len(content)), max_size=4)) | {0, len(content)})
    tokens = [content[start:end] for start, end in pairwise(cuts)]
    return {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []} for token in tokens], "refusal": None}


@st.composite
def completions(draw):
    choices = []
    for index in range(draw(st.integers(1, 3))):
        choice = {"index": index, "message": draw(messages())}
        if draw(st.booleans()):
            choice["logprobs"] = draw(log_probabilities(choice["message"]["content"]))
        choice["finish_reason"] = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
        choices.append(choice | draw(st.dictionaries(st.sampled_from(["stop_reason", "x_more"]), unknown_values)))
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    if draw(st.booleans()):
        body |= {"service_tier": "default", "system_fingerprint": draw(st.none() | text)}
    body |= draw(st.dictionaries(unknown_names, unknown_values, max_size=2))
    return body | {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}


def fields(**strategies):
    return st.fixed_dictionaries({}, optional={name: json_values | inner for name, inner in strategies.items()})


broken_calls = st.lists(
    json_values | fields(index=st.just(0), id=text, function=fields(name=text, arguments=text)), max_size=3
)
broken_chunks = json_values | fields(
    choices=st.lists(
        json_values
        | fields(
            index=st.integers(0, 1),
            delta=fields(content=text, tool_calls=broken_calls, function_call=fields(name=text), x=st.lists(fields())),
            logprobs=fields(content=st.lists(fields(token=text))),
            finish_reason=st.just("stop"),
        ),
        max_size=2,
    )
)


class TestBodiesAndChunks:
    @given(completions())
    def test_a_body_split_into_chunks_assembles_to_the_same_body(self, body):
        assert assemble(split(body, include_usage=True), choices=len(body["choices"])) == body

    @given(completions())
    def test_without_the_usage_chunk_only_the_usage_is_missing(self, body):
        chunks = split(body, include_usage=False)
        assert all("usage" not in chunk for chunk in chunks)
        assert assemble(chunks) == {name: body[name] for name in body if name != "usage"}

    @given(completions(), st.data())
    def test_a_stream_cut_before_its_last_finish_reason_is_never_an_answer(self, body, data):
        chunks = split(body, include_usage=False)
        kept = data.draw(st.integers(0, len(chunks) - 1))
        with pytest.raises(IncompleteStream):
            assemble(chunks[:kept], choices=len(body["choices"]))

    @given(completions())
    def test_assembling_changes_nothing_that_was_received(self, body):
        chunks = split(body, include_usage=True)
        before = json.dumps(chunks)
        assemble(chunks)
        assert json.dumps(chunks) == before

    @given(st.lists(broken_chunks, max_size=5))
    def test_chunks_of_any_shape_are_an_answer_or_an_incomplete_stream(self, chunks):
        try:
            body = assemble(chunks)
        except IncompleteStream:
            return
        assert all(choice["finish_reason"] for choice in body["choices"])

    def test_text_is_split_into_words(self):
        body = {"id": "c", "choices": [{"message": {"content": "Two  words."}, "finish_reason": "stop"}]}
        deltas = [chunk["choices"][0]["delta"] for chunk in split(body, include_usage=False)]
        assert deltas == [{"content": ""}, {"content": "Two"}, {"content": "  words."}, {}]

    def test_each_word_comes_with_its_own_log_probabilities(self):
        entries = [{"token": "Yes", "logprob": -0.1}, {"token": "!", "logprob": -2.0}]
        choice = {"message": {"content": "Yes!"}, "logprobs": {"content": entries}, "finish_reason": "stop"}
        parts = [chunk["choices"][0] for chunk in split({"choices": [choice]}, include_usage=False)]
        assert [part["logprobs"] and part["logprobs"]["content"] for part in parts] == [
            None,
            entries[:1],
            entries[1:],
            None,
        ]


class TestAssemblingWhatServersSend:
    def test_a_choice_without_a_finish_reason_is_incomplete(self):
        with pytest.raises(IncompleteStream, match="choice 0 has no finish reason"):
            assemble([chunk({"role": "assistant", "content": "Half an"})])

    def test_a_stream_without_choices_is_incomplete(self):
        with pytest.raises(IncompleteStream, match="0 of 1 choices"):
            assemble([])

    def test_a_choice_that_never_began_is_missed(self):
        whole = [chunk({"content": "a"}, finish_reason="stop")]
        assert len(assemble(whole)["choices"]) == 1
        with pytest.raises(IncompleteStream, match="1 of 2 choices"):
            assemble(whole, choices=2)

    def test_an_error_in_the_stream_spoils_it_even_after_the_finish_reason(self):
        with pytest.raises(IncompleteStream, match="error"):
            assemble([chunk({"content": "a"}, finish_reason="stop"), {"error": {"message": "overloaded"}}])

    def test_choices_that_arrive_in_turns_are_kept_apart(self):
        body = assemble(
            [
                chunk({"content": "b"}, index=1),
                chunk({"content": "a"}),
                chunk({"content": "B"}, index=1, finish_reason="length"),
                chunk({"content": "A"}, finish_reason="stop"),
            ],
            choices=2,
        )
        assert [choice["message"]["content"] for choice in body["choices"]] == ["aA", "bB"]
        assert [choice["finish_reason"] for choice in body["choices"]] == ["stop", "length"]

    def test_fragments_of_tool_calls_are_joined_by_index(self):
        message = message_of(
            {"role": "assistant", "content": None},
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
            {
                "tool_calls": [
                    {"index": 1, "function": {"arguments": "{}"}},
                    {"index": 0, "function": {"arguments": ":1}"}},
                ]
            },
            finish_reason="tool_calls",
        )
        assert message == {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }

    @pytest.mark.parametrize("index", [{"index": 0}, {}], ids=["all numbered 0", "not numbered"])
    def test_two_calls_with_ids_of_their_own_stay_two(self, index):
        calls = [
            {**index, "id": "a", "function": {"name": "f", "arguments": "1"}},
            {**index, "id": "b", "function": {"name": "g", "arguments": "2"}},
            {**index, "function": {"arguments": "3"}},
        ]
        message = message_of(*({"tool_calls": [call]} for call in calls))
        assert [(call["id"], call["function"]["arguments"]) for call in message["tool_calls"]] == [
            ("a", "1"),
            ("b", "23"),
        ]

    def test_what_servers_repeat_in_every_fragment_is_kept_once(self):
        call = {"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": "x"}}
        message = message_of(
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "assistant", "tool_calls": [call]},
        )
        assert message["role"] == "assistant"
        assert message["tool_calls"] == [
            {"id": "a", "type": "function", "function": {"name": "find", "arguments": "xx"}}
        ]

    def test_reasoning_refusals_and_unknown_text_are_joined(self):
        deltas = [{"reasoning_content": "be", "refusal": "I ", "x_thought": "1"}] * 2
        message = message_of(*deltas)
        assert (message["reasoning_content"], message["refusal"], message["x_thought"]) == ("bebe", "I I ", "11")

    def test_reasoning_details_are_joined_by_their_index(self):
        def details(index, words):
            return {"reasoning_details": [{"type": "reasoning.text", "index": index, "text": words}]}

        message = message_of(details(0, "first "), details(0, "thought"), details(1, "second"))
        assert [(item["type"], item["text"]) for item in message["reasoning_details"]] == [
            ("reasoning.text", "first thought"),
            ("reasoning.text", "second"),
        ]

    def test_text_that_turns_into_a_list_is_no_answer(self):
        with pytest.raises(IncompleteStream, match="different types"):
            message_of({"content": "a"}, {"content": [{"type": "text", "text": "b"}]})

    def test_an_opening_chunk_with_empty_names_does_not_blank_the_answer(self):
        opening = {"id": "", "model": "", "created": 0, "object": "", "choices": [], "prompt_filter_results": [1]}
        body = assemble([opening, chunk({"content": "a"}, finish_reason="stop")])
        assert (body["id"], body["model"], body["created"], body["prompt_filter_results"]) == ("c1", "m", 1, [1])

    def test_an_empty_name_at_the_end_does_not_either(self):
        closing = {"id": "", "model": "", "created": 0, "choices": [{"index": 0, "delta": {}, "stop_reason": None}]}
        body = assemble([chunk({"content": "a"}, finish_reason="stop"), closing])
        assert (body["id"], body["model"], body["created"]) == ("c1", "m", 1)
        assert body["choices"][0]["finish_reason"] == "stop"

    def test_usage_is_taken_from_wherever_it_is_told(self):
        usage = {"prompt_tokens": 1}
        in_last_choice = [chunk({"content": "a"}, usage=None), chunk(finish_reason="stop", usage=usage)]
        in_own_chunk = [chunk({"content": "a"}, finish_reason="stop"), {"choices": [], "usage": usage}]
        assert assemble(in_last_choice)["usage"] == assemble(in_own_chunk)["usage"] == usage

    def test_padding_is_not_part_of_the_answer(self):
        assert "obfuscation" not in assemble([chunk({"content": "a"}, finish_reason="stop", obfuscation="xyz")])


class TestReplay:
    def test_a_caller_who_asked_for_usage_gets_the_stored_chunks(self):
        chunks = split(_completion(), include_usage=True)
        assert replay(chunks, include_usage=True) == chunks
        assert chunks[-1]["usage"] == _completion()["usage"]
        assert chunks[-1]["choices"] == []

    def test_a_caller_who_did_not_ask_sees_no_word_of_usage(self):
        chunks = split(_completion(), include_usage=True)
        assert replay(chunks, include_usage=False) == split(_completion(), include_usage=False)

    def test_usage_that_comes_with_a_choice_is_no_chunk_to_drop(self):
        last = chunk({"content": "a"}, finish_reason="stop", usage={"prompt_tokens": 1})
        assert without_usage(last) == last


def _completion():
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello you"}, "finish_reason": "stop"}
    return {"id": "c", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


def _response(**others):
    text_part = {"type": "output_text", "text": "Hello you", "annotations": []}
    refusal = {"type": "refusal", "refusal": "Not that."}
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [text_part, refusal],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"city": "Oslo"}'},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **others,
    }


class TestResponses:
    def test_the_last_event_carries_the_whole_response(self):
        events = split_response(_response())
        assert is_complete(events)
        assert assemble_response(events) == _response()

    def test_events_are_numbered_and_their_fragments_add_up(self):
        events = split_response(_response())
        joined = {
            kind: "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")
            for kind in ("output_text", "refusal", "function_call_arguments")
        }
        assert joined == {
            "output_text": "Hello you",
            "refusal": "Not that.",
            "function_call_arguments": '{"city": "Oslo"}',
        }
        assert [event["sequence_number"] for event in events] == list(range(len(events)))

    def test_every_cut_is_incomplete(self):
        events = split_response(_response())
        for kept in range(len(events)):
            assert not is_complete(events[:kept])
            with pytest.raises(IncompleteStream):
                assemble_response(events[:kept])

    @pytest.mark.parametrize("kind", ["response.incomplete", "response.failed", "error"])
    def test_other_ends_are_not_proper_ends(self, kind):
        assert not is_complete([{"type": kind, "response": _response()}])

    def test_a_completed_event_cannot_complete_a_response_that_is_not(self):
        assert not is_complete([{"type": "response.completed", "response": _response(status="incomplete")}])
        assert not is_complete([{"type": "response.completed"}])

    def test_a_response_that_says_it_is_incomplete_is(self):
        assert not is_complete(split_response(_response(status="incomplete")))


def pieces_of(data, cuts):
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(data, cuts=()):
    reader = EventReader()
    events = [event for piece in pieces_of(data, cuts) for event in reader.feed(piece)]
    return events, reader.ended


events_on_the_wire = st.lists(st.dictionaries(text, json_values, max_size=3), max_size=4)


@st.composite
def streams(draw):
    """Bytes of a whole stream and the events in it: any line ends, comments, other fields, data over several lines."""
    events = [event for event in draw(events_on_the_wire) if event.get("type") != "response.completed"]
    lines = draw(st.sampled_from([[], [": hello"], ["", ""]]))
    for event in events:
        lines += draw(st.sampled_from([[], [": keep-alive"], ["event: message"], ["id: 7", "retry: 10"], ["", ""]]))
        data = json.dumps(event, indent=draw(st.sampled_from([None, 1])))
        lines += [draw(st.sampled_from(["data:", "data: "])) + line for line in data.split("\n")] + [""]
    lines += ["data: [DONE]", ""]
    sent = draw(st.sampled_from(["", "\ufeff"]))
    for line in lines:
        # An empty line that ends in LF after a line that ended in CR would be one CRLF and no empty line.
        joins = not line and sent.endswith("\r")
        sent += line + draw(st.sampled_from(["\r", "\r\n"] if joins else ["\n", "\r\n", "\r"]))
    return sent.encode(), events


class TestWhatTheRealClientReads:
    """The SDK's own accumulators are the other judge of what we make."""

    def stream_of(self, server, events):
        raw = b"".join(encode_event(event) for event in events)
        server.always(Behaviour(raw=raw, content_type="text/event-stream"))
        return openai.OpenAI(api_key="k", base_url=server.url, max_retries=0)

    def test_chunks_of_a_split_completion(self, openai_server):
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city": "Oslo"}'}}
        message = {"role": "assistant", "content": "Hello  you.\n", "refusal": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        events = [*split(body, include_usage=False), DONE]
        with (
            self.stream_of(openai_server, events) as client,
            client.chat.completions.stream(model="m", messages=[]) as stream,
        ):
            read = stream.get_final_completion().choices[0]
        assert read.message.content == "Hello  you.\n"
        assert read.message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
        assert read.finish_reason == "tool_calls"

    def test_events_of_a_split_response(self, openai_server):
        with (
            self.stream_of(openai_server, split_response(_response())) as client,
            client.responses.stream(model="m", input="Hi") as stream,
        ):
            kinds = [event.type for event in stream]
            read = stream.get_final_response()
        assert kinds[-1] == "response.completed"
        assert read.output_text == "Hello you"
        assert read.output[2].arguments == '{"city": "Oslo"}'


class TestServerSentEvents:
    @given(streams(), st.data())
    def test_however_the_bytes_are_cut_the_events_are_the_same(self, stream, data):
        sent, events = stream
        cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=12))
        assert read(sent, cuts) == ([*events, DONE], True)

    @given(streams())
    def test_byte_by_byte_the_events_are_the_same(self, stream):
        sent, events = stream
        assert read(sent, range(1, len(sent))) == ([*events, DONE], True)

    @given(streams(), st.data())
    def test_a_stream_cut_short_has_not_ended(self, stream, data):
        sent, events = stream
        # The last byte of a CRLF adds nothing: the line was over at the CR.
        shortest_end = len(sent) - sent.endswith(b"\r\n")
        kept = data.draw(st.integers(0, shortest_end - 1))
        received, ended = read(sent[:kept])
        assert not ended
        assert received == events[: len(received)]

    @given(events_on_the_wire)
    def test_what_is_encoded_is_read_back(self, events):
        events = [event for event in events if event.get("type") != "response.completed"]
        sent = b"".join(encode_event(event) for event in [*events, DONE])
        assert read(sent) == ([*events, DONE], True)

    def test_a_chunk_is_one_line_of_data(self):
        assert encode_event({"id": "c", "n": "é\n"}) == 'data: {"id":"c","n":"é\\n"}\n\n'.encode()
        assert encode_event(DONE) == b"data: [DONE]\n\n"

    def test_a_typed_event_says_its_type_outside_the_data_too(self):
        event = {"type": "response.created"}
        assert encode_event(event) == b'event: response.created\ndata: {"type":"response.created"}\n\n'

    def test_half_a_surrogate_pair_survives(self):
        event = {"delta": "\ud83d"}
        assert read(encode_event(event)) == ([event], False)

    def test_a_response_ends_with_its_completed_event(self):
        events = split_response(_response())
        sent = [encode_event(event) for event in events]
        assert read(b"".join(sent)) == (events, True)
        assert read(b"".join(sent[:-1])) == (events[:-1], False)

    def test_nothing_after_the_end_is_read(self):
        assert read(b'data: [DONE]\n\ndata: {"a":1}\n\ndata: junk\n\n') == ([DONE], True)

    def test_an_event_without_data_is_no_event(self):
        assert read(b"event: ping\n\n: comment\n\n\n\n") == ([], False)

    def test_the_lines_of_an_event_are_joined_by_line_ends(self):
        assert read(b'data: {"a":\ndata: 1}\n\n') == ([{"a": 1}], False)
        with pytest.raises(IncompleteStream):
            read(b'data: {"a": 1\ndata: 2}\n\n')

    @pytest.mark.parametrize("data", [b"not json", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
    def test_data_that_is_no_json_object_is_refused(self, data):
        with pytest.raises(IncompleteStream):
            EventReader().feed(b"data: " + data + b"\n\n")
