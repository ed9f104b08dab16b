"""The viewer's filters of entries."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from core.entries import EntryFilter

ANY_TIME = "any time"
AGES: dict[str, tuple[float | None, float | None]] = {
    ANY_TIME: (None, None),
    "last hour": (None, 3600),
    "last day": (None, 86_400),
    "last 7 days": (None, 7 * 86_400),
    "more than 1 hour ago": (3600, None),
    "more than 1 day ago": (86_400, None),
    "more than 7 days ago": (7 * 86_400, None),
}
"""Words for an age, and its bounds in seconds: at least, at most."""

ANY_HITS = "any number"
NEVER_HIT = "never served"
HITS: dict[str, int] = {ANY_HITS: 0, "once or more": 1, "10 times or more": 10, "100 times or more": 100, NEVER_HIT: 0}
"""Words for a number of hits, and the least number of them."""


class HandedOver(NamedTuple):
    """What fills the form of an invalidation: parameters of its URL, and a text that may not stand there."""

    parameters: dict[str, str]
    keyword: str


def in_days(seconds: float) -> str:
    """An age as it stands in a URL."""
    return f"{seconds / 86_400:.10g}"


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The controls as they stand: an age has no cut-off before it is used."""

    namespace: str
    text: str = ""
    in_answers: bool = False
    model: str | None = None
    age: str = ANY_TIME
    ttl_class: str | None = None
    tag: str = ""
    hits: str = ANY_HITS
    pinned: bool = False
    hidden: bool = False

    def where(self, now: float) -> EntryFilter:
        """The filter as of now."""
        at_least, at_most = AGES[self.age]
        return EntryFilter(
            text=self.text,
            in_answers=self.in_answers,
            model=self.model,
            created_before=now - at_least if at_least is not None else None,
            created_after=now - at_most if at_most is not None else None,
            ttl_class=self.ttl_class,
            tags=(self.tag,) if self.tag else (),
            fewest_hits=HITS[self.hits],
            never_hit=self.hits == NEVER_HIT,
            pinned=self.pinned,
            invalidated=self.hidden,
        )

    @property
    def choose(self) -> bool:
        """Whether anything but the namespace is chosen."""
        return self != Filters(namespace=self.namespace, hidden=self.hidden, in_answers=self.in_answers)

    def handed_over(self) -> HandedOver | None:
        """The form of an invalidation that matches the same; None where it knows no such criterion."""
        at_least, at_most = AGES[self.age]
        if not self.choose or at_most is not None or self.ttl_class or (self.text and self.in_answers):
            return None
        if self.pinned or self.hits != ANY_HITS:
            return None
        parameters = {
            "model": self.model or "",
            "tags": self.tag,
            "older_than_days": in_days(at_least) if at_least is not None else "",
        }
        return HandedOver({name: value for name, value in parameters.items() if value}, self.text)
