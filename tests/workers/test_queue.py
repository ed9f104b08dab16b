"""The job queue without workers: what goes in, what is seen, what is taken out."""

from __future__ import annotations

import time
import zlib

import pytest

from core.access.audit import AuditLog
from core.errors import StoreUnavailable
from workers.queue import JobNotFound, JobQueue, JobRefused, JobState
from workers.queue.jobs import FAILURE_SECONDS, REST_SECONDS
from workers.queue.records import QUEUE_NAME, job_id


@pytest.fixture
def queue(installation) -> JobQueue:
    return installation.queue


@pytest.fixture
def client(installation):
    return installation.services.queue_redis


def end(client, name: str, status: str, *, seconds_ago: float = 0) -> None:
    """Makes a queued job look as if it had ended."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - seconds_ago))
    client.hset(f"rq:job:{name}", mapping={"status": status, "ended_at": moment})
    client.delete(f"rq:queue:{QUEUE_NAME}")
    client.zadd(f"rq:failed:{QUEUE_NAME}", {name: time.time() + FAILURE_SECONDS})


def test_a_sweep_is_queued_once_per_namespace(queue):
    first = queue.enqueue_sweep("shop")
    assert (first.kind, first.namespace, first.state) == ("sweep", "shop", JobState.QUEUED)
    assert queue.enqueue_sweep("shop") == first
    assert queue.enqueue_sweep("shop.eu").id != queue.enqueue_sweep("shop-eu").id
    assert queue.queue_view().waiting == 3


@pytest.mark.parametrize("status", ["finished", "failed", "stopped", "canceled"])
def test_the_record_of_a_sweep_that_has_ended_makes_room(queue, client, status):
    name = queue.enqueue_sweep("shop").id
    end(client, name, status)
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED
    assert queue.queue_view().waiting == 1


def test_a_sweep_whose_place_in_the_queue_was_lost_is_queued_again(queue, client):
    queue.enqueue_sweep("shop")
    client.delete(f"rq:queue:{QUEUE_NAME}")
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED
    assert queue.queue_view().waiting == 1


def test_a_sweep_that_claims_to_run_and_does_not_is_queued_again(queue, client):
    name = queue.enqueue_sweep("shop").id
    client.hset(f"rq:job:{name}", "status", "started")
    client.delete(f"rq:queue:{QUEUE_NAME}")
    client.zadd(f"rq:wip:{QUEUE_NAME}", {f"{name}:execution": time.time() - 1})
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED


@pytest.mark.parametrize(
    ("status", "place"),
    [
        ("queued", lambda client, name: client.rpush(f"rq:queue:{QUEUE_NAME}", name)),
        ("queued", lambda client, name: client.rpush(f"rq:queue:{QUEUE_NAME}:intermediate", name)),
        ("scheduled", lambda client, name: client.zadd(f"rq:scheduled:{QUEUE_NAME}", {name: time.time() + 60})),
    ],
    ids=["waits", "is being taken", "waits for its time"],
)
def test_a_sweep_that_will_run_is_not_queued_again(queue, client, status, place):
    name = queue.enqueue_sweep("shop").id
    client.hset(f"rq:job:{name}", mapping={"status": status, "mark": "the same"})
    client.delete(f"rq:queue:{QUEUE_NAME}")
    place(client, name)
    assert queue.enqueue_sweep("shop").id == name
    assert client.hget(f"rq:job:{name}", "mark") == b"the same"


@pytest.mark.parametrize("waits", [True, False])
def test_a_record_that_cannot_be_read_makes_room(queue, client, waits):
    name = queue.enqueue_sweep("shop").id
    if not waits:
        client.delete(f"rq:queue:{QUEUE_NAME}")
    client.hset(f"rq:job:{name}", "created_at", "never")
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED
    assert queue.queue_view().waiting == 1


def going_once_looked_at(client, monkeypatch, *, before: bool) -> None:
    """A record goes, as it does when Redis is flushed, before or after the next look at it."""
    fetch = JobQueue._fetch
    gone = []

    def looked(self, name):
        if gone:
            return fetch(self, name)
        gone.append(name)
        if before:
            client.delete(f"rq:job:{name}", f"rq:queue:{QUEUE_NAME}")
        found = fetch(self, name)
        client.delete(f"rq:job:{name}", f"rq:queue:{QUEUE_NAME}")
        return found

    monkeypatch.setattr(JobQueue, "_fetch", looked)


def test_a_sweep_whose_record_goes_at_once_is_queued_again(queue, client, monkeypatch):
    going_once_looked_at(client, monkeypatch, before=True)
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED
    assert queue.queue_view().waiting == 1


def test_a_job_whose_record_goes_while_it_is_deleted_is_deleted(queue, client, monkeypatch):
    name = queue.enqueue_sweep("shop").id
    client.hset(f"rq:job:{name}", "status", "started")
    client.delete(f"rq:queue:{QUEUE_NAME}")
    going_once_looked_at(client, monkeypatch, before=False)
    queue.delete(name)
    with pytest.raises(JobNotFound):
        queue.delete(name)


def test_a_running_sweep_is_left_to_run(queue, client):
    name = queue.enqueue_sweep("shop").id
    client.hset(f"rq:job:{name}", "status", "started")
    client.delete(f"rq:queue:{QUEUE_NAME}")
    client.zadd(f"rq:wip:{QUEUE_NAME}", {f"{name}:execution": time.time() + 60})
    assert queue.enqueue_sweep("shop").state is JobState.RUNNING
    assert queue.queue_view().waiting == 0
    with pytest.raises(JobRefused, match="stop it first"):
        queue.delete(name)


@pytest.mark.parametrize(
    ("status", "seconds_ago", "is_queued"),
    [
        ("finished", 0, True),
        ("failed", 0, False),
        ("failed", REST_SECONDS[JobState.FAILED] + 5, True),
        ("stopped", 60, False),
        ("stopped", REST_SECONDS[JobState.STOPPED] + 5, True),
    ],
)
def test_the_reconciler_leaves_what_failed_or_was_stopped_alone_for_a_while(
    queue, client, status, seconds_ago, is_queued
):
    end(client, queue.enqueue_sweep("shop").id, status, seconds_ago=seconds_ago)
    assert (queue.reconcile_sweep("shop") is not None) is is_queued


def test_the_reconciler_leaves_a_cancelled_sweep_alone_and_an_operator_does_not(queue):
    queue.stop(queue.enqueue_sweep("shop").id)
    assert queue.reconcile_sweep("shop") is None
    assert queue.enqueue_sweep("shop").state is JobState.QUEUED


def test_a_waiting_job_is_cancelled_and_can_be_run_after_all(queue, client):
    name = queue.enqueue_sweep("shop").id
    stopped = queue.stop(name)
    assert stopped.state is JobState.CANCELLED
    assert queue.queue_view().cancelled == 1
    assert 0 < client.ttl(f"rq:job:{name}") <= FAILURE_SECONDS
    with pytest.raises(JobRefused, match="cancelled already"):
        queue.stop(name)
    again = queue.retry(name)
    assert (again.state, again.retries_left) == (JobState.QUEUED, 5)
    assert [job.id for job in queue.jobs(JobState.QUEUED)] == [name]
    with pytest.raises(JobRefused, match="is queued"):
        queue.retry(name)


def test_a_job_that_is_not_there_is_said_so(queue):
    assert queue.job("nothing") is None
    assert queue.job("no job: 1") is None
    for act in (queue.stop, queue.retry, queue.delete):
        with pytest.raises(JobNotFound):
            act("nothing")


def test_a_deleted_job_is_gone(queue):
    name = queue.enqueue_sweep("shop").id
    queue.delete(name)
    assert queue.job(name) is None
    assert queue.queue_view().waiting == 0


def test_the_queue_tells_how_long_the_first_has_waited(queue):
    assert queue.queue_view().oldest_age_seconds is None
    queue.enqueue_sweep("shop")
    age = queue.queue_view().oldest_age_seconds
    assert age is not None
    assert 0 <= age < 30


def test_jobs_are_listed_latest_first_and_by_state(queue, client):
    names = [queue.enqueue_sweep(namespace).id for namespace in ("a", "b", "c")]
    end(client, names[0], "failed", seconds_ago=10)
    client.rpush(f"rq:queue:{QUEUE_NAME}", names[1], names[2])
    assert {job.id for job in queue.jobs()} == set(names)
    assert [job.id for job in queue.jobs(JobState.FAILED)] == [names[0]]
    assert len(queue.jobs(limit=2)) == 2
    assert (queue.queue_view().failed, queue.queue_view().waiting) == (1, 2)


def test_what_was_stopped_on_purpose_is_not_counted_as_failed(queue, client):
    end(client, queue.enqueue_sweep("shop").id, "stopped")
    assert (queue.queue_view().failed, queue.queue_view().stopped) == (0, 1)
    assert [job.state for job in queue.jobs(JobState.STOPPED)] == [JobState.STOPPED]


def test_the_queue_is_suspended_and_resumed(queue):
    assert not queue.queue_view().suspended
    queue.suspend()
    assert queue.queue_view().suspended
    queue.resume()
    assert not queue.queue_view().suspended


def test_a_record_holds_neither_a_prompt_nor_criteria(installation, queue, client):
    from core.bans.criteria import Criteria

    installation.fill("shop", 1)
    installation.services.invalidation.invalidate(
        Criteria(namespace="shop", keywords=("secret word",)), actor="anna", hold_seconds=0
    )
    name = queue.enqueue_sweep("shop").id
    record = client.hgetall(f"rq:job:{name}")
    assert zlib.decompress(record[b"data"]) == b'["workers.tasks.sweep", null, [], {"version": 1, "namespace": "shop"}]'
    assert record[b"description"] == b"sweep shop"
    assert b"secret" not in b"".join(record.values())


def test_a_record_that_cannot_be_read_is_no_job(queue, client):
    for name, fields in (
        ("bad-date", {"data": "x", "created_at": "yesterday"}),
        ("bad-number", {"data": "x", "ttl": "a"}),
    ):
        client.hset(f"rq:job:{name}", mapping=fields)
        client.rpush(f"rq:queue:{QUEUE_NAME}", name)
        assert queue.job(name) is None
    assert queue.jobs() == []


def test_a_worker_that_was_not_heard_of_is_lost(queue, client):
    def register(name: str, seconds_ago: float) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - seconds_ago))
        client.hset(f"rq:worker:{name}", mapping={"birth": moment, "last_heartbeat": moment, "pid": 1, "state": "idle"})
        client.sadd(f"rq:workers:{QUEUE_NAME}", f"rq:worker:{name}")

    register("fresh", 5)
    register("silent", 90)
    client.sadd(f"rq:workers:{QUEUE_NAME}", "rq:worker:expired")
    assert {worker.name: worker.lost for worker in queue.workers()} == {"fresh": False, "silent": True}
    assert queue.alive_workers() == queue.queue_view().alive_workers == 1


def test_looking_does_not_change_how_long_a_page_waits(installation, queue):
    before = installation.services.queue_redis.connection_pool.connection_kwargs["socket_timeout"]
    queue.enqueue_sweep("shop")
    queue.workers()
    queue.queue_view()
    assert installation.services.queue_redis.connection_pool.connection_kwargs["socket_timeout"] == before


def test_without_redis_it_says_so(redis_server):
    server = redis_server()
    with server.client(retry=None) as client:
        queue = JobQueue(client, AuditLog(None))
        server.kill()
        for look in (queue.workers, queue.queue_view, queue.jobs, queue.ping, lambda: queue.job("x")):
            with pytest.raises(StoreUnavailable):
                look()


def test_ids_are_made_of_what_ids_may_be_made_of():
    assert job_id("sweep", "shop.eu").replace("-", "").isalnum()
    assert job_id("prune", None) == "prune"
