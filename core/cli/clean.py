"""The commands that look after what is stored: deletes what an older version has left, rebuilds the near index."""

from __future__ import annotations

import sys

import click

from ..access import Action
from ..errors import StoreUnavailable
from ..semantic import NearIndexState
from ..stores.redis import remove_older
from .shell import Exit, Shell, cli, command


@command(cli)
def clean(shell: Shell) -> int:
    """Delete the answers, records and indexes that an older version of Encore has left in Redis.

    No lookup finds them any more. Audit, schedules, thresholds and labels stay. Run it when no older version uses this
    Redis any more; it can be stopped and repeated.
    """
    redis = shell.shared.redis
    if redis is None:
        raise StoreUnavailable("there is no Redis")
    trail = shell.trail
    trail.require(Action.SWEEP)
    removed = remove_older(redis)
    trail.try_record("store.cleaned", details={"keys": removed})
    shell.answer({"removed": removed}, f"{removed} keys of older versions deleted.")
    return Exit.OK


@command(cli)
@click.option("--now", "at_once", is_flag=True, help="Rebuild it in this process instead, and wait.")
@click.option("--look", is_flag=True, help="Only show whether it is needed.")
def rebuild(shell: Shell, at_once: bool, look: bool) -> int:
    """Have a worker rebuild the index of near questions for the embedder in use, after ENCORE_EMBEDDER was changed.

    What other embedders have stored stays as it is and expires with its answers: going back costs nothing. It can be
    stopped and repeated. Let the workers use the new embedder first. Exit status 3 when there is nothing to do.
    """
    near_index = shell.shared.near_index
    if at_once and look:
        raise click.UsageError("Give --now or --look.")
    state = near_index.state()
    if look:
        shell.answer(state.to_dict(), _words(state))
        return Exit.OK if state.wanting else Exit.NOTHING
    if not at_once:
        near_index.ask(actor=shell.trail)
        shell.answer(
            state.to_dict() | {"asked": True},
            f"{_words(state)}\nA worker rebuilds it within seconds: `python -m workers jobs` shows how far it is.",
        )
        return Exit.OK
    with click.progressbar(
        length=max(state.others, 1), label="Rebuilding", file=sys.stderr, hidden=shell.as_json
    ) as bar:
        done = near_index.rebuild(actor=shell.trail, on_batch=lambda so_far: bar.update(so_far.done - bar.pos))
    shell.answer(done.to_dict(), f"{done.words}.")
    return Exit.OK if done.done else Exit.NOTHING


def _words(state: NearIndexState) -> str:
    return state.words or "The index of near questions has no rows of other embedders."
