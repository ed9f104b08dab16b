"""Forgone hits: misses that would have been hits, had a caution not kept their requests apart. Kept in the process."""

from __future__ import annotations

import threading

import msgspec

KEPT = 10_000
"""Forms that are remembered; the oldest is forgotten first."""


class _Kept(msgspec.Struct, frozen=True):
    exact: bytes
    stored_at: float
    fresh_until: float


class ForgoneHits:
    """Remembers under which wider form each answer would have been found, and finds the misses that would have hit.

    What other processes stored, what was forgotten and what an invalidation may have hidden is not counted: there are
    at least so many.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._most = kept
        self._forms: dict[bytes, _Kept] = {}
        self._lock = threading.Lock()

    def is_forgone(self, form: bytes, exact: bytes, *, sequence: int, now: float) -> bool:
        """Whether another request's answer, still fresh at `now` (Unix seconds), would have been found under `form`.

        `form` is the digest that the requests would have shared, `exact` that of this one. `sequence` is the stamp's:
        the microsecond of the latest invalidation; older answers do not count.
        """
        with self._lock:
            kept = self._forms.get(form)
        return (
            kept is not None
            and kept.exact != exact
            and now < kept.fresh_until
            and sequence < int(kept.stored_at * 1_000_000)
        )

    def keep(self, form: bytes, exact: bytes, *, stored_at: float, fresh_until: float) -> None:
        """Remembers an answer that was stored under `exact` alone. Times are Unix seconds."""
        with self._lock:
            self._forms.pop(form, None)
            if len(self._forms) >= self._most:
                del self._forms[next(iter(self._forms))]
            self._forms[form] = _Kept(exact, stored_at, fresh_until)
