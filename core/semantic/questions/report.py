"""What the request log says of the questions on the map: how often each group is asked, answered, and what it costs.

Pure. Groups that cost most to answer come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ...metrics import Kinds, RequestRecord
from ...models import OutcomeKind
from ...text import many, money, share
from .question_map import Place, QuestionMap, digest

NOT_RECORDED = (
    "Prompts are not recorded, so there is nothing to group. Set ENCORE_RECORD_PROMPTS=true and restart: what is asked "
    "from then on can be grouped."
)
NOT_ASKED = "The request log has no request with a recorded prompt."
NOT_GROUPED = "The questions are not grouped yet."
NONE_READ = "The local model cannot read these questions. It reads words of the languages that it was trained on."


class Question(Kinds, frozen=True, kw_only=True):
    """The requests with one question, whatever its case and white space. `x` and `y` are from -1 to 1.

    `spent_usd` is what its misses cost, `saved_usd` what its hits would have; `repeats` are misses of what had been
    asked before in the same namespace and of the same model, which cost `repeated_usd`. Without a price a request is in
    no sum, and counted in `unpriced`. `id` stays its own, whatever is asked meanwhile; `key` is of the latest request.
    """

    id: str
    question: str
    group: int
    x: float
    y: float
    spent_usd: float = 0.0
    saved_usd: float = 0.0
    repeats: int = 0
    repeated_usd: float = 0.0
    unpriced: int = 0
    key: str = ""

    @property
    def most(self) -> OutcomeKind:
        """What most of its requests were."""
        counts = {
            OutcomeKind.HIT: self.hits,
            OutcomeKind.MISS: self.misses,
            OutcomeKind.BYPASS: self.bypasses,
            OutcomeKind.ERROR: self.errors,
        }
        return max(counts, key=counts.__getitem__)


class QuestionGroup(Kinds, frozen=True, kw_only=True):
    """A group of questions, by the one that is most typical of it. `number` is its rank; sums are as in `Question`.

    `id` names it for as long as this map is kept.
    """

    number: int
    id: str
    question: str
    questions: int
    spent_usd: float
    saved_usd: float
    repeats: int
    repeated_usd: float
    unpriced: int


class QuestionReport(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, the dearest first, and all their questions. `at`: when they were grouped; None: not yet.

    Of the `looked_at` requests in the log since `since` (Unix seconds), `without_prompt` have none, and `newer` ask
    what is not on the map: it came later, is one of `left_out` questions beyond the most that are grouped, or of
    `unread` ones. `empty` says why there are no groups; it is empty where there are some.

    `near_misses`, which cost `near_usd`, asked what was new in their scope, where a near question had been asked: the
    most that semantic lookup would have answered.
    """

    at: float | None
    model: str
    looked_at: int
    since: float | None
    without_prompt: int
    newer: int
    unread: int
    left_out: int
    empty: str
    near_misses: int = 0
    near_usd: float = 0.0
    groups: tuple[QuestionGroup, ...] = ()
    questions: tuple[Question, ...] = ()

    @property
    def groupable(self) -> bool:
        """Whether grouping anew would show something, or more."""
        return self.empty == NOT_GROUPED or self.newer > 0

    @property
    def near_words(self) -> str:
        """What semantic lookup would bring at most; empty without groups."""
        misses = sum(one.misses for one in self.groups)
        if not misses:
            return ""
        if not self.near_misses:
            none = f"none of {many(misses, 'miss', 'misses')}"
            return f"Semantic lookup would have answered {none}: no near question was asked before."
        part = f"{self.near_misses:,} of {many(misses, 'miss', 'misses')} ({share(self.near_misses / misses)})"
        cost = f", which cost {money(self.near_usd)}" if self.near_usd else ""  # nothing: no price is known
        return (
            f"Semantic lookup would have answered at most {part}{cost}: a near question had been asked before. Guards "
            "and judge would refuse some of them."
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON, hit rates with it."""
        plain: dict[str, Any] = msgspec.to_builtins(self) | {"near_words": self.near_words}
        for part in ("groups", "questions"):
            plain[part] = [
                row | {"requests": one.requests, "hit_rate": one.hit_rate}
                for row, one in zip(plain[part], getattr(self, part), strict=True)
            ]
        return plain


class _Sums:
    """The requests with one question so far, the oldest first."""

    def __init__(self) -> None:
        self.kinds = dict.fromkeys(OutcomeKind, 0)
        self.spent_usd = self.saved_usd = self.repeated_usd = 0.0
        self.repeats = self.unpriced = 0
        self.key = self.text = ""
        self._asked: set[tuple[str, str]] = set()

    def add(self, record: RequestRecord) -> None:
        self.kinds[record.kind] += 1
        where = record.namespace, record.model
        match record.kind:
            case OutcomeKind.HIT:
                self.saved_usd += record.saved_cost_usd or 0.0
                self.unpriced += record.saved_cost_usd is None
            case OutcomeKind.MISS:
                self.spent_usd += record.cost_usd or 0.0
                self.unpriced += record.cost_usd is None and not record.collapsed
                if where in self._asked:
                    self.repeats += 1
                    self.repeated_usd += record.cost_usd or 0.0
            case OutcomeKind.BYPASS | OutcomeKind.ERROR:
                pass  # paid for or not, a cache would not have saved it
        if record.kind is not OutcomeKind.ERROR:
            self._asked.add(where)
        self.key, self.text = record.key, record.prompt or ""


def report(records: Iterable[RequestRecord], known: QuestionMap | None, *, keep_prompts: bool) -> QuestionReport:
    """The report on records given newest first. Linear in them."""
    looked_at = without = newer = 0
    since: float | None = None
    sums: dict[bytes, _Sums] = {}
    asked: set[tuple[bytes, str]] = set()
    near_misses, near_usd = 0, 0.0
    places = known.places if known is not None else {}
    for record in reversed(list(records)):
        looked_at += 1
        since = record.at if since is None else since
        if not record.prompt:
            without += 1
        elif (name := digest(record.prompt)) not in places:
            newer += 1
        else:
            sums.setdefault(name, _Sums()).add(record)
            is_new = record.kind is OutcomeKind.MISS and (name, record.scope) not in asked
            if is_new and record.scope and (places[name].near, record.scope) in asked:
                near_misses += 1
                near_usd += record.cost_usd or 0.0
            if record.kind in (OutcomeKind.HIT, OutcomeKind.MISS):
                asked.add((name, record.scope))
    of_group: dict[int, list[tuple[float, Question]]] = {}
    for name, of in sums.items():
        place = places[name]
        of_group.setdefault(place.group, []).append((place.typical, _question(name, of, place)))
    at = known.at if known is not None else 0.0
    groups = [(_group(f"{at * 1000:.0f}-{number}", members), members) for number, members in of_group.items()]
    groups.sort(key=lambda one: _dearest_first(one[0]))
    ranked = [
        msgspec.structs.replace(question, group=rank)
        for rank, (_, members) in enumerate(groups, start=1)
        for question in sorted((one for _, one in members), key=_dearest_first)
    ]
    return QuestionReport(
        at=known.at if known is not None else None,
        model=known.model if known is not None else "",
        looked_at=looked_at,
        since=since,
        without_prompt=without,
        newer=newer,
        unread=known.unread if known is not None else 0,
        left_out=known.left_out if known is not None else 0,
        empty="" if groups else _why_empty(looked_at - without, known, keep_prompts=keep_prompts),
        near_misses=near_misses,
        near_usd=near_usd,
        groups=tuple(msgspec.structs.replace(one, number=rank) for rank, (one, _) in enumerate(groups, start=1)),
        questions=tuple(ranked),
    )


def _why_empty(recorded: int, known: QuestionMap | None, *, keep_prompts: bool) -> str:
    if not keep_prompts:
        return NOT_RECORDED
    if not recorded:
        return NOT_ASKED
    return NONE_READ if known is not None and known.unread and not known.places else NOT_GROUPED


def _question(name: bytes, sums: _Sums, place: Place) -> Question:
    return Question(
        id=name.hex(),
        question=" ".join(sums.text.split()),
        group=place.group,
        x=place.x,
        y=place.y,
        hits=sums.kinds[OutcomeKind.HIT],
        misses=sums.kinds[OutcomeKind.MISS],
        bypasses=sums.kinds[OutcomeKind.BYPASS],
        errors=sums.kinds[OutcomeKind.ERROR],
        spent_usd=sums.spent_usd,
        saved_usd=sums.saved_usd,
        repeats=sums.repeats,
        repeated_usd=sums.repeated_usd,
        unpriced=sums.unpriced,
        key=sums.key,
    )


def _dearest_first(one: Question | QuestionGroup) -> tuple[float, int, int]:
    return -one.spent_usd, -one.misses, -one.requests


def _group(identifier: str, members: list[tuple[float, Question]]) -> QuestionGroup:
    of = [one for _, one in members]
    # The middle of a group, by what is asked: a question that many ask says more of it than one in its very middle.
    _, middle = max(members, key=lambda member: (max(member[0], 0.0) * member[1].requests, member[0]))
    return QuestionGroup(
        number=0,
        id=identifier,
        question=middle.question,
        questions=len(of),
        hits=sum(one.hits for one in of),
        misses=sum(one.misses for one in of),
        bypasses=sum(one.bypasses for one in of),
        errors=sum(one.errors for one in of),
        spent_usd=sum(one.spent_usd for one in of),
        saved_usd=sum(one.saved_usd for one in of),
        repeats=sum(one.repeats for one in of),
        repeated_usd=sum(one.repeated_usd for one in of),
        unpriced=sum(one.unpriced for one in of),
    )
