"""Both providers keep one contract; each also does what it alone promises."""

import asyncio
import base64
import json
import os
import re
import threading
import time
from itertools import pairwise

import numpy as np
import openai
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.demo.answers import answer
from core.demo.model import DemoProvider
from core.errors import IncompleteStream, ProviderUnavailable
from core.models import ChatRequest
from core.providers.openai import OpenAIProvider
from core.providers.prices import price, quote_price
from core.semantic.judge.prompt import Candidate, build_messages
from core.semantic.judge.verdict import Ruling, read_verdict
from core.semantic.results import Case
from core.wire.assembly import assemble
from core.wire.responses import assemble_response
from tests.growth import grows_with_the_square
from tests.openai_server import Behaviour, OpenAIServer, embedding_of


def asking(question="How long does a new card take?", *, model="gpt-4o", **arguments):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    return ChatRequest.from_openai(model=model, messages=messages, **arguments)


WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer"},
            },
            "required": ["city", "unit", "days"],
        },
    },
}


@pytest.fixture
def server(openai_server: OpenAIServer):
    return openai_server


@pytest.fixture
def remote(server):
    provider = OpenAIProvider(api_key="sk-test-canary", base_url=server.url, max_retries=0, timeout_seconds=20)
    yield provider
    provider.close()


@pytest.fixture
def demo():
    return DemoProvider(seed=1, latency_scale=0)


@pytest.fixture(params=["openai", "demo"])
def provider(request):
    return request.getfixturevalue("remote" if request.param == "openai" else "demo")


async def whole(chunks):
    return [chunk async for chunk in chunks]


class TestEveryProvider:
    def test_answers_with_a_chat_completion(self, provider):
        completion = provider.complete(asking())
        assert completion.body["object"] == "chat.completion"
        assert completion.choices[0].finish_reason == "stop"
        assert completion.choices[0].message.content == completion.text != ""
        assert completion.tokens.input_tokens > 0
        assert completion.tokens.output_tokens > 0

    def test_answers_on_an_event_loop(self, provider):
        async def ask():
            try:
                return await provider.acomplete(asking())
            finally:
                await provider.aclose()

        assert asyncio.run(ask()).text

    def test_streams_chunks_that_assemble_to_an_answer(self, provider):
        chunks = list(provider.stream(asking(**WITH_USAGE)))
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert len(chunks) > 4
        body = assemble(chunks)
        assert body["choices"][0]["message"]["content"]
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]

    def test_streams_on_an_event_loop(self, provider):
        async def ask():
            try:
                return await whole(provider.astream(asking(**WITH_USAGE)))
            finally:
                await provider.aclose()

        body = assemble(asyncio.run(ask()))
        assert body["choices"][0]["finish_reason"] == "stop"

    def test_tells_the_usage_of_a_stream_only_when_asked(self, provider):
        assert "usage" not in assemble(provider.stream(asking(stream=True)))

    def test_gives_as_many_choices_as_asked(self, provider):
        completion = provider.complete(asking(n=3))
        assert [choice["index"] for choice in completion["choices"]] == [0, 1, 2]
        assert len({choice["message"]["content"] for choice in completion["choices"]}) == 3
        streamed = assemble(provider.stream(asking(n=3)), choices=3)
        assert len(streamed["choices"]) == 3

    def test_two_calls_give_two_answers(self, provider):
        first, second = provider.complete(asking()), provider.complete(asking())
        assert first["id"] != second["id"]
        assert first.text != second.text

    def test_answers_the_responses_api(self, provider):
        completion = provider.complete(asking(endpoint="responses"))
        assert completion["object"] == "response"
        assert completion["output"][-1]["content"][0]["text"]
        assert completion.tokens.output_tokens > 0
        streamed = assemble_response(list(provider.stream(asking(endpoint="responses", stream=True))))
        assert streamed["output"][-1]["content"][0]["text"]

    def test_refuses_kinds_of_request_it_does_not_know(self, provider):
        with pytest.raises(ProviderUnavailable, match="banana"):
            provider.complete(asking(endpoint="banana"))

    def test_lists_its_models(self, provider):
        models = provider.models()
        assert models == sorted(models)
        assert models


