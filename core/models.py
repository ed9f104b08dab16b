"""The values that cross module borders: requests, completions, entries, controls, outcomes, answers.

Everything here is frozen and does no I/O. `msgspec.Struct` is used like a frozen, slotted, keyword-only dataclass; it
is chosen because building one costs a third of a frozen dataclass and a hit builds four of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self, cast

import msgspec

from .errors import InvalidInput
from .text import LONGEST_NAME, is_name, plain_tags
from .wire import OF_THE_SDK, answer_text, divided_fields, divided_headers, has_known_shape, sdk_type, unkeyed_fields

_unkeyed_arguments = lru_cache(16)(lambda endpoint: unkeyed_fields(endpoint) | {"timeout"})
UNKEYED_PARAMETERS = _unkeyed_arguments("chat")
"""Parameters of a chat that do not change the answer. Every other one, known or not, is in the key.

`user` and `safety_identifier` are the user of a personal answer. `core/wire/openai.toml` has the reasons.
"""

LONGEST_SECONDS = 315_360_000
"""Ten years: the longest duration anyone may ask for."""

MOST_TOKENS = 1 << 40
"""More in one call than any provider could have counted."""

MOST_TAGS, LONGEST_TAG, LONGEST_USER = 32, 256, 256

FUNCTION_ENDPOINT = "function"
"""The family of `cached_llm_call`: what a function makes of a model's answer is never taken for the answer itself."""


class CacheStrategy(StrEnum):
    """The most costly lookup a request may use; cheaper ones are always tried first."""

    EXACT = "exact"
    NORMALIZED = "normalized"
    SEMANTIC = "semantic"


class SemanticMode(StrEnum):
    """What semantic lookup may do in a namespace: nothing, ask a judge first, or serve above a certified threshold."""

    OFF = "off"
    JUDGE = "judge"
    SERVE = "serve"


class IndexChoice(StrEnum):
    """Where vectors are searched: in each process, or by Redis."""

    NUMPY = "numpy"
    REDIS = "redis"


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One chat-completion request, as given: nothing is reworded on its way to the provider.

    `parameters` are those that change the answer, `unkeyed` those that do not, such as `UNKEYED_PARAMETERS`. `headers`
    and `query` (by name, or as it is written) are sent along and change it too. `endpoint` is the API family
    ("chat", "responses", "embeddings"), `wire` whose form that is, `base_url` the provider's, empty for the set one.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any] = {}
    unkeyed: Mapping[str, Any] = {}
    headers: Mapping[str, Any] = {}
    query: Mapping[str, Any] | str = {}
    endpoint: str = "chat"
    wire: str = "openai"
    base_url: str = ""

    @classmethod
    def from_openai(
        cls, *, model: str, messages: Iterable[Any], base_url: str = "", endpoint: str = "chat", **arguments: Any
    ) -> Self:
        """A request from the arguments of `client.chat.completions.create`.

        Arguments that are None or the SDK's "not given" are left out, `extra_body` is merged over the rest as the SDK
        does. Raises InvalidInput for a model or messages that no provider would take.
        """
        headers: Any = {}
        untelling = None
        if "extra_headers" in arguments:
            headers, untelling = divided_headers(arguments.pop("extra_headers"))
        query = arguments.pop("extra_query", None) or {}
        if extra_body := arguments.pop("extra_body", None):
            arguments |= extra_body
            model = arguments.pop("model", model)
            messages = arguments.pop("messages", messages)
        if not is_name(model):
            raise InvalidInput("model", f"give the name of a model, at most {LONGEST_NAME} characters in one line")
        if type(messages) is not list and isinstance(messages, str | bytes | Mapping):
            raise InvalidInput("messages", 'give a list of messages, e.g. [{"role": "user", "content": "..."}]')
        plain = [message if type(message) is dict else _plain_message(message) for message in messages]
        if not plain:
            raise InvalidInput("messages", "give at least one message")
        parameters, unkeyed = divided_fields(arguments, _unkeyed_arguments(endpoint))
        if untelling:
            unkeyed["extra_headers"] = untelling
        return cls(
            model=model,
            messages=plain,
            parameters=parameters,
            unkeyed=unkeyed,
            headers=headers,
            query=query,
            endpoint=endpoint,
            base_url=base_url,
        )

    @classmethod
    def from_wire(
        cls,
        endpoint: str,
        body: Mapping[str, Any],
        *,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | str = "",
    ) -> Self | None:
        """A request from the JSON object that a client sends, None for one whose shape is not that of the API.

        `input` stands in for the messages of the other families: a text is one user message; the items of the responses
        API are messages as they are; what is to be embedded is one user message, whatever its form. `headers` and
        `query` are what may change the answer. No field is taken for an argument of the SDK, whatever its name.
        """
        given: Any = body.get("messages" if endpoint == "chat" else "input")
        if endpoint == "embeddings" or (endpoint == "responses" and isinstance(given, str)):
            given = [{"role": "user", "content": given}] if given else None
        if not has_known_shape(body, given):
            return None
        taken = ("model", "messages" if endpoint == "chat" else "input")
        fields = {name: value for name, value in body.items() if name not in taken}
        parameters, unkeyed = divided_fields(fields, unkeyed_fields(endpoint))
        return cls(
            model=body["model"],
            messages=given,
            parameters=parameters,
            unkeyed=unkeyed,
            headers=headers or {},
            query=query or {},
            endpoint=endpoint,
            base_url=base_url,
        )

    @property
    def streams(self) -> bool:
        """Whether the caller asked for a stream. Embeddings come whole."""
        return bool(self.unkeyed.get("stream")) and self.endpoint != "embeddings"

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked a stream for its usage chunk."""
        options = self.unkeyed.get("stream_options")
        return bool(isinstance(options, dict) and options.get("include_usage"))

    def to_openai(self) -> dict[str, Any]:
        """The arguments of `client.chat.completions.create` for this request, without `stream`."""
        arguments = {"model": self.model, "messages": list(self.messages), **self.parameters} | {
            name: value for name, value in self.unkeyed.items() if name not in ("stream", "stream_options")
        }
        # A field of the body may be called as an argument of the SDK is.
        extra_body = {name: arguments.pop(name) for name in OF_THE_SDK & self.parameters.keys()}
        headers = {**self.unkeyed.get("extra_headers", {}), **self.headers}
        given = {"extra_headers": headers, "extra_query": self.query, "extra_body": extra_body}
        return arguments | {name: value for name, value in given.items() if value}


def _plain_message(message: Any) -> Mapping[str, Any]:
    if isinstance(message, Mapping):
        return message
    if hasattr(message, "model_dump"):
        return cast("Mapping[str, Any]", message.model_dump(exclude_unset=True))
    raise InvalidInput("messages", f"a message is a mapping with role and content, not {type(message).__name__}")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider reported them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


class Completion(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the provider answered, in the wire shape of its endpoint (a chat completion: `choices[0].message`).

    `body` is that JSON object. Attribute access (`completion.choices[0].message.content`) goes through the SDK's own
    type, item access (`completion["choices"]`) through `body`.
    """

    body: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    def __getattr__(self, name: str) -> Any:
        # Reached only for names the struct does not have: the fields of the SDK's type.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.to_openai(), name)

    def to_openai(self) -> Any:
        """The SDK's object (`ChatCompletion`, `Response`), built once without validation, unknown fields kept."""
        built = self.__dict__.get("_openai")
        if built is None:
            built = sdk_type(self.body).construct(**self.body)
            self.__dict__["_openai"] = built
        return built

    @property
    def text(self) -> str:
        """The text of the answer, for every endpoint; empty when it has none (a tool call, an image, an embedding)."""
        return answer_text(self.body)

    @property
    def tokens(self) -> Usage:
        """Tokens of the call, zero where the provider reported none that make sense."""
        usage = self.body.get("usage")
        if not isinstance(usage, Mapping):
            return Usage()
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        return Usage(
            input_tokens=_tokens(usage.get("prompt_tokens") or usage.get("input_tokens")),
            output_tokens=_tokens(usage.get("completion_tokens") or usage.get("output_tokens")),
            cached_input_tokens=_tokens(details.get("cached_tokens")) if isinstance(details, Mapping) else 0,
        )


