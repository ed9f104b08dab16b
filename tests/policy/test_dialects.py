"""What providers call things: how answers end, where something is looked up, which models take one temperature."""

from __future__ import annotations

from typing import Any

import pytest

from core.models import NO_CONTROLS, ChatRequest
from core.policy import PolicyLimits, bypass_reason, not_stored_reason
from core.policy.dialects import meaning_of, names_sources, searches, takes_one_temperature
from tests.fakes import a_body

LIMITS = PolicyLimits()
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


def chat(model: str = "gpt-4o", endpoint: str = "chat", **arguments: Any) -> ChatRequest:
    return ChatRequest.from_openai(
        model=model, messages=[{"role": "user", "content": "Is it raining in Oslo?"}], endpoint=endpoint, **arguments
    )


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        *((word, None) for word in ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP", "COMPLETE")),
        *((word, None) for word in ("completed", "FINISH_REASON_STOP", "EOS", "endoftext", "eot")),
        *((word, "truncated") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens")),
        *((word, "filtered") for word in ("content_filter", "SAFETY", "RECITATION", "sensitive", "error_toxic")),
        *((word, "provider-error") for word in ("error", "abort", "ERROR", "cancelled", "timeout")),
        ("insufficient_system_resource", "provider-error"),
        *((word, "shape") for word in ("tool_calls", "tool_use", "TOOL_CALL")),
        *((word, "finish-reason") for word in ("pause_turn", "unheard-of", " stop", 1, True, ["stop"], {"a": 1})),
        *((word, "unfinished") for word in (None, "", [])),
    ],
)
def test_an_answer_is_kept_when_its_finish_reason_means_stop(reason: Any, kept: str | None) -> None:
    assert not_stored_reason(a_body("Yes.", finish_reason=reason), chat(), LIMITS) == kept


def test_what_is_not_known_means_nothing() -> None:
    assert meaning_of("unheard-of") == ""


@pytest.mark.parametrize(
    "tool",
    [
        {"google_search": {}},
        {"googleSearch": {}},
        {"url_context": {}},
        {"code_execution": {}},
        {"type": "web_search"},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "web_search_preview_2025_03_11"},
        {"type": "openrouter:web_search"},
        {"type": "browser_search"},
        {"type": "x_search"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "builtin_function", "function": {"name": "$web_search"}},
        {"type": "function", "function": {"name": "$web_search"}},
        {"type": "function"},
        {"type": "function", "function": None},
        {"type": "function", "function": {}},
        {"type": "function", "function": "search"},
        {"type": "function", "name": ""},
        {"type": "function", "name": ["search"]},
        {"type": "function", "function": {"name": "f"}, "google_search": {}},
        {"type": "function", "name": "f", "google_search": {}},
        {"type": "custom"},
        {"type": "custom", "custom": {}},
        {"type": ["function"], "function": {"name": "f"}},
        {"type": None, "google_search": {}},
        {"name": "f", "input_schema": {}},
        {"functionDeclarations": [{"name": "f"}], "googleSearch": {}},
        {},
        [],
        "google_search",
        None,
        3,
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_a_tool_that_is_not_plainly_the_callers_own_bypasses(tool: Any, endpoint: str) -> None:
    assert bypass_reason(chat(tools=[FUNCTION, tool], endpoint=endpoint), NO_CONTROLS, LIMITS) == "hosted-tool"


@pytest.mark.parametrize(
    "tool",
    [
        FUNCTION,
        {"function": {"name": "f"}},
        {"type": "function", "function": {"name": "f", "strict": True, "description": "google_search"}},
        {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}},
        {"type": "function", "name": "web_search", "description": "ours", "parameters": {}, "strict": True},
        {"type": "custom", "custom": {"name": "sql"}},
        {"type": "custom", "name": "sql", "format": {"type": "text"}},
    ],
)
def test_a_tool_of_the_callers_own_is_cached(tool: Any) -> None:
    assert bypass_reason(chat(tools=[tool]), NO_CONTROLS, LIMITS) is None


