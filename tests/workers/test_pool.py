"""The pool, its workers and their tasks as real processes on a real Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from core.bans.ban import BanState
from core.bans.criteria import Criteria
from core.invalidation.schedules import Schedules
from core.invalidation.sweep import GENTLE_BATCH
from core.keys.names import Slot, readable_key
from core.models import Stamp
from core.monitoring.worker_pools import WorkerPools
from core.stores import codec
from core.stores.base import Write
from core.stores.redis.connection import packed
from tests.cache.test_bypass import can_save, cannot_save, has_room, is_a_primary, is_a_replica, is_full
from tests.metrics.outcomes import a_hit
from tests.processes import descendants
from tests.relay import Relay, relay_to
from tests.samples import an_entry, digest_of
from tests.workers.conftest import DEADLINE_SECONDS, ROOT, Installation, eventually
from workers.queue import JobState
from workers.queue.records import QUEUE_NAME, job_id

pytestmark = pytest.mark.slow

MANY = 1000
"""Entries of several batches."""


def fill_fast(installation: Installation, namespace: str, count: int) -> Stamp:
    """Stores many entries without going through a cache; the stamp that they carry."""
    store = installation.services.store
    slot = Slot(namespace, 0)
    record = store.ensure_record(slot)
    for number in range(count):
        entry = an_entry(
            f"p{number}",
            namespace=namespace,
            incarnation=record.incarnation,
            sequence=record.sequence,
            created_at=time.time(),
            fresh_until=time.time() + 3600,
        )
        header = entry.header
        write = Write(
            digest=header.digest,
            value=codec.encode_entry(entry),
            ttl_ms=600_000,
            model=header.model,
            created_at=header.created_at,
        )
        assert store.write(slot, write, record.stamp, record.sequence)
    return record.stamp


class HeldSweep:
    """A sweep that has deleted one batch of many, and is held at a gate in the next.

    WorkerPools of this `environment` reach what is cached through a relay, where it is held, and their queue as always.
    """

    def __init__(self, installation: Installation, relay: Relay) -> None:
        self._installation = installation
        self._relay = relay
        self.environment = {"ENCORE_REDIS_URL": relay.url, "ENCORE_QUEUE_REDIS_URL": installation.url}

    def begin(self, namespace: str = "shop", **criteria: str) -> str:
        """Invalidates, and returns when the sweep is held; the job's id."""
        stamp = fill_fast(self._installation, namespace, MANY)
        # Only who deletes names the stamp that was seen, or what entries begin with together with their incarnation.
        _, _, by_model = packed([Slot(namespace, 0).entries, stamp.incarnation]).partition(b"\r\n")
        self._gate = self._relay.hold_after(codec.stamp_bytes(stamp.incarnation, stamp.sequence), by_model)
        done = self._installation.services.invalidation.invalidate(
            Criteria(namespace=namespace, **(criteria or {"pattern": "p*"})), actor="anna", hold_seconds=0
        )
        assert done.effective
        name = self._installation.queue.enqueue_sweep(namespace).id
        self._gate.wait_for()
        self.left = self._installation.entries(namespace)
        assert 0 < self.left < MANY
        return name

    def open(self) -> None:
        """Lets it go on, and every other sweep."""
        self._gate.open()


@pytest.fixture
def held_sweep(installation: Installation) -> Iterator[HeldSweep]:
    with relay_to(installation.url) as relay:
        yield HeldSweep(installation, relay)


@contextmanager
def until_told(pid: int, number: int) -> Iterator[None]:
    """At the end the process has been sent this signal, and has done nothing meanwhile: it hears it before all else.

    Not for one that loses its parent: a stopped process that nobody could continue any more is ended by the kernel.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: status_of(pid)["State"].startswith("T"))
        yield
        eventually(lambda: number in pending(pid))
    finally:
        os.kill(pid, signal.SIGCONT)


def pending(pid: int) -> set[int]:
    """The signals that a process was sent and has not heard yet."""
    mask = int(status_of(pid)["ShdPnd"], 16)
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


def status_of(pid: int) -> dict[str, str]:
    """What the kernel tells of a process, by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def is_swept(installation: Installation, namespace: str = "shop") -> bool:
    return installation.entries(namespace) == 0 and not installation.services.invalidation.active(namespace)


