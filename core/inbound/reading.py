"""A client's HTTP request as the cache sees it, and what of it goes on to the provider.

Pure: bytes and headers in, values out. What is not recognised here is not for the cache and passes through untouched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from ..models import LONGEST_USER, ChatRequest, Controls
from ..policy import user_of
from ..wire import finite
from .controls import BODY_FIELD, controls_from_headers, controls_from_object
from .headers import keyed_of

OWN_HEADERS: Final = "x-encore-"

AT_ONCE_BYTES: Final = 100_000
"""A longer body is read, and looked up, on a thread: others shall not wait for it."""
MOST_VALUES: Final = 100_000
"""Values in the JSON of a request: with more it passes as it is."""
TOO_LARGE: Final = "too-large"
"""Why a request that is not read bypasses the cache."""
DEEPEST: Final = 100
"""JSON nested deeper goes past the cache."""

_CREDENTIALS: Final = ("authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie")
_ENDPOINTS: Final = {"/chat/completions": "chat", "/responses": "responses", "/embeddings": "embeddings"}
_DEPLOYMENT: Final = re.compile(r"/deployments/((?!\.{1,2}\Z)[\w.-]{1,200})", re.ASCII)
# Headers in which chat frontends, tracing tools and then login proxies name the person who asks, as of 2026-11, the
# closest to the person first: a frontend may be a proxy's user itself. What the proxies say is not sent on; the others
# are, and are not in the key, so a provider may answer by them. A customer may be many people; a session names nobody.
_USER_HEADERS: Final = (
    "x-openwebui-user-id",
    "x-openwebui-user-email",
    "x-openwebui-user-name",
    "x-librechat-user-id",
    "x-librechat-user-email",
    "x-litellm-end-user-id",
    "helicone-user-id",
    "langfuse_user_id",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "cf-access-authenticated-user-email",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-amzn-oidc-identity",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "tailscale-user-login",
    "x-authentik-username",
    "x-pomerium-claim-email",
    "x-webauth-user",
    "x-vouch-user",
    "x-consumer-username",
    "x-authenticated-user",
    "x-auth-user",
    "x-remote-user",
    "remote-user",
    "x-user-id",
    "x-user-email",
    "x-user",
    "x-username",
    "x-litellm-customer-id",
)
_RESPONSE: Final = re.compile(r"/responses/([\w-]{1,200})/*\Z", re.ASCII)


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


def deployment_of(base_url: str) -> str | None:
    """The deployment that a server's address names at its end, as Azure's do; None without one."""
    found = _DEPLOYMENT.search(base_url)
    return found[1] if found is not None and found.end() == len(base_url) else None


def is_below(base_url: str) -> bool:
    """Whether requests for answers at this address, relative to a provider's, go to the provider itself: to its root or
    to a deployment of it."""
    return not base_url or _DEPLOYMENT.fullmatch(base_url) is not None


def gone_response(method: str, address: str, status: int) -> str | None:
    """The id of the response that the provider has no more, by the status of its answer to a request: it has deleted
    it, or knows of none. `address` is the URL without its query.
    """
    is_gone = status in (404, 410) or (method == "DELETE" and 200 <= status < 300)
    if not is_gone or method not in ("DELETE", "GET"):
        return None
    found = _RESPONSE.search(unquote(address))
    return found[1] if found is not None else None


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an answer: what it asks of the provider and of the cache, and its bytes as they arrived.

    `body` is the JSON object without the controls, which the bytes may hold too. `credential` is a digest of the keys
    that came with it: an error may be about them. `headers` are all that came, by name in lower case. What was too
    large to be read can only bypass. `caller` is the label of whose key it came with, empty without one.
    """

    request: ChatRequest
    controls: Controls
    body: dict[str, Any]
    content: bytes
    says_controls: bool
    credential: bytes = b""
    headers: Mapping[str, str] = {}
    caller: str = ""
    is_read: bool = True

    @property
    def wants_stream(self) -> bool:
        """Whether the caller asked for a stream of an answer that can be one."""
        return self.request.streams and self.request.endpoint != "embeddings"

    @property
    def adds_usage(self) -> bool:
        """Whether the cache itself asks for the usage chunk: savings are counted from it."""
        return self.request.endpoint == "chat" and self.request.streams and not self.request.wants_usage

    def outgoing(self, *, adds_usage: bool, is_as_read: bool = True) -> bytes:
        """The body for the provider: the received bytes without the cache's controls, with usage asked for.

        `is_as_read` False: the provider could read them otherwise, and gets what was read of them.
        """
        is_as_read = is_as_read and not self.says_controls
        if is_as_read and not adds_usage:
            return self.content
        if is_as_read and "stream_options" not in self.body:
            # Put in front, so that all the rest stays as it was written.
            return b'{"stream_options":{"include_usage":true},' + self.content[self.content.index(b"{") + 1 :]
        if not adds_usage:
            return encode_json(self.body)
        options = {**(self.body.get("stream_options") or {}), "include_usage": True}
        return encode_json({**self.body, "stream_options": options})


