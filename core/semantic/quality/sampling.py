"""Judging afterwards: a worker asks the judge about a share of the hits that were served unjudged."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...errors import DecodeError
from ...keys import Slot, parse_readable_key
from ...models import CacheEntry
from ...stores import Reader, codec
from ..judge import ProviderJudge
from ..results import Case
from .evidence import Evidence
from .records import Sample

DEADLINE_SECONDS = 30.0
"""Nobody waits for these judgements."""

BATCH = 20


class SampleProgress(msgspec.Struct, kw_only=True):
    """Samples so far: `judged` have a label now, `wrong` of them were wrong answers. `fell_back`: namespaces.

    Without a label stay those whose entry is `gone`, those `not_shown` to the judge, and those it left `unanswered`.
    """

    taken: int = 0
    judged: int = 0
    wrong: int = 0
    gone: int = 0
    not_shown: int = 0
    unanswered: int = 0
    fell_back: list[str] = msgspec.field(default_factory=list)


def judge_samples(
    evidence: Evidence,
    judge: ProviderJudge,
    store: Reader,
    *,
    on_sample: Callable[[SampleProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    count: Callable[[str], None] = lambda name: None,
) -> SampleProgress:
    """Judges the samples that wait, and counts them for the bounds of their namespaces.

    A sample whose entry is gone, or on which there is no ruling, is dropped. Raises StoreUnavailable.
    """
    progress = SampleProgress()
    while not should_stop() and (samples := evidence.take_samples(BATCH)):
        for sample in samples:
            progress.taken += 1
            stored = _stored(store, sample)
            if stored is None:
                progress.gone += 1
                continue
            case = Case(namespace=sample.namespace, question=sample.question, history=sample.history)
            [judgement] = judge.rule(case, [stored], deadline_seconds=DEADLINE_SECONDS)
            evidence.add_sample(sample, stored, judgement)
            count(f"sample_{judgement.word.replace('-', '_')}")
            progress.judged += judgement.is_ruling
            progress.wrong += judgement.word == "no"
            is_shown = judgement.word != "not-shown"
            progress.not_shown += not is_shown
            progress.unanswered += is_shown and not judgement.is_ruling
            on_sample(progress)
    progress.fell_back = evidence.bounds.update()
    return progress


def _stored(store: Reader, sample: Sample) -> CacheEntry | None:
    """The entry that was served, None when it is gone."""
    place = parse_readable_key(sample.key)
    if place is None:
        return None
    bucket, digest = place
    values, _ = store.read(Slot(sample.namespace, bucket), [digest])
    try:
        return codec.decode_entry(values[0]) if values[0] is not None else None
    except DecodeError:
        return None
