"""Evidence: what is noted of lookups, what operators add, and the conclusions that are drawn."""

from __future__ import annotations

import os

import msgspec
import pytest

from core.access.audit import AuditLog
from core.concurrency.outbox import Outbox
from core.errors import InvalidInput, OutcomeUnknown
from core.keys.identity import identify
from core.models import ChatRequest, HitDetail, SemanticMode
from core.semantic.judge.budget import JudgeBudget
from core.semantic.judge.judge import ProviderJudge
from core.semantic.judge.prompt import MAX_ANSWER_CHARACTERS
from core.semantic.quality.betting import most_wrong
from core.semantic.quality.bound import BoundState, Drawn, added
from core.semantic.quality.evidence import Evidence
from core.semantic.quality.records import pair_id
from core.semantic.quality.rejected_pairs import RejectedPairs
from core.semantic.quality.sampling import judge_samples
from core.semantic.quality.thresholds import Threshold, Thresholds
from core.semantic.results import Judgement, Neighbour, SemanticResult
from core.stores.lookup import Found
from core.stores.memory import MemoryStore
from core.stores.redis.shared_hash import COPY_SECONDS
from core.stores.redis.store import request_client
from tests.fakes import CountingProvider, Outcomes, a_body
from tests.samples import Clock, an_entry, digest_of
from tests.semantic.judge.test_judge import verdict

STORED = "How do I reset my password?"
EMBEDDER = "e" * 32
SERVE = Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.8)


class Desk:
    """Evidence, and a way of making lookups come out as a test needs them."""

    def __init__(self, client, namespace: str, **options) -> None:
        self.clock = Clock()
        self.namespace = namespace
        self.audit = AuditLog(client)
        self.thresholds = Thresholds(
            client, self.audit, Threshold(mode=SemanticMode.JUDGE, serve=None), clock=self.clock, monotonic=self.clock
        )
        self.rejected = RejectedPairs(client, monotonic=self.clock)
        self.evidence = Evidence(client, self.thresholds, self.rejected, clock=self.clock, **options)
        self.serve = msgspec.structs.replace(SERVE, chance=options.get("sample_share", 0.05))

    def look_up(
        self,
        question: str = "How can I reset my password?",
        *neighbours: Neighbour,
        hit: bool = True,
        embedder: str = EMBEDDER,
        threshold: Threshold | None = None,
    ) -> str:
        """A lookup; the id of its last pair."""
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
        seen = neighbours or (neighbour(),)
        if hit and not any(one.served for one in seen):
            seen = (*seen[:-1], msgspec.structs.replace(seen[-1], served=True))
        judged = seen[-1].judgement is not None
        entry = an_entry(seen[-1].prompt, cost_usd=0.002)
        result = SemanticResult(
            found=Found(entry=entry, detail=HitDetail.SEMANTIC) if hit else None,
            similarity=seen[-1].similarity if hit else None,
            judged=judged and hit,
            neighbours=seen,
            reason="" if hit else "far",
            nearest=seen[0].similarity,
            embedder=embedder,
        )
        self.evidence.observe(identify(request, self.namespace), threshold or self.serve, result)
        return pair_id(self.namespace, question, seen[-1].prompt)

    def label(self, count: int, similarity: float, *, wrong: int = 0) -> None:
        """So many served pairs with an operator's label, of which some are wrong."""
        for number in range(count):
            pair = self.look_up(f"question {number} at {similarity}", neighbour(similarity))
            self.evidence.label(pair, number >= wrong, actor="ann")


def neighbour(similarity: float = 0.9, word: str = "", *, guard: str = "", prompt: str = STORED) -> Neighbour:
    judgement = None
    if word:
        judgement = Judgement(
            word=word, reason="both ask how", judge="small/1", latency_ms=400, input_tokens=300, output_tokens=20,
            cost_usd=0.0001,
        )  # fmt: skip
    return Neighbour(
        key=f"0-{digest_of(prompt).hex()}",
        model="gpt-4o",
        prompt=prompt,
        similarity=similarity,
        guard=guard,
        ruling=word,
        judgement=judgement,
    )


def client_of(request):
    return request_client(request.getfixturevalue("redis_url"), 5) if request.param == "redis" else None


@pytest.fixture(params=["memory", "redis"])
def desk(request, namespace):
    desk = Desk(client_of(request), namespace)
    yield desk
    desk.evidence.close()


