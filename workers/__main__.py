"""python -m workers: runs a pool of workers until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import sys

import click

from core.bootstrap import bootstrap
from core.configuration import queue_url
from core.errors import CacheError
from core.settings import Settings
from core.text import log_lines
from workers.pool import Pool


class _Commands(click.Group):
    """Loads the commands of the queue when one is asked for: a pool is to start quickly and to stay small."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["jobs"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "jobs":
            return None
        from workers.cli import jobs

        return jobs


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. Default: ENCORE_WORKERS (2).")
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
@click.option("--verbose", is_flag=True, help="Log more.")
@click.pass_context
def main(context: click.Context, workers: int | None, burst: bool, verbose: bool) -> None:
    """Run the pool of workers that sweeps invalidated answers and runs what is scheduled. With `jobs`: look at the
    queue and change it.

    SIGTERM or Ctrl-C ends the pool after the running batches; what is left of a job goes back into the queue.
    """
    if context.invoked_subcommand is not None:
        return
    log_lines(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("rq").setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("rq.worker").setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        settings = Settings()
        with bootstrap(settings) as services:
            status = Pool(services, queue_url(settings) or "", size=workers or settings.workers, burst=burst).run()
    except CacheError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    sys.exit(status)


if __name__ == "__main__":
    main()
