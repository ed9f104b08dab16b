"""Checks of the job queue and its workers."""

from __future__ import annotations

from collections.abc import Iterator

from ..bootstrap import Services
from ..errors import NotPermitted
from ..monitoring import WorkerPools
from ..stores.redis import queue_rights, user_of
from .findings import Finding, Level
from .redis import rights_findings


def queue_findings(services: Services) -> Iterator[Finding]:
    """Findings on the job queue and living workers. Raises StoreUnavailable."""
    if services.queue_redis is None:
        if services.redis is not None:
            yield Finding(
                area="queue",
                level=Level.WARNING,
                text="With a Redis cluster alone there is no job queue: invalidations are still in force, but memory "
                "is not freed and schedules do not run.",
                remedy="Name a single Redis for the queue: ENCORE_QUEUE_REDIS_URL.",
            )
        return
    yield from rights_findings(queue_rights(services.queue_redis), user_of(services.queue_redis))
    if (refusal := services.health.queue_refusal()) is not None:
        yield Finding(
            area="workers",
            level=Level.WARNING,
            text=f"Workers wait: the job queue's Redis refuses writes, because {refusal.cause}.",
            remedy=refusal.remedy,
        )
        return
    try:
        pools = WorkerPools(services.queue_redis, clock=services.clock).alive()
    except NotPermitted:
        return
    workers = sum(pool.workers for pool in pools)
    if services.settings.queue_redis_url is not None:
        yield Finding(area="queue", level=Level.OK, text="The queue's own Redis answers.")
    if failing := [pool.host for pool in pools if pool.failing]:
        yield Finding(
            area="workers",
            level=Level.WARNING,
            text=f"Workers on {', '.join(failing)} keep stopping right after they start: invalidations are still in "
            "force, but memory is not freed and schedules do not run.",
            remedy="Read their log: workers.log in the folder of logs, or what python -m workers prints.",
        )
    elif workers:
        yield Finding(
            area="workers", level=Level.OK, text=f"{workers} {'worker is' if workers == 1 else 'workers are'} alive."
        )
    else:
        yield Finding(
            area="workers",
            level=Level.WARNING,
            text="No worker is alive: invalidations are still in force, but memory is not freed and schedules do not "
            "run.",
            remedy="Start workers: python -m workers",
        )
