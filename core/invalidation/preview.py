"""Preview: what an invalidation would hide, counted, sampled and priced. Reads only, by the ban's own selection."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .. import bans
from ..bans import Criteria, InvalidationRecord, Visibility
from ..errors import DecodeError, InvalidationRefused, InvalidInput
from ..keys import EVERYWHERE, Slot, parse_readable_key, readable_key
from ..metrics import HitCounts
from ..models import CacheEntry
from ..stores import EntryIndex, Row, codec

EXACT_LIMIT = 20_000
"""Entries a preview reads before it estimates from those it has read."""
PRICED_LIMIT = 2000
"""Entries read to estimate bytes and money when the index gives their number."""
SAMPLE_ROWS = 20
SAMPLE_PROMPT = 300

LARGE_SHARE = 0.1
"""Of a namespace's entries. Beyond it the word has to be typed and, but for tags and keys, an admin has to act."""
WORD = "invalidate"
"""What has to be typed."""


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry an invalidation would hide. Ages and TTLs in seconds."""

    namespace: str
    key: str
    model: str
    prompt: str
    age_seconds: float
    fresh_seconds: float
    bytes: int
    cost_usd: float | None
    tags: tuple[str, ...] = ()


class PreviewPart(msgspec.Struct, frozen=True, kw_only=True):
    """What an invalidation of all namespaces would hide in one of them; the fields are those of its preview.

    `problem`: why nobody knows; then nothing is counted.
    """

    namespace: str
    count: int = 0
    exact: bool = True
    at_least: bool = False
    high: int = 0
    total: int = 0
    bytes: int = 0
    cost_usd: float = 0.0
    problem: str = ""

    @property
    def about(self) -> str:
        """What stands before the count: nothing, `about ` or `at least `."""
        return _about(self.exact, self.at_least)

    @property
    def highest_share(self) -> float:
        """The share of the namespace that match, 0 to 1; of an estimate, the upper end of its interval."""
        return min(1.0, max(self.count, self.high) / self.total) if self.total else 0.0


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an invalidation would do now. Nothing has been changed.

    `count` is exact, or (with `exact` False) an estimate with its 95% interval `low`..`high` from `scanned` entries of
    `total`. Beyond EXACT_LIMIT entries the count of a model or an age is the index's, which may still list some that
    expired within the last hour, and what has a tag is found by the tag's index: that may have lost some, so the count
    is of those `at_least`. `cost_usd` is what the matching answers cost, without those of unknown price.
    `hits_last_day` is how often the matching entries were served in the last day, None where hits are not counted.
    `matched` is a digest of which entries match, each with the moment it was stored; empty unless all were read.
    `token` binds the criteria, the count and, where there is one, that digest. Of all namespaces the figures are the
    sums of `parts`, those with most first.
    """

    criteria: Criteria
    namespace: str
    count: int
    exact: bool
    at_least: bool = False
    low: int
    high: int
    total: int
    scanned: int
    bytes: int
    tokens: int
    cost_usd: float
    unknown_prices: int
    refetch_seconds: float
    oldest_at: float | None
    newest_at: float | None
    hits_last_day: int | None = None
    matched: str = ""
    rows: tuple[PreviewRow, ...]
    parts: tuple[PreviewPart, ...] = ()
    at: float

    @property
    def about(self) -> str:
        """What stands before the count: nothing, `about ` or `at least `."""
        return _about(self.exact, self.at_least)

    @property
    def share(self) -> float:
        """The share of the namespace's entries that match, 0 to 1."""
        return min(1.0, self.count / self.total) if self.total else 0.0

    @property
    def highest_share(self) -> float:
        """The share as it may be at most: of an estimate, the upper end of its interval."""
        return min(1.0, max(self.count, self.high) / self.total) if self.total else 0.0

    @property
    def is_large(self) -> bool:
        """Whether it hides everything, or perhaps more than a tenth, of a namespace: it is then confirmed by typing a
        word."""
        shares = (self.highest_share, *(part.highest_share for part in self.parts))
        return self.criteria.all or max(shares) > LARGE_SHARE or any(part.problem for part in self.parts)

    @property
    def token(self) -> str:
        """Names what was previewed and what was found, so that it can be applied later as it was: see `Previewed`."""
        return str(
            Previewed(
                what=_what(self.namespace, self.criteria),
                count=self.count,
                matched=self.matched,
                created_before=self.criteria.created_before,
            )
        )


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an earlier preview's token: digest of the criteria without the age, count, digest of what matched
    (empty where not all was read), cut-off of the age.
    """

    what: str
    count: int
    matched: str = ""
    created_before: float | None = None

    def __str__(self) -> str:
        matched = f"-m{self.matched}" if self.matched else ""
        return f"{self.what}-{self.count}{matched}" + (
            f"-{self.created_before!r}" if self.created_before is not None else ""
        )

    @classmethod
    def parse(cls, token: str) -> Previewed:
        """Reads a token that `Preview.token` made. Raises InvalidInput for anything else."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise InvalidInput("preview", "is not a token of a preview")
        return cls(
            what=found[1],
            count=int(found[2]),
            matched=found[3] or "",
            created_before=float(found[4]) if found[4] else None,
        )

    def drift(self, now: Preview) -> str:
        """What has changed since, in one phrase; empty when nothing has. Raises InvalidInput for another preview's."""
        if self.what != _what(now.namespace, now.criteria):
            raise InvalidInput("preview", "is the token of other criteria or of another namespace")
        if now.count != self.count:
            return f"{self.count:,} entries matched then, {now.count:,} do now"
        # Of an estimate the count decides.
        is_other = self.matched and now.matched and self.matched != now.matched
        return f"{self.count:,} entries match as then, but not the same ones" if is_other else ""

    def require(self, now: Preview) -> None:
        """Raises InvalidationRefused when something has changed since, InvalidInput for another preview's token."""
        if drift := self.drift(now):
            raise InvalidationRefused(f"not applied, since it has changed since the preview: {drift}")


