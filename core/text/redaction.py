"""What of addresses and parameters may be shown. One rule for all that shows settings or a request's parameters.

Names and structure are shown, numbers and switches too; of texts only those of parameters whose values are words. A
rule that looked for names of secrets would not know the next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "***"

WORDED = frozenset(
    {
        *("model", "type", "role", "name", "format", "mode", "style", "size", "quality", "voice", "detail", "summary"),
        *("stop", "tool_choice", "effort", "reasoning_effort", "verbosity", "service_tier", "truncation"),
        *("modalities", "encoding_format", "response_format", "input_type", "include", "prompt_cache_retention"),
        *("title", "description", "enum", "const", "required", "pattern", "syntax", "search_context_size"),
    }
)
"""Parameters, and parts of parameters, whose values are words of an API or of a schema."""

_DEEPEST = 20
_SECRET = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|xox[a-z])[-_][-_A-Za-z0-9]{6,}|AKIA[A-Z0-9]{8,}|AIza[-_A-Za-z0-9]{8,}"
    r"|eyJ[-_A-Za-z0-9]{8,})|\b[Bb]earer\s"
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9]{24,}")


def masked(url: str) -> str:
    """A URL fit for a terminal: without its password and without options, which may hold one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    # A user without a password is a token.
    shown = f"{name if colon else ''}:{HIDDEN}@{host}" if at else host
    return f"{parts.scheme}://{shown}{parts.path}"


def redacted(value: Any, name: str = "", depth: int = 0) -> Any:
    """A parameter's value as it may be shown; `name` is the parameter's. Everything in it is cut to what is known."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if name in WORDED and not looks_secret(value) else HIDDEN
    if depth >= _DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            (HIDDEN if looks_secret(str(key)) else str(key)): redacted(item, str(key), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item, name, depth + 1) for item in value]
    return HIDDEN


def looks_secret(text: str) -> bool:
    """Whether a text has the form of a key or a token, wherever it was put."""
    return _SECRET.search(text) is not None or any(not found.isalpha() for found in _IDENTIFIER.findall(text))
