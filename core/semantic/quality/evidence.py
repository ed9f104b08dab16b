"""Evidence: what judges and operators said of near matches, kept, shown, and turned into thresholds that hold.

Requests only leave notes here; a thread writes them. Answers are never among them, and texts only where prompts may be
kept.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
import redis

from ...access import Acting, Action
from ...concurrency import Outbox
from ...errors import InvalidInput, OutcomeUnknown, ThresholdRefused
from ...keys import Identity, names
from ...models import SemanticMode
from ...stores.redis import reading
from ...text import printable
from ..results import Judgement, Neighbour, SemanticResult
from . import report as reports
from .calibration import GRID, CurvePoint, Labeller, curve, labels_needed, labels_still_needed, tighten
from .journal import Journal
from .records import MAX_TEXT, LookupRecord, Pair, PairRecord, Sample, Seen, decoder, encode, merged, pair_id
from .rejected_pairs import Refusals
from .report import EvidenceReport, ReplayPoint
from .thresholds import Published, Threshold, ThresholdAction, Thresholds, check_expected

if TYPE_CHECKING:
    from ...models import CacheEntry

KEPT_LABELS = 50_000
KEPT_LOOKUPS = 20_000
LOOKUP_SECONDS = 30 * 86_400
KEPT_SAMPLES = 1_000
SAMPLE_SECONDS = 3_600
"""How long a hit waits to be judged. Its question is in Redis meanwhile, whole."""

FEWEST_ERRORS = 3
"""Of few labels so many must be wrong before anything tightens: who labels begins with what looks wrong."""

RECENT_SECONDS = 7 * 86_400
"""What counts as recent traffic, as far as nobody has published a threshold since."""

_read_label = decoder(PairRecord)
_read_lookup = decoder(LookupRecord)
_read_sample = decoder(Sample)


class Evidence:
    """The evidence of all processes, or of this one without a client.

    `budget` is the share of false hits per hit beyond which a threshold tightens by itself, `sample_share` that of the
    unjudged hits which are judged afterwards. Reading methods raise StoreUnavailable.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        thresholds: Thresholds,
        refusals: Refusals,
        *,
        keep_prompts: bool = True,
        budget: float = 0.02,
        sample_share: float = 0.05,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._thresholds = thresholds
        self._refusals = refusals
        self._keep_prompts = keep_prompts
        self._budget = budget
        self._sample_share = sample_share
        self._clock = clock
        self._chance = chance
        self._outbox = Outbox(client) if client is not None else None
        # Labels stay however long nobody asks: they are work. 50,000 of them take about 20 MB.
        self._labels = Journal(client, self._outbox, names.EVIDENCE, keep=KEPT_LABELS)
        self._lookups = Journal(client, self._outbox, names.LOOKUPS, keep=KEPT_LOOKUPS, ttl_seconds=LOOKUP_SECONDS)
        self._samples: deque[bytes] = deque(maxlen=KEPT_SAMPLES)

    # Taking notes

    def observe(self, identity: Identity, threshold: Threshold, result: SemanticResult) -> None:
        """Notes a lookup, the judge's labels in it, and perhaps that its hit is to be judged. Takes microseconds."""
        now = self._clock()
        hit = result.found is not None
        seen = tuple(self._seen(identity, neighbour) for neighbour in result.neighbours)
        first = next((place for place, neighbour in enumerate(result.neighbours) if not neighbour.guard), -1)
        for place, neighbour in enumerate(result.neighbours):
            judgement = neighbour.judgement
            if judgement is None or judgement.word not in ("yes", "no"):
                continue
            is_served = hit and place == len(seen) - 1
            self.add(
                PairRecord(
                    pair=seen[place].pair,
                    at=now,
                    namespace=identity.namespace,
                    embedder=result.embedder,
                    similarity=neighbour.similarity,
                    equivalent=judgement.word == "yes",
                    labeller=Labeller.JUDGE,
                    labelled_by=judgement.judge,
                    mode=threshold.mode,
                    version=threshold.version,
                    first=place == first,
                    served=is_served,
                    question=self._text(identity.prompt),
                    stored=seen[place].stored,
                    question_key=identity.key,
                    key=neighbour.key,
                    saved_usd=_saved_usd(result) if is_served else 0.0,
                    **self._of(judgement),
                )
            )
        self._lookups.add(
            encode(
                LookupRecord(
                    at=now,
                    namespace=identity.namespace,
                    embedder=result.embedder,
                    mode=threshold.mode,
                    version=threshold.version,
                    question_key=identity.key,
                    question=self._text(identity.prompt),
                    hit=hit,
                    judged=result.judged,
                    reason=result.reason,
                    nearest=result.nearest,
                    seen=seen,
                )
            )
        )
        if hit and not result.judged and self._keep_prompts and self._chance() < self._sample_share:
            self._sample(identity, threshold, result, now)

    def add(self, record: PairRecord) -> None:
        """Notes a label."""
        self._labels.add(encode(record))

    def _seen(self, identity: Identity, neighbour: Neighbour) -> Seen:
        return Seen(
            pair=pair_id(identity.namespace, identity.prompt, neighbour.prompt),
            key=neighbour.key,
            similarity=neighbour.similarity,
            guard=neighbour.guard,
            ruling=neighbour.ruling,
            stored=self._text(neighbour.prompt),
        )

    def _of(self, judgement: Judgement) -> dict[str, Any]:
        return {
            "reason": (self._text(judgement.reason) or "") if judgement.reason else "",
            "latency_ms": judgement.latency_ms,
            "input_tokens": judgement.input_tokens,
            "output_tokens": judgement.output_tokens,
            "cost_usd": judgement.cost_usd,
        }

    def _text(self, text: str) -> str | None:
        return printable(text, MAX_TEXT) if self._keep_prompts else None

    # Judging afterwards

    def _sample(self, identity: Identity, threshold: Threshold, result: SemanticResult, now: float) -> None:
        value = encode(
            Sample(
                at=now,
                namespace=identity.namespace,
                embedder=result.embedder,
                mode=threshold.mode,
                version=threshold.version,
                question=identity.prompt,
                question_key=identity.key,
                key=result.neighbours[-1].key,
                similarity=result.neighbours[-1].similarity,
                saved_usd=_saved_usd(result),
            )
        )
        if self._outbox is None:
            self._samples.append(value)
            return
        self._outbox.put(
            (b"RPUSH", names.SAMPLES, value),
            (b"LTRIM", names.SAMPLES, -KEPT_SAMPLES, -1),
            (b"EXPIRE", names.SAMPLES, SAMPLE_SECONDS),
        )

    def samples_waiting(self) -> int:
        """Hits that wait to be judged."""
        if self._client is None:
            return len(self._samples)
        with reading():
            return self._client.llen(names.SAMPLES.decode())

    def take_samples(self, most: int = 20) -> list[Sample]:
        """Hits to be judged; each is given to one caller only."""
        values: list[bytes]
        if self._client is None:
            values = [self._samples.popleft() for _ in range(min(most, len(self._samples)))]
        else:
            with reading():
                values = cast("list[bytes] | None", self._client.lpop(names.SAMPLES.decode(), most)) or []
        return [sample for value in values if (sample := _read_sample(value)) is not None]

    def add_sample(self, sample: Sample, stored: CacheEntry, judgement: Judgement) -> None:
        """Notes what a judge said of a hit afterwards; a word that is neither yes nor no is no label.

        What it calls different is not served again. Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        if judgement.word not in ("yes", "no"):
            return
        pair = pair_id(sample.namespace, sample.question, stored.prompt)
        if judgement.word == "no":
            self._refusals.refuse(sample.namespace, pair)
        self.add(
            PairRecord(
                pair=pair,
                at=self._clock(),
                namespace=sample.namespace,
                embedder=sample.embedder,
                similarity=sample.similarity,
                equivalent=judgement.word == "yes",
                labeller=Labeller.JUDGE,
                labelled_by=judgement.judge,
                mode=sample.mode,
                version=sample.version,
                first=True,
                served=True,
                question=self._text(sample.question),
                stored=self._text(stored.prompt),
                question_key=sample.question_key,
                key=sample.key,
                saved_usd=sample.saved_usd if judgement.word == "yes" else 0.0,
                **self._of(judgement),
            )
        )

    # Operators

    def label(self, pair: str, equivalent: bool, *, actor: Acting) -> Pair:
        """An operator says whether a stored answer answers a question; it counts for more than a judge's word.

        What is called different is not served again, and the threshold is tightened when that shows it to be too low.
        Raises InvalidInput for a pair that is not kept,
        OutcomeUnknown when the label may not have been: give it again.
        """
        by = self._thresholds.audit.by(actor).require(Action.LABEL)
        known = self.pair(pair)
        if equivalent:
            self._refusals.allow(known.namespace, known.id)
        else:
            self._refusals.refuse(known.namespace, known.id)
        dropped = self._outbox.dropped if self._outbox is not None else 0
        self.add(
            PairRecord(
                pair=known.id,
                at=self._clock(),
                namespace=known.namespace,
                embedder=known.embedder,
                similarity=known.similarity,
                equivalent=equivalent,
                labeller=Labeller.OPERATOR,
                labelled_by=printable(by, 200),
                mode=known.mode,
                version=known.version,
                guard=known.guard,
                first=known.first,
                served=known.served,
                question=known.question,
                stored=known.stored,
                question_key=known.question_key,
                key=known.key,
            )
        )
        self.flush()
        if self._outbox is not None and self._outbox.dropped > dropped:
            raise OutcomeUnknown("Redis did not take what was to be written: the label may be lost; give it again")
        self.tighten(known.namespace)
        return msgspec.structs.replace(known, operator_label=equivalent, operator=by)

    def call_different(self, namespace: str, pair: str, *, actor: Acting) -> Pair | None:
        """An operator says that a stored answer does not answer a question: as `label`, also for a pair not kept.

        Such a pair is never served again and is no evidence: None. Raises as `label`, but for InvalidInput.
        """
        try:
            return self.label(pair, False, actor=actor)
        except InvalidInput:
            self._refusals.refuse(namespace, pair)
            return None

    def pair(self, pair: str) -> Pair:
        """A pair by its id. Raises InvalidInput when it is not kept (any more)."""
        known = merged(self._records(), self._lookup_records()).get(pair)
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
        """Pairs of a namespace, the latest first: all, the labelled ones, or those that nobody labelled yet."""
        known = merged(self._records(namespace, since), self._lookup_records(namespace, since)).values()
        chosen = [pair for pair in known if is_labelled is None or (pair.label is not None) == is_labelled]
        return sorted(chosen, key=lambda pair: pair.at, reverse=True)[:limit]

    # Conclusions

    def report(self, namespace: str, *, since: float | None = None) -> EvidenceReport:
        """What is known of a namespace's near matches, of the embedder that was used last."""
        records, lookups = list(self._records(namespace, since)), list(self._lookup_records(namespace, since))
        return self._report(namespace, records, lookups, since)

    def reports(self, *, since: float | None = None) -> list[EvidenceReport]:
        """The same of every namespace of which anything is known, by name; everything is read once."""
        records: dict[str, list[PairRecord]] = {}
        lookups: dict[str, list[LookupRecord]] = {}
        for record in self._records(None, since):
            records.setdefault(record.namespace, []).append(record)
        for lookup in self._lookup_records(None, since):
            lookups.setdefault(lookup.namespace, []).append(lookup)
        return [
            self._report(name, records.get(name, []), lookups.get(name, []), since)
            for name in sorted({*records, *lookups})
        ]

    def _report(
        self, namespace: str, records: list[PairRecord], lookups: list[LookupRecord], since: float | None
    ) -> EvidenceReport:
        embedder = _latest_embedder(records, lookups)
        records = [record for record in records if record.embedder == embedder]
        lookups = [lookup for lookup in lookups if lookup.embedder == embedder]
        return reports.report(
            namespace,
            self._thresholds.current(namespace),
            records,
            lookups,
            merged(records, lookups).values(),
            embedder=embedder,
            since=since,
        )

    def replay(
        self, namespace: str, thresholds: Sequence[float] = GRID, *, since: float | None = None
    ) -> list[ReplayPoint]:
        """The threshold lab: what the recorded lookups would have come to at other thresholds, without a judge.

        Thresholds below what was looked at find no more than that: `grey` is the lowest.
        """
        records = list(self._records(namespace, since))
        lookups = list(self._lookup_records(namespace, since))
        embedder = _latest_embedder(records, lookups)
        labels = {pair.id: pair.label for pair in merged(records, ()).values() if pair.label is not None}
        return reports.replay([lookup for lookup in lookups if lookup.embedder == embedder], labels, thresholds)

    def support(self, namespace: str, serve: float) -> CurvePoint:
        """What all labels say of a cosine to serve from: errors per hit, and their upper bound (1.0 without labels)."""
        records = list(self._records(namespace))
        embedder = _latest_embedder(records, [])
        return curve(reports.fair_sample(record for record in records if record.embedder == embedder), (serve,))[0]

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
        """Puts a threshold in force that labels support within the budget; what they say is in the audit record.

        A stricter one than that in force needs no support, nor does one that is `unsupported` on purpose. `expected` is
        the version that it is to follow. Raises ThresholdRefused, InvalidInput, AccessDenied.
        """
        trail = self._thresholds.audit.by(actor)
        trail.require(Action.PUBLISH_THRESHOLD)
        in_force = self._thresholds.current(namespace)
        check_expected(in_force, expected)
        evidence: dict[str, Any] = {}
        if threshold.mode is not SemanticMode.OFF and threshold.serve is not None:
            point = self.support(namespace, threshold.serve)
            evidence = {"labels": point.labels, "errors": point.errors, "bound": round(point.bound, 5)}
            is_stricter = (
                in_force.mode is not SemanticMode.OFF
                and in_force.serve is not None
                and threshold.serve >= in_force.serve
            )
            is_supported = point.bound <= self._budget or is_stricter
            if not is_supported and unsupported:
                trail.require(Action.PUBLISH_UNSUPPORTED)
            if not is_supported and not unsupported:
                needed = labels_still_needed(point.errors, point.labels, self._budget)
                raise ThresholdRefused(
                    f"labels do not support {threshold.serve:.3f} within {self._budget:.0%} false hits: of "
                    f"{point.labels} at or above it {point.errors} are wrong; {needed} more without an error would do"
                )
            evidence["supported"] = point.bound <= self._budget
        return self._thresholds.publish(
            namespace, threshold, actor=trail, note=note, expected=expected, evidence=evidence
        )

    def tighten(self, namespace: str) -> Published | None:
        """Raises the threshold when recent labels show more false hits than the budget; None when they do not.

        Recent is what came since an operator published a threshold, a week at most.
        """
        seen = self._thresholds.current(namespace)
        if seen.mode is SemanticMode.OFF or seen.serve is None:
            return None
        since = self._clock() - RECENT_SECONDS
        versions = self._thresholds.versions(namespace)
        by_people = (known.at for known in versions if known.act is not ThresholdAction.TIGHTENED)
        records = list(self._records(namespace, max(since, next(by_people, since))))
        embedder = _latest_embedder(records, [])
        pairs = reports.fair_sample(record for record in records if record.embedder == embedder)
        tighter = tighten(pairs, seen.serve, self._budget)
        if tighter is None or (tighter.errors < FEWEST_ERRORS and tighter.labels < labels_needed(self._budget)):
            return None
        return self._thresholds.tighten(
            namespace,
            tighter.threshold,
            seen=seen,
            note=tighter.reason,
            evidence={"labels": tighter.labels, "errors": tighter.errors, "bound": round(tighter.bound, 5)},
        )

    # The journals

    def _records(self, namespace: str | None = None, since: float | None = None) -> Iterable[PairRecord]:
        """Labels of a namespace or of all, newest first."""
        self.flush()
        for value in self._labels.newest_first():
            record = _read_label(value)
            if record is None or (namespace is not None and record.namespace != namespace):
                continue
            if since is not None and record.at < since:
                return
            yield record

    def _lookup_records(self, namespace: str | None = None, since: float | None = None) -> Iterable[LookupRecord]:
        self.flush()
        for value in self._lookups.newest_first():
            record = _read_lookup(value)
            if record is None or (namespace is not None and record.namespace != namespace):
                continue
            if since is not None and record.at < since:
                return
            yield record

    def flush(self) -> None:
        """Writes what was noted so far."""
        if self._outbox is not None:
            self._outbox.flush()

    def close(self) -> None:
        """Writes what was noted and ends the thread."""
        if self._outbox is not None:
            self._outbox.close()


def _latest_embedder(records: Sequence[PairRecord], lookups: Sequence[LookupRecord]) -> str:
    """Cosines of different embedders say nothing about each other: the one used last counts."""
    latest = [(record.at, record.embedder) for record in records[:1]]
    latest += [(lookup.at, lookup.embedder) for lookup in lookups[:1]]
    return max(latest, default=(0.0, ""))[1]


def _saved_usd(result: SemanticResult) -> float | None:
    return result.found.entry.header.cost_usd if result.found is not None else 0.0
