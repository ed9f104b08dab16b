"""The request log: the latest requests one by one, for looking behind the figures. Bounded, and not a source of counts.

Written at most once: what is lost in a failure stays lost, nothing is ever in it twice.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

import msgspec
import redis

from ..errors import InvalidInput
from ..keys import names
from ..models import CacheStrategy, HitDetail, Outcome, OutcomeKind
from ..stores.redis import load_script, reading, writing
from ..text import fold_words, many, printable
from .asked import NOTHING, Asked, SystemPrompts

KEEP = 5000
"""Requests in the log."""
MAX_PROMPT = 500
MAX_NAME = 200
MAX_USER = 256
MAX_TEXT = 200
"""Characters of a text that is looked for."""

_TTL_SECONDS = 7 * 86_400
_PAGE = 500
_FIELD = b"r"
SCOPE_BYTES = 8
_ID = re.compile(r"[1-9]\d{0,18}-\d{1,19}")

_APPEND = load_script(__file__, "append_requests")


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request. `caller` stands for the key it came with, empty where there was none; `user` and `request_id`
    are as the caller sent them, None where it did not or where they are not to be kept.
    """

    caller: str = ""
    user: str | None = None
    request_id: str | None = None


NOBODY = Sender()

Telling = Callable[[bool], Sender]
"""Says who sent a request; with False without the user's name and the request's id."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request may be kept and shown: the beginning of its prompt; its user's name and its sender's id of
    it."""

    prompts: bool = True
    callers: bool = False

    def of(self, record: RequestRecord) -> RequestRecord:
        """The record without what may not be shown, whoever kept it."""
        if not self.prompts and (record.prompt, record.apart) != (None, None):
            record = msgspec.structs.replace(record, prompt=None, apart=None)
        if not self.callers and (record.user, record.request_id) != (None, None):
            record = msgspec.structs.replace(record, user=None, request_id=None)
        return record


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request as it went. `id` grows with time; `at` is Unix seconds; `prompt`, `user` and `request_id` are None
    unless they may be kept.

    `caller`, `user` and `request_id` are as in `Sender`, everything else is as in `Outcome`; `prompt` is the last user
    message, cut to 500 characters. `scope` is a part of its digest, in hexadecimal. A miss has `question` and `parts`
    as in `Asked`, and `apart` where its system prompt is another than the latest ones of its namespace and model: the
    words of such a one that differ, and its own.
    """

    id: str = ""
    at: float
    kind: OutcomeKind
    namespace: str
    model: str
    strategy: CacheStrategy
    detail: HitDetail | None = None
    reason: str = ""
    not_stored: str = ""
    forgone: str = ""
    ttl_class: str = ""
    key: str = ""
    similarity: float | None = None
    stale: bool = False
    stored: bool = False
    collapsed: bool = False
    latency_ms: float = 0.0
    lookup_ms: float = 0.0
    provider_ms: float = 0.0
    saved_ms: float = 0.0
    tokens: int = 0
    saved_tokens: int = 0
    cost_usd: float | None = None
    saved_cost_usd: float | None = None
    prompt: str | None = None
    caller: str = ""
    user: str | None = None
    request_id: str | None = None
    scope: str = ""
    question: bytes = b""
    parts: bytes = b""
    apart: tuple[str, str] | None = None

    @classmethod
    def of(
        cls,
        at: float,
        outcome: Outcome,
        prompt: str | None,
        sender: Sender = NOBODY,
        asked: Asked = NOTHING,
        apart: tuple[str, str] | None = None,
    ) -> RequestRecord:
        """The record of an outcome, with texts as they may be stored."""
        return cls(
            at=at,
            kind=outcome.kind,
            namespace=printable(outcome.namespace, MAX_NAME),
            model=printable(outcome.model, MAX_NAME),
            strategy=outcome.strategy,
            detail=outcome.detail,
            reason=printable(outcome.reason, MAX_NAME),
            not_stored=printable(outcome.not_stored, MAX_NAME),
            forgone=printable(outcome.forgone, MAX_NAME),
            ttl_class=printable(outcome.ttl_class, MAX_NAME),
            key=outcome.key,
            similarity=outcome.similarity,
            stale=outcome.stale,
            stored=outcome.stored,
            collapsed=outcome.collapsed,
            latency_ms=outcome.latency_ms,
            lookup_ms=outcome.lookup_ms,
            provider_ms=outcome.provider_ms,
            saved_ms=outcome.saved_ms,
            tokens=outcome.input_tokens + outcome.output_tokens,
            saved_tokens=outcome.saved_input_tokens + outcome.saved_output_tokens,
            cost_usd=outcome.cost_usd,
            saved_cost_usd=outcome.saved_cost_usd,
            prompt=None if prompt is None else printable(prompt, MAX_PROMPT),
            caller=printable(sender.caller, MAX_NAME),
            user=None if sender.user is None else printable(sender.user, MAX_USER),
            request_id=None if sender.request_id is None else printable(sender.request_id, MAX_NAME),
            scope=outcome.scope[:SCOPE_BYTES].hex(),
            question=asked.question,
            parts=asked.parts,
            apart=None if apart is None else (printable(apart[0], MAX_NAME), printable(apart[1], MAX_NAME)),
        )

    @property
    def got_answer_at_key(self) -> bool:
        """Whether its caller got an answer that stood at its key, or that was put there for it."""
        return self.kind is OutcomeKind.HIT or self.stored or self.collapsed


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to show: every field that is not None must match. Times are Unix seconds, `ends_at` is exclusive.

    `slower_than_ms`: requests that took at least this many milliseconds. `text` stands in the prompt, the user's name,
    the request's id, the caller's label or the key, whatever its case and white space.
    """

    kind: OutcomeKind | None = None
    detail: HitDetail | None = None
    reason: str | None = None
    namespace: str | None = None
    model: str | None = None
    key: str | None = None
    ttl_class: str | None = None
    slower_than_ms: float | None = None
    starts_at: float | None = None
    ends_at: float | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.text is not None:
            msgspec.structs.force_setattr(self, "text", fold_words(self.text[:MAX_TEXT]))

    def matches(self, record: RequestRecord) -> bool:
        """Whether a record is to be shown."""
        return (
            (self.kind is None or record.kind is self.kind)
            and (self.detail is None or record.detail is self.detail)
            and (self.reason is None or self.reason in (record.reason, record.not_stored, record.forgone))
            and (self.namespace is None or record.namespace == self.namespace)
            and (self.model is None or record.model == self.model)
            and (self.key is None or record.key == self.key)
            and (self.ttl_class is None or record.ttl_class == self.ttl_class)
            and (self.slower_than_ms is None or record.latency_ms >= self.slower_than_ms)
            and (self.starts_at is None or record.at >= self.starts_at)
            and (self.ends_at is None or record.at < self.ends_at)
            and (self.text is None or _is_in(self.text, record))
        )


