"""What the doctor finds in the invalidations in force."""

from __future__ import annotations

import time

from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.doctor.findings import Level
from core.doctor.invalidations import MANY_LISTED, invalidation_findings
from core.models import ChatRequest
from core.settings import Settings


def test_sweeps_that_are_overdue_and_too_many_invalidations_are_found(redis_server, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    with bootstrap(Settings()) as services:
        for number in range(MANY_LISTED):
            services.invalidation.invalidate(Criteria(pattern=f"*m{number}*"), actor="anna", hold_seconds=0)
            services.invalidation.invalidate(Criteria(tags=(f"t{number}",)), actor="anna")
        now = time.time()
        texts = [finding.text for finding in invalidation_findings(services, now)]
        assert [text.partition(" ")[0] for text in texts] == [str(2 * MANY_LISTED), "default"]
        late = [finding.text for finding in invalidation_findings(services, now + 1200)]
        assert any("should have been swept, the first 20 minutes ago" in text for text in late)


def test_it_says_how_long_copies_are_served_and_who_was_not_told(redis_server):
    plain = Settings(redis_url=redis_server().url)
    with bootstrap(plain) as without, bootstrap(plain.model_copy(update={"l1_seconds": 0.25})) as with_copies:
        with_copies.cache.complete(ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "Why?"}]))
        now = time.time()
        [told] = [finding for finding in invalidation_findings(with_copies, now) if "copies" in finding.text]
        assert (told.level, "0.25 s" in told.text) == (Level.OK, True)
        [told] = [finding for finding in invalidation_findings(without, now) if "copies" in finding.text]
        assert told.level is Level.WARNING
        assert "ENCORE_L1_SECONDS" in told.remedy
        later = [finding for finding in invalidation_findings(without, now + 700) if "copies" in finding.text]
        assert later == []
