"""The demo model: answers without a key, so that the cache can be tried at once.

It is no language model and says so: in the model name of every answer and in its fingerprint. What it imitates is the
outside of one: wire shapes, latency that grows with the answer, token counts, wording that differs from call to call.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Any
from uuid import uuid4

import httpx2
from openai import APITimeoutError, BadRequestError

from ..errors import ProviderUnavailable
from ..models import ChatRequest, Completion
from ..wire import split, split_response
from .answers import answer
from .judge import verdict
from .vectors import embeddings

MODELS = ("encore-demo-large", "encore-demo-small")
FINGERPRINT = "encore-demo"

_SMALL_NAMES = ("mini", "nano", "small", "lite", "haiku", "flash", "tiny")
_TOKEN = re.compile(r"\s*(?:[^\W_]{1,6}|_|[^\w\s])|\s+")
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.3, 1.5
_MOST_CHOICES = 128
_MOST_FILLED = 1000
"""Values that a schema is filled with."""
_LONGEST_FILLED = 400


class DemoProvider:
    """Answers from a small stock. Thread-safe, keeps no connections.

    The wording of an answer changes with each call, unless the request fixes it (`temperature` 0, or a `seed`).
    `seed` makes a provider repeat itself from its start; `latency_scale` stretches its latency, 0 removes it.
    """

    name = "demo"
    base_url = "demo://encore"

    def __init__(self, *, seed: int | None = None, latency_scale: float = 1.0) -> None:
        self._random = random.Random(seed)
        self._variations = count(self._random.randrange(1_000_000))
        self._latency_scale = latency_scale

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer, after 0.3 to 1.5 seconds. Raises openai.APITimeoutError when that is too long."""
        body, seconds = self._whole(request)
        wait, error = _bounded(seconds, timeout_seconds)
        time.sleep(wait)
        if error:
            raise error
        return Completion(body=body)

    async def acomplete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer, after 0.3 to 1.5 seconds, awaited. Raises openai.APITimeoutError when that is too long."""
        is_quick = request.endpoint != "embeddings"  # these load an embedder first
        body, seconds = self._whole(request) if is_quick else await asyncio.to_thread(self._whole, request)
        wait, error = _bounded(seconds, timeout_seconds)
        await asyncio.sleep(wait)
        if error:
            raise error
        return Completion(body=body)

    def stream(self, request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """The answer word by word, the first one after a third of the time."""
        chunks, first, later = self._paced(request)
        wait, error = _bounded(first, timeout_seconds)
        time.sleep(wait)
        if error:
            raise error
        for chunk in chunks:
            yield chunk
            time.sleep(later)

    async def astream(
        self, request: ChatRequest, timeout_seconds: float | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The answer word by word, the first one after a third of the time; waits do not block the event loop."""
        chunks, first, later = self._paced(request)
        wait, error = _bounded(first, timeout_seconds)
        await asyncio.sleep(wait)
        if error:
            raise error
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(later)

    def models(self) -> list[str]:
        """The names of the two demo models."""
        return list(MODELS)

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        """Raises ProviderUnavailable: the demo model gives no embeddings; semantic lookup uses the local embedder."""
        raise ProviderUnavailable("the demo model is no embedder: set OPENAI_API_KEY, or OPENAI_BASE_URL")

    def close(self) -> None:
        """Does nothing: the demo model keeps no connections."""

    async def aclose(self) -> None:
        """Does nothing: the demo model keeps no connections."""

    def _whole(self, request: ChatRequest) -> tuple[dict[str, Any], float]:
        with _refusing_wrong_types():
            body = self._answer(request)
            return _in_shape_of(request.endpoint, body), self._seconds(request, body)

    def _paced(self, request: ChatRequest) -> tuple[list[dict[str, Any]], float, float]:
        if request.endpoint == "embeddings":
            raise ProviderUnavailable("embeddings come whole, not as a stream")
        with _refusing_wrong_types():
            body = self._answer(request)
            seconds = self._seconds(request, body)
            if request.endpoint == "responses":
                chunks = split_response(_in_shape_of(request.endpoint, body))
            else:
                options = request.unkeyed.get("stream_options") or {}
                chunks = split(body, include_usage=bool(options.get("include_usage")))
        return chunks, seconds / 3, seconds * 2 / 3 / max(1, len(chunks))

    def _seconds(self, request: ChatRequest, body: Mapping[str, Any]) -> float:
        usage = body["usage"]
        seconds: float = 0.35 + usage["prompt_tokens"] * 0.0002 + usage.get("completion_tokens", 0) * 0.008
        if body["model"].startswith("encore-demo-small"):
            seconds *= 0.7
        seconds *= self._random.uniform(0.85, 1.2)
        return min(max(seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS) * self._latency_scale

    def _answer(self, request: ChatRequest) -> dict[str, Any]:
        """The answer in the wire shape of a chat completion, or of embeddings."""
        if request.endpoint == "embeddings":
            return self._embeddings(request)
        if request.endpoint not in ("chat", "responses"):
            raise ProviderUnavailable(f"the demo model does not answer requests of the kind {request.endpoint!r}")
        variation = self._variation(request)
        choices = min(int(request.parameters.get("n") or 1), _MOST_CHOICES)
        made = [_choice(request, index, variation + index) for index in range(choices)]
        read = _tokens_read(request)
        written = sum(_tokens_written(choice["message"]) for choice in made)
        return {
            "id": f"chatcmpl-demo-{uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model_name(request.model),
            "choices": made,
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }

    @staticmethod
    def _embeddings(request: ChatRequest) -> dict[str, Any]:
        given: Any = request.messages[0].get("content")
        tokens = _count(given if isinstance(given, str) else " ".join(map(str, given)))
        try:
            return embeddings(request.model, given, request.parameters, tokens)
        except ValueError as error:
            raise _bad_request(str(error)) from None

    def _variation(self, request: ChatRequest) -> int:
        fixed = request.parameters.get("seed")
        if fixed is None and request.parameters.get("temperature") == 0:
            fixed = 0
        if fixed is None:
            return next(self._variations)
        return int.from_bytes(hashlib.sha256(f"{fixed} {_question(request)!r}".encode()).digest()[:4])


def model_name(asked: str) -> str:
    """The model name in every answer: "encore-demo-small", or that followed by the requested model."""
    known = asked.split(" ", 1)[0]
    if known in MODELS:
        return known
    size = "small" if any(word in asked.lower() for word in _SMALL_NAMES) else "large"
    return f"encore-demo-{size} (standing in for {asked})"


def _bounded(seconds: float, timeout_seconds: float | None) -> tuple[float, APITimeoutError | None]:
    if timeout_seconds is None or seconds <= timeout_seconds:
        return seconds, None
    return timeout_seconds, APITimeoutError(httpx2.Request("POST", DemoProvider.base_url))


@contextmanager
def _refusing_wrong_types() -> Iterator[None]:
    """Around all that reads a request: whatever in it cannot be read is refused as a provider would."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise _bad_request("A parameter has the wrong type.") from None


def _bad_request(message: str) -> BadRequestError:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    response = httpx2.Response(400, json={"error": error}, request=httpx2.Request("POST", DemoProvider.base_url))
    return BadRequestError(message, response=response, body=error)


def _choice(request: ChatRequest, index: int, variation: int) -> dict[str, Any]:
    question = _question(request)
    if tool := _forced_tool(request.parameters):
        arguments = json.dumps(_filled(tool.get("parameters") or {}, question[:_LONGEST_FILLED]))
        call = {"id": f"call_demo_{uuid4().hex}", "type": "function"}
        function = {"name": tool["name"], "arguments": arguments}
        message = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [{**call, "function": function}],
        }
        return {"index": index, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    text = verdict(request.messages) or _formatted(answer(question, variation), request.parameters)
    text, finish_reason = _cut(text, request.parameters)
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}


def _question(request: ChatRequest) -> str:
    messages = [message for message in request.messages if message.get("role", "user") == "user"]
    return _text_of(messages[-1].get("content")) if messages else ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    return " ".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping)).strip()


def _formatted(text: str, parameters: Mapping[str, Any]) -> str:
    wanted = parameters.get("response_format") or (parameters.get("text") or {}).get("format") or {}
    match wanted.get("type"):
        case "json_object":
            return json.dumps({"answer": text}, ensure_ascii=False)
        case "json_schema":
            schema = (wanted.get("json_schema") or wanted).get("schema") or {}
            return json.dumps(_filled(schema, text), ensure_ascii=False)
        case _:
            return text


def _cut(text: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The text within `stop` and the token limit, and the finish reason."""
    stops = parameters.get("stop") or ()
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop, 1)[0] if stop else text
    limits = (parameters.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    limit = min((limit for limit in limits if limit), default=None)
    tokens = _TOKEN.findall(text)
    if limit is None or len(tokens) <= limit:
        return text, "stop"
    return "".join(tokens[:limit]), "length"


def _forced_tool(parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function that must be called, if the request says that one must be."""
    tools = [tool.get("function", tool) for tool in parameters.get("tools") or () if tool.get("type") == "function"]
    choice = parameters.get("tool_choice")
    if not tools or choice in (None, "auto", "none"):
        return None
    wanted = choice.get("function", choice).get("name") if isinstance(choice, Mapping) else None
    return next((tool for tool in tools if tool["name"] == wanted), None if wanted else tools[0])


def _filled(schema: Mapping[str, Any], text: str) -> Any:
    """The simplest value that fits a JSON schema, with the text in place of strings; nulls once it grows too large."""
    return _fill(schema, text, iter(range(_MOST_FILLED)))


def _fill(schema: Mapping[str, Any], text: str, room: Iterator[int], depth: int = 0) -> Any:
    if next(room, None) is None:
        return None
    if choices := schema.get("enum"):
        return choices[0]
    if "const" in schema:
        return schema["const"]
    if (options := schema.get("anyOf") or schema.get("oneOf")) and depth < 8:
        return _fill(options[0], text, room, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            wanted = schema.get("required", schema.get("properties", {}))
            fields = schema.get("properties") or {}
            return {
                name: _fill(fields.get(name, {}), text, room, depth + 1)
                for name in islice(wanted, _MOST_FILLED)
                if depth < 8
            }
        case "array":
            least = schema.get("minItems", 0)
            return [_fill(schema.get("items") or {}, text, room, depth + 1) for _ in range(min(least, 8)) if depth < 8]
        case "integer" | "number":
            found = re.search(r"\d+", text)
            return int(found[0]) if found and len(found[0]) < 16 else 0
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return text


def _tokens_read(request: ChatRequest) -> int:
    messages = sum(4 + _count(_text_of(message.get("content"))) for message in request.messages)
    tools = request.parameters.get("tools")
    return 3 + messages + (_count(json.dumps(tools, default=str)) if tools else 0)


def _tokens_written(message: Mapping[str, Any]) -> int:
    calls = (call["function"]["name"] + call["function"]["arguments"] for call in message.get("tool_calls") or ())
    return _count(message["content"] or "") + sum(_count(call) for call in calls)


def _count(text: str) -> int:
    return len(_TOKEN.findall(text))


def _in_shape_of(endpoint: str, completion: dict[str, Any]) -> dict[str, Any]:
    """The chat completion as the endpoint's own kind of answer."""
    if endpoint in ("chat", "embeddings"):
        return completion
    choice, usage = completion["choices"][0], completion["usage"]
    output: list[dict[str, Any]] = [
        {
            "type": "function_call",
            "id": f"fc_{call['id']}",
            "call_id": call["id"],
            "status": "completed",
            **call["function"],
        }
        for call in choice["message"].get("tool_calls") or ()
    ]
    if choice["message"]["content"] is not None:
        part = {"type": "output_text", "text": choice["message"]["content"], "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{uuid4().hex}", "status": "completed", "role": "assistant"}
        output.append({**message, "content": [part]})
    complete = choice["finish_reason"] != "length"
    return {
        "id": f"resp_demo_{uuid4().hex}",
        "object": "response",
        "created_at": completion["created"],
        "status": "completed" if complete else "incomplete",
        "error": None,
        "incomplete_details": None if complete else {"reason": "max_output_tokens"},
        "model": completion["model"],
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        },
    }
