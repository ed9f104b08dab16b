"""Who got an answer, and which answers requests got, as far as the request log and the store still say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ..bans import Criteria
from ..errors import DecodeError
from ..keys import Slot, parse_readable_key
from ..metrics import CacheMetrics, Recipients, RequestRecord, reasons
from ..models import CacheEntry
from ..stores import EntryIndex, codec
from ..wire import readable
from .listing import find_entry

MAX_ANSWER = 2000
"""Characters of an answer that are given."""
MOST_BYTES_READ = 8_000_000
"""Answers that are read for one list; the rest is left out."""
_BATCH = 50

_Place = tuple[Slot, bytes]


def recipients(
    store: EntryIndex,
    metrics: CacheMetrics,
    namespace: str,
    key: str,
    *,
    within: Callable[[str], bool] | None = None,
) -> Recipients:
    """Who got the answer at a key, or the one that an alias there stands for, among the latest requests.

    Also of an answer that is stored no more: then of all that stood there. Linear in the log, which is bounded. Raises
    InvalidInput for what is no key, and StoreUnavailable.
    """
    Criteria(namespace=namespace, key=key)
    found = find_entry(store, namespace, key)
    stored_at = None
    if found is not None:
        header = found.entry.header
        stored_at = header.created_at
        if header.target is not None:
            bucket, _, _ = found.key.partition("-")
            key = f"{bucket}-{header.target.hex()}"
    return metrics.recipients(namespace, key, stored_at=stored_at, within=within)


def plain_recipients(found: Recipients) -> dict[str, Any]:
    """Who got an answer, as the API and the command line tell it in JSON."""
    return {
        "looked_at": found.looked_at,
        "since": found.since,
        "got": [plain_request(record) for record in found.got],
        "got_earlier": [plain_request(record) for record in found.got_earlier],
    }


def plain_request(record: RequestRecord) -> dict[str, Any]:
    """A request as the API and the command line tell it in JSON, with its reason in a sentence."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(record, question=b"", parts=b""))
    return plain | {"why": reasons.why(record.kind, record.detail, record.reason)}


def received_answers(store: EntryIndex, records: Sequence[RequestRecord]) -> list[str | None]:
    """The text of the answer that each request got, its beginning; None where it got none from its key, where that
    holds none any more, or a newer one.

    A round trip for each bucket and 50 keys. Raises StoreUnavailable.
    """
    places = [_place(record) if record.got_answer_at_key else None for record in records]
    stored = dict(_read(store, list(dict.fromkeys(filter(None, places)))))
    texts = {place: readable(entry.body)[:MAX_ANSWER] for place, entry in stored.items() if entry.body is not None}
    return [
        texts.get(place) if place in stored and stored[place].header.created_at <= record.at else None
        for record, place in zip(records, places, strict=True)
    ]


def _place(record: RequestRecord) -> _Place | None:
    parsed = parse_readable_key(record.key)
    return None if parsed is None else (Slot(record.namespace, parsed[0]), parsed[1])


def _read(store: EntryIndex, places: Sequence[_Place]) -> Iterator[tuple[_Place, CacheEntry]]:
    by_slot: dict[Slot, list[bytes]] = {}
    for slot, digest in places:
        by_slot.setdefault(slot, []).append(digest)
    left = MOST_BYTES_READ
    for slot, digests in by_slot.items():
        for start in range(0, len(digests), _BATCH):
            if left <= 0:
                return
            some = digests[start : start + _BATCH]
            values, _ = store.read(slot, some)
            for digest, value in zip(some, values, strict=True):
                if value is not None:
                    left -= len(value)
                    try:
                        yield (slot, digest), codec.decode_entry(value)
                    except DecodeError:
                        continue