@pytest.mark.parametrize(
    "parameters",
    [
        {"plugins": [{"id": "web"}]},
        {"web_search_options": {}},
        {"web_search": {"enable": True}},
        {"search_parameters": {"mode": "auto"}},
        {"search_parameters": {}},
        {"enable_search": True},
        {"search_options": {"forced_search": True}},
        {"search_recency_filter": "day"},
        {"return_citations": True},
        {"data_sources": [{"type": "azure_search"}]},
        {"dataSources": [{"type": "AzureCognitiveSearch"}]},
        {"connectors": [{"id": "web-search"}]},
        {"venice_parameters": {"enable_web_search": "auto"}},
        {"features": {"web_search": True, "image_generation": False}},
        {"mcp_servers": [{"url": "https://example.org"}]},
        {"prompt": {"id": "pmpt_1"}},
        {"preset": "news"},
        *({name: "x"} for name in ("url", "collection_name", "workflow_id", "app_id", "index_name", "workspace_slug")),
        *({name: ["x"]} for name in ("urls", "repositories", "skills", "tool_servers", "integrations", "document_ids")),
        *({name: ["x"]} for name in ("include_domains", "excludeDomains", "site", "extensions", "collections", "apps")),
        *({name: True} for name in ("use_wikipedia", "lookup", "live", "realtime", "enable_news", "ground")),
        {"google": {"cached_content": "cachedContents/1"}},
        {"models": ["gpt-4o", "perplexity/sonar"]},
        {"models": "gpt-4o:online"},
        {"extra_body": {"google": {"tools": [{"google_search": {}}]}}},
        {"google": {"google_search": {}}},
        {"extra_body": {"enable_search": True}},
        *({name: True} for name in ("use_search", "use_web_search", "web_access", "websearch", "browse", "internet")),
        *(
            {name: True}
            for name in ("search_enabled", "enable_rag", "use_rag", "memory", "enableWebSearch", "ragEnabled")
        ),
        *({name: True} for name in ("use_internet", "web", "browser_enabled", "useKnowledge", "WEB_SEARCH", "online")),
        *({name: "x"} for name in ("search_strategy", "knowledge_id", "container", "thread_id", "conversation_id")),
        *({name: ["x"]} for name in ("dataset_ids", "knowledge_base_ids", "file_ids", "memory_ids", "retriever_ids")),
        *({name: {}} for name in ("mcp_config", "rag_options", "mcpServers", "searchConfig")),
        {"rag": {"kb": "x"}},
        {"tool_config": {"google_search": {}}},
        {"tool_resources": {"file_search": {}}},
        {"toolConfig": {"retrievalConfig": {"latLng": {}}}},
        {"options": {"enable_search": True}},
        {"parameters": {"enable_search": True}},
        {"model_kwargs": {"tools": [{"google_search": {}}]}},
        {"chat_template_kwargs": {"enable_search": True}},
        {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}},
        {"fallbacks": ["sonar"]},
        {"fallbacks": [{"model": "perplexity/sonar"}]},
        {"fallbacks": [{"gpt-4o": ["gpt-4o-search-preview"]}]},
        {"fallback_models": ["gpt-4o:online"]},
        {"tool_choice": {"type": "web_search_preview"}},
        {"tool_choice": {"type": "file_search"}},
        {"tool_choice": {"type": "mcp", "server_label": "x"}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "image_generation"}]}}},
        {"tool_choice": "web_search"},
        {"include": ["web_search_call.action.sources"]},
        {"include": ["reasoning.encrypted_content", "code_interpreter_call.outputs"]},
    ],
)
def test_a_request_to_look_something_up_bypasses(parameters: dict[str, Any]) -> None:
    request = ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}], parameters=parameters)
    assert bypass_reason(request, NO_CONTROLS, LIMITS) == "hosted-tool"


