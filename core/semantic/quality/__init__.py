"""Evidence, calibration and thresholds: when a near answer may be served."""

from .calibration import BUDGETS, CurvePoint, Proposal, upper_bound
from .defaults import Cosines, default_cosines
from .evidence import Evidence
from .grey import Grey
from .records import Pair, pair_id
from .rejected_pairs import RejectedPairs
from .report import EvidenceReport, FalseHits, ReplayPoint, WrongHit
from .sampling import judge_samples
from .thresholds import Published, Threshold, ThresholdAction, Thresholds

__all__ = [
    "BUDGETS",
    "Cosines",
    "CurvePoint",
    "Evidence",
    "EvidenceReport",
    "FalseHits",
    "Grey",
    "Pair",
    "Proposal",
    "Published",
    "RejectedPairs",
    "ReplayPoint",
    "Threshold",
    "ThresholdAction",
    "Thresholds",
    "WrongHit",
    "default_cosines",
    "judge_samples",
    "pair_id",
    "upper_bound",
]
