"""A real HTTP server that speaks the OpenAI protocol on a loopback port and does what a test tells it to.

Every answer carries a number that no other answer of this server has ("Answer 3 to: ..."), so that a cached answer can
be told from a fresh one. Nothing in here uses the code under test. Tests meet the server at gates, never by sleeping:

    gate = server.hold()          # the next requests wait
    ...                           # start them
    gate.wait_for(2)              # until two have arrived
    gate.release()
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
import uvicorn

PATIENCE_SECONDS = 120
MODELS = ("gpt-4o", "gpt-4o-mini", "text-embedding-3-small")
CREATED = 1_750_000_000
REPEATED = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier")
"""Fields of a request that a response repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the server answers a request. The default is a short, numbered, complete answer.

    `content` is the text (numbered when None), or what makes it from the request; `finish_reason` None is left out of
    the answer, and a stream then ends without one. `tool_calls` are pairs of name and arguments. `cut_after` resets the
    connection after so many events (0: before the first byte). `dialect` makes of a chat's chunk what another
    server would send for it, and `ending` is the end of such a stream. `raw` is sent instead of any answer.
    `pause` is a gate to wait at after `pause_after` events, 0 being before the first byte.
    """

    content: str | Callable[[Received], str] | None = None
    finish_reason: str | None = "stop"
    tool_calls: Sequence[tuple[str, str]] = ()
    refusal: str | None = None
    reasoning: str | None = None
    logprobs: bool = False
    usage: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    error: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    dialect: Callable[[dict[str, Any]], Sequence[dict[str, Any]]] | None = None
    ending: bytes = b"data: [DONE]\n\n"
    raw: bytes | None = None
    content_type: str = "application/json"
    pause: Gate | None = None
    pause_after: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived. `body` is the JSON object, empty when there was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes

    @property
    def family(self) -> str:
        """The path below the API's root, or below a deployment."""
        return re.sub(r"^/v1(/deployments/[^/]+)?", "", self.path)

    @property
    def question(self) -> str:
        """The text of the last message."""
        messages = self.body.get("messages", self.body.get("input", ""))
        content = messages[-1].get("content") if isinstance(messages, list) and messages else messages
        if isinstance(content, list):
            content = " ".join(part.get("text", "") for part in content)
        return str(content)


class Gate:
    """Where requests wait until a test releases them."""

    def __init__(self, server: OpenAIServer) -> None:
        self._server = server
        self._open = asyncio.Event()
        self.waiting = 0

    def wait_for(self, requests: int = 1) -> None:
        """Blocks the test until so many requests have come to this gate."""
        self._server.wait_until(lambda: self.waiting >= requests)

    async def arrived(self, requests: int = 1) -> None:
        """The same for asynchronous tests."""
        await asyncio.to_thread(self.wait_for, requests)

    def release(self) -> None:
        """Lets everyone through, now and later."""
        self._server.call_soon(self._open.set)

    async def pass_through(self) -> None:
        with self._server.changed:
            self.waiting += 1
            self._server.changed.notify_all()
        await self._open.wait()


class _Cut(Exception):
    """The connection is to be reset now."""