def cutoff(older_than_seconds: float, now: float, previewed: Previewed | None) -> float | None:
    """The `created_before` of an age: as of now, in Unix seconds; with an earlier preview, as of that preview."""
    return previewed.created_before if previewed is not None else now - older_than_seconds


_TOKEN = re.compile(r"([0-9a-f]{16})-(\d{1,15})(?:-m([0-9a-f]{16}))?(?:-(\d{1,12}(?:\.\d{1,9})?))?")


def _what(namespace: str, criteria: Criteria) -> str:
    fields = criteria.to_dict() | {"namespace": namespace, "created_before": criteria.created_before is not None}
    return hashlib.sha256(msgspec.json.encode(sorted(fields.items()))).hexdigest()[:16]


def make_preview(
    store: EntryIndex,
    slots: Sequence[Slot],
    criteria: Criteria,
    *,
    now: float,
    exact_limit: int = EXACT_LIMIT,
    hits: HitCounts | None = None,
) -> Preview:
    """What a ban with these criteria would hide in these slots of one namespace. Raises StoreUnavailable."""
    records = [(slot, record) for slot in slots if (record := store.read(slot, [])[1]) is not None]
    listed = sum(sum(store.models(slot).values()) for slot, _ in records)
    tally = _Tally(criteria, now)
    count = None
    at_least = False
    if criteria.key is not None:
        exact = True
        for slot, record in records:
            tally.read(slot, record, iter([_one(store, slot, criteria.key)]))
    elif listed > exact_limit and (tagged := _tagged(store, records, criteria, now, exact_limit)) is not None:
        tally, exact, at_least = tagged, False, True
    elif listed <= exact_limit or not criteria.is_listed:
        exact = all(tally.read(slot, record, store.walk(slot, whole=True), exact_limit) for slot, record in records)
    else:
        # A header shows whether it matches, so the index has their number: only their cost is estimated.
        indexed = [
            (slot, record, model) for slot, record in records for model in [criteria.model] if model is not None
        ] or [(slot, record, model) for slot, record in records for model in store.models(slot)]
        count = sum(store.count_model(slot, model, criteria.created_before) for slot, _, model in indexed)
        for slot, record, model in indexed:
            rows = store.walk_model(slot, model, created_before=criteria.created_before, whole=True)
            tally.read(slot, record, rows, PRICED_LIMIT)
        exact = not any(record.active for _, record in records)
    total = tally.scanned if exact and count is None and criteria.key is None else max(listed, tally.scanned)
    return tally.preview(
        namespace=slots[0].namespace,
        hits=None if hits is None else sum(tally.hits(hits)),
        count=count,
        exact=exact,
        at_least=at_least,
        total=total,
    )


