"""The HTTP library of the SDK: found by class, and the transport on the SDK of the version before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from openai import DefaultHttpxClient

from core.providers import http_library

SDK_2 = os.environ.get("ENCORE_TEST_OPENAI2", "")
"""A folder with `openai` 2 and what it needs: `pip install --target FOLDER "openai<3"`."""

USE_OF_SDK_2 = """
import asyncio
import openai
from openai import AsyncOpenAI, OpenAI
from core import LLMCache
from core.http import encore_async_client, encore_client
from core.models import ChatRequest
from core.providers import OpenAIProvider
from tests.openai_server import OpenAIServer

assert openai.__version__.startswith("2."), openai.__version__


def ask(question):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


with OpenAIServer() as server:
    cache = LLMCache(provider=OpenAIProvider(api_key="x", base_url=server.url))
    client = OpenAI(http_client=encore_client(cache), base_url=server.url, api_key="x", max_retries=0)
    for detail in ("fwd=uri-miss; stored", "hit; detail=exact"):
        answer = client.chat.completions.with_raw_response.create(**ask("What is DNS?"))
        assert answer.headers["cache-status"] == f"encore; {detail}"
        assert answer.parse().choices[0].message.content == "Answer 1 to: What is DNS?"
        assert text(client.chat.completions.create(stream=True, **ask("What is TCP?"))) == "Answer 2 to: What is TCP?"

    async def awaited():
        client = AsyncOpenAI(
            http_client=encore_async_client(cache), base_url=server.url, api_key="x", max_retries=0
        )
        answer = await client.chat.completions.create(**ask("What is DNS?"))
        assert answer.choices[0].message.content == "Answer 1 to: What is DNS?"
        for _ in range(2):
            chunks = await client.chat.completions.create(stream=True, **ask("What is UDP?"))
            assert text([chunk async for chunk in chunks]) == "Answer 3 to: What is UDP?"
        assert [model.id async for model in client.models.list()]
        await client.close()

    asyncio.run(awaited())
    assert cache.complete(ChatRequest.from_openai(**ask("What is ARP?"))).completion.text == "Answer 4 to: What is ARP?"
    cache.provider.close()
    client.close()
    assert len([request for request in server.requests if request.path.endswith("/chat/completions")]) == 4
print("as it should be")
"""


def test_the_library_is_that_of_the_class_or_of_its_base():
    assert http_library(httpx2.Request) is httpx2
    assert http_library(DefaultHttpxClient) is httpx2
    with pytest.raises(TypeError, match="neither httpx2 nor httpx"):
        http_library(Path)


@pytest.mark.skipif(not SDK_2, reason="ENCORE_TEST_OPENAI2 names no folder with openai 2")
def test_an_application_on_the_sdk_of_the_version_before_is_answered_from_the_cache():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((SDK_2, str(Path(__file__).parents[2])))}
    done = subprocess.run([sys.executable, "-c", USE_OF_SDK_2], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout == "as it should be\n", done.stderr
