"""Records as tables: text from outside goes into text columns only, which show it as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core.access.audit import AuditRecord
from core.entries.explanation import Difference
from core.entries.nearest import Nearest
from core.invalidation.invalidator import Invalidation, InvalidationState, PreviewRow
from core.invalidation.schedules import Schedule
from core.keys.parts import Part
from core.metrics.request_log import Frequent, RequestRecord
from core.metrics.summary import Kinds, Summary
from core.models import OutcomeKind
from core.semantic.quality.report import EvidenceReport, ReplayPoint
from core.semantic.quality.thresholds import Published, Threshold
from core.semantic.results import Neighbour
from core.text.export import to_csv
from pages.components.display import outcomes
from pages.components.display.figures import duration, local
from pages.components.display.text import one_line
from workers.queue import WorkerView

_column = st.column_config

REQUEST_COLUMNS: dict[str, Any] = {
    "outcome": _column.TextColumn("Outcome", width=112),
    "prompt": _column.TextColumn("Prompt", width=300),
    "why": _column.TextColumn("Why", width=200),
    "latency": _column.NumberColumn("Waited, ms", format="%.1f", width=90),
    "time": _column.DatetimeColumn("Time", format="HH:mm:ss", width=75),
    "reason": _column.TextColumn("Reason", width="small"),
    "not_stored": _column.TextColumn("Not stored", width="small"),
    "saved": _column.NumberColumn("Saved, ms", format="%.0f", width=100),
    "saved_usd": _column.NumberColumn("Saved, $", format="%.6f", width=100),
    "cost_usd": _column.NumberColumn("Cost, $", format="%.6f", width=100),
    "model": _column.TextColumn("Model", width="small"),
    "namespace": _column.TextColumn("Namespace", width="small"),
    "ttl_class": _column.TextColumn("TTL class", width="small"),
    "key": _column.TextColumn("Key", width="medium"),
}

REQUESTS_SHOWN = ("outcome", "prompt", "why", "latency", "time")
"""What fits beside one another, the prompt on a phone too; the rest is in the detail and in the download."""

FREQUENT_COLUMNS: dict[str, Any] = {
    "count": _column.NumberColumn("Times", width=80),
    "prompt": _column.TextColumn("Prompt", width=330),
    "latency": _column.NumberColumn("Waited in all, s", format="%.1f", width=130),
    "cost_usd": _column.NumberColumn("Cost, $", format="%.6f", width=110),
    "saved_usd": _column.NumberColumn("Saved, $", format="%.6f", width=110),
    "model": _column.TextColumn("Model", width="small"),
    "key": _column.TextColumn("Key", width="medium"),
}

_BREAKDOWN_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Name", width="medium"),
    "requests": _column.NumberColumn("Requests", format="localized"),
    "hit_rate": _column.ProgressColumn("Hit rate", min_value=0, max_value=1, format="percent"),
    "saved_usd": _column.NumberColumn("Saved, $", format="%.4f"),
    "cost_usd": _column.NumberColumn("Spent, $", format="%.4f"),
    "hit_ms": _column.NumberColumn("A hit takes, ms", format="%.2f"),
    "miss_ms": _column.NumberColumn("A miss takes, ms", format="%.0f"),
    "errors": _column.NumberColumn("Errors"),
}

TTL_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("TTL class", width="medium"),
    "requests": _column.NumberColumn("Requests", format="localized"),
    "hit_rate": _column.ProgressColumn("Hit rate", min_value=0, max_value=1, format="percent"),
    "hits": _column.NumberColumn("Hits", format="localized"),
    "misses": _column.NumberColumn("Misses", format="localized"),
    "bypasses": _column.NumberColumn("Bypasses", format="localized"),
}

REASON_COLUMNS: dict[str, Any] = {
    "outcome": _column.TextColumn("Outcome", width=110),
    "reason": _column.TextColumn("Reason", width="small"),
    "count": _column.NumberColumn("Requests", format="localized", width=100),
    "why": _column.TextColumn("What it means", width="large"),
}

SCHEDULE_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Schedule", width=120),
    "what": _column.TextColumn("What", width=190),
    "rhythm": _column.TextColumn("How often", width=135),
    "next": _column.DatetimeColumn("Next run", format="D MMM, HH:mm", width=110),
    "state": _column.TextColumn("State", width=70),
    "last": _column.TextColumn("Last run came to", width=185),
}

PREVIEW_COLUMNS: dict[str, Any] = {
    "prompt": _column.TextColumn("Prompt", width="large"),
    "model": _column.TextColumn("Model", width="small"),
    "age": _column.TextColumn("Age", width=100),
    "fresh": _column.TextColumn("Fresh for", width=110),
    "bytes": _column.NumberColumn("Bytes", width=80),
    "cost_usd": _column.NumberColumn("Cost, $", format="%.6f", width=100),
    "tags": _column.ListColumn("Tags", width="small"),
    "key": _column.TextColumn("Key", width="medium"),
}

INVALIDATION_COLUMNS: dict[str, Any] = {
    "time": _column.DatetimeColumn("Applied", format="D MMM, HH:mm:ss", width=115),
    "what": _column.TextColumn("What", width=220),
    "state": _column.TextColumn("State", width=150),
    "actor": _column.TextColumn("By", width=135),
    "previewed": _column.NumberColumn("Previewed", width=80),
    "deleted": _column.NumberColumn("Deleted", width=70),
    "freed": _column.NumberColumn("Given back", format="bytes", width=90),
    "namespace": _column.TextColumn("Namespace", width="small"),
    "reason": _column.TextColumn("Reason", width="small"),
    "id": _column.TextColumn("Id", width="small"),
}

INVALIDATIONS_SHOWN = ("time", "what", "state", "actor", "previewed", "deleted")
"""What fits beside one another; the table's menu shows the others, and the download has all of them."""