def _tokens(count: Any) -> int:
    # A provider's odd report must not cost the caller an answer.
    return count if isinstance(count, int) and 0 < count < MOST_TOKENS else 0


class Stamp(msgspec.Struct, frozen=True):
    """A point in a bucket's history of invalidations: which record, and how far it had come.

    Taken by a lookup, before the provider is called; a store is refused when an invalidation in between matches.
    """

    incarnation: bytes
    sequence: int


class EntryHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep, a listing and a lookup need to know of an entry without reading its answer.

    Times are Unix seconds, `cost_usd` is what the stored answer cost (None: price unknown), `latency_ms` what it took.
    An alias has `target`: the digest of the entry it stands for. `users` are digests of the names of the one user whose
    answer it is (`core.keys.user_digests`), empty for an answer that is everybody's.
    """

    digest: bytes
    scope: bytes
    namespace: str
    model: str
    incarnation: bytes
    sequence: int
    created_at: float
    fresh_until: float
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    latency_ms: float = 0.0
    target: bytes | None = None
    users: tuple[bytes, ...] = ()


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stored answer, or (with `header.target` set) an alias that names one.

    `prompt` is the last user message, `tags` what the answer depends on. Of an answer that arrived as a stream `chunks`
    is set, and assembles to `body`. `parts` are those of the scope, packed by `core.keys`; `versions`, packed by
    `core.entries`, what stood here before it was corrected: never served, and gone with the entry. Of an answer in a
    conversation `family` is packed by `core.keys`, and `history`, shortened, by `core.semantic`."""

    header: EntryHeader
    prompt: str
    tags: tuple[str, ...] = ()
    ttl_class: str = ""
    body: dict[str, Any] | None = None
    chunks: list[dict[str, Any]] | None = None
    parts: bytes = b""
    versions: bytes = b""
    family: bytes = b""
    history: bytes = b""


class Default(msgspec.Struct, frozen=True):
    """The TTL that the policy gives to the kind of question."""


