"""python -m workers jobs, as a shell or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest

from core.access.audit import AuditLog
from core.bootstrap import Services, bootstrap
from core.errors import WriteRefused
from core.settings import Settings
from tests.fakes import CountingProvider
from workers.__main__ import main
from workers.queue import JobQueue, JobState

ROOT = Path(__file__).parents[2]


class Terminal:
    """Runs commands; `data` is the answer to one with --json."""

    def run(self, *arguments: str, status: int = 0) -> str:
        result = click.testing.CliRunner().invoke(main, ["jobs", *arguments], prog_name="python -m workers")
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output

    def data(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", status=status))


@pytest.fixture
def terminal(redis_server, monkeypatch) -> Terminal:
    """On a server of its own: the queue is that of a whole installation."""
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


@pytest.fixture
def services(terminal) -> Iterator[Services]:
    with bootstrap(Settings(), provider=CountingProvider()) as built:
        yield built


@pytest.fixture
def queue(services) -> JobQueue:
    return JobQueue(services.queue_redis, AuditLog(None))


def test_help_names_them_and_the_exit_statuses(terminal):
    shown = terminal.run("--help")
    for name in ("list", "stop", "retry", "delete", "suspend", "resume", "sweep"):
        assert f"  {name} " in shown
        assert "Exit status:" in terminal.run(name, "--help")


def test_jobs_are_listed_by_state(terminal, queue):
    assert terminal.data() == []
    assert "There are no jobs." in terminal.run()
    job = queue.enqueue_sweep("shop")
    [listed] = terminal.data()
    assert (listed["id"], listed["kind"], listed["namespace"], listed["state"]) == (job.id, "sweep", "shop", "queued")
    assert job.id in terminal.run("list")
    assert terminal.data("list", "--state", "failed") == []
    terminal.run("list", "--state", "nothing", status=2)
    assert "after the subcommand" in terminal.run("--json", "stop", job.id, status=2)


def test_a_job_is_stopped_run_again_and_deleted_and_all_of_it_is_on_record(terminal, services, queue):
    job = terminal.data("sweep", "shop")["id"]
    assert terminal.data("stop", job)["state"] == "cancelled"
    assert terminal.data("retry", job)["state"] == "queued"
    assert "Stopped." in terminal.run("stop", job)
    assert terminal.data("delete", job) == {"deleted": job, "audit_problem": None}
    assert queue.job(job) is None
    records = services.audit.records()[::-1]
    assert [record.action for record in records] == ["job.stopped", "job.retried", "job.stopped", "job.deleted"]
    assert {(record.actor, record.source, record.namespace) for record in records} == {("anna", "cli", "shop")}
    assert records[0].details == {"job": job, "kind": "sweep"}


def test_workers_are_suspended_and_resumed_on_record(terminal, services, queue):
    terminal.run("suspend")
    assert queue.queue_view().suspended
    assert terminal.data("resume")["suspended"] is False
    assert not queue.queue_view().suspended
    assert [record.action for record in services.audit.records()] == ["workers.resumed", "workers.suspended"]


@pytest.mark.parametrize("name", ["stop", "retry", "delete"])
def test_what_is_not_there_is_said_so(terminal, services, name):
    assert terminal.data(name, "nothing", status=3)["error"] == "JobNotFound"
    assert services.audit.records() == []


def test_what_the_state_does_not_allow_is_refused(terminal, queue):
    job = queue.enqueue_sweep("shop").id
    assert terminal.data("retry", job, status=1)["error"] == "JobRefused"


def test_who_has_no_role_for_it_is_refused(terminal, services, queue, monkeypatch):
    job = queue.enqueue_sweep("shop").id
    monkeypatch.setenv("ENCORE_CLI_ROLE", "viewer")
    for arguments in (("stop", job), ("retry", job), ("delete", job), ("suspend",), ("resume",), ("sweep", "shop")):
        assert terminal.data(*arguments, status=1)["error"] == "AccessDenied"
    assert (queue.job(job).state, services.audit.records()) == (JobState.QUEUED, [])


def test_what_is_done_without_a_record_says_so(terminal, queue, monkeypatch):
    job = queue.enqueue_sweep("shop").id

    def refuse(self, record):
        raise WriteRefused("Redis takes no writes now")

    monkeypatch.setattr("core.access.audit.AuditLog.append", refuse)
    assert "Stopped. The audit record could not be written: Redis takes no writes" in terminal.run("stop", job)
    assert queue.job(job).state is JobState.CANCELLED


def test_without_redis_there_are_no_jobs(terminal, monkeypatch, tmp_path):
    monkeypatch.delenv("ENCORE_REDIS_URL")
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    assert terminal.data(status=1)["error"] == "StoreUnavailable"


def test_a_pool_does_not_load_what_only_commands_need():
    code = "import sys, workers.__main__; print([name for name in sys.modules if name.startswith('core.cli')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
