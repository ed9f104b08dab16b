"""What the doctor says of the hits that cautions cost."""

from __future__ import annotations

from core.bootstrap import bootstrap
from core.doctor.findings import Level
from core.doctor.forgone import forgone_findings
from core.settings import Settings
from tests.metrics.outcomes import a_miss


def test_hits_that_a_caution_cost_are_named_with_their_number_and_the_way_out() -> None:
    with bootstrap(Settings()) as services:
        assert list(forgone_findings(services)) == []
        services.metrics.record(a_miss(at=0.0))
        services.metrics.record(a_miss(at=0.0, reason="may be material", forgone="may be material"))
        [finding] = forgone_findings(services)
    assert finding.level is Level.OK
    assert finding.text.startswith("At least 1 of 2 misses of the last day would have been hits (may be material)")
    assert "ENCORE_PLAIN_PROMPTS" in finding.remedy


def test_what_named_users_did_not_share_is_told_with_the_setting() -> None:
    with bootstrap(Settings()) as services:
        services.metrics.record(a_miss(at=0.0, reason="may be the user's own", forgone="may be the user's own"))
        [finding] = forgone_findings(services)
    assert "1 of 1 misses" in finding.text
    assert "ENCORE_AUDIENCE" in finding.remedy
