"""A few mutants with each run of the tests; all of them by `python -m tests.mutants`, which takes minutes."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant, survives

QUICK = (
    "a late store is not measured against the floor",
    "a gap in the changes of bans is taken for none",
    "no floor: a retired ban is forgotten by late stores",
    "what a sweep has begun to delete can be undone",
    "a summary of a value has another point in history",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_breaks_something(mutant: Mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, "its patch does not apply"
    assert mutant.new != mutant.old
    for test in mutant.tests.split():
        assert (ROOT / test.partition("::")[0]).exists()


def test_every_mutant_has_a_name_of_its_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", QUICK)
def test_the_tests_notice_a_broken_promise(name: str):
    [mutant] = [mutant for mutant in MUTANTS if mutant.name == name]
    assert not survives(mutant)
