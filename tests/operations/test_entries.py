"""Entries over HTTP: searched page by page, read, written at their key, changed, taken out of service."""

from __future__ import annotations

import msgspec
import pytest

from core.access import Role, new_operation_key
from core.bans import Visibility
from core.entries import EntryFilter, Line, page_entries
from core.keys import Slot
from core.models import ChatRequest, Controls
from core.operations.entries import AnswerIn, EntryOut
from core.operations.operators import SOURCE
from tests.operations.calling import kind

QUESTIONS = ("What is a card?", "What is a fee?", "What is a branch?")


@pytest.fixture
def filled(api):
    for number, question in enumerate(QUESTIONS):
        api.ask(question, f"doc:{number}")
    return api


def prompts(page):
    return [one["prompt"] for one in page["items"]]


def a_request(question, **fields):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]} | fields


def key_of(api, question, **fields):
    return api.post("/explain", a_request(question, **fields))["key"]


# Tags


def test_the_known_tags_are_counted_found_and_limited(filled):
    filled.ask("What is a loan?", "doc:1", "loan")
    found = filled.get("/tags")
    assert {one["tag"]: one["entries"] for one in found["tags"]} == {"doc:0": 1, "doc:1": 2, "doc:2": 1, "loan": 1}
    assert found["tags"][0]["tag"] == "doc:1"
    assert (found["looked_at"], found["listed"], found["complete"], found["others"]) == (4, 4, True, 0)
    few = filled.get("/tags", find="DOC", limit=1)
    assert ([one["tag"] for one in few["tags"]], few["others"]) == (["doc:1"], 2)


def test_a_key_of_some_namespaces_sees_no_tags_of_others(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER, (namespace,))
    api = start(key=key, operation_keys=kept.line)
    assert api.get("/tags")["tags"] == []
    assert kind(api.refused(403, "GET", "/tags?namespace=theirs")) == "access-denied"


# Searching


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, QUESTIONS),
        ({"text": "CARD"}, ("What is a card?",)),
        ({"tag": "doc:1"}, ("What is a fee?",)),
        (
            {"tag": ["doc:1", "doc:2", "doc:9"]},
            (
                "What is a fee?",
                "What is a branch?",
            ),
        ),
        ({"model": "gpt-4o"}, QUESTIONS),
        ({"model": "gpt-4"}, ()),
        ({"older_than_seconds": 3600}, ()),
        ({"older_than_seconds": 0, "text": "fee"}, ("What is a fee?",)),
        ({"created_after": 1e10}, ()),
        ({"created_before": 1.0}, ()),
        ({"fewest_hits": 1}, ()),
        ({"never_hit": True, "text": "branch"}, ("What is a branch?",)),
        ({"pinned": True}, ()),
        ({"ttl_class": "code"}, ()),
    ],
    ids=str,
)
def test_entries_are_searched_as_on_the_page(filled, asked, expected):
    assert set(prompts(filled.get("/entries", **asked))) == set(expected)


def test_pages_have_each_entry_once_the_newest_first(filled):
    first = filled.get("/entries", limit=2)
    assert (len(first["items"]), first["listed"]) == (2, 3)
    filled.ask("What is new?")
    rest = filled.get("/entries", limit=2, cursor=first["next"])
    assert (prompts(first) + prompts(rest), rest["next"]) == (list(reversed(QUESTIONS)), None)


def test_the_api_lists_what_the_page_lists(filled, namespace):
    services = filled.services
    page = page_entries(
        services.store, [Slot(namespace, 0)], EntryFilter(), hits=services.metrics.hits, pins=services.pins
    )
    now = services.clock()
    told = filled.get("/entries")["items"]
    moving = ("age_seconds", "fresh_seconds")
    assert [{**one, **dict.fromkeys(moving)} for one in told] == [
        {**one.to_dict(now), **dict.fromkeys(moving)} for one in page.entries
    ]
    assert told[0].keys() == EntryOut.model_fields.keys()