def the_worker_of(installation: Installation, name: str) -> int:
    [worker] = [worker for worker in installation.queue.workers() if worker.job_id == name]
    return worker.pid


def test_what_is_due_is_swept_by_itself_and_the_pool_ends_without_a_trace(installation, start_pool):
    installation.fill("shop", 50)
    installation.fill("shop", 10, model="gpt-4o-mini")
    done = installation.services.invalidation.invalidate(
        Criteria(namespace="shop", model="gpt-4o"), actor="anna", hold_seconds=0
    )
    pool = start_pool()
    assert pool.ready() == "workers  2 ready\n"
    eventually(lambda: installation.services.invalidation.find(done.id).state == "swept")
    [job] = [job for job in installation.queue.jobs() if job.kind == "sweep"]
    # The audit log tells of the sweep's end a moment before the queue tells of the job's.
    job = eventually(lambda: (now := installation.queue.job(job.id)).state is not JobState.RUNNING and now)
    assert (job.state, job.namespace, job.share) == (JobState.FINISHED, "shop", 1.0)
    assert (job.result["deleted"], job.result["scanned"], job.result["finished"]) == (50, 60, True)
    assert installation.entries("shop") == 20, "entries and aliases of the other model"
    assert WorkerPools(installation.services.queue_redis).alive_workers() == 2

    processes = descendants(pool.process.pid)
    assert len(processes) >= 2
    assert pool.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    assert installation.queue.workers() == []
    assert WorkerPools(installation.services.queue_redis).alive() == []
    assert pool.said() == ""


def test_progress_is_seen_while_a_sweep_runs_and_stopping_ends_it(installation, start_pool, held_sweep):
    start_pool(**held_sweep.environment).ready()
    name = held_sweep.begin(model="gpt-4o")  # its first batch is what is told first
    running = installation.queue.job(name)
    assert running.state is JobState.RUNNING
    assert 0 < running.progress["deleted"] <= running.progress["scanned"]
    assert [worker.job_id for worker in installation.queue.workers() if worker.job_id] == [name]
    installation.queue.stop(name)
    stopped = eventually(lambda: (job := installation.queue.job(name)).state is not JobState.RUNNING and job)
    assert (stopped.state, stopped.kind) == (JobState.STOPPED, "sweep")
    assert installation.entries("shop") == held_sweep.left
    [ban] = installation.services.invalidation.active("shop")
    assert ban.state == BanState.SWEEPING.value, "hidden all the same"
    assert installation.queue.reconcile_sweep("shop") is None
    assert installation.entries("shop") == held_sweep.left

    held_sweep.open()
    installation.queue.retry(name)
    eventually(lambda: is_swept(installation))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pool_that_is_asked_to_end_ends_between_two_batches_and_puts_the_job_back(
    installation, start_pool, held_sweep, number
):
    pool = start_pool("--workers", "1", **held_sweep.environment)
    pool.ready()
    name = held_sweep.begin()
    [horse] = descendants(the_worker_of(installation, name))
    with until_told(horse, signal.SIGTERM):
        if number == signal.SIGINT:
            os.killpg(pool.process.pid, signal.SIGINT)  # as a terminal does, to all of them
        else:
            pool.process.send_signal(number)
    held_sweep.open()
    assert pool.process.wait(DEADLINE_SECONDS) == 0
    assert pool.said() == ""
    assert installation.queue.job(name).state is JobState.QUEUED
    assert held_sweep.left - GENTLE_BATCH <= installation.entries("shop"), "no more than what it was about to delete"
    start_pool("--workers", "1").ready()
    eventually(lambda: is_swept(installation))


