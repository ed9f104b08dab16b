"""Rows and columns of the tables about invalidations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.access import AuditRecord
from core.invalidation import LONGEST_REASON, Invalidation, InvalidationState, Part, PreviewPart, PreviewRow
from core.namespaces import Naming
from pages.components.display.figures import duration, local, money
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line

PREVIEW_COLUMNS: dict[str, Any] = {
    "namespace_label": column.TextColumn("Namespace", width=150),
    "prompt": column.TextColumn("Prompt", width="large"),
    "model": column.TextColumn("Model", width=140),
    "age": column.TextColumn("Age", width=100),
    "fresh": column.TextColumn("Fresh for", width=110),
    "bytes": column.NumberColumn("Size", width=80),
    "cost_usd": column.NumberColumn("Cost", width=100),
    "tags": column.ListColumn("Tags", width="small"),
    "key": column.TextColumn("Key", width="medium"),
    "namespace": column.TextColumn("Namespace id", width=150),
}


INVALIDATION_COLUMNS: dict[str, Any] = {
    "time": column.DatetimeColumn("Applied", format="D MMM, HH:mm:ss", width=115),
    "what": column.TextColumn("What", width=190),
    "reason": column.TextColumn("Reason", width=130),
    "state": column.TextColumn("State", width=150),
    "actor": column.TextColumn("By", width=110),
    "previewed": column.NumberColumn("Previewed", width=80),
    "deleted": column.NumberColumn("Deleted", width=70),
    "freed_bytes": column.NumberColumn("Freed", width=90),
    "namespace_label": column.TextColumn("Namespace", width=110),
    "namespace": column.TextColumn("Namespace id", width=150),
    "problem": column.TextColumn("Problem", width="small"),
    "key": column.TextColumn("Key", width="small"),
    "id": column.TextColumn("Id", width="small"),
}


INVALIDATIONS_SHOWN = ("time", "what", "namespace_label", "reason", "state", "actor", "deleted")
"""What fits beside one another; the table's menu shows the others, and the download has all of them."""


PREVIEW_PART_COLUMNS: dict[str, Any] = {
    "namespace_label": column.TextColumn("Namespace", width=200),
    "entries": column.TextColumn("Entries", width=150),
    "share": column.NumberColumn("Share", width=80),
    "cost": column.TextColumn("To ask again", width=100),
    "problem": column.TextColumn("Problem", width="medium"),
    "namespace": column.TextColumn("Id", width="small"),
}


PART_COLUMNS: dict[str, Any] = {
    "namespace_label": column.TextColumn("Namespace", width=200),
    "state": column.TextColumn("State", width=160),
    "previewed": column.NumberColumn("Previewed", width=80),
    "deleted": column.NumberColumn("Deleted", width=70),
    "problem": column.TextColumn("Problem", width="large"),
    "namespace": column.TextColumn("Id", width="small"),
}


TRAIL_COLUMNS: dict[str, Any] = {
    "time": column.DatetimeColumn("Time", format="D MMM, HH:mm:ss", width=130),
    "action": column.TextColumn("What", width=110),
    "actor": column.TextColumn("By", width=100),
    "source": column.TextColumn("From", width=90),
    "details": column.TextColumn("Details", width="large"),
}


def preview(rows: Iterable[PreviewRow], naming: Naming) -> pd.DataFrame:
    """Entries that an invalidation would hide."""
    return pd.DataFrame(
        [
            {
                "namespace_label": shown(row.namespace, naming),
                "namespace": row.namespace,
                "prompt": one_line(row.prompt, 300),
                "model": one_line(row.model),
                "age": duration(row.age_seconds),
                "fresh": duration(row.fresh_seconds) if row.fresh_seconds > 0 else "past its TTL",
                "bytes": row.bytes,
                "cost_usd": row.cost_usd,
                "tags": [one_line(tag, 60) for tag in row.tags],
                "key": row.key,
            }
            for row in rows
        ],
        columns=list(PREVIEW_COLUMNS),
    )


def preview_parts(parts: Iterable[PreviewPart], naming: Naming) -> pd.DataFrame:
    """What an invalidation of all namespaces would hide in each, those with most first."""
    return pd.DataFrame(
        [
            {
                "namespace_label": shown(part.namespace, naming),
                "namespace": part.namespace,
                "entries": "" if part.problem else f"{part.about}{part.count:,} of {part.total:,}",
                "share": None if part.problem else part.highest_share,
                "cost": "" if part.problem else money(part.cost_usd),
                "problem": one_line(part.problem, 200),
            }
            for part in parts
        ],
        columns=list(PREVIEW_PART_COLUMNS),
    )


def parts(found: Iterable[Part], words: Mapping[InvalidationState, str], naming: Naming) -> pd.DataFrame:
    """What an invalidation of all namespaces came to in each, those where it is not in force first."""
    return pd.DataFrame(
        [
            {
                "namespace_label": shown(part.namespace, naming),
                "namespace": part.namespace,
                "state": words[part.state],
                "previewed": part.preview_count,
                "deleted": part.deleted,
                "problem": one_line(part.problem, 200),
            }
            for part in sorted(found, key=lambda part: (part.effective, part.namespace))
        ],
        columns=list(PART_COLUMNS),
    )


def state_of(one: Invalidation, words: Mapping[InvalidationState, str]) -> str:
    """The state in words; of all namespaces also in how many, where they differ."""
    if one.state is not InvalidationState.PARTLY:
        return words[one.state]
    reached = [part.state for part in one.parts if part.effective]
    state = words[reached[0]] if len(set(reached)) == 1 else "in force or deleted"
    return f"{state} ({len(reached)} of {len(one.parts)} namespaces)"


def what_of(one: Invalidation, questions: Mapping[str, str]) -> str:
    """What an invalidation selects: of one key its question, where that is known."""
    question = questions.get(one.id)
    return str(one.criteria) if question is None else f"“{question}”"


def invalidations(
    found: Iterable[Invalidation],
    words: Mapping[InvalidationState, str],
    questions: Mapping[str, str],
    naming: Naming,
) -> pd.DataFrame:
    """Invalidations, newest first."""
    return pd.DataFrame(
        [
            {
                "time": local(one.applied_at).replace(tzinfo=None),
                "what": one_line(what_of(one, questions), 200),
                "namespace_label": shown(one.namespace, naming),
                "namespace": one.namespace,
                "reason": one_line(one.reason, LONGEST_REASON),
                "state": state_of(one, words),
                "actor": one_line(one.actor, 60),
                "previewed": one.preview_count,
                "deleted": one.deleted,
                "freed_bytes": one.freed_bytes,
                "problem": one_line(one.problem, 200),
                "key": one.criteria.key or "",
                "id": one.id,
            }
            for one in found
        ],
        columns=list(INVALIDATION_COLUMNS),
    )


def trail(records: Iterable[AuditRecord]) -> pd.DataFrame:
    """What happened with one invalidation, oldest first."""
    return pd.DataFrame(
        [
            {
                "time": local(record.at).replace(tzinfo=None),
                "action": record.action.rpartition(".")[2].replace("-", " "),
                "actor": one_line(record.actor, 60),
                "source": record.source,
                "details": ", ".join(
                    f"{name.replace('_', ' ')} {_detail(value)}"
                    for name, value in record.details.items()
                    if value is not None
                ),
            }
            for record in records
        ],
        columns=list(TRAIL_COLUMNS),
    )


def _detail(value: object) -> str:
    """A detail of an audit record on one line; of many things their number."""
    return f"{len(value):,}" if isinstance(value, dict | list) else one_line(str(value), 80)