TRAIL_COLUMNS: dict[str, Any] = {
    "time": _column.DatetimeColumn("Time", format="D MMM, HH:mm:ss", width=130),
    "action": _column.TextColumn("What", width=110),
    "actor": _column.TextColumn("By", width=100),
    "source": _column.TextColumn("From", width=90),
    "details": _column.TextColumn("Details", width="large"),
}

PART_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Part", width=180),
    "value": _column.TextColumn("Value", width="large"),
    "digest": _column.TextColumn("Digest", width=130),
}

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Part", width=180),
    "here": _column.TextColumn("Here", width="medium"),
    "there": _column.TextColumn("There", width="medium"),
}

WORKER_COLUMNS: dict[str, Any] = {
    "name": _column.TextColumn("Worker", width=170),
    "state": _column.TextColumn("State", width=65),
    "heartbeat": _column.NumberColumn("Heard of, s ago", format="%.0f", width=110),
    "job": _column.TextColumn("Works on", width=125),
    "done": _column.NumberColumn("Done", width=55),
    "failed": _column.NumberColumn("Failed", width=55),
    "up": _column.TextColumn("Up for", width=95),
    "process": _column.TextColumn("Host and process", width=135),
}


VERSION_COLUMNS: dict[str, Any] = {
    "version": _column.NumberColumn("Version", width=75),
    "time": _column.DatetimeColumn("When", format="D MMM, HH:mm:ss", width=130),
    "act": _column.TextColumn("How", width=100),
    "actor": _column.TextColumn("By", width=150),
    "mode": _column.TextColumn("Mode", width=80),
    "serve": _column.NumberColumn("Served from", format="%.3f", width=100),
    "grey": _column.NumberColumn("Judged from", format="%.3f", width=100),
    "note": _column.TextColumn("Why", width="medium"),
}

NAMESPACE_COLUMNS: dict[str, Any] = {
    "namespace": _column.TextColumn("Namespace", width=130),
    "mode": _column.TextColumn("Mode", width=70),
    "verdict": _column.TextColumn("Budget", width=120),
    "false_hits": _column.NumberColumn("False hits per hit", format="percent", width=120),
    "bound": _column.NumberColumn("At most (95 % sure)", format="percent", width=130),
    "checked": _column.NumberColumn("Checked", width=80),
    "wrong": _column.NumberColumn("Wrong", width=70),
    "lookups": _column.NumberColumn("Lookups", format="localized", width=80),
    "near_hits": _column.NumberColumn("Near hits", format="localized", width=80),
    "labels": _column.NumberColumn("Labels", format="localized", width=80),
}

NEIGHBOUR_COLUMNS: dict[str, Any] = {
    "similarity": _column.NumberColumn("Cosine", format="%.3f", width=80),
    "verdict": _column.TextColumn("What the lookup makes of it", width=300),
    "prompt": _column.TextColumn("Stored question", width=260),
    "key": _column.TextColumn("Key", width="small"),
}

