"""The index of entries on Redis: full passes over a slot, and a sorted set of entries for each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, cast

import redis

from ...bans import ASCII_FOLDING, FOLDING_LEADS
from ...keys import USER_BYTES, Slot, names
from ...models import Stamp
from .. import codec
from ..base import Removed, Row, ScanPage, SweepFilter
from .cluster import servers_of
from .connection import packed
from .failures import reading, writing
from .script import Script, load_script
from .servers import OneServer

ROW_DIGITS = 64
"""A row of a model's index names an entry, and the alias that was written with it, by the last part of their keys: 64
hex digits each. Scripts would take as long to make the digits as to delete what they name."""
ROW_PAGE = 500
FETCHED_BATCH = 200
TOLD_MODELS = 100
"""Models whose indexes what is deleted by tag leaves at once; `prune_index` sees to the others."""
TAG_PAGE = 200
"""Tags whose indexes are read in one trip."""

LAYOUT = {
    "ROW_DIGITS": ROW_DIGITS,
    "STAMP_OFFSET": codec.STAMP_OFFSET,
    "STAMP_BYTES": codec.STAMP_BYTES,
    "CREATED_OFFSET": codec.CREATED_OFFSET,
    "LENGTHS_OFFSET": codec.LENGTHS_OFFSET,
}
"""Where a script finds the parts of a value and of an index row."""

LIST_TAGS = load_script(__file__, "list_tags", ROW_DIGITS=ROW_DIGITS, GONE_ROWS=32)
_HEADER = load_script(__file__, "header", LENGTHS_OFFSET=codec.LENGTHS_OFFSET, USER_BYTES=USER_BYTES)
_REMOVE_TAGS = Script(
    _HEADER
    + load_script(
        __file__,
        "remove_tags",
        ROW_DIGITS=ROW_DIGITS,
        STAMP_OFFSET=codec.STAMP_OFFSET,
        CREATED_OFFSET=codec.CREATED_OFFSET,
        HEADER_BYTES=codec.HEADER_BYTES,
    )
)
_REMOVE_MODEL = Script(load_script(__file__, "remove_model", **LAYOUT))
_SCAN_MATCHING = Script(
    _HEADER
    + load_script(
        __file__,
        "scan_matching",
        **LAYOUT,
        TEXT_BYTES=1024,
        ASCII_FOLDING=ASCII_FOLDING,
        FOLDING_LOWEST=FOLDING_LEADS[0],
        FOLDING_HIGHEST=FOLDING_LEADS[1],
    )
)
_PRUNE_INDEX = Script(load_script(__file__, "prune_index", **LAYOUT))


class RedisIndex:
    """An `EntryIndex` on one Redis or a cluster. Threads may share it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._servers = servers_of(client)

    def walk(self, slot: Slot, *, whole: bool, batch: int = 200) -> Iterator[list[Row]]:
        """All entries and aliases of a slot in batches, by a full SCAN over its prefix."""
        pages = self._servers.names(slot.entries)
        while True:
            with reading():
                names = next(pages, None)
            if names is None:
                return
            for start in range(0, len(names), batch):
                yield self._rows(slot, names[start : start + batch], whole)

    def scan_matching(
        self, slot: Slot, incarnation: bytes, filters: Sequence[SweepFilter], *, whole: bool, batch: int = 500
    ) -> Iterator[ScanPage]:
        """A full SCAN over a slot; the server leaves out values that do not match, except on a cluster."""
        if not isinstance(self._servers, OneServer):
            yield from map(ScanPage, self.walk(slot, whole=whole, batch=batch))
            return
        count = max(1, 4 * batch // (3 + len(filters)))
        head = [slot.entries, b"%d" % (len(slot.entries) + ROW_DIGITS)]
        tail = [b"%d" % count, incarnation]
        for sweep_filter in filters:
            tail += [
                b"%d" % sweep_filter.sequence,
                b"" if sweep_filter.created_before is None else repr(sweep_filter.created_before).encode(),
                b"" if sweep_filter.model is None else codec.names_bytes(slot.namespace, sweep_filter.model),
                b"\t".join(b"\n".join(group) for group in sweep_filter.substrings or ()),
                sweep_filter.digest.hex().encode() if sweep_filter.digest is not None else b"",
                sweep_filter.digest or b"",
                b"%d" % codec.flags_of(alias=sweep_filter.alias, tagged=sweep_filter.tagged, owned=sweep_filter.owned),
            ]
        cursor = b"0"
        while True:
            with reading():
                cursor, others, names = _SCAN_MATCHING(self._servers, [slot.record], [*head, cursor, *tail])
            yield ScanPage([], others)
            for start in range(0, len(names), FETCHED_BATCH):
                yield ScanPage(self._rows(slot, names[start : start + FETCHED_BATCH], whole))
            if cursor == b"0":
                return

    def walk_model(
        self, slot: Slot, model: str, *, created_before: float | None = None, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries of a model, oldest first, by its sorted set."""
        index = slot.by_model(model)
        highest = _highest(created_before)
        # By score and last member rather than by rank: rows removed meanwhile must not shift the page.
        lowest: str = "-inf"
        seen: set[bytes] = set()
        while True:
            with reading():
                page = cast(
                    "list[tuple[bytes, float]]",
                    self._client.zrange(
                        index, lowest, highest, byscore=True, offset=0, num=batch + len(seen), withscores=True
                    ),
                )
            fresh = [(row, score) for row, score in page if row not in seen]
            if not fresh:
                return
            yield self._rows(slot, [slot.entries + row[:ROW_DIGITS] for row, _ in fresh], whole)
            last = fresh[-1][1]
            lowest = repr(last)
            seen = {row for row, score in page if score == last}

    def walk_tags(
        self, slot: Slot, tags: Sequence[str], *, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries and aliases with one of these tags, by the tags' sorted sets: the first rows of many in one trip."""
        for start in range(0, len(tags), TAG_PAGE):
            indexes = [slot.by_tag(tag) for tag in tags[start : start + TAG_PAGE]]
            lowest = dict.fromkeys(indexes, b"-inf")
            seen = dict.fromkeys(indexes, frozenset[bytes]())
            while indexes:
                commands = b"".join(
                    packed([
                        *(b"ZRANGEBYSCORE", index, lowest[index], b"+inf", b"WITHSCORES", b"LIMIT", b"0"),
                        b"%d" % (batch + len(seen[index])),
                    ])
                    for index in indexes
                )  # fmt: skip
                with reading():
                    pages = self._servers.ask_all(slot.record, commands, len(indexes))
                fresh: list[bytes] = []
                further = []
                for index, page in zip(indexes, map(_scored, pages), strict=True):
                    known = seen[index]
                    fresh += (row for row, _ in page if row not in known)
                    if len(page) >= batch + len(known):
                        # By score rather than by rank: rows removed meanwhile must not shift the page.
                        last = page[-1][1]
                        lowest[index] = repr(last).encode()
                        seen[index] = frozenset(row for row, score in page if score == last)
                        further.append(index)
                indexes = further
                names = [slot.entries + row for row in dict.fromkeys(fresh)]
                for first in range(0, len(names), batch):
                    yield self._rows(slot, names[first : first + batch], whole)

    def _rows(self, slot: Slot, names: Sequence[bytes], whole: bool) -> list[Row]:
        """What is at these names, one round trip; names that are of no entry are left out."""
        length = len(slot.entries) + ROW_DIGITS
        names = [name for name in names if len(name) == length]
        if not names:
            return []
        with reading():
            if whole:
                values: list[Any] = self._servers.ask(names[0], packed([b"MGET", *names]))
            else:
                head = b"*4\r\n$8\r\nGETRANGE\r\n$%d\r\n" % length
                tail = b"\r\n" + packed([b"0", b"%d" % (codec.HEADER_BYTES - 1)]).partition(b"\r\n")[2]
                values = self._servers.ask_all(names[0], head + (tail + head).join(names) + tail, len(names))
        return [
            Row(digest=slot.digest(name), value=value)
            for name, value in zip(names, values, strict=True)
            if value and value.__class__ is bytes
        ]

    def recent(
        self, slot: Slot, model: str, *, before: tuple[float, bytes] | None = None, limit: int = 200
    ) -> list[tuple[float, bytes]]:
        """(creation time, digest) of a model's entries, newest first, by its sorted set."""
        highest = "+inf" if before is None else repr(before[0])
        found: list[tuple[float, bytes]] = []
        offset = 0
        while len(found) < limit:
            with reading():
                rows = cast(
                    "list[tuple[bytes, float]]",
                    self._client.zrange(
                        slot.by_model(model),
                        highest,
                        "-inf",
                        desc=True,
                        byscore=True,
                        offset=offset,
                        num=limit,
                        withscores=True,
                    ),
                )
            # Entries of the very moment of `before` come first again: those that were had are left out.
            places = [(at, _digest(row)) for row, at in rows]
            found += [place for place in places if before is None or place < before]
            offset += len(rows)
            if len(rows) < limit:
                break
        return found[:limit]

    def count_model(self, slot: Slot, model: str, created_before: float | None = None) -> int:
        """Number of entries that the index lists for a model."""
        with reading():
            return self._client.zcount(slot.by_model(model), "-inf", _highest(created_before))

    def models(self, slot: Slot) -> dict[str, int]:
        """Models in the index, with the number of entries listed for each."""
        with reading():
            # No script, which a server that lets nobody write would not run either.
            names = cast("dict[bytes, bytes]", self._client.hgetall(slot.models))
            commands = b"".join(packed([b"ZCARD", slot.indexes + digest]) for digest in names)
            counts = self._servers.ask_all(slot.record, commands, len(names)) if names else []
        found = zip((name.decode("utf-8", "surrogatepass") for name in names.values()), counts, strict=True)
        return {name: count if isinstance(count, int) else 0 for name, count in sorted(found, key=itemgetter(0))}

    def remove_model(
        self, slot: Slot, model: str, before: Stamp, *, created_before: float | None = None, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes a model's listed entries that were stored before a stamp, by one script a batch, oldest first."""
        rows = batch // 2  # each names an entry and its alias
        skipped = 0
        while True:
            arguments = [
                slot.entries,
                before.incarnation,
                b"%d" % before.sequence,
                _highest(created_before).encode(),
                b"%d" % skipped,
                b"%d" % rows,
                b"" if created_before is None else repr(created_before).encode(),
            ]
            with writing():
                seen, gone, entries, aliases, freed = _REMOVE_MODEL(self._servers, [slot.by_model(model)], arguments)
            yield Removed(entries=entries, aliases=aliases, bytes=freed)
            # A whole page that stays is newer, and so is what comes after it, or nearly so: it is but a hint.
            if seen < rows or not gone:
                return
            skipped += seen - gone

    def remove_tags(
        self, slot: Slot, incarnation: bytes, before: Mapping[str, int], *, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes what the indexes of tags list that was stored before a sequence, one script for many tags."""
        tags = list(before.items())
        done = 0
        with reading():
            known = cast("dict[bytes, bytes]", self._client.hgetall(slot.models))
        models = [word for digest, name in islice(known.items(), TOLD_MODELS) for word in (name, slot.indexes + digest)]
        while done < len(tags):
            page = tags[done : done + batch]
            arguments = [slot.entries, incarnation, b"%d" % batch]
            for tag, sequence in page:
                arguments += [tag.encode("utf-8", "surrogatepass"), b"%d" % sequence]
            with writing():
                passed, entries, aliases, freed = _REMOVE_TAGS(
                    self._servers, [slot.by_tag(tag) for tag, _ in page], arguments + models
                )
            done += passed
            yield Removed(entries=entries, aliases=aliases, bytes=freed)

    def prune_index(self, slot: Slot) -> int:
        """Drops index rows whose entries have expired. Returns their number."""
        dropped = 0
        for model in self.models(slot):
            passed = 0
            while True:
                with writing():
                    seen, gone = _PRUNE_INDEX(
                        self._servers, [slot.by_model(model)], [slot.entries, b"%d" % passed, b"%d" % ROW_PAGE]
                    )
                dropped += gone
                passed += seen - gone
                if seen < ROW_PAGE:
                    break
        return dropped

    def namespaces(self) -> list[str]:
        """Namespaces that were ever written to."""
        with reading():
            return sorted(name.decode() for name in cast("set[bytes]", self._client.smembers(names.NAMESPACES)))


def _scored(page: Any) -> list[tuple[bytes, float]]:
    """Members with their scores, in either protocol of Redis; none for what is no sorted set."""
    if not isinstance(page, list):
        return []
    if page and isinstance(page[0], list):
        return [(row, score) for row, score in page]
    return [(row, float(score)) for row, score in zip(page[::2], page[1::2], strict=True)]


def _digest(row: bytes) -> bytes:
    """The entry that a row of the index names."""
    return bytes.fromhex(row[:ROW_DIGITS].decode())


def _highest(created_before: float | None) -> str:
    return "+inf" if created_before is None else f"({created_before!r}"
