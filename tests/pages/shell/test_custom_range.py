"""A range of two moments: what it covers, how it is chosen, and that all figures of a page follow it."""

from __future__ import annotations

import time
from csv import DictReader
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from core.metrics import LONGEST_SECONDS
from core.metrics.timeline import finest
from core.models import CacheStrategy, Outcome, OutcomeKind
from pages.components.dashboard import series_table
from pages.components.data import series
from pages.components.data.view import RANGES, View, between, this_month, this_week, window_of
from tests.pages.conftest import everything_said

HOUR = 3600
LONG_AGO = 50 * 365 * 24 * HOUR


@pytest.fixture
def now() -> int:
    """When the test begins, which may be long after this module was read."""
    return int(time.time())


def record(services, *, ago: float, monkeypatch) -> None:
    """Counts a miss as if it were so long ago."""
    at = time.time() - ago
    one = Outcome(
        kind=OutcomeKind.MISS,
        namespace="default",
        model="gpt-4o",
        strategy=CacheStrategy.NORMALIZED,
        reason="absent",
        at=at,
    )
    with monkeypatch.context() as then:
        then.setattr(services.metrics, "_clock", lambda: at)
        services.metrics.record(one)
        services.metrics.flush()


def tile(at, label):
    return next(metric.value for metric in at.metric if metric.label == label)


# What it covers


@pytest.mark.parametrize("seconds", [60, 900, 5000, 6 * HOUR, 40 * HOUR, 30 * 86_400])
@pytest.mark.parametrize("ago", [0, 90, HOUR, 3 * 86_400, 20 * 86_400])
def test_it_is_whole_steps_that_hold_both_moments(now, seconds, ago):
    begins_at, ends_at = now - ago - seconds, now - ago
    window = window_of(between(begins_at, ends_at))
    first = window.ends_at - window.seconds
    assert first <= begins_at < first + window.step
    assert first % window.step == 0
    assert window.seconds // window.step <= 101
    if window.has_ended:
        assert ends_at <= window.ends_at < ends_at + window.step
        assert window.ends_at % window.step == 0


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (-100, -100),
        (-100, -200),
        (100, 2 * HOUR),
        (-LONGEST_SECONDS - HOUR, 0),
        (-LONG_AGO, 0),
    ],
    ids=["nothing", "backwards", "to come", "too long ago", "half a century"],
)
def test_what_holds_no_figures_is_no_range(now, begins, ends):
    assert window_of(between(now + begins, now + ends)) is None


@pytest.mark.parametrize(
    "name", ["", "7y", "1~2", "a~b", "1796090000", "1796090000~", "1796090000~1796093600~1", "9" * 300]
)
def test_what_is_no_name_of_one_is_none(name):
    assert window_of(name) is None


@pytest.mark.parametrize("name", [this_week, this_month])
def test_this_week_and_this_month_begin_at_midnight_and_go_on(name):
    begins_at, ends_at = map(int, name().split("~"))
    assert begins_at <= time.time() < ends_at
    assert datetime.fromtimestamp(begins_at).astimezone().date() <= datetime.now().astimezone().date()
    window = window_of(name())
    if window is not None:  # none within its first minute
        assert not window.has_ended
        assert window.words.endswith(" to now")


def test_a_range_that_goes_on_grows(now, monkeypatch):
    name = between(now - HOUR, now + HOUR)
    monkeypatch.setattr(time, "time", lambda: float(now))
    before = window_of(name).seconds
    monkeypatch.setattr(time, "time", lambda: now + 600.0)
    assert window_of(name).seconds == before + 600


# On the page


@pytest.mark.parametrize("compare", [True, False])
@pytest.mark.parametrize("ends_ago", [-HOUR, 30, 2 * HOUR, 3 * 86_400])
def test_tiles_charts_and_file_have_the_same_requests(now, services, monkeypatch, ends_ago, compare):
    for ago in (ends_ago + 100, ends_ago + 4000, ends_ago + 9000):
        if ago > 0:
            record(services, ago=ago, monkeypatch=monkeypatch)
    record(services, ago=max(ends_ago, 0) + 7 * HOUR, monkeypatch=monkeypatch)
    view = View(range=between(now - ends_ago - 3 * HOUR, now - ends_ago), namespace=None, model=None)
    window = view.window
    summary = services.metrics.summary(window.seconds, step_seconds=window.step, ends_at=window.ends_at)
    shown, before = series.series(view, compare)
    assert sum(step.summary.requests for step in shown) == summary.requests
    assert shown[0].starts_at == window.ends_at - window.seconds
    rows = list(DictReader(StringIO(series_table.csv(shown, (), None).decode())))
    assert sum(int(row["requests"]) for row in rows) == summary.requests
    assert summary.requests == sum(ago > 0 for ago in (ends_ago + 100, ends_ago + 4000, ends_ago + 9000))
    if compare:
        assert before[0].starts_at < shown[0].starts_at
        assert sum(step.is_complete for step in shown) == len(before)


