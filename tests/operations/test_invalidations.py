"""Invalidations over HTTP: in force when answered, previewed, repeated, undone, swept, listed page by page."""

from __future__ import annotations

import msgspec
import pytest

from core.access import Role, new_operation_key
from core.bans import Criteria
from core.bans.criteria import MAX_TAGS
from core.errors import AccessDenied, InvalidationRefused, OutcomeUnknown, StoreUnavailable, WriteRefused
from core.invalidation import Invalidation, InvalidationFilter, InvalidationState, Preview, PreviewRow
from core.invalidation.plain import plain_invalidation, plain_preview
from core.keys import Slot, user_pseudonym
from core.operations.invalidations import CriteriaIn, InvalidationOut, PreviewOut, PreviewRowOut
from core.operations.problems import refused_by, reply_of
from tests.openai_server import Behaviour
from tests.operations.calling import kind, problem

QUESTION = "What does the page about cards say?"


def key_for(name: str, role: Role = Role.OPERATOR, *namespaces: str) -> tuple[str, dict[str, str]]:
    key, kept = new_operation_key(name, role, namespaces)
    return key, {"operation_keys": kept.line}


# The story


def test_a_wiki_page_changes_its_webhook_invalidates_and_the_next_answer_is_new(start, openai_server):
    """An assistant answers from a wiki; the wiki knows nothing of caches but the address of the API and its key."""
    pages = {"cards": "Cards come by post.", "fees": "Accounts are free."}
    key, settings = key_for("wiki")
    api = start(key=key, **settings)
    openai_server.always(Behaviour(content=lambda asked: f"The wiki says: {pages[asked.question.split()[5]]}"))

    def save(page: str, text: str) -> None:
        pages[page] = text
        api.post("/invalidations", {"criteria": {"tags": [f"wiki:{page}"]}}, Idempotency_Key=f"{page}-{len(text)}")

    def ask(page: str) -> str:
        return api.ask(f"What does the page about {page} say?", f"wiki:{page}")

    assert ask("cards") == "fwd=uri-miss: The wiki says: Cards come by post."
    assert ask("fees") == "fwd=uri-miss: The wiki says: Accounts are free."
    assert ask("cards") == "hit: The wiki says: Cards come by post."
    save("cards", "Cards come by courier.")
    assert ask("cards") == "fwd=uri-miss: The wiki says: Cards come by courier."
    assert ask("cards") == "hit: The wiki says: Cards come by courier."
    assert ask("fees") == "hit: The wiki says: Accounts are free."
    records = api.services.audit.records(action="invalidate.applied", actor="wiki", machines=True)
    assert records[0].criteria["tags"] == ["wiki:cards"]


# Apply and preview


def test_what_matches_is_hidden_until_it_is_undone(api):
    api.ask(QUESTION, "doc:1")
    done = api.post("/invalidations", {"criteria": {"tags": ["doc:1", "doc:2"]}})["invalidations"][0]
    assert (done["state"], done["can_undo"], done["criteria"]["tags"]) == ("held", True, ["doc:1", "doc:2"])
    assert api.ask(QUESTION, "doc:1").startswith("fwd=uri-miss")
    undone = api.post(f"/invalidations/{done['id']}/undo")
    assert undone["state"] == "undone"
    assert kind(api.refused(409, "POST", f"/invalidations/{done['id']}/undo")) == "refused"
    assert api.get(f"/invalidations/{done['id']}")["state"] == "undone"


def test_a_soft_one_marks_stale_and_a_hold_of_none_is_due_at_once(api):
    api.ask(QUESTION)
    soft = api.post("/invalidations", {"criteria": {"model": "gpt-4o"}, "mode": "soft"})["invalidations"][0]
    assert soft["state"] == "soft"
    now = api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}, "hold_seconds": 0})["invalidations"][0]
    assert now["due_at"] == now["applied_at"]


