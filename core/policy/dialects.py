"""What providers call things: data that grows with them, each list with the day on which it was last compared.

Finish reasons of the servers that speak the chat-completion API, where they look things up, and which models take one
temperature only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final

from ..wire import objects

# Finish reasons (2026-11-30: OpenAI, Azure, Anthropic, Gemini, Mistral, Cohere, DeepSeek, TGI, vLLM, SGLang, Ollama,
# llama.cpp, Together, Groq, Bedrock, watsonx, Zhipu). Compared without case and without `FINISH_REASON_` before them.

_STOPPED: Final = (
    *("stop", "stopped", "stop_sequence", "stop_token", "eos", "eos_token", "eos_id", "eot", "endoftext", "end_turn"),
    *("end", "complete", "completed", "finish", "finished", "done", "success", "normal"),
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
# Zhipu, Moonshot, Hunyuan, Baichuan, ERNIE, MiniMax, Doubao, Venice, Azure, Cohere, Open WebUI, LiteLLM, Dify,
# LangChain, LlamaIndex). A parameter does so when a word of its name says so; the others are listed.

_LOOKING: Final = frozenset(
    {
        *(
            "search",
            "searches",
            "searching",
            "websearch",
            "deepsearch",
            "web",
            "browse",
            "browser",
            "browsing",
            "crawl",
        ),
        *("internet", "online", "grounding", "grounded", "citation", "citations"),
        *("retrieve", "retrieval", "retriever", "retrievers", "rag", "knowledge", "kb", "corpus", "corpora", "vector"),
        *(
            "dataset",
            "datasets",
            "datasource",
            "datasources",
            "memory",
            "memories",
            "thread",
            "threads",
            "conversation",
        ),
        *(
            "conversations",
            "mcp",
            "connector",
            "connectors",
            "container",
            "containers",
            "plugin",
            "plugins",
            "assistant",
        ),
        *("assistants", "agents", "bot", "gizmo", "linkup", "tavily", "exa", "compound"),
        *("url", "urls", "link", "links", "site", "sites", "domain", "domains", "wikipedia", "news", "lookup", "live"),
        *("realtime", "fresh", "freshness", "research", "ground", "enrichments", "collection", "collections"),
        *("repository", "repositories", "repo", "repos", "skill", "skills", "integration", "integrations", "workflow"),
        *("extension", "extensions", "workspace", "space", "app", "apps", "scraper", "cached"),
    }
)
_LISTED: Final = frozenset(
    {
        *(
            "enable_enhancement",
            "force_search_enhancement",
            "return_images",
            "return_related_questions",
            "data_sources",
        ),
        *(
            "datasources",
            "data_source",
            "tool_ids",
            "tool_resources",
            "file_ids",
            "files",
            "venice_parameters",
            "features",
        ),
        *("prompt", "preset", "agent", "agent_id", "url_context", "urlcontext", "tool_servers", "toolservers"),
        *("document_id", "document_ids", "documentids", "doc_ids", "attachments", "index_name", "index_id"),
        *("filters", "namespace_id", "chat_id", "chatid", "user_location", "up_to_date"),
    }
)
_OTHERWISE: Final = frozenset(
    {
        *("use_beam_search", "beam_search", "num_beam_search", "contrastive_search", "num_thread", "num_threads"),
        *("n_threads", "threads", "low_memory", "memory_limit", "gpu_memory_utilization"),
    }
)
"""Names with such a word that are about something else."""
_SCHEMAS: Final = frozenset(
    {
        *("response_format", "text", "functions", "logit_bias", "metadata", "json_schema", "response_schema", "schema"),
        *("guided_json", "structured_outputs", "grammar", "prediction", "input_schema", "properties"),
    }
)
"""Parameters that hold names of the caller's own."""
_DEEPEST: Final = 4
_OTHER_MODELS: Final = frozenset({"model", "models", "fallback", "fallbacks", "fallback_models", "fallback_model"})
"""Parameters with models that take over when the first one cannot answer."""
_OFF: Final = frozenset({"", "off", "none", "null", "false", "disabled", "disable", "no", "never", "0"})
_CHOICES: Final = frozenset({"function", "custom", "allowed_tools", "auto", "none", "required", "any", "tool"})

