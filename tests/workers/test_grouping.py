"""Questions are grouped by a worker that is asked to, and nothing of them is in the job."""

from __future__ import annotations

import json
import zlib

import pytest

from core.cache.revalidation import RefreshQueue
from core.invalidation.schedules import Schedules
from core.monitoring.worker_pools import WorkerPools
from tests.workers.conftest import eventually
from workers.periodic import Schedule
from workers.queue import Interrupted
from workers.queue.job import ending
from workers.tasks import group

WORD = b"secret"
"""In every prompt of `Installation.fill`."""


@pytest.fixture
def asked(installation):
    installation.fill("shop", 4)
    installation.services.metrics.flush()
    return installation


def test_a_pool_groups_what_was_asked_when_a_person_wants_it(asked, start_pool):
    services = asked.services
    services.questions.ask(actor="api")
    start_pool("--workers", "1").ready()
    [job] = eventually(lambda: [job for job in asked.queue.jobs() if job.kind == "group" and job.result])
    assert job.result == {"done": 4, "total": 4, "groups": 1}
    [found] = services.questions.report(namespace="shop").groups
    assert (found.questions, found.misses) == (4, 4)
    record = services.queue_redis.hgetall(f"rq:job:{job.id}")
    assert json.loads(zlib.decompress(record[b"data"]))[-1] == {"version": 1}
    assert WORD not in b"".join(record.values())
    holding = {name for name in services.redis.keys("*") if WORD in (services.redis.dump(name) or b"")}
    assert not [name for name in holding if name.startswith((b"encore:{questions}", b"rq:"))]


def a_schedule(installation, questions):
    services = installation.services
    return Schedule(
        installation.queue,
        services.invalidation,
        Schedules(services.redis, services.invalidation),
        WorkerPools(services.queue_redis),
        RefreshQueue(services.queue_redis),
        services.evidence,
        services.pins,
        questions,
        services.near_index,
        count_workers=lambda: 0,
        keep_sample=lambda: None,
        clean_idle=lambda: None,
        are_failing=lambda: False,
    )


class Due:
    """Questions that are to be grouped by themselves."""

    def take_up(self) -> bool:
        return False

    def is_due(self) -> bool:
        return True


def test_it_is_queued_once_when_it_is_asked_for_and_not_before(installation):
    schedule = a_schedule(installation, installation.services.questions)
    schedule.enqueue_grouping()
    assert installation.queue.jobs() == []
    installation.services.questions.ask(actor="api")
    schedule.enqueue_grouping()
    schedule.enqueue_grouping()
    assert [job.kind for job in installation.queue.jobs()] == ["group"]


def test_by_itself_it_is_not_queued_again_just_after_it_was_stopped(installation):
    schedule = a_schedule(installation, Due())
    schedule.enqueue_grouping()
    [job] = installation.queue.jobs()
    installation.queue.stop(job.id)
    schedule.enqueue_grouping()
    assert [job.state.value for job in installation.queue.jobs()] == ["cancelled"]


def test_a_worker_that_ends_leaves_the_grouping_to_another(asked, monkeypatch):
    monkeypatch.setattr(ending, "asked", True)
    with pytest.raises(Interrupted):
        group(version=1)
    assert asked.services.questions.report().at is None
