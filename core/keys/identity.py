"""From a request to its identity, and every Redis key name in the project.

Canonical form: msgpack with sorted maps, which is self-delimiting, so two different requests never encode alike. The
last user message's text is cut out of it and hashed beside it: everything else is the scope, and only that text is
ever compared fuzzily.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from ..errors import InvalidInput
from ..models import LONGEST_USER, ChatRequest
from ..text import nfc
from .names import FORM, readable_key
from .normalization import is_literal, is_unsure, normalize, normalize_loosely
from .phrases import TextKind
from .plain import kind_of_request

_FORM = b"encore-%d" % FORM


# Parameters of which 1 and 1.0 are the same number on the wire. Elsewhere (tools, schemas) numbers stay as given.
_NUMBERS = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})


# msgpack's float64 (0xcb) with every bit of the exponent set: NaN or an infinity, or another value's bytes by chance.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")


class Unkeyable(Exception):
    """Raised when a request has no canonical form (NaN, cycle, lone surrogate, unknown object): it bypasses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two requests the same. Digests are SHA-256 (32 bytes).

    `scope`: everything but the last user message's text. `exact`: the whole request. `normalized`: scope and normal
    form, None where that strategy does not apply; `kind` says how far it folds. `prompt` is the text, empty when the
    last message is not plain text. `key` is the readable key: bucket and exact digest, as `X-Encore-Key` shows it.
    `parts` are what the scope is made of, in the order of `SCOPE_PARTS`. `converses`: there is a history, and near
    questions of other conversations may be looked for (`core.keys.family`); `asker` is who asks then, if named.
    """

    namespace: str
    bucket: int
    scope: bytes
    exact: bytes
    normalized: bytes | None
    prompt: str
    fuzzy: bool
    key: str
    parts: tuple[Any, ...] = ()
    kind: TextKind = TextKind.MATERIAL
    converses: bool = False
    asker: Any = None

    def system_prompt(self, *, begin: int, end: int) -> str:
        """The instructions to the model; of longer ones `begin` characters and the last `end`. Empty without any."""
        named = dict(zip(SCOPE_PARTS, self.parts, strict=False))
        texts = list(_texts((named.get("parameters") or {}).get("instructions")))
        earlier = named.get("earlier messages") or ()
        for message in earlier[: leading_instructions(earlier)]:
            texts += _texts(message.get("content"))
        text = "\n".join(texts)
        return text if len(text) <= begin + end else f"{text[:begin]}\n{text[-end:]}"

    def earlier_turns(self, most: int) -> list[tuple[str, str]]:
        """Who said what in the last messages before the last one, the oldest first; instructions are left out."""
        named = dict(zip(SCOPE_PARTS, self.parts, strict=False))
        found: list[tuple[str, str]] = []
        for message in reversed(named.get("earlier messages") or ()):
            role = message.get("role")
            text = "\n".join(_texts(message.get("content")))
            if text and isinstance(role, str) and role not in _SYSTEM_ROLES:
                found.append((role, text))
            if len(found) == most:
                break
        return found[::-1]

    @property
    def may_be_material(self) -> bool:
        """Whether the normal form folds less than it could, because the text may be material to work on."""
        if self.normalized is None or is_literal(self.prompt):
            return False
        return self.kind is TextKind.MATERIAL or is_unsure(self.prompt, self.kind)


def identify(
    request: ChatRequest,
    namespace: str,
    *,
    user: Any = None,
    buckets: int = 1,
    strip_stop_words: bool = False,
    plain_prompts: frozenset[str] = frozenset(),
    max_bytes: int = 1_000_000,
    converses: bool = False,
    asker: Any = None,
) -> Identity:
    """The identity of a request in a namespace; `user` is given when the answer is that user's own.

    `plain_prompts` are the operator's own system texts under which a question is plainly a question (`spaced`).
    `converses` and `asker` are for requests with a history.

    Raises Unkeyable when the request has no canonical form or is larger than `max_bytes`.
    """
    try:
        text, shape, parts = scope_parts(request, namespace, user)
        encoded = _encode(parts)
        text_bytes = text.encode()
        if len(encoded) + len(text_bytes) > max_bytes:
            raise Unkeyable("too-large")
        # msgpack carries NaN and infinities; JSON cannot, so there is no such request.
        if _NOT_FINITE.search(encoded) and not _is_finite(_decode(encoded)):
            raise Unkeyable("not-a-number")
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError, NotImplementedError) as error:
        raise Unkeyable("unencodable") from error
    # A vector belongs to these very characters.
    folds = shape is not None and request.endpoint != "embeddings"
    scope = sha256(_FORM + encoded).digest()
    has_history = converses and folds and len(request.messages) > 1 + leading_instructions(request.messages)
    exact = sha256(b"exact" + scope + text_bytes).digest()
    kind = kind_of_request(request, text, shape, plain_prompts) if folds else TextKind.MATERIAL
    normalized = normalized_digest(scope, text, kind, strip_stop_words=strip_stop_words) if folds else None
    bucket = int.from_bytes((normalized or exact)[:4], "big") % buckets if buckets > 1 else 0
    return Identity(
        namespace=namespace,
        bucket=bucket,
        scope=scope,
        exact=exact,
        normalized=normalized,
        prompt=text,
        fuzzy=shape is not None,
        key=readable_key(bucket, exact),
        parts=parts,
        kind=kind,
        converses=has_history,
        asker=asker if has_history else None,
    )


def scope_digest(parts: Sequence[Any]) -> bytes:
    """The scope that is made of parts."""
    return sha256(_FORM + _encode(tuple(parts))).digest()


def canonical(value: Any) -> bytes:
    """The canonical form of a value of a request. Raises TypeError or ValueError for one without."""
    return _encode(value)


def normalized_digest(scope: bytes, text: str, kind: TextKind, *, strip_stop_words: bool = False) -> bytes | None:
    """Where the alias of a text in a scope is; None when its normal form is empty. Two kinds never share one."""
    normal = normalize(text, kind, strip_stop_words=strip_stop_words)
    return sha256(b"normal" + _KIND[kind] + scope + normal.encode()).digest() if normal else None


def loose_digest(scope: bytes, text: str, *, strip_stop_words: bool = False) -> bytes | None:
    """What texts would share that `normalize_loosely` makes equal. Nothing is stored there."""
    normal = normalize_loosely(text, strip_stop_words=strip_stop_words)
    return sha256(b"loose" + scope + normal.encode()).digest() if normal else None


_KIND = {TextKind.QUESTION: b"q", TextKind.ORDER: b"o", TextKind.MATERIAL: b"m"}


def response_digest(namespace: str, response_id: str) -> bytes:
    """Where it is noted which stored answer is the response of this id."""
    return sha256(b"response" + _encode((_FORM, namespace, response_id))).digest()


USER_BYTES = 16


def user_digests(namespace: str, user: Any) -> tuple[bytes, ...]:
    """What an answer keeps of the user whose it is, USER_BYTES for each of the names given; none for everybody's.

    Whoever is named by two names together is found by either. Nobody is named alike in two namespaces.
    """
    if user is None:
        return ()
    given = user if isinstance(user, list) and len(user) == 2 else [user]
    return tuple(_user_digest(namespace, each) for each in given)


def user_pseudonym(namespace: str, user: str) -> str:
    """A user's name as criteria, audit and schedules have it: one that does not say it. Raises InvalidInput."""
    if not isinstance(user, str) or not user or len(user) > LONGEST_USER:
        raise InvalidInput("user", f"give 1 to {LONGEST_USER} characters")
    try:
        return "u-" + _user_digest(namespace, user).hex()
    except UnicodeEncodeError:
        raise InvalidInput("user", "has a character that cannot be encoded (a lone surrogate)") from None


