"""What makes two requests the same: identity, normal form, the parts of a scope, names in Redis. Pure."""

from . import names
from .identity import UNKEYED_HEADERS, Identity, Unkeyable, identify, loose_digest, normalized_digest, scope_parts
from .names import NAMESPACE_PATTERN, READABLE_KEY_PATTERN, Slot, parse_readable_key, readable_key
from .normalization import TextKind, normalize
from .parts import NONE, Part, pack, parts_of, shown, unpack
from .plain import kind_of, spaced

__all__ = [
    "NAMESPACE_PATTERN",
    "NONE",
    "READABLE_KEY_PATTERN",
    "UNKEYED_HEADERS",
    "Identity",
    "Part",
    "Slot",
    "TextKind",
    "Unkeyable",
    "identify",
    "kind_of",
    "loose_digest",
    "names",
    "normalize",
    "normalized_digest",
    "pack",
    "parse_readable_key",
    "parts_of",
    "readable_key",
    "scope_parts",
    "shown",
    "spaced",
    "unpack",
]
