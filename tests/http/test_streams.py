"""Streams on their way: passed on as they arrive, kept only when whole, given up with the caller who wanted them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cache.cache import LLMCache
from core.cache.steps import Hit, Lead
from core.http.driver import SLICE_BYTES, AsyncPieces, in_slices
from core.http.transport import CachingTransport
from core.models import OutcomeKind
from core.wire.chat import split
from core.wire.events import DONE, encode_event
from core.wire.responses import split_response
from tests.fakes import Outcomes, a_body
from tests.http.feeding import BODIES, CHAT, Fed
from tests.http.running import PLAIN_HTTP, RunningGateway, followers, services_for, until
from tests.openai_server import Behaviour

KEY = {"Authorization": "Bearer sk-of-a-caller"}

Client = tuple[httpx2.Client, str, LLMCache]


@pytest.fixture(params=["transport", "gateway"])
def through(request: pytest.FixtureRequest, openai_server) -> Iterator[Client]:
    """A client through the cache, the URL it asks, and the cache."""
    if request.param == "gateway":
        gateway = request.getfixturevalue("start_gateway")()
        with httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client:
            yield client, gateway.url, gateway.services.cache
    else:
        cache = LLMCache(metrics=Outcomes())
        upstream = httpx2.HTTPTransport(verify=PLAIN_HTTP)
        with httpx2.Client(transport=CachingTransport(cache, upstream), timeout=120) as client:
            yield client, openai_server.url, cache


@pytest.fixture
def gateway(start_gateway, openai_server) -> Iterator[Client]:
    running = start_gateway(provider_timeout_seconds=3600)  # a call that goes on is not ended by its time-out
    with httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client:
        yield client, running.url, running.services.cache


def streamed(through: Client, path: str = "/chat/completions", **fields: Any) -> Any:
    client, url, _ = through
    return client.stream("POST", url + path, headers=KEY, json=BODIES[path] | {"stream": True} | fields)


def asked(through: Client, path: str = "/chat/completions", **fields: Any) -> httpx2.Response:
    client, url, _ = through
    return client.post(url + path, headers=KEY, json=BODIES[path] | fields)


@contextmanager
def asked_and_left(gateway: Client, **fields: Any) -> Iterator[None]:
    """A caller who waits for an answer until the end, and then hangs up without having heard a word of it."""
    _, url, _ = gateway
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname, where.port)
    headers = KEY | {"Content-Type": "application/json"}
    connection.request("POST", f"{where.path}/chat/completions", json.dumps(CHAT | fields), headers)
    yield
    connection.close()


def is_hit(response: httpx2.Response) -> bool:
    return "; hit;" in response.headers["cache-status"]


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
@pytest.mark.parametrize("path", BODIES)
def test_a_stream_is_passed_on_as_it_arrives(through, openai_server, path, options):
    gate = openai_server.hold(after=3)
    with streamed(through, path, **options) as response:
        pieces = response.iter_bytes()
        received = b""
        while received.count(b"\n\n") < 3:
            received += next(pieces)
        assert received.count(b"\n\n") == 3
        gate.release()
        received += b"".join(pieces)
    assert received.count(b"\n\n") > 5
    assert is_hit(asked(through, path))
    assert openai_server.calls == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/octet-stream", ""])
@pytest.mark.parametrize("path", BODIES)
def test_whatever_a_stream_is_called_it_is_passed_on_as_it_arrives_and_kept(through, openai_server, path, kind):
    gate = openai_server.gate()
    openai_server.next(Behaviour(headers={"content-type": kind}, pause=gate, pause_after=3))
    with streamed(through, path) as response:
        pieces = response.iter_bytes()
        received = b""
        while received.count(b"\n\n") < 3:
            received += next(pieces)
        gate.release()
        received += b"".join(pieces)
        assert response.headers["content-type"] == kind
    assert is_hit(asked(through, path))
    assert openai_server.calls == 1


@pytest.mark.parametrize("ending", [b"", b"data: [DONE]", b"data: [DONE]\n", b": bye\n\n"])
def test_a_stream_with_another_ending_is_kept(through, openai_server, ending):
    openai_server.next(Behaviour(ending=ending))
    with streamed(through) as response:
        assert response.read().endswith(ending)
    assert is_hit(asked(through))


def test_vectors_are_never_streamed(through):
    client, url, _ = through
    body = {"model": "text-embedding-3-small", "input": "How old?", "dimensions": 8, "stream": True}
    answers = [client.post(f"{url}/embeddings", headers=KEY, json=body) for _ in range(2)]
    assert is_hit(answers[1])
    assert answers[0].json() == answers[1].json()


def test_a_long_stream_is_replayed_as_it_came(through, openai_server):
    openai_server.next(Behaviour(content="word " * 2_000))
    with streamed(through) as response:
        first = response.read()
    with streamed(through) as response:
        assert is_hit(response)
        again = response.read()
    assert [line for line in again.splitlines() if line] == [line for line in first.splitlines() if line]


def test_an_answer_in_one_piece_is_kept_though_a_stream_was_asked_for(through, openai_server):
    openai_server.next(Behaviour(raw=json.dumps(a_body("Old.")).encode()))
    with streamed(through) as response:
        assert json.loads(response.read()) == a_body("Old.")
    assert is_hit(asked(through))
    with streamed(through) as response:
        assert b'"content":"Old."' in response.read()


@pytest.mark.parametrize("path", BODIES)
def test_a_caller_who_leaves_ends_the_stream_and_nothing_is_kept(through, openai_server, path):
    gate = openai_server.hold(after=3)
    with streamed(through, path) as response:
        next(response.iter_bytes())
    openai_server.wait_for_disconnects()
    gate.release()
    assert not is_hit(asked(through, path))
    assert openai_server.calls == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_before_the_answer_begins_ends_the_call(gateway, openai_server, stream):
    gate = openai_server.hold()
    with asked_and_left(gateway, stream=stream):
        gate.wait_for(1)
    openai_server.wait_for_disconnects()
    gate.release()
    assert not is_hit(asked(gateway))


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_goes_on_without_its_caller_when_others_wait_for_it(gateway, openai_server, stream, after):
    if after and not stream:
        return
    client, url, cache = gateway
    gate = openai_server.hold(after=after)
    with ExitStack() as leader:
        if after:
            pieces = leader.enter_context(streamed(gateway)).iter_bytes()
            next(pieces)
        else:
            leader.enter_context(asked_and_left(gateway))
            gate.wait_for(1)
        with ThreadPoolExecutor(1) as other:
            following = other.submit(asked, gateway, stream=stream)
            until(lambda: followers(cache) == 1)
            leader.close()
            for _ in range(3):  # by then the server has heard that the caller is gone
                client.get(urljoin(url, "/healthz"))
            gate.release()
            answer = following.result(120)
    assert answer.headers["cache-status"] == "encore; fwd=uri-miss; collapsed"
    assert openai_server.calls == 1
    assert openai_server.disconnects == 0
    assert is_hit(asked(gateway))


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("cut_after", [0, 1, 4])
def test_a_stream_that_breaks_breaks_for_the_caller_too_and_is_not_kept(through, openai_server, path, cut_after):
    openai_server.next(Behaviour(cut_after=cut_after))
    try:
        with streamed(through, path) as response:
            content = response.read()
            status = response.status_code
    except httpx2.TransportError:
        pass
    else:
        # Before it has begun, the gateway can still say so.
        assert (cut_after, status) == (0, 502), content
    assert not is_hit(asked(through, path))
    assert openai_server.calls == 2


def test_one_of_those_who_wait_takes_over_when_the_stream_breaks(through, openai_server):
    _, _, cache = through
    gate = openai_server.gate()
    openai_server.next(Behaviour(pause=gate, pause_after=2, cut_after=2))
    with ThreadPoolExecutor(5) as pool:
        with streamed(through) as response:
            pieces = response.iter_bytes()
            next(pieces)
            following = [pool.submit(asked, through) for _ in range(5)]
            until(lambda: followers(cache) == 5)
            gate.release()
            with pytest.raises(httpx2.TransportError):
                list(pieces)
        answers = [call.result(120) for call in following]
    assert openai_server.calls == 2
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers["cache-status"].endswith("; stored") for answer in answers].count(True) == 1


def test_a_stream_with_an_error_in_it_is_not_kept(through, openai_server):
    events = b'data: {"choices":[]}\n\ndata: {"error":{"message":"overloaded"}}\n\ndata: [DONE]\n\n'
    openai_server.next(Behaviour(raw=events, content_type="text/event-stream"))
    with streamed(through) as response:
        assert b"overloaded" in response.read()
    assert not is_hit(asked(through))


def test_comments_and_unknown_fields_of_a_stream_are_passed_on(through, openai_server):
    events = (
        b': keep alive\n\nid: 7\ndata: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'
    )
    openai_server.next(Behaviour(raw=events, content_type="text/event-stream"))
    with streamed(through) as response:
        assert response.read() == events


def test_what_is_no_protocol_we_know_is_passed_on(through, openai_server):
    events = b"data: not json\n\ndata: {}\r\n\r\ndata: [1]\n\nrest without an end"
    openai_server.next(Behaviour(raw=events, content_type="text/event-stream"))
    with streamed(through) as response:
        assert response.read() == events
    assert not is_hit(asked(through))


@pytest.mark.parametrize("stream", [False, True])
def test_who_outlasts_the_end_of_the_server_is_cut_off_without_a_traceback(
    openai_server, redis_url, namespace, caplog, stream
):
    gate = openai_server.hold(after=2 if stream else 0)
    with (
        httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client,
        services_for(openai_server.url, redis_url, namespace) as services,
        ThreadPoolExecutor(1) as pool,
    ):
        with RunningGateway(services, graceful_seconds=1) as running:
            body = CHAT | {"stream": stream}
            asking = pool.submit(client.post, f"{running.url}/chat/completions", headers=KEY, json=body)
            gate.wait_for(1)
        if stream:
            assert isinstance(asking.exception(120), httpx2.TransportError)
        else:
            assert asking.result(120).status_code == 503
    openai_server.wait_for_disconnects()
    gate.release()
    assert "Traceback" not in caplog.text


# Any cut, any pieces


def chat_stream(include_usage: bool) -> bytes:
    chunks = split(a_body("One, two and three: 你好."), include_usage=include_usage)
    return b"".join(map(encode_event, [*chunks, DONE]))


def response_stream() -> bytes:
    part = {"type": "output_text", "text": "One, two and three.", "annotations": []}
    message = {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [part]}
    body = {"id": "r", "object": "response", "status": "completed", "output": [message], "usage": None}
    return b"".join(map(encode_event, split_response(body)))


STREAMS: dict[str, tuple[str, dict[str, Any], Callable[[], bytes]]] = {
    "usage not asked for": ("/chat/completions", {}, lambda: chat_stream(include_usage=True)),
    "usage asked for": (
        "/chat/completions",
        {"stream_options": {"include_usage": True}},
        lambda: chat_stream(include_usage=True),
    ),
    "response": ("/responses", {}, response_stream),
}


@pytest.mark.parametrize("kind", STREAMS)
@given(st.data())
def test_pieces_do_not_matter(kind: str, data: st.DataObject):
    path, fields, stream = STREAMS[kind]
    whole = stream()
    fed = Fed(path, **fields)
    shown = fed.feed(whole, data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    assert shown == (chat_stream(include_usage=False) if kind == "usage not asked for" else whole)
    assert isinstance(fed.begin(), Hit)
    assert fed.outcomes.all[0].stored
    assert fed.outcomes.all[0].output_tokens == (20 if "usage" in kind else 0)


@pytest.mark.parametrize("kind", STREAMS)
@given(st.data())
def test_a_stream_cut_anywhere_is_not_kept(kind: str, data: st.DataObject):
    path, fields, stream = STREAMS[kind]
    whole = stream()
    last = b'finish_reason":"stop' if "usage" in kind else b'response.completed","resp'
    end = data.draw(st.integers(0, whole.rindex(last)))
    fed = Fed(path, **fields)
    fed.feed(whole[:end], data.draw(st.lists(st.integers(0, end), max_size=5)))
    assert isinstance(fed.begin(), Lead)
    assert [outcome.kind for outcome in fed.outcomes.all] == [OutcomeKind.ERROR]


class Turns:
    """How often another task of the event loop has its turn."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> Turns:
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def at_once(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    "pieces", [[b"x" * 1_000_000], [b"\r\n"] * 20_000, [b"x" * 5000, b""] * 200], ids=["one piece", "many", "some"]
)
async def test_others_run_while_bytes_come_faster_than_they_are_read(pieces):
    async with Turns() as turns:
        sliced = [piece async for piece in in_slices(at_once(pieces))]
    assert b"".join(sliced) == b"".join(pieces)
    assert max(map(len, sliced)) <= SLICE_BYTES
    assert turns.count >= 200


async def test_a_stream_that_comes_in_one_piece_is_read_in_slices():
    whole = b": ping\n\n" * 20_000 + chat_stream(include_usage=True)
    fed = Fed("/chat/completions", stream_options={"include_usage": True})
    async with Turns() as turns:
        pieces = AsyncPieces(fed.exchange, httpx2.Response(200), at_once([whole]))
        shown = [piece async for piece in pieces]
    assert b"".join(shown) == whole
    assert turns.count >= len(whole) // SLICE_BYTES
    assert isinstance(fed.begin(), Hit)
