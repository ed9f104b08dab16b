"""The shape of a request: whether what the cache looks at is what the API says that it is.

Checked once, at the border. Whoever sends something else gets the provider's answer to it, past the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..text import is_name

_NUMBER = (int, float)
_SHAPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("stream", "store", "background", "logprobs", "parallel_tool_calls"), bool),
    **dict.fromkeys(("n", "temperature", "top_p", "top_logprobs", "seed", "dimensions"), _NUMBER),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), _NUMBER),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), _NUMBER),
    **dict.fromkeys(("stream_options", "logit_bias", "metadata", "extra_headers", "extra_query", "extra_body"), dict),
    **dict.fromkeys(("user", "safety_identifier", "previous_response_id", "service_tier", "encoding_format"), str),
    **dict.fromkeys(("tools", "functions", "modalities"), list),
}
"""Parameters that something is decided by; all others may be anything."""


def has_known_shape(body: Mapping[str, Any], messages: Any) -> bool:
    """Whether a request's JSON object has a model, messages (each an object) and parameters of the API's kinds.

    A null is the same as nothing given.
    """
    return (
        is_name(body.get("model"))
        and isinstance(messages, list)
        and bool(messages)
        and all(isinstance(message, dict) for message in messages)
        and all(_fits(name, body[name]) for name in body.keys() & _SHAPES.keys())
    )


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, _SHAPES[name]):
        return False
    return name != "tools" or (isinstance(value, list) and all(map(_is_tool, value)))


def _is_tool(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type", ""), str)