def test_a_preview_changes_nothing_and_its_token_applies_what_it_showed(api):
    for number in range(3):
        api.ask(f"{QUESTION} {number}", "doc:1")
    asked = {"criteria": {"tags": ["doc:1"], "older_than_seconds": 0.001}}
    preview = api.post("/invalidations", asked | {"dry_run": True})
    assert (preview["applied"], preview["invalidations"], preview["preview"]["count"]) == (False, [], 3)
    assert {row["tags"][0] for row in preview["preview"]["rows"]} == {"doc:1"}
    assert preview["preview"]["cost_usd"] >= 0
    assert api.ask(f"{QUESTION} 0", "doc:1").startswith("hit")
    token = preview["preview"]["token"]
    done = api.post("/invalidations", asked | {"token": token})["invalidations"][0]
    assert done["preview_count"] == 3
    assert done["criteria"]["created_before"] == preview["preview"]["criteria"]["created_before"]
    assert api.ask(f"{QUESTION} 0", "doc:1").startswith("fwd=uri-miss")


def test_a_token_is_refused_when_other_entries_match_by_now_and_for_other_criteria(api):
    api.ask(QUESTION, "doc:1")
    asked = {"criteria": {"tags": ["doc:1"]}}
    token = api.post("/invalidations", asked | {"dry_run": True})["preview"]["token"]
    api.ask(f"{QUESTION} too", "doc:1")
    found = api.refused(409, "POST", "/invalidations", json=asked | {"token": token})
    assert "1 entries matched then, 2 do now" in found["detail"]
    other = api.refused(422, "POST", "/invalidations", json={"criteria": {"tags": ["doc:2"]}, "token": token})
    assert (kind(other), other["field"]) == ("invalid-input", "preview")
    assert api.services.invalidation.active(api.services.settings.namespace) == []


def test_more_tags_than_one_ban_has_are_several_invalidations_of_one_call(api):
    tags = [f"doc:{number}" for number in range(2 * MAX_TAGS + 1)]
    for tag in (tags[0], tags[MAX_TAGS], tags[-1]):
        api.ask(f"{QUESTION} {tag}", tag)
    asked = {"criteria": {"tags": tags}}
    preview = api.post("/invalidations", asked | {"dry_run": True})["preview"]
    assert (preview["count"], preview["exact"]) == (3, True)
    done = api.post("/invalidations", asked | {"token": preview["token"]}, Idempotency_Key="all-of-them")
    assert [len(one["criteria"]["tags"]) for one in done["invalidations"]] == [MAX_TAGS, MAX_TAGS, 1]
    for tag in (tags[0], tags[MAX_TAGS], tags[-1]):
        assert api.ask(f"{QUESTION} {tag}", tag).startswith("fwd=uri-miss")
    too_many = {"criteria": {"tags": [f"doc:{number}" for number in range(1001)]}}
    assert api.refused(422, "POST", "/invalidations", json=too_many)["field"] == "criteria.tags"


def test_criteria_that_exclude_each_other_are_refused_in_cores_words(api):
    found = api.refused(422, "POST", "/invalidations", json={"criteria": {}})
    assert (found["field"], "give a model" in found["detail"]) == ("criteria", True)
    found = api.refused(422, "POST", "/invalidations", json={"criteria": {"all": True, "model": "m"}})
    assert found["field"] == "all"


def test_a_user_is_named_in_what_is_asked_and_nowhere_else(api):
    named = {"user": "ann@mail.test"}
    done = api.post("/invalidations", {"criteria": named}, Idempotency_Key="forget-ann")["invalidations"][0]
    assert done["criteria"]["user"] == user_pseudonym(done["namespace"], "ann@mail.test")
    made = api.post("/schedules", {"name": "Forget", "criteria": named, "every_seconds": 3600})
    assert made["criteria"] == {"user": done["criteria"]["user"]}
    client = api.services.redis
    kept = [client.get(key) for key in client.scan_iter("*") if client.type(key) == b"string"]
    told = repr([api.services.audit.records(), kept, api.get("/invalidations"), api.get("/schedules")])
    assert done["criteria"]["user"] in told
    assert "ann@mail.test" not in told


def test_ending_the_hold_lets_the_sweep_begin(api):
    done = api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["invalidations"][0]
    due = api.post(f"/invalidations/{done['id']}/sweep")
    assert due["due_at"] < done["due_at"]
    assert api.services.settings.namespace in api.services.invalidation.due_namespaces()


