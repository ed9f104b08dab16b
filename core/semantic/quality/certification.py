"""Whether labels support a threshold, and when they ask for a stricter one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import ThresholdRefused
from ...models import SemanticMode
from ...text import share
from .calibration import CurvePoint, Tightening, curve, labels_needed, labels_still_needed, tighten
from .records import PairRecord, of_latest_embedder
from .report import fair_sample

if TYPE_CHECKING:
    from .thresholds import Threshold

FEWEST_ERRORS = 3
"""The errors that tighten a threshold while there are few labels: people begin by labelling what looks wrong."""


def support(labels: Sequence[PairRecord], serve: float) -> CurvePoint:
    """Errors per hit among labels at a cosine to serve from, and their upper bound (1.0 without labels)."""
    return curve(fair_sample(of_latest_embedder(labels, ())[0]), (serve,))[0]


def tighter(labels: Sequence[PairRecord], serve: float, budget: float) -> Tightening | None:
    """A stricter threshold, when labels show more false hits than the budget at the present one; else None."""
    found = tighten(fair_sample(of_latest_embedder(labels, ())[0]), serve, budget)
    if found is None or (found.errors < FEWEST_ERRORS and found.labels < labels_needed(budget)):
        return None
    return found


def is_stricter(threshold: Threshold, in_force: Threshold) -> bool:
    """Whether a threshold serves nothing that the one in force does not serve."""
    if in_force.mode is SemanticMode.OFF or in_force.serve is None or threshold.serve is None:
        return False
    return threshold.serve >= in_force.serve


def refusal(point: CurvePoint, serve: float, budget: float) -> ThresholdRefused:
    """Why a threshold is refused, in one sentence, with the number of labels that would support it."""
    needed = labels_still_needed(point.errors, point.labels, budget)
    return ThresholdRefused(
        f"labels do not support {serve:.3f} within {share(budget, 0)} false hits: of {point.labels} at or above it "
        f"{point.errors} are wrong; {needed} more without an error would be enough"
    )


def figures(point: CurvePoint | Tightening) -> dict[str, float]:
    """The figures of a decision, for its audit record."""
    return {"labels": point.labels, "errors": point.errors, "bound": round(point.bound, 5)}
