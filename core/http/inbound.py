"""A client's HTTP request as the cache sees it, and what of it goes on to the provider.

Pure: bytes and headers in, values out. What is not recognised here is not for the cache and passes through untouched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from ..keys import UNKEYED_HEADERS
from ..models import ChatRequest, Controls
from .controls import BODY_FIELD, controls_from_headers, pop_controls

OWN_HEADERS: Final = "x-encore-"

AT_ONCE_BYTES: Final = 100_000
"""A longer body is read, and looked up, on a thread: others shall not wait for it."""
MOST_VALUES: Final = 100_000
"""Values in the JSON of a request: with more it passes as it is."""

_CREDENTIALS: Final = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie")
_ENDPOINTS: Final = {"/chat/completions": "chat", "/responses": "responses", "/embeddings": "embeddings"}
# Who calls, what carries the message and what follows it on its way: none of it changes the answer. Credentials are
# kept out because a new key for the same account must not empty the cache: callers are kept apart by namespaces.
_UNTELLING_HEADERS: Final = UNKEYED_HEADERS | {
    *("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"),
    *("dnt", "forwarded", "keep-alive", "origin", "pragma", "priority", "referer", "te", "trailer"),
    *("transfer-encoding", "upgrade", "via", "x-real-ip"),
}
_UNTELLING_PREFIXES: Final = (OWN_HEADERS, "x-stainless-", "x-forwarded-", "x-b3-", "x-datadog-", "sec-")


class Target(msgspec.Struct, frozen=True):
    """Where a request goes: the family of the API, and the server's address up to the family's path."""

    endpoint: str
    base_url: str


def target_of(method: str, address: str) -> Target | None:
    """Whether a request asks for an answer that may be cached. `address` is the URL without its query."""
    if method == "POST":
        for path, endpoint in _ENDPOINTS.items():
            if address.endswith(path):
                return Target(endpoint, address.removesuffix(path))
    return None


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an answer: what it asks of the provider and of the cache, and its bytes as they arrived.

    `body` is the JSON object without the controls, which the bytes may hold too. `credential` is a digest of the keys
    that came with it: an error may be about them.
    """

    request: ChatRequest
    controls: Controls
    body: dict[str, Any]
    content: bytes
    says_controls: bool
    credential: bytes = b""

    @property
    def wants_stream(self) -> bool:
        """Whether the caller asked for a stream of an answer that can be one."""
        return self.request.streams and self.request.endpoint != "embeddings"

    @property
    def adds_usage(self) -> bool:
        """Whether the cache itself asks for the usage chunk: savings are counted from it."""
        return self.request.endpoint == "chat" and self.request.streams and not self.request.wants_usage

    def outgoing(self, *, adds_usage: bool) -> bytes:
        """The body for the provider: the received bytes without the cache's controls, with usage asked for."""
        if not self.says_controls and not adds_usage:
            return self.content
        if not self.says_controls and "stream_options" not in self.body:
            # Put in front, so that all the rest stays as it was written.
            return b'{"stream_options":{"include_usage":true},' + self.content[self.content.index(b"{") + 1 :]
        if not adds_usage:
            return encode_json(self.body)
        options = {**(self.body.get("stream_options") or {}), "include_usage": True}
        return encode_json({**self.body, "stream_options": options})


def read(
    target: Target, query: str, headers: Mapping[str, str], content: bytes, *, most_bytes: int = 1_000_000
) -> Inbound | None:
    """The request, or None when it is not one that the cache understands. Names of headers are in lower case.

    What is larger than `most_bytes`, or has too many values, is not even decoded. Raises InvalidInput for controls with
    invalid values.
    """
    body = decode_json(content) if is_small(content, most_bytes, MOST_VALUES) else None
    if body is None:
        return None
    says_controls = BODY_FIELD in body
    controls = pop_controls(body, controls_from_headers(headers))
    request = ChatRequest.from_wire(target.endpoint, body, base_url=target.base_url, headers=_telling(headers.items()))
    if request is None:
        return None
    if query:
        # Azure's api-version, a router's options: they may change the answer.
        pairs = parse_qsl(query, keep_blank_values=True)
        options = dict(pairs)
        parameters = {**request.parameters, "extra_query": options if len(options) == len(pairs) else query}
        request = msgspec.structs.replace(request, parameters=parameters)
    return Inbound(
        request=request,
        controls=controls,
        body=body,
        content=content,
        says_controls=says_controls,
        credential=_credential(headers),
    )


def _credential(headers: Mapping[str, str]) -> bytes:
    given = [(name, headers[name]) for name in _CREDENTIALS if name in headers]
    return sha256(repr(given).encode()).digest() if given else b""


def unread(target: Target, headers: Mapping[str, str]) -> Inbound:
    """A request whose body is too large to be read here: it can only bypass. Raises InvalidInput for its controls."""
    request = ChatRequest(model="(not read)", messages=(), endpoint=target.endpoint)
    controls = controls_from_headers(headers)
    return Inbound(request=request, controls=controls, body={}, content=b"", says_controls=False)


def _telling(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers
        if name not in _UNTELLING_HEADERS
        and not name.startswith(_UNTELLING_PREFIXES)
        and not (name == "accept-language" and value == "*")
    }


def is_small(content: bytes, most_bytes: int, most_values: int) -> bool:
    """Whether JSON may be decoded: values take up to a hundred times the memory of their text, and hold everybody up.

    Counts the signs that stand before a value; those in texts count too.
    """
    size = len(content)
    if size > most_bytes:
        return False
    return size <= most_values or sum(map(content.count, (b",", b":", b"[", b"{"))) <= most_values


def decode_json(content: bytes) -> dict[str, Any] | None:
    """The JSON object in the bytes; None for anything else."""
    try:
        body = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            # Half a surrogate pair, escaped: not text, but JSON.
            body = json.loads(content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
    except RecursionError:
        return None
    return body if isinstance(body, dict) else None


def is_deeper(levels: int, content: bytes, body: dict[str, Any] | None) -> bool:
    """Whether JSON is nested deeper; `body` is what it was read as, None when it was not.

    Of what is too large to be decoded it is only seen when it is nested ten times as deep.
    """
    if content.count(b"[") + content.count(b"{") <= levels:
        return False
    decode = _decode if len(content) <= MOST_VALUES else _skip
    try:
        inner: list[Any] = [decode(content) if body is None else body]
    except msgspec.DecodeError:
        return False
    except RecursionError:
        return True
    for _ in range(levels):
        containers = [value for value in inner if isinstance(value, dict | list)]
        inner = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]
        if not inner:
            return False
    return any(isinstance(value, dict | list) for value in inner)


def encode_json(body: Mapping[str, Any]) -> bytes:
    """The JSON text of an object."""
    try:
        return _encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = msgspec.json.Decoder().decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode
