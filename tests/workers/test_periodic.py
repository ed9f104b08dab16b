"""What a pool does by itself goes on, whatever one step of it raises."""

from __future__ import annotations

from collections.abc import Callable

from core.cache.revalidation import RefreshQueue
from core.invalidation.schedules import Schedules
from core.models import SemanticMode
from core.monitoring.worker_pools import WorkerPools
from core.semantic.quality.records import LookupRecord, Seen
from core.semantic.quality.thresholds import Threshold
from workers.periodic import GREY_LOOK_SECONDS, Schedule


def a_schedule(installation, keep_sample: Callable[[], None], monotonic: Callable[[], float]) -> Schedule:
    services = installation.services
    return Schedule(
        installation.queue,
        services.invalidation,
        Schedules(services.redis, services.invalidation),
        WorkerPools(services.queue_redis),
        RefreshQueue(services.queue_redis),
        services.evidence,
        services.pins,
        services.questions,
        services.near_index,
        count_workers=lambda: 3,
        are_failing=lambda: True,
        keep_sample=keep_sample,
        clean_idle=lambda: None,
        monotonic=monotonic,
    )


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
    schedule = a_schedule(installation, keep_sample, lambda: now)
    for _ in range(3):
        schedule.tick()
        now += 1000
    assert taken == ["sample"] * 3
    assert "gauges: LookupError in test_periodic.py:" in caplog.text
    assert caplog.text.count("LookupError") == 1
    assert "secret" not in caplog.text
    assert pools.alive_workers() == 3
    assert pools.alive()[0].failing


def test_each_hour_it_sets_from_where_a_judge_is_asked(installation):
    services = installation.services
    services.thresholds.publish("shop", Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=None), actor="ann")
    now = 0.0
    schedule = a_schedule(installation, lambda: None, lambda: now)
    schedule.tick()
    for number in range(100):
        seen = Seen(pair=f"{number:032x}", key="", similarity=0.72, ruling="no")
        lookup = LookupRecord(
            at=services.clock(), namespace="shop", embedder="e", mode=SemanticMode.JUDGE, seen=(seen,)
        )
        services.evidence._archive.add_lookup(lookup)
    services.evidence.flush()
    for now in (GREY_LOOK_SECONDS - 1, GREY_LOOK_SECONDS):  # noqa: B007 - the schedule reads it
        versions = services.thresholds.versions("shop")
        assert [known.act for known in versions] == ["published"]
        schedule.tick()
    assert services.thresholds.current("shop").grey == 0.75
