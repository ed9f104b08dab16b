"""Figures over HTTP: those of the metrics, and for a key of some namespaces those of these alone."""

from __future__ import annotations

import pytest

from core.access import Role, new_operation_key
from core.metrics import steps_of
from core.metrics.cache_metrics import LONGEST_SECONDS, MOST_STEPS
from core.metrics.gauges import Sample
from core.models import SemanticMode
from core.operations.figures import ChangeOut, MonthOut, SummaryOut
from core.operations.namespaces import NearOut
from core.semantic.quality import Threshold
from tests.metrics.outcomes import a_hit, a_miss


@pytest.fixture
def counted(start, namespace):
    key, kept = new_operation_key("team", Role.VIEWER, (namespace,))
    all_key, kept_all = new_operation_key("all", Role.VIEWER)
    api = start(key=key, operation_keys=f"{kept.line},{kept_all.line}")
    metrics = api.services.metrics
    metrics.record(a_hit(namespace=namespace, model="m1", saved_cost_usd=1.0))
    metrics.record(a_miss(namespace=f"{namespace}~part", model="m2"))
    metrics.record(a_miss(namespace=f"other-{namespace}"[:60], model="secret"))
    metrics.count("judge_cost_nano_usd", 5)
    return api, api.by(all_key), f"other-{namespace}"[:60]


def test_the_figures_are_those_of_the_metrics(counted, namespace):
    _, everybody, _ = counted
    told = everybody.get("/stats", namespace=namespace, window=600)["summary"]
    known = everybody.services.metrics.summary(600, namespace=namespace).to_dict()
    assert {**told, "ends_at": 0} == {**known, "ends_at": 0}
    assert told.keys() == SummaryOut.model_fields.keys()
    assert (told["hits"], told["requests"], told["saved_cost_usd"]) == (1, 1, 1.0)


def test_how_near_hits_stand_is_told_of_the_namespace_asked_for(counted, namespace):
    own, everybody, _ = counted
    assert everybody.get("/stats", namespace=namespace).get("near") is None, "nothing is to be served unjudged"
    threshold = Threshold(mode=SemanticMode.SERVE, serve=0.9)
    everybody.services.evidence.publish(namespace, threshold, actor="ann")
    told = own.get("/stats", namespace=namespace)["near"]
    assert told == everybody.services.evidence.bounds.standing(namespace).to_dict()
    assert told.keys() == NearOut.model_fields.keys()
    assert (told["state"], told["still_needed"], told["bound"]) == ("beginning", 155, 1.0)


def test_a_key_of_some_namespaces_sees_nothing_of_the_others(counted, namespace):
    own, everybody, other = counted
    mine = own.get("/stats", by="model", window=600)
    assert (mine["summary"]["requests"], mine["summary"]["events"]) == (2, {})
    assert set(mine["parts"]) == {"m1", "m2"}
    assert set(own.get("/stats", by="namespace", window=600)["parts"]) == {namespace, f"{namespace}~part"}
    assert own.get("/stats", namespace=f"{namespace}~part", window=600)["summary"]["misses"] == 1
    assert other in everybody.get("/stats", by="namespace", window=600)["parts"]
    for path in ("/stats", "/series"):
        own.refused(403, "GET", path, params={"namespace": other})
    assert everybody.get("/stats", window=600)["summary"]["events"]["judge_cost_nano_usd"] >= 5


def test_what_changed_is_told_by_every_name_with_the_scopes(counted, namespace):
    own, everybody, other = counted
    told = own.get("/stats/change", window=600)
    assert told.keys() == ChangeOut.model_fields.keys()
    assert (told["change"], told["parts"], told["before"]["hit_rate"]) == (None, [], None)
    assert {one["namespace"] for one in told["scopes"]["namespaces"]} <= {namespace, f"{namespace}~part"}
    metrics, now = own.services.metrics, own.services.clock()
    for ago, kind in ((900, a_hit), (300, a_hit), (300, a_miss)):
        metrics.record(kind(namespace=namespace, model="m1", at=now - ago))
    metrics.record(a_miss(namespace=other, model="m1", at=now - 300))
    told = own.get("/stats/change", window=600)
    [part] = told["parts"]
    assert (part["namespace"], part["model"], part["reason"]) == (namespace, "m1", "absent")
    assert part["change"] == told["change"] == pytest.approx(told["now"]["hit_rate"] - 1)
    assert [set(one) for one in told["by_reason"]] == [{"reason", "change", "before", "now"}]
    assert other in {one["namespace"] for one in everybody.get("/stats/change", window=600)["by_namespace"]}
    assert own.get("/stats/change", window=600, limit=1)["by_model"][0]["model"] == "m1"
    own.refused(403, "GET", "/stats/change", params={"namespace": other})
    assert own.refused(422, "GET", "/stats/change", params={"window": LONGEST_SECONDS})["field"] == "window"


