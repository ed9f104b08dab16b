"""The benchmark's own arithmetic: what it counts as a hit, a false hit, a repeat and a judge call."""

from __future__ import annotations

import gzip
import json

import pytest

from benchmarks import semantic_quality
from benchmarks.semantic_quality import (
    GuardedPairs,
    Question,
    SimulatedJudge,
    Tally,
    read_stream,
    run_stream,
    within_budget,
)
from core.evaluation import LabelledPair, Verdict, evaluate
from core.semantic.decision import Objection
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder

STREAM = [
    ("How do I reset my password?", "reset"),
    ("How can I reset my password?", "reset"),
    ("Where is order 17?", "order 17"),
    ("Where is order 18?", "order 18"),
    ("Where's order 17?", "order 17"),
    ("你好", "unreadable"),
    ("What should I cook tonight?", "cook"),
]


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


@pytest.fixture
def folder(tmp_path):
    with gzip.open(tmp_path / "tiny.stream.jsonl.gz", "wt", encoding="utf-8") as lines:
        for query, answer_class in STREAM:
            lines.write(json.dumps({"query": query, "answer_class": answer_class}) + "\n")
    pair = {"a": "Turn it on now please", "b": "Turn it off now please", "equivalent": False}
    with gzip.open(tmp_path / "tiny.pairs.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.write(json.dumps(pair) + "\n")
        lines.write(json.dumps(pair | {"b": "Please turn it on now", "equivalent": True}) + "\n")
    return tmp_path


@pytest.fixture
def questions(folder, embedder) -> list[Question]:
    return read_stream(folder / "tiny.stream.jsonl.gz", CheckedEmbedder(embedder), 100)


def test_a_stream_is_counted_per_hit(questions, embedder):
    tally = run_stream(questions, embedder, 0.8, lambda new, stored: True)
    assert (tally.requests, tally.repeats, tally.hits, tally.false_hits) == (7, 2, 3, 1)
    assert tally.hit_rate == pytest.approx(3 / 7)
    assert tally.false_share == pytest.approx(1 / 3)
    assert tally.recall == 1.0


def test_guards_turn_a_false_hit_into_a_miss(questions, embedder):
    tally = run_stream(questions, embedder, 0.8, GuardedPairs(questions, CheckedEmbedder(embedder)))
    assert (tally.hits, tally.false_hits, tally.recall) == (2, 0, 1.0)


def test_a_judge_that_is_always_right_makes_no_false_hit_and_pays_for_each_question(questions, embedder):
    judge = SimulatedJudge(questions, GuardedPairs(questions, CheckedEmbedder(embedder)), 1.0)
    tally = run_stream(questions, embedder, 0.5, judge, aliases=True)
    assert (tally.hits, tally.false_hits) == (2, 0)
    assert 2 <= judge.calls <= tally.requests


def test_a_judge_that_is_always_wrong_makes_false_hits_only(questions, embedder):
    everything = GuardedPairs(questions, CheckedEmbedder(embedder))
    everything._known = dict.fromkeys(((new, stored) for new in range(7) for stored in range(7)), Objection("", ""))
    tally = run_stream(questions, embedder, 0.5, SimulatedJudge(questions, everything, 0.0))
    assert tally.hits == tally.false_hits > 0


def test_a_budget_is_met_by_the_best_recall_with_enough_hits():
    tallies = {
        0.7: Tally(requests=100, repeats=50, hits=50, false_hits=10),
        0.8: Tally(requests=100, repeats=50, hits=40, false_hits=0),
        0.9: Tally(requests=100, repeats=50, hits=30, false_hits=0),
        0.99: Tally(requests=100, repeats=50, hits=5, false_hits=0),
    }
    assert within_budget(tallies, 0.01) == (0.8, tallies[0.8])
    assert within_budget({0.99: tallies[0.99]}, 0.01) is None


def test_the_whole_report_is_printed(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["semantic_quality", "--data", str(folder), "--embedder", "wordllama", "missing"])
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    monkeypatch.setattr(semantic_quality, "LANGUAGES", ("ko",))
    semantic_quality.main()
    printed = capsys.readouterr().out
    assert "tiny: 7 requests" in printed
    assert "missing: left out" in printed
    assert "tiny.pairs: 1 good, 1 traps" in printed
    assert "tiny.stream: 2 good, 5 traps" in printed
    assert "own pairs in twelve languages: 63 good, 168 traps" in printed
    for heading in ("ours 0.970", "cosine 0.80", "negation", "ko", "en es"):
        assert heading in printed


def test_ours_and_the_rule_of_others_are_asked_the_same_lines(embedder):
    lines = [
        LabelledPair(number=1, a=said(a), b=said(b), equivalent=equivalent)
        for a, b, equivalent in (
            ("Turn it on now please", "Turn it off now please", False),
            ("How do I reset my password?", "How can I reset my password?", True),
        )
    ]
    compared = semantic_quality.rules(CheckedEmbedder(embedder), [0.8], 0.5)
    found = {name: evaluate(lines, begin).every for name, begin in compared.items()}
    assert (found["cosine 0.80"].served_good, found["cosine 0.80"].served_traps) == (1, 1)
    assert (found["ours 0.800"].served_good, found["ours 0.800"].served_traps) == (1, 0)


def test_the_rule_of_others_sees_the_last_message_alone(embedder):
    rule = semantic_quality.FixedCosine(CheckedEmbedder(embedder), 0.9)
    again = said("How old is he?")
    assert rule.ask([*said("Who is Ann's son?"), *again], "one") == Verdict()
    assert rule.ask([*said("Who is Bob's father?"), *again], "other") == Verdict(served="one")


def said(text):
    return [{"role": "user", "content": text}]
