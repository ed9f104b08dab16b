"""From which cosine on a judge is asked: what its calls brought, and what people found of its approvals."""

from __future__ import annotations

import pytest

from core.access.audit import AuditLog
from core.models import SemanticMode
from core.semantic.quality.calibration import Labeller
from core.semantic.quality.evidence import Evidence
from core.semantic.quality.grey import Grey, advised
from core.semantic.quality.records import LookupRecord, PairRecord, Seen
from core.semantic.quality.rejected_pairs import RejectedPairs
from core.semantic.quality.thresholds import Threshold, ThresholdAction, Thresholds
from core.stores.redis.store import request_client
from tests.samples import Clock

JUDGING = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=None)
BUDGET = 0.02


def calls(count: int, hits: int, similarity: float = 0.72, namespace: str = "shop") -> list[LookupRecord]:
    """Lookups that asked the judge about two candidates each, the nearer at a cosine; some found an answer."""
    return [
        LookupRecord(
            at=1.0,
            namespace=namespace,
            embedder="e",
            mode=SemanticMode.JUDGE,
            seen=(
                Seen(pair=f"{similarity}-{number}", key="", similarity=similarity, ruling="no"),
                Seen(pair=f"b{number}", key="", similarity=similarity - 0.01, ruling="yes" if number < hits else "no"),
            ),
        )
        for number in range(count)
    ]


def label(pair: str, similarity: float = 0.8, *, right: bool = True, labeller: Labeller = Labeller.JUDGE) -> PairRecord:
    return PairRecord(
        pair=pair,
        at=1.0,
        namespace="shop",
        embedder="e",
        similarity=similarity,
        equivalent=right,
        labeller=labeller,
        labelled_by="x",
        mode=SemanticMode.JUDGE,
    )


def checked(count: int, wrong: int = 0, similarity: float = 0.8) -> list[PairRecord]:
    """Approvals of the judge that an operator has looked at."""
    return [
        record
        for number in range(count)
        for record in (
            label(f"c{number}", similarity),
            label(f"c{number}", similarity, right=number >= wrong, labeller=Labeller.OPERATOR),
        )
    ]


def told(lookups: list[LookupRecord], labels: list[PairRecord] = (), threshold: Threshold = JUDGING) -> Grey:
    found = advised(lookups, list(labels), threshold, 0.7, BUDGET)
    assert found is not None
    return found


def test_without_evidence_it_stays_where_it_is():
    found = told([])
    assert (found.cosine, found.below, found.calls) == (0.7, 0.75, 0)
    assert found.reason.startswith("stays")


def test_calls_that_find_no_answer_move_it_up():
    found = told(calls(100, 1))
    assert found.cosine == 0.75
    assert found.reason == (
        "up to 0.750: 1 of 100 calls about nothing nearer than 0.750 found an answer, and from 10 % on they pay"
    )
    assert told(calls(20, 1)).cosine == 0.7, "so few prove nothing"


def test_calls_that_pay_move_it_down_once_people_found_the_judge_right():
    lookups = calls(60, 30)
    unchecked = told(lookups)
    assert unchecked.cosine == 0.7
    assert unchecked.reason.endswith("to go lower, check 155 more approvals of the judge")
    assert told(lookups, checked(155)).cosine == 0.65
    assert told(lookups, checked(155, wrong=1)).cosine == 0.7, "the bound decides"
    assert told(lookups, checked(155, similarity=0.65)).cosine == 0.7, "of those at or above the cosine"


def test_a_judge_that_is_surely_wrong_too_often_moves_it_up_though_its_calls_pay():
    found = told(calls(60, 30), checked(60, wrong=6))
    assert found.cosine == 0.75
    assert found.reason == "up to 0.750: 6 of 60 approvals that people checked were wrong"


def test_what_did_not_pay_below_is_not_tried_again_at_once():
    at_65 = calls(100, 0, similarity=0.66)
    assert told([*calls(60, 30), *at_65], checked(155)).cosine == 0.7
    assert told([*calls(60, 30), *at_65[:10]], checked(155)).cosine == 0.65


@pytest.mark.parametrize(
    ("grey", "lookups", "labels", "cosine"),
    [
        (0.5, calls(60, 30, similarity=0.52), checked(155), 0.5),
        (0.55, calls(60, 30, similarity=0.57), checked(155), 0.5),
        (0.9, calls(100, 0, similarity=0.92), [], 0.9),
        (0.85, calls(100, 0, similarity=0.87), [], 0.9),
    ],
)
def test_it_goes_from_half_to_nine_tenths_by_default(grey, lookups, labels, cosine):
    assert told(lookups, labels, Threshold(mode=SemanticMode.JUDGE, grey=grey, serve=None)).cosine == cosine


def test_steps_and_limits_go_by_what_is_configured_for_the_embedder():
    high = Threshold(mode=SemanticMode.JUDGE, grey=0.94, serve=None)
    found = advised(calls(60, 30, similarity=0.945), checked(155, similarity=0.95), high, 0.94, BUDGET)
    assert (found.cosine, found.below) == (0.93, 0.95)


