"""Workers: who works, what waits, what failed and why, and what can be done about it."""

from __future__ import annotations

import pytest

from core.errors import WriteRefused
from core.monitoring.worker_pools import WorkerPools
from pages.components.data import context
from pages.components.shell.job_card import KINDS, STATES, progress_in_words
from tests.pages.conftest import everything_said
from workers.queue import JobState
from workers.queue.job import KINDS as TASKS
from workers.queue.records import queue_on


def figure(at, label):
    return next(metric.value for metric in at.metric if metric.label == label)


def test_without_workers_and_jobs_it_says_what_that_means(open_page, services):
    at = open_page("workers")
    said = everything_said(at)
    assert figure(at, "Workers alive") == "0"
    assert "hidden answers stay hidden" in said
    assert "python -m workers" in said
    assert "No jobs" in said


def test_workers_that_keep_ending_are_said_in_place_of_how_to_start_some(open_page, services):
    WorkerPools(services.queue_redis).beat("a", host="machine-7", pid=1, workers=0, failing=True)
    at = open_page("workers")
    assert "Workers keep stopping right after they start: their log says why. On `machine-7`." in everything_said(at)
    assert "python -m workers" not in everything_said(at)
    [alert] = [warning.value for warning in open_page("dashboard").warning if "Alert" in warning.value]
    assert "Workers keep stopping right after they start" in alert
    assert "python -m workers" not in alert


def test_workers_are_listed_with_their_heartbeat(open_page, a_worker):
    at = open_page("workers")
    assert figure(at, "Workers alive") == "1"
    table = at.dataframe[0].value
    assert list(table["name"]) == [a_worker.name]
    assert table["heartbeat"][0] < 30