class TestOpenAIProvider:
    def test_keeps_every_byte_of_the_answer(self, remote, server):
        sent = b'{"id":"c", "choices": [{"message": {"content": "\\ud83d", "x": [1.10]}}], "x_future": {"a": null}}'
        server.next(Behaviour(raw=sent))
        assert remote.complete(asking()).body == json.loads(sent)

    def test_keeps_unknown_fields_of_a_stream(self, remote, server):
        server.next(Behaviour(extra={"x_future": {"a": [1]}}))
        chunks = list(remote.stream(asking()))
        assert chunks[0]["x_future"] == chunks[0]["choices"][0]["delta"]["x_future"] == {"a": [1]}
        assert assemble(chunks)["x_future"] == {"a": [1]}

    def test_a_stream_and_a_whole_answer_say_the_same(self, remote, server):
        behaviour = Behaviour(
            content="The weather in Oslo.\nSnow, ❄️ mostly.",
            tool_calls=[("get_weather", '{"city": "Oslo"}'), ("get_time", "{}")],
            reasoning="They ask for Oslo.",
            refusal="Partly.",
            logprobs=True,
            extra={"x_future": "kept"},
        )
        server.always(behaviour)
        body = remote.complete(asking(n=2)).body
        streamed = assemble(remote.stream(asking(n=2, **WITH_USAGE)), choices=2)
        own = {"id", "created"}
        # Text of unknown meaning is taken once from the chunks, which repeat it in their heads.
        assert {name: streamed[name] for name in streamed if name not in (*own, "choices")} == {
            name: body[name] for name in body if name not in (*own, "choices")
        }
        for whole_choice, streamed_choice in zip(body["choices"], streamed["choices"], strict=True):
            for call, other in zip(
                whole_choice["message"].pop("tool_calls"),
                streamed_choice["message"].pop("tool_calls"),
                strict=True,
            ):
                assert call | {"id": ""} == other | {"id": ""}
            assert whole_choice == streamed_choice

    def test_sends_the_request_as_given(self, remote, server):
        request = asking(
            temperature=0.2,
            tools=[WEATHER_TOOL],
            x_unknown={"a": 1},
            metadata={"team": "cards"},
            extra_headers={"X-Trace": "t1"},
            extra_query={"api-version": "1"},
        )
        remote.complete(request)
        received = server.requests[0]
        assert received.body == {
            "model": "gpt-4o",
            "messages": list(request.messages),
            "temperature": 0.2,
            "tools": [WEATHER_TOOL],
            "x_unknown": {"a": 1},
            "metadata": {"team": "cards"},
        }
        assert received.headers["x-trace"] == "t1"
        assert received.headers["authorization"] == "Bearer sk-test-canary"

    def test_asks_for_a_stream_as_the_caller_did(self, remote, server):
        list(remote.stream(asking(**WITH_USAGE)))
        list(remote.stream(asking(stream=True)))
        remote.complete(asking(**WITH_USAGE))
        asked, bare, complete = (request.body for request in server.requests)
        assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
        assert bare["stream"] is True
        assert "stream_options" not in bare
        assert not {"stream", "stream_options"} & set(complete)

    def test_sends_the_input_of_the_responses_api(self, remote, server):
        remote.complete(asking(endpoint="responses", instructions="Be kind."))
        assert server.requests[0].path == "/v1/responses"
        assert server.requests[0].body["input"][-1]["content"] == "How long does a new card take?"
        assert server.requests[0].body["instructions"] == "Be kind."

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (404, openai.NotFoundError),
            (429, openai.RateLimitError),
            (500, openai.InternalServerError),
        ],
    )
    @pytest.mark.parametrize("streams", [False, True])
    def test_errors_are_those_of_the_sdk(self, remote, server, status, error, streams):
        server.next(Behaviour(status=status, headers={"retry-after": "7"}))
        with pytest.raises(error) as raised:
            list(remote.stream(asking())) if streams else remote.complete(asking())
        assert raised.value.status_code == status
        assert raised.value.response.headers["retry-after"] == "7"
        assert raised.value.body["message"] == f"told to answer {status}"

    def test_retries_as_often_as_told(self, server):
        provider = OpenAIProvider(api_key="k", base_url=server.url, max_retries=2)
        server.next(*[Behaviour(status=500, headers={"retry-after-ms": "1"})] * 2)
        assert provider.complete(asking()).text.startswith("Answer 1")
        assert server.calls == 3
        provider.close()

    def test_a_connection_reset_before_the_answer_is_a_connection_error(self, remote, server):
        server.next(Behaviour(cut_after=0))
        with pytest.raises(openai.APIConnectionError):
            remote.complete(asking())

    @pytest.mark.parametrize("cut_after", [1, 3, 9])
    def test_a_stream_cut_short_raises_after_what_arrived(self, remote, server, cut_after):
        server.next(Behaviour(cut_after=cut_after))
        received = []
        with pytest.raises((openai.APIConnectionError, openai.APIError)):
            received.extend(remote.stream(asking()))
        with pytest.raises(IncompleteStream):
            assemble(received)

    def test_a_stream_without_a_finish_reason_is_no_answer(self, remote, server):
        server.next(Behaviour(finish_reason=None))
        with pytest.raises(IncompleteStream):
            assemble(remote.stream(asking()))

    def test_an_error_inside_a_stream_is_raised(self, remote, server):
        raw = b'data: {"choices": []}\n\ndata: {"error": {"message": "overloaded"}}\n\n'
        server.next(Behaviour(raw=raw, content_type="text/event-stream"))
        with pytest.raises(openai.APIError, match="overloaded"):
            list(remote.stream(asking()))

    @pytest.mark.parametrize("raw", [b"<html>Bad gateway</html>", b"[1, 2]", b"", b'"text"'])
    def test_an_answer_that_is_no_json_object_is_an_error(self, remote, server, raw):
        server.next(Behaviour(raw=raw, content_type="text/html"))
        with pytest.raises(openai.APIResponseValidationError):
            remote.complete(asking())

    def test_waits_no_longer_than_told(self, remote, server):
        gate = server.hold()
        began = time.perf_counter()
        with pytest.raises(openai.APITimeoutError):
            remote.complete(asking(timeout=20), 0.05)
        with pytest.raises(openai.APITimeoutError):
            list(remote.stream(asking(timeout=0.05)))
        assert time.perf_counter() - began < 10
        assert gate.waiting == 2
        server.wait_for_disconnects(2)

    def test_a_stream_that_is_closed_early_ends_the_call(self, remote, server):
        gate = server.hold(after=3)
        chunks = remote.stream(asking())
        next(chunks)
        gate.wait_for(1)
        chunks.close()
        server.wait_for_disconnects(1)

    def test_a_cancelled_task_ends_the_call(self, remote, server):
        gate = server.hold()

        async def ask_and_cancel():
            task = asyncio.create_task(remote.acomplete(asking()))
            await gate.arrived(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(server.wait_for_disconnects, 1)
            await remote.aclose()

        asyncio.run(ask_and_cancel())

    def test_chunks_arrive_while_the_server_is_still_writing(self, remote, server):
        gate = server.hold(after=4)
        chunks = remote.stream(asking())
        early = [next(chunks) for _ in range(4)]
        gate.wait_for(1)
        assert early[-1]["choices"][0]["finish_reason"] is None
        gate.release()
        assert assemble([*early, *chunks])["choices"][0]["finish_reason"] == "stop"

    def test_each_event_loop_has_its_own_connections(self, remote, server):
        async def ask():
            try:
                return await remote.acomplete(asking())
            finally:
                await remote.aclose()

        answers = [asyncio.run(ask()).text for _ in range(3)]
        assert len(set(answers)) == 3

    def test_event_loops_that_live_side_by_side_do_not_share_connections(self, remote):
        loops = [asyncio.new_event_loop(), asyncio.new_event_loop()]
        for number, loop in enumerate(loops * 2, 1):
            assert loop.run_until_complete(remote.acomplete(asking())).text.startswith(f"Answer {number} ")
        for loop in loops:
            loop.run_until_complete(remote.aclose())
            loop.close()

    def test_threads_share_one_client_without_mixing_answers(self, remote, server):
        barrier = threading.Barrier(8)
        answers = {}

        def ask(number):
            barrier.wait()
            answers[number] = remote.complete(asking(f"Question {number}")).text

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(text.endswith(f"to: Question {number}") for number, text in answers.items())
        assert len(answers) == 8

    def test_can_be_used_again_after_close(self, remote, server):
        remote.complete(asking())
        remote.close()
        assert remote.complete(asking()).text.startswith("Answer 2")

    def test_survives_a_restart_of_the_server(self, remote, server):
        remote.complete(asking())
        server.stop()
        with pytest.raises(openai.APIConnectionError):
            remote.complete(asking())
        server.start()
        assert remote.complete(asking()).text.startswith("Answer 2")

    def test_a_forked_process_opens_its_own_connections(self, remote):
        client = remote._sync_client()
        assert remote._sync_client() is client
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, b"1" if remote._sync_client() is not client else b"0")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 1) == b"1"
        os.close(read)
        os.close(write)

    def test_does_not_show_its_key_to_another_server(self, remote, server):
        with pytest.raises(ProviderUnavailable, match="another server"):
            remote.complete(asking(base_url="http://127.0.0.1:9/v1"))
        assert remote.complete(asking(base_url=server.url + "/")).text
        for elsewhere in ("/deployments/one", server.url + ".evil/deployments/one", server.url + "/other"):
            with pytest.raises(ProviderUnavailable, match="another server"):
                remote.complete(asking(base_url=elsewhere))

    def test_asks_the_deployment_that_the_request_names_at_its_own_server(self, remote, server):
        assert remote.complete(asking(base_url=server.url + "/deployments/one", extra_query={"api-version": "1"})).text
        assert server.requests[-1].path == "/v1/deployments/one/chat/completions"

    def test_sends_a_field_of_the_body_that_is_named_like_an_argument_of_the_sdk(self, remote, server):
        fields = {"extra_headers": {"X-A": "1"}, "extra_query": {"a": "1"}, "timeout": 5}
        request = ChatRequest.from_wire(
            "chat", {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
        )
        remote.complete(request)
        received = server.requests[-1]
        assert {name: received.body[name] for name in fields} == fields
        assert "x-a" not in received.headers

    def test_the_callers_key_replaces_its_own(self, remote, server):
        remote.complete(asking(extra_headers={"Authorization": "Bearer sk-caller"}))
        assert server.requests[0].headers["authorization"] == "Bearer sk-caller"

    def test_a_server_of_ones_own_needs_no_key(self, server):
        provider = OpenAIProvider(base_url=server.url)
        assert provider.complete(asking()).text
        provider.close()

    def test_says_what_to_set_when_there_is_neither_key_nor_server(self):
        with pytest.raises(ProviderUnavailable, match="OPENAI_API_KEY"):
            OpenAIProvider().complete(asking())

    def test_the_environment_does_not_redirect_it(self, server, monkeypatch):
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
        provider = OpenAIProvider(base_url=server.url)
        provider.complete(asking())
        assert "sk-environment" not in server.requests[0].headers["authorization"]
        provider.close()

    def test_gives_vectors_in_the_order_of_the_texts(self, remote, server):
        texts = ["What time is it?", "你好", "Where is my card?"]
        vectors = remote.embed(texts, "text-embedding-3-small")
        assert vectors == [pytest.approx(embedding_of(text, 256)) for text in texts]
        assert server.requests[0].body["input"] == texts
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)

    def test_what_embeddings_cost_is_told(self, server):
        told = []
        provider = OpenAIProvider(base_url=server.url, on_embedding=lambda model, tokens: told.append((model, tokens)))
        provider.embed(["What time is it?"], "text-embedding-3-small")
        provider.close()
        [(model, tokens)] = told
        assert model == "text-embedding-3-small"
        assert tokens > 0

    def test_models_are_those_of_the_server(self, remote):
        assert remote.models() == ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]


