"""NearIndex: what is stored by other embedders than the one in use, and the rebuild that somebody asks for.

A worker rebuilds, the command line may. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import redis

from ..access import Acting, Action, AuditLog
from ..errors import EmbedderError, InvalidInput, StoreUnavailable
from ..keys import names
from ..providers import Provider
from ..stores import Store
from ..stores.redis import reading, writing
from ..text import many
from .config import SemanticConfig
from .results import RebuildProgress

if TYPE_CHECKING:
    from .embedding import EmbedderIdentity

ASKED_SECONDS = 600
"""A wish that no worker takes up is gone after this."""
BATCH_SECONDS = 60.0
"""How long an embedder may take for a batch: nobody waits for the answer."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild that ended (Unix seconds), what it did, and until when the last row of others was kept then."""

    at: float
    progress: RebuildProgress
    last: float


class NearIndexState(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of the index are of other embedders, and the last rebuild beside these.

    `wanting`: there was none, or others have stored since. `words` say it in a sentence, empty where there is nothing
    to say. `asked`: somebody asked for a rebuild and no worker has taken that up.
    """

    others: int
    asked: bool = False
    rebuilt: Rebuilt | None = None
    wanting: bool = False
    words: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The state as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class NearIndex:
    """The stored index of the embedder in use, beside those of others. Raises StoreUnavailable, EmbedderError.

    Without a client, or where near questions are not looked for (`is_used`), there is nothing beside it.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        store: Store,
        audit: AuditLog,
        config: SemanticConfig,
        provider: Provider,
        *,
        is_used: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store
        self._audit = audit
        self._config = config
        self._provider = provider
        self._is_used = is_used
        self._clock = clock
        self._identity = cache(self._read_identity)

    def embedder(self) -> str:
        """The digest of the identity of the embedder in use, in hex, as evidence has it; empty where there is none."""
        if not self._is_used:
            return ""
        try:
            return self._identity().digest.hex()
        except EmbedderError:
            return ""

    def state(self) -> NearIndexState:
        """What there is of others. Takes a few round trips, and loads the embedder the first time."""
        if self._client is None or not self._is_used:
            return NearIndexState(others=0)
        from .assembly import stored_rows

        rows = stored_rows(self._config, self._client, self._identity(), self._clock)
        with reading():
            others = rows.others(self._store.namespaces())
            asked, value = self._client.mget(names.NEAR_INDEX_ASKED, _rebuilt_name(self._identity()))
        rebuilt = _decoded(value)
        wanting = others.rows > 0 and (
            rebuilt is None
            or rebuilt.progress.failed > 0
            or others.rows > rebuilt.progress.total
            or others.last > rebuilt.last
        )
        return NearIndexState(
            others=others.rows,
            asked=asked is not None,
            rebuilt=rebuilt,
            wanting=wanting,
            words=_words(others.rows, rebuilt, wanting=wanting),
        )

    def ask(self, *, actor: Acting) -> None:
        """Has a worker rebuild the index, within seconds. Raises AccessDenied, InvalidInput."""
        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_JOBS)
        with writing():
            self._stored().set(names.NEAR_INDEX_ASKED, b"1", ex=ASKED_SECONDS)
        trail.try_record("near_index.rebuild_asked")

    def take_up(self) -> bool:
        """Whether a rebuild was asked for; answers so once."""
        if self._client is None:
            return False
        with writing():
            return self._client.getdel(names.NEAR_INDEX_ASKED) is not None

    def rebuild(
        self,
        *,
        actor: Acting = "worker",
        on_batch: Callable[[RebuildProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
        rest: Callable[[float], None] = time.sleep,
    ) -> RebuildProgress:
        """Adds rows of the embedder in use for what others have stored (see `rebuilding`). Takes minutes.

        Raises AccessDenied, InvalidInput, WriteRefused and OutcomeUnknown.
        """
        from .assembly import build_embedder, stored_rows
        from .rebuilding import rebuild

        trail = self._audit.by(actor)
        trail.require(Action.MANAGE_JOBS)
        client = self._stored()
        with closing(build_embedder(self._config, self._provider, batch_seconds=BATCH_SECONDS)) as embedder:
            rows = stored_rows(self._config, client, embedder.identity, self._clock)
            with reading():
                last = rows.others(self._store.namespaces()).last
            done = rebuild(
                self._store,
                rows,
                embedder,
                clock=self._clock,
                rest=rest,
                on_batch=on_batch,
                should_stop=should_stop,
            )
        now = self._clock()
        if done.finished and last > now:
            value = msgspec.json.encode(Rebuilt(at=now, progress=done, last=last))
            with writing():
                client.set(_rebuilt_name(embedder.identity), value, exat=int(last) + 1)
        trail.try_record("near_index.rebuilt", details=msgspec.to_builtins(done))
        return done

    def _stored(self) -> redis.Redis:
        if not self._is_used:
            raise InvalidInput("ENCORE_STRATEGY", "is not semantic: near questions are not looked for")
        if self._client is None:
            raise StoreUnavailable("there is no Redis: the index is in this process, and ends with it")
        return self._client

    def _read_identity(self) -> EmbedderIdentity:
        from .assembly import build_embedder

        with closing(build_embedder(self._config, self._provider)) as embedder:
            return embedder.identity


def _rebuilt_name(embedder: EmbedderIdentity) -> bytes:
    return names.NEAR_INDEX + embedder.digest.hex().encode()


def _words(others: int, rebuilt: Rebuilt | None, *, wanting: bool) -> str:
    if not others:
        return ""
    has = f"The index of near questions has {many(others, 'row')} of another embedder"
    if not wanting:
        return f"{has}, from before it was rebuilt; they expire with their answers."
    if rebuilt is None:
        return f"{has}: near questions may not find these answers until the index is rebuilt."
    if failed := rebuilt.progress.failed:
        return f"{has}, and its rebuild left out {many(failed, 'question')} as the embedder failed: rebuild it again."
    return f"{has}, and some are newer than its last rebuild: rebuild it again to find these too."


def _decoded(value: Any) -> Rebuilt | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=Rebuilt)
    except msgspec.DecodeError:
        return None
