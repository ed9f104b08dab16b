"""When a schedule runs: pure, by the clock of UTC, on the days that were chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.invalidation.definition import WEEKDAYS, in_order, next_run, parse_weekdays, rhythm_words, shortest_gap

DAY = 86_400
MON_TO_FRI = WEEKDAYS[:5]

moments = st.floats(0, 4e9)
times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
days = st.sets(st.sampled_from(WEEKDAYS)).map(in_order)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def due(since: float, daily_at: str, weekdays: tuple[str, ...]) -> list[float]:
    """Every minute of the next nine days at which it is to run, counted by hand."""
    first = datetime.fromtimestamp(since, UTC).replace(second=0, microsecond=0)
    minutes = (first + timedelta(minutes=number) for number in range(9 * 24 * 60))
    return [
        minute.timestamp()
        for minute in minutes
        if f"{minute:%H:%M}" == daily_at
        and minute.timestamp() > since
        and (not weekdays or f"{minute:%a}".lower() in weekdays)
    ]


@pytest.mark.parametrize(
    ("since", "weekdays", "expected"),
    [
        ("2026-12-04 02:59", MON_TO_FRI, "2026-12-04 03:00"),  # a Friday
        ("2026-12-04 03:00", MON_TO_FRI, "2026-12-07 03:00"),
        ("2026-12-06 12:00", MON_TO_FRI, "2026-12-07 03:00"),
        ("2026-12-04 03:00", ("fri",), "2026-12-11 03:00"),
        ("2026-12-31 23:59", ("wed", "sat"), "2027-01-02 03:00"),
        ("2028-02-28 12:00", ("tue",), "2028-02-29 03:00"),
        ("2026-12-04 03:00", (), "2026-12-05 03:00"),
    ],
)
def test_it_runs_at_its_time_on_the_next_of_its_days(since, weekdays, expected):
    assert next_run(at(since), None, "03:00", weekdays) == at(expected)


@given(moments, times, days)
def test_the_next_run_is_never_in_the_past_and_on_a_chosen_day_at_its_minute(since, daily_at, weekdays):
    found = next_run(since, None, daily_at, weekdays)
    moment = datetime.fromtimestamp(found, UTC)
    assert since < found <= since + 7 * DAY
    assert f"{moment:%H:%M:%S}" == f"{daily_at}:00"
    assert not weekdays or WEEKDAYS[moment.weekday()] in weekdays


@given(moments, times, days, st.lists(st.floats(0, 3 * DAY), max_size=12))
def test_no_run_is_skipped_or_doubled_whenever_somebody_looks(created, daily_at, weekdays, pauses):
    # Each look may be that of another process: all it has is when it ran last.
    last, now, ran = created, created, []
    for pause in pauses:
        before, now = now, now + pause
        planned = next_run(last, None, daily_at, weekdays)
        missed = [moment for moment in due(before, daily_at, weekdays) if moment <= now]
        if planned <= now:
            ran.append(now)
            last = now
            assert missed, "nothing was to be done, or it was done before"
        else:
            assert not missed, "a run was skipped"
    assert len(ran) == len(set(ran))


@given(moments, times, days)
def test_no_two_runs_are_nearer_than_the_shortest_gap(since, daily_at, weekdays):
    first = next_run(since, None, daily_at, weekdays)
    gaps = []
    for _ in range(8):
        then = next_run(first, None, daily_at, weekdays)
        gaps.append(then - first)
        first = then
    assert min(gaps) == shortest_gap(None, weekdays)


def test_an_interval_counts_from_the_run_before():
    assert next_run(1000.0, 3600, None, ()) == 4600
    assert shortest_gap(3600, ()) == 3600


@pytest.mark.parametrize(
    ("every", "daily_at", "weekdays", "words"),
    [
        (None, "03:00", MON_TO_FRI, "Mon-Fri at 03:00 UTC"),
        (None, "03:00", ("mon", "wed"), "Mon, Wed at 03:00 UTC"),
        (None, "03:00", ("sat", "sun"), "Sat, Sun at 03:00 UTC"),
        (None, "03:00", (), "daily at 03:00 UTC"),
        (5400, None, (), "every 1 h 30 min"),
    ],
)
def test_it_is_said_in_words(every, daily_at, weekdays, words):
    assert rhythm_words(every, daily_at, weekdays) == words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mon-fri", MON_TO_FRI),
        ("Sun, mon", ("mon", "sun")),
        ("sat-mon", ("mon", "sat", "sun")),
        ("wed,wed", ("wed",)),
        ("mon-sun", ()),
        ("fri-thu", ()),
    ],
)
def test_days_are_read_as_people_write_them(text, found):
    assert parse_weekdays(text) == found


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-mon", "mon-fri-sun", "1-5", ","])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(InvalidInput, match="mon-fri"):
        parse_weekdays(text)
