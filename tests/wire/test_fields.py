"""The table of what is in the key, and what an answer repeats of its request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.fields import (
    CALLERS_FIELDS,
    OPENAI,
    Treatment,
    header_treatment,
    is_keyed,
    is_secret,
    unkeyed_fields,
    with_callers,
    without_callers,
)

KEYED = """
    openai-organization openai-project openai-beta anthropic-version anthropic-beta accept-language
    x-goog-api-key x-goog-user-project x-tenant x-tenant-id tenant x-organization-id x-api-version
    ocp-apim-subscription-key helicone-auth x-amzn-bedrock-trace x-auth-token x-amz-security-token x-portkey-config
    x-amzn-bedrock-guardrailidentifier azureml-model-deployment x-litellm-tags x-model x-org-token
    cf-aig-authorization x-account x-workspace-id x-ms-region x-portkey-metadata cf-aig-metadata
    helicone-property-user helicone-property-conversation x-litellm-spend-logs-metadata
"""
UNKEYED = """
    traceparent tracestate baggage b3 x-b3-traceid x-datadog-trace-id sentry-trace cf-ray x-cloud-trace-context
    x-openwebui-message-id x-openwebui-user-email x-client-request-id x-unique-id x-title http-referer
    user-agent x-request-id x-correlation-id x-amzn-trace-id x-stainless-retry-count uber-trace-id
    elastic-apm-traceparent x-ms-client-request-id x-vercel-id fly-request-id cdn-loop x-envoy-attempt-count
    grpc-trace-bin newrelic x-goog-api-client x-litellm-trace-id
    x-azure-ref x-instana-t langsmith-trace cache-control helicone-session-id
    openai-client-request-id x-openrouter-request-id x-portkey-request-id groq-request-id anthropic-request-id
    x-databricks-request-id x-databricks-traceparent x-goog-request-id x-ms-routing-request-id x-ms-client-session-id
    x-litellm-num-retries x-litellm-timeout x-litellm-stream-timeout cohere-request-id x-fireworks-trace-id
    x-dashscope-request-id x-ms-retry-count nvcf-request-id helicone-request-id x-portkey-request-timeout
    openai-tracestate x-token-request-id x-model-trace-id x-ms-workflow-run-id x-ms-workflow-run-tracking-id
    x-ms-activity-vector x-ms-date x-ms-client-tracking-id x-ms-tracking-id x-ms-execution-location
    x-teams-message-id x-correlation-key x-goog-trace x-goog-request-reason x-openwebui-user-name x-openwebui-user-id
    x-librechat-user-id helicone-user-id
"""
WITHHELD = """
    x-forwarded-for x-forwarded-host x-real-ip forwarded via cf-connecting-ip cf-ipcountry true-client-ip cookie
    origin referer sec-fetch-site sec-ch-ua dnt idempotency-key x-original-url x-rewrite-url
    cloudfront-viewer-country x-idempotency-key x-idempotency-token idempotency-token x-csrf-token x-xsrf-token
    csrf-token x-csrftoken x-goog-iap-jwt-assertion x-auth-request-email x-auth-request-access-token x-auth-request-user
    x-amzn-oidc-accesstoken x-amzn-oidc-data x-amzn-oidc-identity cf-access-authenticated-user-email
    cf-access-jwt-assertion cf-access-client-secret x-github-token x-forwarded-access-token x-forwarded-user
    x-forwarded-email tailscale-user-login tailscale-user-name x-ms-client-principal x-ms-client-principal-name
    x-ms-token-aad-access-token x-goog-authenticated-user-email x-remote-user remote-user x-user x-user-id
    x-authentik-jwt x-pomerium-jwt-assertion x-consumer-username x-vercel-proxy-signature x-vercel-proxy-signature-ts
    openai-conversation-id signature signature-input x-auth-timestamp
"""
OURS = """
    host connection content-length transfer-encoding te accept-encoding proxy-authorization x-encore-ttl
    x-encore-of-tomorrow
