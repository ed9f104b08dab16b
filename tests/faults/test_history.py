"""A history of many processes under faults, for seconds and with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.plan import Plan
from tests.faults.rounds import run


@pytest.mark.timeout(180)
def test_no_promise_is_broken_while_faults_strike(tmp_path: Path):
    verdict = run(Plan(seconds=12, seed=20), tmp_path)
    assert verdict.violations == []
    assert verdict.hits > 200
    assert verdict.invalidations > 20
    assert verdict.undone > 0
    assert sum(verdict.faults.values()) >= 5


@pytest.mark.timeout(180)
def test_no_promise_is_broken_by_copies(tmp_path: Path):
    verdict = run(Plan(seconds=8, seed=5, l1_seconds=0.3), tmp_path)
    assert verdict.violations == []
    assert verdict.copied > 30
    assert verdict.invalidations > 10
