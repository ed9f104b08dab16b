"""How often one conversation is answered by another, and how often wrongly: `python -m benchmarks.conversations`.

Files given have labelled pairs as JSON lines (gzip too): `a` and `b` are lists of messages, `equivalent` says whether
the answer to `a` answers `b` too, `category` is any word, `depends_a` and `depends_b` list words that a judge has to be
shown. Without any the sets in `tests/semantic/sets/chats` are measured; `--cast` and `--mtrag` are folders with clones
of daltonj/treccastweb and IBM/mt-rag-benchmark, of whose dialogues pairs are made.

Each pair goes through the whole cache: `a` is stored, `b` is asked. The judge is simulated: right with the given
probability, whichever way, by fixed seeds. Beside it, on the same pairs, what is done elsewhere: to compare the last
message alone by a cosine. Intervals are of 95%.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks import _dialogues
from core.cache import CacheConfig, LLMCache
from core.configuration import CONVERSATIONS_GREY
from core.keys import names
from core.models import CacheEntry, CacheStrategy, ChatRequest, Completion, Controls, OutcomeKind, SemanticMode
from core.policy import Audience, TTLPolicy
from core.semantic.conversations import Conversation, difference, shortened, stored_conversation
from core.semantic.embedding import CheckedEmbedder, NoVector, WordLlamaEmbedder
from core.semantic.index import NumpyIndex
from core.semantic.lookup import SemanticLookup
from core.semantic.quality import Threshold
from core.semantic.results import Case, Judgement
from core.stores import MemoryStore
from tests.semantic.sets.chat_pairs import FOLDER, ChatPair, chat_pairs

ACCURACY = 0.98
SEEDS = 5
PEERS = (0.80, 0.90)
_Z = 1.96


class SimulatedJudge:
    """Right with the given probability. Keeps what it was shown."""

    def __init__(self, accuracy: float, seed: int) -> None:
        self._accuracy = accuracy
        self._random = random.Random(seed)
        self.is_same = False
        self.shown: list[tuple[Case, CacheEntry]] = []

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        self.shown += [(case, entry) for entry in stored]
        is_right = self._random.random() < self._accuracy
        word = "yes" if self.is_same is is_right else "no"
        return [Judgement(word=word), *[Judgement(word="no")] * (len(stored) - 1)]


class Answers:
    """A provider whose answers do not matter."""

    name = "answers"
    base_url = "http://provider.test/v1"

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        message = {"role": "assistant", "content": "An answer."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Completion(body={"id": "1", "object": "chat.completion", "model": request.model, "choices": [choice]})

    def close(self) -> None:
        """Has nothing to close."""


@dataclass(slots=True)
class Tally:
    """What became of the pairs of one kind."""

    pairs: int = 0
    guarded: int = 0
    shown: int = 0
    served: int = 0
    simulated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    peers: Counter[float] = field(default_factory=Counter)
    needed: int = 0
    named: int = 0

    def add(self, other: Tally) -> None:
        for name in ("pairs", "guarded", "shown", "served", "simulated", "needed", "named"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons += other.reasons
        self.peers += other.peers


class Measured:
    """Pairs sent through caches of their own, all with one embedder."""

    def __init__(self, grey: float, accuracy: float) -> None:
        self._embedder = CheckedEmbedder(WordLlamaEmbedder(), remembered=50_000)
        self._grey = grey
        self._accuracy = accuracy

    def tally(self, pair: ChatPair) -> Tally:
        """What becomes of a pair: once with a judge that is always right, then with one that errs, by each seed."""
        judge = SimulatedJudge(1.0, 0)
        judge.is_same = True
        reason = self._ask(pair, judge)
        tally = Tally(pairs=1, guarded=_is_refused(pair), shown=bool(judge.shown))
        if reason:
            tally.reasons[reason] += 1
        for seed in range(SEEDS):
            erring = SimulatedJudge(self._accuracy, _seed(seed, pair))
            erring.is_same = pair.equivalent
            tally.simulated += 1
            tally.served += bool(judge.shown) and not self._ask(pair, erring)
        for least in PEERS:
            tally.peers[least] += self._cosine(pair) >= least
        if judge.shown and (pair.depends_a or pair.depends_b):
            tally.needed = 1
            tally.named = names_all(pair, *judge.shown[0])
        return tally

    def _ask(self, pair: ChatPair, judge: SimulatedJudge) -> str:
        """Stores `a`, asks `b`: "" for a hit, else the reason of the miss."""
        off, on = (
            Threshold(mode=SemanticMode.OFF),
            Threshold(mode=SemanticMode.JUDGE, grey=self._grey, serve=None),
        )
        semantic = SemanticLookup(
            self._embedder,
            NumpyIndex(),
            thresholds=lambda name: on if name.endswith(names.CONVERSATIONS) else off,
            judge=judge,
            conversations=True,
            personal=lambda text: TTLPolicy().explain(text).personal,
        )
        cache = LLMCache(
            CacheConfig(strategy=CacheStrategy.SEMANTIC, ttl=1000, conversations=True, audience=Audience.SHARED),
            store=MemoryStore(),
            provider=Answers(),
            semantic=semantic,
        )
        outcome = None
        for messages in (pair.a, pair.b):
            # One user, so that what is personal is compared too.
            request = ChatRequest.from_openai(model="gpt-4o-mini", messages=messages)
            outcome = cache.complete(request, Controls(user="ann")).outcome
        cache.close()
        if outcome is None or outcome.kind is OutcomeKind.HIT:
            return ""
        return outcome.reason

    def _cosine(self, pair: ChatPair) -> float:
        """Of the last messages alone, as caches have it that compare nothing else."""
        vectors = [self._embedder.vector(messages[-1]["content"]) for messages in (pair.a, pair.b)]
        one, other = vectors
        if isinstance(one, NoVector) or isinstance(other, NoVector):
            return float(pair.a[-1] == pair.b[-1])
        return float(one @ other)


def _is_refused(pair: ChatPair) -> bool:
    """Whether a rule sees a difference, however near the two are. What is too long is not compared at all."""
    completed = []
    for messages in (pair.b, pair.a):
        *before, question = [(one["role"], one["content"]) for one in messages]
        turns = shortened(before, question[1])
        if turns is None:
            return False
        completed.append(Conversation(turns, question[1]).completed)
    return difference(*completed) is not None


def _seed(number: int, pair: ChatPair) -> int:
    """The same in every run, whatever the order of the pairs."""
    return int.from_bytes(sha256(json.dumps([number, pair.a, pair.b]).encode()).digest()[:8], "big")


def names_all(pair: ChatPair, case: Case, stored: CacheEntry) -> bool:
    """Whether what the judge is shown has every word that the pair says is needed."""
    ours = "\n".join((case.question, *case.history, *case.dependencies))
    conversation = stored_conversation(stored)
    theirs = conversation.text if isinstance(conversation, Conversation) else ""
    return all(word in ours for word in pair.depends_b) and all(word in theirs for word in pair.depends_a)


def interval(part: int, whole: int) -> str:
    """A share with its 95% interval (Wilson): `61.2% (52.0 to 69.7)`."""
    if not whole:
        return "none"
    share = part / whole
    middle = (share + _Z**2 / (2 * whole)) / (1 + _Z**2 / whole)
    half = _Z * math.sqrt(share * (1 - share) / whole + _Z**2 / (4 * whole**2)) / (1 + _Z**2 / whole)
    return f"{share:.1%} ({max(0.0, middle - half):.1%} to {min(1.0, middle + half):.1%})"


def report(name: str, pairs: Iterable[ChatPair], measured: Measured) -> None:
    """Prints what became of the pairs of a set, by category."""
    kinds: dict[tuple[bool, str], Tally] = {}
    for pair in pairs:
        kinds.setdefault((pair.equivalent, pair.category), Tally()).add(measured.tally(pair))
    print(f"\n== {name}")
    for is_same, title in ((True, "should hit"), (False, "traps")):
        whole = Tally()
        for (equivalent, _), tally in kinds.items():
            if equivalent is is_same:
                whole.add(tally)
        if not whole.pairs:
            continue
        # Seeds repeat the same pairs: the interval is of as many as there are pairs.
        served = round(whole.served / SEEDS)
        print(f"{title}: {whole.pairs} pairs")
        over = f"{whole.served / whole.simulated:.2%} over {SEEDS} seeds"
        print(f"  served             {interval(served, whole.pairs)}, {over}")
        print(f"  shown to the judge {interval(whole.shown, whole.pairs)}")
        print(f"  refused by guards  {interval(whole.guarded, whole.pairs)}, whatever the cosine")
        print(f"  reasons of misses  {_most(whole.reasons)}")
        for least in PEERS:
            print(f"  last message only, cosine {least:.2f}: served {interval(whole.peers[least], whole.pairs)}")
        if whole.needed:
            print(f"  all that is needed is shown in {whole.named} of {whole.needed}")
        for (equivalent, category), tally in sorted(kinds.items()):
            if equivalent is is_same and len(kinds) > 2:
                print(f"    {category:32} {tally.pairs:5} pairs, {tally.shown:5} shown, {tally.guarded:5} refused")


def _most(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(8)) or "none"


def read_file(path: Path) -> Iterator[ChatPair]:
    """The pairs of JSON lines."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            yield ChatPair(
                a=row["a"],
                b=row["b"],
                equivalent=row["equivalent"],
                category=row.get("category", "all"),
                depends_a=tuple(row.get("depends_a", ())),
                depends_b=tuple(row.get("depends_b", ())),
            )


def main() -> None:
    """Measures every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--cast", type=Path, help="folder with a clone of daltonj/treccastweb")
    parser.add_argument("--mtrag", type=Path, help="folder with a clone of IBM/mt-rag-benchmark")
    parser.add_argument("--limit", type=int, default=1_500, help="pairs of dialogues at most")
    parser.add_argument("--grey", type=float, default=CONVERSATIONS_GREY, help="cosine to judge from")
    parser.add_argument("--accuracy", type=float, default=ACCURACY, help="how often the judge is right")
    arguments = parser.parse_args()
    began = time.monotonic()
    measured = Measured(arguments.grey, arguments.accuracy)
    for path in arguments.files:
        report(path.name, read_file(path), measured)
    if not arguments.files:
        for path in sorted(FOLDER.glob("*.toml")):
            report(f"own, {path.stem}", chat_pairs(path.stem), measured)
    dialogues = _dialogues.read(arguments.cast, arguments.mtrag)
    if dialogues:
        report("dialogues", _dialogues.pairs(dialogues, arguments.limit), measured)
    print(f"\nmeasured in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
