"""From a request to its identity, and every Redis key name in the project.

Canonical form: msgpack with sorted maps, which is self-delimiting, so two different requests never encode alike. The
last user message's text is cut out of it and hashed beside it: everything else is the scope, and only that text is
ever compared fuzzily.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from ..models import ChatRequest

FORM = b"encore-1"
"""Version of the canonical form: a change here makes every older entry a miss."""

NAMESPACE_PATTERN = r"[A-Za-z0-9._-]{1,64}"

READABLE_KEY_PATTERN = re.compile(r"([0-9a-f]{1,3})-([0-9a-f]{64})")

# Parameters of which 1 and 1.0 are the same number on the wire. Elsewhere (tools, schemas) numbers stay as given.
_NUMBERS = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})

_STOP_WORDS = frozenset(
    {
        *("a", "an", "the", "is", "are", "was", "were", "be", "of", "to", "in", "on", "at", "for", "and", "or"),
        *("please", "can", "could", "you", "me", "tell"),
    }
)

# msgpack's float64 (0xcb) with every bit of the exponent set: NaN or an infinity, or another value's bytes by chance.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")

UNKEYED_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "cache-control", "connection", "content-length", "content-type", "host"),
        *("baggage", "idempotency-key", "sentry-trace", "traceparent", "tracestate", "user-agent", "x-amzn-trace-id"),
        *("x-correlation-id", "x-request-id"),
    }
)
"""Names in `extra_headers` that do not change the answer, beside `X-Encore-*` and `X-Stainless-*`. Every other one (a
caller's own Authorization, an organization, a beta flag) is in the key."""


class Unkeyable(Exception):
    """Raised when a request has no canonical form (NaN, cycle, lone surrogate, unknown object): it bypasses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two requests the same. Digests are SHA-256 (32 bytes).

    `scope`: everything but the last user message's text. `exact`: the whole request. `normalized`: scope and normal
    form, None where that strategy does not apply. `prompt` is the text, empty when the last message is not plain text.
    `key` is the readable key: bucket and exact digest, as `X-Encore-Key` shows it.
    """

    namespace: str
    bucket: int
    scope: bytes
    exact: bytes
    normalized: bytes | None
    prompt: str
    fuzzy: bool
    key: str


def readable_key(bucket: int, digest: bytes) -> str:
    """`0-9f86d08...`: what people see, paste and invalidate by."""
    return f"{bucket:x}-{digest.hex()}"


def parse_readable_key(key: str) -> tuple[int, bytes] | None:
    """(bucket, digest) of a readable key, None when it is not one."""
    match = READABLE_KEY_PATTERN.fullmatch(key)
    return (int(match[1], 16), bytes.fromhex(match[2])) if match else None


def identify(
    request: ChatRequest,
    namespace: str,
    *,
    user: str | None = None,
    buckets: int = 1,
    strip_stop_words: bool = False,
    max_bytes: int = 1_000_000,
) -> Identity:
    """The identity of a request in a namespace; `user` is given when the answer is personal.

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
    scope = sha256(FORM + encoded).digest()
    exact = sha256(b"exact" + scope + text_bytes).digest()
    normalized = normalized_digest(scope, text, strip_stop_words=strip_stop_words) if folds else None
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
    )


def normalized_digest(scope: bytes, text: str, *, strip_stop_words: bool = False) -> bytes | None:
    """Where the alias of a text in a scope is; None when its normal form is empty."""
    normal = normalize(text, strip_stop_words=strip_stop_words)
    return sha256(b"normal" + scope + normal.encode()).digest() if normal else None


SCOPE_PARTS = (
    *("namespace", "endpoint", "server", "model", "user", "earlier messages", "last message"),
    *("parameters", "headers"),
)
"""What the scope is made of, in the order of `scope_parts`."""


def scope_parts(request: ChatRequest, namespace: str, user: str | None) -> tuple[str, Any, tuple[Any, ...]]:
    """The text that is compared fuzzily, the form of its message without it (None: no such text), the scope's parts."""
    messages = request.messages
    headers = request.unkeyed.get("extra_headers")
    text, shape = _fuzzy_text(messages[-1]) if messages else ("", None)
    parts = (
        namespace,
        request.endpoint,
        request.base_url,
        request.model,
        user,
        messages[:-1] if shape else messages,
        shape,
        _canonical_parameters(request.parameters) if request.parameters else None,
        _keyed_headers(headers) if headers else None,
    )
    return text, shape, parts


def part_digest(part: Any) -> str:
    """What tells one value of a part from another: the first 12 digits of its canonical form's SHA-256.

    Raises what `identify` turns into Unkeyable: TypeError, ValueError and their like.
    """
    return sha256(_encode(part)).hexdigest()[:12]


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


def _keyed_headers(headers: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    named = [(name.lower(), value) for name, value in headers.items()]
    keyed = sorted(
        (name, value)
        for name, value in named
        if name not in UNKEYED_HEADERS and not name.startswith(("x-encore-", "x-stainless-"))
    )
    return keyed or None


def _plain(value: Any) -> Any:
    """What an object that msgpack does not know is on the wire: an SDK model (a tool call of an earlier answer)."""
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


# Marks of code, data and quoted text: there, case and white space may be what is asked about. The first class makes the
# search fast; what follows says which of its characters count where.
_LITERAL = re.compile(
    r"""
    [`{}<>=;:|\\$@\#_/*+^~&\[\]"“”„«»\n\r\v\f\x1c-\x1e\x85\u2028\u2029(.\-'‘’]
    (?: (?<! [(.\-'‘’] )        # anywhere; a colon announces a payload ("Correct this: ...")
      | (?<= \w\( )             # f(x)
      | (?<= \. ) (?= \w )      # 1.5, .env, U.S.
      | (?<= - ) (?<! \S- ) (?= -?\w )      # -5, grep -F, --all
      | (?<= ['‘] ) (?<! \S. ) | (?<= ['’] ) (?! \S )  # a quotation mark, not an apostrophe
    )
    """,
    re.VERBOSE,
)
_ABOUT_CASE = re.compile(r"(?:upper|lower)[ -]?case|capital(?:i[sz]| letter)|punctuat")
_CLOSING = ".!?…。！？؟।"
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_VOWELS = frozenset("aeiouy")


def normalize(text: str, *, strip_stop_words: bool = False) -> str:
    """The normal form: folds only what cannot change the meaning. Empty: the strategy does not apply.

    Unicode NFC, outer white space, white-space runs, case and closing punctuation. A text with any sign of code, data
    or quotation keeps all but the first two: `C`, `C++` and `C#`, `1.5` and `15`, `grep -F` and `grep -f` stay apart.
    Words whose case may carry meaning keep it (`US`, `MHz`, `Mg`, `vitamin C`), unless the whole text is in capitals.
    """
    folded = (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()
    if _LITERAL.search(folded):
        return folded
    if "  " in folded or not folded.isprintable():
        folded = " ".join(folded.split())
    folded = _without_closing(folded)
    if not any(map(str.isalnum, folded)):
        return ""
    lowered = folded.lower()
    if lowered != folded and not _asks_about_case(lowered):
        folded = lowered if _is_shouted(folded) else _fold_case(folded, lowered)
        if not folded.isascii():
            folded = unicodedata.normalize("NFC", folded)
    if strip_stop_words:
        folded = " ".join(word for word in folded.split(" ") if word not in _STOP_WORDS) or folded
    return folded


def _without_closing(text: str) -> str:
    bare = text.rstrip(_CLOSING)
    if not bare or bare[-1] == " ":
        # A mark that stands alone is what is asked about: "What is the meaning of !", "git add ."
        return text if bare else ""
    if "!" in text[len(bare) :] and (bare[-1].isdigit() or bare[-2:-1] in ("", " ")):
        return text  # 5! and n! are factorials
    return bare


def _asks_about_case(lowered: str) -> bool:
    likely = "case" in lowered or "capital" in lowered or "punctuat" in lowered  # cheaper than the pattern
    return likely and _ABOUT_CASE.search(lowered) is not None


def _is_shouted(text: str) -> bool:
    """Whether a sentence is written in capitals: three words of two or more letters, not only abbreviations of two."""
    if not text.isupper() or not all(letter.isupper() for letter in text if letter.isalpha()):
        return False
    lengths = [len(word) for word in _LETTERS.findall(text)]
    return len(lengths) >= 3 and max(lengths) >= 3


def _fold_case(text: str, lowered: str) -> str:
    first, space, rest = text.partition(" ")
    if text[1:] != lowered[1:]:  # else the usual case: one capital, where the sentence begins
        rest = " ".join([word if word.islower() else _fold_word(word, first=False) for word in rest.split(" ")])
    return _fold_word(first, first=True) + space + rest


def _fold_word(word: str, *, first: bool) -> str:
    lowered = word.lower()
    if lowered == word or lowered.startswith(("i'", "i’")):
        return lowered
    letters = word if word.isalpha() else "".join(filter(str.isalpha, word))
    if len(letters) == 1:
        return lowered if letters == "I" or (first and letters == "A") else word
    if letters[:2].isupper():
        return word  # US, IT, MHz, MBps
    if not letters[1:].islower():
        return lowered if len(letters) > 3 else word  # iPhone and PayPal, but kWh, dB and pH
    if len(letters) > 2:
        return lowered
    # Two letters: a word in any case where a sentence begins with it (Is, Он), else a symbol: Mg is not mg.
    is_word = not lowered.isascii() or not _VOWELS.isdisjoint(lowered)
    return lowered if first and word[0].isupper() and is_word else word


# Key names. The braces are a Redis Cluster hash tag: an entry, its aliases and its bucket's record share a slot.
# Whatever does not begin with `encore:{` can be reached by no selection.


class Slot:
    """The key names of one bucket of one namespace. Built once per bucket and kept."""

    __slots__ = ("_entry", "bucket", "namespace", "prefix", "record")

    def __init__(self, namespace: str, bucket: int) -> None:
        if not re.fullmatch(NAMESPACE_PATTERN, namespace):
            from ..errors import InvalidInput

            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        self.namespace = namespace
        self.bucket = bucket
        self.prefix = f"encore:{{{namespace}:{bucket:x}}}:".encode()
        self.record = self.prefix + b"record"
        self._entry = self.prefix + b"e:"

    def entry(self, digest: bytes) -> bytes:
        """Name of the entry (or alias) with this digest."""
        return self._entry + digest.hex().encode()

    def digest(self, name: bytes) -> bytes:
        """The digest an entry's name ends in."""
        return bytes.fromhex(name[len(self._entry) :].decode())

    @property
    def entries(self) -> bytes:
        """What the names of all entries begin with."""
        return self._entry

    def lease(self, digest: bytes, stamp_sequence: int) -> bytes:
        """Single-flight lease: per answer and per point in the history of invalidations."""
        return self.prefix + f"lease:{digest.hex()}:{stamp_sequence}".encode()

    def by_model(self, model: str) -> bytes:
        """Sorted set of a model's entries by creation time: a hint for counting, listing and walking."""
        return self.indexes + sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()

    @property
    def indexes(self) -> bytes:
        """What the names of all models' sorted sets begin with."""
        return self.prefix + b"model:"

    @property
    def models(self) -> bytes:
        """Hash of the models that have a sorted set: digest to name."""
        return self.prefix + b"models"

    @property
    def hits(self) -> bytes:
        """Sorted set of entries by how often they were served."""
        return self.prefix + b"hits"

    @property
    def hit_times(self) -> bytes:
        """Sorted set of entries by when they were served last."""
        return self.prefix + b"hit-times"

    def hits_of_part(self, part: int) -> bytes:
        """Hash of hits by entry, within one part of a day."""
        return self.prefix + b"hits:%d" % part


NAMESPACES = b"encore:namespaces"
"""Set of all namespaces ever written to (and their bucket count as `name:buckets`)."""

METRICS = "encore:metrics:"
AUDIT = b"encore:audit"
REQUESTS = b"encore:requests"
SCHEDULES = b"encore:schedules"
PINS = b"encore:pins"
POOLS = b"encore:pools"
BYPASS = b"encore:bypass"
ALERTS = b"encore:alerts"
GAUGES = b"encore:{gauges}:"
EMBEDDINGS = b"encore:vectors:"
REFRESH = b"encore:refresh:"
REFRESHES = b"encore:refreshes"
THRESHOLDS = b"encore:thresholds"
ENDED_LOGINS = b"encore:logins:ended:"
EVIDENCE = b"encore:evidence"
LOOKUPS = b"encore:lookups"
SAMPLES = b"encore:samples"
JUDGE_BUDGET = b"encore:judge:"
REFUSALS = "encore:refused:"
