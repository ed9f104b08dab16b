"""Evidence: the labels of judges and operators on near matches, kept, shown, and turned into certified thresholds.

Requests only leave notes here; a thread writes them. Answers are never among them, and texts only where prompts may be
kept.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import redis

from ...access import Acting, Action
from ...concurrency import Outbox
from ...errors import InvalidInput, OutcomeUnknown
from ...keys import Identity
from ...models import SemanticMode
from ..results import Judgement, SemanticResult
from . import report as reports
from .archive import Archive
from .bounds import Bounds
from .calibration import GRID, CurvePoint, curve
from .grey import Grey, advised
from .notes import Notes, operator_label, sample_of
from .records import LookupRecord, Pair, PairRecord, Sample, merged, of_latest_embedder
from .rejected_pairs import RejectedPairs
from .report import EvidenceReport, ReplayPoint, WrongHit, fair_sample
from .sample_queue import SampleQueue
from .threshold import Threshold
from .thresholds import Published, Thresholds, check_expected

if TYPE_CHECKING:
    from ...models import CacheEntry

MOST_UNDRAWN = 10_000
GREY_SECONDS = 30 * 86_400
"""How far back the calls to the judge go by which the cosine to judge from is set."""


class Evidence:
    """The evidence of all processes, or of this one without a client.

    `budget` and `sample_share` are those of its `bounds`, `costs` says what answers of a namespace cost, in US
    dollars by the key of the question, `embedder` is the digest in hex of the one in use, empty where it is not known.
    Reading methods raise StoreUnavailable.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        thresholds: Thresholds,
        rejected: RejectedPairs,
        *,
        keep_prompts: bool = True,
        budget: float = 0.02,
        sample_share: float = 0.05,
        costs: Callable[[str], Mapping[str, float]] = lambda namespace: {},
        embedder: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._thresholds = thresholds
        self._rejected = rejected
        self._budget = budget
        self._costs = costs
        self._embedder = embedder
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._undrawn: dict[tuple[str, int, float], int] = {}  # unjudged hits since one was drawn
        outbox = Outbox(client) if client is not None else None
        self._notes = Notes(keep_prompts=keep_prompts)
        self._archive = Archive(client, outbox)
        self._samples = SampleQueue(client, outbox)
        self._sample_share = sample_share if keep_prompts else 0.0  # a sample holds its question
        self.bounds = Bounds(
            thresholds,
            self._archive,
            budget=budget,
            sample_share=self._sample_share,
            embedder=embedder,
            clock=clock,
        )

    # Taking notes

    def observe(self, identity: Identity, threshold: Threshold, result: SemanticResult) -> None:
        """Notes a lookup, the judge's labels in it, and perhaps that its hit is to be judged. Takes microseconds."""
        now = self._clock()
        for label in self._notes.judge_labels(identity, threshold, result, now):
            self.add(label)
        self._archive.add_lookup(self._notes.lookup(identity, threshold, result, now))
        if result.found is not None and not result.judged:
            self._draw(identity, threshold, result, now)

    def _draw(self, identity: Identity, threshold: Threshold, result: SemanticResult, now: float) -> None:
        """Draws an unjudged hit to be judged afterwards, or counts it for the next that is drawn with its chance."""
        chance = threshold.chance
        if not chance or not self._sample_share:
            return
        of = (identity.namespace, threshold.publication, chance)
        is_drawn = self._chance() < chance
        with self._lock:
            hits = self._undrawn.pop(of, 0) + 1
            if not is_drawn:
                if len(self._undrawn) >= MOST_UNDRAWN:
                    self._undrawn.clear()  # what is not counted makes the bound greater
                self._undrawn[of] = hits
        if is_drawn:
            self._samples.put(sample_of(identity, threshold, result, now, chance=chance, hits=hits))

    def add(self, record: PairRecord) -> None:
        """Adds a label to the evidence. Returns at once, never raises."""
        self._archive.add_label(record)

    def flush(self) -> None:
        """Writes all evidence added so far. Blocks until Redis has it or has refused it."""
        self._archive.flush()

    def close(self) -> None:
        """Writes all evidence added and ends the thread."""
        self._archive.close()

    # Judging afterwards

    def samples_waiting(self) -> int:
        """The number of hits that wait to be judged."""
        return len(self._samples)

    def take_samples(self, most: int = 20) -> list[Sample]:
        """Up to `most` hits to be judged, the oldest first; each is given to one caller only."""
        return self._samples.take(most)

    def add_sample(self, sample: Sample, stored: CacheEntry, judgement: Judgement) -> None:
        """Adds a judge's later label of a hit; what is no ruling is no label.

        A pair labelled different is not served again. Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        if not judgement.is_ruling:
            return
        label = self._notes.sample_label(sample, stored, judgement, self._clock())
        if not label.equivalent:
            self._rejected.reject(sample.namespace, label.pair)
        self.add(label)

    # Operators

    def label(self, pair: str, equivalent: bool, *, actor: Acting) -> Pair:
        """Adds an operator's label of a pair, which overrides a judge's. Returns the pair as labelled.

        A pair labelled different is not served again, and the bound counts it when it was served unjudged.
        Raises InvalidInput for a pair that is not kept, OutcomeUnknown when the label may be lost: give it again.
        """
        by = self._thresholds.audit.by(actor).require(Action.LABEL)
        known = self.pair(pair)
        if equivalent:
            self._rejected.allow(known.namespace, known.id)
        else:
            self._rejected.reject(known.namespace, known.id)
        dropped = self._archive.dropped
        self.add(operator_label(known, equivalent, by, self._clock()))
        self.flush()
        if self._archive.dropped > dropped:
            raise OutcomeUnknown("Redis did not take the write: the label may be lost; give it again")
        self.bounds.update()
        return msgspec.structs.replace(known, operator_label=equivalent, operator=by)

    def call_different(self, namespace: str, pair: str, *, actor: Acting) -> Pair | None:
        """Adds an operator's label that a stored answer does not answer a question: it is not served again.

        The pair as it is then labelled; None when it is not kept, so that this is no evidence. Raises AccessDenied,
        StoreUnavailable, WriteRefused, and OutcomeUnknown when the label may be lost: give it again.
        """
        try:
            return self.label(pair, False, actor=actor)
        except InvalidInput:
            self._rejected.reject(namespace, pair)
            return None

    def pair(self, pair: str) -> Pair:
        """A pair by its id. Raises InvalidInput when it is not kept (any more)."""
        known = merged(self._archive.labels(), self._archive.lookups()).get(pair)
        if known is None:
            raise InvalidInput("pair", "no pair with this id is kept")
        return known

    def pairs(
        self,
        namespace: str,
        *,
        since: float | None = None,
        limit: int = 100,
        is_labelled: bool | None = None,
    ) -> list[Pair]:
        """Pairs of a namespace, the latest first: all, the labelled, or the unlabelled ones."""
        known = merged(self._archive.labels(namespace, since), self._archive.lookups(namespace, since)).values()
        chosen = [pair for pair in known if is_labelled is None or (pair.label is not None) == is_labelled]
        return sorted(chosen, key=lambda pair: pair.at, reverse=True)[:limit]

    # Conclusions

    def report(self, namespace: str, *, since: float | None = None) -> EvidenceReport:
        """The report on a namespace's near matches, for the embedder that was used last."""
        self.bounds.catch_up()
        labels = list(self._archive.labels(namespace, since))
        return self._report(namespace, labels, list(self._archive.lookups(namespace, since)), since)

    def reports(self, *, since: float | None = None) -> list[EvidenceReport]:
        """A report on every namespace of which anything is known, by name; everything is read once."""
        self.bounds.catch_up()
        labels: dict[str, list[PairRecord]] = {}
        lookups: dict[str, list[LookupRecord]] = {}
        for label in self._archive.labels(since=since):
            labels.setdefault(label.namespace, []).append(label)
        for lookup in self._archive.lookups(since=since):
            lookups.setdefault(lookup.namespace, []).append(lookup)
        names = sorted({*labels, *lookups})
        return [self._report(name, labels.get(name, []), lookups.get(name, []), since) for name in names]

    def _report(
        self, namespace: str, all_labels: list[PairRecord], all_lookups: list[LookupRecord], since: float | None
    ) -> EvidenceReport:
        labels, lookups, embedder = of_latest_embedder(all_labels, all_lookups)
        return reports.report(
            namespace,
            self._thresholds.current(namespace),
            labels,
            lookups,
            merged(labels, lookups).values(),
            embedder=embedder,
            since=since,
            grey=self._grey(namespace, labels, lookups),
            standing=self.bounds.known(namespace),
        )

    def _grey(self, namespace: str, labels: Sequence[PairRecord], lookups: Sequence[LookupRecord]) -> Grey | None:
        in_force = self._thresholds.current(namespace)
        return advised(lookups, labels, in_force, self._thresholds.configured_for(namespace).grey, self._budget)

    def set_grey(self) -> list[Published]:
        """Moves the cosine to judge from in every namespace whose evidence of the last month calls for it.

        What an operator fixed stays. A step at a time; returns what was published.
        """
        since = self._clock() - GREY_SECONDS
        published: list[Published | None] = []
        for report in self.reports(since=since):
            grey = report.grey
            if grey is not None and grey.cosine != report.threshold.grey:
                figures = {"calls": grey.calls, "hits": grey.hits, "checked": grey.checked, "wrong": grey.wrong}
                published.append(
                    self._thresholds.set_grey(
                        report.namespace, grey.cosine, seen=report.threshold, note=grey.reason, evidence=figures
                    )
                )
        return [one for one in published if one is not None]

    def replay(
        self, namespace: str, thresholds: Sequence[float] = GRID, *, since: float | None = None
    ) -> list[ReplayPoint]:
        """The threshold lab: the results that recorded lookups would have had at other thresholds, without a judge.

        Thresholds below what was looked at find no more than that: `grey` is the lowest.
        """
        lookups, pairs = self._lookups(namespace, since)
        labels = {pair.id: pair.label for pair in pairs.values() if pair.label is not None}
        return reports.replay(lookups, labels, thresholds, self._costs(namespace))

    def wrong_hits(self, namespace: str, threshold: float, *, since: float | None = None) -> list[WrongHit]:
        """The pairs labelled wrong that recorded lookups would have served from a threshold on, without a judge."""
        return reports.wrong_hits(*self._lookups(namespace, since), threshold)

    def _lookups(self, namespace: str, since: float | None) -> tuple[list[LookupRecord], dict[str, Pair]]:
        """The lookups by the embedder used last, and the labelled pairs."""
        labels = list(self._archive.labels(namespace, since))
        _, lookups, _ = of_latest_embedder(labels, list(self._archive.lookups(namespace, since)))
        return lookups, merged(labels, ())

    def support(self, namespace: str, serve: float) -> CurvePoint:
        """Errors per hit among all labels at a cosine to serve from, and their upper bound (1.0 without labels).

        Labels of another embedder than the one in use say nothing.
        """
        in_use = self._embedder()
        labels = [label for label in self._archive.labels(namespace) if not in_use or label.embedder == in_use]
        return curve(fair_sample(of_latest_embedder(labels, ())[0]), (serve,))[0]

    def publish(
        self,
        namespace: str,
        threshold: Threshold,
        *,
        actor: Acting,
        note: str = "",
        unsupported: bool = False,
        expected: int | None = None,
    ) -> Published:
        """Puts a threshold in force, with what labels say on record. The judge is asked first until the bound holds.

        One that is `unsupported` on purpose is served from at once. `expected` is the version that it is to follow.
        Raises ThresholdRefused, InvalidInput, AccessDenied.
        """
        trail = self._thresholds.audit.by(actor)
        trail.require(Action.PUBLISH_THRESHOLD)
        check_expected(self._thresholds.current(namespace), expected)
        evidence: dict[str, float] = {}
        if threshold.mode is not SemanticMode.OFF and threshold.serve is not None:
            if unsupported:
                trail.require(Action.PUBLISH_UNSUPPORTED)
            point = self.support(namespace, threshold.serve)
            evidence = {"labels": point.labels, "errors": point.errors, "bound": round(point.bound, 5)}
        return self._thresholds.publish(
            namespace,
            msgspec.structs.replace(threshold, unproved=unsupported and threshold.serve is not None),
            actor=trail,
            note=note,
            expected=expected,
            evidence=evidence,
        )
