"""What schemathesis is told of bodies that it does not know: lines are sent as they are."""

from __future__ import annotations

import json
from typing import Any

import schemathesis

from core.operations.operators import JSON_LINES


@schemathesis.serializer(JSON_LINES)
def lines(context: Any, value: Any) -> bytes:
    """The example as it is, and whatever else is tried as one line."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