@pytest.mark.parametrize(
    "parameters",
    [
        {"plugins": []},
        {"enable_search": False},
        {"search_parameters": {"mode": "off"}},
        {"venice_parameters": {"enable_web_search": "off"}},
        {"features": {"web_search": False}},
        {"web_search": "disabled"},
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
        {"extra_body": "text"},
        {"models": ["gpt-4o", "gpt-4o-mini"]},
        {"models": []},
        {"seed": 1},
        {"use_search": False},
        {"memory": None},
        {"rag": "none"},
        {"dataset_ids": []},
        {"fallbacks": ["gpt-4o", {"model": "gpt-4o-mini"}]},
        {"use_beam_search": True},
        {"options": {"num_thread": 8, "low_memory": True}},
        {"provider": {"order": ["openai"], "allow_fallbacks": True}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": {"web_search": {}}}}}},
        {"text": {"format": {"type": "json_schema", "schema": {"properties": {"memory": {}}}}}},
        {"logit_bias": {"search": 1}},
        {"tool_choice": {"type": "function", "function": {"name": "web_search"}}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
        {"tool_choice": "auto"},
        {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]},
        {"reasoning": {"effort": "low"}},
        {"chat_template_kwargs": {"enable_thinking": False, 3: {}}},
        {"prompt_cache_key": "search"},
    ],
)
def test_a_search_that_is_off_does_not(parameters: dict[str, Any]) -> None:
    request = ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}], parameters=parameters)
    assert bypass_reason(request, NO_CONTROLS, LIMITS) is None


@pytest.mark.parametrize(
    "model",
    [
        *("openai/gpt-4o:online", "meta-llama/llama-3.1-70b-instruct:free:online", "sonar", "sonar-pro"),
        *("perplexity/sonar-reasoning-pro", "openrouter:perplexity/sonar", "Sonar-Deep-Research", "pplx-70b-online"),
        *("llama-3.1-sonar-large-128k-online", "gpt-4o-search-preview", "gpt-4o-mini-search-preview-2025-03-11"),
        *("gpt-5-search-api", "o3-deep-research", "o4-mini-deep-research-2025-06-26", "groq/compound-mini"),
        *("compound-beta", "@preset/news", "jina-deepsearch-v1", "exa", "exa-pro", "x" * 220 + ":online"),
        *("google/gemini-2.5-flash:search", "kimi-search", "deepseek-r1-search", "glm-4-alltools", "gpt-4-all"),
        *("gpt-4-browsing", "gpt-4-gizmo-g-abc", "bot-20250101-abc", "asst_123", "kimi-search-2025-06-01", "qwen-web"),
        *("lightrag:latest", "rag-model", "kb-bot", "kagi/fastgpt", "ag:8c1d:20250101:weather:abc", "webgpt"),
        *("gpt-4o+web", "qwen-max?search", "bing-chat", "my-docs-qa", "openwebui-knowledge", "dify-app", "grok-4-live"),
        *("mistral-agent:ag_123", "glean/assistant", "perplexica", "graphrag/local", "chatbot-kb", "notebooklm"),
        *("gpt-4o-all", "deepseek-v3-search-beta", "ark/bot-7", "qwen-max-internet-latest", "grok-3-search:free"),
    ],
)
def test_a_model_that_looks_things_up_bypasses(model: str) -> None:
    assert bypass_reason(chat(model), NO_CONTROLS, LIMITS) == "hosted-tool"


@pytest.mark.parametrize(
    "model",
    [
        *("gpt-4o", "exaone-3.5", "openai/gpt-4o:free", "mistral-large", "sonara", "prod-searches", "x" * 220),
        *("all-minilm-l6-v2", "research-7b", "botany-13b", "webster", "text-search-ada-doc-001", "gpt-4-allegro"),
        *("ft:gpt-4o-mini:acme:support-bot:abc", "bottleneck-7b", "storage-3b", "fragment", "agentlm-70b", "alive-1"),
        *("claude-sonnet-4-5@20250929", "deepseek-ai/DeepSeek-R1", "llama3.1:8b-instruct-q4_K_M", "qwen2.5-coder:7b"),
    ],
)
def test_other_models_do_not(model: str) -> None:
    assert not searches(model, {})


