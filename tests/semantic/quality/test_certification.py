"""Whether labels support a threshold: decided without a store."""

from __future__ import annotations

import pytest

from core.models import SemanticMode
from core.semantic.quality.calibration import Labeller
from core.semantic.quality.certification import figures, is_stricter, refusal, support, tighter
from core.semantic.quality.records import PairRecord, of_latest_embedder
from core.semantic.quality.thresholds import Threshold


def label(number: int, similarity: float, equivalent: bool = True, **fields) -> PairRecord:
    given = {
        "pair": f"{number:032x}",
        "at": 1_000.0 - number,
        "namespace": "test",
        "embedder": "e",
        "similarity": similarity,
        "equivalent": equivalent,
        "labeller": Labeller.OPERATOR,
        "labelled_by": "ann",
        "mode": SemanticMode.SERVE,
        "first": True,
    }
    return PairRecord(**(given | fields))


def test_support_counts_what_the_threshold_would_have_served() -> None:
    labels = [label(0, 0.95), label(1, 0.9, False), label(2, 0.7, False), label(3, 0.99, first=False)]
    point = support(labels, 0.85)
    assert (point.labels, point.errors) == (2, 1)
    assert figures(point) == {"labels": 2, "errors": 1, "bound": round(point.bound, 5)}
    assert support([], 0.85).bound == 1.0


def test_labels_of_an_earlier_embedder_are_no_support() -> None:
    labels = [label(0, 0.95), label(1, 0.95, embedder="older")]
    assert support(labels, 0.9).labels == 1
    assert of_latest_embedder(labels, ()) == (labels[:1], [], "e")
    assert of_latest_embedder((), ()) == ([], [], "")


@pytest.mark.parametrize(
    ("serve", "in_force", "expected"),
    [
        (0.9, Threshold(mode=SemanticMode.SERVE, serve=0.8), True),
        (0.8, Threshold(mode=SemanticMode.SERVE, serve=0.8), True),
        (0.7, Threshold(mode=SemanticMode.SERVE, serve=0.8), False),
        (0.9, Threshold(mode=SemanticMode.OFF, serve=0.8), False),
        (0.9, Threshold(mode=SemanticMode.JUDGE, serve=None), False),
    ],
)
def test_a_threshold_is_stricter_than_one_that_serves_at_least_as_much(serve, in_force, expected) -> None:
    assert is_stricter(Threshold(mode=SemanticMode.SERVE, serve=serve), in_force) is expected


def test_two_errors_among_few_labels_do_not_tighten_a_threshold_and_three_do() -> None:
    right = [label(number, 0.99) for number in range(4)]
    wrong = [label(10 + number, 0.85, False) for number in range(3)]
    assert tighter(right + wrong[:2], 0.8, 0.02) is None
    found = tighter(right + wrong, 0.8, 0.02)
    assert found is not None
    assert found.threshold is None or found.threshold > 0.85


def test_a_refusal_says_how_many_labels_are_needed() -> None:
    message = str(refusal(support([label(0, 0.95)], 0.9), 0.9, 0.05))
    assert "0.900 within 5 % false hits: of 1 at or above it 0 are wrong; 58 more" in message