def test_it_never_goes_above_the_cosine_served_from():
    low = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=0.72)
    assert told(calls(100, 0, similarity=0.71), threshold=low).cosine == 0.7


def test_what_an_operator_fixed_stays_and_says_what_it_brings():
    fixed = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=None, grey_fixed=True)
    found = told(calls(100, 0), threshold=fixed)
    assert found.cosine == 0.7
    assert found.reason.startswith("set by hand: 0 of 100 calls")


@pytest.mark.parametrize("mode", [SemanticMode.OFF, SemanticMode.SERVE])
def test_where_nothing_is_judged_there_is_nothing_to_say(mode):
    assert advised(calls(100, 0), [], Threshold(mode=mode, serve=0.9), 0.7, BUDGET) is None


def test_only_calls_that_were_answered_count():
    late = [
        LookupRecord(
            at=1.0,
            namespace="shop",
            embedder="e",
            mode=SemanticMode.JUDGE,
            seen=(Seen(pair="p", key="", similarity=0.72, ruling=word),),
        )
        for word in ("late", "broken", "over-budget", "unreadable", "not-shown", "") * 50
    ]
    assert told(late).calls == 0


def test_prices_say_what_pays():
    def priced(cost_usd: float, saved_usd: float) -> PairRecord:
        return PairRecord(
            pair="p",
            at=1.0,
            namespace="shop",
            embedder="e",
            similarity=0.9,
            equivalent=True,
            labeller=Labeller.JUDGE,
            labelled_by="x",
            mode=SemanticMode.JUDGE,
            served=True,
            cost_usd=cost_usd,
            saved_usd=saved_usd,
        )

    assert told([], [priced(0.001, 0.005)]).worth == pytest.approx(0.2)
    assert told([], [priced(0.0001, 0.01)]).worth == 0.05, "a call costs time too"
    assert told([], [priced(0.02, 0.01)]).worth == 0.5
    assert told([], [priced(0.0, 0.01)]).worth == 0.1, "without a price"


class TestInForce:
    @pytest.fixture(params=["memory", "redis"])
    def evidence(self, request, namespace):
        client = request_client(request.getfixturevalue("redis_url"), 5) if request.param == "redis" else None
        self.clock, self.namespace = Clock(), namespace
        self.audit = AuditLog(client)
        self.thresholds = Thresholds(client, self.audit, JUDGING, clock=self.clock, monotonic=self.clock)
        evidence = Evidence(client, self.thresholds, RejectedPairs(client), clock=self.clock)
        yield evidence
        evidence.close()

    def asked_in_vain(self, evidence: Evidence) -> None:
        for lookup in calls(100, 0, namespace=self.namespace):
            evidence._archive.add_lookup(LookupRecord(**{**_fields(lookup), "at": self.clock()}))
        evidence.flush()

    def mine(self, evidence: Evidence) -> list[ThresholdAction]:
        evidence.set_grey()
        return [known.act for known in self.thresholds.versions(self.namespace)]

    def test_it_is_published_with_its_reason_and_audited(self, evidence):
        self.asked_in_vain(evidence)
        assert evidence.report(self.namespace).grey.cosine == 0.75
        assert self.mine(evidence) == [ThresholdAction.GREY_SET]
        assert self.thresholds.current(self.namespace).grey == 0.75
        [version] = self.thresholds.versions(self.namespace)
        assert (version.actor, version.note[:8]) == ("encore", "up to 0.")
        [record] = [one for one in self.audit.records() if one.namespace == self.namespace]
        assert (record.action, record.details["calls"], record.details["hits"]) == ("threshold.grey-set", 100, 0)
        assert self.mine(evidence) == [ThresholdAction.GREY_SET], "and once"

    def test_an_operator_may_fix_it_and_hand_it_back(self, evidence):
        fixed = Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None, grey_fixed=True)
        self.thresholds.publish(self.namespace, fixed, actor="ann")
        for lookup in calls(100, 0, similarity=0.62, namespace=self.namespace):
            evidence._archive.add_lookup(LookupRecord(**{**_fields(lookup), "at": self.clock()}))
        evidence.flush()
        assert self.mine(evidence) == [ThresholdAction.PUBLISHED]
        free = Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None)
        self.thresholds.publish(self.namespace, free, actor="ann")
        assert self.mine(evidence)[0] is ThresholdAction.GREY_SET
        assert self.thresholds.current(self.namespace).grey == 0.65

    def test_evidence_of_more_than_a_month_ago_counts_no_more(self, evidence):
        self.asked_in_vain(evidence)
        self.clock.forward(31 * 86_400)
        assert self.mine(evidence) == []

    def test_another_version_in_the_meantime_wins(self, evidence):
        seen = self.thresholds.current(self.namespace)
        self.thresholds.publish(self.namespace, Threshold(mode=SemanticMode.OFF), actor="ann")
        assert self.thresholds.set_grey(self.namespace, 0.75, seen=seen, note="") is None


def _fields(lookup: LookupRecord) -> dict:
    return {name: getattr(lookup, name) for name in lookup.__struct_fields__}