URL = {"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "Weather"}}


def said(**message: Any) -> dict[str, Any]:
    body = a_body("It rains.")
    body["choices"][0]["message"] |= message
    return body


def responded(part: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "message", "status": "completed", "content": [{"type": "output_text", "text": "It rains.", **part}]}
    return {"id": "r", "status": "completed", "error": None, "output": [item]}


@pytest.mark.parametrize(
    ("body", "endpoint"),
    [
        (said(annotations=[URL]), "chat"),
        (said(citations=["https://example.org"]), "chat"),
        (said(context={"citations": [{"url": "u"}]}), "chat"),
        (said(executed_tools=[{"type": "search"}]), "chat"),
        (said(content=[{"type": "text", "text": "It rains.", "citations": [{"url": "u"}]}]), "chat"),
        (a_body("It rains.", citations=["https://example.org"]), "chat"),
        (a_body("It rains.", search_results=[{"url": "u"}]), "chat"),
        (a_body("It rains.", web_search=[{"link": "u"}]), "chat"),
        (a_body("It rains.", vertex_ai_grounding_metadata=[{"webSearchQueries": ["x"]}]), "chat"),
        (a_body("It rains.", usage={"prompt_tokens": 1, "num_sources_used": 3}), "chat"),
        (a_body("It rains.", usage={"server_tool_use": {"web_search_requests": 1}}), "chat"),
        ({**a_body("x"), "choices": [{**a_body("x")["choices"][0], "groundingMetadata": {"a": 1}}]}, "chat"),
        *(
            (a_body("It rains.", **{name: ["u"]}), "chat")
            for name in ("web_search_results", "retrieved_documents", "source_documents", "source_nodes", "footnotes")
        ),
        *(
            (a_body("It rains.", **{name: ["u"]}), "chat")
            for name in ("visitedURLs", "readURLs", "urls", "links", "webPages", "intermediate_steps", "evidence")
        ),
        *((a_body("It rains.", **{name: ["u"]}), "chat") for name in ("passages", "chunks", "snippets", "results")),
        (a_body("It rains.", usage={"prompt_tokens": 1, "web_searches": 2}), "chat"),
        *(
            (a_body("It rains.", **{name: ["u"]}), "chat")
            for name in ("documents", "searchResults", "web_citations", "retrievedChunks", "x_search_queries")
        ),
        (said(provider_specific_fields={"citations": [[{"url": "x"}]]}), "chat"),
        (a_body("It rains.", extra={"a": [{"b": {"grounding_metadata": {"x": 1}}}]}), "chat"),
        (a_body("It rains.", model_extra={"citations": ["u"]}), "chat"),
        (responded({"annotations": [{"type": "url_citation", "url": "u"}]}), "responses"),
        (responded({"annotations": [{"type": "file_citation", "file_id": "f"}]}), "responses"),
    ],
)
def test_an_answer_that_names_its_sources_is_not_kept(body: dict[str, Any], endpoint: str) -> None:
    assert not_stored_reason(body, chat(endpoint=endpoint), LIMITS) == "hosted-tool"


@pytest.mark.parametrize(
    "body",
    [
        said(annotations=[], citations=None),
        said(content="citations: none"),
        a_body("It rains.", search_results=[], usage={"num_sources_used": 0, "server_tool_use": {"x": 0}}),
        a_body("It rains.", usage=None),
        a_body("It rains.", web_search_results=[], footnotes=None, search_used=False),
        said(function_call=None, parsed={"sources": ["the model's own"]}),
    ],
)
def test_an_answer_that_could_name_some_and_does_not_is_kept(body: dict[str, Any]) -> None:
    assert not_stored_reason(body, chat(), LIMITS) is None
    assert not names_sources(body)


ERRORS: list[dict[str, Any]] = [
    {"error": {"code": 502}},
    {"error": "gone"},
    {"errors": ["gone"]},
    {"error_code": 336_100},
    {"error_msg": "gone"},
    {"object": "error"},
    {"type": "error"},
    {"base_resp": {"status_code": 1004}},
    {"Error": {"message": "gone"}},
    {"exception": "gone"},
    {"errcode": 500},
    {"errmsg": "gone"},
    {"errorCode": "x", "Errors": ["gone"]},
    {"success": False},
    {"success": "false"},
    {"ok": False},
    {"is_error": True},
    {"isError": True},
    {"status_code": 503},
    {"statusCode": "429"},
    {"status": 500},
    {"x_groq": {"error": "over capacity"}},
    {"fault": {"faultstring": "Spike arrest violation", "detail": {"errorcode": "policies.ratelimit"}}},
    {"Fault": "gone"},
    {"faultstring": "gone"},
    {"error_type": "Runtime.Exit"},
    {"err": "gone"},
    {"promptFeedback": {"blockReason": "SAFETY"}},
    {"prompt_feedback": {"block_reason": "OTHER"}},
    {"safetyRatings": [{"category": "x", "blocked": True}]},
    {"amazon-bedrock-guardrailAction": "INTERVENED"},
    {"extra": [{"deep": {"error": {"code": 1}}}]},
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_anywhere_in_an_answer_is_an_error(error: dict[str, Any]) -> None:
    choice = a_body("Yes.")["choices"][0]
    whole = a_body("Yes.") | error
    in_choice = a_body("Yes.") | {"choices": [choice | error]}
    in_message = a_body("Yes.") | {"choices": [choice, choice | {"message": choice["message"] | error}]}
    in_part = said(content=[{"type": "text", "text": "Yes."}, {"text": "no"} | error])
    for body in (whole, in_choice, in_message, in_part):
        assert not_stored_reason(body, chat(), LIMITS) == "provider-error"
    item = {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}
    for output in ([item | error], [item, {"type": "reasoning"} | error]):
        body = {"status": "completed", "output": output}
        assert not_stored_reason(body, chat(endpoint="responses"), LIMITS) == "provider-error"
    vectors = {"object": "list", "data": [{"embedding": [0.5]}, {"embedding": [0.5]} | error]}
    assert not_stored_reason(vectors, chat(endpoint="embeddings"), LIMITS) == "provider-error"


@pytest.mark.parametrize(
    "success",
    [
        *({"error": None}, {"errors": []}, {"error_code": 0}, {"error_msg": ""}, {"base_resp": {"status_code": 0}}),
        *(
            {"errcode": 0, "errmsg": "ok"},
            {"success": True},
            {"is_error": False},
            {"status": "success"},
            {"status": 200},
        ),
        *(
            {"code": 200, "message": "OK"},
            {"code": 0, "msg": "success"},
            {"code": "Success", "msg": "x"},
            {"code": None},
        ),
        *({"status_code": "200"}, {"error": "0"}, {"detail": None}, {"tools": [{"parameters": {"error": {"a": 1}}}]}),
        *({"fault": None}, {"promptFeedback": {"safetyRatings": [{"blocked": False}]}}, {"promptFeedback": {}}),
        {"amazon-bedrock-guardrailAction": "NONE"},
        *({"incomplete_details": None}, {"metadata": {"error": "ours"}}, {"x_groq": {"id": "r", "error": None}}),
        {"prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]},
    ],
)
def test_a_report_of_success_is_none(success: dict[str, Any]) -> None:
    assert not_stored_reason(a_body("Yes.", **success), chat(), LIMITS) is None


@pytest.mark.parametrize(
    "error",
    [
        *(
            {"code": 500, "message": "failed"},
            {"code": "RateLimited", "msg": "slow down"},
            {"code": 429},
            {"code": "503"},
        ),
        *({"code": 1302, "msg": "busy"}, {"detail": "Internal error"}, {"detail": [{"msg": "bad"}]}),
    ],
)
def test_what_stands_in_place_of_an_answer_is_an_error_at_its_top_alone(error: dict[str, Any]) -> None:
    assert not_stored_reason(a_body("Yes.", **error), chat(), LIMITS) == "provider-error"
    assert not_stored_reason(a_body("Yes.", extra=error), chat(), LIMITS) is None


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        *(({"status": word}, "unfinished") for word in ("failed", "error", "cancelled", "incomplete", "FAILED")),
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "truncated"),
        ({"incomplete_details": {"reason": "content_filter"}}, "filtered"),
        ({"incomplete_details": "timeout"}, "unfinished"),
        ({"native_finish_reason": "MALFORMED_FUNCTION_CALL"}, "provider-error"),
        ({"native_finish_reason": "max_tokens"}, "truncated"),
        ({"native_finish_reason": "SAFETY"}, "filtered"),
        ({"native_finish_reason": "unheard-of"}, "finish-reason"),
        ({"native_finish_reason": "end_turn", "stop_reason": "</s>"}, None),
        ({"stop_reason": "length"}, "truncated"),
        ({"content_filter_results": {"hate": {"filtered": True}}}, "filtered"),
        ({"content_filter_results": {"hate": {"filtered": False}}}, None),
        ({"partial": True}, "unfinished"),
        ({"truncated": True}, "truncated"),
        ({"truncated": False, "partial": False, "status": "completed"}, None),
    ],
)
def test_what_an_answer_says_against_itself_beside_its_finish_reason_counts(
    report: dict[str, Any], reason: Any
) -> None:
    choice = a_body("Yes.")["choices"][0]
    for body in (a_body("Yes.", **report), a_body("Yes.") | {"choices": [choice | report]}):
        assert not_stored_reason(body, chat(), LIMITS) == reason


