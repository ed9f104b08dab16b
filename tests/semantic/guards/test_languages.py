"""The files of languages are data that people edit: each decides its own examples."""

from __future__ import annotations

import pytest

from core.semantic.guards.checks import Guard, GuardVerdict, check, check_each
from core.semantic.guards.data import codes, read

EXAMPLES = [
    pytest.param(examples.guard, *pair, id=f"{code}-{examples.guard or 'alike'}-{pair[0]}")
    for code in codes()
    for examples in read(code).examples
    for pair in examples.texts()
]


@pytest.mark.parametrize(("guard", "question", "stored"), EXAMPLES)
def test_a_language_decides_its_own_examples(guard, question, stored):
    if not guard:
        assert check(question, stored) == GuardVerdict(passed=True, guard=None, reason="no guard sees a difference")
        assert check(stored, question).passed
        return
    verdicts = {verdict.guard: verdict for verdict in check_each(question, stored)}
    assert not verdicts[Guard(guard)].passed, verdicts[Guard(guard)]
    assert not check(question, stored).passed
    assert not check(stored, question).passed


@pytest.mark.parametrize("code", codes())
def test_a_language_has_examples_of_both_kinds(code):
    guards = {examples.guard for examples in read(code).examples}
    assert {"numbers", "negation", "contrast", "question", "roles", ""} <= guards
