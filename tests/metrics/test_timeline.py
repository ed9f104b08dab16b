from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.timeline import RESOLUTIONS, Slot, aligned, cover, finest
from tests.samples import NOW

BY_LETTER = {resolution.letter: resolution for resolution in RESOLUTIONS}
ages = st.one_of(
    st.floats(min_value=0, max_value=4 * 3600),
    st.floats(min_value=0, max_value=60 * 3600),
    st.floats(min_value=0, max_value=89 * 86_400),
    *(st.floats(kept - 900, kept + 4000) for kept in (2 * 3600, 48 * 3600)),
)
times = st.floats(min_value=NOW, max_value=NOW + 200_000)


def span(slot: Slot) -> tuple[int, int]:
    seconds = BY_LETTER[slot.letter].seconds
    return slot.index * seconds, (slot.index + 1) * seconds


@given(times, ages, ages)
def test_slots_are_the_window_without_gap_or_overlap(now: float, first: float, second: float) -> None:
    start, end = now - max(first, second), now - min(first, second)
    spans = [span(slot) for slot in cover(start, end, now)]
    assert all(end == next_start for (_, end), (next_start, _) in pairwise(spans))
    if spans:
        assert (spans[0][0], spans[-1][1]) == (aligned(start, now), aligned(end, now))
    else:
        assert aligned(start, now) >= aligned(end, now)


@given(times, ages)
def test_an_open_window_reaches_past_now(now: float, age: float) -> None:
    spans = [span(slot) for slot in cover(now - age, math.inf, now)]
    assert spans[0][0] <= now - age
    assert spans[-1][0] <= now < spans[-1][1]
    assert all(end == next_start for (_, end), (next_start, _) in pairwise(spans))


@given(times, ages, ages)
def test_every_slot_of_a_window_is_still_kept(now: float, first: float, second: float) -> None:
    for end in (now - min(first, second), math.inf):
        for slot in cover(now - max(first, second), end, now):
            assert span(slot)[1] > now - BY_LETTER[slot.letter].ttl_seconds


def test_a_day_takes_few_slots() -> None:
    assert len(list(cover(NOW - 86_400, math.inf, NOW))) < 90


def test_two_days_side_by_side_are_read_in_minutes() -> None:
    start = NOW + 7 - 10 - 2 * 86_400
    assert start - aligned(start, NOW + 7) < 60


@pytest.mark.parametrize("late", range(0, 1200, 60))
def test_a_day_and_the_day_before_it_can_be_drawn_in_steps_of_twenty_minutes_at_any_moment(late):
    now = 1_800_000_000 // 1200 * 1200 + late
    assert finest((now - 2 * 86_400) // 1200 * 1200, now).seconds == 60
