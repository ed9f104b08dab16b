"""Judges a history. Pure, and n log n in its operations: ten million of them take seconds.

* **(R)**: a lookup that begins after an invalidation was acknowledged never returns an answer it selects whose
  generation began before that invalidation was asked for, unless an undo had begun when the lookup ended. For every
  answer the first moment is found from which it must not be served; every lookup that was served with it is held
  against that moment.
* **Identity**: every answer is, byte for byte, what one generation made for exactly this request: namespace, model,
  question, and the spelling too when it was an exact hit. Generations are logged before their answers can be stored.
* **An undo is one**: what was found before an invalidation that was undone is found again after, though it was asked
  anew meanwhile: the newer answer stays away, unless another invalidation may have hidden the older one. Newer is
  what was begun when the invalidation was in force: what was begun before may have replaced the older one before.
* **Nothing is lost**: what one lookup found at its own spelling, the next one of the same request finds too, unless an
  invalidation that may select it took effect since its generation began (and was not undone before), an entry or the
  record was taken away by a fault, or the store could not be asked. So a sweep deletes nothing else, an undo brings
  everything back, and a kill, a hanging or a full server loses nothing.
* An invalidation that was said **not to be applied** is in no record.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from tests.faults.history import (
    COPIED,
    EXACT,
    FOUND,
    HIT,
    REASON_BITS,
    REASONS,
    UNASKED,
    History,
    Invalidated,
    Struck,
    Table,
)
from tests.faults.questions import MODELS, NAMESPACES, QUESTIONS, REQUESTS, SPELLINGS

NOT_APPLIED = ("StoreUnavailable", "WriteRefused", "InvalidationRefused")
"""Failures that say so; of OutcomeUnknown either may be true."""

TAKING = ("record", "flush", "evict")
"""Faults after which an entry may be gone."""

CLOCKS_SECONDS = 0.05
"""`created_before` is by the wall's clock, and told as an age: what lies nearer to it may be on either side."""

LATE_SECONDS = 2.0
"""How long after its failure an invalidation may still take effect: it may wait in front of a hanging server."""

LISTED = 20
"""So many violations of a kind are told one by one."""


class Verdict(msgspec.Struct, kw_only=True):
    """What was found, and what it was found in.

    `operations`: lookups that the store answered, `copied`: answers served from a process' own copies.
    """

    operations: int = 0
    hits: int = 0
    copied: int = 0
    generations: int = 0
    invalidations: int = 0
    undone: int = 0
    kept_over_undo: int = 0
    put_back: int = 0
    failures: dict[str, int] = {}
    faults: dict[str, int] = {}
    kinds: dict[str, int] = {}
    violations: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations


