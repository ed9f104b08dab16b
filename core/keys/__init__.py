"""What makes two requests the same: identity, normal form, the parts of a scope, names in Redis. Pure."""

from . import names
from .callables import Unnameable, function_name, readable_name
from .family import Family, family_of, history_of, texts_of
from .identity import (
    SCOPE_PARTS,
    USER_BYTES,
    Identity,
    Unkeyable,
    identify,
    loose_digest,
    normalized_digest,
    response_digest,
    scope_parts,
    user_digests,
    user_pseudonym,
)
from .names import EVERYWHERE, NAMESPACE_PATTERN, READABLE_KEY_PATTERN, Slot, parse_readable_key, readable_key
from .normalization import normalize, normalize_loosely
from .parts import NONE, Part, pack, parts_of, shown, unpack
from .phrases import TextKind
from .plain import PLAIN_FUNCTION, is_plain_function, kind_of, spaced
from .reach import reach_of

__all__ = [
    "EVERYWHERE", "NAMESPACE_PATTERN", "NONE", "NOT_NAMED", "PLAIN_FUNCTION", "READABLE_KEY_PATTERN", "SCOPE_PARTS",
    "USER_BYTES", "Family", "Identity", "Part", "Slot", "TextKind", "Unkeyable", "Unnameable", "family_of",
    "function_name", "history_of", "identify", "instructions_in", "is_plain_function", "kind_of", "loose_digest",
    "names", "normalize", "normalize_loosely", "normalized_digest", "pack", "parse_readable_key", "parts_of",
    "question_digest", "reach_of", "readable_key", "readable_name", "response_digest", "scope_parts", "shown",
    "spaced", "texts_of", "unpack", "user_digests", "user_pseudonym",
]  # fmt: skip
