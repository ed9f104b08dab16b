"""From outcomes to counts: one small table per namespace and model, names to whole numbers, that adds up by name. Pure.

Everything is an integer (microseconds, billionths of a dollar), so that sums do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from operator import attrgetter
from typing import NamedTuple, cast

import msgspec

from ..models import CacheStrategy, HitDetail, Outcome, OutcomeKind
from ..text import printable
from .histogram import BUCKETS, bucket_of
from .timeline import FINEST_SECONDS

OTHER = "other"
"""The name that stands for all others once there are too many."""

MAX_MODELS = 100
MAX_NAMESPACES = 100
MAX_WORDS = 200
MAX_NAME = 100

MONTHLY = "month|"
"""How the names of counts begin that are kept by month alone: `month|<TTL class>|<what>`."""

USD_SCALE = 1_000_000_000
MS_SCALE = 1000

Counts = dict[str, int]


class CellName(msgspec.Struct, frozen=True):
    """A namespace and a model that are counted together. EVENTS has neither."""

    namespace: str
    model: str


EVENTS = CellName("", "")
OVERFLOW = CellName(OTHER, OTHER)


def add(into: Counts, counts: Counts) -> None:
    """Adds counts by name."""
    for name, amount in counts.items():
        into[name] = into.get(name, 0) + amount


class Vocabulary:
    """The first `limit` different names, as they may be stored; all others are `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: dict[str, str] = {}

    def name(self, text: str) -> str:
        """The name to count under. A bar separates names in counts, so it is none of their characters."""
        text = text[:MAX_NAME]
        known = self._names.get(text)
        if known is not None:
            return known
        if len(self._names) >= self._limit:
            return OTHER
        name = self._names[text] = printable(text, MAX_NAME).replace("|", "/") or "none"
        return name

    def clear(self) -> None:
        """Forgets all names."""
        self._names.clear()


class Shape(NamedTuple):
    """The properties of a request by which it is counted."""

    namespace: str
    model: str
    kind: OutcomeKind
    detail: HitDetail | None
    strategy: CacheStrategy
    stale: bool
    copied: bool
    stored: bool
    collapsed: bool
    reason: str
    not_stored: str
    forgone: str
    ttl_class: str


# A plain tuple, equal to the Shape and a key for it: one call instead of thirteen attribute reads.
_shape = cast("Callable[[Outcome], Shape]", attrgetter(*Shape._fields))


class Tally:
    """Counts of one process since they were last taken. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[Shape, _Sums]] = {}
        self._slot = -1
        self._sums: dict[Shape, _Sums] = {}
        self._events: dict[int, Counts] = {}
        self._minute = 0
        self._models = Vocabulary(MAX_MODELS)
        self._namespaces = Vocabulary(MAX_NAMESPACES)
        self._words = Vocabulary(MAX_WORDS)

    def record(self, at: float, outcome: Outcome) -> None:
        """Counts one request that ended `at` (Unix seconds)."""
        slot = int(at) // FINEST_SECONDS
        if slot != self._slot:
            self._select(slot)
        shape = _shape(outcome)
        sums = self._sums.get(shape)
        if sums is None:
            sums = self._new_sums(shape)
        sums.add(outcome)

    def count(self, at: float, name: str, amount: int) -> None:
        """Counts an event that is not a request."""
        events = self._events.setdefault(int(at) // FINEST_SECONDS, {})
        word = self._words.name(name)
        events[word] = events.get(word, 0) + amount

    def _select(self, slot: int) -> None:
        self._slot = slot
        self._sums = self._slots.setdefault(slot, {})
        minute = slot * FINEST_SECONDS // 60
        if minute != self._minute:
            self._minute = minute
            self._models.clear()
            self._namespaces.clear()

    def _new_sums(self, given: Shape) -> _Sums:
        """The sums for a shape, under names as they may be stored: other shapes may have them already."""
        shape = Shape(*given)
        shape = shape._replace(
            namespace=self._namespaces.name(shape.namespace),
            model=self._models.name(shape.model),
            reason=shape.reason and self._words.name(shape.reason),
            not_stored=shape.not_stored and self._words.name(shape.not_stored),
            forgone=shape.forgone and self._words.name(shape.forgone),
            ttl_class=shape.ttl_class and self._words.name(shape.ttl_class),
        )
        return self._sums.setdefault(shape, _Sums())

    def take(self) -> dict[int, dict[CellName, Counts]]:
        """Takes all counts, by start of their ten seconds (Unix seconds) and by cell; begins anew."""
        taken: dict[int, dict[CellName, Counts]] = {}
        for slot, by_shape in self._slots.items():
            cells = taken.setdefault(slot * FINEST_SECONDS, {})
            for shape, sums in by_shape.items():
                add(cells.setdefault(CellName(shape.namespace, shape.model), {}), _counts(shape, sums))
        for slot, events in self._events.items():
            taken.setdefault(slot * FINEST_SECONDS, {})[EVENTS] = events
        self._slots = {}
        self._slot = -1
        self._events = {}
        return taken


class _Sums:
    """What requests of one shape add up to. `add` is what a request costs, so it is laid out for speed."""

    __slots__ = (
        "cost",
        "count",
        "input_tokens",
        "latency",
        "latency_ms",
        "lookup",
        "lookup_ms",
        "output_tokens",
        "provider",
        "provider_ms",
        "saved_cost",
        "saved_input_tokens",
        "saved_ms",
        "saved_output_tokens",
        "unpriced",
        "unpriced_savings",
        "without",
        "without_ms",
    )

    def __init__(self) -> None:
        self.count = 0
        self.input_tokens = self.output_tokens = self.saved_input_tokens = self.saved_output_tokens = 0
        self.unpriced = self.unpriced_savings = 0
        self.cost = self.saved_cost = self.saved_ms = 0.0
        self.latency_ms = self.lookup_ms = self.provider_ms = self.without_ms = 0.0
        self.latency = [0] * BUCKETS
        self.lookup = [0] * BUCKETS
        self.provider = [0] * BUCKETS
        self.without = [0] * BUCKETS

    def add(self, outcome: Outcome) -> None:
        self.count += 1
        latency_ms = outcome.latency_ms
        self.latency_ms += latency_ms
        self.latency[bucket_of(latency_ms)] += 1
        if lookup_ms := outcome.lookup_ms:
            self.lookup_ms += lookup_ms
            self.lookup[bucket_of(lookup_ms)] += 1
        if outcome.kind is OutcomeKind.HIT:
            self.saved_ms += outcome.saved_ms
            self.saved_input_tokens += outcome.saved_input_tokens
            self.saved_output_tokens += outcome.saved_output_tokens
            if outcome.saved_cost_usd is None:
                self.unpriced_savings += 1
            else:
                self.saved_cost += outcome.saved_cost_usd
            without_ms = outcome.saved_ms + latency_ms
        else:
            # A caller that waited for another's call would have waited as long for one of its own.
            without_ms = outcome.provider_ms or latency_ms
        self.without_ms += without_ms
        self.without[bucket_of(without_ms)] += 1
        if provider_ms := outcome.provider_ms:
            self.provider_ms += provider_ms
            self.provider[bucket_of(provider_ms)] += 1
        if tokens := outcome.input_tokens:
            self.input_tokens += tokens
        if tokens := outcome.output_tokens:
            self.output_tokens += tokens
        if outcome.cost_usd is not None:
            self.cost += outcome.cost_usd
        elif provider_ms and outcome.kind is not OutcomeKind.ERROR:
            self.unpriced += 1


def _counts(shape: Shape, sums: _Sums) -> Counts:
    """The counts by name; zeros are left out."""
    kind, count = shape.kind.value, sums.count
    is_error = shape.kind is OutcomeKind.ERROR
    detail = shape.detail.value if shape.detail else ""
    counts = {
        f"n|{kind}|{detail}|{shape.strategy.value}": count,
        f"why|{kind}|{shape.reason}": count if shape.reason else 0,
        f"not|{shape.not_stored}": count if shape.not_stored else 0,
        f"forgone|{shape.forgone}": count if shape.forgone else 0,
        f"ttl|{shape.ttl_class}|{kind}": count if shape.ttl_class else 0,
        "stale": count if shape.stale and shape.kind is OutcomeKind.HIT else 0,
        "copied": count if shape.copied else 0,
        "stored": count if shape.stored else 0,
        "collapsed": count if shape.collapsed else 0,
        f"{kind}_us": _whole(sums.latency_ms, MS_SCALE),
        "lookup_us": _whole(sums.lookup_ms, MS_SCALE),
        "provider_us": _whole(sums.provider_ms, MS_SCALE),
        "without_us": 0 if is_error else _whole(sums.without_ms, MS_SCALE),
        "saved_us": _whole(sums.saved_ms, MS_SCALE),
        "in": sums.input_tokens,
        "out": sums.output_tokens,
        "saved_in": sums.saved_input_tokens,
        "saved_out": sums.saved_output_tokens,
        "cost": _whole(sums.cost, USD_SCALE),
        "cost?": sums.unpriced,
        "saved_cost": _whole(sums.saved_cost, USD_SCALE),
        "saved_cost?": sums.unpriced_savings,
    }
    counts |= {
        f"{MONTHLY}{shape.ttl_class}|{what}": amount
        for what, amount in (
            ("requests", count),
            ("hits", count if shape.kind is OutcomeKind.HIT else 0),
            ("saved_us", counts["saved_us"]),
            ("saved_tokens", sums.saved_input_tokens + sums.saved_output_tokens),
            *((name, counts[name]) for name in ("cost", "cost?", "saved_cost", "saved_cost?")),
        )
    }
    measured = {kind: sums.latency, "lookup": sums.lookup, "provider": sums.provider}
    if not is_error:  # with and without the cache, it would have been none
        measured["without"] = sums.without
    for name, buckets in measured.items():
        counts |= {f"{name}#{index}": amount for index, amount in enumerate(buckets) if amount}
    return {name: amount for name, amount in counts.items() if amount}


def _whole(value: float, scale: int) -> int:
    return round(value * scale) if isfinite(value) else 0
