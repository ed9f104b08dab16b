"""Hours of load with faults: `make soak`, for ENCORE_SOAK_MINUTES."""

from __future__ import annotations

import os
import time

import pytest

from tests.faults.rounds import SOAK, rounds

MINUTES = float(os.environ.get("ENCORE_SOAK_MINUTES", "480"))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_promise_is_broken_for_as_long_as_one_likes():
    assert rounds(SOAK, first_seed=int(time.time()), minutes=MINUTES) == []