def test_a_judged_pair_is_kept_with_all_that_is_needed_to_learn_from_it(desk):
    pair = desk.look_up("How can I reset my password?", neighbour(0.83, "yes"))
    [known] = desk.evidence.pairs(desk.namespace)
    assert (known.id, known.namespace, known.embedder, known.similarity) == (pair, desk.namespace, EMBEDDER, 0.83)
    assert (known.question, known.stored) == ("How can I reset my password?", STORED)
    assert (known.judge_label, known.judge, known.judge_reason) == (True, "small/1", "both ask how")
    assert (known.served, known.first, known.mode, known.at) == (True, True, SemanticMode.SERVE, desk.clock())


@pytest.mark.parametrize("word", ["late", "over-budget", "broken", "unreadable", "not-shown", "unnamed"])
def test_a_word_that_is_neither_yes_nor_no_is_no_label(desk, word):
    desk.look_up("How can I?", neighbour(0.83, word), hit=False)
    [known] = desk.evidence.pairs(desk.namespace)
    assert known.label is None
    assert desk.evidence.report(desk.namespace).judging.rulings == {word: 1}


def test_without_prompts_only_digests_are_kept(namespace, redis_server):
    client = request_client(redis_server().url, 5)
    desk = Desk(client, namespace, keep_prompts=False, sample_share=1.0)
    desk.look_up("My PIN is 4711, how do I reset it?", neighbour(0.83, "yes"))
    desk.look_up("My PIN is 4712, how do I reset it?", neighbour(0.83))
    assert [pair.question for pair in desk.evidence.pairs(namespace)] == [None, None]
    assert desk.evidence.samples_waiting() == 0, "a sample would need the question"
    rows = [*client.xrange("encore:evidence"), *client.xrange("encore:lookups")]
    kept = b"".join(value for _, row in rows for value in row.values())
    assert len(rows) == 3
    assert b"471" not in kept
    assert b"both ask how" not in kept
    assert desk.evidence.report(namespace).labels == 1
    desk.evidence.close()


def test_pairs_of_one_namespace_are_not_those_of_another(desk):
    desk.look_up()
    assert desk.evidence.pairs(desk.namespace + "-b") == []
    assert desk.evidence.report(desk.namespace + "-b").lookups == 0


def test_what_a_lookup_saw_can_be_labelled_by_an_operator(desk):
    desk.look_up("How do I keep my password?", neighbour(0.75, guard="contrast"), neighbour(0.72, prompt="other"))
    waiting = desk.evidence.pairs(desk.namespace, is_labelled=False)
    assert {(pair.stored, pair.guard, pair.first) for pair in waiting} == {
        (STORED, "contrast", False),
        ("other", "", True),
    }
    told = desk.evidence.label(waiting[0].id, False, actor="ann")
    assert (told.operator_label, told.operator) == (False, "ann")
    [labelled] = desk.evidence.pairs(desk.namespace, is_labelled=True)
    assert (labelled.id, labelled.label, labelled.guard) == (told.id, False, told.guard)


def test_an_operator_counts_for_more_than_the_judge_and_may_change_his_mind(desk):
    pair = desk.look_up("How can I reset it?", neighbour(0.83, "yes"))
    desk.evidence.label(pair, False, actor="ann")
    assert desk.evidence.pair(pair).label is False
    desk.clock.forward(1)
    desk.evidence.label(pair, True, actor="bob")
    known = desk.evidence.pair(pair)
    assert (known.label, known.operator, known.judge_label) == (True, "bob", True)


def test_what_an_operator_calls_different_is_refused_until_he_takes_it_back(desk):
    pair = desk.look_up("How can I reset it?", neighbour(0.83, "yes"))
    desk.evidence.label(pair, False, actor="ann")
    assert desk.rejected.current(desk.namespace) == {pair}
    assert desk.rejected.current(desk.namespace + "-b") == set()
    desk.evidence.label(pair, True, actor="ann")
    assert desk.rejected.current(desk.namespace) == set()


def test_a_refusal_is_known_to_other_processes_within_a_second(redis_url, namespace):
    clock = Clock()
    ann, bob = (RejectedPairs(request_client(redis_url, 5), monotonic=clock) for _ in range(2))
    assert bob.current(namespace) == set()
    ann.reject(namespace, "0" * 32)
    assert ann.current(namespace) == {"0" * 32}
    clock.forward(COPY_SECONDS)
    assert bob.current(namespace) == {"0" * 32}


