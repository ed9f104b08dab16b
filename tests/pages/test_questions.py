"""The Questions page: groups and their map, what leads to the requests, and what it says when there is nothing."""

from __future__ import annotations

import pytest
from streamlit.util import AttributeDictionary

from core.bootstrap import bootstrap
from core.models import OutcomeKind
from core.semantic.questions.report import Question
from core.settings import Settings
from pages.components.data import context
from pages.components.questions.question_map import draw, told
from pages.components.questions.tables import groups
from tests.metrics.outcomes import a_hit, a_miss
from tests.pages.conftest import everything_said, select_rows

CARD, FEE = "Where is my new card?", "What does a transfer cost?"
HOSTILE = (
    "=cmd()|' /C calc'!A0",
    "[x](javascript:alert(1)) **b** <img src=x onerror=alert(1)>",
    "`$x$` | a\nb\u202e\x00",
    "n" * 10_000,
)


def log(services, *prompts, **fields):
    for prompt in prompts:
        services.metrics.record(a_miss(namespace="default", **fields), prompt)
    services.metrics.flush()


@pytest.fixture
def grouped(services):
    log(services, CARD, CARD, cost_usd=0.25)
    services.metrics.record(a_hit(namespace="default", saved_cost_usd=0.25), CARD)
    log(services, FEE, cost_usd=0.1)
    services.questions.group()
    return services


def tiles(at):
    return {metric.label: metric.value.replace("\\", "") for metric in at.metric}


def test_groups_are_shown_with_their_money(open_page, grouped):
    at = open_page("questions")
    assert not at.exception
    assert tiles(at) == {
        "Questions": "2",
        "Spent on misses": "$0.60",
        "Spent on repeats": "$0.25",
        "Saved by hits": "$0.25",
    }
    shown = at.dataframe[0].value
    assert list(shown["question"]) == [CARD]
    assert [shown["misses"][0], shown["hits"][0], shown["questions"][0]] == [3, 1, 2]


def test_without_a_map_a_click_has_a_worker_make_it(open_page, services, a_worker, queue, run_jobs):
    log(services, CARD)
    at = open_page("questions")
    assert "The questions are not grouped yet" in everything_said(at)
    assert not at.dataframe
    at.button(key="group").click().run()
    assert "The questions wait for a worker." in everything_said(at)
    assert services.questions.take_up()
    queue.enqueue_grouping()
    context.queue_readings().renew()
    assert "The questions wait for a worker." in everything_said(at.run())
    run_jobs(services)
    context.queue_readings().renew()
    assert list(at.run().dataframe[0].value["question"]) == [CARD]


def test_it_says_when_no_worker_will_take_it_up(open_page, services):
    log(services, CARD)
    at = open_page("questions")
    at.button(key="group").click().run()
    assert "The questions wait for a worker, and none is alive." in everything_said(at)


def test_without_recorded_prompts_it_says_why_it_is_empty_and_what_to_set(
    open_page, use, pages_server, services, provider, monkeypatch
):
    log(services, CARD)
    services.questions.group()
    monkeypatch.setenv("ENCORE_RECORD_PROMPTS", "false")
    with bootstrap(Settings(), provider=provider) as private:
        use(private)
        at = open_page("questions")
        said = everything_said(at)
        assert "Set ENCORE\\_RECORD\\_PROMPTS\\=true" in said
        assert CARD not in said
        assert [button.key for button in at.button if button.key == "group"] == []


def test_without_a_request_it_says_so(open_page, services):
    at = open_page("questions")
    assert "no request with a recorded prompt" in everything_said(at)


def test_a_viewer_sees_the_groups_and_cannot_make_them_anew(open_page, grouped, viewer):
    at = open_page("questions")
    assert at.button(key="group").disabled
    assert "Read only: this needs the role operator, yours is viewer." in everything_said(at)
    assert len(at.dataframe[0].value) == 1


def test_a_namespace_or_model_has_its_own_figures(open_page, services):
    log(services, CARD, model="gpt-4o")
    log(services, CARD, FEE, model="gpt-4o-mini")
    services.questions.group()
    at = open_page("questions", model="gpt-4o")
    assert tiles(at)["Questions"] == "1"
    at.selectbox(key="model").select("gpt-4o-mini").run()
    assert tiles(at)["Questions"] == "2"


