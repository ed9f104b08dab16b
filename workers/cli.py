"""python -m workers jobs: the queue on the command line."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from core.access import AuditTrail
from core.cli import EXIT_HELP, Exit, Shell, command, moment, table, text
from core.errors import StoreUnavailable
from core.text import share
from workers.queue import JobQueue, JobState, JobView


@click.group(invoke_without_command=True, epilog=EXIT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def jobs(context: click.Context, as_json: bool) -> None:
    """List jobs; stop, retry or delete one; pause or resume all workers. Without a subcommand: the list."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("Put options after the subcommand they are for.")
        return
    context.invoke(listing, state=None, limit=20, as_json=as_json)


def _queue(shell: Shell) -> JobQueue:
    services = shell.shared
    if services.queue_redis is None:
        raise StoreUnavailable("jobs need a single Redis: beside a cluster set ENCORE_QUEUE_REDIS_URL")
    return JobQueue(services.queue_redis, services.audit)


@command(jobs, name="list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def listing(shell: Shell, state: str | None, limit: int) -> int:
    """List the jobs, newest first."""
    found = _queue(shell).jobs(JobState(state) if state else None, limit)
    rows = [
        (
            job.id,
            job.kind,
            text(job.namespace, 30) or "-",
            job.state.value,
            moment(job.enqueued_at),
            share(job.share) if job.share is not None else "-",
            text(job.error, 80) or "-",
        )
        for job in found
    ]
    header = ("Id", "Kind", "Namespace", "State", "Enqueued", "Done", "Error")
    shell.answer([_plain(job) for job in found], table(rows, header=header) if rows else "There are no jobs.")
    return Exit.OK


@command(jobs)
@click.argument("job_id", metavar="ID")
def stop(shell: Shell, job_id: str) -> int:
    """Stop a running job, or cancel a waiting one."""
    queue, trail = _queue(shell), shell.trail
    stopped = queue.stop(job_id, actor=trail)
    return _answer(shell, trail, _plain(stopped), "Stopped.")


@command(jobs)
@click.argument("job_id", metavar="ID")
def retry(shell: Shell, job_id: str) -> int:
    """Retry a job that failed, was stopped or was cancelled."""
    queue, trail = _queue(shell), shell.trail
    again = queue.retry(job_id, actor=trail)
    return _answer(shell, trail, _plain(again), "Queued again.")


@command(jobs)
@click.argument("job_id", metavar="ID")
def delete(shell: Shell, job_id: str) -> int:
    """Delete a job that does not run. What it has done stays."""
    queue, trail = _queue(shell), shell.trail
    queue.delete(job_id, actor=trail)
    return _answer(shell, trail, {"deleted": job_id}, "Deleted.")


@command(jobs)
def suspend(shell: Shell) -> int:
    """Pause all workers: they finish their jobs and take no new ones."""
    queue, trail = _queue(shell), shell.trail
    queue.suspend(actor=trail)
    return _answer(shell, trail, {"suspended": True}, "Workers take no new jobs.")


@command(jobs)
def resume(shell: Shell) -> int:
    """Resume all workers: they take jobs again."""
    queue, trail = _queue(shell), shell.trail
    queue.resume(actor=trail)
    return _answer(shell, trail, {"suspended": False}, "Workers take jobs again.")


@command(jobs)
@click.argument("namespace")
def sweep(shell: Shell, namespace: str) -> int:
    """Queue the sweep of a namespace, also where the last one failed or was stopped."""
    job = _queue(shell).enqueue_sweep(namespace, actor=shell.actor)
    shell.answer(_plain(job), f"Queued: {job.id}.")
    return Exit.OK


def _answer(shell: Shell, trail: AuditTrail, plain: dict[str, Any], done: str) -> int:
    """Prints the result, and whether its audit record was written."""
    problem = None if trail.problem is None else str(trail.problem)
    words = done if problem is None else f"{done} The audit record could not be written: {problem}."
    shell.answer(plain | {"audit_problem": problem}, words)
    return Exit.OK


def _plain(job: JobView) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(job)
    return plain | {"share": job.share}
