"""What an invalidation selects, and the record that makes it effective at once. Pure: no store, no clock.

Per namespace and bucket there is one invalidation record: a random incarnation, a sequence number that grows with each
invalidation, a floor below which no store is accepted, and the active bans. A lookup reads it together with the entry;
an entry is hidden when a ban newer than it matches. Every change is a function record -> record; a store applies it by
compare-and-swap.
"""

from __future__ import annotations

import fnmatch
import math
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, Protocol

import msgspec

from ..errors import DecodeError, InvalidationNotFound, InvalidationRefused, InvalidInput
from ..keys.identity import NAMESPACE_PATTERN, parse_readable_key
from ..models import CacheEntry, Stamp

MAX_ACTIVE_BANS = 64
MAX_PATTERN_LENGTH = 256
MAX_WILDCARDS = 16
MAX_KEYWORDS = 16
MAX_TAGS = 32
SPENT_SECONDS = 7200.0
"""Longer than any answer takes; should one take longer still, the floor refuses it."""
COPIES_SECONDS = 1.0
"""The longest time a process may serve its own copies without looking at the record again."""
CLOCKS_SECONDS = 60.0
"""How far apart the clocks of two machines may be."""


class Selectable(Protocol):
    """What criteria look at beside the text: a whole header, or no more than that."""

    @property
    def digest(self) -> bytes: ...
    @property
    def target(self) -> bytes | None: ...
    @property
    def model(self) -> str: ...
    @property
    def created_at(self) -> float: ...


class Criteria(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to invalidate: every field given must match (AND). Raises InvalidInput naming the field.

    `model`: exact name. `pattern`: a glob (`*`, `?`, `[ab]`) over the whole prompt text or the readable key, case
    counts. `created_before`: Unix seconds. `keywords`: literal text, case folded, `any` or `all` of them. `tags`: any
    of them. `key`: one entry by its readable key. `all`: everything in the namespace, alone. `namespace`: None is the
    configured one.
    """

    namespace: str | None = None
    model: str | None = None
    pattern: str | None = None
    created_before: float | None = None
    keywords: tuple[str, ...] = ()
    keyword_mode: Literal["any", "all"] = "any"
    tags: tuple[str, ...] = ()
    key: str | None = None
    all: bool = False

    def __post_init__(self) -> None:
        if self.namespace is not None and not re.fullmatch(NAMESPACE_PATTERN, self.namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        selectors = (
            self.model is not None,
            self.pattern is not None,
            self.created_before is not None,
            bool(self.keywords),
            bool(self.tags),
            self.key is not None,
        )
        if self.all and any(selectors):
            raise InvalidInput("all", "selects everything; give it alone")
        if not self.all and not any(selectors):
            raise InvalidInput(
                "criteria", "give a model, pattern, age, keyword, tag or key, or all (--everything) for everything"
            )
        self._check_model()
        if self.pattern is not None:
            _check_pattern(self.pattern)
        self._check_age()
        self._check_words()
        if self.key is not None and parse_readable_key(self.key) is None:
            raise InvalidInput("key", "is not a key of this cache; it looks like 0-9f86d081... (64 hex digits)")
        self._check_encodable()

    def _check_encodable(self) -> None:
        """A lone surrogate is a character of no text that was ever sent, and cannot be stored."""
        for name, text in (
            ("model", self.model or ""),
            ("pattern", self.pattern or ""),
            ("keywords", "".join(self.keywords)),
            ("tags", "".join(self.tags)),
        ):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise InvalidInput(name, "has a character that cannot be encoded (a lone surrogate)") from None

    def _check_model(self) -> None:
        if self.model is None:
            return
        if not isinstance(self.model, str) or not self.model.strip() or len(self.model) > 256:
            raise InvalidInput("model", "give the model's exact name, at most 256 characters")

    def _check_age(self) -> None:
        cutoff = self.created_before
        if cutoff is None:
            return
        if isinstance(cutoff, bool) or not isinstance(cutoff, int | float) or not 0 < cutoff < 1e11:
            raise InvalidInput("created_before", "give a time as Unix seconds")

    def _check_words(self) -> None:
        if self.keyword_mode not in ("any", "all"):
            raise InvalidInput("keyword_mode", "is any or all")
        for name, words, most, shortest in (
            ("keywords", self.keywords, MAX_KEYWORDS, 2),
            ("tags", self.tags, MAX_TAGS, 1),
        ):
            if isinstance(words, str) or len(words) > most:
                raise InvalidInput(name, f"give a list of at most {most}")
            for word in words:
                if not isinstance(word, str) or not shortest <= len(word.strip()) or len(word) > 256:
                    raise InvalidInput(name, f"each has {shortest} to 256 characters")

    def matches(self, header: Selectable, prompt: str, tags: tuple[str, ...]) -> bool:
        """Whether an entry (or an alias, with its own prompt) is selected. The namespace is the caller's business."""
        if self.model is not None and self.model != header.model:
            return False
        if self.created_before is not None and header.created_at >= self.created_before:
            return False
        if self.key is not None and self.digest not in (header.digest, header.target):
            return False
        if self.tags and not any(tag in tags for tag in self.tags):
            return False
        if self.keywords and not _has_keywords(prompt, self.keywords, self.keyword_mode):
            return False
        if self.pattern is None:
            return True
        matches_text, matches_digest = _matchers(self.pattern)
        if matches_text(prompt if prompt.isascii() else unicodedata.normalize("NFC", prompt)):
            return True
        return matches_digest is not None and matches_digest(header.digest.hex())

    @property
    def digest(self) -> bytes | None:
        """The digest in the key; None without one."""
        parsed = parse_readable_key(self.key) if self.key is not None else None
        return parsed[1] if parsed is not None else None

    @property
    def needs_text(self) -> bool:
        """Whether the header alone cannot tell: the prompt or the tags are needed."""
        return self.pattern is not None or bool(self.keywords) or bool(self.tags)

    @property
    def may_match_digest(self) -> bool:
        """Whether the pattern may select an entry by its key, whatever its prompt."""
        return self.pattern is not None and _matchers(self.pattern)[1] is not None

    @property
    def is_listed(self) -> bool:
        """Whether the index of models tells: nothing but a model or an age is asked for, or everything."""
        return self.key is None and not self.needs_text

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: object) -> Criteria:
        """The other way. Raises InvalidInput for unknown fields or wrong types."""
        if isinstance(plain, dict) and (
            unknown := plain.keys() - {field.name for field in msgspec.structs.fields(cls)}
        ):
            raise InvalidInput(str(min(unknown, key=str)), "is no field of the criteria")
        try:
            return msgspec.convert(plain, cls)
        except InvalidInput:
            raise
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, InvalidInput):
                raise error.__cause__ from None
            raise InvalidInput("criteria", str(error)) from None

    def __str__(self) -> str:
        """One phrase for people: `model gpt-4o, older than 2026-11-20 10:00 UTC`."""
        from datetime import UTC, datetime

        if self.all:
            return "everything"
        words = []
        if self.key:
            words.append(f"key {self.key[:14]}…")
        if self.model:
            words.append(f"model {self.model}")
        if self.pattern:
            words.append(f"pattern {self.pattern}")
        if self.keywords:
            words.append(f"{self.keyword_mode} of " + ", ".join(f"“{word}”" for word in self.keywords))
        if self.tags:
            words.append("tag " + ", ".join(self.tags))
        if self.created_before:
            words.append(f"created before {datetime.fromtimestamp(self.created_before, UTC):%Y-%m-%d %H:%M:%S} UTC")
        return ", ".join(words)