class NoStore(msgspec.Struct, frozen=True):
    """The TTL of an answer that is not to be stored."""


class For(msgspec.Struct, frozen=True):
    """Store, and serve for this many seconds. Raises InvalidInput unless 1 <= seconds <= ten years."""

    seconds: float

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not 1 <= self.seconds <= LONGEST_SECONDS:
            raise InvalidInput("ttl", f"give seconds between 1 and {LONGEST_SECONDS} (ten years), or 0 for no storing")


class AtMost(For, frozen=True):
    """As `For`, but no longer than the policy has the answer kept."""


TTL = Default | NoStore | For | AtMost


def ttl(seconds: float | None) -> TTL:
    """The typed TTL of a value: None is the policy's own, 0 no storing, a number seconds. Raises InvalidInput."""
    if seconds is None:
        return Default()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidInput("ttl", "give a number of seconds")
    return NoStore() if seconds == 0 else For(seconds)


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """What one request asks of the cache, in terms of HTTP (RFC 9111, RFC 5861) and a few of its own.

    `no_cache`: do not answer from the cache, do store. `no_store`: neither. `max_age`: oldest acceptable answer, in
    seconds. `stale_if_error`: seconds past freshness an old answer may be served when the provider fails.
    `threshold` can only tighten the configured one. `tags` name what the answer depends on (`doc:123`). `user` is whom
    a personal answer belongs to. Raises InvalidInput, naming the field, for values out of range.
    """

    namespace: str | None = None
    strategy: CacheStrategy | None = None
    ttl: TTL = Default()
    threshold: float | None = None
    no_cache: bool = False
    no_store: bool = False
    max_age: float | None = None
    only_if_cached: bool = False
    stale_if_error: float | None = None
    tags: tuple[str, ...] = ()
    user: str | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InvalidInput("threshold", "give a cosine above 0, at most 1")
        for name, seconds in (("max_age", self.max_age), ("stale_if_error", self.stale_if_error)):
            if seconds is not None and not 0 <= seconds <= LONGEST_SECONDS:
                raise InvalidInput(name, f"give seconds between 0 and {LONGEST_SECONDS}")
        if self.tags:
            msgspec.structs.force_setattr(self, "tags", plain_tags(self.tags))
        if len(self.tags) > MOST_TAGS or not all(0 < len(tag) <= LONGEST_TAG for tag in self.tags):
            raise InvalidInput("tags", f"give at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters")
        if self.user is not None and not 0 < len(self.user) <= LONGEST_USER:
            raise InvalidInput("user", f"give 1 to {LONGEST_USER} characters")


NO_CONTROLS = Controls()


class OutcomeKind(StrEnum):
    """requests = hits + misses + bypasses + errors."""

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"
    ERROR = "error"


class HitDetail(StrEnum):
    """How an answer was found."""

    EXACT = "exact"
    NORMALIZED = "normalized"
    SEMANTIC = "semantic"
    ALIAS = "alias"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one request, and the reason for it. Recorded once, failures included.

    `detail` is set for hits, `copied` for those that the process served from its own memory. `reason` is one word of a
    bounded vocabulary: why it was a miss (`absent`, `expired`, ...), a bypass or an error (the provider's class of it).
    `not_stored` says why a fresh answer was not kept, `forgone` names the caution without which a miss would have been
    a hit. `latency_ms` is all that the caller waited, `lookup_ms` the cache's part, `provider_ms` the provider's.
    `saved_*` are what the served entry had cost, for hits only; `cost_usd` is what this call cost, for misses; None
    where no price is known. `scope` is the digest of the scope, empty for a bypass.
    """

    kind: OutcomeKind
    namespace: str
    model: str
    strategy: CacheStrategy
    detail: HitDetail | None = None
    stale: bool = False
    copied: bool = False
    stored: bool = False
    collapsed: bool = False
    reason: str = ""
    not_stored: str = ""
    forgone: str = ""
    ttl_class: str = ""
    similarity: float | None = None
    latency_ms: float = 0.0
    lookup_ms: float = 0.0
    provider_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    saved_input_tokens: int = 0
    saved_output_tokens: int = 0
    saved_cost_usd: float | None = None
    saved_ms: float = 0.0
    key: str = ""
    scope: bytes = b""
    at: float = 0.0

    def __str__(self) -> str:
        """The outcome as one phrase: "hit (exact)", "miss (absent), stored"."""
        words = self.kind.value
        if self.detail or self.reason:
            words += f" ({self.detail or self.reason})"
        for flag, word in ((self.stale, "stale"), (self.collapsed, "collapsed"), (self.stored, "stored")):
            if flag:
                words += f", {word}"
        return words


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A completion and how it came about.

    `key` is the entry's readable key (empty for a bypass), `age_seconds` the time since the answer was generated (0
    for a fresh one), `ttl_seconds` how long it stays fresh, `similarity` the cosine of a semantic hit.
    """

    completion: Completion
    outcome: Outcome
    key: str = ""
    age_seconds: float = 0.0
    ttl_seconds: float = 0.0
    similarity: float | None = None
