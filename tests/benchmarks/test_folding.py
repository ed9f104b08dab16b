"""What the benchmark counts, and the bounds that its figures must keep."""

from __future__ import annotations

import unicodedata
from itertools import islice

import pytest

from benchmarks.folding import SYSTEM_TEXTS, forms_under, hit_rate
from core.demo.replay import popular, sample

TEXTS = [str(one.messages[-1]["content"]) for one in islice(popular(sample("banking77")), 2_000)]
PLAIN = ("no system prompt", "support bot", "FAQ", "persona")


def test_a_hit_is_a_text_or_a_form_that_was_asked_before() -> None:
    assert hit_rate(["a", "A", "a", "b"], str.lower) == 2 / 4
    assert hit_rate(["a", "A", "a", "b"], str) == 1 / 4


@pytest.mark.parametrize("label", SYSTEM_TEXTS)
def test_plain_questions_go_on_hitting_and_material_only_by_itself(label: str) -> None:
    forms = forms_under(SYSTEM_TEXTS[label])
    everything, plain = hit_rate(TEXTS, forms["all"]), hit_rate(TEXTS, forms["plain"])
    if label in PLAIN:
        assert everything - plain < 0.05, "about half of the customers' texts are statements"
    else:
        assert plain == hit_rate(TEXTS, lambda text: unicodedata.normalize("NFC", text).strip())