# The same request again


def test_the_same_request_with_the_same_key_is_done_once(api):
    asked = {"criteria": {"tags": ["doc:1"]}}
    first = api.send("POST", "/invalidations", headers={"Idempotency-Key": "change-17"}, json=asked)
    again = api.send("POST", "/invalidations", headers={"Idempotency-Key": "change-17"}, json=asked)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert len(api.services.invalidation.active(api.services.settings.namespace)) == 1
    another = api.post("/invalidations", asked, Idempotency_Key="change-18")
    assert another["invalidations"][0]["id"] != first.json()["invalidations"][0]["id"]


def test_another_request_with_the_same_key_is_refused(api):
    api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}}, Idempotency_Key="change-21")
    refused = api.send(
        "POST",
        "/invalidations",
        headers={"Idempotency-Key": "change-21"},
        json={"criteria": {"tags": ["doc:1"]}, "mode": "soft"},
    )
    found = problem(refused, 422)
    assert (kind(found), found["field"]) == ("key-reused", "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ключ".encode()])
def test_a_key_is_a_short_text_without_blanks(api, key):
    refused = api.send("POST", "/invalidations", headers={"Idempotency-Key": key}, json={"criteria": {"tags": ["a"]}})
    assert problem(refused, 422)["field"] == "Idempotency-Key"


# Who may


def test_a_viewer_looks_and_changes_nothing(start):
    key, settings = key_for("dashboard", Role.VIEWER)
    api = start(key=key, **settings)
    asked = {"criteria": {"tags": ["doc:1"]}}
    assert api.post("/invalidations", asked | {"dry_run": True})["preview"]["count"] == 0
    found = api.refused(403, "POST", "/invalidations", json=asked)
    assert (kind(found), "operator" in found["detail"]) == ("access-denied", True)


def test_an_operator_may_not_hide_everything(start):
    key, settings = key_for("wiki")
    api = start(key=key, **settings)
    api.ask(QUESTION)
    for criteria in ({"all": True}, {"model": "gpt-4o"}):
        assert kind(api.refused(403, "POST", "/invalidations", json={"criteria": criteria})) == "access-denied"
    assert api.ask(QUESTION).startswith("hit")


def test_a_key_of_one_namespace_sees_and_changes_no_other(start, namespace):
    elsewhere = f"{namespace}-2"
    one, mine = key_for("one", Role.ADMIN, namespace)
    other, theirs = key_for("other", Role.ADMIN, elsewhere)
    api = start(key=one, operation_keys=f"{mine['operation_keys']},{theirs['operation_keys']}")
    hidden = api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["invalidations"][0]["id"]
    stranger = api.by(other)
    done = stranger.post("/invalidations", {"criteria": {"namespace": elsewhere, "tags": ["doc:1"]}})
    asked = {"criteria": {"namespace": elsewhere, "all": True}}
    assert kind(api.refused(403, "POST", "/invalidations", json=asked)) == "access-denied"
    assert kind(api.refused(403, "POST", "/invalidations", json=asked | {"dry_run": True})) == "access-denied"
    assert kind(stranger.refused(403, "POST", "/invalidations", json={"criteria": {"tags": ["a"]}})) == "access-denied"
    assert stranger.refused(403, "GET", "/invalidations", params={"namespace": namespace})
    for method, path in (("GET", ""), ("POST", "/undo"), ("POST", "/sweep")):
        stranger.refused(404, method, f"/invalidations/{hidden}{path}")
    assert [item["id"] for item in stranger.get("/invalidations")["items"]] == [done["invalidations"][0]["id"]]
    assert {item["namespace"] for item in api.get("/invalidations")["items"]} == {namespace}
    part = api.post("/invalidations", {"criteria": {"namespace": f"{namespace}~tenant", "tags": ["doc:1"]}})
    assert part["invalidations"][0]["namespace"] == f"{namespace}~tenant"


# Lists