def embedding(given, **parameters):
    request = ChatRequest.from_wire("embeddings", {"model": "any", "input": given, **parameters})
    assert request is not None
    return request


class TestDemoModel:
    @pytest.mark.parametrize(
        ("asked", "named"),
        [
            ("encore-demo-small", "encore-demo-small"),
            ("encore-demo-large", "encore-demo-large"),
            ("gpt-4o", "encore-demo-large (standing in for gpt-4o)"),
            ("gpt-4o-mini", "encore-demo-small (standing in for gpt-4o-mini)"),
            ("encore-demo-large (standing in for gpt-4o)", "encore-demo-large"),
        ],
    )
    def test_every_answer_names_the_demo_model(self, demo, asked, named):
        completion = demo.complete(asking(model=asked))
        assert completion["model"] == named
        assert completion["system_fingerprint"] == "encore-demo"
        assert {chunk["model"] for chunk in demo.stream(asking(model=asked))} == {named}
        assert demo.complete(asking(model=asked, endpoint="responses"))["model"] == named

    def test_money_saved_on_it_is_marked_as_made_up(self, demo):
        completion = demo.complete(asking(model="gpt-4o"))
        assert quote_price(completion["model"], completion.tokens).source == "demo"
        assert price(completion["model"], completion.tokens) > 0

    @pytest.mark.parametrize(
        "question", ["How long does a new card take?", "17 * 3", "Hi!", "Weather?", "What is zorp?"]
    )
    def test_asking_again_gives_other_words(self, demo, question):
        first, second = demo.complete(asking(question)), demo.complete(asking(question, temperature=0.7))
        assert first.text != second.text

    @pytest.mark.parametrize("fixed", [{"temperature": 0}, {"seed": 7}])
    def test_temperature_zero_or_a_seed_fixes_the_words(self, demo, fixed):
        other = DemoProvider(seed=99, latency_scale=0)
        assert demo.complete(asking(**fixed)).text == other.complete(asking(**fixed)).text

    def test_two_demo_models_of_one_seed_say_the_same(self):
        said = [DemoProvider(seed=5, latency_scale=0).complete(asking()).text for _ in range(2)]
        assert said[0] == said[1]

    def test_embeddings_tell_what_is_near(self, demo):
        texts = ["How are cards sent?", "How do you send cards?", "My dog likes the sea."]
        body = demo.complete(embedding(texts)).body
        one, near, far = (np.array(item["embedding"]) for item in body["data"])
        assert [item["index"] for item in body["data"]] == [0, 1, 2]
        assert one @ one == pytest.approx(1, abs=1e-5)
        assert one @ near > 0.5 > one @ far
        assert demo.complete(embedding(texts[1])).body["data"][0]["embedding"] == pytest.approx(near.tolist())
        completion = demo.complete(embedding(texts, dimensions=64, encoding_format="base64"))
        packed = base64.b64decode(completion.body["data"][1]["embedding"])
        assert np.frombuffer(packed, "<f4") == pytest.approx(near[:64] / np.linalg.norm(near[:64]), abs=1e-5)
        assert quote_price(completion["model"], completion.tokens).source == "demo"

    @pytest.mark.parametrize(
        ("given", "parameters", "named"),
        [
            ([1, 2], {}, "input"),
            (["a", ""], {}, "input"),
            (["a"] * 2049, {}, "2048"),
            ("a", {"dimensions": 1536}, "dimensions"),
            ("a", {"dimensions": 0}, "dimensions"),
        ],
    )
    def test_embeddings_that_it_cannot_make_are_refused_with_the_reason(self, demo, given, parameters, named):
        with pytest.raises(openai.BadRequestError, match=named):
            demo.complete(embedding(given, **parameters))

    def test_embeddings_are_not_streamed(self, demo):
        with pytest.raises(ProviderUnavailable, match="whole"):
            list(demo.stream(embedding("a")))

    def test_is_no_embedder(self, demo):
        with pytest.raises(ProviderUnavailable, match="no embedder"):
            demo.embed(["text"], "any")

    def test_its_latency_is_that_of_a_model(self):
        demo = DemoProvider(seed=1)

        def seconds(question, **arguments):
            request = asking(question, **arguments)
            return [demo._seconds(request, demo._answer(request)) for _ in range(20)]

        assert min(seconds("Hi", model="gpt-4o-mini", max_tokens=1)) == 0.3
        assert max(seconds("very " * 20_000)) == 1.5
        usual = seconds("How long does a new card take?")
        assert 0.3 < min(usual) < max(usual) < 1.5

    def test_its_latency_is_spent_and_can_be_scaled(self):
        demo = DemoProvider(seed=1, latency_scale=0.1)
        began = time.perf_counter()
        demo.complete(asking())
        list(demo.stream(asking()))
        assert time.perf_counter() - began >= 0.06

    def test_a_deadline_shorter_than_its_latency_is_a_timeout(self):
        demo = DemoProvider(seed=1)
        with pytest.raises(openai.APITimeoutError):
            demo.complete(asking(), 0.01)
        with pytest.raises(openai.APITimeoutError):
            next(demo.stream(asking(), 0.01))

    def test_stops_at_the_token_limit(self, demo):
        completion = demo.complete(asking(max_tokens=5))
        assert completion["choices"][0]["finish_reason"] == "length"
        assert completion.tokens.output_tokens == 5
        response = demo.complete(asking(endpoint="responses", max_output_tokens=5))
        assert (response["status"], response["incomplete_details"]) == (
            "incomplete",
            {"reason": "max_output_tokens"},
        )

    def test_stops_before_a_stop_word(self, demo):
        completion = demo.complete(asking("What is 6 * 7?", seed=1, stop=["42"]))
        assert "42" not in completion.text
        assert "42" in demo.complete(asking("What is 6 * 7?", seed=1)).text

    def test_answers_in_json_when_asked(self, demo):
        completion = demo.complete(asking(response_format={"type": "json_object"}))
        assert "card" in json.loads(completion.text)["answer"].lower()

    def test_fills_a_json_schema(self, demo):
        schema = WEATHER_TOOL["function"]["parameters"]
        wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
        filled = json.loads(demo.complete(asking(response_format=wanted)).text)
        assert set(filled) == {"city", "unit", "days"}
        assert filled["unit"] == "celsius"
        assert isinstance(filled["days"], int)

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
    def test_calls_a_tool_that_must_be_called(self, demo, choice):
        request = asking("Weather in Oslo for 3 days?", tools=[WEATHER_TOOL], tool_choice=choice)
        body = demo.complete(request).body
        assert body["choices"][0]["finish_reason"] == "tool_calls"
        call = body["choices"][0]["message"]["tool_calls"][0]
        assert call["function"]["name"] == "get_weather"
        assert json.loads(call["function"]["arguments"])["days"] == 3
        streamed = assemble(demo.stream(request))["choices"][0]["message"]["tool_calls"][0]
        assert streamed["function"] == call["function"]

    def test_a_tool_that_may_be_called_is_not(self, demo):
        assert demo.complete(asking(tools=[WEATHER_TOOL])).text

    @pytest.mark.parametrize(
        "broken", [{"n": "many"}, {"max_tokens": "few"}, {"stop": 5}, {"tools": [1], "tool_choice": "required"}]
    )
    def test_parameters_of_the_wrong_type_are_a_bad_request(self, demo, broken):
        with pytest.raises(openai.BadRequestError) as raised:
            demo.complete(asking(**broken))
        assert raised.value.status_code == 400

    @pytest.mark.parametrize(
        "content", [None, "", "\ud800", [{"type": "text", "text": "2 + 2"}], [{"type": "image_url"}], 5]
    )
    def test_any_content_gets_an_answer(self, demo, content):
        request = ChatRequest(model="m", messages=[{"role": "user", "content": content}])
        assert demo.complete(request).text

    def test_what_the_real_client_reads_is_a_chat_completion(self, demo):
        completion = openai.types.chat.ChatCompletion.model_validate(demo.complete(asking()).body)
        assert completion.usage.total_tokens > 0
        for chunk in demo.stream(asking(**WITH_USAGE)):
            openai.types.chat.ChatCompletionChunk.model_validate(chunk)
        openai.types.responses.Response.model_validate(demo.complete(asking(endpoint="responses")).body)


