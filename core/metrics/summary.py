"""The figures of a window, and of each bucket of a series, computed from counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..models import OutcomeKind
from .histogram import Histogram, merged
from .tally import MS_SCALE, USD_SCALE, CellName, Counts

OVERHEAD = "_cost_nano_usd"
"""How the names of events end that count what the cache itself spent, in billionths of a dollar."""


class Kinds(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of requests by kind of outcome."""

    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    errors: int = 0

    @property
    def requests(self) -> int:
        """Number of all requests."""
        return self.hits + self.misses + self.bypasses + self.errors

    @property
    def hit_rate(self) -> float | None:
        """hits / (hits + misses): the share of lookups that found an answer, in [0, 1]; None without a lookup.

        A bypass asked for no lookup, and an error says nothing about the cache: neither is counted.
        """
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else None

    @property
    def error_rate(self) -> float | None:
        """errors / requests, in [0, 1]; None without a request."""
        return self.errors / self.requests if self.requests else None


class Hedging(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of the provider that were begun beside the judge and dropped because it accepted: number and cost.

    `cost_usd` is of known prices: neither `unpriced` calls are in it nor those that were given up before their end.
    """

    dropped: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0


class Summary(Kinds, frozen=True, kw_only=True):
    """The figures of one window. Times are Unix seconds, money is US dollars, tokens are the provider's.

    Savings are what the served entries had cost, for hits only, stale ones among them (`stale_hits` counts these, and
    `copied_hits` those served from a process' own copies). A cost is None when every price in it is unknown; otherwise
    it is the known part, and `unpriced_...` counts requests whose price is not in it. `collapsed` requests got the
    answer that another one was waiting for: misses that cost nothing. `forgone` are misses that would have been hits
    but for a caution, by caution: at least so many. The maps are by name, the largest first: `reasons` by outcome kind
    and then reason; `events` are what `CacheMetrics.count` counted, known only for all namespaces together.
    """

    starts_at: float
    ends_at: float
    details: Mapping[str, int] = {}
    stale_hits: int = 0
    copied_hits: int = 0
    collapsed: int = 0
    stored: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    saved_input_tokens: int = 0
    saved_output_tokens: int = 0
    cost_usd: float | None = 0.0
    saved_cost_usd: float | None = 0.0
    unpriced_requests: int = 0
    unpriced_hits: int = 0
    saved_seconds: float = 0.0
    hit_latency: Histogram = Histogram()
    miss_latency: Histogram = Histogram()
    bypass_latency: Histogram = Histogram()
    error_latency: Histogram = Histogram()
    lookup: Histogram = Histogram()
    provider: Histogram = Histogram()
    without_cache: Histogram = Histogram()
    reasons: Mapping[str, Mapping[str, int]] = {}
    not_stored: Mapping[str, int] = {}
    forgone: Mapping[str, int] = {}
    ttl_classes: Mapping[str, Kinds] = {}
    strategies: Mapping[str, Kinds] = {}
    events: Mapping[str, int] = {}

    @property
    def with_cache(self) -> Histogram:
        """Latencies of all requests that did not fail. `without_cache` has those they would have had without the cache,
        by the latencies of the stored answers and of the provider."""
        return merged((self.hit_latency, self.miss_latency, self.bypass_latency))

    @property
    def overhead_usd(self) -> float:
        """What the cache itself spent, on judging and embedding; known only for all namespaces together, else 0."""
        return sum(amount for name, amount in self.events.items() if name.endswith(OVERHEAD)) / USD_SCALE

    @property
    def hedging(self) -> Hedging:
        """What hedging the judge cost; known only for all namespaces together, else zeros."""
        return Hedging(
            dropped=self.events.get("hedge_dropped", 0),
            cost_usd=self.events.get(f"hedge{OVERHEAD}", 0) / USD_SCALE,
            unpriced=self.events.get("hedge_unpriced_calls", 0),
        )

    @property
    def net_saved_usd(self) -> float | None:
        """Savings less the overhead; None when no price of a hit is known."""
        return None if self.saved_cost_usd is None else self.saved_cost_usd - self.overhead_usd

    @property
    def tokens(self) -> int:
        """Tokens spent."""
        return self.input_tokens + self.output_tokens

    @property
    def saved_tokens(self) -> int:
        """Tokens not spent thanks to hits."""
        return self.saved_input_tokens + self.saved_output_tokens

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, histograms as percentiles."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        plain |= {
            "requests": self.requests,
            "hit_rate": self.hit_rate,
            "error_rate": self.error_rate,
            "tokens": self.tokens,
            "saved_tokens": self.saved_tokens,
            "overhead_usd": self.overhead_usd,
            "net_saved_usd": self.net_saved_usd,
        }
        for name in _HISTOGRAMS:
            histogram: Histogram = getattr(self, name)
            plain[name] = {
                "count": histogram.count,
                "p50_ms": histogram.p50_ms,
                "p95_ms": histogram.p95_ms,
                "p99_ms": histogram.p99_ms,
            }
        return plain


_HISTOGRAMS = (
    *("hit_latency", "miss_latency", "bypass_latency", "error_latency"),
    *("lookup", "provider", "with_cache", "without_cache"),
)


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a series: from `starts_at` (Unix seconds, a multiple of `seconds`), with its figures.

    A complete one does not change any more; any other has the figures so far.
    """

    starts_at: int
    seconds: int
    summary: Summary
    is_complete: bool = True


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A window and the one of the same length before it, both closed, so that they can be compared."""

    current: Summary
    previous: Summary


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Everything since the beginning, by namespace and model; `events` as in `Summary`."""

    cells: Mapping[CellName, Summary]
    events: Mapping[str, int]


_FIELD_OF_KIND = {
    OutcomeKind.HIT.value: "hits",
    OutcomeKind.MISS.value: "misses",
    OutcomeKind.BYPASS.value: "bypasses",
    OutcomeKind.ERROR.value: "errors",
}


def summarize(counts: Mapping[str, int], *, starts_at: float, ends_at: float, events: Mapping[str, int]) -> Summary:
    """The figures of counts that are named as `core.metrics.tally` names them; times are Unix seconds."""
    kinds: Counts = {}
    details: Counts = {}
    not_stored: Counts = {}
    forgone: Counts = {}
    reasons: dict[str, Counts] = {}
    ttl_classes: dict[str, Counts] = {}
    strategies: dict[str, Counts] = {}
    histograms: dict[str, dict[int, int]] = {}
    for name, amount in counts.items():
        measured, is_bucket, index = name.partition("#")
        if is_bucket:
            histograms.setdefault(measured, {})[int(index)] = amount
            continue
        match name.split("|"):
            case ["n", kind, detail, strategy] if kind in _FIELD_OF_KIND:
                field = _FIELD_OF_KIND[kind]
                _add(kinds, field, amount)
                _add(strategies.setdefault(strategy, {}), field, amount)
                if detail:
                    _add(details, detail, amount)
            case ["why", kind, reason]:
                _add(reasons.setdefault(kind, {}), reason, amount)
            case ["not", reason]:
                _add(not_stored, reason, amount)
            case ["forgone", caution]:
                _add(forgone, caution, amount)
            case ["ttl", ttl_class, kind] if kind in _FIELD_OF_KIND:
                _add(ttl_classes.setdefault(ttl_class, {}), _FIELD_OF_KIND[kind], amount)

    def latency(name: str) -> Histogram:
        return Histogram(counts=histograms.get(name, {}), total_ms=counts.get(f"{name}_us", 0) / MS_SCALE)

    return Summary(
        starts_at=starts_at,
        ends_at=ends_at,
        **kinds,
        details=_largest_first(details),
        stale_hits=counts.get("stale", 0),
        copied_hits=counts.get("copied", 0),
        collapsed=counts.get("collapsed", 0),
        stored=counts.get("stored", 0),
        input_tokens=counts.get("in", 0),
        output_tokens=counts.get("out", 0),
        saved_input_tokens=counts.get("saved_in", 0),
        saved_output_tokens=counts.get("saved_out", 0),
        cost_usd=_cost(counts, "cost"),
        saved_cost_usd=_cost(counts, "saved_cost"),
        unpriced_requests=counts.get("cost?", 0),
        unpriced_hits=counts.get("saved_cost?", 0),
        saved_seconds=counts.get("saved_us", 0) / MS_SCALE / 1000,
        hit_latency=latency("hit"),
        miss_latency=latency("miss"),
        bypass_latency=latency("bypass"),
        error_latency=latency("error"),
        lookup=latency("lookup"),
        provider=latency("provider"),
        without_cache=latency("without"),
        reasons={kind: _largest_first(by_reason) for kind, by_reason in sorted(reasons.items())},
        not_stored=_largest_first(not_stored),
        forgone=_largest_first(forgone),
        ttl_classes=_by_kinds(ttl_classes),
        strategies=_by_kinds(strategies),
        events=_largest_first(events),
    )


def _add(counts: Counts, name: str, amount: int) -> None:
    counts[name] = counts.get(name, 0) + amount


def _cost(counts: Mapping[str, int], name: str) -> float | None:
    """The known part; None when nothing of it is known."""
    known = counts.get(name, 0)
    return None if not known and counts.get(f"{name}?", 0) else known / USD_SCALE


def _largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _by_kinds(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Kinds]:
    kinds = {name: Kinds(**by_field) for name, by_field in counts.items()}
    return dict(sorted(kinds.items(), key=lambda item: (-item[1].requests, item[0])))
