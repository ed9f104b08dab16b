"""The parameters of a request as a page shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from core.errors import InvalidInput

NO_PARAMETERS = frozenset({"model", "messages", "endpoint", "base_url", "extra_headers", "extra_body", "stream"})


def given_parameters(text: str) -> dict[str, Any]:
    """Parameters given as a JSON object. Raises InvalidInput, also for names that are no parameters."""
    if not text.strip():
        return {}
    try:
        given = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidInput("parameters", "give a JSON object") from error
    if not isinstance(given, dict) or NO_PARAMETERS & given.keys():
        raise InvalidInput(
            "parameters", "give a JSON object of parameters, without those that have fields of their own"
        )
    return given
