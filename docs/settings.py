"""Writes docs/settings.md from core/settings: `python -m docs.settings`. A test keeps the two equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import Settings
from core.settings import variable

PAGE = Path(__file__).with_suffix(".md")

SECTIONS = {
    "redis_url": "Where things are",
    "namespace": "What the cache does",
    "semantic": "Near questions",
    "provider": "The provider",
    "gateway_host": "The gateway",
    "console_url": "Logins and roles",
    "redis_timeout_seconds": "Patience",
    "alert_hit_rate": "Alerts",
    "workers": "Workers",
}
"""The first setting of each section and the section's title, in the order of `Settings`."""


def default(field: Any) -> str:
    """The default as one would write it, empty for none."""
    value = field.get_default(call_default_factory=True)
    word = getattr(value, "word", None) or getattr(value, "value", value)
    return "" if value in (None, (), {}, "") else f"`{word}`"


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield "# Settings"
    yield ""
    yield "Environment variables, or lines of a `.env` file in the folder that Encore is started in; an empty one is"
    yield "unset, and blanks, line ends and quotes around a value do not count. Durations are seconds. The provider is"
    yield "reached through the proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name."
    yield "`python -m core doctor` shows the values in effect, and all that is wrong with them; it and each start name"
    yield "`ENCORE_` variables that are no settings. This page is written by `python -m docs.settings`."
    for name, field in Settings.model_fields.items():
        if title := SECTIONS.get(name):
            yield from ("", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|")
        yield f"| `{variable(name)}` | {default(field)} | {field.description} |"


def page() -> str:
    """The text of docs/settings.md."""
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
