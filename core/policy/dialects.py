"""What providers call things: data that grows with them, each list with the day on which it was last compared.

Finish reasons of the servers that speak the chat-completion API, where they look things up, and which models take one
temperature only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from ..wire import objects

# Finish reasons (2026-11-30: OpenAI, Azure, Anthropic, Gemini, Mistral, Cohere, DeepSeek, TGI, vLLM, SGLang, Ollama,
# llama.cpp, Together, Groq, Bedrock, watsonx, Zhipu). Compared without case and without `FINISH_REASON_` before them.

_STOPPED: Final = (
    *("stop", "stopped", "stop_sequence", "stop_token", "eos", "eos_token", "eos_id", "eot", "endoftext", "end_turn"),
    *("end", "complete", "completed", "finish", "finished"),
)
_CALLED: Final = ("tool_calls", "tool_call", "tool_use", "function_call")
_TRUNCATED: Final = (
    *("length", "model_length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens", "token_limit"),
    *("model_context_window_exceeded", "context_length_exceeded"),
)
_FILTERED: Final = (
    *("content_filter", "content_filtered", "guardrail_intervened", "refusal", "sensitive", "safety", "image_safety"),
    *("recitation", "blocklist", "prohibited_content", "spii", "error_toxic"),
)
_FAILED: Final = (
    *("error", "abort", "aborted", "cancelled", "canceled", "timeout", "time_limit", "overloaded", "network_error"),
    *("internal_error", "insufficient_system_resource", "malformed_function_call"),
)
STOPPED, CALLED, TRUNCATED, FILTERED, FAILED = "stopped", "called", "truncated", "filtered", "failed"
_ENDS: Final = {
    word: meaning
    for meaning, words in (
        (STOPPED, _STOPPED),
        (CALLED, _CALLED),
        (TRUNCATED, _TRUNCATED),
        (FILTERED, _FILTERED),
        (FAILED, _FAILED),
    )
    for word in words
}


def meaning_of(finish_reason: Any) -> str:
    """What a finish reason means: one of the five words above; empty for one that is not known."""
    if not isinstance(finish_reason, str):
        return ""
    return _ENDS.get(finish_reason.lower().removeprefix("finish_reason_"), "")


# Looking things up at the provider (2026-11-30: OpenAI, OpenRouter, Perplexity, xAI, Groq, Gemini, Mistral, Qwen,
# Zhipu, Moonshot, Hunyuan, Baichuan, ERNIE, MiniMax, Doubao, Venice, Azure, Cohere, Open WebUI, LiteLLM).

_SEARCH_PARAMETERS: Final = frozenset(
    {
        *("web_search_options", "web_search", "web_search_config", "enable_web_search", "enable_search", "search"),
        *("search_options", "search_parameters", "search_mode", "search_domain_filter", "search_recency_filter"),
        *("search_after_date_filter", "search_before_date_filter", "search_context_size", "search_tools"),
        *("return_citations", "return_images", "return_related_questions", "with_search_enhance", "deep_search"),
        *("enable_deep_search", "enable_enhancement", "force_search_enhancement", "search_info", "citation", "online"),
        *("plugins", "connectors", "mcp_servers", "data_sources", "dataSources", "vector_store_ids", "tool_ids"),
        *("venice_parameters", "features", "files", "grounding", "compound_custom", "prompt", "linkup", "webSearch"),
        *("google_search", "googleSearch", "google_search_retrieval", "url_context", "num_search_results"),
        *("retrieval", "knowledge_base", "knowledge_base_id", "agent_id", "assistant_id", "bot_id", "preset"),
    }
)
"""Parameters by which the provider looks something up, or uses what is kept there and may change."""
_CONTAINERS: Final = frozenset({"extra_body", "google"})
"""Parameters that hold others."""
_OTHER_MODELS: Final = "models"
"""The parameter with those that take over when the first one cannot answer."""
_TELLING: Final = _SEARCH_PARAMETERS | _CONTAINERS | {_OTHER_MODELS}
_OFF: Final = frozenset({"", "off", "none", "false", "disabled", "disable", "no"})

_SEARCH_WORDS: Final = (
    *("search-preview", "search-api", "web-search", "websearch", "web_search", "deep-research", "deepresearch"),
    *("deepsearch", "deep-search", "-online", ":online", "grounded", "grounding", "@preset"),
)
_SEARCH_NAMES: Final = frozenset({"sonar", "compound", "pplx", "exa", "linkup", "tavily", "perplexity"})
_FIRST_WORDS: Final = re.compile(r"(?:^|[/:@])([^-_./:@]*)")
_LONGEST_NAME: Final = 200

_SOURCES: Final = frozenset(
    {
        *(
            "citations",
            "search_results",
            "web_search",
            "web_results",
            "search_info",
            "references",
            "sources",
            "context",
        ),
        *("groundingmetadata", "grounding_metadata", "vertex_ai_grounding_metadata", "citation_metadata"),
        *(
            "citationmetadata",
            "url_context_metadata",
            "vertex_ai_url_context_metadata",
            "executed_tools",
            "annotations",
        ),
        *("related_questions", "retrieval_results", "search_queries", "web_search_queries"),
    }
)
_LOOKED_UP: Final = frozenset(
    {
        *("num_search_queries", "num_sources_used", "web_search_requests", "server_tool_use", "server_side_tool_usage"),
        *("server_side_tool_usage_details", "server_tool_use_details", "num_server_side_tools_used", "citation_tokens"),
    }
)
"""Figures of the usage that are not 0 when something was looked up."""


def searches(model: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the provider looks something up for a request, by its model or by a parameter other than its tools."""
    # A name is asked about again and again; one that nobody would give is not remembered.
    is_searching = _is_searching if len(model) <= _LONGEST_NAME else _is_searching.__wrapped__
    return is_searching(model) or (not _TELLING.isdisjoint(parameters) and _asks_to_search(parameters))


