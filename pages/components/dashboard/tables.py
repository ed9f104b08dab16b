"""Rows and columns of the dashboard's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.entries import reasons
from core.metrics import Frequent, Kinds, Summary
from core.models import OutcomeKind
from core.namespaces import Naming
from pages.components.display import outcomes
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line

FREQUENT_COLUMNS: dict[str, Any] = {
    "count": column.NumberColumn("Times", width=80),
    "prompt": column.TextColumn("Prompt", width=330),
    "latency": column.NumberColumn("Waited in all, s", format="%.1f", width=130),
    "cost_usd": column.NumberColumn("Cost, $", format="%.6f", width=110),
    "saved_usd": column.NumberColumn("Saved, $", format="%.6f", width=110),
    "model": column.TextColumn("Model", width="small"),
    "key": column.TextColumn("Key", width="medium"),
}


_BREAKDOWN_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Name", width="medium"),
    "requests": column.NumberColumn("Requests", format="localized"),
    "hit_rate": column.ProgressColumn("Hit rate", min_value=0, max_value=1, format="percent"),
    "saved_usd": column.NumberColumn("Saved, $", format="%.4f"),
    "cost_usd": column.NumberColumn("Spent, $", format="%.4f"),
    "hit_ms": column.NumberColumn("A hit takes, ms", format="%.2f"),
    "miss_ms": column.NumberColumn("A miss takes, ms", format="%.0f"),
    "errors": column.NumberColumn("Errors"),
    "owner": column.TextColumn("Owner", width=130),
    "namespace": column.TextColumn("Namespace id", width=230),
}
OF_NAMESPACES = ("owner", "namespace")
"""Columns of a breakdown by namespace only."""


TTL_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("TTL class", width="medium"),
    "requests": column.NumberColumn("Requests", format="localized"),
    "hit_rate": column.ProgressColumn("Hit rate", min_value=0, max_value=1, format="percent"),
    "hits": column.NumberColumn("Hits", format="localized"),
    "misses": column.NumberColumn("Misses", format="localized"),
    "bypasses": column.NumberColumn("Bypasses", format="localized"),
}


REASON_COLUMNS: dict[str, Any] = {
    "outcome": column.TextColumn("Outcome", width=110),
    "reason": column.TextColumn("Reason", width="small"),
    "count": column.NumberColumn("Requests", format="localized", width=100),
    "why": column.TextColumn("What it means", width="large"),
}


def frequent(found: Iterable[Frequent]) -> pd.DataFrame:
    """The most frequent prompts."""
    return pd.DataFrame(
        [
            {
                "count": item.count,
                "prompt": one_line(item.prompt, 300) if item.prompt is not None else "–",
                "latency": item.latency_ms / 1000,
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


def outcome_reasons(summary: Summary) -> pd.DataFrame:
    """Why requests came to their outcome, why fresh answers were not stored, and what cautions cost."""
    rows: list[dict[str, Any]] = [
        {
            "outcome": kind,
            "reason": one_line(reason, 60),
            "count": count,
            "why": outcomes.why(OutcomeKind(kind), None, reason) if kind != OutcomeKind.HIT else "",
        }
        for kind, found in summary.reasons.items()
        for reason, count in found.items()
    ]
    rows += [
        {
            "outcome": "not stored",
            "reason": one_line(reason, 60),
            "count": count,
            "why": reasons.why_not_stored(reason),
        }
        for reason, count in summary.not_stored.items()
    ]
    rows += [
        {
            "outcome": "forgone hit",
            "reason": one_line(caution, 60),
            "count": count,
            "why": f"{outcomes.why_forgone(caution)} At least so many.",
        }
        for caution, count in summary.forgone.items()
    ]
    return pd.DataFrame(sorted(rows, key=lambda row: -row["count"]), columns=list(REASON_COLUMNS))


def ttl_classes(kinds: Mapping[str, Kinds]) -> pd.DataFrame:
    """Requests by TTL class."""
    return pd.DataFrame(
        [
            {
                "name": one_line(name.replace("_", " ")) or "none",
                "requests": found.requests,
                "hit_rate": found.hit_rate,
                "hits": found.hits,
                "misses": found.misses,
                "bypasses": found.bypasses,
            }
            for name, found in kinds.items()
        ],
        columns=list(TTL_COLUMNS),
    )


def breakdown(summaries: Mapping[str, Summary], naming: Naming | None = None) -> pd.DataFrame:
    """Figures by model, or with a naming by namespace: then with the owner and the id of each."""
    table = pd.DataFrame(
        [
            {
                "name": shown(name, naming) if naming else one_line(name),
                "requests": summary.requests,
                "hit_rate": summary.hit_rate,
                "saved_usd": summary.saved_cost_usd,
                "cost_usd": summary.cost_usd,
                "hit_ms": summary.hit_latency.p50_ms,
                "miss_ms": summary.miss_latency.p50_ms,
                "errors": summary.errors,
            }
            for name, summary in summaries.items()
        ],
        columns=[name for name in _BREAKDOWN_COLUMNS if name not in OF_NAMESPACES],
    )
    if naming is not None:
        given = [naming.label(name) for name in summaries]
        table["owner"] = [one_line(one.owner) if one else "" for one in given]
        table["namespace"] = list(summaries)
    return table
