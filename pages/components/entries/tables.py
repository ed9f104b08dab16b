"""Rows and columns of the tables about entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.entries import FoundEntry, NamespaceEntries, Nearest
from core.namespaces import Naming
from pages.components.display.figures import duration
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line
from pages.components.entries.states import look_of

ENTRY_COLUMNS: dict[str, Any] = {
    "namespace": column.TextColumn("Namespace", width=130),
    "prompt": column.TextColumn("Prompt", width=300),
    "state": column.TextColumn("State", width=95),
    "hits": column.NumberColumn("Served", format="localized", width=65, help="How often it was a hit."),
    "age": column.TextColumn("Age", width=92),
    "left": column.TextColumn("TTL left", width=95),
    "model": column.TextColumn("Model", width=145),
    "last_hit": column.TextColumn("Last hit", width=105),
    "bytes": column.NumberColumn("Size", width=75),
    "cost_usd": column.NumberColumn("Cost", width=90),
    "ttl_class": column.TextColumn("TTL class", width=130),
    "tags": column.ListColumn("Tags", width="small"),
    "key": column.TextColumn("Key", width=130),
}
ENTRIES_SHOWN = ("prompt", "state", "hits", "age", "left", "model")
"""What fits beside one another; the table's menu shows the others, and the detail all of them."""

NAMESPACE_COLUMNS: dict[str, Any] = {
    "namespace_label": column.TextColumn("Namespace", width=200),
    "listed": column.NumberColumn("Entries", format="localized", width=80),
    "matches": column.TextColumn("Matches", width=90),
    "latest": column.TextColumn("Newest", width="large"),
    "problem": column.TextColumn("Problem", width="medium"),
    "namespace": column.TextColumn("Id", width="small"),
}

NEAREST_COLUMNS: dict[str, Any] = {
    "likeness": column.NumberColumn("Words in common", width=140),
    "prompt": column.TextColumn("Stored question", width="large"),
    "differs": column.TextColumn("What differs", width="medium"),
    "namespace": column.TextColumn("Namespace", width=150),
    "model": column.TextColumn("Model", width=130),
    "key": column.TextColumn("Key", width="small"),
}


def entries(found: Iterable[FoundEntry], now: float, naming: Naming | None = None) -> pd.DataFrame:
    """Entries with their state at `now`; with `naming` also the namespace of each."""
    return pd.DataFrame(
        [
            {
                "namespace": "" if naming is None else shown(one.entry.header.namespace, naming),
                "prompt": one_line(one.entry.prompt, 300),
                "state": look_of(one, now)[0],
                "hits": one.hits.total if one.hits else None,
                "last_hit": _last_hit(one, now),
                "age": duration(max(0.0, now - one.entry.header.created_at)),
                "left": _left(one, now),
                "model": one_line(one.entry.header.model),
                "bytes": one.bytes,
                "cost_usd": one.entry.header.cost_usd,
                "ttl_class": one_line(one.entry.ttl_class),
                "tags": [one_line(tag, 60) for tag in one.entry.tags],
                "key": one.key,
            }
            for one in found
        ],
        columns=list(ENTRY_COLUMNS),
    )


def namespaces(found: Iterable[NamespaceEntries], naming: Naming, *, is_search: bool) -> pd.DataFrame:
    """What each namespace has, as it comes."""
    return pd.DataFrame(
        [
            {
                "namespace_label": shown(one.namespace, naming),
                "listed": None if one.problem else one.listed,
                "matches": _matches(one) if is_search else "",
                "latest": one_line(one.found[0].entry.prompt, 200) if one.found else "",
                "problem": one_line(one.problem, 200),
                "namespace": one.namespace,
            }
            for one in found
        ],
        columns=list(NAMESPACE_COLUMNS),
    )


def _matches(one: NamespaceEntries) -> str:
    if one.problem:
        return ""
    count = f"{len(one.found):,}"
    return count if one.is_all else f"{count} or more"


def _last_hit(one: FoundEntry, now: float) -> str:
    if one.hits is None or one.hits.last_at is None:
        return "never"
    return f"{duration(max(0.0, now - one.hits.last_at))} ago"


def _left(one: FoundEntry, now: float) -> str:
    if one.pinned:
        return "pinned"
    left = one.entry.header.fresh_until - now
    return duration(left) if left > 0 else "expired"


def nearest(found: Iterable[Nearest], naming: Naming) -> pd.DataFrame:
    """Stored questions with similar words, the nearest first."""
    return pd.DataFrame(
        [
            {
                "likeness": one.likeness,
                "prompt": one_line(one.found.entry.prompt, 300),
                "differs": one_line(", ".join(part.name for part in one.differences), 200) or "nothing",
                "namespace": shown(one.found.entry.header.namespace, naming),
                "model": one_line(one.found.entry.header.model),
                "key": one.found.key,
            }
            for one in found
        ],
        columns=list(NEAREST_COLUMNS),
    )