NEAREST_COLUMNS: dict[str, Any] = {
    "likeness": _column.NumberColumn("Words in common", format="%.0f %%", width=140),
    "prompt": _column.TextColumn("Stored question", width="large"),
    "differs": _column.TextColumn("What differs", width="medium"),
    "namespace": _column.TextColumn("Namespace", width=110),
    "model": _column.TextColumn("Model", width=130),
    "key": _column.TextColumn("Key", width="small"),
}

REPLAY_COLUMNS: dict[str, Any] = {
    "threshold": _column.NumberColumn("Served from", format="%.3f"),
    "hits": _column.NumberColumn("Would have hit"),
    "rate": _column.NumberColumn("Of all lookups", format="percent"),
    "labelled": _column.NumberColumn("Have a label"),
    "errors": _column.NumberColumn("Wrong"),
    "bound": _column.NumberColumn("Wrong at most (95 % sure)", format="percent"),
}


def requests(records: Iterable[RequestRecord]) -> pd.DataFrame:
    """Requests, newest first."""
    return pd.DataFrame(
        [
            {
                "outcome": outcomes.look(record.kind, record.detail).words,
                "prompt": one_line(record.prompt, 300) if record.prompt is not None else "–",
                "why": outcomes.briefly(record.kind, record.detail, record.reason, record.not_stored),
                "latency": record.latency_ms,
                "time": local(record.at).replace(tzinfo=None),
                "reason": one_line(record.reason, 60),
                "not_stored": one_line(record.not_stored, 60),
                "saved": record.saved_ms or None,
                "saved_usd": record.saved_cost_usd,
                "cost_usd": record.cost_usd,
                "model": one_line(record.model),
                "namespace": record.namespace,
                "ttl_class": record.ttl_class,
                "key": record.key,
            }
            for record in records
        ],
        columns=list(REQUEST_COLUMNS),
    )


def frequent(found: Iterable[Frequent]) -> pd.DataFrame:
    """Prompts that came again and again."""
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
    return _BREAKDOWN_COLUMNS | {"name": _column.TextColumn(name, width="medium")}


def reasons(summary: Summary) -> pd.DataFrame:
    """Why requests came to their outcome, and why fresh answers were not stored."""
    rows = [
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
            "why": outcomes.why_not_stored(reason),
        }
        for reason, count in summary.not_stored.items()
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


