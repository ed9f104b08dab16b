"""Questions: the map of what people ask: made by a worker, read beside the request log, asked for by people."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import redis

from ...access import Acting, Action, AuditLog
from ...keys import names
from ...metrics import KEEP, CacheMetrics, RequestFilter
from ...stores.redis import reading, writing
from .question_map import QuestionMap, decode, encode
from .report import QuestionReport, report

if TYPE_CHECKING:
    from ..embedding import CheckedEmbedder
    from .making import Progress

KEPT_SECONDS = 86_400
"""A map that is not made again is gone after a day. It quotes nothing: what it shows is read from the request log."""
AGAIN_SECONDS = 600
"""How often the map is made by itself, where near questions are looked for."""
EMPTY_SECONDS = 60
"""How soon again when there was nothing to group."""
ASKED_SECONDS = 600
"""A wish that no worker takes up is gone after this."""


class Questions:
    """The map of all processes, or of this one without a client. `embedder` loads a model of this machine.

    `by_itself`: it is made again and again without being asked for. Raises StoreUnavailable, WriteRefused.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        metrics: CacheMetrics,
        audit: AuditLog,
        embedder: Callable[[], CheckedEmbedder],
        *,
        keep_prompts: bool = True,
        by_itself: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._audit = audit
        self._embedder = embedder
        self._keep_prompts = keep_prompts
        self._by_itself = by_itself
        self._clock = clock
        self._local: QuestionMap | None = None

    def report(
        self,
        *,
        namespace: str | None = None,
        model: str | None = None,
        within: Callable[[str], bool] | None = None,
    ) -> QuestionReport:
        """The groups of questions, by the requests in the log: of one namespace or model, or of all; `within` says of
        which namespaces. Linear in the log."""
        where = RequestFilter(namespace=namespace, model=model)
        records = self._metrics.recent(KEEP, where, within=within)
        return report(records, self._known(), keep_prompts=self._keep_prompts)

    def ask(self, *, actor: Acting) -> None:
        """Has a worker group the questions anew, within seconds. Raises AccessDenied."""
        self._audit.by(actor).require(Action.MANAGE_JOBS)
        if self._client is not None:
            with writing():
                self._client.set(names.QUESTIONS_ASKED, b"1", ex=ASKED_SECONDS)

    def is_asked(self) -> bool:
        """Whether it is asked for and no worker has taken that up."""
        if self._client is None:
            return False
        with reading():
            return bool(self._client.exists(names.QUESTIONS_ASKED))

    def take_up(self) -> bool:
        """Whether it was asked for; answers so once."""
        if self._client is None:
            return False
        with writing():
            return self._client.getdel(names.QUESTIONS_ASKED) is not None

    def is_due(self) -> bool:
        """Whether it is to be made again by itself."""
        if self._client is None or not (self._by_itself and self._keep_prompts):
            return False
        with reading():
            left: int = self._client.ttl(names.QUESTIONS)  # below zero: there is none
        return left < KEPT_SECONDS - AGAIN_SECONDS

    def group(
        self,
        *,
        actor: Acting = "worker",
        on_batch: Callable[[Progress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Progress:
        """Groups the recorded questions and keeps the map. Takes seconds. Raises Stopped, EmbedderError and
        AccessDenied."""
        from .making import Progress, make  # NumPy, which most processes never need

        self._audit.by(actor).require(Action.MANAGE_JOBS)
        with closing(self._embedder()) as embedder:
            records = self._metrics.recent(KEEP) if self._keep_prompts else []
            made = make(records, embedder, self._clock(), on_batch=on_batch, should_stop=should_stop)
        if self._client is None:
            self._local = made
        else:
            with writing():
                is_soon_due = not made.places and not made.unread
                seconds = KEPT_SECONDS - AGAIN_SECONDS + EMPTY_SECONDS if is_soon_due else KEPT_SECONDS
                self._client.set(names.QUESTIONS, encode(made), ex=seconds)
        groups = len({place.group for place in made.places.values()})
        return Progress(done=len(made.places), total=len(made.places), groups=groups)

    def _known(self) -> QuestionMap | None:
        if self._client is None:
            return self._local
        with reading():
            value = self._client.get(names.QUESTIONS)
        return decode(value if isinstance(value, bytes) else None)