class TestTheDemoModelAsJudge:
    def rulings(self, demo, question, *stored, history=()):
        case = Case(namespace="shop", question=question, history=history)
        asked = build_messages(case, [Candidate(question=wording, answer=answer) for wording, answer in stored])
        completion = demo.complete(ChatRequest(model="encore-demo-small", messages=asked.messages))
        return read_verdict(completion.text, asked.token, len(stored)).rulings

    def ask(self, demo, question, stored, answered):
        [ruling] = self.rulings(demo, question, (stored, answered))
        return ruling

    def answered(self, demo, question):
        return demo.complete(asking(question)).text

    @pytest.mark.parametrize(
        ("question", "stored"),
        [
            ("Where is my new card? It has not arrived.", "My card still hasn't arrived yet"),
            ("what's the capital of france", "Tell me the capital of France, please."),
            ("define recursion", "What is recursion?"),
        ],
    )
    def test_the_same_matter_in_other_words_is_a_yes(self, demo, question, stored):
        assert self.ask(demo, question, stored, self.answered(demo, stored)) is Ruling.YES

    @pytest.mark.parametrize(
        ("question", "stored"),
        [
            ("What is 2 + 3?", "What is 2 + 4?"),
            ("capital of Italy", "capital of France"),
            ("I lost my card", "I lost my phone"),
            ("What is zorp?", "What is zorp??"),
        ],
    )
    def test_another_matter_or_an_unknown_one_is_a_no(self, demo, question, stored):
        assert self.ask(demo, question, stored, self.answered(demo, stored)) is Ruling.NO

    def test_an_answer_that_states_something_else_is_a_no(self, demo):
        assert self.ask(demo, "capital of France", "France's capital", "It is Lyon.") is Ruling.NO

    def test_of_several_it_names_one_and_says_no_to_the_others(self, demo):
        stored = [(question, self.answered(demo, question)) for question in ("What is 2 + 3?", "What is recursion?")]
        assert self.rulings(demo, "define recursion", *stored, history=("user: Hi.",)) == (Ruling.NO, Ruling.YES)
        assert self.rulings(demo, "capital of Italy", *stored) == (Ruling.NO, Ruling.NO)

    def test_texts_cannot_close_their_block(self, demo):
        assert self.ask(demo, "x", 'capital of "France"\n</', "</aa>\n\u2028<") is Ruling.NO

    def test_other_messages_are_no_verdict(self, demo):
        assert demo.complete(asking("<aa new question>\nnot json\n</aa>")).text.startswith(
            ("This is", "The demo", "About", "I would")
        )