def test_a_pair_that_is_not_kept_cannot_be_labelled(desk):
    with pytest.raises(InvalidInput, match="pair"):
        desk.evidence.label("0" * 32, True, actor="ann")


def test_the_report_says_how_often_hits_are_wrong_and_what_more_labels_would_prove(desk):
    desk.thresholds.publish(desk.namespace, SERVE, actor="ann")
    desk.label(59, 0.9)
    report = desk.evidence.report(desk.namespace)
    assert (report.labels, report.operator_labels, report.judge_labels, report.hits) == (59, 59, 0, 59)
    assert (report.standing.state, report.standing.still_needed) == (BoundState.BEGINNING, 155), "nobody drew them"
    assert report.false_hits is None
    point = desk.evidence.support(desk.namespace, 0.8)
    assert (point.labels, point.errors, point.bound) == (59, 0, most_wrong(0, 59))
    assert {proposal.budget for proposal in report.proposals} == {0.01, 0.02, 0.05}
    assert all(proposal.threshold is None for proposal in report.proposals), "of 59 only two thirds are held out"
    assert report.to_dict()["threshold"]["mode"] == "serve"


def test_enough_clean_labels_support_a_threshold(desk):
    desk.label(120, 0.9)
    [proposal] = [proposal for proposal in desk.evidence.report(desk.namespace).proposals if proposal.budget == 0.05]
    assert proposal.threshold is not None
    assert proposal.threshold <= 0.9
    assert proposal.bound <= 0.05


def test_the_judge_is_measured_by_operators_labels(desk):
    for number in range(4):
        pair = desk.look_up(f"question {number}", neighbour(0.83, "yes"))
        desk.evidence.label(pair, number > 0, actor="ann")
    agreement = desk.evidence.report(desk.namespace).agreement
    assert (agreement.pairs, agreement.agreed, agreement.false_yes) == (4, 3, 1)


def test_the_report_says_what_judging_cost_and_saved(desk):
    desk.look_up("question 1", neighbour(0.83, "yes"))
    desk.look_up("question 2", neighbour(0.83, "no"), hit=False)
    judging = desk.evidence.report(desk.namespace).judging
    assert judging.rulings == {"yes": 1, "no": 1}
    assert judging.cost_usd == pytest.approx(0.0002)
    assert judging.saved_usd == pytest.approx(0.002), "only what was served"
    assert judging.tokens == 640
    assert (judging.p50_ms, judging.p95_ms) == (400, 400)


def test_only_the_candidate_that_a_threshold_would_have_served_tells_about_thresholds(desk):
    desk.look_up("question", neighbour(0.83, "no"), neighbour(0.8, "yes", prompt="second"))
    report = desk.evidence.report(desk.namespace)
    assert report.labels == 1
    assert [point.errors for point in report.curve if point.threshold == 0.8] == [1]


def test_what_the_judge_says_of_each_of_three_is_evidence_of_that_pair_alone(desk):
    seen = (
        neighbour(0.83, "no", prompt="first"),
        msgspec.structs.replace(neighbour(0.8, "yes", prompt="second"), served=True),
        neighbour(0.75, "unnamed", prompt="third"),
    )
    desk.look_up("question", *seen)
    told = {pair.stored: (pair.label, pair.served, pair.first) for pair in desk.evidence.pairs(desk.namespace)}
    assert told == {
        "first": (False, False, True),
        "second": (True, True, False),
        "third": (None, False, False),
    }
    judging = desk.evidence.report(desk.namespace).judging
    assert judging.rulings == {"yes": 1, "no": 1, "unnamed": 1}
    assert judging.saved_usd == pytest.approx(0.002), "one answer was saved"


def test_cosines_of_another_embedder_are_left_out(desk):
    desk.look_up("question 1", neighbour(0.83, "yes"))
    desk.clock.forward(1)
    desk.look_up("question 2", neighbour(0.83, "yes"), embedder="f" * 32)
    report = desk.evidence.report(desk.namespace)
    assert (report.embedder, report.labels, report.lookups) == ("f" * 32, 1, 1)