"""
UNKNOWN = """
    x-of-tomorrow prefer x-http-method-override range x-foo from x-thread-id thread-id session_id session-id
    x-session-id x-conversation-id x-chat-id x-app-id x-app-name x-sdk-mode x-wf-flow x-session-affinity
    x-librechat-conversation-id x-openwebui-chat-id x-openwebui-user-role mcp-session-id x-flowise-session
"""


@pytest.mark.parametrize(
    ("names", "treatment"),
    [
        (KEYED, Treatment.KEYED),
        (UNKEYED, Treatment.UNKEYED),
        (WITHHELD, Treatment.WITHHELD),
        (OURS, Treatment.OURS),
        ("authorization api-key x-api-key", Treatment.CREDENTIAL),
        ("content-type accept", Treatment.FORM),
        (UNKNOWN, Treatment.UNKNOWN),
    ],
)
def test_every_header_has_one_treatment(names, treatment):
    assert {name: header_treatment(name) for name in names.split()} == dict.fromkeys(names.split(), treatment)


def test_the_table_gives_each_name_once_with_a_reason_and_in_lower_case():
    for lines in (OPENAI.headers, OPENAI.body, OPENAI.query):
        names = [name for line in lines for name in line.names]
        assert len(names) == len(set(names))
        assert [name for name in names if name != name.lower() or "*" in name[1:-1]] == []
        assert all(line.reason.endswith(".") for line in lines)
        assert all(bool(line.names) is not bool(line.containing) for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "is_in_the_key"),
    [
        ("accept", "application/json", False),
        ("accept", "*/*", False),
        ("accept", "text/event-stream", True),
        ("content-type", "application/json; charset=UTF-8", False),
        ("content-type", "application/json; charset=utf-16", True),
        ("content-type", "text/plain", True),
        ("accept-language", "*", False),
        ("accept-language", "de", True),
        ("x-of-tomorrow", "1", True),
        ("cookie", "a=b", True),
        ("idempotency-key", "1", True),
        ("traceparent", "1", False),
        ("authorization", "Bearer a", False),
    ],
)
def test_a_program_sends_all_and_what_may_change_an_answer_is_in_the_key(name, value, is_in_the_key):
    assert is_keyed(name, value, credentials=False) == is_in_the_key


def test_credentials_are_in_the_key_where_they_are_given_with_a_request():
    assert all(is_keyed(name, "k", credentials=True) for name in ("authorization", "api-key", "x-api-key"))


@pytest.mark.parametrize(
    "name", ["authorization", "api-key", "x-goog-api-key", "cookie", "x-auth-token", "cf-aig-authorization"]
)
def test_what_may_be_a_secret_is_known_by_its_name(name):
    assert is_secret(name)
    assert not is_secret("openai-organization")


def test_what_responses_refer_to_later_is_in_their_key():
    assert unkeyed_fields("chat") - unkeyed_fields("responses") == {"store"}
    assert unkeyed_fields("embeddings") >= CALLERS_FIELDS


# What an answer repeats

ANN = {"user": "ann", "metadata": {"customer": "ann@example.org"}, "safety_identifier": "s", "prompt_cache_key": "k"}
BOB = {"user": "bob", "metadata": {"customer": "bob@example.org"}, "service_tier": "flex", "stream": True, "seed": 1}
REPEATING = {"id": "resp_1", "object": "response", **ANN, "service_tier": "priority", "text": "ann", "temperature": 1.0}


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"type": "response.created", "response": body}])
def test_an_answer_repeats_the_present_caller_and_nothing_of_another(wrap):
    kept = without_callers(wrap(REPEATING), ANN | {"service_tier": "priority"})
    bare = {"id": "resp_1", "object": "response", "user": None, "metadata": {}, "safety_identifier": None}
    bare |= {"prompt_cache_key": None, "service_tier": None, "text": "ann", "temperature": 1.0}
    assert kept == wrap(bare)
    assert with_callers(kept, {}) is kept
    assert with_callers(kept, {"stream": True}) is kept
    assert with_callers(kept, BOB) == wrap(bare | {"user": "bob", "metadata": BOB["metadata"], "service_tier": "flex"})
    assert kept == wrap(bare), "another caller is served from it too"


def test_an_answer_that_repeats_nothing_is_the_same_object():
    body = {"choices": [{"message": {"user": "in the answer", "metadata": {"a": 1}}}], "response": "text"}
    assert without_callers(body, ANN) is body
    assert with_callers(body, ANN) is body


def test_a_provider_may_say_how_it_answered_whom_asked_for_nothing():
    body = {"service_tier": "default"}
    assert without_callers(body, {}) is body
    assert with_callers(body, {"service_tier": "flex"}) == {"service_tier": "flex"}


WITHIN = {
    "an object": lambda fields: {"request": fields},
    "a list": lambda fields: {"x_meta": [{"a": 1}, fields]},
    "lists in lists": lambda fields: {"x": [[{"y": [fields]}]]},
    "a choice": lambda fields: {"choices": [{"index": 0, **fields}]},
    "a message": lambda fields: {"choices": [{"message": {"content": "Yes.", **fields}}]},
    "a delta": lambda fields: {"choices": [{"delta": {"content": "Yes.", **fields}}]},
    "a part": lambda fields: {"choices": [{"message": {"content": [{"type": "text", "text": "Yes.", **fields}]}}]},
    "a tool call": lambda fields: {"choices": [{"message": {"tool_calls": [{"id": "c", **fields}]}}]},
    "the usage": lambda fields: {"usage": {"total_tokens": 3, **fields}},
    "an item": lambda fields: {"output": [{"type": "message", "content": [], **fields}]},
    "an event": lambda fields: {"type": "response.completed", "response": {"x_echo": {"body": fields}}},
    "a vector": lambda fields: {"data": [{"embedding": [0.5], **fields}]},
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_the_caller_gave_is_taken_out_wherever_an_answer_repeats_it(name: str):
    given = ANN | {"service_tier": "flex", "prompt_cache_retention": "24h", "stream": True}
    fields = {field: given[field] for field in CALLERS_FIELDS & given.keys()}
    answer = WITHIN[name](fields | {"other": 1})
    bare = WITHIN[name](dict.fromkeys(fields) | {"metadata": {}, "other": 1})
    assert without_callers(answer, given) == bare
    assert answer == WITHIN[name](fields | {"other": 1}), "the present caller gets it as it came"


def test_what_a_caller_gave_is_taken_out_though_more_stands_beside_it():
    answer = {"request": {"metadata": {"customer": "ann@example.org", "added": True}, "user": {"id": "ann"}}}
    assert without_callers(answer, ANN) == {"request": {"metadata": {}, "user": {}}}


@pytest.mark.parametrize("name", ["arguments", "parsed"])
def test_what_a_model_wrote_is_left_as_it_is(name: str):
    answer = {"choices": [{"message": {name: ANN}}]}
    assert without_callers(answer, ANN) is answer


FIELDS = st.sampled_from([*sorted(CALLERS_FIELDS), "id", "usage"])
CANARIES = st.dictionaries(FIELDS, st.sampled_from(["first", {"who": "first"}, ["first"], None, 1]), max_size=8)


@given(CANARIES, CANARIES, st.booleans())
def test_no_value_of_the_first_callers_fields_is_left(repeated: dict[str, Any], given: dict[str, Any], in_event: bool):
    answer = {"type": "response.completed", "response": repeated} if in_event else repeated
    shown = with_callers(without_callers(answer, {"service_tier": "flex"}), given)
    shown = shown["response"] if in_event else shown
    for name in CALLERS_FIELDS & shown.keys():
        assert shown[name] in ([given[name]] if name in given else [None, {}])
    assert {name: shown[name] for name in ("id", "usage") if name in repeated} == {
        name: repeated[name] for name in ("id", "usage") if name in repeated
    }
