"""The request log over HTTP: filtered as on the page, page by page, without prompts where they may not be kept."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.bans import Criteria
from core.metrics import Frequent, RequestRecord
from core.operations.requests import FrequentOut, RequestOut
from tests.metrics.outcomes import a_hit, a_miss


@pytest.fixture
def logged(api, namespace):
    for question in ("What is a card?", "What is a card?", "What is a fee?", "What is my balance?"):
        api.ask(question)
    return api


def keys(page):
    return [one["prompt"] for one in page["items"]]


def own(api, namespace, **asked):
    return api.get("/requests", namespace=namespace, **asked)


def test_the_latest_come_first_with_their_reason_in_a_sentence(logged, namespace):
    told = own(logged, namespace)
    assert [one["kind"] for one in told["items"]] == ["bypass", "miss", "hit", "miss"]
    assert [one["prompt"] for one in told["items"]] == [
        None,
        "What is a fee?",
        "What is a card?",
        "What is a card?",
    ]
    assert told["items"][0]["why"] == "The question is personal, and the request names no user."
    assert told["items"][2]["why"] == "Exactly this request was answered before."


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"outcome": "hit"}, 1),
        ({"outcome": "hit", "detail": "normalized"}, 0),
        ({"reason": "no-user"}, 1),
        ({"model": "gpt-4o"}, 4),
        ({"model": "x"}, 0),
        ({"slower_than_ms": 1e9}, 0),
        ({"since": 1e10}, 0),
        ({"until": 1.0}, 0),
        ({"ttl_class": "general_knowledge"}, 3),
    ],
    ids=str,
)
def test_requests_are_filtered_as_on_the_page(logged, namespace, asked, count):
    assert len(own(logged, namespace, **asked)["items"]) == count


def test_pages_have_each_request_once_whatever_comes_meanwhile(logged, namespace):
    first = own(logged, namespace, limit=2)
    logged.ask("What is new?")
    rest = own(logged, namespace, limit=2, cursor=first["next"])
    ids = [one["id"] for one in first["items"] + rest["items"]]
    assert (len(set(ids)), ids, rest["next"]) == (4, sorted(ids, reverse=True), None)


def test_prompts_are_told_only_where_they_may_be_kept(start, namespace):
    api = start(record_prompts=False)
    api.ask("What is a secret?")
    assert keys(own(api, namespace)) == [None]
    assert "secret" not in api.send("GET", "/requests/frequent", params={"namespace": namespace}).text


def test_what_is_asked_most_often_is_counted(logged, namespace):
    told = logged.get("/requests/frequent", outcome="miss", namespace=namespace)["items"]
    assert [(one["prompt"], one["count"]) for one in told] == [("What is a fee?", 1), ("What is a card?", 1)]
    assert logged.get("/requests/frequent", outcome="hit", namespace=namespace)["items"][0]["count"] == 1


def test_a_key_of_some_namespaces_sees_no_requests_of_others(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    metrics = api.services.metrics
    metrics.record(a_miss(namespace="others", key="0-secret"), "a secret")
    metrics.record(a_hit(namespace=f"{namespace}~part"), "mine")
    metrics.record(a_miss(namespace=f"{namespace}x", key="0-secret"), "a secret")
    assert {one["namespace"] for one in api.get("/requests")["items"]} == {f"{namespace}~part"}
    assert api.get("/requests", key="0-secret")["items"] == []
    assert {one["namespace"] for one in api.get("/requests/frequent", outcome="hit")["items"]} == {f"{namespace}~part"}
    assert api.get("/requests/frequent", outcome="miss")["items"] == []
    for path in ("/requests", "/requests/frequent"):
        api.refused(403, "GET", path, params={"namespace": "others"})


@pytest.mark.parametrize(
    "asked",
    [
        {"outcome": "x"},
        {"cursor": "MS0x"},
        {"cursor": "IjAtMCI"},
        {"cursor": "IisiIA"},
        {"limit": 1001},
        {"since": "nan"},
        {"slower_than_ms": -1},
        {"reason": ""},
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_is_refused(api, asked):
    assert api.refused(422, "GET", "/requests", params=asked)["field"] == next(iter(asked))


def test_a_text_is_looked_for_in_what_may_be_shown(logged, start, namespace):
    assert keys(own(logged, namespace, text="FEE")) == ["What is a fee?"]
    discreet = start(record_prompts=False)
    assert keys(own(discreet, namespace, text="fee")) == []
    assert {one["caller"][:4] for one in own(discreet, namespace, text="KEY-")["items"]} == {"key-"}


def test_who_got_an_answer_is_told_also_once_it_is_gone(logged, namespace):
    key = own(logged, namespace, text="a card")["items"][0]["key"]
    told = logged.get(f"/entries/{key}/recipients", namespace=namespace)
    assert [one["kind"] for one in told["got"]] == ["hit", "miss"]
    assert told["got_earlier"] == []
    assert told["looked_at"] >= 4
    logged.services.invalidation.invalidate(Criteria(namespace=namespace, key=key), actor="a", hold_seconds=0)
    logged.ask("What is a card?")
    told = logged.get(f"/entries/{key}/recipients", namespace=namespace)
    assert [one["kind"] for one in told["got"]] == ["miss"]
    assert [one["kind"] for one in told["got_earlier"]] == ["hit", "miss"]


def test_a_key_of_some_namespaces_learns_nothing_of_who_got_what_in_others(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    found = "0-" + "ab" * 32
    api.services.metrics.record(a_hit(namespace="others", key=found))
    api.services.metrics.record(a_hit(namespace=namespace, key=found))
    told = api.get(f"/entries/{found}/recipients", namespace=namespace)
    assert (told["looked_at"], len(told["got"])) == (1, 1)
    api.refused(403, "GET", f"/entries/{found}/recipients", params={"namespace": "others"})


def test_records_are_told_with_all_their_fields():
    assert set(RequestOut.model_fields) == {*RequestRecord.__struct_fields__, "why"} - {"question", "parts"}
    assert set(FrequentOut.model_fields) == set(Frequent.__struct_fields__)