HORSE = """
import os, signal, sys
from workers.queue.job import current_task
from workers.queue.worker import PoolWorker

def end_again(*line):
    os.kill(os.getpid(), signal.SIGTERM)
    return end_again

PoolWorker.setup_work_horse_signals(None)
sys.settrace(end_again)
os.kill(os.getpid(), signal.SIGTERM)
sys.settrace(None)
print(current_task().should_stop())
"""


def test_a_horse_that_is_told_to_end_at_every_line_of_hearing_it_hears_it():
    horse = subprocess.run([sys.executable, "-c", HORSE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (horse.stdout, horse.stderr) == ("True\n", "")


def test_a_killed_horse_is_replaced(installation, start_pool, held_sweep):
    start_pool("--workers", "1", **held_sweep.environment).ready()
    name = held_sweep.begin()
    [horse] = descendants(the_worker_of(installation, name))
    tries = installation.queue.job(name).retries_left
    os.kill(horse, signal.SIGKILL)
    eventually(lambda: installation.queue.job(name).retries_left == tries - 1)  # it is `retrying` for a second only
    held_sweep.open()
    eventually(lambda: is_swept(installation))


def test_a_killed_worker_is_replaced_and_its_horse_puts_the_job_back(installation, start_pool, held_sweep):
    pool = start_pool("--workers", "1", **held_sweep.environment)
    pool.ready()
    name = held_sweep.begin()
    worker = the_worker_of(installation, name)
    [horse] = descendants(worker)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: horse not in descendants(worker))  # it has been told, as the last thing that its parent did
    held_sweep.open()
    eventually(lambda: is_swept(installation))
    assert "another one is started" in pool.said()


def test_workers_that_keep_ending_as_they_start_are_said_and_count_for_none(installation, start_pool):
    pool = start_pool("--workers", "2")
    pools = WorkerPools(installation.services.queue_redis)
    assert pool.ready() == "workers  2 ready\n"
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(pool.ready()))
    reader.start()
    while reader.is_alive():
        for pid in descendants(pool.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reader.join(0.05)
    assert said == [
        "workers  keep stopping right after they start: nothing is swept, no schedule runs; their log says why\n"
    ]
    failing = eventually(lambda: [pool for pool in pools.alive() if pool.failing])
    assert [pool.workers for pool in failing] == [0]
    assert pool.ready() == "workers  2 ready\n", "once they have lived for a while"
    eventually(lambda: [(pool.workers, pool.failing) for pool in pools.alive()] == [(2, False)])


@pytest.mark.parametrize("folder", ["a b", "a=b", "ünï,code #1"])
def test_workers_work_on_a_socket_in_a_folder_of_any_name(redis_binary, tmp_path, folder):
    from core.stores.redis.embedded import EmbeddedRedis
    from tests.workers.conftest import PoolProcess

    with EmbeddedRedis(tmp_path / folder, binary=redis_binary, durable=False) as server:
        pool = PoolProcess(server.url, tmp_path)
        try:
            assert pool.ready() == "workers  2 ready\n"
            assert pool.stop() == 0
        finally:
            pool.kill()
            pool.process.stdout.close()
        assert "Traceback" not in pool.said()


def test_the_reconciler_starts_a_sweep_again_whose_worker_and_horse_were_killed(installation, start_pool, held_sweep):
    start_pool("--workers", "1", **held_sweep.environment).ready()
    worker = the_worker_of(installation, held_sweep.begin())
    for pid in (*descendants(worker), worker):
        os.kill(pid, signal.SIGKILL)
    held_sweep.open()
    # What the library waits a minute for: nobody has heard of this execution.
    client = installation.services.queue_redis
    for execution in client.zrange(f"rq:wip:{QUEUE_NAME}", 0, -1):
        client.zadd(f"rq:wip:{QUEUE_NAME}", {execution: time.time() - 1})
    eventually(lambda: is_swept(installation))


def test_a_queue_that_was_lost_is_filled_again(installation, start_pool):
    fill_fast(installation, "shop", 100)
    installation.services.invalidation.invalidate(Criteria(namespace="shop", all=True), actor="a", hold_seconds=0)
    installation.queue.enqueue_sweep("shop")
    installation.services.queue_redis.delete(f"rq:queue:{QUEUE_NAME}")
    start_pool("--workers", "1").ready()
    eventually(lambda: is_swept(installation))


def test_workers_die_with_a_pool_that_is_killed(installation, start_pool):
    pool = start_pool()
    pool.ready()
    workers = descendants(pool.process.pid)
    pool.process.kill()
    pool.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_workers_outlive_a_restart_of_redis_that_forgets_everything(redis_server, tmp_path, monkeypatch):
    from core.bootstrap import bootstrap
    from core.settings import Settings
    from tests.workers.conftest import PoolProcess
    from workers.queue import JobQueue

    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    pool = PoolProcess(server.url, tmp_path)
    try:
        pool.ready()
        with bootstrap(Settings()) as services:
            queue = JobQueue(services.queue_redis, services.audit)
            # The pool's first job: one that Redis leaves half-way would fail, and say so.
            eventually(lambda: (job := queue.job(job_id("prune", None))) and job.state is JobState.FINISHED)
            before = set(descendants(pool.process.pid))
            server.kill()
            server.start()
            eventually(lambda: queue.alive_workers() == 2)
            assert {worker.pid for worker in queue.workers()} <= before
            name = queue.enqueue_sweep("shop").id
            eventually(lambda: queue.job(name).state is JobState.FINISHED)
        assert pool.stop() == 0
        assert "Traceback" not in pool.said()
    finally:
        pool.kill()
        pool.process.stdout.close()


# What workers refuse


def plant(installation: Installation, name: str, data: bytes, **fields: str) -> None:
    """Puts a record into the queue as anyone who can write to Redis could."""
    client = installation.services.queue_redis
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    record = {
        "data": zlib.compress(data),
        "created_at": moment,
        "status": "queued",
        "origin": QUEUE_NAME,
        "timeout": "60",
    }
    client.hset(f"rq:job:{name}", mapping=record | {"retries_left": "5"} | fields)
    client.rpush(f"rq:queue:{QUEUE_NAME}", name)


def test_workers_run_nothing_but_their_own_tasks_and_live_on(installation, start_pool, tmp_path):
    marker = tmp_path / "marker"
    pickled = f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    payloads = {
        "pickled": pickled,
        "shell": json.dumps(["os.system", None, [f"touch {marker}"], {}]).encode(),
        "unknown": json.dumps(["workers.tasks.bootstrap", None, [], {"settings": 1}]).encode(),
        "method": json.dumps(["workers.tasks.sweep", "instance", [], {}]).encode(),
        "nonsense": b"\xff\xfe",
    }
    for name, data in payloads.items():
        plant(installation, name, data)
    pool = start_pool("--workers", "1")
    pool.ready()
    worker = installation.queue.workers()[0].name
    failed = eventually(
        lambda: (
            {job.id: job.error for job in installation.queue.jobs(JobState.FAILED)}.keys() >= payloads.keys()
            and {job.id: job.error for job in installation.queue.jobs(JobState.FAILED)}
        )
    )
    assert failed == {
        "pickled": "refused: the payload cannot be read",
        "shell": "refused: os.system is not on the list of tasks",
        "unknown": "refused: workers.tasks.bootstrap is not on the list of tasks",
        "method": "refused: workers.tasks.sweep is not on the list of tasks",
        "nonsense": "refused: the payload cannot be read",
    }
    assert all(job.kind == "unknown" for job in installation.queue.jobs(JobState.FAILED))
    name = installation.queue.enqueue_sweep("shop").id
    eventually(lambda: installation.queue.job(name).state is JobState.FINISHED)
    assert [known.name for known in installation.queue.workers()] == [worker], "it is the same worker"
    assert not marker.exists()


def test_callbacks_and_webhooks_that_a_record_names_are_not_called(installation, start_pool):
    sweep = json.dumps(["workers.tasks.sweep", None, [], {"version": 1, "namespace": "shop"}]).encode()
    webhook = json.dumps([{"url": "http://127.0.0.1:9/", "job_status": "finished"}])
    # Called with a job, a connection and a result this would raise, and the job would fail.
    plant(installation, "planted", sweep, success_callback_name="os.abort", webhooks=webhook, repeats_left="3")
    start_pool("--workers", "1").ready()
    eventually(lambda: installation.queue.job("planted").state is JobState.FINISHED)


def test_arguments_that_a_task_does_not_take_fail_once_and_for_all(installation):
    wrong = [
        {},
        {"version": 1},
        {"version": 2, "namespace": "shop"},
        {"version": 1, "namespace": "shop", "extra": 1},
        {"version": 1, "namespace": 7},
        {"version": 1, "namespace": "a:b"},
        {"version": 1, "namespace": "shop\n"},
        {"version": "1", "namespace": "shop"},
    ]
    for number, arguments in enumerate(wrong):
        plant(installation, f"wrong-{number}", json.dumps(["workers.tasks.sweep", None, [], arguments]).encode())
    plant(installation, "positional", json.dumps(["workers.tasks.sweep", None, ["shop"], {}]).encode())
    plant(
        installation,
        "sample",
        json.dumps(
            [
                "workers.tasks.replay",
                None,
                [],
                {"version": 1, "namespace": "demo", "sample": "../x", "seconds": 5, "rate": 5},
            ]
        ).encode(),
    )
    burst(installation)
    failed = {job.id: job.error for job in installation.queue.jobs(JobState.FAILED)}
    assert len(failed) == len(wrong) + 2
    assert {error.partition(":")[0] for error in failed.values()} == {"invalid-arguments"}
    assert failed["sample"] == "invalid-arguments: sample: is one of: banking77"


def burst(installation: Installation) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "workers", "--burst", "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, "ENCORE_REDIS_URL": installation.url},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_burst_does_what_is_there_and_ends(installation):
    fill_fast(installation, "shop", 100)
    installation.services.invalidation.invalidate(Criteria(namespace="shop", all=True), actor="a", hold_seconds=0)
    done = burst(installation)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_swept(installation)


# The other tasks


def test_a_replay_sends_the_sample_through_the_cache(installation, start_pool):
    start_pool("--workers", "1").ready()
    name = installation.queue.enqueue_replay("demo", seconds=1, rate=30).id
    assert installation.queue.enqueue_replay("demo", seconds=1).id == name
    job = eventually(lambda: (job := installation.queue.job(name)).state is JobState.FINISHED and job)
    assert job.result["misses"] > 0
    assert job.result["errors"] == 0
    summary = installation.services.metrics.summary(600, namespace="demo")
    assert summary.requests == job.result["answered"], "the task's own counts have reached Redis"


def test_index_rows_of_expired_entries_are_pruned(installation):
    services = installation.services
    slot = Slot("shop", 0)
    record = services.store.ensure_record(slot)
    for name in ("kept", "gone"):
        entry = an_entry(name, namespace="shop", incarnation=record.incarnation, sequence=record.sequence)
        write = Write(
            digest=digest_of(name), value=codec.encode_entry(entry), ttl_ms=60_000, model="gpt-4o", created_at=1.0
        )
        services.store.write(slot, write, record.stamp, record.sequence)
        services.metrics.record(a_hit(namespace="shop", key=readable_key(0, digest_of(name))))
    services.redis.delete(slot.entry(digest_of("gone")))
    assert services.store.count_model(slot, "gpt-4o") == services.metrics.hits.count(slot) == 2
    burst(installation)
    assert services.store.count_model(slot, "gpt-4o") == services.metrics.hits.count(slot) == 1
    assert installation.queue.reconcile_prune() is None, "once an hour is enough"


def test_a_schedule_runs_by_itself(installation, start_pool):
    services = installation.services
    installation.fill("shop", 3)
    schedules = Schedules(services.redis, services.invalidation, clock=lambda: time.time() - 120)
    schedule = schedules.add(namespace="shop", actor="anna", criteria={"model": "gpt-4o"}, every_seconds=60)
    start_pool("--workers", "1").ready()
    [done] = eventually(lambda: services.invalidation.history(namespace="shop"))
    assert (done.actor, done.id.startswith(f"schedule-{schedule.id}")) == ("anna", True)
    assert schedules.get(schedule.id).last == f"applied: {done.id}"
    assert {record.source for record in services.audit.of(done.id)} == {"schedule"}


# Starting


def start_and_fail(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "workers"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_redis_it_says_what_to_do(tmp_path):
    failed = start_and_fail(ENCORE_HOME=str(tmp_path))
    assert failed.returncode == 1
    assert "ENCORE_REDIS_URL" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_settings_that_cannot_be_used_are_said_so():
    failed = start_and_fail(ENCORE_WORKERS="none", ENCORE_REDIS_URL="redis://x:abc")
    assert failed.returncode == 1
    assert "ENCORE_WORKERS" in failed.stderr
    assert "ENCORE_REDIS_URL" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_it_waits_for_a_redis_that_is_not_there_yet_and_may_be_stopped_meanwhile(redis_server, tmp_path):
    from tests.workers.conftest import PoolProcess

    server = redis_server()
    server.kill()
    pool = PoolProcess(server.url, tmp_path)
    eventually(lambda: "waiting for it" in pool.said())
    assert pool.stop() == 0
    pool.process.stdout.close()
    assert "Traceback" not in pool.said()


def too_few_replicas(client) -> None:
    client.config_set("min-replicas-to-write", "1")


def enough_replicas(client) -> None:
    client.config_set("min-replicas-to-write", "0")


REFUSING = {
    "NOREPLICAS": (too_few_replicas, enough_replicas),
    "READONLY": (is_a_replica, is_a_primary),
    "MISCONF": (cannot_save, can_save),
    "OOM": (is_full, has_room),
}


@pytest.mark.parametrize("code", REFUSING)
def test_workers_wait_while_redis_takes_no_writes_and_go_on_afterwards(installation, start_pool, code):
    refuse, recover = REFUSING[code]
    pool = start_pool("--workers", "2")
    pool.ready()
    client = installation.services.redis
    refuse(client)
    try:
        eventually(lambda: pool.said().count(f"waits: Redis takes no writes now ({code})") == 2)
        late = start_pool("--workers", "1")  # one that starts now waits too
        eventually(lambda: late.said().count(f"waits: Redis takes no writes now ({code})") == 3)
    finally:
        recover(client)
        client.config_set("save", "")  # else it would not end before it has saved
    late.ready()
    eventually(lambda: pool.said().count("goes on: Redis takes writes again") == 3)
    job = installation.queue.enqueue_sweep("default")
    eventually(lambda: installation.queue.job(job.id).state is JobState.FINISHED)
    said = pool.said()
    assert "Traceback" not in said
    assert "ended" not in said
    assert (pool.stop(), late.stop()) == (0, 0)


def test_a_pool_ends_at_once_while_redis_takes_no_writes(installation, start_pool):
    too_few_replicas(installation.services.redis)
    pool = start_pool("--workers", "2")
    eventually(lambda: pool.said().count("waits: Redis takes no writes now (NOREPLICAS)") == 2)
    assert pool.stop() == 0
    assert "Traceback" not in pool.said()
    assert "killed" not in pool.said()
