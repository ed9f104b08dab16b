"""How often near questions hit, and how often wrongly: `python -m benchmarks.semantic_quality --data DIR`.

DIR holds labelled sets as gzipped JSON lines: `*.stream.jsonl.gz` with `query` and `answer_class` in the order of
arrival, `*.pairs.jsonl.gz` with `a`, `b`, `equivalent`. Each set, and the pairs in twelve languages of the tests, goes
through the whole cache, as with `python -m core eval`, and beside it through the rule of other caches, a fixed cosine:
what is served, and what a judge would be shown, per kind and language.

Streams also run through embedder, index and guards alone, at many thresholds and with simulated judges: the cache
starts empty; what is near enough is served, everything else is stored. Exact repeats are not in the sets. False hits
are counted per hit, never per request. Thresholds of "within a budget" are the best for the set itself: an upper bound
on what a calibration can reach.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from core.cache import CacheConfig
from core.errors import EmbedderError
from core.evaluation import (
    Asked,
    Counts,
    Evaluation,
    Labelled,
    LabelledPair,
    LabelledQuestion,
    Messages,
    Verdict,
    WholeCache,
    evaluate,
    interval,
    read_labelled,
)
from core.models import CacheStrategy, SemanticMode
from core.policy import TTLPolicy
from core.semantic import SemanticConfig, lookup_in_memory
from core.semantic.decision import Objection
from core.semantic.embedding import (
    CheckedEmbedder,
    Embedder,
    NoVector,
    OnnxEmbedder,
    SentenceTransformersEmbedder,
    Vector,
    WordLlamaEmbedder,
)
from core.semantic.index import NumpyIndex, Partition, SemanticIndex
from core.semantic.objections import objection
from core.semantic.quality import Threshold
from tests.semantic.sets.language_pairs import LANGUAGES, crossed_pairs, pairs

THRESHOLDS = [round(0.60 + 0.025 * step, 3) for step in range(12)] + [
    round(0.90 + 0.01 * step, 2) for step in range(10)
]
SHOWN_THRESHOLDS = (0.70, 0.80, 0.875, 0.90, 0.95, 0.97)
GREYS = (0.65, 0.70, 0.75, 0.80, 0.85)
BUDGETS = (0.01, 0.02, 0.05)
ACCURACIES = (1.0, 0.98, 0.95, 0.90)
PEERS = (0.80, 0.90)
"""Cosines from which other caches serve, whatever the question: what they ship with."""
FEWEST_HITS = 20
"""Fewer hits than this say nothing about a share of errors."""

NEAR_WORDS = 0.9
"""Where an embedder has no cosine of its own for what is left of long questions, the one to serve from is used."""

CANDIDATES = 8
JUDGED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request of a stream; None where the embedder refuses the text."""

    text: str
    answer_class: str
    vector: Vector | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a stream came to."""

    requests: int = 0
    repeats: int = 0
    hits: int = 0
    false_hits: int = 0

    @property
    def hit_rate(self) -> float:
        return self.hits / max(self.requests, 1)

    @property
    def false_share(self) -> float:
        """False hits among hits."""
        return self.false_hits / max(self.hits, 1)

    @property
    def recall(self) -> float:
        """Right hits among requests whose answer was asked for before."""
        return (self.hits - self.false_hits) / max(self.repeats, 1)


Accept = Callable[[int, int], bool | None]
"""(new, stored) -> serve it, go on to the next candidate (False), or give up (None)."""


def run_stream(
    questions: Sequence[Question],
    embedder: Embedder | CheckedEmbedder,
    threshold: float,
    accept: Accept,
    *,
    aliases: bool = False,
) -> Tally:
    """Sends a stream through an empty index. With `aliases` a wording that hit is stored too, for the same answer."""
    index: SemanticIndex = NumpyIndex()
    partition = Partition(namespace="benchmark", scope=b"", embedder=embedder.identity)
    tally = Tally(requests=len(questions))
    seen: set[str] = set()
    answers: dict[int, int] = {}  # row -> the question whose answer it leads to
    for number, question in enumerate(questions):
        tally.repeats += question.answer_class in seen
        seen.add(question.answer_class)
        if question.vector is None:
            continue
        served = None
        considered: set[int] = set()
        for candidate in index.search(partition, question.vector, CANDIDATES, threshold):
            stored = answers[int.from_bytes(candidate.key, "big")]
            if stored in considered:
                continue
            considered.add(stored)
            verdict = accept(number, stored)
            if verdict:
                served = stored
                tally.hits += 1
                tally.false_hits += questions[stored].answer_class != question.answer_class
            if verdict is not False:
                break
        if served is None or aliases:
            answers[number] = number if served is None else served
            index.add(partition, number.to_bytes(4, "big"), question.vector, float("inf"))
    return tally


class GuardedPairs:
    """What stands against one answer for two questions of a stream, asked once."""

    def __init__(self, questions: Sequence[Question], embedder: CheckedEmbedder) -> None:
        self._questions = questions
        self._embedder = embedder
        self._known: dict[tuple[int, int], Objection] = {}

    def __call__(self, new: int, stored: int) -> bool:
        return not self._objection(new, stored).guard

    def may_judge(self, new: int, stored: int) -> bool:
        """Whether a judge's yes could serve the pair."""
        found = self._objection(new, stored)
        return not found.guard or found.judgeable

    def _objection(self, new: int, stored: int) -> Objection:
        pair = (new, stored)
        if pair not in self._known:
            texts = self._questions[new].text, self._questions[stored].text
            self._known[pair] = objection(*texts, self._embedder, serve=NEAR_WORDS)
        return self._known[pair]