def test_the_lab_replays_lookups_at_other_thresholds(desk):
    right = desk.look_up("question 1", neighbour(0.95))
    wrong = desk.look_up("question 2", neighbour(0.85))
    desk.look_up("question 3", neighbour(0.99, guard="numbers"), neighbour(0.75), hit=False)
    desk.look_up("question 4", neighbour(0.99, guard="numbers"), hit=False)
    desk.evidence.label(right, True, actor="ann")
    desk.evidence.label(wrong, False, actor="ann")
    points = desk.evidence.replay(desk.namespace, (0.7, 0.8, 0.9))
    assert [(point.threshold, point.hits, point.labelled, point.errors) for point in points] == [
        (0.9, 1, 1, 0),
        (0.8, 2, 2, 1),
        (0.7, 3, 2, 1),
    ]
    assert points[2].hit_rate == 0.75
    assert points[2].saved_usd is None, "no price is known"


def test_the_lab_says_what_another_threshold_would_have_saved_and_where_it_would_have_been_wrong(namespace):
    keys: dict[str, float] = {}
    desk = Desk(None, namespace, costs=lambda name: keys if name == namespace else {})
    right = desk.look_up("question 1", neighbour(0.95))
    wrong = desk.look_up("question 2", neighbour(0.85))
    desk.look_up("question 2", neighbour(0.85))
    desk.look_up("question 3", neighbour(0.75))
    desk.evidence.label(right, True, actor="ann")
    desk.evidence.label(wrong, False, actor="ann")
    keys |= {desk.evidence.pair(right).question_key: 0.5, "0-elsewhere": 0.1}
    points = desk.evidence.replay(namespace, (0.7, 0.8, 0.9))
    assert [(point.saved_usd, point.estimated) for point in points] == [
        (0.5, 0),
        (0.5, 0),  # what is labelled wrong saves nothing
        (pytest.approx(0.8), 1),  # question 3 has no cost of its own: that of an average miss
    ]
    [found] = desk.evidence.wrong_hits(namespace, 0.8)
    assert (found.pair.id, found.lookups, found.pair.question) == (wrong, 2, "question 2")
    assert desk.evidence.wrong_hits(namespace, 0.9) == []


class TestPublishing:
    def test_what_labels_say_of_it_is_on_record(self, desk):
        desk.label(20, 0.9, wrong=1)
        desk.evidence.publish(desk.namespace, SERVE, actor="ann")
        [record] = desk.audit.records(action="threshold.published")[:1]
        assert (record.details["labels"], record.details["errors"], record.details["after"]["unproved"]) == (
            20,
            1,
            False,
        )

    def test_before_the_bound_holds_the_judge_is_asked_about_all_that_it_would_serve(self, desk):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann")
        effect = desk.evidence.bounds.in_effect(desk.namespace)
        assert (effect.mode, effect.grey, effect.serve, effect.waiting) == (SemanticMode.JUDGE, 0.8, None, 0.8)
        standing = desk.evidence.bounds.standing(desk.namespace)
        assert (standing.state, standing.bound, standing.still_needed) == (BoundState.BEGINNING, 1.0, 155)
        assert desk.thresholds.current(desk.namespace).serve == 0.8, "what was published stays in force"

    def test_on_purpose_it_is_served_from_at_once_and_that_is_on_record(self, desk):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann", unsupported=True)
        assert desk.evidence.bounds.in_effect(desk.namespace).serve == 0.8
        assert desk.evidence.bounds.standing(desk.namespace).state is BoundState.UNPROVED
        assert desk.audit.records(action="threshold.published")[0].details["after"]["unproved"] is True

    def test_asking_the_judge_needs_no_bound(self, desk):
        desk.evidence.publish(desk.namespace, Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None), actor="ann")
        assert desk.evidence.bounds.in_effect(desk.namespace).grey == 0.6
        assert desk.evidence.bounds.standing(desk.namespace) is None