def breakdown(summaries: Mapping[str, Summary]) -> pd.DataFrame:
    """Figures by model or by namespace."""
    return pd.DataFrame(
        [
            {
                "name": one_line(name),
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
        columns=list(_BREAKDOWN_COLUMNS),
    )


def preview(rows: Iterable[PreviewRow]) -> pd.DataFrame:
    """Entries that an invalidation would hide."""
    return pd.DataFrame(
        [
            {
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


def invalidations(found: Iterable[Invalidation], words: Mapping[InvalidationState, str]) -> pd.DataFrame:
    """Invalidations, newest first."""
    return pd.DataFrame(
        [
            {
                "time": local(one.applied_at).replace(tzinfo=None),
                "what": one_line(str(one.criteria), 200),
                "namespace": one.namespace,
                "state": words[one.state],
                "actor": one_line(one.actor, 60),
                "previewed": one.preview_count,
                "deleted": one.deleted,
                "freed": one.freed_bytes,
                "reason": one_line(one.reason, 200),
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
                    f"{name.replace('_', ' ')} {one_line(str(value), 80)}"
                    for name, value in record.details.items()
                    if value is not None
                ),
            }
            for record in records
        ],
        columns=list(TRAIL_COLUMNS),
    )


def parts(found: Iterable[Part]) -> pd.DataFrame:
    """What a request is made of."""
    rows = [{"name": part.name, "value": one_line(part.words, 200), "digest": part.digest} for part in found]
    return pd.DataFrame(rows, columns=list(PART_COLUMNS))


def differences(found: Iterable[Difference]) -> pd.DataFrame:
    """What two requests do not share."""
    rows = [{"name": one.name, "here": one_line(one.here, 200), "there": one_line(one.there, 200)} for one in found]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def workers(found: Iterable[WorkerView], now: float) -> pd.DataFrame:
    """Worker processes, the ones that may be lost included."""
    return pd.DataFrame(
        [
            {
                "name": one_line(worker.name, 60),
                "state": "lost?" if worker.lost else one_line(worker.state, 30),
                "heartbeat": worker.heartbeat_age_seconds,
                "job": one_line(worker.job_id or "", 60),
                "done": worker.done,
                "failed": worker.failed,
                "up": duration(now - worker.born_at) if worker.born_at else "",
                "process": f"{one_line(worker.host, 40)}, {worker.pid}",
            }
            for worker in found
        ],
        columns=list(WORKER_COLUMNS),
    )


def schedules(found: Iterable[Schedule]) -> pd.DataFrame:
    """Schedules, with when they run next."""
    return pd.DataFrame(
        [
            {
                "name": one_line(schedule.name or schedule.id, 60),
                "what": f"{one_line(schedule.what, 100)} in {schedule.namespace}",
                "rhythm": schedule.rhythm,
                "next": local(schedule.next_run_at).replace(tzinfo=None) if schedule.enabled else None,
                "state": "on" if schedule.enabled else "paused",
                "last": one_line(schedule.last, 120) or "not run yet",
            }
            for schedule in found
        ],
        columns=list(SCHEDULE_COLUMNS),
    )


def versions(found: Iterable[Published], configured: Threshold) -> pd.DataFrame:
    """Versions of a namespace's threshold, the latest first."""
    rows = []
    for one in found:
        threshold = one.threshold or configured
        rows.append(
            {
                "version": one.version,
                "time": local(one.at).replace(tzinfo=None),
                "act": one.act.value.replace("-", " "),
                "actor": one_line(one.actor, 60),
                "mode": threshold.mode.value,
                "serve": threshold.serve,
                "grey": threshold.grey,
                "note": one_line(one.note, 200),
            }
        )
    return pd.DataFrame(rows, columns=list(VERSION_COLUMNS))


_VERDICTS = {True: "within", False: "over", None: "not proved yet"}


def namespaces(found: Iterable[EvidenceReport], budget: float) -> pd.DataFrame:
    """What evidence says of each namespace, those over the budget first."""
    rows = []
    for report in found:
        wrong = report.false_hits
        rows.append(
            {
                "namespace": report.namespace,
                "mode": report.threshold.mode.value,
                "verdict": _VERDICTS[wrong.verdict(budget)] if wrong else "not measured",
                "false_hits": wrong.share if wrong else None,
                "bound": wrong.bound if wrong else None,
                "checked": wrong.checked if wrong else 0,
                "wrong": wrong.errors if wrong else 0,
                "lookups": report.lookups,
                "near_hits": report.hits,
                "labels": report.labels,
            }
        )
    rows.sort(key=lambda row: (row["verdict"] != "over", row["namespace"]))
    return pd.DataFrame(rows, columns=list(NAMESPACE_COLUMNS))


def neighbours(found: Iterable[tuple[Neighbour, str]]) -> pd.DataFrame:
    """Near entries with what a lookup makes of each, the nearest first."""
    return pd.DataFrame(
        [
            {
                "similarity": one.similarity,
                "verdict": one_line(verdict, 200),
                "prompt": one_line(one.prompt, 300),
                "key": one.key,
            }
            for one, verdict in found
        ],
        columns=list(NEIGHBOUR_COLUMNS),
    )


def nearest(found: Iterable[Nearest]) -> pd.DataFrame:
    """Stored questions with like words, the nearest first."""
    return pd.DataFrame(
        [
            {
                "likeness": 100 * one.likeness,
                "prompt": one_line(one.found.entry.prompt, 300),
                "differs": one_line(", ".join(part.name for part in one.differences), 200) or "nothing",
                "namespace": one.found.entry.header.namespace,
                "model": one_line(one.found.entry.header.model),
                "key": one.found.key,
            }
            for one in found
        ],
        columns=list(NEAREST_COLUMNS),
    )


def replayed(points: Iterable[ReplayPoint]) -> pd.DataFrame:
    """What recorded lookups would have come to, the strictest threshold first."""
    return pd.DataFrame(
        [
            {
                "threshold": point.threshold,
                "hits": point.hits,
                "rate": point.hit_rate,
                "labelled": point.labelled,
                "errors": point.errors,
                "bound": point.bound if point.labelled else None,
            }
            for point in points
        ],
        columns=list(REPLAY_COLUMNS),
    )


def csv(table: pd.DataFrame) -> bytes:
    """A table for a spreadsheet."""
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return to_csv(list(table.columns), [[_plain(cell) for cell in row] for row in rows]).encode()


def _plain(cell: object) -> object:
    return cell.isoformat(sep=" ", timespec="seconds") if isinstance(cell, datetime) else cell
