"""A history of many processes under faults, for seconds and with a fixed seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.plan import Plan
from tests.faults.rounds import run
from tests.faults.verdict import Verdict


@pytest.mark.timeout(900)
def test_no_promise_is_broken_while_faults_strike(tmp_path: Path):
    def is_enough(seen: list[Verdict]) -> bool:
        return (
            sum(verdict.hits for verdict in seen) > 200
            and sum(verdict.invalidations for verdict in seen) > 20
            and sum(verdict.undone for verdict in seen) > 0
            and sum(sum(verdict.faults.values()) for verdict in seen) >= 5
        )

    rounds_until(is_enough, Plan(seconds=12, seed=20), tmp_path)


@pytest.mark.timeout(900)
def test_no_promise_is_broken_by_copies(tmp_path: Path):
    def is_enough(seen: list[Verdict]) -> bool:
        return sum(verdict.copied for verdict in seen) > 30 and sum(verdict.invalidations for verdict in seen) > 10

    rounds_until(is_enough, Plan(seconds=8, seed=5, l1_seconds=0.3), tmp_path)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("over_http", [False, True])
def test_no_promise_is_broken_while_tags_are_invalidated_at_the_rate_of_events(tmp_path: Path, over_http: bool):
    def is_enough(seen: list[Verdict]) -> bool:
        kinds = sum((Counter(verdict.kinds) for verdict in seen), Counter())
        return (
            kinds["tag"] > 100
            and kinds["other tag"] > 400
            and sum(verdict.invalidations - sum(verdict.failures.values()) for verdict in seen) > 400
            and sum(verdict.hits for verdict in seen) > 200
            and sum(sum(verdict.faults.values()) for verdict in seen) >= 5
        )

    rounds_until(is_enough, Plan(seconds=12, seed=40, tags_a_second=100, over_http=over_http), tmp_path)


def rounds_until(is_enough: Callable[[list[Verdict]], bool], plan: Plan, home: Path) -> None:
    """Rounds without a violation, until enough has happened in them: in one, unless the machine is busy."""
    seen: list[Verdict] = []
    while not is_enough(seen):
        folder = home / str(len(seen))
        folder.mkdir()
        seen.append(run(msgspec.structs.replace(plan, seed=plan.seed + len(seen)), folder))
        assert seen[-1].violations == []
