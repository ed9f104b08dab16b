"""What the cache saved, month by month, by namespace, model and TTL class, beside what was spent. Pure.

All sums are of whole billionths of a dollar: however they are grouped, they add up to the same total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..text import to_csv
from .months import Month
from .summary import OVERHEAD
from .tally import EVENTS, MONTHLY, MS_SCALE, USD_SCALE, CellName, Counts, add

Dimension = Literal["namespace", "model", "ttl_class"]

DIMENSIONS: tuple[Dimension, ...] = ("namespace", "model", "ttl_class")

_UNPRICED = "_unpriced_calls"
"""How the names of events end that count calls of the cache's own whose price is unknown."""

Table = Mapping[CellName, Mapping[str, int]]


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """Money in US dollars, tokens and waiting of some requests.

    `saved_usd` is what the served answers had cost, `spent_usd` what calls of the provider cost. Each is None when no
    price in it is known; otherwise it is the known part, and `unpriced_hits` and `unpriced_calls` count what is not in
    it.
    """

    requests: int = 0
    hits: int = 0
    saved_usd: float | None = 0.0
    spent_usd: float | None = 0.0
    unpriced_hits: int = 0
    unpriced_calls: int = 0
    saved_tokens: int = 0
    saved_seconds: float = 0.0


class Line(Amounts, frozen=True, kw_only=True):
    """The amounts of one namespace, model or TTL class, or of one combination; None for what is not told apart.

    `other` stands for the names beyond the first ones of a month; an empty TTL class is of requests that have none.
    """

    namespace: str | None = None
    model: str | None = None
    ttl_class: str | None = None