_BUCKET = re.compile(r"^[0-9a-f]{1,3}-")


def _check_pattern(pattern: str) -> None:
    if not isinstance(pattern, str) or not pattern:
        raise InvalidInput("pattern", "give a glob, e.g. *refund*")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidInput("pattern", f"has more than {MAX_PATTERN_LENGTH} characters")
    if sum(pattern.count(sign) for sign in "*?[") > MAX_WILDCARDS:
        raise InvalidInput("pattern", f"has more than {MAX_WILDCARDS} wildcards")
    if not pattern.strip("*? "):
        raise InvalidInput("pattern", "matches everything; to invalidate everything use all (--everything)")


Matcher = Callable[[str], bool]


@lru_cache(maxsize=256)
def _matchers(pattern: str) -> tuple[Matcher, Matcher | None]:
    """What matches texts in NFC, and what matches hex digests, None for a pattern that cannot match one."""
    of_digest = _BUCKET.sub("", pattern)
    may_match_digest = "[" in of_digest or not of_digest.strip("0123456789abcdef*?")
    return _matcher(unicodedata.normalize("NFC", pattern)), _matcher(of_digest) if may_match_digest else None


def _matcher(pattern: str) -> Matcher:
    if "?" in pattern or "[" in pattern:
        # fnmatch's translation joins the pieces between stars with atomic groups: linear in the text, no backtracking.
        match = re.compile(fnmatch.translate(pattern)).match
        return lambda text: match(text) is not None
    first, *pieces = pattern.split("*")
    if not pieces:
        return lambda text: text == pattern
    last = pieces.pop()
    shortest = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in pieces:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches


def _has_keywords(prompt: str, keywords: tuple[str, ...], mode: str) -> bool:
    text = fold(prompt)
    for word in _folded(keywords):
        if (word in text) != (mode == "all"):
            return mode != "all"
    return mode == "all"


