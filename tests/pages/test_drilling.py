"""From a bar of the dashboard to the requests behind it."""

from __future__ import annotations

import time

import pytest
from streamlit.util import AttributeDictionary

from core.models import OutcomeKind
from pages.components.data import context
from tests.pages.conftest import everything_said, select_rows
from tests.pages.test_dashboard import an_outcome


@pytest.mark.parametrize("is_behind", [True, False])
def test_a_selected_bar_leads_to_its_requests(open_page, services, is_behind):
    behind = an_outcome(seconds_ago=120)
    services.metrics.record(behind)
    at = open_page("dashboard")
    since = time.time() - (300 if is_behind else 100)
    selection = {"points": [{"customdata": [since, since + 200]}], "point_indices": [0], "box": [], "lasso": []}
    at.session_state["chart-outcomes"] = AttributeDictionary(selection=selection)
    at.run()
    assert not at.exception
    assert [title.value for title in at.title] == ["Requests"]
    assert at.query_params["since"] == str(int(since))
    assert "outcome" not in at.query_params
    assert len(at.dataframe[0].value if at.dataframe else []) == is_behind
    assert is_behind or "No matching request" in everything_said(at)


def test_a_frequent_prompt_leads_to_its_own_requests_whatever_is_missed_most_by_then(open_page, services):
    for key, count in (("0-aa", 2), ("0-bb", 1)):
        for _ in range(count):
            services.metrics.record(an_outcome(seconds_ago=1, key=key), f"What is {key}?")
    at = open_page("dashboard")
    for _ in range(5):
        services.metrics.record(an_outcome(seconds_ago=1, key="0-cc"), "What is new?")
    context.readings().renew()
    select_rows(at, f"top-{OutcomeKind.MISS}", 1)
    assert [title.value for title in at.title] == ["Requests"]
    assert at.query_params["key"] == "0-bb"
