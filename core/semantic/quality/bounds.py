"""The bounds of all namespaces: labels are counted as they come, and lookups go by what follows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from ...errors import OutcomeUnknown, WriteRefused
from .archive import Archive
from .bound import PARTS, UNJUDGED, Bound, Drawn, Standing, added, in_effect, noted, standing, state
from .calibration import Labeller, caught_at_least
from .records import PairRecord, of_latest_embedder
from .threshold import Threshold
from .thresholds import Thresholds

MOST_EFFECTS = 10_000


class Bounds:
    """The bounds of all processes, or of this one without a client.

    `budget` is the share of false hits per hit that a bound must be within for hits without a judge, `sample_share` the
    least share of the unjudged hits that is judged afterwards (0: none is), `embedder` the digest in hex of the one in
    use, empty where it is not known. Reading methods raise StoreUnavailable.
    """

    def __init__(
        self,
        thresholds: Thresholds,
        archive: Archive,
        *,
        budget: float,
        sample_share: float,
        embedder: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._thresholds = thresholds
        self._archive = archive
        self._budget = budget
        self._sample_share = sample_share
        self._embedder = embedder
        self._clock = clock
        self._effects: dict[str, tuple[Threshold, Bound, Threshold]] = {}  # computed once a read, not once a lookup

    def in_effect(self, namespace: str) -> Threshold:
        """The threshold that a lookup goes by now: as published, or with the judge asked first.

        At most a second old. Raises StoreUnavailable.
        """
        threshold, bound = self._thresholds.standing(namespace)
        known = self._effects.get(namespace)
        if known is not None and known[0] is threshold and known[1] is bound:
            return known[2]
        effect = in_effect(threshold, bound, self._budget, self._sample_share)
        if len(self._effects) >= MOST_EFFECTS:
            self._effects.clear()
        self._effects[namespace] = (threshold, bound, effect)
        return effect

    def standing(self, namespace: str) -> Standing | None:
        """How the publication in force stands, from all labels so far; None where nothing is to be served unjudged."""
        self.catch_up()
        return self.known(namespace)

    def catch_up(self) -> None:
        """Counts new labels, where it can be noted that they are."""
        with contextlib.suppress(WriteRefused, OutcomeUnknown):
            self.update()

    def known(self, namespace: str) -> Standing | None:
        """How the publication in force stands, from what was counted so far."""
        threshold, bound = self._thresholds.standing_now(namespace)
        return standing(bound, threshold, self._budget, is_checked=self._sample_share > 0)

    def update(self) -> list[str]:
        """Counts the labels that came since the last time, of any process. The namespaces that fell back to the judge.

        Each label counts once, whoever calls this when. Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        read = self._thresholds.labels_read()
        place = read
        fresh: dict[str, list[tuple[str, PairRecord]]] = {}
        for name, record in self._archive.labels_after(read):
            place = name
            if record is not None and (record.chance or record.labeller is Labeller.OPERATOR):
                fresh.setdefault(record.namespace, []).append((name, record))
        fallen = [namespace for namespace, records in fresh.items() if self._count(namespace, records)]
        if place != read:
            self._thresholds.set_labels_read(read, place)
        return sorted(fallen)

    def _count(self, namespace: str, records: Sequence[tuple[str, PairRecord]]) -> bool:
        """Counts labels of a namespace; whether it falls back to the judge by that."""
        caught = None
        if any(record.labeller is Labeller.OPERATOR for _, record in records):
            labels = of_latest_embedder(list(self._archive.labels(namespace)), ())[0]
            caught = caught_at_least([record.labelled() for record in labels], 1 - PARTS)
        was = now = None
        in_use = self._embedder()

        def change(threshold: Threshold, bound: Bound) -> Bound:
            nonlocal was, now
            was = state(bound, threshold, self._budget, is_checked=self._sample_share > 0)
            news = [
                Drawn(at=record.at, wrong=not record.equivalent, chance=record.chance, hits=record.hits)
                for place, record in records
                if _follows(place, bound.read) and _is_of(record, threshold, in_use)
            ]
            after = (
                msgspec.structs.replace(bound, read=records[-1][0]) if _follows(records[-1][0], bound.read) else bound
            )
            after = msgspec.structs.replace(after, caught=caught) if caught is not None else after
            for label in news:
                after = added(after, label, self._budget)
            now = state(after, threshold, self._budget, is_checked=self._sample_share > 0)
            return noted(after, self._clock()) if news else after

        before, after = self._thresholds.change_bound(namespace, change)
        if after == before or was == now or now is None or was is None:
            return False
        self._thresholds.audit.by("encore", source="worker").record(
            f"threshold.{now.value}",
            at=self._clock(),
            namespace=namespace,
            details={"before": was.value, "labels": after.labels, "wrong": after.wrong, "bound": round(after.share, 5)},
        )
        return was in UNJUDGED and now not in UNJUDGED


def _is_of(record: PairRecord, threshold: Threshold, embedder: str) -> bool:
    """Whether a label counts for what is in force: drawn, of this publication and embedder, at or above its cosine.

    `embedder` is the digest of the one in use, empty where it is not known.
    """
    if threshold.serve is None or record.similarity < threshold.serve:
        return False
    is_since = record.version >= threshold.publication and (not embedder or record.embedder == embedder)
    return record.chance > 0 and is_since


def _follows(place: str, other: str) -> bool:
    """Whether a place in the journal of labels comes after another, or after none ("")."""
    return not other or _numbers(place) > _numbers(other)


def _numbers(place: str) -> tuple[int, int]:
    left, _, right = place.partition("-")
    return int(left), int(right or 0)