def test_one_entry_has_its_answer_and_is_found_by_its_key(filled):
    [listed] = filled.get("/entries", text="card")["items"]
    one = filled.get(f"/entries/{listed['key']}")
    assert (one["prompt"], one["model"], one["state"]) == ("What is a card?", "gpt-4o", "fresh")
    assert one["answer"] == one["completion"]["choices"][0]["message"]["content"] != ""
    assert "answer" not in listed
    assert prompts(filled.get("/entries", key=listed["key"])) == ["What is a card?"]
    filled.ask("What is a card?")
    assert filled.get(f"/entries/{listed['key']}")["hits"] == 1


@pytest.mark.parametrize("key", ["0-" + "0" * 64, "fff-" + "f" * 64])
def test_what_is_not_there_is_not_found_in_the_words_of_the_command_line(api, key, namespace):
    found = api.refused(404, "GET", f"/entries/{key}")
    assert found["detail"] == f"no answer is stored at this key in the namespace {namespace}"
    assert api.get("/entries", key=key)["items"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {"cursor": "x"},
        {"cursor": "bm9uZQ"},
        {"cursor": "WzEuMCwi4oCuIl0"},
        {"cursor": "A" * 1001},
        {"limit": 0},
        {"limit": 201},
        {"namespace": "a/b/c"},
        {"namespace": "x" * 200},
        {"key": "../x"},
        {"text": "x" * 201},
        {"tag": ["x"] * 65},
        {"created_before": "nan"},
        {"older_than_seconds": "inf"},
        {"fewest_hits": -1},
        {"fewest_hits": 10**30},
        {"model": ""},
    ],
    ids=str,
)
def test_what_cannot_be_searched_for_is_refused_by_its_field(api, asked):
    found = api.refused(422, "GET", "/entries", params=asked)
    assert found["field"].startswith(next(iter(asked)))


@pytest.mark.parametrize(
    "asked", [{"model": "\u202e*[x]\\"}, {"text": "'; FLUSHALL"}, {"tag": "{a}"}, {"text": "é" * 200}]
)
def test_whatever_is_searched_for_is_a_text_and_nothing_else(filled, asked):
    assert filled.get("/entries", **asked)["items"] == []
    assert len(filled.get("/entries")["items"]) == 3


# Writing and changing


def test_an_answer_is_written_at_its_key_and_served_from_then_on(filled):
    key = key_of(filled, "Who are you?", temperature=0.2)
    body = a_request("Who are you?", parameters={"temperature": 0.2}, answer="A bank.", tags=["doc:7"], ttl_seconds=60)
    stored = filled.send("PUT", f"/entries/{key}", json=body).json()
    assert (stored["key"], stored["answer"], stored["tags"]) == (key, "A bank.", ["doc:7"])
    assert 0 < stored["fresh_seconds"] <= 60
    assert filled.post("/explain", a_request("Who are you?", temperature=0.2))["answer"] == "A bank."
    again = filled.send("PUT", f"/entries/{key}", json=body | {"answer": "Your bank."}).json()
    assert (again["answer"], len(filled.get("/entries", text="who are")["items"])) == ("Your bank.", 1)
    assert filled.recorded("entry.written")[0].details["key"] == key


def test_an_answer_is_not_written_at_the_key_of_another_request(filled):
    key, other = key_of(filled, "Who?"), key_of(filled, "What is a card?")
    found = filled.refused(422, "PUT", f"/entries/{other}", json=a_request("Who?", answer="We."))
    assert (found["field"], found["detail"]) == ("key", f"this request has another one: {key}")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"answer": ""}, "It is empty."),
        ({"ttl_seconds": 0}, "Its TTL is 0."),
        (
            {"messages": [{"role": "user", "content": "What is my balance?"}]},
            "The question is personal, and the request",
        ),
        ({"answer": None}, "give either answer or completion"),
        ({"completion": {}}, "give either answer or completion"),
        ({"parameters": {"model": "x"}}, "model is no parameter"),
        ({"ttl_seconds": -5}, "give seconds between"),
        ({"tags": [""]}, "give at most"),
    ],
    ids=str,
)
def test_the_rules_for_storing_hold_for_what_is_written(api, wrong, detail):
    key = key_of(api, "Who?")
    found = api.refused(422, "PUT", f"/entries/{key}", json=a_request("Who?", answer="We.") | wrong)
    assert found["detail"].startswith(detail)
    assert api.get("/entries")["items"] == []


