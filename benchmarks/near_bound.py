"""Whether the bound on near hits holds at every moment: `python -m benchmarks.near_bound [--data DIR] [--runs N]`.

Each run is a stream of near matches at or above a published cosine, whose share of wrong ones changes on the way. The
rule decides about each whether the judge is asked first, or it is served and perhaps judged afterwards. Counted is in
how many runs the bound was ever broken, in how many more than the budget of the served hits was ever wrong, and how
many right hits were served without the judge; beside it the rule of before (enough labels at a fixed sample, exact
bounds, a threshold that falls when recent labels pass the budget) on the same streams.

DIR has labelled sets as in `semantic_quality`: matches are then drawn from theirs, and a change is from one set to
another. Without it the shares are made up.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.semantic_quality import GuardedPairs, Question, read_stream, run_stream
from core.semantic.embedding import CheckedEmbedder, Embedder, WordLlamaEmbedder
from core.semantic.quality.betting import is_proved
from core.semantic.quality.bound import FEWEST_RECENT, RARE, RECENT, rarity

BUDGET = 0.02
SAMPLE_SHARE = 0.05
LEVELS = (1.0, 0.5, 0.25, 0.125, 0.0625, SAMPLE_SHARE)
MATCHES = 6_000
RUNS = 1_000
STREAMS: Mapping[str, Sequence[float]] = {
    "0.2 % wrong": (0.002, 0.002, 0.002),
    "0.5 % wrong": (0.005, 0.005, 0.005),
    "2 % wrong": (0.02, 0.02, 0.02),
    "0.2, then 5, then 0.2 %": (0.002, 0.05, 0.002),
    "0.2, then 30 %": (0.002, 0.002, 0.3),
    "5, then 0.2 %": (0.05, 0.002, 0.002),
    "1, then 3 %": (0.01, 0.03, 0.03),
}
"""Shares of wrong matches in each third of a stream."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule did in all runs of a stream. Shares of runs: `broken` the bound, `passed` the budget among hits.

    `unjudged`: of the right matches, those that were served without the judge; `calls`: of all matches, those that the
    judge was asked about.
    """

    broken: float
    passed: float
    unjudged: float
    calls: float


def drawn(shares: Sequence[float], runs: int, matches: int, seed: int = 16) -> Flags:
    """Runs of matches, true where wrong; each share holds for an equal part."""
    draw = np.random.default_rng(seed)
    return draw.random((runs, matches)) < np.repeat(shares, math.ceil(matches / len(shares)))[:matches]


@dataclass(slots=True)
class Runs:
    """The sums of `core.semantic.quality.bound` for many runs side by side."""

    weighed: NDArray[np.float64]
    hits: NDArray[np.float64]
    lowest: NDArray[np.float64]
    labels: NDArray[np.int64]
    wrong: NDArray[np.int64]
    recent: Flags
    is_drifting: Flags
    chance: NDArray[np.float64]
    holds: Flags

    @classmethod
    def new(cls, runs: int) -> Runs:
        counts = np.zeros(runs, dtype=np.int64)
        return cls(
            weighed=np.zeros(runs),
            hits=np.zeros(runs),
            lowest=np.ones(runs),
            labels=counts.copy(),
            wrong=counts.copy(),
            recent=np.zeros((runs, RECENT), dtype=bool),
            is_drifting=np.zeros(runs, dtype=bool),
            chance=np.ones(runs),
            holds=np.zeros(runs, dtype=bool),
        )

    def add(
        self, rows: NDArray[np.int64], is_wrong: Flags, chance: NDArray[np.float64], hits: NDArray[np.int64]
    ) -> None:
        """One label for each of these runs."""
        self.lowest[rows] = np.minimum(self.lowest[rows], chance)
        self.weighed[rows] += np.where(is_wrong, self.lowest[rows] / chance, 0.0)
        self.hits[rows] += hits
        self.recent[rows, self.labels[rows] % RECENT] = is_wrong
        self.labels[rows] += 1
        self.wrong[rows] += is_wrong
        levels = np.minimum(np.array(LEVELS)[None, :], self.lowest[rows, None])
        proved = is_proved(self.weighed[rows, None], self.hits[rows, None], BUDGET * levels)
        self.holds[rows] = proved[:, 0]
        self.chance[rows] = np.where(proved, levels, 1.0).min(axis=1)
        self._see_drift(rows)

    def _see_drift(self, rows: NDArray[np.int64]) -> None:
        seen = np.minimum(self.labels[rows], RECENT)
        found = self.recent[rows].sum(axis=1)
        is_above = found / seen > BUDGET
        self.is_drifting[rows] &= is_above
        for row, wrong, labels in zip(rows[is_above], found[is_above], seen[is_above], strict=True):
            if not self.is_drifting[row] and wrong >= FEWEST_RECENT:
                chance = rarity(int(wrong), int(labels), int(self.wrong[row]), int(self.labels[row]))
                self.is_drifting[row] = chance <= RARE


def by_the_bound(is_wrong: Flags, seed: int = 7) -> Outcome:
    """The rule that goes by the bound."""
    runs, matches = is_wrong.shape
    coins = np.random.default_rng(seed).random((runs, matches))
    known = Runs.new(runs)
    waiting = np.zeros(runs, dtype=np.int64)
    served = served_wrong = unjudged_right = calls = np.zeros(runs)
    is_broken, has_passed = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    true_wrong = np.zeros(runs)
    for match in range(matches):
        wrong = is_wrong[:, match]
        is_unjudged = known.holds & ~known.is_drifting
        chance = np.where(is_unjudged, known.chance, 1.0)
        is_labelled = coins[:, match] < chance
        waiting += 1
        served = served + (is_unjudged | ~wrong)
        served_wrong = served_wrong + (is_unjudged & wrong)
        unjudged_right = unjudged_right + (is_unjudged & ~wrong)
        calls = calls + is_labelled
        true_wrong += wrong
        rows = np.flatnonzero(is_labelled)
        known.add(rows, wrong[rows], chance[rows], waiting[rows])
        waiting[rows] = 0
        # The bound is below the true share exactly when that share is proved to be too high.
        is_broken[rows] |= is_proved(
            known.weighed[rows], known.hits[rows], known.lowest[rows] * true_wrong[rows] / (match + 1)
        )
        has_passed |= served_wrong > BUDGET * np.maximum(served, 1)
    return Outcome(
        broken=float(is_broken.mean()),
        passed=float(has_passed.mean()),
        unjudged=float(unjudged_right.sum() / np.maximum((~is_wrong).sum(), 1)),
        calls=float(calls.sum() / is_wrong.size),
    )


def by_fixed_samples(is_wrong: Flags, seed: int = 7) -> Outcome:
    """The rule of before: served from when an exact bound supports it, given up for good when recent labels do not."""
    runs, matches = is_wrong.shape
    coins = np.random.default_rng(seed).random((runs, matches))
    needed = np.array([_fixed_sample(errors) for errors in range(400)])
    labels, errors = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=np.int64)
    is_published, is_over = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    served = served_wrong = unjudged_right = calls = np.zeros(runs)
    has_passed, is_broken = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    true_wrong, since = np.zeros(runs), np.zeros(runs)
    for match in range(matches):
        wrong = is_wrong[:, match]
        is_unjudged = is_published & ~is_over
        is_labelled = coins[:, match] < np.where(is_unjudged, SAMPLE_SHARE, 1.0)
        labels += is_labelled
        errors += is_labelled & wrong
        true_wrong += wrong & is_published
        since += is_published
        served = served + (is_unjudged | (is_published & ~wrong))
        served_wrong = served_wrong + (is_unjudged & wrong)
        unjudged_right = unjudged_right + (is_unjudged & ~wrong)
        calls = calls + is_labelled
        is_enough = labels >= needed[np.minimum(errors, len(needed) - 1)]
        is_broken |= is_unjudged & is_enough & (true_wrong > BUDGET * np.maximum(since, 1))
        is_over |= is_unjudged & ~is_enough & ((labels >= needed[0]) | ((errors >= 3) & (errors > 0.3 * labels)))
        fresh = is_enough & ~is_published
        is_published |= fresh
        labels[fresh], errors[fresh] = 0, 0  # what is known when it is published does not count again
        has_passed |= served_wrong > BUDGET * np.maximum(served, 1)
    return Outcome(
        broken=float(is_broken.mean()),
        passed=float(has_passed.mean()),
        unjudged=float(unjudged_right.sum() / np.maximum((~is_wrong).sum(), 1)),
        calls=float(calls.sum() / is_wrong.size),
    )


def _fixed_sample(errors: int) -> int:
    """The labels that, looked at once, prove the budget with so many errors (Clopper-Pearson, 95 %)."""

    def plausible(labels: int) -> float:
        logs = [
            math.lgamma(labels + 1)
            - math.lgamma(count + 1)
            - math.lgamma(labels - count + 1)
            + count * math.log(BUDGET)
            + (labels - count) * math.log1p(-BUDGET)
            for count in range(errors + 1)
        ]
        return sum(math.exp(log) for log in logs)

    low, high = errors, 200 * (errors + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if plausible(middle) > 0.05 else (low, middle)
    return high


def resampled(flags: Sequence[Flags], runs: int, matches: int, seed: int = 16) -> Flags:
    """Runs whose thirds are each drawn from the matches of one set."""
    draw = np.random.default_rng(seed)
    part = math.ceil(matches / 3)
    chosen = draw.integers(0, len(flags), (runs, 3))
    rows = [np.concatenate([draw.choice(flags[of], part) for of in row])[:matches] for row in chosen]
    return np.array(rows)


def of_sets(data: Path, cosine: float) -> dict[str, Flags]:
    """By set, whether each match at or above a cosine that passes the guards is wrong."""
    embedder = WordLlamaEmbedder()
    found: dict[str, Flags] = {}
    for path in sorted(data.glob("*.stream.jsonl.gz")):
        questions = read_stream(path, CheckedEmbedder(embedder, remembered=10_000), 5_000)
        flags = np.array(_matches(questions, embedder, cosine))
        if len(flags) > 50:
            found[f"{path.name.partition('.')[0]} ({flags.mean():.1%} wrong)"] = flags
    return found


def _matches(questions: Sequence[Question], embedder: Embedder, cosine: float) -> list[bool]:
    guards, flags = GuardedPairs(questions), []

    def accept(new: int, stored: int) -> bool:
        is_match = guards(new, stored)
        if is_match:
            flags.append(questions[new].answer_class != questions[stored].answer_class)
        return is_match

    run_stream(questions, embedder, cosine, accept)
    return flags


def report(name: str, is_wrong: Flags) -> None:
    """Prints what both rules did on one kind of stream."""
    for rule, found in (("bound", by_the_bound(is_wrong)), ("fixed samples", by_fixed_samples(is_wrong))):
        print(
            f"{name:34}{rule:16}{found.broken:>10.1%}{found.passed:>14.1%}{found.unjudged:>18.1%}{found.calls:>14.1%}",
            flush=True,
        )
        name = ""


def main() -> None:
    """Simulates all streams."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with labelled sets to draw matches from")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--matches", type=int, default=MATCHES)
    arguments = parser.parse_args()
    print(f"{arguments.runs} runs of {arguments.matches} matches, budget {BUDGET:.0%}\n")
    print(f"{'':50}{'bound ever':>10}{'budget ever':>14}{'right hits with-':>18}{'judge':>14}")
    print(f"{'share of wrong matches':34}{'rule':16}{'broken':>10}{'passed':>14}{'out the judge':>18}{'calls':>14}")
    for name, shares in STREAMS.items():
        report(name, drawn(shares, arguments.runs, arguments.matches))
    if arguments.data is not None:
        for cosine in (0.9, 0.97):
            sets = of_sets(arguments.data, cosine)
            print(f"\nfrom {cosine}: {', '.join(sets)}")
            report("each third from one of them", resampled(list(sets.values()), arguments.runs, arguments.matches))


if __name__ == "__main__":
    main()
