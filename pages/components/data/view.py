"""The viewer's selection: a window of time, a model and a namespace, kept in the URL for links."""

from __future__ import annotations

import msgspec


class Range(msgspec.Struct, frozen=True):
    """A window and the step of its charts, in seconds. It ends at `ends_at` (Unix seconds), else now."""

    words: str
    seconds: int
    step: int
    ends_at: float | None = None


RANGES = {
    "15m": Range("15 minutes", 900, 20),
    "1h": Range("hour", 3600, 30),
    "6h": Range("6 hours", 6 * 3600, 300),
    "24h": Range("24 hours", 86_400, 1200),
    "7d": Range("7 days", 7 * 86_400, 3 * 3600),
    "30d": Range("30 days", 30 * 86_400, 12 * 3600),
}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The viewer's selection; None for all models or namespaces. `range` is a key of RANGES."""

    range: str
    namespace: str | None
    model: str | None

    @property
    def window(self) -> Range:
        """The window of time."""
        return RANGES[self.range]

    def parameters(self, names: Names) -> dict[str, str]:
        """Query parameters of a link that shows this view on a page whose controls have these names."""
        chosen = {names.range: self.range, names.model: self.model, names.namespace: self.namespace}
        return {name: value for name, value in chosen.items() if value is not None}


class Names(msgspec.Struct, frozen=True):
    """What the controls of a page are called in the URL.

    They differ from page to page: the value that a control had on one page would win over the link to another.
    """

    range: str
    model: str
    namespace: str


ON_DASHBOARD = Names("range", "for_model", "for_namespace")
ON_REQUESTS = Names("within", "of_model", "of_namespace")


EVIDENCE_WINDOWS: dict[str, tuple[str, float | None]] = {
    "24h": ("last 24 hours", 86_400.0),
    "7d": ("last 7 days", 7 * 86_400.0),
    "30d": ("last 30 days", 30 * 86_400.0),
    "all": ("all that is kept", None),
}
"""Words and seconds; None for everything."""


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """The namespace and the window that the viewer chose on the Quality page; `window` is a key of EVIDENCE_WINDOWS."""

    namespace: str
    window: str

    @property
    def words(self) -> str:
        """The window in words."""
        return EVIDENCE_WINDOWS[self.window][0]

    @property
    def is_everything(self) -> bool:
        """Whether the window holds all evidence that is kept."""
        return EVIDENCE_WINDOWS[self.window][1] is None


def evidence_since(window: str, now: float) -> float | None:
    """Where a window of evidence begins, in Unix seconds; None for everything."""
    seconds = EVIDENCE_WINDOWS[window][1]
    return None if seconds is None else now - seconds