class _Made:
    """The answers that were made, one place each, in the order of their ids."""

    def __init__(self, generated: Table, asked: Table) -> None:
        rows = np.sort(generated, order="id")
        self.id, self.began, self.text = rows["id"].copy(), rows["began"].copy(), rows["text"].copy()
        self.request = rows["request"].astype(np.int64)
        self.spelling = self.request % SPELLINGS
        self.question = self.request // SPELLINGS % QUESTIONS
        self.model = self.request // (SPELLINGS * QUESTIONS) % len(MODELS)
        self.namespace = self.request // (SPELLINGS * QUESTIONS * len(MODELS))
        size = len(rows)
        self.place = np.minimum(np.searchsorted(self.id, asked["generation"]), max(0, size - 1))
        """Where the answer of each lookup is."""
        self.is_known = self.id[self.place] == asked["generation"] if size else np.zeros(len(asked), bool)
        hits = self.is_known & (asked["seen"] & HIT > 0)
        places, served = self.place[hits], asked[hits]
        self.served_last = np.full(size, -np.inf)
        self.created_first, self.created_last = np.full(size, np.inf), np.full(size, -np.inf)
        np.maximum.at(self.served_last, places, served["began"])
        np.minimum.at(self.created_first, places, served["created_at"])
        np.maximum.at(self.created_last, places, served["created_at"])

    def selected(self, ban: Invalidated) -> Table:
        """Which of them an invalidation selects for certain."""
        chosen: Table = self.namespace == ban.namespace
        match ban.kind:
            case "all":
                pass
            case "model":
                chosen &= self.model == ban.model
            case "keyword":
                assert ban.question is not None
                chosen &= _HAS_NUMBER[ban.question][self.question]
            case "pattern" | "tag":
                chosen &= self.question == ban.question
            case "other tag":
                chosen[:] = False
            case "age":
                assert ban.created_before is not None
                chosen &= self.created_last < ban.created_before - CLOCKS_SECONDS
            case "key":
                # An alias is hidden with the entry it stands for, wherever it was found.
                chosen &= self.model == ban.model
                chosen &= self.question == ban.question
                chosen &= self.spelling == ban.spelling
            case _:
                raise AssertionError(ban.kind)
        return chosen

    def surely_selected(self, ban: Invalidated, place: int) -> bool:
        """Whether an invalidation selects one of them for certain."""
        return bool(self.selected(ban)[place])

    def may_select_older(self, ban: Invalidated, place: int) -> bool:
        """Whether an invalidation may select an older answer to the same question of the same model."""
        if ban.kind == "key":
            return bool((self.model[place], self.question[place]) == (ban.model, ban.question))
        return ban.kind == "age"

    def may_be_selected(self, ban: Invalidated, place: int) -> bool:
        """Whether an invalidation may select one of them."""
        match ban.kind:
            case "all":
                return True
            case "model":
                return bool(self.model[place] == ban.model)
            case "keyword":
                assert ban.question is not None
                return bool(_HAS_NUMBER[ban.question][self.question[place]])
            case "pattern" | "tag":
                return bool(self.question[place] == ban.question)
            case "other tag":
                return False
            case "age":
                assert ban.created_before is not None
                return bool(self.created_first[place] < ban.created_before + CLOCKS_SECONDS)
            case "key":
                made_for = REQUESTS[self.request[place]]
                return (made_for.model, made_for.question, made_for.spelling) == (
                    ban.model,
                    ban.question,
                    ban.spelling,
                )
            case _:
                raise AssertionError(ban.kind)


# Keywords are substrings: "number 1" is in "number 11".
_HAS_NUMBER = np.array([[str(asked).startswith(str(word)) for asked in range(QUESTIONS)] for word in range(QUESTIONS)])


def judge(history: History) -> Verdict:
    """The verdict over a whole history."""
    asked = np.sort(history.asked, order="began")
    made = _Made(history.generated, asked)
    bans = sorted(history.invalidated, key=lambda ban: ban.asked_at)
    verdict = Verdict(
        operations=int(np.count_nonzero(asked["seen"] & (UNASKED | COPIED) == 0)),
        hits=int(np.count_nonzero(asked["seen"] & HIT)),
        copied=int(np.count_nonzero(asked["seen"] & COPIED)),
        generations=len(made.id),
        invalidations=len(bans),
        undone=sum(ban.undone is not None for ban in bans),
        failures=dict(Counter(ban.failure for ban in bans if ban.failure)),
        faults=dict(Counter(fault.kind for fault in history.struck)),
        kinds=dict(Counter(ban.kind for ban in bans)),
        violations=[],
    )
    _judge_identity(verdict, asked, made)
    _judge_rule(verdict, asked, made, bans)
    _judge_loss(verdict, asked, made, bans, history.struck)
    verdict.violations += [
        f"said not to be applied, and was: {ban}"
        for ban in bans
        if ban.failure in NOT_APPLIED and ban.id in history.recorded
    ]
    return verdict


