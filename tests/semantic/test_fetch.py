"""From rows of the index to entries: what is read, when, and which rows go away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.keys.identity import identify
from core.keys.names import Slot
from core.models import ChatRequest, Controls
from core.semantic.fetch import Query, live_entries, row_key
from core.semantic.index.numpy_index import Candidate
from core.stores import codec
from core.stores.base import Write
from core.stores.memory import MemoryStore
from tests.samples import NOW, an_entry

IDENTITY = identify(ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why?"}]), "test")


class Shelf:
    """A store with entries in two buckets, and a list of what is read from it."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock=lambda: NOW)
        self.reads: list[tuple[int, list[bytes]]] = []
        self.forgotten: list[bytes] = []

    def read(self, slot: Slot, digests: Sequence[bytes]):
        self.reads.append((slot.bucket, [digest[:1] for digest in digests]))
        return self.store.read(slot, digests)

    def put(self, letter: str, *, bucket: int = 0, target: str | None = None, **fields) -> Candidate:
        """An entry whose digest is made of a letter, and its row."""
        slot, digest = Slot("test", bucket), letter.encode() * 32
        record = self.store.ensure_record(slot)
        header = {"scope": IDENTITY.scope, "incarnation": record.incarnation, "sequence": record.sequence}
        if target is not None:
            header |= {"target": target.encode() * 32, "body": None}
        value = codec.encode_entry(an_entry(letter, **({"digest": digest} | header | fields)))
        write = Write(digest=digest, value=value, ttl_ms=60_000, model="m", created_at=NOW)
        self.store.write(slot, write, record.stamp, record.sequence)
        return Candidate(key=row_key(bucket, digest), similarity=0.9)

    def live(self, rows: list[Candidate], controls: Controls | None = None):
        query = Query(store=self, slot_of=Slot, identity=IDENTITY, controls=controls or Controls(), now=NOW)
        return live_entries(query, rows, self.forgotten.append)

    def found(self, rows: list[Candidate], controls: Controls | None = None) -> list[str]:
        return [live.entry.prompt for live in self.live(rows, controls)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_the_nearest_is_read_alone_and_the_others_together_when_they_are_needed(shelf):
    rows = [shelf.put("a"), shelf.put("b"), shelf.put("c")]
    entries = shelf.live(rows)
    assert shelf.reads == []
    assert next(entries).entry.prompt == "a"
    assert shelf.reads == [(0, [b"a"])]
    assert [live.entry.prompt for live in entries] == ["b", "c"]
    assert shelf.reads == [(0, [b"a"]), (0, [b"b", b"c"])]


def test_rows_of_several_buckets_take_one_read_each(shelf):
    rows = [shelf.put("a"), shelf.put("b", bucket=1), shelf.put("c"), shelf.put("d", bucket=1)]
    assert [(live.entry.prompt, live.bucket) for live in shelf.live(rows)] == [("a", 0), ("b", 1), ("c", 0), ("d", 1)]
    assert shelf.reads == [(0, [b"a"]), (1, [b"b", b"d"]), (0, [b"c"])]


def test_an_alias_leads_to_its_entry_when_its_turn_comes_and_an_entry_is_met_once(shelf):
    entry, first, second = shelf.put("e"), shelf.put("a", target="e"), shelf.put("b", target="e")
    entries = shelf.live([first, second, entry])
    assert next(entries).entry.prompt == "e"
    assert shelf.reads == [(0, [b"a"]), (0, [b"e"])]
    assert list(entries) == []
    assert shelf.reads[2:] == [(0, [b"b", b"e"]), (0, [b"e"])]


def test_rows_that_lead_nowhere_are_forgotten(shelf):
    gone = Candidate(key=row_key(0, b"g" * 32), similarity=0.9)
    foreign = shelf.put("f", incarnation=b"x" * 16)
    other_scope = shelf.put("s", scope=b"s" * 32)
    dangling = shelf.put("d", target="n")
    rows = [gone, foreign, other_scope, dangling, shelf.put("a")]
    assert shelf.found(rows) == ["a"]
    assert shelf.forgotten == [row.key for row in (gone, foreign, other_scope, dangling)]


def test_what_may_come_back_or_is_only_old_is_left_out_and_kept(shelf):
    hidden, marked = shelf.put("h"), shelf.put("m")
    for letter, soft in (("h", False), ("m", True)):
        shelf.store.append(
            Slot("test", 0),
            new_ban(letter, Criteria(key=f"0-{(letter * 32).encode().hex()}"), now=NOW, hold_seconds=60, soft=soft),
        )
    expired, old = shelf.put("e", fresh_until=NOW), shelf.put("o", created_at=NOW - 100)
    assert shelf.found([hidden, marked, expired, old, shelf.put("a")], Controls(max_age=50)) == ["a"]
    assert shelf.forgotten == []


def test_a_row_of_a_bucket_without_a_record_is_left_alone(shelf):
    assert shelf.found([Candidate(key=row_key(7, b"a" * 32), similarity=0.9), shelf.put("a")]) == ["a"]
    assert shelf.forgotten == []
