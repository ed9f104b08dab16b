"""Semantic lookup: is there a stored question near enough, does no guard object, does a judge agree?

Candidates come from the index, answers only through the checked lookup. In mode `serve` an entry at or above the
namespace's threshold is served; in mode `judge` one between the grey and the threshold is shown to the judge first.

A lookup is a `Search`, begun by `SemanticLookup.candidates` and carried on by its caller (see `search`). What it
decides is in `decision`, what it reads in `fetch`; `find` is the plain loop over its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Protocol

import msgspec

from ..errors import StoreUnavailable
from ..keys import Identity, Slot
from ..models import NO_CONTROLS, CacheEntry, Controls, SemanticMode
from ..stores import Store
from ..stores.redis import reading, writing
from .decision import Ask, Bounds, Candidates, NearEntry, Objection, bounds, neighbour
from .embedding import CheckedEmbedder, NoVector, Vector
from .fetch import Query, live_entries, row_key
from .index import Candidate, Partition, SemanticIndex
from .objections import objection
from .quality import Threshold, pair_id
from .results import Neighbour, SemanticResult
from .search import Judge, Observer, Search

CANDIDATES = 8
"""Rows taken from the index: an expired or invalidated first must not hide a live second."""
NEAREST_FROM = 0.5
"""A nearest question farther than this is not worth a mention."""
LABEL = "label"
"""Beside the guards' names: what refuses a pair that an operator, or a judge afterwards, called different."""


class Vectors(Protocol):
    """Where the rows of all processes are kept, so that each can hold them in its index."""

    def catch_up(self, partition: Partition) -> bool:
        """Brings the index up to date with what other processes stored and removed; False while that takes longer."""
        ...

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Stores a row for all processes. Raises StoreUnavailable, WriteRefused or OutcomeUnknown."""
        ...

    def remove(self, partition: Partition, row_key: bytes) -> None:
        """Removes a row that leads nowhere for all processes; it is still in this index. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Ends the threads that work beside the requests."""
        ...


class SemanticLookup:
    """The semantic part of a cache. Thread-safe."""

    def __init__(
        self,
        embedder: CheckedEmbedder,
        index: SemanticIndex,
        *,
        thresholds: Callable[[str], Threshold],
        refused: Callable[[str], Collection[str]] = lambda namespace: (),
        vectors: Vectors | None = None,
        judge: Judge | None = None,
        count: Callable[[str], None] = lambda name: None,
        observer: Observer = lambda identity, threshold, result: None,
    ) -> None:
        self.embedder = embedder
        self.index = index
        self.thresholds = thresholds
        self._refused = refused
        self._vectors = vectors
        self._judge = judge
        self._count = count
        self._observer = observer

    def applies(self, identity: Identity) -> bool:
        """Whether near questions are looked for: the mode allows it and the last message is plain text."""
        return identity.fuzzy and self.thresholds(identity.namespace).mode is not SemanticMode.OFF

    def candidates(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, controls: Controls, now: float
    ) -> Search | SemanticResult:
        """Embeds the question and searches the index; the entries are read by the search's steps.

        A `SemanticResult` is the end of it: the question has no usable vector. Raises StoreUnavailable.
        """
        threshold = self.thresholds(identity.namespace)
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            self._count(f"no_vector_{vector.value.replace('-', '_')}")
            return SemanticResult(reason=f"no-vector-{vector}")
        limits = bounds(threshold, controls.threshold, has_judge=self._judge is not None)
        partition = self._partition(identity)
        is_loaded = self._vectors is None or self._vectors.catch_up(partition)
        rows = self._search(partition, vector, CANDIDATES, min(limits.noted, NEAREST_FROM))
        query = Query(store=store, slot_of=slot_of, identity=identity, controls=controls, now=now)
        return Search(
            identity,
            threshold,
            Candidates(bounds=limits, nearest=rows[0].similarity if rows else None, is_loaded=is_loaded),
            self._near(query, partition, [row for row in rows if row.similarity >= limits.noted], limits),
            embedder=self.embedder.identity.digest.hex(),
            judge=self._judge,
            count=self._count,
            observer=self._observer,
        )

    def find(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, controls: Controls, now: float
    ) -> SemanticResult:
        """The nearest entry that may be served, or why there is none. Raises StoreUnavailable."""
        search = self.candidates(store, slot_of, identity, controls, now)
        if isinstance(search, SemanticResult):
            return search
        while isinstance(step := search.decide(), Ask):
            search.ask(step)
        return search.report(step)

    def explain(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, now: float, *, k: int = 5
    ) -> tuple[Neighbour, ...]:
        """The `k` nearest entries whatever their similarity, with the guards' verdicts; nothing is judged or counted.

        Empty when the question has no usable vector. Raises StoreUnavailable.
        """
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            return ()
        partition = self._partition(identity)
        if self._vectors is not None:
            self._vectors.catch_up(partition)
        rows = self._search(partition, vector, k, -1.0)
        query = Query(store=store, slot_of=slot_of, identity=identity, controls=NO_CONTROLS, now=now)
        limits = bounds(self.thresholds(identity.namespace), None, has_judge=self._judge is not None)
        every = msgspec.structs.replace(limits, lowest=-1.0)
        return tuple(neighbour(near) for near in self._near(query, partition, rows, every))

    def remember(self, identity: Identity, expires_at: float) -> None:
        """Adds a stored question to the index; nothing when the mode is off or it has no usable vector.

        Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        if not self.applies(identity):
            return
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            return
        partition = self._partition(identity)
        key = row_key(identity.bucket, identity.exact)
        with writing():
            self.index.add(partition, key, vector, expires_at)
        if self._vectors is not None:
            self._vectors.add(partition, key, vector, expires_at)

    def close(self) -> None:
        """Ends the threads that work beside the requests."""
        self.embedder.close()
        if self._vectors is not None:
            self._vectors.close()

    def _objection(self, identity: Identity, entry: CacheEntry, limits: Bounds, similarity: float) -> Objection:
        """What a label of this very pair, or a guard, has against it. Raises StoreUnavailable."""
        refused = self._refused(identity.namespace)
        if refused and pair_id(identity.namespace, identity.prompt, entry.prompt) in refused:
            return Objection(LABEL, "this pair was labelled as different")
        is_far = similarity < limits.lowest
        return objection(identity.prompt, entry.prompt, self.embedder, serve=limits.serve, weighs=not is_far)

    def _partition(self, identity: Identity) -> Partition:
        return Partition(namespace=identity.namespace, scope=identity.scope, embedder=self.embedder.identity)

    def _search(self, partition: Partition, vector: Vector, k: int, minimum_similarity: float) -> list[Candidate]:
        with reading():
            return self.index.search(partition, vector, k, minimum_similarity)

    def _near(
        self, query: Query, partition: Partition, rows: Sequence[Candidate], limits: Bounds
    ) -> Iterator[NearEntry]:
        """The fresh entries that rows lead to, with what stands against serving each; read as they are needed."""
        for live in live_entries(query, rows, partial(self._forget, partition)):
            yield NearEntry(
                entry=live.entry,
                bucket=live.bucket,
                similarity=live.similarity,
                objection=self._objection(query.identity, live.entry, limits, live.similarity),
            )

    def _forget(self, partition: Partition, key: bytes) -> None:
        try:
            if self._vectors is not None:
                self._vectors.remove(partition, key)
            with reading():
                self.index.remove(partition, key)
        except StoreUnavailable:
            self._count("rows_not_removed")
