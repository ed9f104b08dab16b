"""Seconds of `tests.http.load` with all tests; `make soak` goes on for as long as one likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.http.load import FAULTS, Verdict, run

MINUTES = float(os.environ.get("ENCORE_SOAK_MINUTES", "15"))


def check(verdict: Verdict) -> None:
    assert verdict.wrong == []
    assert verdict.unexcused == []
    assert verdict.tracebacks == 0
    for status in ("encore; hit; detail=exact", "encore; fwd=uri-miss; stored", "encore; fwd=uri-miss"):
        assert verdict.seen[status] > 0, verdict.seen
    assert set(verdict.faults) == set(FAULTS)


@pytest.mark.slow
def test_seconds_of_load_with_faults(tmp_path: Path):
    check(run(6, tmp_path, every=0.8, slow_seconds=0.5))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_load_with_faults(tmp_path: Path):
    verdict = run(MINUTES * 60, tmp_path, every=10, tell=True)
    print("\n".join(verdict.lines()))
    check(verdict)
    assert verdict.seen["encore; hit; detail=stale"] > 0
    assert verdict.is_flat