def test_a_worker_that_was_not_heard_of_may_be_lost(open_page, services, a_worker):
    services.queue_redis.hset(a_worker.key, "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    at = open_page("workers")
    assert figure(at, "Workers alive") == "0"
    assert list(at.dataframe[0].value["state"]) == ["lost?"]
    assert "may have been killed" in everything_said(at)


def test_a_waiting_job_can_be_cancelled_run_again_and_deleted(open_page, queue):
    job = queue.enqueue_sweep("default")
    at = open_page("workers")
    assert figure(at, "Waiting") == "1"
    assert "waiting: no worker is alive" in [bar.proto.text for bar in at.get("progress")]
    at.button(key=f"stop-{job.id}").click().run()
    assert queue.job(job.id).state is JobState.CANCELLED
    at.button(key=f"retry-{job.id}").click().run()
    assert queue.job(job.id).state is JobState.QUEUED
    at.button(key=f"stop-{job.id}").click().run()
    at.button(key=f"delete-{job.id}").click().run()
    assert queue.jobs() == []
    assert not at.exception


def test_what_is_done_to_jobs_and_workers_is_on_record(open_page, services, queue):
    job = queue.enqueue_sweep("default")
    at = open_page("workers")
    for key in (f"stop-{job.id}", f"retry-{job.id}", f"stop-{job.id}", f"delete-{job.id}", "suspend", "resume"):
        at.button(key=key).click().run()
    records = services.audit.records()[::-1]
    told = [(record.action, record.namespace, record.details) for record in records]
    details = {"job": job.id, "kind": "sweep"}
    assert told == [
        ("job.stopped", "default", details),
        ("job.retried", "default", details),
        ("job.stopped", "default", details),
        ("job.deleted", "default", details),
        ("workers.suspended", None, {}),
        ("workers.resumed", None, {}),
    ]
    assert {(record.actor, record.source) for record in records} == {("console", "console")}


def test_what_was_done_and_could_not_be_put_on_record_says_both(open_page, services, queue, monkeypatch):
    job = queue.enqueue_sweep("default")
    at = open_page("workers")

    def refuse(record):
        raise WriteRefused("Redis takes no writes now (OOM)")

    monkeypatch.setattr(services.audit, "append", refuse)
    at.button(key=f"stop-{job.id}").click().run()
    assert queue.job(job.id).state is JobState.CANCELLED
    assert "Stopped. The audit record could not be written: Redis takes no writes" in at.success[0].value.replace(
        "\\", ""
    )


def test_a_job_that_is_gone_meanwhile_is_told(open_page, services, queue):
    job = queue.enqueue_sweep("default")
    at = open_page("workers")
    queue.delete(job.id)
    at.button(key=f"stop-{job.id}").click().run()
    assert "there is no job" in at.error[0].value
    assert services.audit.records() == [], "nothing was done"


def test_a_failed_job_says_why(open_page, services, run_jobs):
    queue_on(services.queue_redis).enqueue_call(
        "workers.tasks.sweep", kwargs={"version": 2, "namespace": "default"}, job_id="sweep-broken"
    )
    run_jobs(services)
    at = open_page("workers")
    assert figure(at, "Failed") == "1"
    assert "version" in at.error[0].value
    at.pills(key="jobs-state").select("running").run()
    assert "None match." in everything_said(at)


def test_all_workers_can_be_paused_and_let_go_on(open_page, queue):
    at = open_page("workers")
    at.button(key="suspend").click().run()
    assert queue.queue_view().suspended
    assert [warning.value for warning in at.warning if "take no new jobs" in warning.value]
    at.button(key="resume").click().run()
    assert not queue.queue_view().suspended


def test_a_viewer_sees_jobs_and_can_do_nothing(open_page, queue, viewer):
    job = queue.enqueue_sweep("default")
    at = open_page("workers")
    assert at.button(key=f"stop-{job.id}").disabled
    assert at.button(key="suspend").disabled
    assert "Read only: this needs the role operator, yours is viewer." in everything_said(at)


def test_every_state_and_every_kind_has_words():
    assert set(STATES) == set(JobState)
    assert set(KINDS) == TASKS | {"unknown"}


@pytest.mark.parametrize(
    ("kind", "told", "words"),
    [
        (
            "sweep",
            {"scanned": 233, "deleted": 137, "freed_bytes": 79_160},
            "233 entries looked at, 137 deleted, 79 kB freed",
        ),
        ("group", {"done": 100, "total": 187, "groups": 0}, "100 of 187 questions read"),
        ("group", {"done": 187, "total": 187, "groups": 22}, "187 of 187 questions read, in 22 groups"),
        (
            "replay",
            {"sent": 20, "hits": 10, "hit_rate": 0.5, "errors": 0, "saved_usd": 0.01},
            "20 sent, 10 hits (50.0 %), 0 errors, $0.01 saved",
        ),
        ("prune", {"dropped": 3}, "3 rows of expired entries dropped"),
        ("sweep", {}, ""),
        ("other", {"a": 1}, ""),
    ],
)
def test_progress_in_words(kind, told, words):
    assert progress_in_words(kind, told) == words


def test_pools_and_schedules_are_told(open_page, services, a_worker):
    assert "No schedule" in everything_said(open_page("workers"))
    services.schedules.add(
        namespace="default", actor="test", name="Nightly", older_than_seconds=86_400, daily_at="03:00"
    )
    paused = services.schedules.add(
        namespace="shop", actor="test", name="Hourly", criteria={"model": "gpt-4o"}, every_seconds=3600
    )
    services.schedules.pause(paused.id, actor="test")
    context.readings().renew()
    at = open_page("workers")
    assert not at.exception
    table = at.dataframe[-1].value.set_index("name")
    assert table.loc["Nightly", "rhythm"] == "daily at 03:00 UTC"
    assert table.loc["Nightly", "what"] == "older than 1 d in default"
    assert list(table.loc[["Nightly", "Hourly"], "state"]) == ["on", "paused"]
    assert "1 pool: `localhost`, process" in everything_said(at)
    at.button(key="to-schedules").click().run()
    assert [title.value for title in at.title] == ["Schedules"]