class TestBound:
    def ask(self, desk: Desk, count: int, word: str = "yes", *, begin: int = 0) -> None:
        """So many lookups that go by what is in effect, of which the judge says this."""
        for number in range(begin, begin + count):
            question, effect = f"question {number} {word}", desk.evidence.bounds.in_effect(desk.namespace)
            desk.look_up(question, neighbour(0.9, word), hit=word == "yes", threshold=effect)

    def test_clean_labels_since_the_publication_let_hits_be_served_unjudged(self, desk):
        self.ask(desk, 20, begin=1000)
        desk.evidence.publish(desk.namespace, SERVE, actor="ann")
        self.ask(desk, 154)
        assert desk.evidence.bounds.standing(desk.namespace).still_needed == 1, (
            "earlier labels are of no hit since then"
        )
        self.ask(desk, 1, begin=154)
        standing = desk.evidence.bounds.standing(desk.namespace)
        assert (standing.state, standing.labels, standing.hits, standing.wrong) == (BoundState.HOLDING, 155, 155, 0)
        assert standing.bound <= 0.02
        effect = desk.evidence.bounds.in_effect(desk.namespace)
        assert (effect.mode, effect.serve, effect.chance) == (SemanticMode.SERVE, 0.8, 1.0)
        assert [record.action for record in desk.audit.records()[:1]] == ["threshold.holding"]

    def test_where_the_bound_breaks_the_judge_is_asked_again_until_it_holds(self, desk):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann")
        self.ask(desk, 155)
        desk.evidence.bounds.update()
        self.ask(desk, 2, "no")  # two requests that had begun before
        desk.thresholds.change_bound(
            desk.namespace,
            lambda threshold, bound: added(bound, Drawn(at=1.0, wrong=True, chance=1.0, hits=1), 0.02),
        )
        standing = desk.evidence.bounds.standing(desk.namespace)
        assert standing.state is BoundState.BROKEN
        assert standing.bound > 0.02
        assert desk.evidence.bounds.in_effect(desk.namespace).serve is None
        self.ask(desk, standing.still_needed, begin=1000)
        assert desk.evidence.bounds.standing(desk.namespace).state is BoundState.HOLDING

    def test_a_label_counts_once_whichever_process_counts_it(self, redis_url, namespace):
        desks = [Desk(request_client(redis_url, 5), namespace) for _ in range(2)]
        desks[0].evidence.publish(namespace, SERVE, actor="ann")
        self.ask(desks[0], 5)
        for desk in (*desks, desks[0]):
            assert desk.evidence.bounds.standing(namespace).labels == 5
        self.ask(desks[1], 3, begin=5)
        desks[1].evidence.flush()
        assert [desk.evidence.bounds.standing(namespace).labels for desk in desks] == [8, 8]
        for desk in desks:
            desk.evidence.close()

    def test_another_publication_begins_anew_and_another_cosine_to_judge_from_does_not(self, desk):
        both = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=0.8)
        desk.evidence.publish(desk.namespace, both, actor="ann")
        self.ask(desk, 3)
        desk.thresholds.set_grey(desk.namespace, 0.65, seen=desk.thresholds.current(desk.namespace), note="")
        self.ask(desk, 2, begin=3)
        assert desk.evidence.bounds.standing(desk.namespace).labels == 5
        desk.evidence.publish(desk.namespace, both, actor="ann")
        assert desk.evidence.bounds.standing(desk.namespace).labels == 0

    def test_below_the_published_cosine_nothing_counts(self, desk):
        desk.evidence.publish(desk.namespace, Threshold(mode=SemanticMode.JUDGE, serve=0.95), actor="ann")
        self.ask(desk, 3)
        assert desk.evidence.bounds.standing(desk.namespace).labels == 0

    def test_a_person_who_finds_a_wrong_hit_counts_once(self, desk):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann", unsupported=True)
        pair = desk.look_up(threshold=desk.evidence.bounds.in_effect(desk.namespace))
        for _ in range(2):
            desk.evidence.label(pair, False, actor="ann")
        standing = desk.evidence.bounds.standing(desk.namespace)
        assert (standing.labels, standing.wrong) == (1, 1)

    def test_many_wrong_hits_of_what_is_unproved_bring_the_judge_back(self, desk):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann", unsupported=True)
        desk.serve = desk.evidence.bounds.in_effect(desk.namespace)
        desk.label(5, 0.81, wrong=5)
        assert desk.evidence.bounds.standing(desk.namespace).state is BoundState.BROKEN
        effect = desk.evidence.bounds.in_effect(desk.namespace)
        assert (effect.mode, effect.serve, effect.waiting) == (SemanticMode.JUDGE, None, 0.8)

    def test_unjudged_hits_that_are_not_drawn_count_with_the_next_that_is(self, namespace):
        chances = iter([0.9, 0.9, 0.01])
        desk = Desk(None, namespace, chance=lambda: next(chances))
        desk.evidence.publish(namespace, SERVE, actor="ann", unsupported=True)
        for number in range(3):
            desk.look_up(f"question {number}", threshold=desk.evidence.bounds.in_effect(namespace))
        [sample] = desk.evidence.take_samples()
        assert (sample.hits, sample.chance) == (3, 0.05)

    def test_where_no_hit_can_be_judged_afterwards_nothing_is_served_unjudged(self, namespace):
        desk = Desk(None, namespace, keep_prompts=False)
        desk.evidence.publish(namespace, SERVE, actor="ann")
        self.ask(desk, 155)
        assert desk.evidence.bounds.standing(namespace).bound <= 0.02
        assert desk.evidence.bounds.in_effect(namespace).serve is None


