"""Semantic lookup: is there a stored question near enough, does no guard object, does a judge agree?

Candidates come from the index, answers only through the checked lookup. In mode `serve` an entry at or above the
namespace's threshold is served; in mode `judge` one between the grey and the threshold is shown to the judge first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from ..bans import InvalidationRecord, Visibility
from ..errors import StoreUnavailable
from ..keys import Identity, Slot, readable_key
from ..models import CacheEntry, Controls, HitDetail, SemanticMode
from ..stores import Examined, Found, MissReason, Store, examine, follow
from ..stores.redis import reading, writing
from .embedding import CheckedEmbedder, NoVector, Vector
from .guards import check
from .index import Candidate, Partition, SemanticIndex
from .quality import Threshold, pair_id
from .results import Judgement, Neighbour, SemanticResult

CANDIDATES = 8
"""Rows taken from the index: an expired or invalidated first must not hide a live second."""
JUDGED = 3
"""Candidates shown to the judge, best first; and of those that are too far, as many are noted."""
NEAREST_FROM = 0.5
"""A nearest question farther than this is not worth a mention."""
OVERTAKEN = "judge-overtaken"
"""Why a lookup found nothing whose judge has not ruled yet, or said yes too late."""
LABEL = "label"
"""Beside the guards' names: what a pair is refused by that an operator, or a judge afterwards, called different."""


class Objection(NamedTuple):
    """The name of what refuses a pair, empty when nothing does, and its reason in words."""

    guard: str
    reason: str


class Judge(Protocol):
    """Says whether a stored answer answers the new question too."""

    def rule(self, namespace: str, question: str, stored: CacheEntry) -> Judgement:
        """Within its deadline and budget; never raises."""
        ...


class Vectors(Protocol):
    """Where the rows of all processes are kept, so that each can hold them in its index."""

    def catch_up(self, partition: Partition) -> bool:
        """Brings the index up to date with what other processes stored and removed; False while that takes longer."""
        ...

    def add(self, partition: Partition, row_key: bytes, vector: Vector, expires_at: float) -> None:
        """Tells the other processes of a row."""
        ...

    def remove(self, partition: Partition, row_key: bytes) -> None:
        """Tells them that it leads nowhere; it is still in the index."""
        ...

    def close(self) -> None:
        """Ends what runs beside the requests."""
        ...


