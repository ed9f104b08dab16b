"""Checks of a whole installation, with what to do about each finding."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .checkup import CHECKUP_SECONDS, Checkup, Looked
    from .diagnosis import Diagnosis, diagnose, outside_findings, unusable
    from .findings import Finding, Level
    from .isolation import Check, check_isolation

__all__ = [
    "CHECKUP_SECONDS", "Check", "Checkup", "Diagnosis", "Finding", "Level", "Looked",
    "check_isolation", "diagnose", "outside_findings", "unusable",
]  # fmt: skip

__getattr__ = lazily(
    __name__,
    checkup="CHECKUP_SECONDS Checkup Looked",
    diagnosis="Diagnosis diagnose outside_findings unusable",
    findings="Finding Level",
    isolation="Check check_isolation",
)
