"""The protocol server is only worth something if real clients read it as they read the real one."""

import asyncio

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tests.openai_server import Behaviour

MESSAGES = [{"role": "user", "content": "Hello?"}]
EVERYTHING = Behaviour(
    content="Two words.",
    tool_calls=[("get_weather", '{"city": "Oslo"}'), ("get_time", "{}")],
    refusal="Not that.",
    logprobs=True,
    extra={"x_future": 1},
)


@pytest.fixture
def client(openai_server):
    with openai.OpenAI(api_key="k", base_url=openai_server.url, max_retries=0) as client:
        yield client


def test_completions_are_valid_and_numbered(client):
    first, second = (client.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(2))
    ChatCompletion.model_validate(first.to_dict())
    assert first.choices[0].message.content == "Answer 1 to: Hello?"
    assert second.choices[0].message.content == "Answer 2 to: Hello?"


def test_the_sdk_accumulates_a_stream_to_the_whole_answer(client, openai_server):
    openai_server.always(EVERYTHING)
    whole = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, n=2)
    ChatCompletion.model_validate(whole.to_dict())
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, n=2) as stream:
        for event in stream:
            if event.type == "chunk":
                ChatCompletionChunk.model_validate(event.chunk.to_dict())
        streamed = stream.get_final_completion()
    for one, other in zip(whole.choices, streamed.choices, strict=True):
        assert one.message.content == other.message.content
        assert one.message.refusal == other.message.refusal
        assert one.finish_reason == other.finish_reason == "tool_calls"
        assert one.logprobs.content == other.logprobs.content
        assert [call.function.arguments for call in one.message.tool_calls] == [
            call.function.arguments for call in other.message.tool_calls
        ]


def test_the_sdk_accumulates_response_events(client, openai_server):
    openai_server.always(EVERYTHING)
    whole = client.responses.create(model="gpt-4o", input="Hello?")
    Response.model_validate(whole.to_dict())
    assert whole.output_text == "Two words."
    with client.responses.stream(model="gpt-4o", input="Hello?") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert [item.type for item in final.output] == [item.type for item in whole.output]
    assert final.output_text == whole.output_text


def test_usage_is_streamed_when_asked_and_only_then(client):
    def chunks(**arguments):
        return list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **arguments))

    assert chunks(stream_options={"include_usage": True})[-1].usage.total_tokens > 0
    assert not any(chunk.usage for chunk in chunks())


def test_embeddings_are_unit_vectors_in_both_encodings(client):
    def embed(*texts, **arguments):
        answer = client.embeddings.create(model="text-embedding-3-small", input=list(texts), **arguments)
        return [item.embedding for item in answer.data]

    (numbers,) = embed("where is my card", encoding_format="float", dimensions=32)
    (decoded,) = embed("where is my card", dimensions=32)
    assert decoded == pytest.approx(numbers, abs=1e-6)
    assert sum(value * value for value in numbers) == pytest.approx(1)
    near, far, other = embed("where is the card", "stock prices today", "where is my card")
    assert sum(a * b for a, b in zip(near, other, strict=True)) > sum(a * b for a, b in zip(far, other, strict=True))


def test_other_paths_are_echoed(client, openai_server):
    answer = client.post("/moderations", body={"input": "x"}, cast_to=object)
    assert answer == {"echo": {"input": "x"}, "method": "POST", "path": "/v1/moderations"}
    assert next(iter(client.models.list())).id == "gpt-4o"
    assert openai_server.calls == 1
    assert len(openai_server.requests) == 2


def test_rules_apply_until_the_queue_says_otherwise(client, openai_server):
    openai_server.always(Behaviour(content="rule"), when=lambda request: "Hello" in request.question)
    openai_server.next(Behaviour(content="queued"))

    def ask(question):
        messages = [{"role": "user", "content": question}]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content

    assert [ask("Hello"), ask("Hello"), ask("Bye")] == ["queued", "rule", "Answer 3 to: Bye"]


def test_held_requests_wait_until_released(openai_server):
    async def run():
        async with openai.AsyncOpenAI(api_key="k", base_url=openai_server.url, max_retries=0) as client:
            gate = openai_server.hold()
            asked = [
                asyncio.create_task(client.chat.completions.create(model="m", messages=MESSAGES)) for _ in range(3)
            ]
            await gate.arrived(3)
            assert not any(task.done() for task in asked)
            gate.release()
            return {answer.choices[0].message.content for answer in await asyncio.gather(*asked)}

    assert len(asyncio.run(run())) == 3
    assert openai_server.disconnects == 0
