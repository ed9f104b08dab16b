"""The verdict over a history sees what it shall see, and says nothing where nothing is wrong."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.history import (
    ASKED,
    COPIED,
    EXACT,
    FOUND,
    GENERATED,
    HIT,
    UNASKED,
    History,
    Invalidated,
    Log,
    Struck,
    Told,
    read,
)
from tests.faults.questions import REQUESTS, SPELLINGS, Request
from tests.faults.verdict import CLOCKS_SECONDS, LATE_SECONDS, TAKING, judge

THIS = Request(namespace=0, model=0, question=1, spelling=0)
EXACT_HIT = HIT | FOUND | EXACT


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    began: float = 10.0
    ended: float = 10.1
    generation: int = 1
    created_at: float = 1000.0
    text: int = 7
    request: int = THIS.number
    seen: int = EXACT_HIT


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    id: int = 1
    began: float = 5.0
    text: int = 7
    request: int = THIS.number


THE_ANSWER = Generation()


def lookup(**fields) -> Lookup:
    return Lookup(**fields)


def miss(**fields) -> tuple[Lookup, Generation]:
    """A lookup whose answer was made for it."""
    asked = Lookup(**({"seen": 0, "generation": int(fields["began"] * 100) + 1000} | fields))
    return asked, Generation(id=asked.generation, began=asked.began, request=asked.request)


def invalidated(kind: str, **fields) -> Invalidated:
    return Invalidated(kind=kind, **({"id": "i", "asked_at": 6.0, "acknowledged": 7.0, "namespace": 0} | fields))


def history(*events, recorded=(), generation: Generation | None = THE_ANSWER) -> History:
    flat = [one for event in events for one in (event if isinstance(event, tuple) else (event,))]
    generations = [one for one in (generation, *flat) if isinstance(one, Generation)]
    return History(
        asked=np.array([msgspec.structs.astuple(one) for one in flat if isinstance(one, Lookup)], ASKED),
        generated=np.array([msgspec.structs.astuple(one) for one in generations], GENERATED),
        invalidated=[one for one in flat if isinstance(one, Invalidated)],
        struck=[one for one in flat if isinstance(one, Struck)],
        recorded=frozenset(recorded),
    )


def is_clean(*events, **fields) -> bool:
    return judge(history(*events, **fields)).clean


@pytest.mark.parametrize(
    "ban",
    [
        invalidated("model", model=0),
        invalidated("all"),
        invalidated("all", soft=True),
        invalidated("pattern", question=1),
        invalidated("tag", question=1),
        invalidated("keyword", question=1),
        invalidated("key", model=0, question=1, spelling=0),
        invalidated("age", created_before=2000.0),
    ],
)
def test_a_hit_after_its_invalidation_is_a_violation(ban):
    [violation] = judge(history(ban, lookup())).violations
    assert violation.startswith("served after its invalidation")
    assert is_clean(ban, lookup(), generation=Generation(began=6.5)), "generated after the invalidation was asked for"
    assert is_clean(ban, lookup(began=6.5)), "asked before the invalidation was acknowledged"
    assert is_clean(ban, miss(began=10.0))
    elsewhere = Request(namespace=1, model=0, question=1, spelling=0).number
    assert is_clean(ban, lookup(request=elsewhere), generation=Generation(request=elsewhere))


@pytest.mark.parametrize(
    "ban",
    [
        invalidated("model", model=1),
        invalidated("pattern", question=2),
        invalidated("tag", question=2),
        invalidated("other tag"),
        invalidated("keyword", question=2),
        invalidated("key", model=0, question=1, spelling=1),
        invalidated("age", created_before=900.0),
        invalidated("all", acknowledged=None, failure="OutcomeUnknown"),
    ],
)
def test_what_an_invalidation_does_not_select_may_be_served(ban):
    assert is_clean(ban, lookup())


def test_an_undone_invalidation_forbids_nothing_from_then_on():
    ban = invalidated("all", undo_began=9.0, undone=9.5)
    assert is_clean(ban, lookup())
    assert is_clean(ban, lookup(began=8.0, ended=9.0))
    assert not is_clean(ban, lookup(began=8.0, ended=8.5))
    refused = invalidated("all", undo_began=9.0)
    assert not is_clean(refused, lookup(began=8.0, ended=8.5))
    assert is_clean(refused, lookup())


@pytest.mark.parametrize("field", ["namespace", "model", "question", "spelling"])
def test_another_request_s_answer_is_a_violation(field):
    fields = msgspec.structs.asdict(THIS)
    other = Request(**(fields | {field: (fields[field] + 1) % 2})).number
    assert not is_clean(lookup(request=other))
    assert not is_clean(lookup(request=other, seen=0)), "nor may a fresh answer be another's"
    assert is_clean(lookup(request=other, seen=HIT | FOUND)) == (field == "spelling"), "which the normal form folds"


def test_an_answer_that_nobody_generated_or_not_quite_so_is_a_violation():
    assert not is_clean(lookup(generation=2))
    assert not is_clean(lookup(), generation=None)
    assert not is_clean(lookup(text=8))


def test_what_was_there_before_an_invalidation_is_there_after_its_undo():
    ban = invalidated("all", undo_began=9.0, undone=9.5)
    before = lookup(began=5.8, ended=5.9)
    assert judge(history(ban, before, lookup())).kept_over_undo == 1
    assert judge(history(ban, before, miss(began=10.0))).violations[0].startswith("lost")
    assert is_clean(ban, before, miss(began=10.0, seen=UNASKED))
    assert is_clean(ban, before, miss(began=9.2)), "asked before the undo was acknowledged"
    assert is_clean(ban, miss(began=10.0)), "never seen before"
    assert is_clean(ban, before, invalidated("model", model=0, asked_at=9.9), miss(began=10.0))
    assert not is_clean(ban, before, invalidated("model", model=1, asked_at=9.9), miss(began=10.0))


def test_an_undo_brings_back_the_answer_that_was_there_before_and_not_the_newer_one():
    ban = invalidated("all", undo_began=9.0, undone=9.5)
    newer = Generation(id=2, began=7.5)
    story = ban, lookup(began=5.8, ended=5.9), newer, lookup(began=8.0, ended=8.5, generation=2)
    assert judge(history(*story, lookup())).put_back == 1
    left = lookup(began=10.0, generation=2)
    [violation] = judge(history(*story, left)).violations
    assert violation.startswith("an undo left the newer answer")
    assert is_clean(*story, lookup(began=9.2, ended=9.9, generation=2)), "asked before the undo was acknowledged"
    assert is_clean(*story, left, Struck(kind="hang", began=9.1, ended=9.2)), "it may not have got through"
    hidden = invalidated("model", model=0, asked_at=9.6, acknowledged=10.05)
    assert is_clean(*story, left, hidden), "the older one is hidden then"
    assert is_clean(*story, Generation(id=3, began=8.9), lookup(generation=3)), "stored after the undo"
    old, aged = lookup(began=5.8, ended=5.9), msgspec.structs.replace(ban, kind="age", created_before=2000.0)
    late = Generation(id=2, began=5.0), lookup(began=8.0, ended=8.5, generation=2, created_at=2001.0)
    left = lookup(began=10.0, generation=2, created_at=2001.0)
    assert is_clean(aged, old, *late, left), "a slow one, that may have replaced the older one before that was hidden"


def test_nothing_is_lost_without_an_invalidation_or_a_fault_that_takes_entries_away():
    before = lookup(began=5.8, ended=5.9)
    gone = miss(began=10.0)
    assert not is_clean(before, gone)
    assert is_clean(before, invalidated("all", acknowledged=None, failed_at=7.0), gone)
    assert not is_clean(before, invalidated("all", namespace=1), gone)
    assert not is_clean(before, invalidated("all", asked_at=4.0, acknowledged=4.5), gone), "it was made after that"
    assert is_clean(before, invalidated("all", asked_at=4.0, acknowledged=5.5), gone), "perhaps before that"
    assert is_clean(before, Struck(kind="evict", began=9.8, ended=9.9), gone)
    assert is_clean(before, Struck(kind="flush", began=5.7, ended=5.95), gone)
    assert not is_clean(before, Struck(kind="evict", began=5.0, ended=5.5), gone), "it was found after that"
    assert not is_clean(before, Struck(kind="kill", began=9.8, ended=9.9), gone), "what Redis has said is on disk"
    assert is_clean(lookup(began=5.8, ended=5.9, seen=HIT | FOUND), gone), "found by its normal form only"
    assert is_clean(lookup(began=5.8, ended=5.9, seen=EXACT_HIT | COPIED), gone), "a copy of what may be gone"


def test_what_was_said_not_to_be_applied_is_in_no_record():
    refused = invalidated("all", acknowledged=None, failure="WriteRefused")
    assert is_clean(refused, recorded=("another",))
    assert not is_clean(refused, recorded=("i",))
    unknown = invalidated("all", acknowledged=None, failure="OutcomeUnknown")
    assert is_clean(unknown, recorded=("i",))


def test_a_history_is_read_as_it_was_written_but_for_a_row_that_a_kill_cut(tmp_path):
    log = Log(tmp_path, "1-0")
    for number in range(3):
        log.generated(number, 5.0 + number, 7, THIS.number)
        log.asked(10.0, 10.5, number, 1000.0, 7, THIS.number, EXACT_HIT)
    log.close()
    with (tmp_path / "1-0.generated").open("ab") as file:
        file.write(b"cut")
    found = read(tmp_path, [Told(invalidated=[], recorded={"i"})], [])
    assert found.asked.tolist() == [(10.0, 10.5, number, 1000.0, 7, THIS.number, EXACT_HIT) for number in range(3)]
    assert found.generated["id"].tolist() == [0, 1, 2]
    assert found.recorded == {"i"}


# The same promises once more, plainly, one lookup and one invalidation at a time.


def plainly(story: History) -> set[str]:
    """The kinds of violations in a history, by their definition."""
    made = {int(row["id"]): row for row in story.generated}
    found = set()
    for row in story.asked:
        answer = made.get(int(row["generation"]))
        if answer is None:
            found.add("an answer that nobody generated")
        else:
            if is_another_s(row, answer):
                found.add("another request's answer")
            if row["seen"] & HIT and any(is_served_after(ban, row, answer, story) for ban in story.invalidated):
                found.add("served after its invalidation")
        if not row["seen"] & (FOUND | UNASKED) and is_lost(row, made, story):
            found.add("lost")
    if any(is_left(ban, request, made, story) for ban in story.invalidated for request in range(len(REQUESTS))):
        found.add("an undo left the newer answer")
    return found


def is_left(ban: Invalidated, request: int, made, story: History) -> bool:
    """Whether an answer found before an invalidation was not found after its undo, but one that it let pass."""
    if ban.undone is None or ban.undo_began is None or ban.acknowledged is None or ban.soft:
        return False
    rows = [row for row in story.asked if row["request"] == request and is_found_there(row, made)]
    before = [row for row in rows if row["ended"] < ban.asked_at]
    between = [row for row in rows if row["began"] > ban.acknowledged and row["ended"] < ban.undo_began]
    after = [row for row in rows if row["began"] > ban.undone]
    if not before or not between or not after:
        return False
    old = max(before, key=lambda row: row["ended"])
    newer = max(between, key=lambda row: row["ended"])
    now = min(after, key=lambda row: (row["began"], row["ended"]))
    answer = made[int(old["generation"])]
    is_hidden = any(
        other is not ban
        and other.asked_at < now["ended"]
        and (other.acknowledged or other.failed_at + LATE_SECONDS) > answer["began"]
        and selects(other, answer, created(story, answer, min), CLOCKS_SECONDS)
        for other in story.invalidated
    )
    is_felt = any(fault.began < now["ended"] and fault.ended > old["began"] for fault in story.struck)
    is_it = old["generation"] != newer["generation"] == now["generation"]
    is_it = is_it and made[int(newer["generation"])]["began"] > ban.acknowledged
    return (
        is_it and selects(ban, answer, created(story, answer, max), -CLOCKS_SECONDS) and not is_hidden and not is_felt
    )


def is_found_there(row, made) -> bool:
    answer = made.get(int(row["generation"]))
    is_exact = row["seen"] & (FOUND | EXACT | COPIED) == FOUND | EXACT
    return is_exact and answer is not None and answer["request"] == row["request"]


def is_another_s(row, answer) -> bool:
    by_form = row["seen"] & HIT and not row["seen"] & EXACT
    wanted, got = (number // SPELLINGS if by_form else number for number in (row["request"], answer["request"]))
    return wanted != got or row["text"] != answer["text"]


def is_served_after(ban: Invalidated, row, answer, story: History) -> bool:
    is_late = ban.acknowledged is not None and ban.acknowledged < row["began"]
    is_undone = ban.undo_began is not None and ban.undo_began <= row["ended"]
    if not is_late or is_undone or answer["began"] >= ban.asked_at:
        return False
    return selects(ban, answer, created(story, answer, max), -CLOCKS_SECONDS)


def is_lost(row, made, story: History) -> bool:
    earlier = [
        one
        for one in story.asked
        if one["request"] == row["request"] and one["ended"] < row["began"] and is_found_there(one, made)
    ]
    if not earlier:
        return False
    last = max(earlier, key=lambda one: one["ended"])
    answer = made[int(last["generation"])]
    made_for = REQUESTS[answer["request"]]
    may_be_older = any(
        ban.undo_began is not None
        and ban.undo_began < row["ended"]
        and (ban.undone or row["ended"]) > answer["began"]
        and ban.namespace == made_for.namespace
        and ban.kind != "other tag"
        for ban in story.invalidated
    )
    is_hidden = any(
        (ban.acknowledged or ban.failed_at + LATE_SECONDS) > answer["began"]
        and ban.asked_at < row["ended"]
        and (ban.undone is None or ban.undone > row["began"])
        and (
            selects(ban, answer, created(story, answer, min), CLOCKS_SECONDS)
            or (may_be_older and selects(ban, answer, -np.inf, 0.0))
            or (
                may_be_older
                and (ban.kind, ban.namespace, ban.model, ban.question)
                == ("key", made_for.namespace, made_for.model, made_for.question)
            )
        )
        for ban in story.invalidated
    )
    is_taken = any(
        fault.kind in TAKING and fault.began <= row["ended"] and fault.ended > last["began"] for fault in story.struck
    )
    return not is_hidden and not is_taken


def created(story: History, answer, choose) -> float:
    return choose(
        (row["created_at"] for row in story.asked if row["generation"] == answer["id"] and row["seen"] & HIT),
        default=np.inf if choose is min else -np.inf,
    )


def selects(ban: Invalidated, answer, created_at: float, margin_seconds: float) -> bool:
    made_for = REQUESTS[answer["request"]]
    return ban.namespace == made_for.namespace and (
        ban.kind == "all"
        or (ban.kind == "model" and ban.model == made_for.model)
        or (ban.kind == "keyword" and f"number {ban.question}" in made_for.prompt)
        or (ban.kind in ("pattern", "tag") and ban.question == made_for.question)
        or (ban.kind == "age" and created_at < (ban.created_before or 0) + margin_seconds)
        or (
            ban.kind == "key"
            and (ban.model, ban.question, ban.spelling) == (made_for.model, made_for.question, made_for.spelling)
        )
    )


# Few moments and few requests, so that what matters meets often.
moments = st.integers(0, 12).map(float)
requests = st.sampled_from(
    [
        THIS.number,
        THIS.number,
        THIS.number,
        THIS.number + 1,
        Request(namespace=0, model=0, question=11, spelling=0).number,
        Request(namespace=0, model=1, question=1, spelling=0).number,
        Request(namespace=1, model=0, question=1, spelling=0).number,
    ]
)


def spans(count: int) -> st.SearchStrategy[list[float]]:
    """So many different moments in order."""
    return st.lists(moments, min_size=count, max_size=count, unique=True).map(sorted)


@st.composite
def bans(draw) -> Invalidated:
    asked_at, acknowledged, undo_began, undone = draw(spans(4))
    ending = draw(st.sampled_from(["", "failed", "undone", "undo failed"]))
    made_for = REQUESTS[draw(requests)]
    return Invalidated(
        id="i",
        asked_at=asked_at,
        acknowledged=None if ending == "failed" else acknowledged,
        namespace=made_for.namespace,
        kind=draw(st.sampled_from(["all", "model", "keyword", "pattern", "tag", "other tag", "age", "key"])),
        model=made_for.model,
        question=made_for.question,
        spelling=made_for.spelling,
        created_before=draw(moments),
        undo_began=undo_began if ending.startswith("undo") else None,
        undone=undone if ending == "undone" else None,
        failed_at=acknowledged,
    )


@st.composite
def stories(draw) -> History:
    generations = [
        Generation(id=number, began=draw(moments), request=draw(requests)) for number in range(draw(st.integers(1, 4)))
    ]
    lookups = []
    for number in range(draw(st.integers(1, 8))):
        began, ended = draw(spans(2))
        answer = draw(st.sampled_from(generations))
        is_wrong = draw(st.integers(0, 9)) == 0
        lookups.append(
            Lookup(
                began=began,
                ended=ended + number / 100,  # which of two found an answer last is not left open
                generation=9 if is_wrong and draw(st.booleans()) else answer.id,
                created_at=answer.began,
                text=8 if is_wrong and draw(st.booleans()) else 7,
                request=draw(requests) if is_wrong else answer.request,
                seen=draw(st.sampled_from([EXACT_HIT, EXACT_HIT, EXACT_HIT | COPIED, HIT | FOUND, HIT, UNASKED, 0])),
            )
        )
    faults = [
        Struck(kind=draw(st.sampled_from(["evict", "kill"])), began=began, ended=ended)
        for began, ended in draw(st.lists(spans(2), max_size=2))
    ]
    return history(*generations, *lookups, *draw(st.lists(bans(), max_size=4)), *faults, generation=None)


@settings(max_examples=300)
@given(stories())
def test_the_verdict_is_the_one_by_definition(story):
    kinds = {violation.partition(":")[0].partition(",")[0] for violation in judge(story).violations}
    assert kinds == plainly(story)
