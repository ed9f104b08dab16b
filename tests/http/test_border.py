"""What is sent is in the key, or is not sent: for whatever a caller writes into headers, query and body."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openai import AzureOpenAI

from core.http.upstream import base_below
from core.inbound.headers import divided
from core.inbound.reading import Target, read
from core.keys import identify
from core.monitoring.header_board import LOOKED_AT
from tests.http.running import PLAIN_HTTP, RunningGateway, followers, until
from tests.openai_server import Behaviour
from tests.samples import Clock

PATHS = {"chat": "/chat/completions", "responses": "/responses", "embeddings": "/embeddings"}
KEY = {"Authorization": "Bearer sk-of-a-caller"}

# Said here once more, without the table that is under test.
KEYED = (
    "openai-organization",
    "anthropic-beta",
    "x-goog-user-project",
    "accept-language",
    "x-tenant-id",
    "x-my-auth-token",
)
SENT_UNKEYED = (
    "traceparent",
    "x-request-id",
    "cf-ray",
    "x-openwebui-message-id",
    "user-agent",
    "x-title",
    "x-unique-id",
)
NOT_SENT = (
    "x-of-tomorrow",
    "prefer",
    "x-forwarded-for",
    "idempotency-key",
    "cookie",
    "origin",
    "x-http-method-override",
)
UNKEYED_FIELDS = (
    *("stream", "stream_options", "user", "safety_identifier", "metadata", "service_tier"),
    *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
)
KEYED_FIELDS = (
    *("seed", "top_k", "of_tomorrow", "extra_headers", "extra_query", "extra_body", "timeout", "headers", "query"),
    *("instructions", "tools", "stop", "n_of_tomorrow", "Metadata", "user ", "llm_function", "wire", "endpoint"),
)

VALUES = st.sampled_from(["a", "b", 1, True, {"a": "b"}, {"a": 1}, ["a"], [1]])
HEADERS = st.dictionaries(
    st.sampled_from(KEYED + SENT_UNKEYED + NOT_SENT), st.sampled_from(["a", "b", "a, b"]), max_size=4
)
FIELDS = st.dictionaries(st.sampled_from(UNKEYED_FIELDS + KEYED_FIELDS), VALUES, max_size=4)
QUERIES = st.sampled_from(
    ["", "a=1", "a=2", "a=1&b=2", "a=1&a=2", "a=2&a=1", "api-version=1", "api-version=2", "a", "a=%ff"]
)
ADDRESSES = st.sampled_from(["", "/deployments/a", "/deployments/b"])


class Asked(dict[str, Any]):
    """A request: `endpoint`, `question`, `headers`, `query`, `fields`, `address`."""

    @property
    def body(self) -> dict[str, Any]:
        asked = self["question"]
        taken = {"messages": [{"role": "user", "content": asked}]} if self["endpoint"] == "chat" else {"input": asked}
        return {"model": "m", **taken, **self["fields"]}

    @property
    def sent_but_for_exceptions(self) -> str:
        """What the provider is sent without what must not change an answer, as text."""
        fields = {name: value for name, value in self.body.items() if name not in UNKEYED_FIELDS}
        headers = {name: value for name, value in self["headers"].items() if name in KEYED}
        return json.dumps([self["endpoint"], self["address"], self["query"], headers, fields], sort_keys=True)

    def key(self) -> bytes:
        found = divided(self["headers"])
        target = Target(self["endpoint"], "https://provider.test/v1" + self["address"])
        inbound = read(target, self["query"], {}, json.dumps(self.body).encode(), keyed=found.keyed)
        assume(inbound is not None)  # of another shape than the API's: it is in no cache
        return identify(inbound.request, "n").exact


PARTS = {
    "endpoint": st.sampled_from(sorted(PATHS)),
    "question": st.sampled_from(["Where?", "When?"]),
    "headers": HEADERS,
    "query": QUERIES,
    "fields": FIELDS,
    "address": ADDRESSES,
}


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Asked, Asked]:
    """Two requests that differ in one part, or in none."""
    one = Asked({name: draw(part) for name, part in PARTS.items()})
    name = draw(st.sampled_from(sorted(PARTS)))
    changed = draw(PARTS[name])
    if name in ("headers", "fields") and draw(st.booleans()):
        changed = {**one[name], **changed}
    return one, Asked({**one, name: changed})


@given(neighbours())
def test_requests_share_an_answer_exactly_when_what_is_sent_is_the_same_but_for_the_exceptions(pair):
    one, other = pair
    assert (one.key() == other.key()) == (one.sent_but_for_exceptions == other.sent_but_for_exceptions)


@given(HEADERS)
def test_what_is_not_known_is_not_sent_and_named(headers):
    found = divided(headers)
    sent = {name for name, _ in found.sent}
    assert sent.isdisjoint(NOT_SENT)
    assert sent >= {name for name in headers if name in KEYED + SENT_UNKEYED}
    assert set(found.dropped) == headers.keys() & {"x-of-tomorrow", "prefer", "x-http-method-override"}


# Through a gateway


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=PLAIN_HTTP, timeout=120) as client:
        yield client


class Asking:
    """A client of one gateway."""

    def __init__(self, http: httpx2.Client, gateway: RunningGateway) -> None:
        self.http = http
        self.gateway = gateway

    def __call__(
        self, endpoint: str = "chat", headers: dict[str, str] | None = None, query: str = "", **fields: Any
    ) -> httpx2.Response:
        asked = fields.pop("question", "How do I activate my card?")
        taken = {"messages": [{"role": "user", "content": asked}]} if endpoint == "chat" else {"input": asked}
        url = self.gateway.url + PATHS[endpoint] + query
        answer = self.http.post(url, headers=KEY | (headers or {}), json={"model": "gpt-4o", **taken, **fields})
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def ask(http, start_gateway) -> Asking:
    # Who asks is a matter of the audience; here it is what a provider repeats.
    return Asking(http, start_gateway(audience="shared"))


def is_hit(answer: httpx2.Response) -> bool:
    return "; hit" in answer.headers["cache-status"]


@pytest.mark.parametrize("endpoint", sorted(PATHS))
@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"OpenAI-Organization": "ann"}},
        {"headers": {"X-Tenant": "ann"}},
        {"headers": {"Accept-Language": "de"}},
        {"query": "?api-version=ann"},
        {"extra_headers": {"X-Tenant": "ann"}},
        {"extra_query": {"a": "ann"}},
        {"of_tomorrow": "ann"},
    ],
    ids=str,
)
def test_what_may_change_an_answer_keeps_requests_apart(ask, openai_server, endpoint, change):
    ask(endpoint)
    assert not is_hit(ask(endpoint, **change))
    assert is_hit(ask(endpoint, **change))
    assert openai_server.calls == 2


SECRET = "ann-secret-7"
REPEATS = {
    "in an object": lambda fields: {"request": fields},
    "in a list": lambda fields: {"x_meta": [fields]},
    "under another name": lambda fields: {"x_owner": fields.get("user") or {"of": [fields]}, "x_said": f"for {SECRET}"},
}


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("where", REPEATS)
@pytest.mark.parametrize("field", ["user", "metadata", "safety_identifier", "prompt_cache_key"])
def test_nobody_sees_what_a_provider_repeats_of_another_caller(ask, openai_server, endpoint, streamed, where, field):
    given = {field: {"customer": SECRET} if field == "metadata" else SECRET}
    repeating = Behaviour(extra=REPEATS[where](given))
    openai_server.always(repeating, when=lambda request: SECRET.encode() in request.raw)
    more = {"stream": True} if streamed else {}
    assert SECRET in ask(endpoint, **given, **more).text
    second = ask(endpoint)
    assert is_hit(second) == (where != "under another name")
    shown = [second, ask(endpoint, **{field: {"customer": "bob"} if field == "metadata" else "bob"})]
    shown.append(ask(endpoint, stream=True))
    assert not [answer.text for answer in shown if SECRET in answer.text]


ECHOES = {
    "x-title": "secret-app-of-ann",
    "user-agent": "ann-secret-7/1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "baggage": '{"_user":"ann-secret-7"}',
}


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ECHOES)
def test_nobody_sees_what_a_provider_repeats_of_anothers_headers(ask, openai_server, endpoint, streamed, name):
    value = ECHOES[name]
    repeating = Behaviour(extra={"x_request": {"as_it_came": value}})
    openai_server.always(repeating, when=lambda request: request.headers.get(name) == value)
    more = {"stream": True} if streamed else {}
    assert json.dumps(value) in ask(endpoint, {name: value}, **more).text
    second = ask(endpoint, {name: "of-bob"})
    assert not is_hit(second)
    assert value not in second.text
    assert is_hit(ask(endpoint, {name: value}, **more)), "what repeats nobody is kept"


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_called_by_its_requests_id_is_kept_under_another(ask, openai_server, streamed):
    openai_server.always(Behaviour(extra={"id": "chatcmpl-0af7-of-ann"}))
    headers = {"X-Request-Id": "0af7-of-ann"}
    assert "chatcmpl-0af7-of-ann" in ask(headers=headers, stream=streamed).text
    for stream in (False, True):
        again = ask(headers={"X-Request-Id": "1bf8-of-bob"}, stream=stream)
        assert is_hit(again)
        assert "of-ann" not in again.text
        assert '"id":"chatcmpl-' in again.text.replace(" ", "")


@pytest.mark.parametrize("endpoint", sorted(PATHS))
@pytest.mark.parametrize("stream", [False, True])
def test_requests_that_differ_in_what_changes_no_answer_share_it_and_see_nothing_of_each_other(
    ask, openai_server, endpoint, stream
):
    def asking(who: str) -> httpx2.Response:
        names = (*SENT_UNKEYED, *NOT_SENT, "x-shoe-size")
        headers = {name: f"{who}-{name}" for name in names if name != "origin"}
        more = {"stream": True} if stream and endpoint != "embeddings" else {}
        fields = {"user": who, "metadata": {"customer": who}, "safety_identifier": who, "prompt_cache_key": who}
        return ask(endpoint, headers, **fields, **more)

    first, second = asking("ann-canary"), asking("bob-canary")
    assert is_hit(second)
    assert openai_server.calls == 1
    assert "ann-canary" not in second.text + str(second.headers)
    if endpoint == "responses":
        assert second.text.count("bob-canary") == first.text.count("ann-canary") >= 4
    sent = openai_server.requests[0].headers
    assert [name for name in NOT_SENT if name in sent and name != "origin"] == []
    assert {sent[name] for name in SENT_UNKEYED} == {f"ann-canary-{name}" for name in SENT_UNKEYED}
    assert first.headers["x-encore-dropped-headers"] == "x-of-tomorrow, prefer, x-http-method-override, x-shoe-size"
    assert "x-encore-dropped-headers" not in second.headers


@pytest.mark.parametrize("stream", [False, True])
def test_who_waits_for_anothers_call_gets_the_answer_with_their_own_fields(ask, openai_server, stream):
    from concurrent.futures import ThreadPoolExecutor

    gate = openai_server.hold()
    with ThreadPoolExecutor(2) as pool:
        first, second = (
            pool.submit(ask, "responses", user=who, metadata={"customer": who}, stream=stream) for who in ("ann", "bob")
        )
        until(lambda: followers(ask.gateway.services.cache) == 1)
        gate.release()
        answers = {name: done.result() for name, done in (("ann", first), ("bob", second))}
    assert openai_server.calls == 1
    for who, other in (("ann", "bob"), ("bob", "ann")):
        assert f'"customer":"{who}"' in answers[who].text.replace(" ", "")
        assert f'"{other}"' not in answers[who].text


@pytest.mark.parametrize("came", ["whole", "streamed"])
@pytest.mark.parametrize("goes", ["whole", "streamed"])
def test_a_stored_answer_holds_nothing_of_its_first_caller_in_either_form(ask, came, goes):
    mine = {"user": "ann", "metadata": {"customer": "ann"}, "service_tier": "flex"}
    ask("responses", **mine, stream=came == "streamed")
    other = ask("responses", stream=goes == "streamed")
    assert is_hit(other)
    assert '"ann"' not in other.text
    assert '"flex"' not in other.text
    assert '"metadata":{}' in other.text


def test_a_header_is_sent_and_keyed_by_the_setting(start_gateway, http, openai_server):
    ask = Asking(http, start_gateway(keyed_headers="X-Of-Tomorrow"))
    answers = [ask(headers={"X-Of-Tomorrow": value}) for value in "aba"]
    assert [is_hit(answer) for answer in answers] == [False, False, True]
    assert [request.headers["x-of-tomorrow"] for request in openai_server.requests] == ["a", "b"]
    assert "x-encore-dropped-headers" not in answers[0].headers


@pytest.mark.parametrize("name", ["x-thread-id", "session_id", "x-conversation-id", "openai-conversation-id"])
def test_what_names_a_conversation_is_not_sent(ask, openai_server, name):
    answers = [ask(headers={name: value}) for value in "ab"]
    assert is_hit(answers[1])
    assert name not in openai_server.requests[0].headers
    assert (name in answers[0].headers.get("x-encore-dropped-headers", "")) is (not name.startswith("openai"))


@pytest.mark.parametrize("name", ["x-portkey-metadata", "cf-aig-metadata", "helicone-property-user"])
def test_what_may_name_a_user_and_route_a_request_is_in_the_key(ask, openai_server, name):
    answers = [ask(headers={name: f'{{"_user": "{who}"}}'}) for who in ("ann", "bob", "ann")]
    assert [is_hit(answer) for answer in answers] == [False, False, True]
    assert name in openai_server.requests[0].headers


def test_a_header_that_makes_every_request_its_own_is_named_on_the_miss(ask):
    answers = [ask(headers={"x-my-token": str(number), "openai-organization": "o"}) for number in range(LOOKED_AT)]
    assert "x-encore-differing-headers" not in answers[-2].headers
    assert answers[-1].headers["x-encore-differing-headers"] == "x-my-token"


def test_paths_that_are_not_cached_get_all_headers(ask, openai_server):
    given = dict.fromkeys((*KEYED, *SENT_UNKEYED, "x-of-tomorrow", "x-forwarded-for", "idempotency-key"), "a")
    ask.http.post(ask.gateway.url + "/moderations", headers=KEY | given, json={"input": "a"})
    received = openai_server.requests[-1].headers
    assert {name: received.get(name) for name in given} == given


def test_the_form_of_the_message_is_what_the_gateway_has_read(ask, openai_server):
    ask(headers={"Content-Type": "application/json; charset=utf-16", "Accept": "text/event-stream"})
    received = openai_server.requests[-1].headers
    assert (received["content-type"], received["accept"]) == ("application/json", "application/json")


def test_of_a_name_given_twice_the_provider_reads_what_was_keyed(ask, openai_server):
    theirs, mine = (json.dumps([{"role": "user", "content": text}]) for text in ("What is evil?", "What is good?"))
    content = f'{{"model":"gpt-4o","messages":{theirs},"messages":{mine}}}'
    answer = ask.http.post(ask.gateway.url + PATHS["chat"], headers=KEY, content=content)
    assert answer.json()["choices"][0]["message"]["content"] == "Answer 1 to: What is good?"
    assert b"evil" not in openai_server.requests[-1].raw
    assert is_hit(ask(question="What is good?"))
    assert not is_hit(ask(question="What is evil?"))


# What callers who share a namespace can do to each other


@pytest.mark.parametrize(
    ("question", "kept"), [("Generate a strong password for me", False), ("What is a loan?", True)]
)
def test_a_caller_keeps_nothing_longer_than_the_rules_do(start_gateway, http, question, kept):
    clock = Clock()
    ask = Asking(http, start_gateway(clock))
    year = str(365 * 86_400)
    ask(headers={"X-Encore-TTL": year}, question=question)
    assert is_hit(ask(question=question)) == kept
    clock.forward(86_401 * 8)
    assert not is_hit(ask(question=question))
    shorter = ask(headers={"X-Encore-TTL": "60", "Cache-Control": "no-cache"}, question=question)
    assert ("stored" in shorter.headers["cache-status"]) == kept
    clock.forward(61)
    assert not is_hit(ask(question=question))


def test_an_operator_may_let_callers_keep_answers_longer(start_gateway, http):
    ask = Asking(http, start_gateway(gateway_longer_ttl=True))
    asked = {"question": "Generate a strong password for me"}
    ask(headers={"X-Encore-TTL": "60"}, **asked)
    assert is_hit(ask(**asked))


def test_who_asks_anew_takes_no_tag_away(ask, namespace):
    anew = {"Cache-Control": "no-cache"}
    ask(headers={"X-Encore-Tags": "doc:1"})
    ask(headers=anew | {"X-Encore-Tags": "doc:2"})
    fresh = ask(headers=anew)
    assert is_hit(ask())
    services = ask.gateway.services
    [row] = services.invalidation.preview(criteria(namespace, "doc:1")).rows
    assert set(row.tags) == {"doc:1", "doc:2"}
    services.invalidation.invalidate(criteria(namespace, "doc:1"), actor="test")
    assert not is_hit(ask())
    assert fresh.json() != ask().json()


def test_a_tag_on_a_hit_does_not_join(ask, namespace):
    ask(headers={"X-Encore-Tags": "doc:1"})
    assert is_hit(ask(headers={"X-Encore-Tags": "doc:2"}))
    services = ask.gateway.services
    services.invalidation.invalidate(criteria(namespace, "doc:2"), actor="test")
    assert is_hit(ask())
    services.invalidation.invalidate(criteria(namespace, "doc:1"), actor="test")
    assert not is_hit(ask())


def test_an_answer_with_too_many_tags_for_one_is_not_kept_in_its_place(ask):
    first = ask(headers={"X-Encore-Tags": ",".join(f"a:{number}" for number in range(32))})
    again = ask(headers={"Cache-Control": "no-cache", "X-Encore-Tags": "b:1"})
    assert "stored" not in again.headers["cache-status"]
    assert ask().json() == first.json()


def criteria(namespace: str, tag: str) -> Any:
    from core import Criteria

    return Criteria(namespace=namespace, tags=(tag,))


# Responses that the provider keeps


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_that_was_deleted_is_served_no_more(ask, openai_server, stream):
    ask("responses", stream=stream)
    [entry] = [ask("responses") for _ in range(1)]
    assert is_hit(entry)
    deletion = ask.http.delete(f"{ask.gateway.url}/responses/{entry.json()['id']}", headers=KEY)
    assert deletion.status_code == 200
    assert not is_hit(ask("responses", stream=stream))


@pytest.mark.parametrize("end", ["", "/"])
def test_a_response_that_the_provider_does_not_know_any_more_is_served_no_more(ask, openai_server, end):
    answer = ask("responses")
    openai_server.next(Behaviour(status=404))
    address = f"{ask.gateway.url}/responses/{answer.json()['id']}{end}"
    assert ask.http.delete(address, headers=KEY).status_code == 404
    assert not is_hit(ask("responses"))


def test_a_deletion_that_the_provider_refuses_hides_nothing(ask, openai_server):
    answer = ask("responses")
    openai_server.next(Behaviour(status=403))
    assert ask.http.delete(f"{ask.gateway.url}/responses/{answer.json()['id']}", headers=KEY).status_code == 403
    assert is_hit(ask("responses"))


# Azure's clients


@pytest.mark.parametrize("way", ["azure_endpoint", "azure_deployment", "base_url", "v1"])
def test_azures_client_is_served_and_its_deployment_keeps_answers_apart(gateway, openai_server, way):
    def client(deployment: str) -> AzureOpenAI:
        options: dict[str, Any] = {
            "api_key": "k",
            "api_version": "2024-10-21",
            "http_client": httpx2.Client(verify=PLAIN_HTTP),
        }
        match way:
            case "azure_endpoint":
                return AzureOpenAI(azure_endpoint=gateway.root, **options)
            case "azure_deployment":
                return AzureOpenAI(azure_endpoint=gateway.root, azure_deployment=deployment, **options)
            case "base_url":
                return AzureOpenAI(base_url=gateway.url, **options)
            case _:
                return AzureOpenAI(base_url=f"{gateway.root}/openai/v1", **options)

    messages = [{"role": "user", "content": "How do I activate my card?"}]
    for deployment in ("one", "two", "one", "two"):
        with client(deployment) as azure:
            azure.chat.completions.create(model=deployment, messages=messages)
            azure.responses.create(model=deployment, input="How do I activate my card?")
            azure.embeddings.create(model=deployment, input="How do I activate my card?")
    assert openai_server.calls == 6
    assert {request.headers["api-key"] for request in openai_server.requests} == {"k"}
    assert any("/deployments/one/chat/completions" in request.path for request in openai_server.requests)


@pytest.mark.parametrize(
    ("base", "root", "expected"),
    [
        ("https://x.azure.com/openai", "/openai", "https://x.azure.com/openai"),
        ("https://x.azure.com/openai", "/openai/v1", "https://x.azure.com/openai/v1"),
        ("https://x.azure.com/openai/v1", "/openai", "https://x.azure.com/openai"),
        ("https://x.azure.com/openai/v1", "/llm/openai/v1", "https://x.azure.com/openai/v1"),
        ("https://x.azure.com/openai/v1", "/v1", "https://x.azure.com/openai/v1"),
        ("https://api.openai.com/v1", "/openai", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1", "/openai/v1", "https://api.openai.com/v1"),
    ],
)
def test_both_apis_of_azure_are_found_whichever_is_configured(base, root, expected):
    assert base_below(base, root) == expected


def test_a_request_whose_path_names_the_deployment_needs_no_model(gateway, http, openai_server):
    url = f"{gateway.root}/openai/deployments/one/chat/completions?api-version="
    body = {"messages": [{"role": "user", "content": "How do I activate my card?"}]}
    answers = [http.post(url + version, headers={"api-key": "k"}, json=body) for version in ("1", "1", "2")]
    assert [is_hit(answer) for answer in answers] == [False, True, False]
    assert [request.path for request in openai_server.requests] == ["/v1/deployments/one/chat/completions"] * 2
    assert http.post(f"{gateway.root}/openai/deployments/../chat/completions", json=body).status_code in (200, 404)


def _schema(schema: object) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


WRONG_CHATS: list[dict[str, Any]] = [
    *({"n": "many"}, {"n": [1]}, {"stop": 7}, {"stop": [7]}, {"max_tokens": "few"}, {"response_format": "json"}),
    *({"tools": 7}, {"tools": ["a"], "tool_choice": "required"}, {"stream": True, "stream_options": [1]}),
    *(_schema({"type": []}), _schema({"enum": {"a": 1}}), _schema({"properties": 7, "required": ["a"]})),
]
WRONG_RESPONSES: list[dict[str, Any]] = [{"text": "json"}, {"tools": {"a": 1}, "tool_choice": "required"}]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_with_a_request_is_a_status_of_the_demo_model_and_no_traceback(
    start_gateway, http, caplog, stream
):
    gateway = start_gateway(demo=True, provider="demo")
    chat = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}
    for path, asked, wrongs in (
        ("chat/completions", chat, WRONG_CHATS),
        ("responses", {"input": "Why is the sky blue?"}, WRONG_RESPONSES),
    ):
        for wrong in wrongs:
            body = {"model": "gpt-4o", **asked, "stream": stream, **wrong}
            answer = http.post(f"{gateway.root}/v1/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error"), wrong
    assert not [record.message for record in caplog.records if record.exc_info]


def test_the_demo_model_answers_azures_paths(start_gateway, http):
    gateway = start_gateway(demo=True, provider="demo")
    url = f"{gateway.root}/openai/deployments/encore-demo-small/chat/completions?api-version=1"
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    answers = [http.post(url, headers={"api-key": "k"}, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert is_hit(answers[1])