@lru_cache(maxsize=256)
def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(fold, words))


def fold(text: str) -> str:
    """As keywords and prompts are compared: without case, composed."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


class BanState(StrEnum):
    """`held`: can be undone. `sweeping`: being deleted, no undo. `soft`: marks stale. `swept`: for late writers."""

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    SWEPT = "swept"


class Ban(msgspec.Struct, frozen=True, kw_only=True):
    """One active invalidation in a record. Times are Unix seconds; `due_at` is when the hold ends."""

    sequence: int
    id: str
    criteria: Criteria
    state: BanState
    created_at: float
    due_at: float

    def matches(self, entry: CacheEntry) -> bool:
        """Whether it selects this entry or alias."""
        return self.criteria.matches(entry.header, entry.prompt, entry.tags)


class InvalidationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket's record. `floor`: a store whose lookup saw an older sequence is refused.

    Until `copies_until` (Unix seconds) processes may serve their own copies for `copies_seconds` after a look at it.
    """

    incarnation: bytes
    sequence: int
    floor: int
    bans: tuple[Ban, ...] = ()
    copies_seconds: float = 0.0
    copies_until: float = 0.0

    @property
    def stamp(self) -> Stamp:
        """This moment, to be remembered before the provider is called."""
        return Stamp(self.incarnation, self.sequence)

    def find(self, ban_id: str) -> Ban | None:
        """The active ban with this id."""
        return next((ban for ban in self.bans if ban.id == ban_id), None)


class Visibility(StrEnum):
    """What a record says of an entry."""

    FRESH = "fresh"
    STALE = "stale"
    HIDDEN = "invalidated"
    FOREIGN = "incarnation"


def visibility(entry: CacheEntry, record: InvalidationRecord) -> Visibility:
    """Whether an entry may be served under a record: the one place that decides it."""
    header = entry.header
    if header.incarnation != record.incarnation or header.sequence > record.sequence:
        return Visibility.FOREIGN
    result = Visibility.FRESH
    for ban in record.bans:
        if ban.sequence > header.sequence and ban.matches(entry):
            if ban.state is not BanState.SOFT:
                return Visibility.HIDDEN
            result = Visibility.STALE
    return result


def may_store(entry: CacheEntry, record: InvalidationRecord) -> bool:
    """Whether an entry generated under its own stamp may still be stored now that the record has moved on."""
    header = entry.header
    if header.incarnation != record.incarnation or record.floor > header.sequence:
        return False
    return not any(ban.sequence > header.sequence and ban.matches(entry) for ban in record.bans)


# Changes: record -> record.


def new_record() -> InvalidationRecord:
    """A record for a bucket that has none: nothing stored before it can be served."""
    return InvalidationRecord(incarnation=secrets.token_bytes(16), sequence=1, floor=0)


def append(
    record: InvalidationRecord,
    ban_id: str,
    criteria: Criteria,
    *,
    now: float,
    hold_seconds: float,
    soft: bool = False,
    removed: bool = False,
) -> InvalidationRecord:
    """The record with one more ban; unchanged when `ban_id` is in it already (a repeated request).

    `removed` says that the one entry a key ban names is deleted in the same step: it then only stops late writers and
    may be pushed out by newer ones. Raises InvalidationRefused when MAX_ACTIVE_BANS are active.
    """
    if record.find(ban_id):
        return record
    bans, floor = record.bans, record.floor
    if len(bans) >= MAX_ACTIVE_BANS:
        oldest = next((ban for ban in bans if ban.state is BanState.SWEPT), None)
        if oldest is None:
            raise InvalidationRefused(
                f"{MAX_ACTIVE_BANS} invalidations are active in this namespace; sweep the due ones now, or undo one"
            )
        bans = tuple(ban for ban in bans if ban is not oldest)
        floor = max(floor, oldest.sequence)
    sequence = max(record.sequence + 1, int(now * 1e6))
    state = BanState.SOFT if soft else BanState.SWEPT if removed else BanState.HELD
    ban = Ban(sequence=sequence, id=ban_id, criteria=criteria, state=state, created_at=now, due_at=now + hold_seconds)
    return msgspec.structs.replace(record, sequence=sequence, floor=floor, bans=(*bans, ban))


def lift(record: InvalidationRecord, ban_id: str) -> InvalidationRecord:
    """The record without a ban that nothing has been deleted for yet.

    Raises InvalidationNotFound, or InvalidationRefused when the sweep has begun or the entry is gone.
    """
    ban = record.find(ban_id)
    if ban is None:
        raise InvalidationNotFound(f"no active invalidation has the id {ban_id}")
    if ban.state is BanState.SWEEPING:
        raise InvalidationRefused("the sweep has begun: answers are being deleted and cannot be brought back")
    if ban.state is BanState.SWEPT:
        raise InvalidationRefused("the answer was deleted at once and cannot be brought back")
    return msgspec.structs.replace(record, bans=tuple(other for other in record.bans if other is not ban))