def test_a_time_in_the_system_prompt_is_told_of_requests_through_the_gateway(start, namespace, openai_server):
    api = start(record_prompts=True)
    for number in range(40):
        messages = [
            {"role": "system", "content": f"You help. It is 10:{number}."},
            {"role": "user", "content": f"What is a card {number % 4}?"},
        ]
        api.complete(messages)
    told = api.get("/stats/change", namespace=namespace, window=600)
    [cause] = told["causes"]
    assert cause["headline"].startswith("the system prompt changes with every request, e.g. by a time stamp, since 20")
    [scopes] = told["scopes"]["namespaces"]
    assert (scopes["told"], scopes["repeated"], scopes["per_hundred"]) == (True, 36, 100.0)
    assert scopes["apart"]["differs"] == ["system prompt"]
    assert scopes["apart"]["system_prompt"] == ["You help. It is 10:38.", "You help. It is 10:39."]
    latest = api.get("/requests", namespace=namespace, outcome="miss", limit=1)["items"][0]
    assert latest["apart"] == ["You help. It is 10:38.", "You help. It is 10:39."]
    assert {"parts", "question"}.isdisjoint(latest)
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "what is a card 1"}]}
    explained = api.post("/explain", asked)
    assert (explained["other_scopes"], explained["differs"]) == (10, ["spelling", "system prompt"])
    assert explained["elsewhere"] == (
        "The same question stands elsewhere: 10 answers in 10 other scopes: "
        "they differ in the spelling, the system prompt."
    )


def test_a_series_has_every_step_with_what_was_stored_at_its_end(counted, namespace):
    own, everybody, other = counted
    services = own.services
    services.gauges.write(Sample(at=services.clock() - 300, entries=9, namespaces={namespace: 4, other: 5}))
    buckets = own.get("/series", window=1200, step=60)["buckets"]
    assert [bucket["complete"] for bucket in buckets].count(False) in (1, 2), "the present one, and one just ended"
    assert len(buckets) == 21
    assert {bucket["seconds"] for bucket in buckets} == {60}
    assert [bucket["entries"] for bucket in buckets if bucket["entries"] is not None] == [4]
    told = everybody.get("/series", window=1200, step=60)["buckets"]
    assert [bucket["entries"] for bucket in told if bucket["entries"] is not None] == [9]
    known = services.metrics.series(1200, 60, namespace=namespace)
    assert buckets[0]["summary"].keys() == known[0].summary.to_dict().keys()


@pytest.mark.parametrize("window", [1, 59, 600, 3600, 7200, 7201, 86_400, 172_800, 172_801, LONGEST_SECONDS])
def test_every_window_has_a_step_of_its_own(counted, window):
    own, _, _ = counted
    assert window / steps_of(window) <= MOST_STEPS
    assert own.get("/series", window=window)["buckets"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/stats", {"window": 0}),
        ("/stats", {"window": "inf"}),
        ("/stats", {"window": LONGEST_SECONDS + 1}),
        ("/stats", {"by": "user"}),
        ("/stats", {"namespace": "a b"}),
        ("/series", {"step": 7}),
        ("/series", {"step": 15}),
        ("/series", {"step": 10, "window": LONGEST_SECONDS}),
        ("/series", {"step": 60, "window": 172_801 + 7200}),
        ("/series", {"step": 1.5}),
    ],
    ids=str,
)
def test_what_there_are_no_figures_of_is_refused_by_its_field(counted, path, asked):
    own, _, _ = counted
    assert own.refused(422, "GET", path, params=asked)["field"] == next(iter(asked))


def test_savings_are_those_of_the_metrics_by_what_is_asked(counted, namespace):
    own, everybody, other = counted
    told = everybody.get("/savings", by="namespace,model", namespace=namespace)
    known = everybody.services.metrics.savings(["namespace", "model"], namespace=namespace)
    assert told.pop("namespaces")[namespace]["name"]
    assert told == known.to_dict(known.months[-1].month)
    [line] = told["lines"]
    assert (line["namespace"], line["model"], line["saved_usd"]) == (namespace, "m1", 1.0)
    assert "ttl_class" not in line
    assert told["months"][-1].keys() == MonthOut.model_fields.keys()
    everything = everybody.get("/savings")
    assert everything["months"][-1]["overhead"]["judge"] > 0
    assert other in {line["namespace"] for line in everything["lines"]}
    mine = own.get("/savings", by="namespace")
    assert {line["namespace"] for line in mine["lines"]} == {namespace, f"{namespace}~part"}
    assert (mine["months"][-1]["overhead"], mine["total_usd"]) == ({}, 1.0)
    own.refused(403, "GET", "/savings", params={"namespace": other})


@pytest.mark.parametrize(
    "wrong", [{"month": "2026-13"}, {"month": "1999-01"}, {"by": "user"}, {"by": ""}, {"by": "x" * 200}]
)
def test_a_wrong_month_or_name_is_refused_with_its_field(counted, wrong):
    [field] = wrong
    assert counted[0].refused(422, "GET", "/savings", params=wrong)["field"] == field
