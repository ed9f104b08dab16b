"""A client's request as the cache sees it: body, headers and controls in, values out. Pure."""

from .controls import controls_from_headers, controls_from_object, without_longer_ttl
from .headers import divided
from .reading import (
    AT_ONCE_BYTES,
    DEEPEST,
    MOST_VALUES,
    OWN_HEADERS,
    TOO_LARGE,
    Inbound,
    Target,
    decode_json,
    deployment_of,
    encode_json,
    gone_response,
    is_below,
    is_deeper,
    is_small,
    read,
    repeats_names,
    target_of,
    unread,
)
from .senders import CREDENTIALS, credentials_in, label_of, request_id_in

__all__ = [
    "AT_ONCE_BYTES", "CREDENTIALS", "DEEPEST", "MOST_VALUES", "OWN_HEADERS", "TOO_LARGE", "Inbound", "Target",
    "controls_from_headers", "controls_from_object", "credentials_in", "decode_json", "deployment_of", "divided",
    "encode_json", "gone_response", "is_below", "is_deeper", "is_small", "label_of", "read", "repeats_names",
    "request_id_in", "target_of", "unread", "without_longer_ttl",
]  # fmt: skip
