"""What people ask over HTTP: of the namespaces of a key, as the command line says it, and grouped anew by operators."""

from __future__ import annotations

from core.access import Role, new_operation_key
from core.operations.requests import GroupOut, QuestionOut, QuestionsOut
from core.semantic.questions.report import Question, QuestionGroup, QuestionReport
from tests.cli.test_commands import Terminal

ASKED = ("What is a card?", "What is a card?", "What is a fee?")


def test_groups_are_those_of_core_and_of_the_command_line(api, api_redis_url, namespace, monkeypatch):
    for question in ASKED:
        api.ask(question)
    assert api.get("/questions", namespace=namespace)["empty"] == "The questions are not grouped yet."
    api.services.questions.group()
    told = api.get("/questions", namespace=namespace)
    assert told == api.services.questions.report(namespace=namespace).to_dict()
    assert [(one["question"], one["hits"], one["misses"]) for one in told["questions"]] == [
        ("What is a card?", 1, 1),
        ("What is a fee?", 0, 1),
    ]
    monkeypatch.setenv("ENCORE_REDIS_URL", api_redis_url)
    assert Terminal().data("questions", "--namespace", namespace) == told
    assert api.get("/questions", namespace=namespace, model="another")["groups"] == []


def test_a_key_of_some_namespaces_is_told_of_these_and_groups_nothing(start, namespace):
    key, own = new_operation_key("ci", Role.OPERATOR, (namespace,))
    other, elsewhere = new_operation_key("other", Role.OPERATOR, ("elsewhere",))
    looking, viewer = new_operation_key("looking", Role.VIEWER, ())
    api = start(operation_keys=",".join(one.line for one in (own, elsewhere, viewer)))
    api.ask(ASKED[0])
    api.services.questions.group()
    assert [one["question"] for one in api.by(key).get("/questions")["questions"]] == [ASKED[0]]
    assert api.by(other).get("/questions")["questions"] == []
    api.by(other).refused(403, "GET", "/questions", params={"namespace": namespace})
    for refused in (key, looking):
        api.by(refused).refused(403, "POST", "/questions/group")
    assert not api.services.questions.is_asked()


def test_an_operator_has_them_grouped_by_a_worker(api):
    response = api.send("POST", "/questions/group")
    assert (response.status_code, response.json()) == (200, {"asked": True})
    assert api.services.questions.take_up()


def test_what_is_told_has_a_field_for_each_of_core():
    rows = {"requests", "hit_rate"}
    assert set(QuestionsOut.model_fields) == {*QuestionReport.__struct_fields__, "near_words"}
    assert set(GroupOut.model_fields) == {*QuestionGroup.__struct_fields__} | rows
    assert set(QuestionOut.model_fields) == {*Question.__struct_fields__} | rows