def test_a_list_is_read_page_by_page_and_each_is_on_one_page(start, namespace):
    key, settings = key_for("wiki")
    api = start(key=key, **settings)
    made = [
        api.post("/invalidations", {"criteria": {"tags": [f"doc:{number}"]}})["invalidations"][0]["id"]
        for number in range(7)
    ]
    found, cursor, pages = [], {}, 0
    while True:
        page = api.get("/invalidations", namespace=namespace, limit=3, **cursor)
        found += [item["id"] for item in page["items"]]
        pages += 1
        if page["next"] is None:
            break
        api.post("/invalidations", {"criteria": {"tags": ["another"]}})  # what comes meanwhile moves no page
        cursor = {"cursor": page["next"]}
    assert (found, pages) == (made[::-1], 3)


def test_a_list_is_filtered_by_state_words_and_actor(start, namespace):
    key, settings = key_for("wiki")
    api = start(key=key, **settings)
    ids = [
        api.post("/invalidations", {"criteria": {"tags": [tag]}, "mode": mode})["invalidations"][0]["id"]
        for tag, mode in (("Alpha", "hard"), ("beta", "soft"), ("gamma", "hard"))
    ]
    api.post(f"/invalidations/{ids[2]}/undo")

    def found(**filters: object) -> list[str]:
        return [item["id"] for item in api.get("/invalidations", namespace=namespace, **filters)["items"]]

    assert found() == ids[::-1]
    assert found(state="soft") == [ids[1]]
    assert found(find="alpha") == [ids[0]]
    assert found(find=ids[2]) == [ids[2]]
    assert found(active=True) == [ids[1], ids[0]]
    assert found(actor="wiki") == ids[::-1]
    assert found(actor="nobody") == []
    assert api.refused(422, "GET", "/invalidations", params={"state": "gone"})["field"] == "state"
    assert api.refused(422, "GET", "/invalidations", params={"limit": 1001})["field"] == "limit"


def test_a_filter_is_about_any_invalidation():
    one = Invalidation(
        id="a1",
        namespace="docs",
        criteria=Criteria(tags=("Doc:1",)),
        state=InvalidationState.HELD,
        actor="wiki",
        applied_at=1,
        due_at=2,
    )
    over = msgspec.structs.replace(one, finished_at=3.0, state=InvalidationState.SWEPT)
    assert InvalidationFilter().matches(one)
    assert InvalidationFilter(text=" doc:1 ", state=InvalidationState.HELD, actor="wiki", namespace="docs").matches(one)
    assert not InvalidationFilter(namespace="other").matches(one)
    assert not InvalidationFilter(active=True).matches(over)


def test_an_id_that_is_none_is_not_found(api):
    for path in ("/invalidations/0123456789abcdef", "/invalidations/0123456789abcdef/undo"):
        assert kind(api.refused(404, "POST" if path.endswith("undo") else "GET", path)) == "not-found"
    assert api.refused(422, "GET", "/invalidations/a%20b")["field"] == "invalidation_id"


# The types


def test_what_is_asked_and_answered_has_the_fields_that_core_has(api):
    fields = {field.name for field in msgspec.structs.fields(Criteria)}
    assert set(CriteriaIn.model_fields) == fields | {"older_than_seconds"}
    known = api.services.invalidation.invalidate(Criteria(tags=("a",)), actor="test")
    assert set(InvalidationOut.model_fields) == set(plain_invalidation(known))
    assert set(PreviewOut.model_fields) == set(plain_preview(api.services.invalidation.preview(Criteria(all=True))))
    assert set(PreviewOut.model_fields) > set(Preview.__struct_fields__) - {"matched"}  # the token has it
    assert set(PreviewRowOut.model_fields) == set(PreviewRow.__struct_fields__)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (AccessDenied("no"), 403, "access-denied"),
        (InvalidationRefused("no"), 409, "refused"),
        (StoreUnavailable("no"), 503, "store-unavailable"),
        (WriteRefused("no"), 503, "write-refused"),
        (OutcomeUnknown("no"), 503, "outcome-unknown"),
    ],
)
def test_errors_of_the_cache_are_problems(error, status, name):
    reply = reply_of(refused_by(error))
    found = msgspec.json.decode(reply.content)
    assert (reply.status, kind(found), found["detail"]) == (status, name, "no")
    assert ("retry-after" in reply.headers) == (status == 503)


