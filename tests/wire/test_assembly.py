"""What was streamed is what is kept: recorded dialects, changed at random, beside a reader that was written apart.

The streams in `dialects.jsonl` are written after the public form of each server's answers. `clear` says whether such a
stream can be put together for certain, `stored` (unless it is clear and kept) whether policy lets it in, `done` whether
it ends with `[DONE]`.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from core.errors import IncompleteStream, UnclearStream
from core.models import ChatRequest
from core.policy.cacheability import PolicyLimits, not_stored_reason
from core.wire.assembly import Assembly, assemble
from tests.growth import grows_with_the_square
from tests.wire.reference import Ambiguous, held, read

LINES = (Path(__file__).parent / "dialects.jsonl").read_text().splitlines()
STREAMS = {f"{line['dialect']}: {line['case']}": line for line in map(json.loads, LINES)}
CLEAR = {name: stream for name, stream in STREAMS.items() if stream["clear"]}
# The SDK's accumulator knows calls by their index alone, and no lists of text.
NOT_FOR_THE_SDK = {
    *("databricks: content in lists", "ollama: tool calls all numbered 0", "gemini: whole calls without ids"),
    *("openai: custom tool call", "groq: compound", "openrouter: web plugin", "azure: asynchronous filter"),
}


@pytest.mark.parametrize("name", CLEAR)
def test_what_is_kept_of_a_clear_stream_is_what_a_reader_holds(name):
    stream = CLEAR[name]
    assert held(assemble(stream["chunks"], choices=stream["n"])) == read(stream["chunks"], stream["n"])


@pytest.mark.parametrize("name", sorted(STREAMS.keys() - CLEAR.keys()))
def test_nothing_is_kept_of_a_stream_that_could_be_read_otherwise(name):
    stream = STREAMS[name]
    with pytest.raises(IncompleteStream):
        assemble(stream["chunks"], choices=stream["n"])
    with pytest.raises(Ambiguous):
        read(stream["chunks"], stream["n"])


@pytest.mark.parametrize("name", CLEAR)
def test_whole_answers_in_every_dialect_are_stored_and_no_others(name):
    stream = CLEAR[name]
    body = assemble(stream["chunks"], choices=stream["n"])
    request = ChatRequest(model="m", messages=[], parameters={"n": stream["n"]})
    reason = not_stored_reason(body, request, PolicyLimits(cache_tool_calls=True))
    assert (reason is None) == stream.get("stored", True), reason


@pytest.mark.parametrize("name", sorted(CLEAR.keys() - NOT_FOR_THE_SDK))
def test_the_sdks_own_accumulator_holds_the_same(name):
    stream = CLEAR[name]
    state: Any = ChatCompletionStreamState()
    for chunk in stream["chunks"]:
        state.handle_chunk(ChatCompletionChunk.construct(**_constructed(chunk)))
    theirs, ours = state.current_completion_snapshot, assemble(stream["chunks"], choices=stream["n"])
    for choice, kept in zip(theirs.choices, ours["choices"], strict=True):
        message = kept["message"]
        assert (choice.message.content or "") == (message["content"] or "")
        assert (choice.message.refusal or "") == (message.get("refusal") or "")
        assert [call.function.arguments for call in choice.message.tool_calls or ()] == [
            call["function"]["arguments"] for call in message.get("tool_calls") or ()
        ]
        assert choice.finish_reason == kept["finish_reason"]


def _constructed(chunk: dict[str, Any]) -> dict[str, Any]:
    built = ChatCompletionChunk.construct(**chunk)
    return {**chunk, "choices": built.choices}


# One rule after the other


def chunk(delta=None, *, index=0, finish_reason=None, **others):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **others}


def message_of(*deltas, finish_reason="stop"):
    body = assemble([*(chunk(delta) for delta in deltas), chunk(finish_reason=finish_reason)])
    return body["choices"][0]["message"]


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
            {**index, "id": "b", "function": {"name": "f", "arguments": "2"}},
            {**index, "id": "b", "function": {"arguments": "3"}},
        ]
        message = message_of(*({"tool_calls": [call]} for call in calls))
        assert [(call["id"], call["function"]["arguments"]) for call in message["tool_calls"]] == [
            ("a", "1"),
            ("b", "23"),
        ]

    def test_what_servers_repeat_in_every_fragment_is_kept_once(self):
        call = {"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": "1"}}
        message = message_of(
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "assistant", "tool_calls": [call]},
        )
        assert message["role"] == "assistant"
        assert message["tool_calls"] == [
            {"id": "a", "type": "function", "function": {"name": "find", "arguments": "11"}}
        ]

    def test_reasoning_and_refusals_are_joined(self):
        message = message_of(*[{"reasoning_content": "be", "reasoning": "a", "refusal": "I "}] * 2)
        assert (message["reasoning_content"], message["reasoning"], message["refusal"]) == ("bebe", "aa", "I I ")

    @pytest.mark.parametrize("value", ["1", ["1"], {"a": 1}])
    def test_what_an_unknown_field_says_twice_is_unclear_though_it_is_the_same(self, value):
        assert message_of({"content": "a", "x_new": value}, {"content": "b", "x_new": None})["x_new"] == value
        with pytest.raises(UnclearStream):
            message_of({"content": "a", "x_new": value}, {"content": "b", "x_new": value})

    def test_a_flag_may_be_repeated_and_not_changed(self):
        assert message_of({"x_new": True}, {"x_new": True})["x_new"] is True
        with pytest.raises(UnclearStream):
            message_of({"x_new": 1}, {"x_new": 2})

    def test_reasoning_details_are_joined_by_their_index(self):
        def details(index, words):
            return {"reasoning_details": [{"type": "reasoning.text", "index": index, "text": words}]}

        message = message_of(details(0, "first "), details(0, "thought"), details(1, "second"))
        assert [(item["type"], item["text"]) for item in message["reasoning_details"]] == [
            ("reasoning.text", "first thought"),
            ("reasoning.text", "second"),
        ]

    def test_text_that_turns_into_a_list_is_no_answer(self):
        with pytest.raises(UnclearStream):
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


# Streams that were changed

SURPRISES: list[dict[str, Any]] = [
    {"content": "more"},
    {"content": [{"type": "text", "text": "more"}]},
    {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"reasoning": "more"},
    {"refusal": "no"},
    {"role": "tool"},
    {"x_new": "text"},
    {"x_new": 1},
    {"x_new": ["item"]},
    {"error": {"code": 1}},
    {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
    {"tool_calls": [{"id": "new", "function": {"name": "f", "arguments": "{}"}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "1"}}]},
    {"tool_calls": [{"index": 0, "id": "new", "function": {"arguments": "1"}}]},
    {"tool_calls": [{"index": 3, "id": "new", "function": {"name": "f", "arguments": "1"}}]},
    {"tool_calls": [{"index": True, "id": "new", "function": {"name": "f"}}]},
    {"tool_calls": "text"},
    {"function_call": {"name": "f", "arguments": "{}"}},
    {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "more"}]},
    {"reasoning_details": [{"type": "reasoning.text", "text": "more"}]},
]
OF_A_CHOICE: list[dict[str, Any]] = [
    {"finish_reason": "stop"},
    {"finish_reason": "length"},
    {"finish_reason": None},
    {"message": {"role": "assistant", "content": "whole"}},
    {"message": {"role": "assistant", "content": None}},
    {"error": {"code": 502}},
    {"index": 1},
    {"index": None},
    {"logprobs": {"content": [{"token": "x"}]}},
    {"delta": None},
]
OF_A_CHUNK: list[dict[str, Any]] = [
    {"id": "another"},
    {"model": "another"},
    {"error": {"message": "gone"}},
    {"choices": []},
    {"choices": None},
]


@st.composite
def changed(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    stream = draw(st.sampled_from(list(STREAMS.values())))
    chunks = deepcopy(stream["chunks"])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(chunks) - 1)))
        match draw(st.sampled_from(["drop", "repeat", "swap", "cut", "delta", "choice", "chunk", "forget"])):
            case "drop":
                del chunks[at : at + 1]
            case "repeat":
                chunks[at:at] = deepcopy(chunks[at : at + 1])
            case "swap":
                chunks[at : at + 2] = chunks[at : at + 2][::-1]
            case "cut":
                del chunks[at + 1 :]
            case "chunk":
                for chunk in chunks[at : at + 1]:
                    chunk.update(draw(st.sampled_from(OF_A_CHUNK)))
            case kind:
                for chunk in chunks[at : at + 1]:
                    for part in chunk.get("choices") or ():
                        delta = part.get("delta") or {}
                        if kind == "delta":
                            part["delta"] = {**delta, **deepcopy(draw(st.sampled_from(SURPRISES)))}
                        elif kind == "choice":
                            part.update(deepcopy(draw(st.sampled_from(OF_A_CHOICE))))
                        else:
                            for call in delta.get("tool_calls") or ():
                                if isinstance(call, dict):
                                    call.pop(draw(st.sampled_from(["id", "index", "function"])), None)
    return chunks, stream["n"]


@given(changed())
def test_of_a_stream_that_was_changed_only_what_a_reader_holds_is_kept(stream):
    chunks, choices = stream
    before = json.dumps(chunks)
    try:
        body = assemble(chunks, choices=choices)
    except IncompleteStream:
        return
    assert held(body) == read(chunks, choices)
    assert json.dumps(chunks) == before


# What is known while it comes


def test_a_stream_is_whole_with_its_usage_chunk_and_not_before():
    stream = STREAMS["openai: two choices in turns"]
    assembly = Assembly(2)
    seen = []
    for chunk in stream["chunks"]:
        assembly.add(chunk)
        seen.append(assembly.is_whole)
    assert seen == [False] * (len(seen) - 1) + [True]
    assert assembly.has_finished
    assert assembly.has_usage


def test_usage_beside_the_last_words_may_be_followed_by_more():
    assembly = Assembly()
    for chunk in STREAMS["deepseek: reasoning"]["chunks"]:
        assembly.add(chunk)
    assert (assembly.is_whole, assembly.has_finished, assembly.has_usage) == (False, True, True)


@pytest.mark.parametrize(
    "chunk", [{"choices": "text"}, {"choices": [[]]}, {"choices": {"a": 1}}, {"choices": [{}] * 2}]
)
def test_what_are_no_chunks_is_unclear(chunk):
    with pytest.raises(UnclearStream):
        Assembly().add(chunk)


def test_values_nested_without_end_are_unclear():
    def nested(innermost: str) -> Any:
        value: Any = innermost
        for _ in range(100_000):
            value = [value]
        return value

    assembly = Assembly()
    with pytest.raises(UnclearStream):
        assembly.add({"x": nested("a"), "choices": []})


def test_the_cost_grows_with_the_length():
    def chunks_of(size: int) -> Any:
        words = [{"id": "c", "choices": [{"index": 0, "delta": {"content": "word "}}]} for _ in range(size)]
        return [*words, {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]

    assert not grows_with_the_square(assemble, chunks_of, 16_000)  # type: ignore[arg-type]