def _user_digest(namespace: str, user: Any) -> bytes:
    # 5 and "5" are two users to the scope, and one to a person who asks to be forgotten.
    # Nor do white space around a name and its Unicode form make two.
    name = (
        nfc(user.strip()).encode()
        if isinstance(user, str)
        else msgspec.json.encode(user, order="sorted", enc_hook=_plain)
    )
    return sha256(b"user" + _encode((namespace, name))).digest()[:USER_BYTES]


PART_DIGEST_BYTES = 6

SCOPE_PARTS = (
    *("namespace", "wire form", "endpoint", "server", "model", "user", "earlier messages", "last message"),
    *("parameters", "query", "headers"),
)
"""What the scope is made of, in the order of `scope_parts`."""


def scope_parts(request: ChatRequest, namespace: str, user: Any) -> tuple[str, Any, tuple[Any, ...]]:
    """The text that is compared fuzzily, the form of its message without it (None: no such text), the scope's parts."""
    messages = request.messages
    text, shape = _fuzzy_text(messages[-1]) if messages else ("", None)
    parts = (
        namespace,
        request.wire,
        request.endpoint,
        request.base_url,
        request.model,
        user,
        messages[:-1] if shape else messages,
        shape,
        _canonical_parameters(request.parameters) if request.parameters else None,
        request.query or None,
        _by_name(request.headers) if request.headers else None,
    )
    return text, shape, parts


_SYSTEM_ROLES = ("system", "developer")


def leading_instructions(messages: Sequence[Any]) -> int:
    """How many messages at the beginning are instructions to the model."""
    for number, message in enumerate(messages):
        if not (isinstance(message, Mapping) and message.get("role") in _SYSTEM_ROLES):
            return number
    return len(messages)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]


def part_digests(values: Iterable[Any]) -> list[bytes | None]:
    """A digest of each part's value: 6 bytes of its canonical form's SHA-256; None without such a form."""
    digests: list[bytes | None] = []
    for value in values:
        try:
            digests.append(sha256(_encode(value)).digest()[:PART_DIGEST_BYTES])
        except (TypeError, ValueError, AttributeError, RecursionError, OverflowError, NotImplementedError):
            digests.append(None)
    return digests


def _fuzzy_text(message: Mapping[str, Any]) -> tuple[str, Any]:
    """The text that may be compared fuzzily, and the message without it; ("", None) when there is none."""
    if message.get("role") != "user":
        return "", None
    content = message.get("content")
    if isinstance(content, str):
        return content, ("text", {name: value for name, value in message.items() if name != "content"})
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], Mapping):
        part = content[0]
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            bare = {name: value for name, value in message.items() if name != "content"}
            return part["text"], ("part", bare, {name: value for name, value in part.items() if name != "text"})
    return "", None


def _canonical_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    canonical = dict(parameters)
    for name in _NUMBERS & canonical.keys():
        value = canonical[name]
        if isinstance(value, float) and value.is_integer():
            canonical[name] = int(value)
    if biases := canonical.get("logit_bias"):
        # Token ids: {50256: -100} and {"50256": -100} are the same JSON.
        canonical["logit_bias"] = sorted((str(token), bias) for token, bias in biases.items())
    return canonical


def _by_name(headers: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name.lower(), value) for name, value in headers.items())


def _plain(value: Any) -> Any:
    """The wire form of an object unknown to msgpack: an SDK model, such as a tool call of an earlier answer."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    raise NotImplementedError(type(value).__name__)


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))


_encode = msgspec.msgpack.Encoder(order="sorted", enc_hook=_plain).encode
_decode = msgspec.msgpack.Decoder().decode
