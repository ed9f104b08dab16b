"""What a pool does by itself goes on, whatever one step of it raises."""

from __future__ import annotations

from core.cache.revalidation import RefreshQueue
from core.invalidation.schedules import Schedules
from core.monitoring.worker_pools import WorkerPools
from workers.periodic import Schedule


def test_a_step_that_fails_ends_neither_the_others_nor_itself_and_its_text_is_not_logged(installation, caplog):
    services = installation.services
    assert services.queue_redis
    assert services.pins
    taken: list[str] = []

    def keep_sample() -> None:
        taken.append("sample")
        raise LookupError("a secret prompt")

    now = 0.0
    pools = WorkerPools(services.queue_redis)
    schedule = Schedule(
        installation.queue,
        services.invalidation,
        Schedules(services.redis, services.invalidation),
        pools,
        RefreshQueue(services.queue_redis),
        services.evidence,
        services.pins,
        services.questions,
        count_workers=lambda: 3,
        are_failing=lambda: True,
        keep_sample=keep_sample,
        clean_idle=lambda: None,
        monotonic=lambda: now,
    )
    for _ in range(3):
        schedule.tick()
        now += 1000
    assert taken == ["sample"] * 3
    assert "gauges: LookupError in test_periodic.py:" in caplog.text
    assert caplog.text.count("LookupError") == 1
    assert "secret" not in caplog.text
    assert pools.alive_workers() == 3
    assert pools.alive()[0].failing
