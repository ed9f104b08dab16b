"""Evidence, calibration and thresholds: when a near answer may be served."""

from .betting import labels_needed
from .bound import BoundState, Point, Standing
from .calibration import BUDGETS, CurvePoint, Proposal
from .defaults import Cosines, default_cosines
from .evidence import Evidence
from .records import Pair, pair_id
from .rejected_pairs import RejectedPairs
from .report import EvidenceReport, FalseHits, ReplayPoint, WrongHit
from .sampling import judge_samples
from .threshold import Threshold
from .thresholds import Published, ThresholdAction, Thresholds

__all__ = [
    "BUDGETS",
    "BoundState",
    "Cosines",
    "CurvePoint",
    "Evidence",
    "EvidenceReport",
    "FalseHits",
    "Pair",
    "Point",
    "Proposal",
    "Published",
    "RejectedPairs",
    "ReplayPoint",
    "Standing",
    "Threshold",
    "ThresholdAction",
    "Thresholds",
    "WrongHit",
    "default_cosines",
    "judge_samples",
    "labels_needed",
    "pair_id",
]