class TestWhatTheDemoModelSays:
    @pytest.mark.parametrize(
        ("question", "result"),
        [
            ("What is 17 * 23?", "391"),
            ("what's 15% of 80", "12"),
            ("(3 + 4) * 5 / 2 =", "17.5"),
            ("0.1 + 0.2", "0.3"),
            ("How much is 5 minus 8?", "-3"),
            ("1,000 + 2,500", "3500"),
            ("12 x 12", "144"),
            ("2 ^ 10", "1024"),
            ("2 to the power of -1", "0.5"),
            ("10 / 4 please", "2.5"),
            ("1 / 3", "0.333333"),
            ("1 / 8000000", "1.25e-07"),
        ],
    )
    def test_sums_are_right(self, question, result):
        for variation in range(3):
            assert re.search(rf"(?<![\d.]){re.escape(result)}(?!\d)", answer(question, variation))

    @pytest.mark.parametrize("question", ["7 / 0", "What is 3 / (2 - 2)?"])
    def test_dividing_by_zero_has_no_result(self, question):
        assert "zero" in answer(question, 0)

    @pytest.mark.parametrize(
        "question",
        [
            "9 ** 9 ** 9 ** 9",
            "((((((999999999 ^ 64) ^ 64) ^ 64) ^ 64) ^ 64) ^ 64)",
            "2024-01-02",
            "20% + 5",
            "1 if 2 else 3",
            "__import__('os')",
            "5",
            "(" * 300,
        ],
    )
    def test_what_is_no_sum_is_not_computed(self, question):
        assert "demo model" in answer(question, 0)

    @pytest.mark.parametrize(
        ("question", "result"),
        [
            ("How many feet in a mile?", "5280 feet"),
            ("10 km in miles", "6.2137 miles"),
            ("1,000 m to km", "1 km"),
            ("-40 celsius to fahrenheit", "-40 fahrenheit"),
            ("100 °C in °F", "212 f"),
            ("How many seconds are there in a day?", "86400 seconds"),
        ],
    )
    def test_units_are_converted(self, question, result):
        assert re.search(rf"(?<![\d.]){re.escape(result)}\b", answer(question, 0))

    def test_units_of_different_kinds_are_not_converted(self):
        assert "demo model" in answer("5 kg in miles", 0)

    @pytest.mark.parametrize(
        ("question", "city"),
        [
            ("What is the capital of France?", "Paris"),
            ("capital of the netherlands", "Amsterdam"),
            ("What is Australia's capital?", "Canberra"),
            ("Capital city of the United States?", "Washington"),
        ],
    )
    def test_capitals_are_right(self, question, city):
        assert all(city in answer(question, variation) for variation in range(3))

    @pytest.mark.parametrize(
        ("question", "word"),
        [
            ("My card has not arrived yet, where is it?", "working days"),
            ("I lost my card!", "reeze"),
            ("How do I change my PIN?", "PIN"),
            ("Why was my top-up declined?", "top-up"),
            ("What is the exchange rate applied to my card payment?", "rate"),
            ("I was charged twice", "two"),
            ("Why do I need to verify my identity?", "photo"),
            ("What is a cache?", "cache"),
            ("How do I reverse a string in Python?", "[::-1]"),
            ("Who wrote Hamlet?", "Shakespeare"),
        ],
    )
    def test_common_questions_get_fitting_answers(self, question, word):
        assert all(word in answer(question, variation) for variation in range(2))

    @pytest.mark.parametrize("question", ["What time is it?", "What's the weather in Oslo?", "What's my balance?"])
    def test_it_says_what_it_cannot_know(self, question):
        assert all(
            "demo model" in answer(question, variation) or "you need" in answer(question, variation)
            for variation in range(3)
        )

    @pytest.mark.parametrize("variation", range(4))
    def test_what_it_has_no_answer_to_it_says_with_the_topic(self, variation):
        said = answer('Is "zorp" {blue} on {0}?', variation)
        assert "demo model" in said
        assert "Is 'zorp' {blue} on {0}" in said

    @given(st.text(st.characters(), max_size=200), st.integers(0, 10**9))
    def test_any_question_has_an_answer(self, question, variation):
        assert answer(question, variation)

    @given(
        st.recursive(
            st.integers(0, 999).map(str),
            lambda part: st.tuples(part, st.sampled_from("+-*"), part).map(lambda parts: f"({' '.join(parts)})"),
            max_leaves=12,
        )
    )
    def test_sums_of_any_shape_agree_with_python(self, expression):
        assume(not expression.isdigit())
        assert re.search(rf"(?<!\d){eval(expression)}(?!\d)", answer(f"What is {expression}?", 2))

    def test_variations_that_follow_each_other_differ(self):
        for question in ["Hi", "My card has not arrived", "2 + 2", "How are planets named?", "What is the time?"]:
            said = [answer(question, variation) for variation in range(36)]
            assert all(one != other for one, other in pairwise(said))

    def test_facts_are_worded_in_35_ways(self):
        assert len({answer("capital of France", variation) for variation in range(35)}) == 35

    @pytest.mark.parametrize("piece", ["1", " ", "+-", "what is ", "a "])
    def test_long_questions_are_answered_in_linear_time(self, piece):
        def ask(text: str) -> None:
            answer(text, 0)

        assert not grows_with_the_square(ask, lambda size: piece * (size // len(piece)) + "?", 160_000)