class SimulatedJudge:
    """Right with the given probability, whichever way: one call shows it at most `JUDGED` that pass the guards."""

    def __init__(self, questions: Sequence[Question], guards: GuardedPairs, accuracy: float, seed: int = 7) -> None:
        self._questions = questions
        self._guards = guards
        self._accuracy = accuracy
        self._random = random.Random(seed)
        self._shown: tuple[int, int] = (-1, 0)
        self.calls = 0

    def __call__(self, new: int, stored: int) -> bool | None:
        if not self._guards.may_judge(new, stored):
            return False
        shown = self._shown[1] if self._shown[0] == new else 0
        if shown == JUDGED:
            return None
        self._shown = (new, shown + 1)
        self.calls += not shown
        same = self._questions[new].answer_class == self._questions[stored].answer_class
        return same if self._random.random() < self._accuracy else not same


def read_stream(path: Path, embedder: CheckedEmbedder, limit: int) -> list[Question]:
    """The questions of a file with their vectors."""
    rows = list(read_rows(path))[:limit]
    vectors = embedder.vectors([row["query"] for row in rows])
    return [
        Question(
            text=row["query"],
            answer_class=row["answer_class"],
            vector=None if isinstance(vector, NoVector) else vector,
        )
        for row, vector in zip(rows, vectors, strict=True)
    ]


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """JSON lines of a gzipped file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def within_budget(tallies: dict[float, Tally], budget: float) -> tuple[float, Tally] | None:
    """The threshold with the best recall among those whose share of false hits is within the budget."""
    allowed = [
        (threshold, tally)
        for threshold, tally in tallies.items()
        if tally.hits >= FEWEST_HITS and tally.false_share <= budget
    ]
    return max(allowed, key=lambda found: found[1].recall, default=None)


def report_stream(name: str, questions: Sequence[Question], embedder: CheckedEmbedder) -> None:
    """Prints the tables of one stream."""
    guards = GuardedPairs(questions, embedder)
    curves = {
        "cosine": {threshold: run_stream(questions, embedder, threshold, lambda *_: True) for threshold in THRESHOLDS},
        "cosine and guards": {
            threshold: run_stream(questions, embedder, threshold, guards) for threshold in THRESHOLDS
        },
    }
    some = next(iter(curves["cosine"].values()))
    print(f"\n{name}: {some.requests} requests, {some.repeats / some.requests:.0%} ask again for an answer\n")
    print(f"{'':28}{'hit rate / false hits among hits / recall at a cosine of':<60}")
    print(f"{'':20}" + "".join(f"{threshold:>22.3f}" for threshold in SHOWN_THRESHOLDS))
    for label, curve in curves.items():
        print(f"{label:20}" + "".join(f"{_triple(curve[threshold]):>22}" for threshold in SHOWN_THRESHOLDS))
    print(f"\n{'recall within a budget of false hits':40}" + "".join(f"{budget:>20.0%}" for budget in BUDGETS))
    for label, curve in curves.items():
        print(f"{label:40}" + "".join(f"{_best(within_budget(curve, budget)):>20}" for budget in BUDGETS))
    print(f"\n{'judge: recall / false hits / calls per 100, from a cosine of':40}")
    print(f"{'right in':10}" + "".join(f"{grey:>24.2f}" for grey in GREYS))
    for accuracy in ACCURACIES:
        cells = []
        for grey in GREYS:
            judge = SimulatedJudge(questions, guards, accuracy)
            tally = run_stream(questions, embedder, grey, judge, aliases=True)
            cells.append(f"{tally.recall:.1%} / {tally.false_share:.1%} / {100 * judge.calls / tally.requests:.0f}")
        print(f"{accuracy:<10.0%}" + "".join(f"{cell:>24}" for cell in cells))


class FixedCosine:
    """The rule of other caches: the nearest question is served from a fixed cosine on, whatever it says."""

    def __init__(self, embedder: CheckedEmbedder, threshold: float) -> None:
        self._embedder = embedder
        self._threshold = threshold
        self._index = NumpyIndex()
        self._partition = Partition(namespace="benchmark", scope=b"", embedder=embedder.identity)
        self._labels: list[str] = []

    def ask(self, messages: Messages, label: str) -> Verdict:
        """Serves the nearest question, or stores this one. Of a conversation only the last message is seen."""
        vector = self._embedder.vector(str(messages[-1]["content"]))
        if isinstance(vector, NoVector):
            return Verdict()
        for row in self._index.search(self._partition, vector, 1, self._threshold):
            return Verdict(served=self._labels[int.from_bytes(row.key, "big")])
        self._index.add(self._partition, len(self._labels).to_bytes(4, "big"), vector, float("inf"))
        self._labels.append(label)
        return Verdict()


def rules(embedder: CheckedEmbedder, serve: Sequence[float], grey: float) -> dict[str, Callable[[], Asked]]:
    """What is compared, by its name: our whole cache, served from some cosines on, and the rule of others."""
    ttls = TTLPolicy()
    config = SemanticConfig()

    def ours(least: float) -> Callable[[], Asked]:
        threshold = Threshold(mode=SemanticMode.JUDGE, grey=min(grey, least), serve=least)
        lookup = partial(
            lookup_in_memory,
            config,
            embedder,
            thresholds=lambda namespace: threshold,
            personal=lambda text: ttls.explain(text).personal,
            clock=time.time,
        )
        return partial(
            WholeCache, CacheConfig(strategy=CacheStrategy.SEMANTIC), ttls, lookup, model="benchmark", now=time.time()
        )

    return {f"ours {least:.3f}": ours(least) for least in serve} | {
        f"cosine {least:.2f}": partial(FixedCosine, embedder, least) for least in PEERS
    }


def own_sets() -> Iterator[tuple[str, list[Labelled]]]:
    """The pairs in twelve languages and across two that the tests have, each with its kind and its language."""
    for name, found in (
        ("own pairs in twelve languages", [pair for code in LANGUAGES for pair in pairs(code)]),
        ("own pairs across two languages", list(crossed_pairs())),
    ):
        yield (
            name,
            [
                LabelledPair(
                    number=number,
                    category=pair.kind,
                    language=pair.language,
                    a=({"role": "user", "content": pair.a},),
                    b=({"role": "user", "content": pair.b},),
                    equivalent=pair.equivalent,
                )
                for number, pair in enumerate(found, 1)
            ],
        )


def report_rules(name: str, lines: Sequence[Labelled], compared: dict[str, Callable[[], Asked]]) -> None:
    """Prints what each rule makes of the same lines, per kind and per language."""
    found = {rule: evaluate(lines, begin) for rule, begin in compared.items()}
    some = next(iter(found.values()))
    print(f"\n{name}: {some.every.good} good, {some.every.traps} traps\n")
    # In a stream any request may be given the answer of another class.
    is_stream = any(isinstance(line, LabelledQuestion) for line in lines)
    whole = "all requests" if is_stream else "traps"
    print(f"served rightly of good / wrongly of {whole}, and + what a judge would be shown of each")
    print(f"{'':32}{'good':>6}{'traps':>6}" + "".join(f"{rule:>34}" for rule in found))
    for title in ("all", *sorted(some.by_category), *sorted(some.by_language)):
        counts = [_of(one, title) for one in found.values()]
        cells = [_four(one, one.good + one.traps if is_stream else one.traps) for one in counts]
        print(f"{title[:31]:32}{counts[0].good:>6}{counts[0].traps:>6}" + "".join(f"{cell:>34}" for cell in cells))
    for rule, one in found.items():
        wrong, served = one.every.served_traps, one.every.served_good + one.every.served_traps
        low, high = interval(wrong, served)
        print(f"{rule}: {wrong} of {served} served are wrong, {low:.1%} to {high:.1%} (95%)")


def _of(found: Evaluation, title: str) -> Counts:
    return found.every if title == "all" else found.by_category.get(title) or found.by_language[title]


def _four(counts: Counts, wrongs: int) -> str:
    good, wrongs = max(counts.good, 1), max(wrongs, 1)
    served = f"{counts.served_good / good:.1%} / {counts.served_traps / wrongs:.1%}"
    judged = f"{counts.judged_good / good:.1%} / {counts.judged_traps / wrongs:.1%}"
    return f"{served} + {judged}" if counts.judged_good + counts.judged_traps else served


def _triple(tally: Tally) -> str:
    return f"{tally.hit_rate:.1%} / {tally.false_share:.1%} / {tally.recall:.1%}"


def _best(found: tuple[float, Tally] | None) -> str:
    return "none" if found is None else f"{found[1].recall:.1%} @ {found[0]:.3f}"


def embedders(names: Sequence[str]) -> Iterator[tuple[str, Embedder]]:
    """Those that this machine has: `wordllama`, `onnx:FOLDER`, or a model's name for sentence-transformers."""
    for name in names:
        try:
            if name == "wordllama":
                yield name, WordLlamaEmbedder()
            elif name.startswith("onnx:"):
                yield name, OnnxEmbedder(name.removeprefix("onnx:"))
            else:
                yield name, SentenceTransformersEmbedder(name.removeprefix("sentence-transformers:"))
        except EmbedderError as error:
            print(f"{name}: left out, {error}")


