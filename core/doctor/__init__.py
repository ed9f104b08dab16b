"""Checks of a whole installation, with what to do about each finding."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .diagnosis import Diagnosis, diagnose, outside_findings, unusable
    from .findings import Finding, Level
    from .isolation import Check, check_isolation

__all__ = ["Check", "Diagnosis", "Finding", "Level", "check_isolation", "diagnose", "outside_findings", "unusable"]

__getattr__ = lazily(
    __name__,
    diagnosis="Diagnosis diagnose outside_findings unusable",
    findings="Finding Level",
    isolation="Check check_isolation",
)