def test_a_group_opens_and_a_question_of_it_leads_to_its_requests(open_page, grouped):
    at = select_rows(open_page("questions"), "question-groups", 0)
    assert (at.code[0].value, list(at.dataframe[1].value["question"])) == (CARD, [CARD, FEE])
    assert open_page("questions", id=at.query_params["id"]).code[0].value == CARD, "a link opens it too"
    log(grouped, FEE, FEE, FEE, FEE, cost_usd=9.0)  # now the first, before the click is heard
    context.readings().renew()
    select_rows(at, "questions-of-group", 0)
    assert [title.value for title in at.title] == ["Requests"]
    assert set(at.dataframe[0].value["prompt"]) == {CARD}
    assert len(at.dataframe[0].value) == 3
    assert "card" not in str(at.query_params), "a prompt is in no URL"


def test_a_point_of_the_map_leads_to_its_requests_whatever_came_since(open_page, grouped):
    at = open_page("questions")
    point = next(one for one in grouped.questions.report().questions if one.question == FEE)
    log(grouped, FEE, FEE, cost_usd=9.0)
    context.readings().renew()
    selection = {"points": [{"customdata": [point.id]}], "point_indices": [0], "box": [], "lasso": []}
    at.session_state["chart-questions"] = AttributeDictionary(selection=selection)
    at.run()
    assert [title.value for title in at.title] == ["Requests"]
    assert set(at.dataframe[0].value["prompt"]) == {FEE}


def test_hostile_questions_are_shown_as_they_are(open_page, services):
    log(services, *HOSTILE)
    services.questions.group()
    at = open_page("questions")
    assert not at.exception
    at = select_rows(at, "question-groups", 0)
    assert not at.exception
    assert not [element for element in (*at.markdown, *at.caption) if "<img" in element.value]
    assert "\u202e" not in at.code[0].value
    hover = [told(one) for one in services.questions.report().questions]
    assert not [text for text in hover if "<img" in text or len(text) > 400]
    assert groups(services.questions.report().groups)["question"].str.len().max() <= 300


def a_question(kind: OutcomeKind, number: int, requests: int = 1, group: int = 1) -> Question:
    field = {OutcomeKind.HIT: "hits", OutcomeKind.MISS: "misses"}.get(kind, "errors")
    return Question(id=str(number), question="?", group=group, x=0.1 * number, y=0.0, **{field: requests})


def test_the_map_has_a_trace_for_each_outcome_and_larger_points_for_more_requests():
    asked = [a_question(OutcomeKind.HIT, 0, 100), a_question(OutcomeKind.MISS, 1), a_question(OutcomeKind.HIT, 2)]
    figure = draw(asked, 0)
    assert [trace.name for trace in figure.data if trace.showlegend is None] == ["mostly hits", "mostly misses"]
    large, small = figure.data[0].marker.size
    assert large > 3 * small
    assert len({trace.marker.symbol for trace in figure.data}) == 2, "colour is not all that tells them apart"


def test_a_chosen_group_stands_out():
    asked = [a_question(OutcomeKind.HIT, 0), a_question(OutcomeKind.HIT, 1, group=2)]
    figure = draw(asked, 2)
    faint, strong = figure.data[0].marker.opacity
    assert faint < 0.3 < strong
    assert [note.text for note in figure.layout.annotations] == ["<b>2</b>"]


def test_the_last_groups_stay_when_redis_goes_away(open_page, use, redis_server, provider, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        log(built, CARD)
        built.questions.group()
        at = open_page("questions")
        assert list(at.dataframe[0].value["question"]) == [CARD]
        server.kill()
        context.readings().renew()
        at.run()
        assert not at.exception
        assert list(at.dataframe[0].value["question"]) == [CARD]


def test_without_redis_it_says_what_grouping_takes(open_page, use, provider, tmp_path, monkeypatch):
    monkeypatch.delenv("ENCORE_REDIS_URL", raising=False)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        log(built, CARD)
        at = open_page("questions")
        assert "Grouping needs Redis and a worker" in everything_said(at)
        assert at.button(key="group").disabled
