"""DeferredLookup: the semantic lookup, built in the background when the first request needs it.

Loading an embedder takes half a second and more, importing NumPy a third: a cache that is never asked for near
questions pays for neither.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..concurrency import begin_in_each_process
from ..errors import CacheError
from ..keys import Identity, Slot, names
from ..models import Controls, SemanticMode
from ..stores import Store
from .quality import Threshold
from .results import Neighbour, SemanticResult

if TYPE_CHECKING:
    from .index import SharedVectors
    from .lookup import SemanticLookup
    from .search import Search

logger = logging.getLogger("encore.semantic")

WAIT_SECONDS = 2.0
"""How long requests wait for the building, counted from when it began. Afterwards they do without until it is done."""

CLOSE_SECONDS = 5.0
MAX_WAITING = 1_000


class DeferredLookup:
    """Everything a cache asks of a semantic lookup. Thread-safe; a forked child builds its own.

    `problem` says why there is none, in words for an operator; empty while there may be one.
    """

    def __init__(
        self,
        thresholds: Callable[[str], Threshold],
        build: Callable[[], tuple[SemanticLookup, SharedVectors | None]],
        *,
        wait_seconds: float = WAIT_SECONDS,
        count: Callable[[str], None] = lambda name: None,
        conversations: bool = False,
    ) -> None:
        self._thresholds = thresholds
        self._build = build
        self._wait_seconds = wait_seconds
        self._count = count
        self._conversations = conversations
        begin_in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._done = threading.Event()
        self._built: tuple[SemanticLookup, SharedVectors | None] | None = None
        self._waiting: deque[tuple[Identity, float]] = deque(maxlen=MAX_WAITING)
        self.problem = ""

    @property
    def lookup(self) -> SemanticLookup | None:
        """The lookup itself, if it has been built."""
        return self._built[0] if self._built is not None else None

    def applies(self, identity: Identity) -> bool:
        """Whether near questions are looked for. Raises StoreUnavailable."""
        if not identity.fuzzy or self.problem:
            return False
        if self._thresholds(identity.namespace).mode is not SemanticMode.OFF:
            return True
        return identity.converses and self._compares_conversations(identity)

    def _compares_conversations(self, identity: Identity) -> bool:
        if not self._conversations:
            return False
        return self._thresholds(names.conversations_in(identity.namespace)).mode is not SemanticMode.OFF

    def candidates(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, controls: Controls, now: float
    ) -> Search | SemanticResult:
        """A search that has begun (see `search`), or its result: no usable vector, or no lookup yet.

        Waits for the lookup at most as long as its building may keep requests. Raises StoreUnavailable.
        """
        lookup = self._ready(self._wait_seconds)
        return lookup.candidates(store, slot_of, identity, controls, now) if lookup is not None else self._unavailable()

    def explain(
        self, store: Store, slot_of: Callable[[str, int], Slot], identity: Identity, now: float, *, k: int = 5
    ) -> tuple[Neighbour, ...]:
        """The `k` nearest entries whatever their similarity, with the guards' verdicts; nothing is judged or counted.

        Waits until the lookup is built; empty when it cannot be. Raises StoreUnavailable.
        """
        lookup = self._ready(None)
        return lookup.explain(store, slot_of, identity, now, k=k) if lookup is not None else ()

    def remember(self, identity: Identity, expires_at: float) -> None:
        """Adds a stored question to the index until `expires_at` (Unix seconds); during the building, after it.

        Raises StoreUnavailable, WriteRefused or OutcomeUnknown.
        """
        if not self.applies(identity) and (not identity.fuzzy or not self._compares_conversations(identity)):
            return
        lookup = self._ready(0.0)
        if lookup is not None:
            lookup.remember(identity, expires_at)
        elif not self.problem:
            self._waiting.append((identity, expires_at))
            if self._done.is_set():
                self._remember_waiting()

    def warm(self, namespaces: Iterable[str] = ()) -> None:
        """Waits until the lookup is built and these namespaces are loaded. Raises StoreUnavailable."""
        if self._ready(None) is None or self._built is None:
            return
        vectors = self._built[1]
        for namespace in namespaces:
            if vectors is not None:
                vectors.load(namespace)

    def close(self) -> None:
        """Closes the lookup. Questions that wait to be added still are, if the building ends soon."""
        if self._thread is not None and self._waiting:
            self._thread.join(CLOSE_SECONDS)
        if self._built is not None:
            self._built[0].close()

    def _unavailable(self) -> SemanticResult:
        return SemanticResult(reason="no-embedder" if self.problem else "loading")

    def _ready(self, seconds: float | None) -> SemanticLookup | None:
        """The lookup if it is built within `seconds` of the beginning, else None. Without a limit it waits for it."""
        if self._built is not None:
            return self._built[0]
        with self._lock:
            if self._thread is None:
                self._began = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="encore-semantic", daemon=True)
                self._thread.start()
        self._done.wait(None if seconds is None else max(0.0, self._began + seconds - time.monotonic()))
        return self._built[0] if self._built is not None else None

    def _run(self) -> None:
        try:
            self._built = self._build()
        except (CacheError, ImportError) as error:
            self.problem = str(error)
            self._count("semantic_unavailable")
            logger.warning("semantic lookup is unavailable: %s", error)
        finally:
            self._done.set()
        self._remember_waiting()

    def _remember_waiting(self) -> None:
        lookup = self.lookup
        while lookup is not None and self._waiting:
            try:
                identity, expires_at = self._waiting.popleft()
                lookup.remember(identity, expires_at)
            except IndexError:
                return  # another thread took the last
            except CacheError as error:
                logger.debug("a question is not added to the index: %s", error)
