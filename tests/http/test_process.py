"""`python -m core.http` as an operator runs it: starts, answers on the demo model, refuses, stops."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import DefaultHttpxClient, OpenAI

from tests.http.running import PATIENCE_SECONDS, PLAIN_HTTP, until

CANARY = "canary-7f3a"


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=PLAIN_HTTP, timeout=PATIENCE_SECONDS) as client:
        yield client


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "encore-demo-small", "messages": [{"role": "user", "content": text}], **fields}


def test_the_demo_model_is_served_to_the_sdk(start_process, namespace):
    gateway = start_process(ENCORE_NAMESPACE=namespace).ready()
    client = OpenAI(base_url=gateway.url, api_key=namespace, http_client=DefaultHttpxClient(verify=PLAIN_HTTP))
    with client:
        assert [model.id for model in client.models.list()] == ["encore-demo-large", "encore-demo-small"]
        first, second = (client.chat.completions.with_raw_response.create(**chat("Hi there?")) for _ in range(2))
        assert first.headers["cache-status"] == "encore; fwd=uri-miss; stored"
        assert second.headers["cache-status"] == "encore; hit; detail=exact"
        assert second.parse() == first.parse()
        chunks = list(client.chat.completions.create(**chat("How are cards sent?"), stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"
        answer = client.responses.create(model="encore-demo-small", input="How are cards sent?")
        events = list(client.responses.create(model="encore-demo-small", input="How are cards sent?", stream=True))
        assert events[-1].response.output_text == answer.output_text
        texts = ["How are cards sent?", "By which way do you send cards?", "My dog likes the sea."]
        vectors, again = (
            client.embeddings.with_raw_response.create(model="text-embedding-3-small", input=texts) for _ in range(2)
        )
        assert again.headers["cache-status"] == "encore; hit; detail=exact"
        assert again.parse() == vectors.parse()
        assert vectors.parse().model == "encore-demo-embedding (standing in for text-embedding-3-small)"
    assert gateway.stop() == 0


def test_a_signal_ends_it_cleanly(start_process, http, openai_server):
    for number in (signal.SIGTERM, signal.SIGINT):
        gateway = start_process(OPENAI_BASE_URL=openai_server.url).ready()
        assert http.get(f"{gateway.root}/healthz").status_code == 200
        assert gateway.stop(number) == 0
        assert "Traceback" not in gateway.said
        assert "Error" not in gateway.said


def test_a_stream_may_come_to_its_end_before_the_process_does(start_process, http, openai_server):
    gateway = start_process(OPENAI_BASE_URL=openai_server.url).ready()
    gate = openai_server.hold(after=2)
    body = chat("How old?", stream=True)
    with http.stream("POST", f"{gateway.url}/chat/completions", json=body) as response:
        pieces = response.iter_bytes()
        received = next(pieces)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: not gateway._answers())
        gate.release()
        received += b"".join(pieces)
    assert received.endswith(b"data: [DONE]\n\n")
    assert gateway.process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in gateway.said


def test_a_signal_before_it_serves_ends_it_cleanly(start_process):
    gateway = start_process()
    until(lambda: signal.SIGTERM in caught_signals(gateway.process.pid))
    assert gateway.stop() == 0
    assert gateway.said == "" or "Traceback" not in gateway.said


def caught_signals(pid: int) -> set[int]:
    found = re.search(r"^SigCgt:\t([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    mask = int(found[1], 16) if found else 0
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ENCORE_GATEWAY_HOST": "0.0.0.0"}, "ENCORE_GATEWAY_KEYS"),
        ({"ENCORE_GATEWAY_HOST": "::", "OPENAI_API_KEY": CANARY}, "ENCORE_GATEWAY_KEYS"),
        ({"ENCORE_GATEWAY_KEYS": CANARY, "ENCORE_PROVIDER": "openai"}, "OPENAI_API_KEY"),
        ({"ENCORE_GATEWAY_PORT": "0"}, "ENCORE_GATEWAY_PORT"),
    ],
)
def test_it_does_not_start_open_to_all_or_without_what_it_needs(start_process, environment, named):
    gateway = start_process(**environment)
    assert gateway.process.wait(PATIENCE_SECONDS) == 1
    assert named in gateway.said
    assert "Traceback" not in gateway.said
    assert CANARY not in gateway.said


def test_others_are_served_with_a_key(start_process, http):
    gateway = start_process(ENCORE_GATEWAY_HOST="0.0.0.0", ENCORE_GATEWAY_KEYS=CANARY).ready()
    assert http.get(f"{gateway.url}/models").status_code == 401
    headers = {"Authorization": f"Bearer {CANARY}", "Host": "encore.example"}
    assert http.get(f"{gateway.url}/models", headers=headers).status_code == 200
    assert gateway.stop() == 0


def test_what_callers_send_begins_no_line_of_the_log(start_process, http, openai_server):
    gateway = start_process(OPENAI_BASE_URL=openai_server.url, ENCORE_LOG_HITS="on").ready()
    for forged in ("m\n2026-01-01 ERROR forged", "m\u2028forged", "m\r\nforged", "m\x0bforged"):
        for _ in range(2):
            http.post(
                f"{gateway.url}/chat/completions",
                json=chat("How old?") | {"model": forged},
                headers={"Authorization": "Bearer sk", "X-Encore-Namespace": "a"},
            )
    assert gateway.stop() == 0
    assert "forged" not in gateway.said, "such a model passes the cache by, and none of its requests is a hit"


def test_neither_prompts_nor_keys_are_logged(start_process, http, openai_server):
    gateway = start_process(OPENAI_BASE_URL=openai_server.url).ready()
    headers = {"Authorization": f"Bearer sk-{CANARY}", "X-Encore-User": f"user-{CANARY}"}
    url = f"{gateway.url}/chat/completions"
    for body in (chat(CANARY), chat(CANARY), chat(CANARY, stream=True), {"model": CANARY}):
        http.post(f"{url}?x={CANARY}", json=body, headers=headers)
    http.post(url, content=f'{{"{CANARY}'.encode(), headers=headers)
    http.post(url, json=chat(CANARY), headers=headers | {"X-Encore-TTL": CANARY})
    openai_server.stop()
    http.post(url, json=chat(CANARY + "?"), headers=headers)
    assert gateway.stop() == 0
    assert CANARY not in gateway.said