class OpenAIServer:
    """The server. `url` is its base URL, `requests` all that arrived, `disconnects` the clients that left early."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.port = 0
        self.active = 0
        self._running: tuple[uvicorn.Server, threading.Thread, Callable[[], None]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reset()

    def reset(self) -> None:
        """Forgets requests, behaviours and gates, as if just started."""
        self.requests: list[Received] = []
        self.mistakes: list[BaseException] = []
        self.disconnects = 0
        self._answers = count(1)
        self._next: deque[Behaviour] = deque()
        self._rules: list[tuple[Callable[[Received], bool], Behaviour]] = []
        for gate in getattr(self, "_gates", ()):
            gate.release()
        self._gates: list[Gate] = []
        self._held: tuple[Gate, int] | None = None

    # Life

    def start(self) -> None:
        """Listens, on the same port as before when it ran before. Returns when connections are accepted."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(2048)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        ready = threading.Event()

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            await server.serve(sockets=[listener])
            # Requests that came while it ended: none of them is to outlive the loop.
            abort_connections()
            if server.server_state.tasks:
                await asyncio.wait(server.server_state.tasks, timeout=PATIENCE_SECONDS)

        def abort_connections() -> None:
            for connection in list(server.server_state.connections):
                if connection.transport is not None:
                    connection.transport.abort()

        thread = threading.Thread(target=asyncio.run, args=(run(),), name="openai-server", daemon=True)
        thread.start()
        if not ready.wait(PATIENCE_SECONDS):
            raise TimeoutError("the server did not start")
        self._running = (server, thread, abort_connections)

    def stop(self) -> None:
        """Resets every connection and stops listening; `start` brings it back on the same port."""
        if self._running is None:
            return
        server, thread, abort_connections = self._running

        def abort_all() -> None:
            server.should_exit = server.force_exit = True
            abort_connections()

        self.call_soon(abort_all)
        thread.join(PATIENCE_SECONDS)
        self._running = self._loop = None

    def __enter__(self) -> OpenAIServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._running is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    # What tests say

    def next(self, *behaviours: Behaviour) -> None:
        """The next requests that ask for an answer get these, one each."""
        self._next.extend(behaviours)

    def always(self, behaviour: Behaviour, *, when: Callable[[Received], bool] = lambda request: True) -> None:
        """Every request that `when` accepts gets this, unless `next` says otherwise. The last rule said wins."""
        self._rules.insert(0, (when, behaviour))

    def hold(self, *, after: int = 0) -> Gate:
        """A gate at which every request waits from now on, after so many events (0: before the first byte)."""
        gate = self.gate()
        self._held = (gate, after)
        return gate

    def gate(self) -> Gate:
        """A gate for `Behaviour(pause=...)`."""
        gate = Gate(self)
        self._gates.append(gate)
        return gate

    # What tests ask

    @property
    def calls(self) -> int:
        """Requests so far that asked for an answer or a vector."""
        return sum(request.method == "POST" for request in self.requests)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Blocks until the condition holds; it is looked at after each change. Raises TimeoutError."""
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_SECONDS):
                raise TimeoutError("the server did not come to the expected state")

    def wait_for_disconnects(self, clients: int = 1) -> None:
        self.wait_until(lambda: self.disconnects >= clients)

    def wait_until_idle(self) -> None:
        """Until no request is being answered."""
        self.wait_until(lambda: self.active == 0)

    def call_soon(self, function: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    # Serving

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        request = await _read(scope, receive)
        with self.changed:
            self.requests.append(request)
            self.active += 1
            self.changed.notify_all()
        exchange = asyncio.ensure_future(self._answer(request, send))
        leaving = asyncio.ensure_future(_until_disconnect(receive))
        left = False
        try:
            await asyncio.wait({exchange, leaving}, return_when=asyncio.FIRST_COMPLETED)
            left = not exchange.done()
            if left:
                exchange.cancel()
            await asyncio.gather(exchange, return_exceptions=True)
            if not left and isinstance(exchange.exception(), _Cut):
                _reset_connection(send)
                await leaving
            elif not left and (mistake := exchange.exception()):
                self.mistakes.append(mistake)
                raise mistake
        finally:
            leaving.cancel()
            with self.changed:
                self.active -= 1
                self.disconnects += left
                self.changed.notify_all()

    async def _answer(self, request: Received, send: Any) -> None:
        if request.method == "GET":
            await _send_json(send, _models() if request.path == "/v1/models" else _echo(request))
            return
        behaviour = self._behaviour(request)
        waits = [(behaviour.pause, behaviour.pause_after), self._held or (None, 0)]

        async def step(sent: int) -> None:
            for gate, after in waits:
                if gate is not None and sent == after:
                    await gate.pass_through()
            if sent == behaviour.cut_after:
                raise _Cut

        await step(0)
        if behaviour.raw is not None:
            await _send(send, behaviour.status, behaviour.raw, behaviour.content_type, behaviour.headers)
        elif behaviour.status >= 400:
            await _send_json(send, {"error": _error(behaviour)}, behaviour.status, behaviour.headers)
        elif request.family == "/embeddings":
            await _send_json(send, _embeddings(request), headers=behaviour.headers)
        elif request.family in ("/chat/completions", "/responses"):
            answer = _Answer(request, behaviour, next(self._answers))
            chat = request.family == "/chat/completions"
            if not request.body.get("stream"):
                await _send_json(send, answer.completion() if chat else answer.response(), headers=behaviour.headers)
            else:
                await _send_events(send, answer.chunks() if chat else answer.events(), behaviour, step)
        else:
            await _send_json(send, _echo(request), headers=behaviour.headers)

    def _behaviour(self, request: Received) -> Behaviour:
        if self._next:
            return self._next.popleft()
        return next((behaviour for when, behaviour in self._rules if when(request)), Behaviour())


async def _read(scope: Any, receive: Any) -> Received:
    raw = b""
    more = True
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        body = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        body = {}
    return Received(scope["method"], scope["path"], headers, body if isinstance(body, dict) else {}, raw)


async def _until_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset_connection(send: Any) -> None:
    transport = send.__self__.transport
    # Lingering for zero seconds makes the close a reset, as when a machine dies.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send(
    send: Any, status: int, data: bytes, content_type: str = "application/json", headers: Mapping[str, str] = {}
) -> None:
    fields = {"content-type": content_type, "content-length": str(len(data)), "x-request-id": "req_test", **headers}
    await send({"type": "http.response.start", "status": status, "headers": _encode(fields)})
    await send({"type": "http.response.body", "body": data})


async def _send_json(send: Any, value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> None:
    await _send(send, status, json.dumps(value).encode(), headers=headers)


async def _send_events(send: Any, events: Iterator[dict[str, Any]], behaviour: Behaviour, step: Any) -> None:
    headers = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_test", **behaviour.headers}
    await send({"type": "http.response.start", "status": 200, "headers": _encode(headers)})
    typed = False
    speak = behaviour.dialect
    spoken = (said for event in events for said in (speak(event) if speak and "choices" in event else (event,)))
    for sent, event in enumerate(spoken, 1):
        typed = "type" in event
        field = f"event: {event['type']}\n" if typed else ""
        data = f"{field}data: {json.dumps(event)}\n\n".encode()
        await send({"type": "http.response.body", "body": data, "more_body": True})
        await step(sent)
    done = b"" if typed else behaviour.ending
    await send({"type": "http.response.body", "body": done})


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _error(behaviour: Behaviour) -> Mapping[str, Any]:
    kinds = {401: "authentication_error", 404: "not_found", 429: "rate_limit_exceeded"}
    kind = kinds.get(behaviour.status, "server_error")
    return behaviour.error or {
        "message": f"told to answer {behaviour.status}",
        "type": kind,
        "param": None,
        "code": kind,
    }


def _models() -> dict[str, Any]:
    models = [{"id": model, "object": "model", "created": CREATED, "owned_by": "tests"} for model in MODELS]
    return {"object": "list", "data": models}


def _echo(request: Received) -> dict[str, Any]:
    return {"echo": request.body, "method": request.method, "path": request.path}


class _Answer:
    """One answer in its four wire forms."""

    def __init__(self, request: Received, behaviour: Behaviour, number: int) -> None:
        self.request = request.body
        self.question = request.question
        self.behaviour = behaviour
        self.number = number
        plain = not behaviour.tool_calls and behaviour.refusal is None
        numbered = f"Answer {number} to: {self.question}" if plain else None
        content = behaviour.content
        self.text = numbered if content is None else content(request) if callable(content) else content
        self.calls = [
            {"id": f"call_{number}_{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for place, (name, arguments) in enumerate(behaviour.tool_calls)
        ]
        if behaviour.finish_reason == "stop" and self.calls:
            self.finish_reason: str | None = "tool_calls"
        else:
            self.finish_reason = behaviour.finish_reason

    def words(self, text: str | None) -> list[str]:
        return re.findall(r"\s*\S+|\s+", text or "")

    def head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.number}",
            "object": kind,
            "created": CREATED + self.number,
            "model": f"{self.request.get('model')}-2024-08-06",
            "service_tier": "default",
            "system_fingerprint": "fp_test",
            **self.behaviour.extra,
        }

    def usage(self) -> dict[str, Any]:
        read = len(self.words(json.dumps(self.request.get("messages", self.question))))
        written = max(1, len(self.words(self.text))) * self.choices
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        }

    @property
    def choices(self) -> int:
        return self.request.get("n") or 1

    @property
    def more(self) -> dict[str, Any]:
        return {name: value for name, value in self.behaviour.extra.items() if name != "id"}

    def text_of(self, choice: int) -> str | None:
        return f"{self.text} (choice {choice})" if choice and self.text is not None else self.text

    def log(self, tokens: Sequence[str]) -> dict[str, Any]:
        entries = [
            {"token": token, "logprob": -0.25, "bytes": list(token.encode()), "top_logprobs": []} for token in tokens
        ]
        return {"content": entries, "refusal": None}

    def completion(self) -> dict[str, Any]:
        choices = []
        for index in range(self.choices):
            text = self.text_of(index)
            message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": self.behaviour.refusal}
            if self.behaviour.reasoning is not None:
                message["reasoning_content"] = self.behaviour.reasoning
            if self.calls:
                message["tool_calls"] = self.calls
            message |= self.more
            choice: dict[str, Any] = {"index": index, "message": message, "logprobs": None}
            if self.behaviour.logprobs:
                choice["logprobs"] = self.log(self.words(text))
            if self.finish_reason is not None:
                choice["finish_reason"] = self.finish_reason
            choices.append(choice)
        body = {**self.head("chat.completion"), "choices": choices}
        return body | ({"usage": self.usage()} if self.behaviour.usage else {})

    def chunks(self) -> Iterator[dict[str, Any]]:
        head = self.head("chat.completion.chunk")
        asked = bool((self.request.get("stream_options") or {}).get("include_usage"))
        no_usage = {"usage": None} if asked and self.behaviour.usage else {}

        def chunk(index: int, delta: dict[str, Any], **others: Any) -> dict[str, Any]:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, **others}
            return {**head, "choices": [choice], **no_usage}

        for index in range(self.choices):
            text = self.text_of(index)
            opening = {"role": "assistant", "content": None if text is None else "", "refusal": None}
            yield chunk(index, {**opening, **self.more})
            for word in self.words(self.behaviour.reasoning):
                yield chunk(index, {"reasoning_content": word})
            for word in self.words(text):
                log = {"logprobs": self.log([word])} if self.behaviour.logprobs else {}
                yield chunk(index, {"content": word}, **log)
            for word in self.words(self.behaviour.refusal):
                yield chunk(index, {"refusal": word})
            for place, call in enumerate(self.calls):
                function = call["function"]
                opened = {**call, "index": place, "function": {"name": function["name"], "arguments": ""}}
                yield chunk(index, {"tool_calls": [opened]})
                for start in range(0, len(function["arguments"]), 5):
                    piece = {"arguments": function["arguments"][start : start + 5]}
                    yield chunk(index, {"tool_calls": [{"index": place, "function": piece}]})
            if self.finish_reason is not None:
                yield chunk(index, {}, finish_reason=self.finish_reason)
        if no_usage:
            yield {**head, "choices": [], "usage": self.usage()}

    def response(self) -> dict[str, Any]:
        status = "completed" if self.finish_reason in ("stop", "tool_calls") else "incomplete"
        details = None if status == "completed" else {"reason": "max_output_tokens"}
        output: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        if self.text is not None:
            parts.append({"type": "output_text", "text": self.text, "annotations": [], "logprobs": []})
        if self.behaviour.refusal is not None:
            parts.append({"type": "refusal", "refusal": self.behaviour.refusal})
        if parts:
            message = {"type": "message", "id": f"msg_{self.number}", "status": "completed", "role": "assistant"}
            output.append({**message, "content": parts})
        for place, call in enumerate(self.calls):
            item = {"type": "function_call", "id": f"fc_{self.number}_{place}", "call_id": call["id"]}
            output.append({**item, **call["function"], "status": "completed"})
        usage = self.usage()
        return {
            "id": f"resp_{self.number}",
            "object": "response",
            "created_at": CREATED + self.number,
            "status": status,
            "error": None,
            "incomplete_details": details,
            "instructions": self.request.get("instructions"),
            "model": f"{self.request.get('model')}-2024-08-06",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": self.request.get("metadata") or {},
            **{name: self.request[name] for name in REPEATED if name in self.request},
            **self.behaviour.extra,
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage["total_tokens"],
            },
        }

    def events(self) -> Iterator[dict[str, Any]]:
        numbers = count()

        def event(kind: str, **fields: Any) -> dict[str, Any]:
            return {"type": f"response.{kind}", "sequence_number": next(numbers), **fields}

        whole = self.response()
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        yield event("created", response=begun)
        yield event("in_progress", response=begun)
        for place, item in enumerate(whole["output"]):
            at = {"output_index": place, "item_id": item["id"]}
            emptied = {**item, "status": "in_progress"} | (
                {"content": []} if item["type"] == "message" else {"arguments": ""}
            )
            yield event("output_item.added", output_index=place, item=emptied)
            if item["type"] == "function_call":
                for start in range(0, len(item["arguments"]), 5):
                    delta = item["arguments"][start : start + 5]
                    yield event("function_call_arguments.delta", **at, delta=delta)
                yield event("function_call_arguments.done", **at, name=item["name"], arguments=item["arguments"])
            for content_index, part in enumerate(item.get("content", ())):
                field = "refusal" if part["type"] == "refusal" else "text"
                more = {} if field == "refusal" else {"logprobs": []}
                at["content_index"] = content_index
                yield event("content_part.added", **at, part={**part, field: ""})
                for word in self.words(part[field]):
                    yield event(f"{part['type']}.delta", **at, delta=word, **more)
                yield event(f"{part['type']}.done", **at, **{field: part[field]}, **more)
                yield event("content_part.done", **at, part=part)
            yield event("output_item.done", output_index=place, item=item)
        if self.finish_reason is not None:
            yield event(whole["status"], response=whole)


def embedding_of(text: str, dimensions: int) -> list[float]:
    """A unit vector: texts that share words are near each other, the same text is always the same vector."""
    vector = np.zeros(dimensions)
    for word in re.findall(r"\w+", text.casefold()) or [text]:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        vector += np.random.default_rng(seed).standard_normal(dimensions)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def _embeddings(request: Received) -> dict[str, Any]:
    given = request.body.get("input", "")
    texts = given if isinstance(given, list) else [given]
    data = []
    for index, text in enumerate(texts):
        vector: Any = embedding_of(str(text), request.body.get("dimensions") or 256)
        if request.body.get("encoding_format") == "base64":
            vector = base64.b64encode(np.array(vector, dtype="<f4").tobytes()).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.body.get("model"), "usage": usage}


@pytest.fixture(scope="session")
def openai_server_of_the_run() -> Iterator[OpenAIServer]:
    # The server's remarks on connections that tests break on purpose.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def openai_server(openai_server_of_the_run: OpenAIServer) -> Iterator[OpenAIServer]:
    """A protocol server without history. It may be stopped; it is back for the next test."""
    server = openai_server_of_the_run
    server.reset()
    yield server
    mistakes = server.mistakes
    server.reset()
    if server.is_running:
        server.wait_until_idle()
    else:
        server.start()
    assert not mistakes, f"the test server itself failed: {mistakes}"