_SEARCH_WORDS: Final = (
    *("search-preview", "search-api", "web-search", "websearch", "web_search", "deep-research", "deepresearch"),
    *("deepsearch", "deep-search", "-online", ":online", "grounded", "grounding", "@preset", "-gizmo", "alltools"),
    *("all-tools", "-browsing", "-internet", "jina-reader", "metaso", "andisearch", "websurf", "enable_web"),
)
_SEARCH_NAMES: Final = frozenset(
    {"sonar", "compound", "pplx", "exa", "linkup", "tavily", "perplexity", "bot", "asst", "phind", "youcom"}
)
_WORKING_NAMES: Final = frozenset(
    {
        *("rag", "lightrag", "graphrag", "kb", "knowledge", "docs", "wiki", "bot", "chatbot", "agent", "agents", "ag"),
        *(
            "assistant",
            "workspace",
            "connectors",
            "retriever",
            "pipeline",
            "live",
            "dify",
            "ragflow",
            "kagi",
            "fastgpt",
        ),
        *("webgpt", "bing", "brave", "copilot", "felo", "iask", "komo", "you", "youchat", "openperplex", "perplexica"),
        *("notebooklm", "valyu", "glean", "websearch", "crawler", "browser", "parallel"),
    }
)
"""Words anywhere in the name of a model that stands for an application, or is served by one that looks things up."""
_NAME_WORDS: Final = re.compile(r"[^-_./:@+?= ]+")
_FINE_TUNED: Final = re.compile(r"^ft:([^:]*):.*")
_FIRST_WORDS: Final = re.compile(r"(?:^|[/:@])([^-_./:@]*)")
_LAST_WORD: Final = re.compile(
    r"[-_:/+?](?:search|browse|web|net|rag|online)(?:[-_:@](?:latest|preview|beta|pro|free|[0-9-]+))*$|^gpt.*-all$"
)
_LONGEST_NAME: Final = 200

_SOURCES: Final = frozenset(
    {
        *("web_results", "references", "sources", "context", "annotations", "executed_tools", "related_questions"),
        *("documents", "source_documents", "source_nodes", "footnotes", "retrieved_chunks", "retrieved_contexts"),
        *("citationmetadata", "groundingmetadata", "urlcontextmetadata", "websearchqueries", "url_context_metadata"),
        *("vertex_ai_url_context_metadata", "source_urls", "source_attributions", "groundingattributions"),
        *(
            "urls",
            "readurls",
            "links",
            "webpages",
            "web_pages",
            "intermediate_steps",
            "evidence",
            "passages",
            "chunks",
            "hits",
        ),
        *("snippets", "attributions", "results", "docs", "pages", "followups"),
    }
)
_NAMING: Final = frozenset(
    {
        "search",
        "websearch",
        "citation",
        "citations",
        "grounding",
        "retrieval",
        "retrieved",
        "footnotes",
        "visited",
        "crawled",
    }
)
"""Words of the name under which an answer says where it is from."""
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
    return is_searching(model) or _asks_to_search(parameters, 0)


@lru_cache(1000)
def _is_searching(model: str) -> bool:
    # What a customer calls a model that is fine-tuned says nothing of it.
    name = _FINE_TUNED.sub(r"\1", model.lower())
    return (
        not _WORKING_NAMES.isdisjoint(_NAME_WORDS.findall(name))
        or any(word in name for word in _SEARCH_WORDS)
        or not _SEARCH_NAMES.isdisjoint(_FIRST_WORDS.findall(name))
        or bool(_LAST_WORD.search(name))
    )


_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def _words(name: str) -> frozenset[str]:
    """The words of a name, in lower case: `enable_webSearch` has enable, web and search."""
    return frozenset(word.lower() for word in _WORDS.findall(name))