class MonthSavings(Amounts, frozen=True, kw_only=True):
    """One month (`2026-11`, in UTC) and its lines, the largest saving first. Times are Unix seconds.

    `overhead` is what the cache itself spent, in US dollars by purpose (`judge`, `embedding`, `hedge`), and
    `unpriced_overhead` counts its calls without a price. Both are known only for all namespaces and models together,
    else empty. `complete` once the month has ended.
    """

    month: str
    starts_at: float
    ends_at: float
    complete: bool
    overhead: Mapping[str, float] = {}
    unpriced_overhead: int = 0
    lines: Sequence[Line] = ()

    @property
    def overhead_usd(self) -> float:
        """What the cache itself spent."""
        return _usd(sum(round(amount * USD_SCALE) for amount in self.overhead.values()))

    @property
    def net_usd(self) -> float | None:
        """Savings less the overhead; None when no price of a hit is known."""
        return None if self.saved_usd is None else self.saved_usd - self.overhead_usd

    @property
    def without_cache_usd(self) -> float | None:
        """What the provider would have cost without the cache: saved and spent; None when nothing of it is known."""
        if self.saved_usd is None and self.spent_usd is None:
            return None
        return (self.saved_usd or 0.0) + (self.spent_usd or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON without the lines."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        del plain["lines"]
        return plain | {
            "overhead_usd": self.overhead_usd,
            "net_usd": self.net_usd,
            "without_cache_usd": self.without_cache_usd,
        }


class Savings(msgspec.Struct, frozen=True, kw_only=True):
    """The kept months, the oldest first, the present one last; those before anything was counted are left out.

    `by` says what the lines tell apart. `total_usd` is all that was ever saved, `encore_cost_saved_usd_total` of
    /metrics; `earlier_usd` is the part of it that is in no month here. `since` is when months began to be counted
    (Unix seconds), None when nothing was.
    """

    months: Sequence[MonthSavings]
    by: Sequence[Dimension] = ()
    since: float | None = None
    total_usd: float | None = 0.0
    earlier_usd: float = 0.0

    def of(self, month: str) -> MonthSavings | None:
        """The month of this name; None when nothing was counted in it and it is before the others."""
        return next((one for one in self.months if one.month == month), None)

    def to_dict(self, month: str) -> dict[str, Any]:
        """Plain JSON: the sums of every month, and the lines of `month`."""
        chosen = self.of(month)
        return {
            "months": [one.to_dict() for one in self.months],
            "month": month,
            "by": list(self.by),
            "lines": [_plain(line, self.by) for line in (chosen.lines if chosen else ())],
            "since": self.since,
            "total_usd": self.total_usd,
            "earlier_usd": self.earlier_usd,
        }


def _plain(line: Line, by: Sequence[Dimension]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(line)
    return {name: value for name, value in plain.items() if name not in DIMENSIONS or name in by}


_FIGURES = (
    *("requests", "hits", "saved_usd", "unpriced_hits", "spent_usd", "unpriced_calls"),
    *("saved_tokens", "saved_seconds"),
)


def savings_csv(
    savings: Savings, months: Sequence[MonthSavings], named: Callable[[str], str] = lambda namespace: namespace
) -> str:
    """The lines of these months as CSV; `named` gives what a namespace is called, for the column beside its id.

    What the cache itself spent is a row of its own in each month, so that the sum of `saved_usd` less the sum of
    `overhead_usd` is the net. `complete` is false for the month that is still going on.
    """
    label = ("namespace_label",) if "namespace" in savings.by else ()
    header = ("month", "complete", *savings.by, *label, *_FIGURES, "overhead_usd", "unpriced_overhead")
    rows: list[list[Any]] = []
    for one in months:
        begin = [one.month, str(one.complete).lower()]
        for line in one.lines if savings.by else [one]:
            names = [getattr(line, name) for name in savings.by]
            names += [named(line.namespace or "")] if label and isinstance(line, Line) else []
            rows.append([*begin, *names, *(getattr(line, name) for name in _FIGURES), None, None])
        if one.overhead or one.unpriced_overhead:
            empty = [None] * (len(savings.by) + len(label) + len(_FIGURES))
            rows.append([*begin, *empty, one.overhead_usd, one.unpriced_overhead])
    return to_csv(header, rows)


def savings_of(
    months: Mapping[Month, Table],
    total: Mapping[CellName, Mapping[str, int]],
    since: float | None,
    *,
    by: Sequence[Dimension],
    has: Callable[[CellName], bool] | None,
    now: float,
) -> Savings:
    """The savings of counts by month, and of the counts since the beginning, that are named as `core.metrics.tally`
    names them. `has` says which cells are meant; None for all, and then what the cache itself spent is told too.
    """
    first = min((month for month, table in months.items() if table), default=None)
    found: list[MonthSavings] = []
    in_months = 0
    for month, table in sorted(months.items()):
        if month.ends_at > now or (first is not None and month >= first):
            lines = _lines(table, by, has)
            found.append(_month(month, lines, table.get(EVENTS, {}) if has is None else {}, by=by, now=now))
            in_months += sum(counts.get("saved_cost", 0) for counts in lines.values())
    ever: Counts = {}
    for cell, counts in total.items():
        if _is_meant(cell, has):
            add(ever, {name: counts.get(name, 0) for name in ("saved_cost", "saved_cost?")})
    return Savings(
        months=found,
        by=by,
        since=since,
        total_usd=_known(ever, "saved_cost"),
        earlier_usd=_usd(ever.get("saved_cost", 0) - in_months),
    )


def _is_meant(cell: CellName, has: Callable[[CellName], bool] | None) -> bool:
    return cell != EVENTS and (has is None or has(cell))


def _lines(
    table: Table, by: Sequence[Dimension], has: Callable[[CellName], bool] | None
) -> dict[tuple[str, ...], Counts]:
    """The counts of a month by the names that are told apart; without any there is one line at most."""
    lines: dict[tuple[str, ...], Counts] = {}
    for cell, counts in table.items():
        if not _is_meant(cell, has):
            continue
        for name, amount in counts.items():
            ttl_class, is_named, what = name.removeprefix(MONTHLY).partition("|")
            if is_named:
                names: dict[Dimension, str] = {
                    "namespace": cell.namespace,
                    "model": cell.model,
                    "ttl_class": ttl_class,
                }
                add(lines.setdefault(tuple(names[one] for one in by), {}), {what: amount})
    return lines


def _month(
    month: Month,
    lines: Mapping[tuple[str, ...], Counts],
    events: Mapping[str, int],
    *,
    by: Sequence[Dimension],
    now: float,
) -> MonthSavings:
    sums: Counts = {}
    for counts in lines.values():
        add(sums, counts)
    told = [
        _line(dict(zip(by, names, strict=True)), _amounts(counts)) for names, counts in (lines.items() if by else ())
    ]
    return MonthSavings(
        month=month.name,
        starts_at=month.starts_at,
        ends_at=month.ends_at,
        complete=month.ends_at <= now,
        **msgspec.structs.asdict(_amounts(sums)),
        overhead={
            name.removesuffix(OVERHEAD): _usd(amount)
            for name, amount in sorted(events.items())
            if name.endswith(OVERHEAD)
        },
        unpriced_overhead=sum(amount for name, amount in events.items() if name.endswith(_UNPRICED)),
        lines=sorted(told, key=_largest_first),
    )


def _line(names: Mapping[Dimension, str], amounts: Amounts) -> Line:
    return Line(
        namespace=names.get("namespace"),
        model=names.get("model"),
        ttl_class=names.get("ttl_class"),
        **msgspec.structs.asdict(amounts),
    )


def _largest_first(line: Line) -> tuple[float, float, int, tuple[str, ...]]:
    names = (line.namespace or "", line.model or "", line.ttl_class or "")
    return (-(line.saved_usd or 0.0), -(line.spent_usd or 0.0), -line.requests, names)


def _amounts(counts: Mapping[str, int]) -> Amounts:
    return Amounts(
        requests=counts.get("requests", 0),
        hits=counts.get("hits", 0),
        saved_usd=_known(counts, "saved_cost"),
        spent_usd=_known(counts, "cost"),
        unpriced_hits=counts.get("saved_cost?", 0),
        unpriced_calls=counts.get("cost?", 0),
        saved_tokens=counts.get("saved_tokens", 0),
        saved_seconds=counts.get("saved_us", 0) / MS_SCALE / 1000,
    )


def _known(counts: Mapping[str, int], name: str) -> float | None:
    """The known part in dollars; None when nothing of it is known."""
    known = counts.get(name, 0)
    return None if not known and counts.get(f"{name}?", 0) else _usd(known)


def _usd(nano: int) -> float:
    return nano / USD_SCALE


def monthly(cell: CellName, counts: Counts) -> tuple[Counts, Counts]:
    """The counts of a cell for slots of the timeline, and those for its month. Events are in both."""
    if cell == EVENTS:
        return counts, counts
    of_month = {name: amount for name, amount in counts.items() if name.startswith(MONTHLY)}
    return {name: amount for name, amount in counts.items() if name not in of_month}, of_month