def joined(criteria: Criteria, found: Sequence[Preview], problems: Mapping[str, str], *, now: float) -> Preview:
    """The previews of several namespaces as one of all. `problems`: why there is none of the others."""
    found = sorted(found, key=lambda one: -one.count)
    is_read = not problems and all(one.matched for one in found)
    counted = [one.hits_last_day for one in found if one.hits_last_day is not None]
    rows = [row for number in range(SAMPLE_ROWS) for one in found for row in one.rows[number : number + 1]]
    parts = [
        PreviewPart(
            namespace=one.namespace,
            count=one.count,
            exact=one.exact,
            at_least=one.at_least,
            high=one.high,
            total=one.total,
            bytes=one.bytes,
            cost_usd=one.cost_usd,
        )
        for one in found
    ]
    parts += [PreviewPart(namespace=namespace, exact=False, problem=words) for namespace, words in problems.items()]
    oldest = [one.oldest_at for one in found if one.oldest_at is not None]
    newest = [one.newest_at for one in found if one.count]
    return Preview(
        criteria=criteria,
        namespace=EVERYWHERE,
        count=sum(one.count for one in found),
        exact=all(one.exact for one in found) and not problems,
        at_least=bool(problems) or any(one.at_least for one in found),
        low=sum(one.low for one in found),
        high=sum(one.high for one in found),
        total=sum(one.total for one in found),
        scanned=sum(one.scanned for one in found),
        bytes=sum(one.bytes for one in found),
        tokens=sum(one.tokens for one in found),
        cost_usd=sum(one.cost_usd for one in found),
        unknown_prices=sum(one.unknown_prices for one in found),
        refetch_seconds=sum(one.refetch_seconds for one in found),
        oldest_at=min(oldest, default=None),
        newest_at=max((at for at in newest if at is not None), default=None) if None not in newest else None,
        hits_last_day=sum(counted) if counted else None,
        matched=f"{sum(int(one.matched, 16) for one in found) % 2**64:016x}" if is_read else "",
        rows=tuple(rows[:SAMPLE_ROWS]),
        parts=tuple(parts),
        at=now,
    )


def _about(exact: bool, at_least: bool) -> str:
    return "" if exact else "at least " if at_least else "about "


def _tagged(
    store: EntryIndex,
    records: Sequence[tuple[Slot, InvalidationRecord]],
    criteria: Criteria,
    now: float,
    limit: int,
) -> _Tally | None:
    """What the indexes of the criteria's tags list; None without tags, or when it is too much to read."""
    tally = _Tally(criteria, now)
    is_read = criteria.tags and all(
        tally.read(slot, record, store.walk_tags(slot, criteria.tags, whole=True), limit) for slot, record in records
    )
    return tally if is_read else None


def _one(store: EntryIndex, slot: Slot, key: str) -> list[Row]:
    _, digest = parse_readable_key(key) or (0, b"")
    values, _ = store.read(slot, [digest])
    return [Row(digest=digest, value=value) for value in values if value is not None]