def main() -> None:
    """Measures every set of the folder with every embedder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the labelled sets")
    parser.add_argument("--embedder", nargs="+", default=["wordllama", "sentence-transformers/all-MiniLM-L6-v2"])
    parser.add_argument("--serve", nargs="+", type=float, default=[0.97, 0.90], help="cosines to serve from")
    parser.add_argument("--grey", type=float, default=0.70, help="cosine from which a judge would be asked")
    parser.add_argument("--limit", type=int, default=5_000, help="requests of a stream at most")
    arguments = parser.parse_args()
    for name, embedder in embedders(arguments.embedder):
        started = time.monotonic()
        print(f"\n== {name}: {embedder.identity.version}, {embedder.identity.dimension} dimensions")
        checked = CheckedEmbedder(embedder, remembered=2 * arguments.limit)
        for path in sorted(arguments.data.glob("*.stream.jsonl.gz")):
            set_name = path.name.removesuffix(".stream.jsonl.gz")
            report_stream(set_name, read_stream(path, checked, arguments.limit), checked)
        compared = rules(checked, arguments.serve, arguments.grey)
        for path in sorted(arguments.data.glob("*.jsonl.gz")):
            with path.open("rb") as file:
                lines = list(islice(read_labelled(file), arguments.limit))
            report_rules(path.name.removesuffix(".jsonl.gz"), lines, compared)
        for set_name, lines in own_sets():
            report_rules(set_name, lines, compared)
        print(f"\nmeasured in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