@pytest.mark.parametrize("word", ["done", "success", "normal", "complete", "DONE"])
def test_words_that_mean_an_end_are_kept(word: str) -> None:
    assert not_stored_reason(a_body("Yes.", finish_reason=word), chat(), LIMITS) is None


def test_an_answer_nested_without_end_is_not_kept() -> None:
    deep: Any = {}
    for _ in range(10_000):
        deep = {"a": [deep]}
    assert not_stored_reason(a_body("Yes.", extra=deep), chat(), LIMITS) == "shape"


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"id": "m", "type": None}]
)
def test_an_item_that_the_provider_keeps_bypasses(item: dict[str, Any]) -> None:
    items = [item, {"role": "user", "content": "Go on"}]
    assert (
        bypass_reason(ChatRequest(model="m", messages=items, endpoint="responses"), NO_CONTROLS, LIMITS) == "stateful"
    )


@pytest.mark.parametrize(
    ("model", "parameters", "only"),
    [
        *(
            (name, {}, True)
            for name in ("o1", "o1-mini", "o1-preview-2024-09-12", "o3", "o3-mini", "o4-mini", "o1-pro")
        ),
        *((name, {}, True) for name in ("gpt-5", "gpt-5-mini", "gpt-5-nano-2025-08-07", "gpt-5-codex", "openai/gpt-5")),
        ("openai/o3:free", {}, True),
        ("gpt-5.1", {"reasoning_effort": "high"}, True),
        ("gpt-5.2", {"reasoning": {"effort": "low"}}, True),
        ("gpt-5.1", {"reasoning_effort": "none"}, False),
        ("gpt-5.1", {"reasoning": "high"}, False),
        *((name, {}, False) for name in ("gpt-5.1", "gpt-5-chat-latest", "gpt-4o", "o2", "o10", "gpt-50", "llama-o1")),
    ],
)
def test_a_temperature_that_is_a_models_only_one_chooses_nothing(
    model: str, parameters: dict[str, Any], only: bool
) -> None:
    assert takes_one_temperature(model, parameters) is only
    request = chat(model, temperature=1, **parameters)
    assert bypass_reason(request, NO_CONTROLS, LIMITS) == (None if only else "temperature")
    assert bypass_reason(chat(model, temperature=1.1, **parameters), NO_CONTROLS, LIMITS) == "temperature"
