"""What the doctor finds in the job queue."""

from __future__ import annotations

from core.bootstrap import bootstrap
from core.doctor.findings import Level
from core.doctor.queue import queue_findings
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from tests.doctor.findings import levels, the_only


def test_workers_are_counted_by_what_their_pools_say(redis_server, monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    with bootstrap(Settings()) as services:
        assert the_only(queue_findings(services)).level is Level.WARNING
        pools = WorkerPools(services.queue_redis)
        pools.beat("a", host="h", pid=1, workers=2)
        pools.beat("b", host="h", pid=2, workers=1)
        assert levels(queue_findings(services)) == {"3 workers are alive.": Level.OK}
        pools.leave("a")
        assert levels(queue_findings(services)) == {"1 worker is alive.": Level.OK}
        pools.beat("b", host="h", pid=2, workers=0, failing=True)
        failing = the_only(queue_findings(services))
        assert failing.level is Level.WARNING
        assert "Workers on h keep stopping right after they start" in failing.text