def test_an_answer_is_kept_longer_pinned_and_unpinned(filled):
    key = key_of(filled, "What is a card?")
    kept = filled.send("PATCH", f"/entries/{key}", json={"fresh_seconds": 100_000}).json()
    assert 99_000 < kept["fresh_seconds"] <= 100_000
    assert filled.send("PATCH", f"/entries/{key}", json={"pinned": True}).json()["pinned"] is True
    assert prompts(filled.get("/entries", pinned=True)) == ["What is a card?"]
    found = filled.refused(422, "PATCH", f"/entries/{key}", json={"fresh_seconds": 60})
    assert found["detail"] == "this answer is pinned; unpin it first"
    assert filled.send("PATCH", f"/entries/{key}", json={"pinned": False}).json()["pinned"] is False
    for wrong in ({}, {"fresh_seconds": 60, "pinned": True}, {"fresh_seconds": 0}, {"pinned": "yes"}, {"ttl": 1}):
        filled.refused(422, "PATCH", f"/entries/{key}", json=wrong)
    filled.refused(404, "PATCH", f"/entries/0-{'0' * 64}", json={"pinned": True})


# Taking out of service


def test_a_deleted_entry_is_hidden_on_record_and_can_be_undone(filled):
    key = key_of(filled, "What is a card?")
    done = filled.send("DELETE", f"/entries/{key}").json()
    assert (done["state"], done["criteria"], done["can_undo"]) == (
        "held",
        {"namespace": done["namespace"], "key": key},
        True,
    )
    assert filled.post("/explain", a_request("What is a card?"))["reason"] == "invalidated"
    assert prompts(filled.get("/entries", text="card")) == []
    assert filled.get("/entries", text="card", invalidated=True)["items"][0]["state"] == Visibility.HIDDEN
    filled.post(f"/invalidations/{done['id']}/undo")
    assert filled.post("/explain", a_request("What is a card?"))["hit"] is True
    records = filled.services.audit.of(done["id"])
    assert {record.source for record in records} == {SOURCE}


def test_without_a_hold_it_is_deleted_at_once_and_what_is_not_stored_is_kept_out_too(filled):
    key = key_of(filled, "What is a card?")
    assert filled.send("DELETE", f"/entries/{key}?hold_seconds=0").json()["state"] == "swept"
    filled.refused(404, "GET", f"/entries/{key}")
    assert filled.send("DELETE", f"/entries/{key}").status_code == 200


# Verdicts


def test_an_answer_that_is_called_wrong_is_hidden_and_labelled_as_by_the_command_line(filled):
    key = key_of(filled, "What is a card?")
    told = filled.post(f"/entries/{key}/wrong", {"question": "What is a second card?"})
    assert (told["hidden"]["criteria"]["key"], told["labelled"], told["problem"]) == (key, True, "")
    assert filled.post("/explain", a_request("What is a card?"))["reason"] == "invalidated"
    other = key_of(filled, "What is a fee?")
    assert filled.post(f"/entries/{other}/wrong")["labelled"] is False
    filled.refused(404, "POST", f"/entries/0-{'0' * 64}/wrong")


