"""What is kept of near matches: labelled pairs, lookups, samples to be judged afterwards. Pure; never an answer.

Texts are in them only where prompts may be kept; their pair's digest is in them always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec

from ...models import SemanticMode
from .calibration import LabelledPair, Labeller

MAX_TEXT = 500
"""Characters of a question that are kept for people to read."""


class PairRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One label: a question, a stored one that was near, and whether the stored answer answers both.

    `pair` stands for the two texts in their namespace. `guard` names the guard that refused them. `first`: of its
    lookup, the nearest that passed the guards, which is the one that a threshold alone would serve. `served`: the
    stored answer was given. `chance`: the probability with which it was chosen to be labelled, 0 when nobody drew it;
    `hits`: those of its publication that it stands for, itself and those since the one before. `question_key` and `key`
    are readable keys. Money is US dollars, None where no price is known; times are Unix seconds.
    """

    pair: str
    at: float
    namespace: str
    embedder: str
    similarity: float
    equivalent: bool
    labeller: Labeller
    labelled_by: str
    mode: SemanticMode
    version: int = 0
    guard: str = ""
    first: bool = False
    served: bool = False
    chance: float = 0.0
    hits: int = 0
    question: str | None = None
    stored: str | None = None
    question_key: str = ""
    key: str = ""
    reason: str = ""
    latency_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    saved_usd: float | None = 0.0

    def labelled(self) -> LabelledPair:
        """The label as calibration needs it: the pair's digest in place of its texts."""
        return LabelledPair(
            namespace=self.namespace,
            embedder=self.embedder,
            question=self.pair,
            stored="",
            similarity=self.similarity,
            refused_by=self.guard or None,
            equivalent=self.equivalent,
            labeller=self.labeller,
            labelled_by=self.labelled_by,
            labelled_at=self.at,
        )


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A near entry as a lookup saw it, and the judge's word on it. `served`: its answer was given."""

    pair: str
    key: str
    similarity: float
    guard: str = ""
    ruling: str = ""
    served: bool = False
    stored: str | None = None


class LookupRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One semantic lookup: its neighbours from the nearest on, and how it ended.

    `hit`: one of them was served; `judged`: because a judge said yes.
    """

    at: float
    namespace: str
    embedder: str
    mode: SemanticMode
    version: int = 0
    question_key: str = ""
    question: str | None = None
    hit: bool = False
    judged: bool = False
    reason: str = ""
    nearest: float | None = None
    seen: tuple[Seen, ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A hit that was served unjudged and is to be judged afterwards. `question` is whole: it lives for an hour.

    `history` are the messages before it, shortened. It was chosen with this `chance`, and stands for so many `hits`.
    """

    at: float
    namespace: str
    embedder: str
    mode: SemanticMode
    version: int
    question: str
    question_key: str
    key: str
    similarity: float
    saved_usd: float | None
    history: tuple[str, ...] = ()
    chance: float = 0.0
    hits: int = 0


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair with all its labels. A missing label is None; so are texts that are not kept.

    `judge_word` is what the judge said of a pair without a label, empty where it was not asked.
    """

    id: str
    namespace: str
    embedder: str
    at: float
    mode: SemanticMode
    similarity: float
    guard: str = ""
    first: bool = False
    served: bool = False
    question: str | None = None
    stored: str | None = None
    question_key: str = ""
    key: str = ""
    version: int = 0
    judge_label: bool | None = None
    judge_word: str = ""
    judge: str = ""
    judge_reason: str = ""
    operator_label: bool | None = None
    operator: str = ""

    @property
    def label(self) -> bool | None:
        """The operator's label, else the judge's; None without one."""
        return self.judge_label if self.operator_label is None else self.operator_label


def pair_id(namespace: str, question: str, stored: str) -> str:
    """The id of a pair of texts in a namespace: 32 hex digits."""
    texts = f"{namespace}\0{len(question)}:{question}{stored}"
    return blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def merged(labels: Iterable[PairRecord], lookups: Iterable[LookupRecord]) -> dict[str, Pair]:
    """Pairs by id: the labelled ones, and unlabelled ones from lookups. Both arguments are newest first."""
    pairs: dict[str, Pair] = {}
    for record in labels:
        known = pairs.get(record.pair) or _bare(record)
        pairs[record.pair] = _with_label(known, record)
    for lookup in lookups:
        first_passed = next((seen.pair for seen in lookup.seen if not seen.guard), "")
        for seen in lookup.seen:
            if seen.pair not in pairs:
                pairs[seen.pair] = _unlabelled(lookup, seen, first=seen.pair == first_passed)
    return pairs


def of_latest_embedder(
    labels: Sequence[PairRecord], lookups: Sequence[LookupRecord]
) -> tuple[list[PairRecord], list[LookupRecord], str]:
    """The labels and lookups of the embedder that was used last, and that embedder's digest in hex ("" without any).

    Cosines of different embedders say nothing about each other. Both are given newest first.
    """
    latest = [(record.at, record.embedder) for record in labels[:1]]
    latest += [(lookup.at, lookup.embedder) for lookup in lookups[:1]]
    embedder = max(latest, default=(0.0, ""))[1]
    return (
        [record for record in labels if record.embedder == embedder],
        [lookup for lookup in lookups if lookup.embedder == embedder],
        embedder,
    )


def _bare(record: PairRecord) -> Pair:
    return Pair(
        id=record.pair,
        namespace=record.namespace,
        embedder=record.embedder,
        at=record.at,
        mode=record.mode,
        similarity=record.similarity,
        guard=record.guard,
        first=record.first,
        served=record.served,
        question=record.question,
        stored=record.stored,
        question_key=record.question_key,
        key=record.key,
        version=record.version,
    )


def _with_label(pair: Pair, record: PairRecord) -> Pair:
    """The pair with a label that is older than those it has."""
    if record.labeller is Labeller.OPERATOR:
        if pair.operator_label is not None:
            return pair
        return msgspec.structs.replace(pair, operator_label=record.equivalent, operator=record.labelled_by)
    if pair.judge_label is not None:
        return pair
    return msgspec.structs.replace(
        pair, judge_label=record.equivalent, judge=record.labelled_by, judge_reason=record.reason
    )


def _unlabelled(lookup: LookupRecord, seen: Seen, *, first: bool) -> Pair:
    return Pair(
        id=seen.pair,
        namespace=lookup.namespace,
        embedder=lookup.embedder,
        at=lookup.at,
        mode=lookup.mode,
        similarity=seen.similarity,
        guard=seen.guard,
        first=first,
        served=seen.served,
        judge_word=seen.ruling,
        question=lookup.question,
        stored=seen.stored,
        question_key=lookup.question_key,
        key=seen.key,
        version=lookup.version,
    )


Record = TypeVar("Record", bound=msgspec.Struct)

encode: Callable[[msgspec.Struct], bytes] = msgspec.msgpack.Encoder().encode


def decoder(kind: type[Record]) -> Callable[[bytes], Record | None]:
    """Reads records of a kind; None for one that another version wrote and this one cannot read."""
    decode = msgspec.msgpack.Decoder(kind).decode

    def read(value: bytes) -> Record | None:
        try:
            return decode(value)
        except msgspec.MsgspecError:
            return None

    return read