def begin_sweep(record: InvalidationRecord, ban_ids: Iterable[str]) -> InvalidationRecord:
    """The record with these bans marked as being swept: from here on they hide, and there is no undo."""
    wanted = set(ban_ids)
    return msgspec.structs.replace(
        record,
        bans=tuple(
            msgspec.structs.replace(ban, state=BanState.SWEEPING)
            if ban.id in wanted and ban.state in (BanState.HELD, BanState.SOFT)
            else ban
            for ban in record.bans
        ),
    )


def expire_holds(record: InvalidationRecord, ban_ids: Iterable[str], now: float) -> InvalidationRecord:
    """The record with these holds ended now ("sweep now")."""
    wanted = set(ban_ids)
    return msgspec.structs.replace(
        record,
        bans=tuple(
            msgspec.structs.replace(ban, due_at=min(ban.due_at, now)) if ban.id in wanted else ban
            for ban in record.bans
        ),
    )


def retire(record: InvalidationRecord, ban_ids: Iterable[str]) -> InvalidationRecord:
    """The record without these bans, the floor raised past them. Only after a full pass that began after the hold."""
    wanted = set(ban_ids)
    gone = [ban for ban in record.bans if ban.id in wanted]
    if not gone:
        return record
    return msgspec.structs.replace(
        record,
        floor=max(record.floor, *(ban.sequence for ban in gone)),
        bans=tuple(ban for ban in record.bans if ban.id not in wanted),
    )


def allow_copies(record: InvalidationRecord, seconds: float, *, now: float, until: float) -> InvalidationRecord:
    """The record with leave to serve copies for so long after a look at it, until then.

    What is in force is only ever extended: who has seen it goes by it.
    """
    if may_have_copies(record, now):
        seconds, until = max(seconds, record.copies_seconds), max(until, record.copies_until)
    return msgspec.structs.replace(record, copies_seconds=seconds, copies_until=until)


def may_have_copies(record: InvalidationRecord, now: float) -> bool:
    """Whether some process, by its own clock, may still serve copies by leave of this record or an earlier one."""
    return bool(record.copies_seconds) and now < record.copies_until + CLOCKS_SECONDS


def due(record: InvalidationRecord, now: float) -> tuple[Ban, ...]:
    """Bans whose entries may be deleted now, the ones a dead sweep left half-way included.

    A soft one is due when hardly anything it marks can still exist: what does must not become fresh again.
    """
    return tuple(
        ban
        for ban in record.bans
        if ban.state is BanState.SWEEPING or (ban.state in (BanState.HELD, BanState.SOFT) and ban.due_at <= now)
    )


def spent(record: InvalidationRecord, now: float) -> tuple[Ban, ...]:
    """Bans of single entries that were deleted at once, so old that no writer they stop is still on its way."""
    return tuple(ban for ban in record.bans if ban.state is BanState.SWEPT and ban.created_at <= now - SPENT_SECONDS)


# Stored form: a line of text that scripts can compare without parsing numbers (a Lua number would lose digits), then
# the bans in msgpack, which only Python reads. The leave for copies (milliseconds, Unix seconds) ends the line, if any.

_LINE = re.compile(rb"([0-9a-f]{32}) (\d{20}) (\d{20})(?: (\d{1,4}) (\d{1,12}))?\n")
_bans_decoder = msgspec.msgpack.Decoder(tuple[Ban, ...])


def encode_record(record: InvalidationRecord) -> bytes:
    """The stored form of a record."""
    line = f"{record.incarnation.hex()} {record.sequence:020d} {record.floor:020d}"
    if record.copies_seconds:
        line += f" {math.ceil(record.copies_seconds * 1000)} {math.ceil(record.copies_until)}"
    return line.encode() + b"\n" + msgspec.msgpack.encode(record.bans)


def decode_record(value: bytes) -> InvalidationRecord:
    """The record. Raises DecodeError for anything else."""
    match = _LINE.match(value)
    if match is None:
        raise DecodeError("not an invalidation record")
    try:
        bans = _bans_decoder.decode(value[match.end() :])
    except msgspec.MsgspecError as error:
        raise DecodeError("not an invalidation record") from error
    return InvalidationRecord(
        incarnation=bytes.fromhex(match[1].decode()),
        sequence=int(match[2]),
        floor=int(match[3]),
        bans=bans,
        copies_seconds=int(match[4] or 0) / 1000,
        copies_until=float(match[5] or 0),
    )