def _judge_identity(verdict: Verdict, asked: Table, made: _Made) -> None:
    unknown = np.flatnonzero(~made.is_known)
    _tell(verdict, "an answer that nobody generated", unknown, lambda at: str(asked[at]))
    known = np.flatnonzero(made.is_known)
    if not len(known):
        return
    rows, places = asked[known], made.place[known]
    wanted, got = rows["request"].astype(np.int64), made.request[places]
    by_form = rows["seen"] & (HIT | EXACT) == HIT
    differs = np.where(by_form, wanted // SPELLINGS != got // SPELLINGS, wanted != got)
    _tell(
        verdict,
        "another request's answer",
        np.flatnonzero(differs | (rows["text"] != made.text[places])),
        lambda at: f"{rows[at]} made for {REQUESTS[got[at]]}",
    )


def _judge_rule(verdict: Verdict, asked: Table, made: _Made, bans: Sequence[Invalidated]) -> None:
    forbidden_from = np.full(len(made.id), np.inf)
    hit = made.is_known & (asked["seen"] & HIT > 0)
    for ban in bans:
        if ban.acknowledged is None:
            continue
        chosen = made.selected(ban) & (made.began < ban.asked_at) & (made.served_last > ban.acknowledged)
        if not chosen.any():
            continue
        if ban.undo_began is None:
            np.minimum(forbidden_from, ban.acknowledged, out=forbidden_from, where=chosen)
            continue
        first, last = np.searchsorted(asked["began"], [ban.acknowledged, ban.undo_began], "right")
        rows = slice(first, last)
        served = hit[rows] & (asked["ended"][rows] < ban.undo_began)
        served &= chosen[made.place[rows]] if len(made.id) else False
        _tell(
            verdict,
            "served after its invalidation, before its undo",
            first + np.flatnonzero(served),
            lambda at, ban=ban: f"{ban} {asked[at]}",  # type: ignore[misc]
        )
    if len(made.id):
        _tell(
            verdict,
            "served after its invalidation",
            np.flatnonzero(hit & (asked["began"] > forbidden_from[made.place])),
            lambda at: f"{asked[at]}, forbidden from {forbidden_from[made.place[at]]:.6f}",
        )


def _judge_loss(
    verdict: Verdict, asked: Table, made: _Made, bans: Sequence[Invalidated], struck: Sequence[Struck]
) -> None:
    taking = sorted((fault for fault in struck if fault.kind in TAKING), key=lambda fault: fault.began)
    fault_began = np.array([fault.began for fault in taking] + [np.inf])
    fault_ended = np.maximum.accumulate(np.array([fault.ended for fault in taking] + [np.inf]))
    latest = sorted((ban for ban in bans if ban.kind != "other tag"), key=_effective)
    by_namespace = [[ban for ban in latest if ban.namespace == number] for number in range(len(NAMESPACES))]
    order = np.argsort(asked["request"], kind="stable")
    limits = np.searchsorted(asked["request"][order], np.arange(len(REQUESTS) + 1))
    for number, request in enumerate(REQUESTS):
        rows = order[limits[number] : limits[number + 1]]
        if not len(rows):
            continue
        seen = asked["seen"][rows]
        # A copy may be found a little longer than its entry.
        found = rows[(seen & (FOUND | EXACT | COPIED) == FOUND | EXACT) & made.is_known[rows]]
        found = found[made.request[made.place[found]] == number]
        found = found[np.argsort(asked["ended"][found], kind="stable")]
        if not len(found):
            continue
        known = by_namespace[request.namespace]
        effective = [_effective(ban) for ban in known]
        verdict.put_back += _judge_undo(verdict, asked, made, known, found, struck)
        missed = rows[seen & (FOUND | UNASKED) == 0]
        last = np.searchsorted(asked["ended"][found], asked["began"][missed]) - 1
        missed, last = missed[last >= 0], last[last >= 0]
        before = found[last]
        # A fault lies in between when the first one that ended later had begun by then.
        first_fault = np.searchsorted(fault_ended, asked["began"][before], "right")
        is_judged = fault_began[first_fault] > asked["ended"][missed]
        lost = [
            (miss, seen_last)
            for miss, seen_last in zip(missed[is_judged].tolist(), before[is_judged].tolist(), strict=True)
            if not _is_hidden(made, known, effective, made.place[seen_last], asked[miss])
        ]
        _tell(verdict, "lost", range(len(lost)), lambda at: _told(asked, *lost[at], struck))  # noqa: B023
        verdict.kept_over_undo += _kept(asked, made, known, found)


def _told(asked: Table, miss: int, before: int, struck: Sequence[Struck]) -> str:
    """A lookup that found something and the next one, with the faults that came before and in between."""
    began, ended = asked[before]["began"], asked[miss]["ended"]
    faults = [
        f"{fault.kind} {fault.began - began:.3f} to {fault.ended - began:.3f} s"
        for fault in struck
        if fault.began < ended and fault.ended > began - 3
    ]
    reason = REASONS[asked[miss]["seen"] >> REASON_BITS]
    return f"{asked[before]}, {reason} after {ended - began:.3f} s: {asked[miss]}; {', '.join(faults) or 'no fault'}"


def _effective(ban: Invalidated) -> float:
    """When it took effect at the latest, if it did."""
    return ban.acknowledged or ban.failed_at + LATE_SECONDS


def _is_hidden(made: _Made, bans: Sequence[Invalidated], effective: Sequence[float], place: int, miss: Table) -> bool:
    """Whether one of them may hide an answer from a lookup: it took effect after the answer's generation began.

    Once an undo may have put an older one in its place, made for another spelling perhaps, that may be hidden.
    """
    after = list(itertools.islice(bans, bisect_right(effective, made.began[place]), None))
    is_replaced = any(
        ban.undo_began is not None
        and made.began[place] < (ban.undone or miss["ended"])
        and ban.undo_began < miss["ended"]
        for ban in bans
    )
    return any(
        ban.asked_at < miss["ended"]
        and (ban.undone is None or ban.undone > miss["began"])
        and (made.may_be_selected(ban, place) or (is_replaced and made.may_select_older(ban, place)))
        for ban in after
    )


def _judge_undo(
    verdict: Verdict,
    asked: Table,
    made: _Made,
    bans: Sequence[Invalidated],
    found: Table,
    struck: Sequence[Struck],
) -> int:
    """Looks for newer answers that an undo has left. How often an older one came back in the place of a newer one."""
    began, ended = asked["began"][found], asked["ended"][found]
    came_back = 0
    for ban in bans:
        if ban.undone is None or ban.undo_began is None or ban.acknowledged is None or ban.soft:
            continue
        before = np.flatnonzero(ended < ban.asked_at)
        between = np.flatnonzero((began > ban.acknowledged) & (ended < ban.undo_began))
        after = np.flatnonzero(began > ban.undone)
        if not len(before) or not len(between) or not len(after):
            continue
        first = found[after[np.argmin(began[after])]]
        old, newer, now = made.place[found[before[-1]]], made.place[found[between[-1]]], made.place[first]
        if now == old != newer:
            came_back += 1
        if now != newer or newer == old or not made.surely_selected(ban, old):
            continue
        if made.began[newer] <= ban.acknowledged:
            continue  # it may have taken the older one's place before: nothing hid that then
        others = any(
            other is not ban
            and other.asked_at < asked[first]["ended"]
            and _effective(other) > made.began[old]
            and made.may_be_selected(other, old)
            for other in bans
        )
        felt = any(
            fault.began < asked[first]["ended"] and fault.ended > asked[found[before[-1]]]["began"] for fault in struck
        )
        if not others and not felt:
            _tell(verdict, "an undo left the newer answer", [first], lambda at: f"{ban} {asked[at]}")  # noqa: B023
    return came_back


def _kept(asked: Table, made: _Made, bans: Sequence[Invalidated], found: Table) -> int:
    """How often an answer was found before an invalidation that selects it, and found again once that was undone."""
    kept = 0
    ended, began = asked["ended"][found], np.sort(asked["began"][found])
    by_beginning = found[np.argsort(asked["began"][found], kind="stable")]
    for ban in bans:
        if ban.undone is None:
            continue
        last, first = np.searchsorted(ended, ban.asked_at) - 1, np.searchsorted(began, ban.undone, "right")
        if last < 0 or first == len(found):
            continue
        place = made.place[found[last]]
        kept += bool(place == made.place[by_beginning[first]] and made.may_be_selected(ban, place))
    return kept


def _tell(verdict: Verdict, what: str, places, tell) -> None:
    verdict.violations += [f"{what}: {tell(at)}" for at in places[:LISTED]]
    if len(places) > LISTED:
        verdict.violations.append(f"{what}: and {len(places) - LISTED} more")