class TestSampling:
    @pytest.fixture(params=["memory", "redis"])
    def desk(self, request, namespace):
        desk = Desk(client_of(request), namespace, sample_share=1.0)
        if request.param == "redis":
            client_of(request).delete("encore:samples")
        yield desk
        desk.evidence.close()

    @pytest.fixture
    def judge(self, openai_server):
        from core.providers.openai import OpenAIProvider

        provider = OpenAIProvider(api_key="sk-test", base_url=openai_server.url, max_retries=0)
        judge = ProviderJudge(provider, "gpt-4o", deadline_seconds=10, budget=JudgeBudget(100))
        yield judge
        judge.close()

    def store(self, desk: Desk, prompt: str = STORED, answer: str = "Use the link.") -> MemoryStore:
        """A store with the entry that was served."""
        from core.cache.cache import LLMCache
        from core.cache.config import CacheConfig
        from core.models import Completion, Controls

        store = MemoryStore()
        cache = LLMCache(CacheConfig(), store=store, provider=CountingProvider(), metrics=Outcomes())
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
        self.key = cache.put(request, Completion(body=a_body(answer)), Controls(namespace=desk.namespace)).key
        return store

    def served(self, desk: Desk, question: str) -> str:
        effect = desk.evidence.bounds.in_effect(desk.namespace)
        threshold = msgspec.structs.replace(SERVE, chance=1.0, version=effect.version, publication=effect.publication)
        return desk.look_up(question, msgspec.structs.replace(neighbour(0.85), key=self.key), threshold=threshold)

    def test_a_served_hit_is_judged_afterwards(self, desk, judge, openai_server):
        store = self.store(desk)
        pair = self.served(desk, "How can I reset it?")
        desk.evidence.flush()
        assert desk.evidence.samples_waiting() == 1
        openai_server.next(verdict(True))
        progress = judge_samples(desk.evidence, judge, store)
        assert (progress.taken, progress.judged, progress.wrong) == (1, 1, 0)
        assert desk.evidence.samples_waiting() == 0
        known = desk.evidence.pair(pair)
        assert (known.judge_label, known.served, known.first) == (True, True, True)
        assert "Use the link." in openai_server.requests[0].question

    def test_wrong_ones_bring_the_judge_back(self, desk, judge, openai_server):
        desk.evidence.publish(desk.namespace, SERVE, actor="ann", unsupported=True)
        desk.clock.forward(1)
        store = self.store(desk)
        for number in range(5):
            self.served(desk, f"question {number}")
        desk.evidence.flush()
        openai_server.always(verdict(False))
        progress = judge_samples(desk.evidence, judge, store)
        assert (progress.wrong, progress.fell_back) == (5, [desk.namespace])
        assert len(desk.rejected.current(desk.namespace)) == 5, "they are not served again"
        assert desk.evidence.bounds.in_effect(desk.namespace).serve is None

    def test_a_right_answer_that_cannot_be_shown_to_the_judge_is_no_wrong_one(self, desk, judge, openai_server):
        desk.thresholds.publish(desk.namespace, SERVE, actor="ann")
        desk.clock.forward(1)
        store = self.store(desk, answer="x" * (MAX_ANSWER_CHARACTERS + 1))
        pairs = [self.served(desk, f"question {number}") for number in range(10)]
        desk.evidence.flush()
        progress = judge_samples(desk.evidence, judge, store)
        assert (progress.not_shown, progress.judged, progress.wrong, progress.unanswered) == (10, 0, 0, 0)
        assert openai_server.calls == 0
        assert progress.fell_back == []
        assert desk.thresholds.current(desk.namespace).serve == SERVE.serve
        assert desk.rejected.current(desk.namespace) == set(), "nor are the pairs barred"
        assert [desk.evidence.pair(pair).label for pair in pairs] == [None] * 10

    def test_the_judge_is_told_what_came_before_the_question(self, desk, judge, openai_server):
        store = self.store(desk)
        earlier = {"role": "user", "content": "My password is gone."}
        last = {"role": "user", "content": "How can I reset it?"}
        request = ChatRequest.from_openai(model="gpt-4o", messages=[earlier, last])
        served = msgspec.structs.replace(neighbour(0.85), key=self.key, served=True)
        found = Found(entry=an_entry(STORED), detail=HitDetail.SEMANTIC)
        result = SemanticResult(found=found, neighbours=(served,), embedder=EMBEDDER)
        desk.evidence.observe(identify(request, desk.namespace), desk.serve, result)
        desk.evidence.flush()
        openai_server.next(verdict(True))
        judge_samples(desk.evidence, judge, store)
        assert '["user: My password is gone."]' in openai_server.requests[0].question

    def test_a_sample_whose_entry_is_gone_is_dropped(self, desk, judge, openai_server):
        store = self.store(desk, "something else")
        desk.look_up("How can I reset it?")
        desk.evidence.flush()
        assert judge_samples(desk.evidence, judge, store).gone == 1
        assert openai_server.calls == 0

    def test_a_worker_that_ends_leaves_the_rest(self, desk, judge):
        store = self.store(desk)
        self.served(desk, "How can I reset it?")
        desk.evidence.flush()
        assert judge_samples(desk.evidence, judge, store, should_stop=lambda: True).taken == 0
        assert desk.evidence.samples_waiting() == 1

    def test_only_the_chosen_share_of_unjudged_hits_is_a_sample(self, namespace):
        chances = iter([0.04, 0.05, 0.9])
        desk = Desk(None, namespace, sample_share=0.05, chance=lambda: next(chances))
        for _ in range(3):
            desk.look_up()
        desk.look_up("How can I?", neighbour(0.8, "yes"))
        desk.look_up("How can I not?", hit=False)
        assert desk.evidence.samples_waiting() == 1


