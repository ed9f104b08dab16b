"""Semantic lookup: is there a stored question near enough, does no guard object, does a judge agree?

Candidates come from the index, answers only through the checked lookup. In mode `serve` an entry at or above the
namespace's threshold is served; in mode `judge` one between the grey and the threshold is shown to the judge first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import msgspec

from core.bans import Visibility, visibility
from core.keys import Identity, Slot, readable_key
from core.lookup import Found, MissReason, examine
from core.models import CacheEntry, Controls, HitDetail
from core.semantic.checked import CheckedEmbedder
from core.semantic.embedders import NoVector
from core.semantic.guards import GuardVerdict, check
from core.semantic.index import Candidate, Partition, SemanticIndex
from core.settings import SemanticMode
from core.stores.base import Store

CANDIDATES = 8
"""Rows taken from the index: an expired or invalidated first must not hide a live second."""
JUDGED = 3
"""Candidates shown to the judge, best first."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """How a namespace looks up near questions. `grey` and `serve` are cosines; `version` says which publication."""

    mode: SemanticMode = SemanticMode.OFF
    grey: float = 0.70
    serve: float = 0.97
    version: int = 0


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A judge's word: `yes`, `no`, `late`, `over-budget` or `broken`."""

    word: str
    reason: str = ""


class Judge(Protocol):
    """Says whether a stored answer answers the new question too."""

    def rule(self, namespace: str, question: str, stored: CacheEntry) -> Ruling:
        """Within its deadline and budget; never raises."""
        ...


class Vectors(Protocol):
    """Where the rows of all processes are kept, so that each can hold them in its index."""

    def catch_up(self, partition: Partition, index: SemanticIndex) -> None:
        """Brings the index up to date with what other processes stored and removed."""
        ...

    def add(self, partition: Partition, row_key: bytes, vector: object, expires_at: float) -> None:
        """Tells the other processes of a row."""
        ...

    def remove(self, partition: Partition, row_key: bytes) -> None:
        """Tells them that it is gone."""
        ...


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """One near entry and what was thought of it. `guard` names the guard that refused it."""

    key: str
    model: str
    prompt: str
    similarity: float
    guard: str = ""
    reason: str = ""
    ruling: str = ""


class SemanticResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a semantic lookup came to. `reason` is one word of a bounded vocabulary when nothing was found."""

    found: Found | None = None
    bucket: int = 0
    similarity: float | None = None
    judged: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    reason: str = ""


class Observer(Protocol):
    """Hears of every neighbour that was guarded or judged: the evidence a threshold is certified by."""

    def __call__(self, identity: Identity, threshold: Threshold, result: SemanticResult) -> None:
        """Must not raise and must not take long."""
        ...


class SemanticLookup:
    """The semantic part of a cache. Thread-safe."""

    def __init__(
        self,
        embedder: CheckedEmbedder,
        index: SemanticIndex,
        *,
        thresholds: Callable[[str], Threshold],
        vectors: Vectors | None = None,
        judge: Judge | None = None,
        count: Callable[[str], None] = lambda name: None,
        observer: Observer = lambda identity, threshold, result: None,
    ) -> None:
        self.embedder = embedder
        self.index = index
        self.thresholds = thresholds
        self._vectors = vectors
        self._judge = judge
        self._count = count
        self._observer = observer

    def applies(self, identity: Identity) -> bool:
        """Whether near questions are looked for: the mode allows it and the last message is plain text."""
        return identity.fuzzy and self.thresholds(identity.namespace).mode is not SemanticMode.OFF

    def find(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        identity: Identity,
        controls: Controls,
        now: float,
    ) -> SemanticResult:
        """The nearest entry that may be served. Raises StoreUnavailable."""
        threshold = self.thresholds(identity.namespace)
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            self._count(f"no_vector_{vector.value.replace('-', '_')}")
            return SemanticResult(reason=f"no-vector-{vector}")
        asked = controls.threshold or 0.0
        serve = max(threshold.serve, asked)
        lowest = serve if threshold.mode is SemanticMode.SERVE or self._judge is None else max(threshold.grey, asked)
        partition = self._partition(identity)
        if self._vectors is not None:
            self._vectors.catch_up(partition, self.index)
        neighbours: list[Neighbour] = []
        rulings = 0
        for candidate in self.index.search(partition, vector, CANDIDATES, lowest):
            bucket, digest = _unpacked(candidate.key)
            entry = self._fetch(store, slot_of(identity.namespace, bucket), digest, identity, controls, now)
            if entry is None:
                self._forget(partition, candidate.key)
                continue
            if isinstance(entry, MissReason):
                continue
            verdict = check(identity.prompt, entry.prompt)
            ruling = ""
            if verdict.passed and candidate.similarity < serve:
                if rulings >= JUDGED or self._judge is None:
                    break
                rulings += 1
                ruling = self._judge.rule(identity.namespace, identity.prompt, entry).word
                self._count(f"judge_{ruling.replace('-', '_')}")
            elif not verdict.passed:
                self._count(f"guard_{verdict.guard}")
            neighbours.append(_neighbour(bucket, candidate, entry, verdict, ruling))
            if verdict.passed and ruling in ("", "yes"):
                result = SemanticResult(
                    found=Found(entry=entry, detail=HitDetail.SEMANTIC),
                    bucket=bucket,
                    similarity=candidate.similarity,
                    judged=ruling == "yes",
                    neighbours=tuple(neighbours),
                )
                self._observer(identity, threshold, result)
                return result
        result = SemanticResult(neighbours=tuple(neighbours), reason=_why_not(neighbours))
        if neighbours:
            self._observer(identity, threshold, result)
        return result

    def explain(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, now: float, *, k: int = 5
    ) -> tuple[Neighbour, ...]:
        """The nearest entries whatever their similarity, with the guards' verdicts; nothing is judged or counted."""
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            return ()
        partition = self._partition(identity)
        if self._vectors is not None:
            self._vectors.catch_up(partition, self.index)
        found = []
        for candidate in self.index.search(partition, vector, k, -1.0):
            bucket, digest = _unpacked(candidate.key)
            entry = self._fetch(store, slot_of(identity.namespace, bucket), digest, identity, Controls(), now)
            if isinstance(entry, CacheEntry):
                found.append(_neighbour(bucket, candidate, entry, check(identity.prompt, entry.prompt), ""))
        return tuple(found)

    def remember(self, identity: Identity, expires_at: float) -> None:
        """Adds a stored entry's question to the index; nothing when the mode is off or it has no usable vector."""
        if not self.applies(identity):
            return
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            return
        partition = self._partition(identity)
        row_key = _packed(identity.bucket, identity.exact)
        self.index.add(partition, row_key, vector, expires_at)
        if self._vectors is not None:
            self._vectors.add(partition, row_key, vector, expires_at)

    def _partition(self, identity: Identity) -> Partition:
        return Partition(namespace=identity.namespace, scope=identity.scope, embedder=self.embedder.identity)

    @staticmethod
    def _fetch(
        store: Store, slot: Slot, digest: bytes, identity: Identity, controls: Controls, now: float
    ) -> CacheEntry | MissReason | None:
        """The entry by the checked lookup; None when it is gone for good."""
        values, record = store.read(slot, [digest])
        if record is None:
            return MissReason.NO_RECORD
        if values[0] is None:
            return None
        entry = examine(values[0], digest, identity, record, now, controls.max_age)
        if isinstance(entry, MissReason):
            # An invalidated one may come back by an undo, until it is swept.
            return None if entry in (MissReason.INCARNATION, MissReason.CORRUPT) else entry
        if entry.header.target is not None or now >= entry.header.fresh_until:
            return MissReason.EXPIRED
        return entry if visibility(entry, record) is Visibility.FRESH else MissReason.EXPIRED

    def _forget(self, partition: Partition, row_key: bytes) -> None:
        self.index.remove(partition, row_key)
        if self._vectors is not None:
            self._vectors.remove(partition, row_key)


def _packed(bucket: int, digest: bytes) -> bytes:
    return bucket.to_bytes(2, "big") + digest


def _unpacked(row_key: bytes) -> tuple[int, bytes]:
    return int.from_bytes(row_key[:2], "big"), row_key[2:]


def _neighbour(bucket: int, candidate: Candidate, entry: CacheEntry, verdict: GuardVerdict, ruling: str) -> Neighbour:
    return Neighbour(
        key=readable_key(bucket, entry.header.digest),
        model=entry.header.model,
        prompt=entry.prompt,
        similarity=math.floor(candidate.similarity * 1e6) / 1e6,
        guard="" if verdict.passed else str(verdict.guard),
        reason=verdict.reason,
        ruling=ruling,
    )


def _why_not(neighbours: list[Neighbour]) -> str:
    if not neighbours:
        return "far"
    last = neighbours[-1]
    return f"judge-{last.ruling}" if last.ruling else f"guard-{last.guard}"
