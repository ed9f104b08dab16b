"""What tests of findings need."""

from __future__ import annotations

from core.doctor.findings import Finding, Level


def levels(findings) -> dict[str, Level]:
    """Level by what was found."""
    return {finding.text: finding.level for finding in findings}


def the_only(findings) -> Finding:
    """The one finding there is."""
    [finding] = findings
    return finding
