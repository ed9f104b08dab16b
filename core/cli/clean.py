"""The command that deletes what an older version has left."""

from __future__ import annotations

from ..access import Action
from ..errors import StoreUnavailable
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