class Observer(Protocol):
    """Hears of every lookup: the evidence a threshold is certified by."""

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

    def find(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        identity: Identity,
        controls: Controls,
        now: float,
        *,
        hedged: bool = False,
    ) -> SemanticResult:
        """The nearest entry that may be served. `hedged`: as far as no judge is needed. Raises StoreUnavailable."""
        looking = self._look(store, slot_of, identity, controls, now)
        try:
            nearest = next(looking)
        except StopIteration as end:
            result: SemanticResult = end.value
            return result
        if hedged:
            return SemanticResult(reason=OVERTAKEN, nearest=nearest, rest=partial(_ended, looking))
        return _ended(looking, lambda: True)

    def _look(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        identity: Identity,
        controls: Controls,
        now: float,
    ) -> Generator[float, Callable[[], bool], SemanticResult]:
        """The lookup. Yields the nearest cosine before a judge is asked, and is told then how to know whether a yes may
        still be served.
        """
        threshold = self.thresholds(identity.namespace)
        vector = self.embedder.vector(identity.prompt)
        if isinstance(vector, NoVector):
            self._count(f"no_vector_{vector.value.replace('-', '_')}")
            return SemanticResult(reason=f"no-vector-{vector}")
        asked = controls.threshold or 0.0
        sure = max(math.inf if threshold.serve is None else threshold.serve, asked)
        judge = self._judge if threshold.mode is SemanticMode.JUDGE else None
        lowest = sure if judge is None else min(sure, max(threshold.grey, asked))
        partition = self._partition(identity)
        is_complete = self._vectors is None or self._vectors.catch_up(partition)
        noted_from = min(lowest, threshold.grey)
        candidates = self._search(partition, vector, CANDIDATES, min(noted_from, NEAREST_FROM))
        neighbours: list[Neighbour] = []
        reason = "far" if is_complete else "loading"
        rulings = far = 0
        may_serve: Callable[[], bool] | None = None
        found: tuple[int, CacheEntry, float] | None = None
        near = [candidate for candidate in candidates if candidate.similarity >= noted_from]
        for candidate, bucket, entry in self._live(store, slot_of, partition, near, identity, controls, now):
            objection = self._objection(identity, entry)
            is_far = candidate.similarity < lowest
            judgement = None
            if is_far:
                far += 1
                if far > JUDGED:
                    break
            elif objection.guard:
                self._count(f"guard_{objection.guard}")
                reason = f"guard-{objection.guard}"
            elif judge is not None and candidate.similarity < sure:
                if rulings == JUDGED:
                    break
                if may_serve is None:
                    may_serve = yield candidates[0].similarity
                rulings += 1
                judgement = judge.rule(identity.namespace, identity.prompt, entry)
                self._count(f"judge_{judgement.word.replace('-', '_')}")
                reason = f"judge-{judgement.word}"
            neighbours.append(_neighbour(bucket, candidate, entry, objection, judgement, is_far=is_far))
            if not is_far and not objection.guard and (judgement is None or judgement.word == "yes"):
                found = (bucket, entry, candidate.similarity)
                break
            if judgement is not None and judgement.word != "no":
                break  # late, over budget or broken: so would the next one be
        if found is not None and may_serve is not None and not may_serve():
            found, reason = None, OVERTAKEN
        result = SemanticResult(
            found=Found(entry=found[1], detail=HitDetail.SEMANTIC) if found else None,
            bucket=found[0] if found else 0,
            similarity=found[2] if found else None,
            judged=found is not None and neighbours[-1].judgement is not None,
            neighbours=tuple(neighbours),
            reason="" if found else reason,
            nearest=candidates[0].similarity if candidates else None,
            embedder=self.embedder.identity.digest.hex(),
        )
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
            self._vectors.catch_up(partition)
        candidates = self._search(partition, vector, k, -1.0)
        return tuple(
            _neighbour(bucket, candidate, entry, self._objection(identity, entry), None)
            for candidate, bucket, entry in self._live(store, slot_of, partition, candidates, identity, Controls(), now)
        )

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
        row_key = _packed(identity.bucket, identity.exact)
        with writing():
            self.index.add(partition, row_key, vector, expires_at)
        if self._vectors is not None:
            self._vectors.add(partition, row_key, vector, expires_at)

    def close(self) -> None:
        """Ends what runs beside the requests."""
        self.embedder.close()
        if self._vectors is not None:
            self._vectors.close()

    def _objection(self, identity: Identity, entry: CacheEntry) -> Objection:
        """What a label of this very pair, or a guard, has against it. Raises StoreUnavailable."""
        refused = self._refused(identity.namespace)
        if refused and pair_id(identity.namespace, identity.prompt, entry.prompt) in refused:
            return Objection(LABEL, "this pair was labelled as different")
        verdict = check(identity.prompt, entry.prompt)
        return Objection("" if verdict.passed else str(verdict.guard), verdict.reason)

    def _partition(self, identity: Identity) -> Partition:
        return Partition(namespace=identity.namespace, scope=identity.scope, embedder=self.embedder.identity)

    def _search(self, partition: Partition, vector: Vector, k: int, minimum_similarity: float) -> list[Candidate]:
        with reading():
            return self.index.search(partition, vector, k, minimum_similarity)

    def _live(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        partition: Partition,
        candidates: Sequence[Candidate],
        identity: Identity,
        controls: Controls,
        now: float,
    ) -> Iterator[tuple[Candidate, int, CacheEntry]]:
        """(candidate, bucket, entry) of each entry that candidates lead to: once, nearest first, by the checked lookup.

        The nearest is mostly the one: it is read alone, the others together. Rows that lead nowhere go away.
        """
        met: set[bytes] = set()
        for group in (candidates[:1], candidates[1:]):
            values = _read(store, slot_of, identity.namespace, group)
            for candidate in group:
                bucket, digest = _unpacked(candidate.key)
                value, record = values[candidate.key]
                if record is None:
                    continue
                if value is None:
                    self._forget(partition, candidate.key)
                    continue
                seen = examine(value, digest, identity, record, now, controls.max_age)
                if isinstance(seen, Examined) and (target := seen.entry.header.target) is not None:
                    slot = slot_of(identity.namespace, bucket)
                    seen, after = follow(store, slot, identity, seen.entry, target, now, controls.max_age)
                    if after is None:
                        continue
                if isinstance(seen, MissReason):
                    # An invalidated one may come back by an undo, until it is swept.
                    if seen in (MissReason.INCARNATION, MissReason.CORRUPT, MissReason.ABSENT):
                        self._forget(partition, candidate.key)
                    continue
                entry = seen.entry
                is_fresh = now < entry.header.fresh_until and seen.visibility is Visibility.FRESH
                if is_fresh and entry.header.digest not in met:
                    met.add(entry.header.digest)
                    yield candidate, bucket, entry

    def _forget(self, partition: Partition, row_key: bytes) -> None:
        try:
            if self._vectors is not None:
                self._vectors.remove(partition, row_key)
            with reading():
                self.index.remove(partition, row_key)
        except StoreUnavailable:
            self._count("rows_not_removed")


def _ended(
    looking: Generator[float, Callable[[], bool], SemanticResult], may_serve: Callable[[], bool]
) -> SemanticResult:
    """Carries a lookup on from where it waits for a judge."""
    try:
        looking.send(may_serve)
    except StopIteration as end:
        result: SemanticResult = end.value
        return result
    raise AssertionError("a lookup waits once")


_Values = dict[bytes, tuple[bytes | None, InvalidationRecord | None]]


def _read(
    store: Store, slot_of: Callable[[str, int], Slot], namespace: str, candidates: Sequence[Candidate]
) -> _Values:
    """What stands at the candidates' keys, with their bucket's record: one round trip a bucket."""
    by_bucket: dict[int, list[bytes]] = {}
    for candidate in candidates:
        by_bucket.setdefault(_unpacked(candidate.key)[0], []).append(candidate.key)
    found: _Values = {}
    for bucket, keys in by_bucket.items():
        values, record = store.read(slot_of(namespace, bucket), [_unpacked(key)[1] for key in keys])
        found |= {key: (value, record) for key, value in zip(keys, values, strict=True)}
    return found


def _packed(bucket: int, digest: bytes) -> bytes:
    return bucket.to_bytes(2, "big") + digest


def _unpacked(row_key: bytes) -> tuple[int, bytes]:
    return int.from_bytes(row_key[:2], "big"), row_key[2:]


def _neighbour(
    bucket: int,
    candidate: Candidate,
    entry: CacheEntry,
    objection: Objection,
    judgement: Judgement | None,
    *,
    is_far: bool = False,
) -> Neighbour:
    return Neighbour(
        key=readable_key(bucket, entry.header.digest),
        model=entry.header.model,
        prompt=entry.prompt,
        similarity=math.floor(candidate.similarity * 1e6) / 1e6,
        guard=objection.guard,
        reason=objection.reason,
        ruling=judgement.word if judgement is not None else "",
        judgement=judgement,
        far=is_far,
    )
