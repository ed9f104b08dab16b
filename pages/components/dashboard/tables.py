"""Rows and columns of the dashboard's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.metrics import ChangePart, Frequent, Kinds, Scopes, Summary, reasons
from core.models import OutcomeKind
from core.namespaces import Naming
from pages.components.display import outcomes
from pages.components.display.namespaces import shown
from pages.components.display.tables import BAR
from pages.components.display.text import one_line

FREQUENT_COLUMNS: dict[str, Any] = {
    "count": column.NumberColumn("Times", width=80),
    "prompt": column.TextColumn("Prompt", width=300),
    "waited_seconds": column.NumberColumn("Total wait", width=130),
    "cost_usd": column.NumberColumn("Cost", width=110),
    "saved_usd": column.NumberColumn("Saved", width=110),
    "model": column.TextColumn("Model", width=150),
    "key": column.TextColumn("Key", width=110),
}


_BREAKDOWN_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Name", width="medium"),
    "requests": column.NumberColumn("Requests", format="localized", width=85),
    "requests_before": column.NumberColumn("Before", format="localized", width=75),
    "hit_rate": column.ProgressColumn("Hit rate", **BAR, width=110),
    "hit_rate_before": column.NumberColumn("Before", width=75),
    "changed": column.NumberColumn("Added, points", format="%+.1f", width=105),
    "per_hundred": column.NumberColumn("Scopes per 100", format="%.0f", width=120),
    "saved_usd": column.NumberColumn("Saved"),
    "cost_usd": column.NumberColumn("Spent"),
    "hit_ms": column.NumberColumn("A hit takes"),
    "miss_ms": column.NumberColumn("A miss takes"),
    "errors": column.NumberColumn("Errors"),
    "owner": column.TextColumn("Owner", width=130),
    "namespace": column.TextColumn("Namespace id", width=230),
}
OF_NAMESPACES = ("owner", "namespace")
"""Columns of a breakdown by namespace only."""


TTL_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("TTL class", width="medium"),
    "requests": column.NumberColumn("Requests", format="localized"),
    "requests_before": column.NumberColumn("Before", format="localized", width=75),
    "hit_rate": column.ProgressColumn("Hit rate", **BAR),
    "hit_rate_before": column.NumberColumn("Before", width=75),
    "hits": column.NumberColumn("Hits", format="localized"),
    "misses": column.NumberColumn("Misses", format="localized"),
    "bypasses": column.NumberColumn("Bypasses", format="localized"),
}


REASON_COLUMNS: dict[str, Any] = {
    "outcome": column.TextColumn("Outcome", width=110),
    "reason": column.TextColumn("Reason", width="small"),
    "count": column.NumberColumn("Requests", format="localized", width=100),
    "before": column.NumberColumn("Before", format="localized", width=75),
    "why": column.TextColumn("What it means", width="large"),
}


def frequent(found: Iterable[Frequent]) -> pd.DataFrame:
    """The most frequent prompts."""
    return pd.DataFrame(
        [
            {
                "count": item.count,
                "prompt": one_line(item.prompt, 300) if item.prompt is not None else "–",
                "waited_seconds": item.latency_ms / 1000,
                "cost_usd": item.cost_usd,
                "saved_usd": item.saved_cost_usd,
                "model": one_line(item.model),
                "key": item.key,
            }
            for item in found
        ],
        columns=list(FREQUENT_COLUMNS),
    )


def breakdown_columns(name: str) -> dict[str, Any]:
    """The columns of a breakdown by `name`."""
    return _BREAKDOWN_COLUMNS | {"name": column.TextColumn(name, width=235)}


def outcome_reasons(now: Summary, before: Summary | None = None) -> pd.DataFrame:
    """Why requests came to their outcome, why fresh answers were not stored, and what cautions cost."""
    counts, earlier = _reason_counts(now), _reason_counts(before) if before else {}
    rows: list[dict[str, Any]] = [
        {
            "outcome": outcome,
            "reason": one_line(reason, 60),
            "count": counts.get((outcome, reason), 0),
            "before": earlier.get((outcome, reason), 0),
            "why": _why(outcome, reason),
        }
        for outcome, reason in dict.fromkeys((*counts, *earlier))
    ]
    table = pd.DataFrame(sorted(rows, key=lambda row: -row["count"]), columns=list(REASON_COLUMNS))
    return table if before else table.drop(columns="before")


def _reason_counts(summary: Summary) -> dict[tuple[str, str], int]:
    found = {
        (str(kind), reason): count for kind, by_reason in summary.reasons.items() for reason, count in by_reason.items()
    }
    found |= {("not stored", reason): count for reason, count in summary.not_stored.items()}
    return found | {("forgone hit", caution): count for caution, count in summary.forgone.items()}


def _why(outcome: str, reason: str) -> str:
    match outcome:
        case "not stored":
            return reasons.why_not_stored(reason)
        case "forgone hit":
            return f"{outcomes.why_forgone(reason)} There may be more."
        case OutcomeKind.HIT:
            return ""
        case _:
            return outcomes.why(OutcomeKind(outcome), None, reason)


def ttl_classes(kinds: Mapping[str, Kinds], before: Mapping[str, Kinds] | None = None) -> pd.DataFrame:
    """Requests by TTL class."""
    rows = []
    for name in dict.fromkeys((*kinds, *(before or {}))):
        found, earlier = kinds.get(name, Kinds()), (before or {}).get(name, Kinds())
        rows.append(
            {
                "name": one_line(name.replace("_", " ")) or "none",
                "requests": found.requests,
                "requests_before": earlier.requests,
                "hit_rate": found.hit_rate,
                "hit_rate_before": earlier.hit_rate,
                "hits": found.hits,
                "misses": found.misses,
                "bypasses": found.bypasses,
            }
        )
    table = pd.DataFrame(rows, columns=list(TTL_COLUMNS))
    return table if before else table.drop(columns=[*_BEFORE])


_BEFORE = ("requests_before", "hit_rate_before")


def breakdown(
    summaries: Mapping[str, Summary],
    before: Mapping[str, Summary] | None = None,
    parts: Sequence[ChangePart] = (),
    scopes: Scopes | None = None,
    naming: Naming | None = None,
) -> pd.DataFrame:
    """Figures by model, or with a naming by namespace: then with scopes, the owner and the id of each.

    `before` are those of the window before, `parts` what each added to the change of the hit rate since.
    """
    added = {part.namespace if naming else part.model: part.change * 100 for part in parts}
    per_hundred = {one.namespace: one.per_hundred for one in scopes.namespaces} if scopes else {}
    rows = []
    names = list(dict.fromkeys((*summaries, *(before or {}))))
    for name in names:
        now, earlier = summaries.get(name), (before or {}).get(name)
        rows.append(
            {
                "name": shown(name, naming) if naming else one_line(name),
                "requests": now.requests if now else 0,
                "requests_before": earlier.requests if earlier else 0,
                "hit_rate": now.hit_rate if now else None,
                "hit_rate_before": earlier.hit_rate if earlier else None,
                "changed": added.get(name, 0.0),
                "per_hundred": per_hundred.get(name),
                "saved_usd": now.saved_cost_usd if now else 0.0,
                "cost_usd": now.cost_usd if now else 0.0,
                "hit_ms": now.hit_latency.p50_ms if now else None,
                "miss_ms": now.miss_latency.p50_ms if now else None,
                "errors": now.errors if now else 0,
            }
        )
    left_out = [*OF_NAMESPACES, *(() if before else _BEFORE), *(() if parts else ("changed",))]
    left_out += () if scopes else ("per_hundred",)
    table = pd.DataFrame(rows, columns=[name for name in _BREAKDOWN_COLUMNS if name not in left_out])
    if naming is not None:
        given = [naming.label(name) for name in names]
        table["owner"] = [one_line(one.owner) if one else "" for one in given]
        table["namespace"] = names
    return table