class _About(Enum):
    """What a parameter is about, by its name."""

    SEARCH = auto()
    CHOICE = auto()
    TOOLS = auto()
    MODELS = auto()
    INCLUDE = auto()
    CALLERS = auto()
    OTHER = auto()


@lru_cache(2000)
def _about(name: str) -> _About:
    lowered = name.lower()
    if lowered in _SINGLE:
        return _SINGLE[lowered]
    if lowered in _SCHEMAS:
        return _About.CALLERS
    if lowered in _OTHER_MODELS:
        return _About.MODELS
    is_looking = lowered in _LISTED or (lowered not in _OTHERWISE and not _LOOKING.isdisjoint(_words(name)))
    return _About.SEARCH if is_looking else _About.OTHER


_SINGLE: Final = {"tools": _About.TOOLS, "tool_choice": _About.CHOICE, "include": _About.INCLUDE}


def _asks_to_search(parameters: Mapping[Any, Any], depth: int) -> bool:
    for name, value in parameters.items():
        if not isinstance(name, str):
            continue
        # Names are asked about again and again, and this is on the path of every request.
        about = _about(name) if len(name) <= _LONGEST_NAME else _about.__wrapped__(name)
        if about is _OTHER:
            if isinstance(value, dict) and (depth >= _DEEPEST or _asks_to_search(value, depth + 1)):
                return True
        elif about is not _CALLERS and _is_a_search(about, value, depth):
            return True
    return False


_OTHER: Final = _About.OTHER
_CALLERS: Final = _About.CALLERS


def _is_a_search(about: _About, value: Any, depth: int) -> bool:
    """Whether a parameter, or a field within one, asks to look something up."""
    match about:
        case _About.SEARCH:
            return not _is_off(value)
        case _About.CHOICE:
            return _chooses_a_search(value)
        case _About.TOOLS:
            return depth > 0 and bool(value)  # those of a request are judged one by one
        case _About.MODELS:
            return _is_a_searching_model(value)
        case _:
            return any("_call" in str(each) for each in (value if isinstance(value, list) else [value]))


def _chooses_a_search(value: Any) -> bool:
    """Whether a choice of tools names one that the provider runs."""
    if isinstance(value, Mapping):
        inner = value.get("allowed_tools") if isinstance(value.get("allowed_tools"), Mapping) else value
        tools = inner.get("tools") if isinstance(inner, Mapping) else None
        return value.get("type", "function") not in _CHOICES or any(
            isinstance(tool, Mapping) and tool.get("type", "function") not in _CHOICES
            for tool in (tools if isinstance(tools, list) else ())
        )
    return isinstance(value, str) and value not in _CHOICES and not _LOOKING.isdisjoint(_words(value))


def _is_a_searching_model(value: Any) -> bool:
    """Whether a model looks things up, or one in a list of models; each may be an object with its name."""
    for each in value if isinstance(value, list) else [value]:
        for name in each.values() if isinstance(each, Mapping) else [each]:
            named = name if isinstance(name, list) else [name]
            if any(isinstance(model, str) and _is_searching.__wrapped__(model) for model in named):
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
    return any(value and _is_of_sources(name) for name, value in part.items())


@lru_cache(2000)
def _names_of_sources(name: str) -> bool:
    return name.lower() in _SOURCES or not _NAMING.isdisjoint(_words(name))


def _is_of_sources(name: str) -> bool:
    return _names_of_sources(name) if len(name) <= _LONGEST_NAME else _names_of_sources.__wrapped__(name)


def _looked_up(usage: Mapping[str, Any]) -> Iterator[bool]:
    for name, value in usage.items():
        if isinstance(value, Mapping):
            yield _counts_looking(name) and any(value.values())
            yield from _looked_up(value)
        else:
            yield _counts_looking(name) and bool(value)


def _counts_looking(name: str) -> bool:
    return name in _LOOKED_UP or (len(name) <= _LONGEST_NAME and not _SEARCHES.isdisjoint(_words(name)))


_SEARCHES: Final = frozenset({"search", "searches", "websearch", "browsing", "grounding", "retrieval"})


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
