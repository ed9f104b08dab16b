"""The history checker, for seconds and with a fixed seed; and the proof that it sees what it shall see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.history import Asked, Invalidated, Plan, Recorded, Struck, judge, run


def asked(**fields) -> Asked:
    standard = {
        "began": 10.0,
        "ended": 10.1,
        "namespace": "tenant-a",
        "model": "m1",
        "question": 1,
        "spelling": 0,
        "hit": True,
        "found": True,
        "exact": True,
        "reason": "",
        "generated_namespace": "tenant-a",
        "generated_model": "m1",
        "generated_question": 1,
        "generated_spelling": 0,
        "generation_began": 5.0,
        "created_at": 1000.0,
    }
    return Asked(**(standard | fields))


def a_miss(**fields) -> Asked:
    """A request whose answer was made for it."""
    return asked(**({"hit": False, "found": False, "generation_began": fields["began"], "reason": "absent"} | fields))


def invalidated(kind: str, **fields) -> Invalidated:
    return Invalidated(
        kind=kind, **({"id": "i", "asked_at": 6.0, "acknowledged": 7.0, "namespace": "tenant-a"} | fields)
    )


@pytest.mark.parametrize(
    "ban",
    [
        invalidated("model", model="m1"),
        invalidated("all"),
        invalidated("all", soft=True),
        invalidated("pattern", question=1),
        invalidated("tag", question=1),
        invalidated("keyword", question=1),
        invalidated("key", model="m1", question=1, spelling=0),
        invalidated("age", created_before=2000.0),
    ],
)
def test_a_hit_after_its_invalidation_is_a_violation(ban):
    assert len(judge([ban, asked()]).violations) == 1
    assert judge([ban, asked(generation_began=6.5)]).clean, "generated after the invalidation was asked for"
    assert judge([ban, asked(began=6.5)]).clean, "asked before the invalidation was acknowledged"
    assert judge([ban, a_miss(began=10.0)]).clean
    assert judge([ban, asked(namespace="tenant-b", generated_namespace="tenant-b")]).clean


@pytest.mark.parametrize(
    "ban",
    [
        invalidated("model", model="m2"),
        invalidated("pattern", question=2),
        invalidated("keyword", question=2),
        invalidated("key", model="m1", question=1, spelling=1),
        invalidated("age", created_before=900.0),
        invalidated("all", acknowledged=None, failure="OutcomeUnknown"),
    ],
)
def test_what_an_invalidation_does_not_select_may_be_served(ban):
    assert judge([ban, asked()]).clean


def test_an_undone_invalidation_forbids_nothing_from_then_on():
    ban = invalidated("all", undo_began=9.0, undone=9.5)
    assert judge([ban, asked()]).clean
    assert not judge([ban, asked(began=8.0, ended=8.5)]).clean


@pytest.mark.parametrize("field", ["namespace", "model", "question", "spelling"])
def test_another_request_s_answer_is_a_violation(field):
    other = {"namespace": "tenant-b", "model": "m2", "question": 2, "spelling": 1}[field]
    assert not judge([asked(**{f"generated_{field}": other})]).clean


def test_another_spelling_may_be_answered_by_the_normal_form():
    assert judge([asked(exact=False, generated_spelling=1)]).clean


def test_what_was_there_before_an_invalidation_is_there_after_its_undo():
    ban = invalidated("all", undo_began=9.0, undone=9.5)
    before = asked(began=5.8, ended=5.9)
    assert judge([ban, before, asked()]).undone_and_seen == 1
    gone = judge([ban, before, a_miss(began=10.0)])
    assert "not there after an undo" in gone.violations[0]
    assert judge([ban, before, a_miss(began=10.0, reason="store-down")]).clean
    assert judge([ban, before, a_miss(began=9.2)]).clean, "asked before the undo was acknowledged"
    assert judge([ban, a_miss(began=10.0)]).clean, "never seen before"
    assert judge([ban, before, invalidated("model", model="m1", asked_at=9.9), a_miss(began=10.0)]).clean
    assert not judge([ban, before, invalidated("model", model="m2", asked_at=9.9), a_miss(began=10.0)]).clean
    assert judge([ban, before, Struck(kind="evict", began=9.8, ended=9.9), a_miss(began=10.0)]).clean


def test_what_was_said_not_to_be_applied_is_in_no_record():
    refused = invalidated("all", acknowledged=None, failure="WriteRefused")
    assert judge([refused, Recorded(ids=("another",))]).clean
    assert not judge([refused, Recorded(ids=("i",))]).clean
    unknown = invalidated("all", acknowledged=None, failure="OutcomeUnknown")
    assert judge([unknown, Recorded(ids=("i",))]).clean


@pytest.mark.timeout(120)
def test_no_promise_is_broken_while_faults_strike(tmp_path: Path):
    verdict = run(Plan(seconds=12, seed=20), tmp_path)
    assert verdict.violations == []
    assert verdict.hits > 500
    assert verdict.invalidations > 50
    assert verdict.undone > 0
    assert sum(verdict.faults.values()) >= 5


@pytest.mark.timeout(120)
def test_no_promise_is_broken_by_copies(tmp_path: Path):
    verdict = run(Plan(seconds=8, seed=5, l1_seconds=0.1), tmp_path)
    assert verdict.violations == []
    assert verdict.copied > 100
    assert verdict.invalidations > 20