def test_an_answer_that_is_wrong_for_one_request_stays_for_its_own(filled):
    key = key_of(filled, "What is a card?")
    told = filled.post(f"/entries/{key}/apart", a_request("What is a second card?"))
    assert (told["labelled"], told["hidden"]["criteria"]["key"]) == (True, key_of(filled, "What is a second card?"))
    assert filled.post("/explain", a_request("What is a card?"))["hit"] is True
    found = filled.refused(422, "POST", f"/entries/{key}/apart", json=a_request("What is a card?"))
    assert found["detail"] == "this answer was given to the question itself; call it wrong instead"
    found = filled.refused(422, "POST", f"/entries/{key}/apart", json=a_request("What is a fee?", temperature=0.2))
    assert "the stored answer is never served for it" in found["detail"]


# Who may


def test_a_viewer_looks_and_changes_nothing(start):
    key, kept = new_operation_key("looker", Role.VIEWER)
    api = start(key=key, operation_keys=kept.line)
    api.ask("What is a card?")
    [one] = api.get("/entries")["items"]
    path = f"/entries/{one['key']}"
    assert api.get(path)["answer"]
    for method, options in (
        ("PUT", {"json": a_request("What is a card?", answer="x")}),
        ("PATCH", {"json": {"pinned": True}}),
        ("DELETE", {}),
    ):
        found = api.refused(403, method, path, **options)
        assert "needs the role operator; looker has the role viewer" in found["detail"]
    assert api.get(path)["state"] == "fresh"


def test_a_key_sees_and_changes_its_own_namespaces_only(start, namespace):
    own, other = namespace, f"{namespace[:40]}-2"
    key, kept = new_operation_key("team", Role.ADMIN, (own,))
    api = start(key=key, operation_keys=kept.line)
    stored = {
        name: api.services.cache.put(
            ChatRequest.from_openai(**a_request("Who?")),
            msgspec.convert(a_request("Who?", answer=name), Line).reply(0.0),
            Controls(namespace=name),
        ).key
        for name in (own, other)
    }
    assert prompts(api.get("/entries")) == ["Who?"]
    denied = {"params": {"namespace": other}}
    path = f"/entries/{stored[other]}"
    for method, where, options in (
        ("GET", "/entries", {}),
        ("GET", path, {}),
        ("PUT", path, {"json": a_request("Who?", answer="mine")}),
        ("PATCH", path, {"json": {"fresh_seconds": 60}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/wrong", {}),
        ("POST", f"{path}/apart", {"json": a_request("Why?")}),
    ):
        found = api.refused(403, method, where, **options, **denied)
        assert kind(found) == "access-denied"
        assert found["detail"] == f"the key team is for {own}, not for {other}"
    assert api.services.cache.get(ChatRequest.from_openai(**a_request("Who?")), Controls(namespace=other)) is not None


def test_what_is_written_has_the_fields_of_a_line():
    exported = {"key", "namespace", "created_at", "fresh_until", "ttl_class", "cost_usd"}
    assert set(AnswerIn.model_fields) == set(Line.__struct_fields__) - exported


def test_all_namespaces_are_searched_as_far_as_the_key_goes(redis_server, start):
    key, kept = new_operation_key("one", Role.VIEWER, ("teamone",))
    every, kept_too = new_operation_key("every", Role.VIEWER)
    api = start(key=every, operation_keys=f"{kept.line},{kept_too.line}", redis_url=redis_server().url)
    for place in ("teamone", "other"):
        request = ChatRequest.from_openai(
            model="gpt-4o", messages=[{"role": "user", "content": f"A refund in {place}?"}]
        )
        api.services.cache.complete(request, Controls(namespace=place))
    found = api.get("/entries", namespace="*", text="refund")
    assert {one["namespace"] for one in found["items"]} == {"teamone", "other"}
    assert {one["namespace"]: one["found"] for one in found["namespaces"]} == {"teamone": 1, "other": 1}
    assert found["next"] is None
    own = api.by(key).get("/entries", namespace="*", text="refund")
    assert [one["namespace"] for one in own["items"]] == ["teamone"]
    assert [one["namespace"] for one in own["namespaces"]] == ["teamone"]
    assert api.refused(422, "GET", "/entries", params={"namespace": "*", "key": f"0-{'ab' * 32}"})["field"] == "key"
