"""The history checker, for seconds and with a fixed seed; and the proof that it sees what it shall see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.history import Asked, Invalidated, Plan, judge, run


def asked(**fields) -> Asked:
    standard = {
        "began": 10.0,
        "ended": 10.1,
        "namespace": "tenant-a",
        "model": "m1",
        "question": 1,
        "hit": True,
        "reason": "",
        "generated_namespace": "tenant-a",
        "generated_model": "m1",
        "generated_question": 1,
        "generation_began": 5.0,
        "created_at": 1000.0,
        "key": "k",
        "serial": "s",
    }
    return Asked(**(standard | fields))


def invalidated(kind: str, criteria: dict, **fields) -> Invalidated:
    standard = {"id": "i", "asked_at": 6.0, "acknowledged": 7.0, "namespace": "tenant-a", "question": 1}
    return Invalidated(kind=kind, criteria=criteria, **(standard | fields))


@pytest.mark.parametrize(
    "ban",
    [
        invalidated("model", {"model": "m1"}),
        invalidated("all", {"all": True}),
        invalidated("pattern", {}),
        invalidated("keyword", {}),
        invalidated("key", {"key": "k"}),
        invalidated("age", {"created_before": 2000.0}),
    ],
)
def test_a_hit_after_its_invalidation_is_a_violation(ban):
    assert len(judge([ban, asked()]).violations) == 1
    assert judge([ban, asked(generation_began=6.5)]).clean, "generated after the invalidation was asked for"
    assert judge([ban, asked(began=6.5)]).clean, "asked before the invalidation was acknowledged"
    assert judge([ban, asked(hit=False)]).clean
    assert judge([ban, asked(namespace="tenant-b", generated_namespace="tenant-b")]).clean


def test_an_undone_invalidation_forbids_nothing_from_then_on():
    ban = invalidated("all", {"all": True}, undo_began=9.0, undone=9.5)
    assert judge([ban, asked()]).clean
    assert not judge([ban, asked(began=8.0, ended=8.5)]).clean


@pytest.mark.parametrize("field", ["namespace", "model", "question"])
def test_another_request_s_answer_is_a_violation(field):
    other = {"namespace": "tenant-b", "model": "m2", "question": 2}[field]
    assert not judge([asked(**{f"generated_{field}": other})]).clean


@pytest.mark.timeout(120)
def test_no_promise_is_broken_while_faults_strike(tmp_path: Path):
    verdict = run(Plan(seconds=12, seed=20), tmp_path)
    assert verdict.violations == []
    assert verdict.hits > 500
    assert verdict.invalidations > 50
    assert verdict.undone > 0
    assert sum(verdict.faults.values()) >= 5