def _is_in(wanted: str, record: RequestRecord) -> bool:
    texts = (record.prompt, record.user, record.request_id, record.caller, record.key)
    return any(text and wanted in fold_words(text) for text in texts)


Waiting = tuple[float, Outcome, str | None, Sender, Asked]
"""A request that is to be written: when it ended (Unix seconds), what became of it, its prompt, who sent it, and what
it was asked in."""


class Recipients(msgspec.Struct, frozen=True, kw_only=True):
    """Who got the answer at a key, among the requests in the log, which go back to `since` (Unix seconds; None: no
    request). The newest first.

    `got_earlier` are those that got an answer which stood at the key before the present one.
    """

    looked_at: int
    since: float | None
    got: tuple[RequestRecord, ...] = ()
    got_earlier: tuple[RequestRecord, ...] = ()

    def words(self, since: str) -> str:
        """How many got it, and among how many. `since` is the time that the log goes back to, as the reader has it."""
        if self.since is None:
            return "The request log is empty: it does not show who got this answer"
        words = f"Of the latest {many(self.looked_at, 'request')}, since {since}, {len(self.got):,} got this answer"
        return words + (
            f", and {len(self.got_earlier):,} an earlier one to the same request" if self.got_earlier else ""
        )


class RequestLog:
    """The latest `keep` requests of all processes, or of this one without a client.

    `add` only buffers, and forgets the oldest when more than `buffer` wait; `write` sends what waits.
    """

    def __init__(
        self, client: redis.Redis | None, *, keep: int = KEEP, buffer: int = 200, kept: Kept | None = None
    ) -> None:
        self._client = client
        self._append = client.register_script(_APPEND) if client is not None else None
        self._keep = keep
        self._kept_of = (kept or Kept()).of
        self._waiting: deque[Waiting] = deque(maxlen=buffer)
        self._written: deque[RequestRecord] = deque(maxlen=keep)
        self._system_prompts = SystemPrompts()
        self._added = 0
        self._kept = 0

    def add(
        self, at: float, outcome: Outcome, prompt: str | None, sender: Sender = NOBODY, asked: Asked = NOTHING
    ) -> None:
        """Buffers one request. Not thread-safe: the caller holds a lock."""
        self._added += 1
        self._waiting.append((at, outcome, prompt, sender, asked))

    @property
    def dropped(self) -> int:
        """Requests that never came into the log: more came at once than it takes in, or a write failed."""
        return self._added - self._kept - len(self._waiting)

    def take(self) -> list[Waiting]:
        """Takes the requests that wait; the caller writes them, and holds the lock that it holds for `add`."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def write(self, waiting: Iterable[Waiting]) -> None:
        """Writes requests in one round trip. Raises CacheError, and then they are dropped."""
        records = [self._kept_of(RequestRecord.of(*item, self._apart(item))) for item in waiting]
        if not records:
            return
        if self._append is None:
            for number, record in enumerate(records, start=self._kept):
                self._written.append(msgspec.structs.replace(record, id=f"{int(record.at * 1000)}-{number}"))
        else:
            with writing():
                self._append(keys=[names.REQUESTS], args=[self._keep, _TTL_SECONDS, *map(_encode, records)])
        self._kept += len(records)

    def _apart(self, item: Waiting) -> tuple[str, str] | None:
        _, outcome, _, _, asked = item
        if asked.instructions is None:
            return None
        return self._system_prompts.apart(outcome.namespace, outcome.model, asked.instructions)

    def recent(
        self,
        limit: int = 100,
        where: RequestFilter | None = None,
        *,
        within: Callable[[str], bool] | None = None,
        before_id: str | None = None,
    ) -> list[RequestRecord]:
        """The latest records that match, newest first. `before_id` goes on from a page's last.

        `within` says of which namespaces. Raises StoreUnavailable, and InvalidInput for an id that is none.
        """
        if before_id is not None and not _ID.fullmatch(before_id):
            raise InvalidInput("before_id", "give the id of a request in the log, e.g. 1760000000000-0")
        found: list[RequestRecord] = []
        for record in self._shown(before_id, within):
            if len(found) >= limit:
                break
            if where is None or where.matches(record):
                found.append(record)
        return found

    def recipients(
        self,
        namespace: str,
        key: str,
        *,
        stored_at: float | None = None,
        within: Callable[[str], bool] | None = None,
    ) -> Recipients:
        """Who got the answer at a key, among all requests in the log. Linear in the log. Raises StoreUnavailable.

        Those that got one before `stored_at`, when the answer there was given, got an earlier one.
        """
        looked_at, since = 0, None
        got: list[RequestRecord] = []
        for record in self._shown(None, within):
            looked_at += 1
            since = record.at
            if record.key == key and record.namespace == namespace and record.got_answer_at_key:
                got.append(record)
        is_earlier = [stored_at is not None and record.at < stored_at for record in got]
        return Recipients(
            looked_at=looked_at,
            since=since,
            got=tuple(record for record, earlier in zip(got, is_earlier, strict=True) if not earlier),
            got_earlier=tuple(record for record, earlier in zip(got, is_earlier, strict=True) if earlier),
        )

    def _shown(self, before_id: str | None, within: Callable[[str], bool] | None) -> Iterator[RequestRecord]:
        """The records that may be shown, as they may be: what may not be shown cannot be looked for either."""
        for record in self._newest_first(before_id):
            if within is None or within(record.namespace):
                yield self._kept_of(record)

    def _newest_first(self, before_id: str | None) -> Iterator[RequestRecord]:
        if self._client is None:
            written = list(reversed(self._written))
            yield from (one for one in written if before_id is None or _number(one.id) < _number(before_id))
            return
        before = "+" if before_id is None else f"({before_id}"
        while True:
            with reading():
                rows = self._client.xrevrange(names.REQUESTS, max=before, count=_PAGE) or []
            for row_id, fields in rows:
                record = _decode(row_id, fields)
                if record is not None:
                    yield record
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]
            before = f"({last.decode() if isinstance(last, bytes) else last}"


_encode = msgspec.msgpack.Encoder().encode
_decoder: Callable[[bytes], RequestRecord] = msgspec.msgpack.Decoder(RequestRecord).decode


def _decode(row_id: bytes | str | None, fields: object) -> RequestRecord | None:
    """The record, None for a row that another version wrote and this one cannot read."""
    if not isinstance(fields, dict) or not isinstance(row_id, bytes):
        return None
    try:
        return msgspec.structs.replace(_decoder(fields[_FIELD]), id=row_id.decode())
    except (KeyError, msgspec.MsgspecError):
        return None


def _number(record_id: str) -> int:
    """Where a record stands among those that one process keeps: their times need not be in order."""
    return int(record_id.partition("-")[2])


def costs_of(records: Iterable[RequestRecord]) -> dict[str, float]:
    """What a fresh answer cost in US dollars, by the key of its request; the latest of each, from records given newest
    first. Without those of no price."""
    costs: dict[str, float] = {}
    for record in records:
        if record.kind is OutcomeKind.MISS and record.cost_usd is not None and record.key:
            costs.setdefault(record.key, record.cost_usd)
    return costs


class Frequent(msgspec.Struct, frozen=True, kw_only=True):
    """Requests with one entry's key, or without a key one prompt.

    `prompt` is that of the latest; None when prompts are not kept. Sums are over `count` requests.
    """

    key: str
    prompt: str | None
    model: str
    namespace: str
    count: int
    latency_ms: float
    cost_usd: float
    saved_cost_usd: float


def frequent(records: Iterable[RequestRecord], kind: OutcomeKind, limit: int = 10) -> list[Frequent]:
    """The most frequent misses or hits among records given newest first: by key, most often first.

    Requests without a key (bypasses) are grouped by their prompt, and left out when that is not kept either.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    latest: dict[tuple[str, str, str], RequestRecord] = {}
    sums: dict[tuple[str, str, str], list[float]] = {}
    for record in records:
        what = record.key or record.prompt
        if record.kind is not kind or not what:
            continue
        group = (record.namespace, record.model, what)
        counts[group] += 1
        latest.setdefault(group, record)
        total = sums.setdefault(group, [0.0, 0.0, 0.0])
        total[0] += record.latency_ms
        total[1] += record.cost_usd or 0.0
        total[2] += record.saved_cost_usd or 0.0
    return [
        Frequent(
            key=latest[group].key,
            prompt=latest[group].prompt,
            model=latest[group].model,
            namespace=latest[group].namespace,
            count=count,
            latency_ms=sums[group][0],
            cost_usd=sums[group][1],
            saved_cost_usd=sums[group][2],
        )
        for group, count in counts.most_common(limit)
    ]