def test_a_link_with_two_moments_shows_what_was_then_and_leads_back(now, open_page, services, ask, monkeypatch):
    record(services, ago=5 * HOUR, monkeypatch=monkeypatch)
    ask("What is a cat?")
    at = open_page("dashboard", range=between(now - 6 * HOUR, now - 4 * HOUR))
    assert tile(at, "Requests") == "1"
    assert window_of(between(now - 6 * HOUR, now - 4 * HOUR)).words in everything_said(at)
    assert at.toggle(key="live").disabled
    assert not [one for one in at.get("segmented_control") if one.label == "Range"]
    at.button(key="back-to-live").click().run()
    assert "Last 15 minutes, updated" in everything_said(at)
    assert "range" not in at.query_params
    assert not at.toggle(key="live").disabled


def test_requests_are_those_of_the_range(now, open_page, services, ask):
    ask("What is a cat?")
    services.metrics.flush()
    assert "1 request, newest first" in everything_said(open_page("requests", range="15m"))
    at = open_page("requests", range=between(now - 6 * HOUR, now - 4 * HOUR))
    assert "No matching request" in everything_said(at)
    assert at.toggle(key="requests_live").disabled


@pytest.mark.parametrize("key", ["this-week", "this-month"])
def test_a_week_and_a_month_are_one_click(open_page, services, ask, key):
    ask("What is a cat?")
    at = open_page("dashboard")
    at.button(key=key).click().run()
    assert not at.exception
    name = at.query_params["range"]
    assert name in (this_week(), this_month())
    if window_of(name) is not None:
        assert tile(at, "Requests") == "1"
        assert not at.toggle(key="live").disabled


def apply(at, begins, ends):
    at.datetime_input(key="range-from").set_value(begins)
    at.datetime_input(key="range-to").set_value(ends)
    return next(button for button in at.button if button.label == "Show this range").click().run()


def test_two_dates_choose_a_range_in_the_viewers_zone(now, open_page, services, ask):
    ask("What is a cat?")
    begins = datetime.fromtimestamp(now - 5 * HOUR, UTC).replace(second=0, tzinfo=None)
    at = apply(open_page("dashboard"), begins, begins + timedelta(hours=2))
    name = at.query_params["range"]
    first, last = map(int, name.split("~"))
    assert last - first == 2 * HOUR
    assert (first - begins.replace(tzinfo=UTC).timestamp()) % 900 == 0, "zones differ by quarters of an hour"


@pytest.mark.parametrize(
    ("begins", "ends", "problem"),
    [
        (timedelta(hours=-1), timedelta(hours=-2), "The end must be after the start."),
        (timedelta(days=200), timedelta(days=201), "The start is in the future."),
        (timedelta(days=-200), timedelta(days=-199), "Figures are kept for 90 days."),
    ],
)
def test_what_is_no_range_is_refused_in_words(open_page, services, ask, begins, ends, problem):
    ask("What is a cat?")
    now = datetime.now(UTC).replace(second=0, microsecond=0, tzinfo=None)
    at = apply(open_page("dashboard"), now + begins, now + ends)
    assert problem in everything_said(at)
    assert "range" not in at.query_params


def test_of_a_range_too_long_ago_nothing_is_compared(now, open_page, services, ask):
    ask("What is a cat?")
    at = open_page("dashboard", range=between(now - 60 * 86_400, now))
    assert not at.exception
    assert at.toggle(key="compare").disabled
    assert tile(at, "Requests") == "1"


@pytest.mark.parametrize("window", RANGES.values(), ids=list(RANGES))
def test_a_range_and_the_one_before_are_kept_in_its_steps_at_any_time(now, window):
    for moment in range(now, now + 2 * HOUR, 50):
        begins_at = (moment - 2 * window.seconds) // window.step * window.step
        assert window.step % finest(begins_at, moment).seconds == 0


@pytest.mark.parametrize("ends_ago", [0, 700, HOUR, 20 * HOUR, 40 * HOUR])
@pytest.mark.parametrize("seconds", [60, 1700, 3500, 4 * HOUR, 23.9 * HOUR, 24 * HOUR])
def test_two_moments_and_the_time_before_are_kept_in_their_steps(now, seconds, ends_ago):
    window = window_of(between(now - ends_ago - seconds, now - ends_ago))
    begins_at = (window.ends_at - 2 * window.seconds) // window.step * window.step
    assert window.step % finest(begins_at, now + 60).seconds == 0


def test_ranges_that_end_now_stay_as_they_are():
    assert all(not window.has_ended and window.has_one_before for window in RANGES.values())