class TestOutbox:
    def test_what_redis_does_not_take_is_dropped_and_nobody_waits(self, redis_server, namespace):
        server = redis_server()
        desk = Desk(request_client(server.url, 5), namespace)
        desk.look_up()
        desk.evidence.flush()
        server.kill()
        desk.look_up("another one")
        desk.evidence.flush()
        server.start()
        assert len(desk.evidence.pairs(namespace)) <= 1
        desk.evidence.close()

    def test_commands_are_sent_in_order_and_a_refused_one_does_not_hold_up_others(self, redis_url, namespace):
        client = request_client(redis_url, 5)
        outbox = Outbox(client)
        outbox.put(("RPUSH", namespace, "a"), ("INCR", namespace), ("RPUSH", namespace, "b"))
        outbox.close()
        assert client.lrange(namespace, 0, -1) == [b"a", b"b"]
        assert outbox.dropped == 1

    def test_too_many_are_dropped_at_once(self, redis_server):
        server = redis_server()
        server.pause()
        outbox = Outbox(request_client(server.url, 0.05), max_waiting=3)
        for _ in range(100):
            outbox.put(("PING",))
        assert outbox.dropped >= 90
        server.resume()
        outbox.close()

    def test_a_forked_child_sends_its_own_and_not_its_parents(self, redis_url, namespace):
        client = request_client(redis_url, 5)
        outbox = Outbox(client)
        outbox.put(("RPUSH", namespace, "parent"))
        outbox.flush()
        child = os.fork()
        if child == 0:
            try:
                outbox.put(("RPUSH", namespace, "child"))
                outbox.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        outbox.close()
        assert client.lrange(namespace, 0, -1) == [b"parent", b"child"]


def test_a_label_that_redis_did_not_take_is_said_so(redis_server, namespace):
    server = redis_server()
    desk = Desk(request_client(server.url, 5), namespace)
    pair = desk.look_up()
    assert desk.evidence.pair(pair).label is None
    with server.client() as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(OutcomeUnknown, match="again"):
        desk.evidence.label(pair, True, actor="ann")
    desk.evidence.close()
