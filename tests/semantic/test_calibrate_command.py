"""python -m core calibrate and seed, as an operator meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from core.bootstrap import Services, bootstrap
from core.cli.shell import Exit
from core.demo.model import DemoProvider
from core.models import ChatRequest
from core.settings import Settings
from tests.cli.test_commands import Terminal

QUESTION = "How do I activate my new card?"
PARAPHRASE = "How can I activate my new card?"


@pytest.fixture
def terminal(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in {
        "REDIS_URL": redis_url,
        "NAMESPACE": namespace,
        "STRATEGY": "semantic",
        "SEMANTIC": "judge",
        "JUDGE_MODEL": "encore-demo-small",
        "JUDGE_DEADLINE_SECONDS": "30",
    }.items():
        monkeypatch.setenv(f"ENCORE_{name}", value)
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


@pytest.fixture
def services(terminal: Terminal) -> Iterator[Services]:
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as built:
        assert built.semantic is not None
        built.semantic.warm([built.settings.namespace])
        yield built


@pytest.fixture
def judged(services: Services) -> Services:
    """One near match that the judge let through, and one that a guard refused."""
    for question in (QUESTION, PARAPHRASE, "How can I not activate my new card?"):
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
        services.cache.complete(request)
    services.evidence.flush()
    return services


def test_the_report_is_what_calibrate_shows(terminal, judged, namespace):
    shown = terminal.run("calibrate", "--namespace", namespace)
    assert "judge: nothing unjudged, judged from 0.700 (as configured)" in shown
    assert "to serve unjudged takes about 155 clean labels after a threshold is published" in shown
    assert "1 yes" in shown
    told = terminal.data("calibrate")
    assert (told["judge_labels"], told["judging"]["rulings"]) == (1, {"yes": 1})
    assert terminal.data("calibrate", "report")["labels"] == 1


def test_the_report_says_what_hedging_cost(terminal, judged):
    before = terminal.data("calibrate")["hedging"]  # of all namespaces: other tests hedge too
    for name, amount in {"dropped": 2, "cost_nano_usd": 1_500_000_000, "unpriced_calls": 1}.items():
        judged.metrics.count(f"hedge_{name}", amount)
    judged.metrics.flush()
    after = terminal.data("calibrate")["hedging"]
    assert {name: after[name] - before[name] for name in after} == pytest.approx(
        {"dropped": 2, "cost_usd": 1.5, "unpriced": 1}
    )
    assert f"{after['dropped']} provider calls dropped because the judge approved" in terminal.run("calibrate")


def test_an_empty_namespace_has_nothing_to_show(terminal, namespace):
    assert terminal.data("calibrate", "--namespace", f"{namespace}-b", status=3)["lookups"] == 0


def test_options_before_a_subcommand_are_not_swallowed(terminal):
    assert "Put options after the subcommand" in terminal.run("calibrate", "--namespace", "x", "versions", status=2)


def test_pairs_are_listed_and_labelled(terminal, judged):
    [served] = terminal.data("calibrate", "pairs", "--labelled")
    assert (served["question"], served["stored"], served["judge_label"]) == (PARAPHRASE, QUESTION, True)
    [waiting] = terminal.data("calibrate", "pairs", "--unlabelled")
    assert waiting["guard"] == "negation"
    assert terminal.run("calibrate", "label", waiting["id"], "--different") == "Noted.\n"
    assert judged.evidence.pair(waiting["id"]).operator == "anna"
    assert "are no such pairs" in terminal.run("calibrate", "pairs", "--unlabelled", status=3)


def test_a_wrong_answer_that_was_served_comes_with_the_command_that_hides_it(terminal, judged):
    [served] = terminal.data("calibrate", "pairs", "--labelled")
    shown = terminal.run("calibrate", "label", served["id"], "--different")
    assert f"invalidate --key {served['question_key']}" in shown
    terminal.run("invalidate", "--key", served["question_key"], "--yes")
    told = {
        question: judged.cache.get(
            ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
        )
        for question in (QUESTION, PARAPHRASE, PARAPHRASE.lower())
    }
    assert [question for question, answer in told.items() if answer] == [QUESTION], "in every spelling"


def test_pairs_are_labelled_one_after_the_other(terminal, judged):
    shown = terminal.run("calibrate", "label", keys="n\n")
    assert "asked:  How can I not activate my new card?" in shown
    assert "1 labelled." in shown


def test_a_label_is_one_of_two(terminal, judged):
    [served] = terminal.data("calibrate", "pairs", "--labelled")
    assert "--same or --different" in terminal.run("calibrate", "label", served["id"], status=2)
    terminal.run("calibrate", "label", "0" * 32, "--same", status=2)


def test_the_lab_says_what_other_thresholds_would_have_served(terminal, judged):
    points = terminal.data("calibrate", "lab", "--threshold", "0.9", "--threshold", "0.995")
    assert [(point["threshold"], point["hits"], point["labelled"]) for point in points] == [(0.995, 0, 0), (0.9, 1, 1)]
    assert "At most wrong" in terminal.run("calibrate", "lab")


def test_the_lab_shows_the_pairs_that_one_threshold_would_have_served_wrongly(terminal, judged, namespace):
    assert "Wrong, " not in terminal.run("calibrate", "lab", "--threshold", "0.9")
    [pair] = judged.evidence.pairs(namespace, is_labelled=True)
    judged.evidence.label(pair.id, False, actor="ann")
    shown = terminal.run("calibrate", "lab", "--threshold", "0.9")
    assert "Wrong, 1 lookup" in shown
    assert pair.stored in shown
    [point] = terminal.data("calibrate", "lab", "--threshold", "0.9")
    assert [one["pair"]["id"] for one in point["wrong"]] == [pair.id]


def test_a_threshold_is_published_listed_and_rolled_back(terminal, judged, namespace):
    terminal.run("calibrate", "publish", "--mode", "serve", "--threshold", "0.9", "--note", "a test")
    assert judged.thresholds.versions(namespace)[0].note == "a test"
    standing = terminal.data("calibrate")["standing"]
    assert (standing["state"], standing["still_needed"]) == ("beginning", 155)
    assert "Beginning: the judge is asked first." in terminal.run("calibrate")
    assert "Beginning: the judge is asked first." in terminal.run("stats", "--namespace", namespace)
    assert terminal.data("stats", "--namespace", namespace)["near"]["words"].startswith("Beginning")
    assert terminal.data("calibrate")["threshold"]["serve"] == 0.9
    [version] = terminal.data("calibrate", "versions")
    assert (version["version"], version["act"], version["actor"]) == (1, "published", "anna")
    assert "what is configured" in terminal.run("calibrate", "rollback", "0")
    assert terminal.data("calibrate")["threshold"]["mode"] == "judge"
    terminal.run("calibrate", "rollback", "9", status=2)
    actions = [record.action for record in judged.audit.records() if record.namespace == namespace]
    assert actions == ["threshold.rolled-back", "threshold.published"]


def test_where_judging_begins_is_fixed_and_handed_back_to_evidence(terminal, judged, namespace):
    assert "Judged from 0.700 on, which stays: " in terminal.run("calibrate")
    assert "judged from 0.600, set by hand" in terminal.run("calibrate", "publish", "--grey", "0.6")
    assert "Judged from 0.600 on, set by hand: " in terminal.run("calibrate")
    assert terminal.data("calibrate", "publish")["threshold"]["grey_fixed"], "as it was"
    handed_back = terminal.data("calibrate", "publish", "--grey-by-evidence")["threshold"]
    assert (handed_back["grey"], handed_back["grey_fixed"]) == (0.6, False)
    both = terminal.run("calibrate", "publish", "--grey", "0.6", "--grey-by-evidence", status=2)
    assert "--grey or --grey-by-evidence" in both


def test_mode_serve_takes_a_threshold(terminal):
    assert "--threshold" in terminal.run("calibrate", "publish", "--mode", "serve", status=2)


def test_a_file_of_known_answers_is_stored_and_answers_near_questions_too(terminal, namespace, tmp_path):
    file = tmp_path / "faq.jsonl"
    line = {"question": QUESTION, "answer": "In the app.", "variants": ["Switch on my card"]}
    file.write_text(json.dumps(line) + "\n" + json.dumps({"question": "What is my balance?", "answer": "42"}) + "\n")
    told = terminal.data("seed", str(file), "--model", "gpt-4o")
    assert (told["stored"], told["aliases"], told["refused"]) == (1, 1, 1)
    shown = terminal.run("seed", str(file), "--model", "gpt-4o", "--ttl", "1d")
    assert "1 renewed" in shown
    assert "is not stored: no-user" in shown
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as services:
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "switch on my card"}])
        answer = services.cache.complete(request)
        assert (str(answer.outcome), answer.completion.text) == ("hit (normalized)", "In the app.")
        records = services.audit.records(action="seed.imported")
        assert [record.actor for record in records if record.namespace == namespace] == ["anna", "anna"]


def test_a_file_that_is_wrong_is_refused_as_a_whole(terminal, tmp_path):
    file = tmp_path / "faq.jsonl"
    file.write_text('{"question": "Why?"}\n')
    assert "line 1" in terminal.run("seed", str(file), status=2)


def test_a_threshold_may_be_published_over_one_version_only(terminal, judged):
    publish = ("calibrate", "publish", "--mode", "serve", "--unsupported", "--threshold")
    assert terminal.data(*publish, "0.9", "--expected", "0")["version"] == 1
    told = terminal.data(*publish, "0.95", "--expected", "0", status=1)
    assert told["error"] == "ThresholdRefused"
    assert "look at it first" in told["message"]
    assert terminal.data(*publish, "0.95", "--expected", "1")["version"] == 2


def test_conversations_are_calibrated_apart(terminal, judged, namespace):
    assert f"{namespace}, conversations" in terminal.run("calibrate", "--conversations", status=Exit.NOTHING)
    assert terminal.data("calibrate", "report", "--conversations", status=Exit.NOTHING)["labels"] == 0
    assert terminal.data("calibrate")["labels"] == 1
    told = terminal.run("calibrate", "publish", "--conversations", "--mode", "judge", "--grey", "0.6")
    assert "nothing unjudged, judged from 0.600" in told
    assert judged.thresholds.current(f"{namespace}:conversations").grey == 0.6
    assert judged.thresholds.current(namespace).grey == 0.7


def test_labels_and_thresholds_of_another_embedder_support_nothing(terminal, judged, namespace, monkeypatch):
    publish = ("calibrate", "publish", "--mode", "serve", "--threshold", "0.6")
    terminal.run(*publish, "--unsupported")
    assert "published for the embedder" not in terminal.run("calibrate")
    monkeypatch.setenv("ENCORE_EMBEDDER", "openai:text-embedding-3-small")
    shown = terminal.run("calibrate")
    assert "published for the embedder wordllama, and openai:text-embedding-3-small is in use" in shown
    assert "nothing unjudged" in shown
    terminal.run(*publish)
    records = judged.audit.records(action="threshold.published")
    supported = [record.details["labels"] for record in records if record.namespace == namespace]
    assert sorted(supported) == [0, 1], "the label of the other embedder supports its threshold alone"
    assert "published for the embedder wordllama" in terminal.run("calibrate", "rollback", "1", status=2)