def test_a_reason_is_kept_bounded_and_told(api):
    key = "0-" + "0" * 64
    done = api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}, "reason": "The fee has changed"})
    [one] = done["invalidations"]
    assert (one["reason"], one["problem"]) == ("The fee has changed", "")
    assert api.get(f"/invalidations/{one['id']}")["reason"] == "The fee has changed"
    assert api.send("DELETE", f"/entries/{key}?reason=Gone").json()["reason"] == "Gone"
    api.refused(422, "POST", "/invalidations", json={"criteria": {"tags": ["doc:1"]}, "reason": "x" * 201})
    assert [found["reason"] for found in api.get("/invalidations", find="fee has")["items"]] == ["The fee has changed"]


# All namespaces


def test_all_namespaces_are_invalidated_as_one_and_undone_as_one(redis_server, start):
    api = start(redis_url=redis_server().url)
    for place in ("", "eu", "us"):
        api.ask(QUESTION, "doc:1", **({"X-Encore-Namespace": place} if place else {}))
    asked = {"criteria": {"namespace": "*", "tags": ["doc:1"]}}
    preview = api.post("/invalidations", asked | {"dry_run": True})["preview"]
    assert (preview["namespace"], preview["count"], len(preview["parts"])) == (
        "*",
        3,
        len(api.services.store.namespaces()),
    )
    token = {"token": preview["token"]}
    [done] = api.post("/invalidations", asked | token, Idempotency_Key="once")["invalidations"]
    assert done["state"] == "held"
    assert [done] == api.post("/invalidations", asked | token, Idempotency_Key="once")["invalidations"]
    [row] = api.get("/invalidations", by="programs")["items"]
    assert (row["id"], row["parts"]) == (done["id"], done["parts"])
    assert api.get("/invalidations", active="true")["items"][0]["id"] == done["id"]
    undone = api.post(f"/invalidations/{done['id']}/undo")
    assert {part["state"] for part in undone["parts"]} == {"undone"}
    assert api.ask(QUESTION, "doc:1").startswith("hit")


def test_a_key_of_some_namespaces_reaches_these_and_sees_of_others_only_its_own(redis_server, start, namespace):
    one, mine = key_for("one", Role.ADMIN, "teamone")
    every, all_of_them = key_for("every", Role.ADMIN)
    keys = f"{mine['operation_keys']},{all_of_them['operation_keys']}"
    api = start(key=every, operation_keys=keys, redis_url=redis_server().url)
    for place in ("teamone", "other"):
        api.services.store.ensure_record(Slot(place, 0))
    asked = {"criteria": {"namespace": "*", "tags": ["doc:1"]}}
    [own] = api.by(one).post("/invalidations", asked)["invalidations"]
    assert [part["namespace"] for part in own["parts"]] == ["teamone"]
    assert [record["namespace"] for record in api.by(one).get("/audit", programs="true")["items"]] == ["*"]
    assert api.by(one).post(f"/invalidations/{own['id']}/undo")["state"] == "undone"
    [whole] = api.post("/invalidations", asked)["invalidations"]
    assert {part["namespace"] for part in whole["parts"]} >= {"teamone", "other"}
    seen = api.by(one).get(f"/invalidations/{whole['id']}")
    assert [part["namespace"] for part in seen["parts"]] == ["teamone"]
    assert {one["id"] for one in api.by(one).get("/invalidations", active="true")["items"]} == {whole["id"]}
    for act in ("undo", "sweep"):
        refused = api.by(one).refused(403, "POST", f"/invalidations/{whole['id']}/{act}")
        assert "all namespaces" in refused["detail"]
    assert api.by(one).get("/audit", programs="true")["items"][0]["invalidation_id"] == own["id"]


def test_all_namespaces_take_an_admin(start):
    key, settings = key_for("wiki")
    api = start(key=key, **settings)
    asked = {"criteria": {"namespace": "*", "tags": ["doc:1"]}}
    assert "needs the role admin" in api.refused(403, "POST", "/invalidations", json=asked)["detail"]
