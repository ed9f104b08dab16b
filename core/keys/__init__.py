"""What makes two requests the same: identity, normal form, the parts of a scope, names in Redis. Pure."""

from . import names
from .callables import Unnameable, function_name, readable_name
from .identity import UNKEYED_HEADERS, Identity, Unkeyable, identify, normalized_digest, scope_parts
from .names import (
    NAMESPACE_PATTERN,
    OWN_NAMESPACE_PATTERN,
    PART_SEPARATOR,
    READABLE_KEY_PATTERN,
    Slot,
    parse_readable_key,
    readable_key,
)
from .normalization import normalize
from .parts import NONE, Part, pack, parts_of, shown, unpack

__all__ = [
    "NAMESPACE_PATTERN", "NONE", "OWN_NAMESPACE_PATTERN", "PART_SEPARATOR", "READABLE_KEY_PATTERN", "UNKEYED_HEADERS",
    "Identity", "Part", "Slot", "Unkeyable", "Unnameable", "function_name", "identify", "names", "normalize",
    "normalized_digest", "pack", "parse_readable_key", "parts_of", "readable_key", "readable_name", "scope_parts",
    "shown", "unpack",
]  # fmt: skip
