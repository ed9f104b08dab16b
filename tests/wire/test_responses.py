"""A response and its events are two forms of one answer: the last event says what the others said, or it is unclear."""

import openai
import pytest

from core.errors import IncompleteStream, UnclearStream
from core.wire.events import encode_event
from core.wire.responses import ResponseAssembly, assemble_response, split_response
from tests.openai_server import Behaviour


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


def stream_of(server, events):
    raw = b"".join(encode_event(event) for event in events)
    server.always(Behaviour(raw=raw, content_type="text/event-stream"))
    return openai.OpenAI(api_key="k", base_url=server.url, max_retries=0)


def test_the_last_event_carries_the_whole_response():
    assert assemble_response(split_response(_response())) == _response()


def test_events_are_numbered_and_their_fragments_add_up():
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


def test_every_cut_is_incomplete():
    events = split_response(_response())
    for kept in range(len(events)):
        with pytest.raises(IncompleteStream):
            assemble_response(events[:kept])


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_a_response_that_ends_otherwise_is_told_as_it_is(status):
    assert assemble_response(split_response(_response(status=status)))["status"] == status


def changed(number, **fields):
    events = split_response(_response())
    events[number] = {**events[number], **fields}
    return events


def numbers_of(kind):
    return [number for number, event in enumerate(split_response(_response())) if event["type"] == kind]


WORD = numbers_of("response.output_text.delta")[0]
REFUSED = numbers_of("response.refusal.delta")[0]
ARGUMENT = numbers_of("response.function_call_arguments.delta")[0]
UNCLEAR = {
    "another word": changed(WORD, delta="Bye"),
    "a word less": [event for number, event in enumerate(split_response(_response())) if number != WORD],
    "a word twice": split_response(_response())[: WORD + 1] + split_response(_response())[WORD:],
    "no text": changed(WORD, delta=None),
    "another refusal": changed(REFUSED, delta="No"),
    "another argument": changed(ARGUMENT, delta="["),
    "another response": changed(-1, response=_response(id="resp_2")),
    "no response": changed(-1, response=None),
    "nothing said": changed(-1, response=_response(output=[])),
    "output of another type": changed(-1, response=_response(output="Hello you")),
    "an end that is none": changed(-1, response=_response(status="incomplete")),
    "a failure that is none": changed(-1, type="response.failed"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_response_that_says_something_else_than_its_events_is_unclear(name):
    with pytest.raises(UnclearStream):
        assemble_response(UNCLEAR[name])


@pytest.mark.parametrize("event", [{"type": "error", "message": "gone"}, {"error": {"code": "x"}}])
def test_an_error_among_the_events_spoils_it(event):
    with pytest.raises(IncompleteStream, match="error"):
        assemble_response([*split_response(_response())[:3], event])


def test_it_is_whole_with_its_last_event():
    assembly = ResponseAssembly()
    seen = []
    for event in split_response(_response()):
        assembly.add(event)
        seen.append(assembly.is_whole)
    assert seen == [False] * (len(seen) - 1) + [True]


def test_the_real_client_reads_events_of_a_split_response(openai_server):
    with (
        stream_of(openai_server, split_response(_response())) as client,
        client.responses.stream(model="m", input="Hi") as stream,
    ):
        kinds = [event.type for event in stream]
        read = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert read.output_text == "Hello you"
    assert read.output[2].arguments == '{"city": "Oslo"}'


def whole_message():
    return _response(output=[_response()["output"][1]])


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.web_search_call.searching", "output_index": 0},
        {"type": "response.file_search_call.completed", "output_index": 0},
        {"type": "response.code_interpreter_call_code.delta", "delta": "1"},
        {"type": "response.mcp_call.in_progress"},
        {"type": "response.mcp_list_tools.completed"},
        {"type": "response.image_generation_call.partial_image"},
        {"type": "response.computer_call.in_progress"},
        {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation"}},
        {"type": "response.output_item.added", "item": SEARCH},
        {"type": "response.output_item.done", "item": {"type": "mcp_call"}},
    ],
)
def test_a_lookup_of_which_the_response_says_nothing_is_unclear(event):
    events = split_response(whole_message())
    with pytest.raises(UnclearStream):
        assemble_response([*events[:2], event, *events[2:]])


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.function_call_arguments.done", "arguments": "{}"},
        {"type": "response.custom_tool_call_input.done", "input": "x"},
        {"type": "response.reasoning_summary_text.delta", "delta": "x"},
        {"type": "response.output_item.added", "item": {"type": "reasoning"}},
        {"type": "keepalive"},
        {"type": 3},
    ],
)
def test_events_of_the_model_and_of_the_callers_tools_are_no_lookup(event):
    events = split_response(whole_message())
    assert assemble_response([*events[:2], event, *events[2:]]) == whole_message()


def test_a_lookup_that_the_response_names_is_left_to_the_policy():
    body = _response(output=[SEARCH, *whole_message()["output"]])
    assert assemble_response(split_response(body)) == body


def test_a_stream_with_two_ends_is_clear_only_if_they_say_the_same():
    events = split_response(whole_message())
    assert assemble_response([*events, events[-1]]) == whole_message()
    other = {**events[-1], "response": {**whole_message(), "usage": {"input_tokens": 9}}}
    with pytest.raises(UnclearStream):
        assemble_response([*events, other])


def test_a_response_that_goes_on_after_its_end_is_unclear():
    events = split_response(whole_message())
    with pytest.raises(UnclearStream):
        assemble_response([*events, {"type": "response.output_text.delta", "delta": " more"}])


@pytest.mark.parametrize("within", [{"x": {"error": "gone"}}, {"item": {"error": {"code": 1}}}, {"is_error": True}])
def test_an_error_within_an_event_ends_it(within):
    events = split_response(whole_message())
    with pytest.raises(IncompleteStream):
        assemble_response([*events[:2], {"type": "response.of_tomorrow", **within}, *events[2:]])


def test_an_event_nested_without_end_is_unclear():
    deep = {}
    for _ in range(10_000):
        deep = {"a": deep}
    with pytest.raises(UnclearStream):
        assemble_response([{"type": "response.created", "x": deep}])
