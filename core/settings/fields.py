"""Kinds of fields that settings of several subjects have."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BeforeValidator

from ..keys import NAMESPACE_PATTERN, names


def _read_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        read = msgspec.json.decode(value)
        return msgspec.json.decode(read) if isinstance(read, str) else read  # quoted once more by what wrote it
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def _check_namespace(value: str) -> str:
    if not re.fullmatch(names.OWN_NAMESPACE_PATTERN, value):
        raise ValueError("use 1 to 64 letters, digits, dots, dashes and underscores")
    return value


def _check_any_namespace(value: str) -> str:
    if not re.fullmatch(NAMESPACE_PATTERN, value):
        raise ValueError("use 1 to 64 letters, digits, dots, dashes and underscores")
    return value


FROM_JSON = BeforeValidator(_read_json)
"""Reads a text as JSON; any other value is taken as it is."""

NamespaceName = Annotated[str, AfterValidator(_check_namespace)]
"""A name that can be part of a key."""

AnyNamespace = Annotated[str, AfterValidator(_check_any_namespace)]
"""A namespace, or the part of one that a caller of the gateway names."""
