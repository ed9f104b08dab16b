"""One conversation answered by another over HTTP: whole, streamed, and by a gateway that has only read the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from core.bootstrap import Services
from core.entries.listing import EntryFilter, FoundEntry, page_entries
from core.errors import InvalidInput
from core.models import ChatRequest
from tests.http.running import PLAIN_HTTP, RunningGateway
from tests.openai_server import OpenAIServer, Received
from tests.semantic.conversations.test_conversation import ETNA, FUJI, FUJI_TOO
from tests.semantic.judge.test_judge import verdict
from tests.semantic.sets.chat_pairs import messages_of

SETTINGS = {
    "strategy": "semantic",
    "semantic_conversations": "judge",
    "judge_model": "gpt-4o-mini",
    "judge_deadline_seconds": 20,
    "openai_api_key": "sk-test",
}


def is_judged(received: Received) -> bool:
    return received.body["model"] == "gpt-4o-mini"


def ask(gateway: RunningGateway, texts: Sequence[str], *, streams: bool = False) -> tuple[str, str]:
    """Status of the cache, and the answer."""
    options: dict[str, Any] = {"model": "gpt-4o", "messages": messages_of(texts)}
    http_client = httpx2.Client(verify=PLAIN_HTTP)
    with OpenAI(base_url=gateway.url, api_key="sk-test", max_retries=0, http_client=http_client) as client:
        create = client.chat.completions.with_raw_response.create
        if not streams:
            raw = create(**options)
            return raw.headers["cache-status"], raw.parse().choices[0].message.content or ""
        raw = create(**options, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
        return raw.headers["cache-status"], text


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("stored_streams", [False, True], ids=["stored-whole", "stored-streamed"])
def test_another_conversation_gets_the_answer_when_the_judge_agrees(
    start_gateway, openai_server: OpenAIServer, streams, stored_streams
):
    gateway = start_gateway(**SETTINGS)
    gateway.services.semantic.warm([gateway.services.settings.namespace])
    openai_server.always(verdict(True), when=is_judged)
    _, stored = ask(gateway, FUJI, streams=stored_streams)
    assert ask(gateway, FUJI_TOO, streams=streams) == ("encore; hit; detail=semantic", stored)
    assert ask(gateway, FUJI_TOO, streams=streams) == ("encore; hit; detail=alias", stored)
    status, answer = ask(gateway, ETNA, streams=streams)
    assert status.startswith("encore; fwd=uri-miss")
    assert answer != stored
    judged = [received for received in openai_server.requests if is_judged(received)]
    assert len(judged) == 1
    assert "Mount Fuji is 3,776 metres high." in judged[0].question
    assert "It rises to 3,776 m." in judged[0].question


def test_another_process_finds_it_in_what_redis_keeps(start_gateway, openai_server: OpenAIServer):
    openai_server.always(verdict(True), when=is_judged)
    first, second = (start_gateway(**SETTINGS) for _ in range(2))
    first.services.semantic.warm([first.services.settings.namespace])
    _, stored = ask(first, FUJI)
    second.services.semantic.warm([second.services.settings.namespace])
    assert ask(second, FUJI_TOO) == ("encore; hit; detail=semantic", stored)


def test_by_default_it_asks_the_provider(start_gateway, openai_server: OpenAIServer):
    gateway = start_gateway(**SETTINGS | {"semantic_conversations": "off", "semantic": "judge"})
    gateway.services.semantic.warm([gateway.services.settings.namespace])
    ask(gateway, FUJI)
    assert ask(gateway, FUJI_TOO)[0].startswith("encore; fwd=uri-miss")
    assert not any(map(is_judged, openai_server.requests))


def test_evidence_and_budget_of_conversations_stand_apart(start_gateway, openai_server: OpenAIServer):
    gateway = start_gateway(**SETTINGS | {"semantic": "judge"})
    services = gateway.services
    services.semantic.warm([services.settings.namespace])
    openai_server.always(verdict(True), when=is_judged)
    ask(gateway, FUJI)
    ask(gateway, FUJI_TOO)
    services.evidence.flush()
    [pair] = services.evidence.pairs(f"{services.settings.namespace}:conversations")
    assert pair.judge_label is True
    assert "Mount Fuji is 3,776 metres high." in (pair.stored or "")
    assert services.evidence.pairs(services.settings.namespace) == []


def test_an_operator_keeps_two_conversations_apart(start_gateway, openai_server: OpenAIServer):
    gateway = start_gateway(**SETTINGS)
    services = gateway.services
    namespace = services.settings.namespace
    services.semantic.warm([namespace])
    openai_server.always(verdict(True), when=is_judged)
    ask(gateway, FUJI)
    ask(gateway, FUJI_TOO)
    [stored] = [one for one in stored_in(services) if one.entry.prompt == FUJI[-1]]
    request = ChatRequest.from_openai(model="gpt-4o", messages=messages_of(FUJI_TOO), base_url=openai_server.url)
    told = services.verdicts.apart(namespace, stored.key, request, actor=services.audit.by("olga", source="cli"))
    assert told.labelled
    judged = sum(map(is_judged, openai_server.requests))
    assert ask(gateway, FUJI_TOO)[0].startswith("encore; fwd=uri-miss")
    assert sum(map(is_judged, openai_server.requests)) == judged, "the pair is not shown to the judge again"
    assert ask(gateway, FUJI)[0] == "encore; hit; detail=exact"


def test_an_operator_is_told_why_another_family_needs_no_keeping_apart(start_gateway, openai_server: OpenAIServer):
    gateway = start_gateway(**SETTINGS)
    services = gateway.services
    ask(gateway, FUJI)
    [stored] = stored_in(services)
    request = ChatRequest.from_openai(
        model="gpt-4o", messages=messages_of(FUJI_TOO), base_url=openai_server.url, temperature=0.1
    )
    with pytest.raises(InvalidInput, match="temperature"):
        services.verdicts.apart(services.settings.namespace, stored.key, request, actor="olga")


def stored_in(services: Services) -> list[FoundEntry]:
    """What is stored, aliases left out."""
    slot = services.cache.slot(services.settings.namespace)
    found = page_entries(services.store, [slot], EntryFilter(), size=50).entries
    return [one for one in found if one.entry.header.target is None]
