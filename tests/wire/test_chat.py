"""A chat completion and its chunks are two forms of one answer."""

import json
from itertools import pairwise

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IncompleteStream
from core.wire.assembly import assemble
from core.wire.chat import MOST_PIECES, pieces_of, replay, split, without_usage
from core.wire.events import DONE, encode_event
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
names = st.text(st.characters(), min_size=1, max_size=20)
json_texts = json_values.map(lambda value: json.dumps(value, indent=1))
unknown_names = st.sampled_from(["annotations", "audio", "x_future", "x_details"])
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
            for number, (name, arguments) in enumerate(draw(st.lists(st.tuples(names, json_texts), max_size=3)))
        ]
    if draw(st.booleans()):
        message["function_call"] = {"name": draw(names), "arguments": draw(json_texts)}
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
        assert assemble(chunks, choices=len(body["choices"])) == {name: body[name] for name in body if name != "usage"}

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
        assemble(chunks, choices=len(body["choices"]))
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


class TestLongAnswers:
    @pytest.mark.parametrize("word", ["word ", "x", "漢", " ", "\n", "one-and-a-half-lines-of-one-word "])
    @pytest.mark.parametrize("words", [1, 150, 900, 1_100, 30_000, 200_000])
    def test_come_in_a_bounded_number_of_pieces(self, word, words):
        pieces = pieces_of(word * words)
        assert "".join(pieces) == word * words
        assert len(pieces) <= MOST_PIECES
        assert all(pieces)

    def test_with_log_probabilities_too(self):
        entries = [{"token": f"t{number}", "logprob": -0.5} for number in range(5_000)]
        text = "".join(entry["token"] for entry in entries)
        message = {"role": "assistant", "content": text}
        body = {
            "choices": [{"index": 0, "message": message, "logprobs": {"content": entries}, "finish_reason": "stop"}]
        }
        chunks = split(body, include_usage=False)
        assert len(chunks) <= MOST_PIECES + 2
        assert assemble(chunks)["choices"] == body["choices"]


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