class _Tally:
    """What a preview adds up."""

    def __init__(self, criteria: Criteria, now: float) -> None:
        self._criteria = criteria
        self._now = now
        self._seen: set[bytes] = set()
        self.scanned = 0
        self.count = 0
        self._bytes = self._tokens = self._unknown_prices = 0
        self._cost_usd = self._refetch_seconds = 0.0
        self._oldest_at: float | None = None
        self._newest_at: float | None = None
        self._rows: list[PreviewRow] = []
        self._digests: dict[Slot, list[bytes]] = {}
        self._matched = 0

    def hits(self, counts: HitCounts) -> Iterator[int]:
        """How often what matched was served in the last day."""
        for slot, digests in self._digests.items():
            yield from counts.in_last_day(slot, digests)

    def read(
        self, slot: Slot, record: InvalidationRecord, batches: Iterator[list[Row]], limit: int | None = None
    ) -> bool:
        """Counts entries until more than `limit` have been read in all; False when there may be more."""
        for rows in batches:
            for row in rows:
                if (slot_digest := bytes([slot.bucket]) + row.digest) in self._seen:
                    continue  # a walk may meet an entry twice
                self._seen.add(slot_digest)
                entry = _readable(row)
                if entry is None or entry.header.target is not None:
                    continue
                if bans.visibility(entry, record) not in (Visibility.FRESH, Visibility.STALE):
                    continue
                self.scanned += 1
                if self._criteria.matches(entry.header, entry.prompt, entry.tags):
                    self._add(slot, row, entry)
            if limit is not None and self.scanned > limit:
                return False
        return True

    def _add(self, slot: Slot, row: Row, entry: CacheEntry) -> None:
        header = entry.header
        self.count += 1
        self._digests.setdefault(slot, []).append(row.digest)
        one = b"%d %b %r" % (slot.bucket, row.digest, header.created_at)
        self._matched += int.from_bytes(hashlib.sha256(one).digest()[:8])  # a sum: walks have no order
        self._bytes += len(row.value)
        self._tokens += header.input_tokens + header.output_tokens
        self._refetch_seconds += header.latency_ms / 1000
        self._oldest_at = min(header.created_at, self._oldest_at or header.created_at)
        self._newest_at = max(header.created_at, self._newest_at or header.created_at)
        if header.cost_usd is None:
            self._unknown_prices += 1
        else:
            self._cost_usd += header.cost_usd
        if len(self._rows) < SAMPLE_ROWS:
            self._rows.append(
                PreviewRow(
                    namespace=slot.namespace,
                    key=readable_key(slot.bucket, header.digest),
                    model=header.model,
                    prompt=entry.prompt[:SAMPLE_PROMPT],
                    age_seconds=max(0.0, self._now - header.created_at),
                    fresh_seconds=header.fresh_until - self._now,
                    bytes=len(row.value),
                    cost_usd=header.cost_usd,
                    tags=entry.tags,
                )
            )

    def preview(
        self, *, namespace: str, count: int | None, exact: bool, at_least: bool, total: int, hits: int | None
    ) -> Preview:
        """The result; `count` is given where it was not found by reading."""
        is_read = exact and count is None
        if count is not None:
            factor = count / self.count if self.count else 0.0
            low, high = (count, count) if exact else (min(count, self.count), count)
        elif exact or at_least or not self.scanned:
            count, factor = self.count, 1.0
            low = high = count
        else:
            factor = max(1.0, total / self.scanned)
            count = round(self.count * factor)
            low, high = _interval(self.count, self.scanned, total)
        return Preview(
            criteria=self._criteria,
            namespace=namespace,
            count=count,
            exact=exact,
            at_least=at_least,
            low=low,
            high=high,
            total=total,
            scanned=self.scanned,
            bytes=round(self._bytes * factor),
            tokens=round(self._tokens * factor),
            cost_usd=self._cost_usd * factor,
            unknown_prices=round(self._unknown_prices * factor),
            refetch_seconds=self._refetch_seconds * factor,
            oldest_at=self._oldest_at,
            newest_at=self._newest_at if factor == 1.0 else None,
            hits_last_day=None if hits is None else round(hits * factor),
            matched=f"{self._matched % 2**64:016x}" if is_read else "",
            rows=tuple(self._rows),
            at=self._now,
        )


def _readable(row: Row) -> CacheEntry | None:
    try:
        return codec.decode_entry(row.value)
    except DecodeError:
        return None


def _interval(found: int, scanned: int, total: int) -> tuple[int, int]:
    """The 95% Wilson interval of a share, as entries of the total."""
    z = 1.96
    share = found / scanned
    centre = share + z * z / (2 * scanned)
    spread = z * math.sqrt(share * (1 - share) / scanned + z * z / (4 * scanned * scanned))
    scale = 1 + z * z / scanned
    low = max(found, math.floor((centre - spread) / scale * total))
    return low, min(total, math.ceil((centre + spread) / scale * total))
