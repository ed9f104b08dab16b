"""Clients that are not ours and not Python's SDK, unmodified, with only their base URL changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.conftest import missing
from tests.http.running import PLAIN_HTTP
from tests.openai_server import Behaviour, OpenAIServer

NODE = Path(__file__).with_name("node")
INSTALL_SECONDS = 300


@pytest.fixture(scope="module")
def node_folder(pytestconfig: pytest.Config) -> Path:
    """The JavaScript package from its registry, kept between runs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("needs Node and npm")
    folder = pytestconfig.cache.mkdir("node")
    wanted = (NODE / "package.json").read_text()
    if not (folder / "ready").exists() or (folder / "ready").read_text() != wanted:
        shutil.copy(NODE / "package.json", folder)
        install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        try:
            subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            missing(f"the registry gives no openai package: {error}")
        (folder / "ready").write_text(wanted)
    shutil.copy(NODE / "client.mjs", folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)  # the package may come from its registry first
def test_the_javascript_sdk_gets_the_providers_answers_on_a_miss_and_on_a_hit(
    node_folder: Path, start_gateway, openai_server: OpenAIServer, namespace: str
):
    gateway = start_gateway(cache_tool_calls=True)

    def run(url: str) -> dict[str, Any]:
        openai_server.reset()
        weather = Behaviour(tool_calls=[("get_weather", '{"city": "Paris"}')])
        openai_server.always(weather, when=lambda request: "tools" in request.body)
        command = ["node", "client.mjs", url, namespace[-12:]]
        done = subprocess.run(command, cwd=node_folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    straight = run(openai_server.url)
    calls = openai_server.calls
    miss = run(gateway.url)
    assert miss["results"] == straight["results"]
    assert openai_server.calls == calls
    assert all(status.startswith("encore; fwd=uri-miss") for status in miss["statuses"])
    hit = run(gateway.url)
    assert hit["results"] == straight["results"]
    assert openai_server.calls == 0
    assert set(hit["statuses"]) == {"encore; hit; detail=exact"}


class City(BaseModel):
    name: str
    country: str


@pytest.fixture
async def provider(start_gateway) -> AsyncIterator[OpenAIProvider]:
    gateway = start_gateway(cache_tool_calls=True)
    async with httpx2.AsyncClient(verify=PLAIN_HTTP, timeout=120) as client:
        yield OpenAIProvider(base_url=gateway.url, api_key="sk-test", http_client=client)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_an_agent_framework_is_answered_from_the_cache(provider, openai_server, kind):
    agent: Agent[None, str] = Agent(kind("gpt-4o", provider=provider), instructions="Be brief.")
    answers = [(await agent.run("How do I activate my card?")).output for _ in range(2)]
    assert answers == ["Answer 1 to: How do I activate my card?"] * 2
    async with agent.run_stream("How do I activate my card?") as stream:
        assert await stream.get_output() == answers[0]
    assert openai_server.calls == 1


@pytest.mark.anyio
async def test_an_agent_with_tools_is_answered_from_the_cache_step_by_step(provider, openai_server):
    openai_server.always(Behaviour(content="It is sunny."))
    openai_server.always(
        Behaviour(tool_calls=[("weather", '{"city": "Paris"}')]),
        when=lambda request: request.body["messages"][-1]["role"] == "user",
    )
    agent: Agent[None, str] = Agent(OpenAIChatModel("gpt-4o", provider=provider))
    asked = []

    @agent.tool_plain
    def weather(city: str) -> str:
        asked.append(city)
        return "sunny"

    for _ in range(2):
        assert (await agent.run("Do I need an umbrella?")).output == "It is sunny."
    assert asked == ["Paris", "Paris"], "the tool is the application's and runs each time"
    assert openai_server.calls == 2


@pytest.mark.anyio
async def test_an_agent_with_a_typed_answer_is_answered_from_the_cache(provider, openai_server):
    def answer(request: Any) -> bool:
        return bool(request.body.get("tools"))

    arguments = '{"name": "Paris", "country": "France"}'
    openai_server.always(Behaviour(tool_calls=[("final_result", arguments)]), when=answer)
    agent = Agent(OpenAIChatModel("gpt-4o", provider=provider), output_type=City)
    for _ in range(2):
        assert (await agent.run("Which city has the Louvre?")).output == City(name="Paris", country="France")
    assert openai_server.calls == 1