def read(
    target: Target,
    query: str,
    headers: Mapping[str, str],
    content: bytes,
    *,
    keyed: Mapping[str, str] | None = None,
    most_bytes: int = 1_000_000,
) -> Inbound | None:
    """The request, or None when it is not one that the cache understands. Names of headers are in lower case; `keyed`
    are those in the key, by default what of them may change the answer.

    What is larger than `most_bytes`, or has too many values, is not even decoded. Raises InvalidInput for controls with
    invalid values.
    """
    body = decode_json(content) if is_small(content, most_bytes, MOST_VALUES) else None
    if body is None:
        return None
    says_controls = BODY_FIELD in body
    controls = controls_from_headers(headers)
    if says_controls and (given := body.pop(BODY_FIELD)) is not None:
        controls = controls_from_object(given, controls)
    asked = body
    if "model" not in body and (deployment := deployment_of(target.base_url)) is not None:
        asked = {**body, "model": deployment}
    request = ChatRequest.from_wire(
        target.endpoint,
        asked,
        base_url=target.base_url,
        headers=keyed_of(headers) if keyed is None else keyed,
        query=query_of(query),
    )
    if request is None:
        return None
    if user_of(request, controls) is None and (user := _user_in(headers)):
        controls = msgspec.structs.replace(controls, user=user)
    return Inbound(
        request=request,
        controls=controls,
        body=body,
        content=content,
        says_controls=says_controls,
        credential=_credential(headers),
        headers=headers,
    )


def _credential(headers: Mapping[str, str]) -> bytes:
    given = [(name, headers[name]) for name in _CREDENTIALS if name in headers]
    return sha256(repr(given).encode()).digest() if given else b""


def _user_in(headers: Mapping[str, str]) -> str:
    """The user whom a chat frontend, a tracing tool or a login proxy names; empty without one."""
    return next((headers[name][:LONGEST_USER] for name in _USER_HEADERS if headers.get(name)), "")


def unread(target: Target, headers: Mapping[str, str], content: bytes = b"") -> Inbound:
    """A request whose body is too large to be read here, or has too many values: it can only bypass. `content` is the
    whole of it, if it is there.

    Raises InvalidInput for its controls.
    """
    request = ChatRequest(model="(not read)", messages=(), endpoint=target.endpoint)
    controls = controls_from_headers(headers)
    return Inbound(request=request, controls=controls, body={}, content=content, says_controls=False, is_read=False)


def query_of(text: str) -> dict[str, str] | str:
    """A URL's query by name where nothing of it is lost by that, else as it is written."""
    if not text or "+" in text:
        return text
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        return text
    options = dict(pairs)
    return options if len(options) == len(pairs) else text


class _Repeated(Exception):
    """Raised when an object of a JSON text gives a name twice."""


def _names_once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _Repeated


def repeats_names(content: bytes) -> bool:
    """Whether an object in a JSON text gives a name twice, of which each reader takes the one it likes. Linear."""
    try:
        json.loads(content, object_pairs_hook=_names_once, parse_int=len, parse_float=len)
    except (_Repeated, ValueError, RecursionError):
        return True
    return False


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
            body = json.loads(content, parse_constant=finite, parse_float=finite)
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


_decode = msgspec.json.Decoder().decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode
