"""What changed a hit rate: the parts add up to the whole change, whatever they are told apart by."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.metrics import CacheMetrics
from core.metrics.change import MIX, NAMES, HitRateChange, change_of
from core.metrics.tally import CellName, Counts
from tests.metrics.outcomes import a_bypass, a_hit, a_miss, an_error
from tests.samples import NOW, Clock


def counts(hits: int, **misses: int) -> Counts:
    found = {"n|hit|exact|normalized": hits, "n|miss||normalized": sum(misses.values()), "n|bypass||normalized": 7}
    return found | {f"why|miss|{reason}": amount for reason, amount in misses.items() if reason != "unnamed"}


def changed(before: dict[str, Counts], now: dict[str, Counts]) -> HitRateChange:
    """Of groups called `namespace/model`."""
    tables = [{CellName(*name.split("/")): of_cell for name, of_cell in table.items()} for table in (before, now)]
    return change_of(*tables, starts_at=0.0, ends_at=1.0)


amounts = st.integers(0, 500)
cells = st.dictionaries(
    st.sampled_from(["a/m", "a/n", "b/m", "b/n", "c/m"]),
    st.builds(counts, amounts, absent=amounts, expired=amounts, unnamed=amounts),
)


@given(cells, cells)
def test_the_parts_add_up_to_the_whole_change(before: dict[str, Counts], now: dict[str, Counts]) -> None:
    found = changed(before, now)
    if found.change is None:
        assert found.parts == ()
        return
    assert sum(part.change for part in found.parts) == pytest.approx(found.change, abs=1e-9)
    for size in range(len(NAMES) + 1):
        for names in combinations(NAMES, size):
            assert sum(part.change for part in found.by(*names)) == pytest.approx(found.change, abs=1e-9)


@given(cells, cells)
def test_the_way_back_is_the_opposite(before: dict[str, Counts], now: dict[str, Counts]) -> None:
    there, back = changed(before, now), changed(now, before)
    opposite = {(part.namespace, part.model, part.reason): -part.change for part in back.parts}
    assert {(part.namespace, part.model, part.reason): part.change for part in there.parts} == pytest.approx(opposite)


def test_a_group_that_misses_more_is_told_with_its_reason() -> None:
    found = changed(
        {"shop/m": counts(90, absent=10), "wiki/m": counts(50, absent=50)},
        {"shop/m": counts(40, absent=10, expired=50), "wiki/m": counts(50, absent=50)},
    )
    assert found.change == pytest.approx(-0.25)
    [part] = found.parts
    assert (part.namespace, part.model, part.reason, part.change) == ("shop", "m", "expired", pytest.approx(-0.25))
    assert found.why(part) == "missed, past its TTL: 0 % → 50.0 % of its lookups"
    [shop] = [part for part in found.by("namespace") if part.namespace == "shop"]
    assert found.why(shop) == "hit rate 90.0 % → 40.0 %"
    assert (shop.model, shop.reason) == (None, None)


def test_a_group_that_asks_more_is_told_apart_from_one_that_misses_more() -> None:
    found = changed(
        {"shop/m": counts(90, absent=10), "batch/m": counts(0, absent=100)},
        {"shop/m": counts(90, absent=10), "batch/m": counts(0, absent=900)},
    )
    assert found.change == pytest.approx(0.09 - 0.45)
    assert {part.reason for part in found.parts} == {MIX}
    shop = next(part for part in found.parts if part.namespace == "shop")
    assert found.why(shop) == "asks less, 50.0 % → 10.0 % of all lookups, at a hit rate of 90.0 %"
    batch = next(part for part in found.parts if part.namespace == "batch")
    assert batch.change < 0
    assert found.why(batch) == "asks more, 50.0 % → 90.0 % of all lookups, at a hit rate of 0 %"


def test_a_group_that_is_new_has_changed_its_share_alone() -> None:
    found = changed(
        {"shop/m": counts(50, absent=50)}, {"shop/m": counts(50, absent=50), "new/m": counts(0, absent=100)}
    )
    assert [(part.namespace, part.reason) for part in found.parts] == [("new", MIX), ("shop", MIX)]


@pytest.mark.parametrize(("before", "now"), [({}, {"a/m": counts(1)}), ({"a/m": counts(1)}, {}), ({}, {})])
def test_without_lookups_in_one_window_there_is_no_change(before: dict[str, Counts], now: dict[str, Counts]) -> None:
    found = changed(before, now)
    assert (found.change, found.parts) == (None, ())
    assert found.to_dict(most=5)["change"] is None


def test_what_was_counted_in_two_windows_is_told(metrics: CacheMetrics, clock: Clock) -> None:
    for outcome in (a_hit(), a_hit(), a_hit(), a_miss(), a_bypass()):
        metrics.record(outcome)
    metrics.count("judge_calls")
    clock.now = NOW + 900
    later = clock.now
    for outcome in (a_hit(at=later), a_miss(at=later), a_miss(at=later), a_miss(at=later), an_error(at=later)):
        metrics.record(outcome)
    metrics.record(a_miss(at=later, namespace="other"))
    clock.now = later + 20
    metrics.flush()
    clock.now = later + 2100  # both windows are closed, whatever the pace of flushes
    found = metrics.change(900, ends_at=later + 800, namespace="test")
    assert (found.before.hit_rate, found.now.hit_rate) == (0.75, 0.25)
    [part] = found.parts
    assert (part.namespace, part.model, part.reason, part.change) == ("test", "gpt-4o", "absent", -0.5)
    compared = metrics.comparison(900, ends_at=later + 800, namespace="test")
    assert (compared.previous.hit_rate, compared.current.hit_rate) == (0.75, 0.25)
    everywhere = metrics.change(900, ends_at=later + 800)
    assert everywhere.now.misses == 4
    assert metrics.change(900, ends_at=later + 800, within=lambda name: name == "test") == found
    with pytest.raises(InvalidInput):
        metrics.change(89 * 86_400)
