"""Hours of load with faults: `make soak`, for ENCORE_SOAK_MINUTES."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.faults.history import Plan, run

MINUTES = float(os.environ.get("ENCORE_SOAK_MINUTES", "480"))
ROUND_SECONDS = 300.0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_promise_is_broken_for_as_long_as_one_likes(tmp_path: Path):
    deadline = time.monotonic() + MINUTES * 60
    requests = invalidations = number = 0
    while time.monotonic() < deadline:
        number += 1
        home = tmp_path / str(number)
        home.mkdir()
        seconds = min(ROUND_SECONDS, max(10.0, deadline - time.monotonic()))
        verdict = run(Plan(seconds=seconds, seed=number, threads=6, generation_ms=(2, 20)), home)
        requests += verdict.operations
        invalidations += verdict.invalidations
        print(
            f"round {number}: {requests} requests, {invalidations} invalidations, faults {verdict.faults}", flush=True
        )
        assert verdict.violations == []
