"""Servers that begin with the same entries: they are stored once, as a cache stores them, and kept as a snapshot."""

from __future__ import annotations

import collections
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from core.access import AuditLog
from core.invalidation import CacheInvalidator
from core.keys import Slot
from core.models import CacheEntry, EntryHeader, Stamp
from core.stores import Write, codec
from core.stores.redis import EmbeddedRedis, RedisStore, patient_client

SLOT = Slot("default", 0)
MODELS = ("gpt-4o-mini", "gpt-4o")
TTL_SECONDS = 86_400
MEMORY_ONLY = ("maxmemory 0", "save ''")
WRITERS = 2
THREADS = 4
PAGE = 10_000
PATIENCE_SECONDS = 120.0
APART_SECONDS = 0.001
ALIKE = 10
"""Entries that have the same tag, where they have one."""


class Setup:
    """A server with the entries, and what works on it. The first of them was created at `oldest_at` (Unix seconds)."""

    def __init__(self, url: str, entries: int, oldest_at: float) -> None:
        self.url = url
        self.entries = entries
        self.oldest_at = oldest_at
        self.client = patient_client(url, PATIENCE_SECONDS)
        self.store = RedisStore(patient_client(url, PATIENCE_SECONDS))
        self.invalidator = CacheInvalidator(self.store, AuditLog(self.client))

    def used_bytes(self) -> int:
        """Bytes that the server uses, after lazily freed memory has been returned."""
        time.sleep(0.2)
        return int(self.client.info("memory")["used_memory"])

    def names(self, is_chosen: Callable[[int], bool] = lambda number: True) -> list[bytes]:
        """Names in Redis of the entries, and their aliases, whose numbers are chosen, oldest first."""
        numbers = filter(is_chosen, range(self.entries))
        return [SLOT.entry(digest) for number in numbers for digest in digests(number)]

    def close(self) -> None:
        self.store.close()
        self.client.close()


class Snapshots:
    """Snapshots by number of entries, each made once, and servers that start from one. `tagged`: entries have a tag."""

    def __init__(self, home: Path, *, tagged: bool = False) -> None:
        self._home = home
        self._tagged = tagged
        self._now = time.time()
        self._made: dict[int, Path] = {}
        self._servers = 0

    @contextmanager
    def server(self, entries: int) -> Iterator[Setup]:
        """A fresh server with `entries` entries."""
        if entries not in self._made:
            self._made[entries] = self._make(entries)
        with self._start(entries, self._made[entries]) as setup:
            yield setup

    @contextmanager
    def _start(self, entries: int, snapshot: Path | None) -> Iterator[Setup]:
        self._servers += 1
        home = self._home / f"server-{self._servers}"
        (home / "redis").mkdir(parents=True)
        if snapshot is not None:
            (home / "redis" / "dump.rdb").hardlink_to(snapshot)
        with EmbeddedRedis(home, durable=False, options=MEMORY_ONLY) as server:
            setup = Setup(server.url, entries, self._now - entries * APART_SECONDS)
            try:
                yield setup
            finally:
                setup.close()
        shutil.rmtree(home)

    def _make(self, entries: int) -> Path:
        began = time.perf_counter()
        with self._start(entries, None) as setup:
            setup.store.ensure_record(SLOT)
            context = multiprocessing.get_context("spawn")
            writers = [
                context.Process(
                    target=fill, args=(setup.url, range(number, entries, WRITERS), setup.oldest_at, self._tagged)
                )
                for number in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
                if writer.exitcode:
                    raise SystemExit("the entries could not be stored")
            size = setup.used_bytes() / max(1, entries)
            setup.client.save()
            made = self._home / f"{entries}.rdb"
            Path(setup.client.config_get("dir")["dir"], "dump.rdb").rename(made)
        if entries:
            seconds = time.perf_counter() - began
            what = "tagged entries" if self._tagged else "entries"
            print(f"{entries:,} {what}, {size:,.0f} bytes each with alias, in {seconds:.0f} s", flush=True)
        return made


def digests(number: int) -> tuple[bytes, bytes]:
    """The digests of an entry and of its alias."""
    return sha256(b"e%d" % number).digest(), sha256(b"n%d" % number).digest()


def model_of(number: int) -> str:
    """The model of an entry.

    Not by parity, by which the writers share the numbers: both models grow at the same time.
    """
    return MODELS[number // WRITERS % len(MODELS)]


def tag_of(number: int) -> str:
    """The tag of an entry, where entries have one."""
    return f"doc:{number // ALIKE}"


def fill(url: str, numbers: range, oldest_at: float, tagged: bool, slot: Slot = SLOT) -> None:
    """Stores entries as a cache does, half of them each of two models."""
    store = RedisStore(patient_client(url, PATIENCE_SECONDS))
    words = random.Random(7).choices(
        ["the", "a", "of", "your", "order", "can", "be", "changed", "in", "settings", "before", "we", "ship", "it"],
        k=4000,
    )
    record = store.ensure_record(slot)

    def put(number: int) -> None:
        created_at = oldest_at + number * APART_SECONDS
        write = _write(slot, number, created_at, record.stamp, words, (tag_of(number),) * tagged)
        store.write(slot, write, record.stamp, record.sequence)

    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(numbers), PAGE):
            collections.deque(threads.map(put, numbers[start : start + PAGE]), maxlen=0)
    store.close()


def _write(slot: Slot, number: int, created_at: float, stamp: Stamp, words: list[str], tags: tuple[str, ...]) -> Write:
    digest, alias = digests(number)
    header = EntryHeader(
        digest=digest,
        scope=b"s" * 32,
        namespace=slot.namespace,
        model=model_of(number),
        incarnation=stamp.incarnation,
        sequence=stamp.sequence,
        created_at=created_at,
        fresh_until=created_at + TTL_SECONDS,
        input_tokens=40,
        output_tokens=300,
        cost_usd=0.01,
        latency_ms=900.0,
    )
    prompt = f"How do I change the delivery address of my order number {number} after it was paid?"
    text = " ".join(words[number % 3000 : number % 3000 + 400])[:1500]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": header.model,
        "choices": [choice],
        "usage": {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340},
    }
    alias_header = msgspec.structs.replace(header, digest=alias, target=digest)
    return Write(
        digest=digest,
        value=codec.encode_entry(CacheEntry(header=header, prompt=prompt, tags=tags, body=body)),
        ttl_ms=TTL_SECONDS * 1000,
        model=header.model,
        created_at=created_at,
        alias=(alias, codec.encode_entry(CacheEntry(header=alias_header, prompt=prompt, tags=tags))),
        tags=tags,
    )
