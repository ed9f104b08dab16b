"""Marking a moment on the dashboard: the form, what it says of a mark, who may, and that a name is shown as it is."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta

import pytest

from core.access.roles import Actor, Role
from core.metrics.summary import Bucket, summarize
from pages.components.dashboard import charts as dashboard_charts
from pages.components.dashboard.marks import marked
from pages.components.data import context
from pages.components.display.charts import DEPLOY, INVALIDATION, Mark
from tests.pages.conftest import everything_said

HOSTILE = '**x** [a](http://b) $1$ <img src=x onerror=alert(1)> `" =1+1'


def submit(at, name="", when=None):
    at.text_input(key="mark-name").set_value(name)
    at.datetime_input(key="mark-when").set_value(when)
    submit = next(button for button in at.button if button.label == "Mark")
    return submit.click().run()


def deploys(at) -> list[str]:
    """What Plotly gets of the charts with a mark of a deploy."""
    specs = [json.dumps(json.loads(chart.proto.spec), ensure_ascii=False) for chart in at.get("plotly_chart")]
    return [spec for spec in specs if DEPLOY in spec]


def test_a_deploy_is_marked_seen_on_the_charts_and_taken_away(open_page, services, ask):
    ask("What is a cat?")
    at = submit(open_page("dashboard"), " v1.2 ")
    [mark] = services.marks.all()
    assert (mark.name, mark.namespace, mark.actor) == ("v1.2", None, "console")
    assert abs(mark.at - time.time()) < 60
    said = everything_said(at)
    assert "It stays on the charts for 90 days" in said
    assert "`v1.2` at" in said
    assert f"{DEPLOY} and a dashed line show a moment that somebody marked, such as a deploy." in said
    assert deploys(at)
    assert at.text_input(key="mark-name").value == ""
    at.button(key=f"unmark-{mark.id}").click().run()
    assert services.marks.all() == []
    assert not deploys(at)


def test_an_earlier_moment_is_marked_in_the_viewers_zone(open_page, services, ask):
    ask("What is a cat?")
    when = datetime.now().replace(second=0, microsecond=0) - timedelta(minutes=5)  # noqa: DTZ005
    submit(open_page("dashboard"), "v1.2", when)
    [mark] = services.marks.all()
    assert (mark.at - when.timestamp()) % 900 == 0, "zones differ by quarters of an hour"


def test_what_is_no_name_is_refused_and_stays_to_be_mended(open_page, services, ask):
    ask("What is a cat?")
    at = submit(open_page("dashboard"), "two\nlines")
    assert services.marks.all() == []
    assert "Not done" in everything_said(at)
    assert at.text_input(key="mark-name").value == "two\nlines"


def test_of_a_chosen_namespace_its_charts_are_marked(open_page, services, ask):
    ask("What is a cat?")
    services.marks.add("of another", namespace="elsewhere", actor="ada")
    at = open_page("dashboard", **dict.fromkeys(("namespace", "for_namespace"), "default"))
    assert "of another" not in everything_said(at)
    submit(at, "v1.2")
    assert {mark.namespace for mark in services.marks.all()} == {"default", "elsewhere"}
    assert "of another" in everything_said(open_page("dashboard"))


def test_a_viewer_sees_marks_and_cannot_set_them(open_page, services, ask, monkeypatch):
    ask("What is a cat?")
    mark = services.marks.add("v1.2", actor="ada")
    monkeypatch.setattr(context, "actor", lambda: Actor(name="vic", role=Role.VIEWER))
    at = open_page("dashboard")
    assert "`v1.2` at" in everything_said(at)
    assert at.button(key=f"unmark-{mark.id}").disabled
    assert at.text_input(key="mark-name").disabled
    assert next(button for button in at.button if button.label == "Mark").disabled
    assert "this needs the role operator" in everything_said(at)


def test_a_name_is_shown_as_it_is(open_page, services, ask):
    ask("What is a cat?")
    services.marks.add(HOSTILE, actor=HOSTILE)
    at = open_page("dashboard")
    assert f"`` {HOSTILE} ``" in everything_said(at)
    assert deploys(at)
    assert not any("<img" in spec for spec in deploys(at))


# On the charts


def steps(count: int = 10) -> list[Bucket]:
    return [
        Bucket(
            starts_at=1_800_000_000 + 60 * number,
            seconds=60,
            summary=summarize(
                {}, starts_at=1_800_000_000 + 60 * number, ends_at=1_800_000_060 + 60 * number, events={}
            ),
        )
        for number in range(count)
    ]


def a_deploy(minute: float, words: str) -> Mark:
    return Mark(at=1_800_000_000 + 60 * minute, words=words, is_deploy=True)


def test_deploys_have_a_sign_of_their_own_beside_invalidations():
    held = Mark(at=1_800_000_130, words="held: model m")
    found = marked([held], [], steps(), [a_deploy(2, "v1.2, by ada"), a_deploy(99, "later")])
    figure = dashboard_charts.hit_rate_over_time(steps(), found.marks)
    signs = {one.text: (one.hovertext, one.xshift) for one in figure.layout.annotations}
    assert signs == {DEPLOY: ("v1.2, by ada", -9), INVALIDATION: ("held: model m", 9)}
    assert {shape.line.dash for shape in figure.layout.shapes} == {"dash", "dot"}


def test_deploys_of_one_step_are_one_mark():
    found = marked([], [], steps(), [a_deploy(2, "v1"), a_deploy(2.5, "v2"), a_deploy(4, "v3")])
    assert [mark.words for mark in found.marks] == ["2 marks, the latest v2", "v3"]
    assert all(mark.is_deploy for mark in found.marks)


@pytest.mark.parametrize("deploy", [[], [a_deploy(2, "v1")]])
def test_deploys_are_not_counted_as_invalidations_of_programs(deploy):
    assert marked([], [], steps(), deploy).without == 0