@lru_cache(1000)
def _is_searching(model: str) -> bool:
    name = model.lower()
    return any(word in name for word in _SEARCH_WORDS) or not _SEARCH_NAMES.isdisjoint(_FIRST_WORDS.findall(name))


def _asks_to_search(parameters: Mapping[str, Any]) -> bool:
    for name, value in parameters.items():
        if name in _SEARCH_PARAMETERS and not _is_off(value):
            return True
        if name in _CONTAINERS and isinstance(value, Mapping) and ("tools" in value or _asks_to_search(value)):
            return True
        if name == _OTHER_MODELS:
            names = value if isinstance(value, list) else [value]
            if any(_is_searching.__wrapped__(str(other)) for other in names):
                return True
    return False


def _is_off(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in _OFF
    if isinstance(value, Mapping):
        # An empty one switches a search on, with its defaults.
        return bool(value) and all(map(_is_off, value.values()))
    return not value


def names_sources(body: Mapping[str, Any]) -> bool:
    """Whether an answer names pages or documents that the provider has looked up."""
    usage = body.get("usage")
    return any(map(_names_sources, objects(body))) or (isinstance(usage, Mapping) and any(_looked_up(usage)))


def _names_sources(part: Mapping[str, Any]) -> bool:
    return any(part[name] and name.lower() in _SOURCES for name in part)


def _looked_up(usage: Mapping[str, Any]) -> Iterator[bool]:
    for name, value in usage.items():
        if isinstance(value, Mapping):
            yield name in _LOOKED_UP and any(value.values())
            yield from _looked_up(value)
        else:
            yield name in _LOOKED_UP and bool(value)


# Temperatures (2026-11-30: OpenAI). These models refuse every other temperature.

_ONE_TEMPERATURE: Final = re.compile(r"(?:o[134]|gpt-5)(?:-(?!chat)|[:@]|$)")
_WITH_EFFORT: Final = re.compile(r"gpt-5\.\d+(?:-(?!chat)|[:@]|$)")
ONLY_TEMPERATURE: Final = 1


def takes_one_temperature(model: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a model takes ONLY_TEMPERATURE and no other, so that to state it chooses nothing."""
    name = model.lower().rpartition("/")[2]
    if _ONE_TEMPERATURE.match(name):
        return True
    reasoning = parameters.get("reasoning")
    effort = parameters.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None)
    return bool(_WITH_EFFORT.match(name)) and effort not in (None, "none")
