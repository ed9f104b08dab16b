"""ENCORE_ variables that name no setting: most likely misspelt, and without effect."""

from __future__ import annotations

import re
from difflib import get_close_matches

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from ..text import printable
from .settings import Settings, variable

MOST_NAMED = 5
LONGEST_NAME = 60

_OF_TESTS = ("ENCORE_TEST_", "ENCORE_SOAK_")
# What Kubernetes and Docker set in every container for a service whose name begins with "encore".
_OF_A_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")


def unknown_settings() -> str:
    """One line that names the ENCORE_ variables, set now or in `.env`, that are no settings; empty when there are none.

    Values are not shown.
    """
    try:
        given = {**DotEnvSettingsSource(Settings).env_vars, **EnvSettingsSource(Settings).env_vars}
    except (OSError, UnicodeDecodeError):  # said where the settings are read
        return ""
    known = [variable(name) for name in Settings.model_fields]
    unknown = sorted(
        name
        for name, value in ((name.upper(), value) for name, value in given.items())
        if name.startswith("ENCORE_")
        and name not in known
        and not name.startswith(_OF_TESTS)
        and not _OF_A_SERVICE.search(name)
        and not (name.endswith("_PORT") and "://" in (value or ""))
    )
    if not unknown:
        return ""
    named = [printable(name, LONGEST_NAME) + _meant(name, known) for name in unknown[:MOST_NAMED]]
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    return f"Without effect, since there is no such setting: {', '.join(named)}{more}."


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name[:LONGEST_NAME], known, n=1, cutoff=0.8)
    return f" (did you mean {near[0]}?)" if near else ""
