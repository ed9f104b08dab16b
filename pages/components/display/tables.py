"""Records as tables: text from outside goes into text columns only, which show it as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.keys import Part
from core.metrics import RequestRecord
from core.namespaces import Naming
from core.semantic import Neighbour
from core.text import to_csv
from pages.components.display import outcomes
from pages.components.display.figures import duration, local
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line
from workers.queue import WorkerView

NAMESPACE = "namespace"
"""The part of a request that has a name of its own on screens."""

REQUEST_COLUMNS: dict[str, Any] = {
    "outcome": column.TextColumn("Outcome", width=112),
    "prompt": column.TextColumn("Prompt", width=190),
    "answer": column.TextColumn("Answer", width=190),
    "model": column.TextColumn("Model"),
    "latency": column.NumberColumn("Waited, ms", format="%.1f", width=90),
    "time": column.DatetimeColumn("Time", format="HH:mm:ss", width=75),
    "why": column.TextColumn("Why", width=190),
    "reason": column.TextColumn("Reason", width="small"),
    "not_stored": column.TextColumn("Not stored", width="small"),
    "saved": column.NumberColumn("Saved, ms", format="%.0f", width=100),
    "saved_usd": column.NumberColumn("Saved, $", format="%.6f", width=100),
    "cost_usd": column.NumberColumn("Cost, $", format="%.6f", width=100),
    "namespace_label": column.TextColumn("Namespace", width=150),
    "namespace": column.TextColumn("Namespace id", width=150),
    "ttl_class": column.TextColumn("TTL class", width="small"),
    "caller": column.TextColumn("Caller", width="small"),
    "user": column.TextColumn("User", width="small"),
    "request_id": column.TextColumn("Request id", width="small"),
    "key": column.TextColumn("Key", width="medium"),
}

REQUESTS_SHOWN = ("outcome", "prompt", "answer", "model", "latency", "time", "why")
"""What fits beside one another, the prompt on a phone too, the model whole; the rest is in the detail and in the
download."""


WORKER_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Worker", width=170),
    "state": column.TextColumn("State", width=65),
    "heartbeat": column.NumberColumn("Heartbeat, s ago", format="%.0f", width=110),
    "job": column.TextColumn("Works on", width=125),
    "done": column.NumberColumn("Done", width=55),
    "failed": column.NumberColumn("Failed", width=55),
    "up": column.TextColumn("Up for", width=95),
    "process": column.TextColumn("Host and process", width=135),
}


PART_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Part", width=180),
    "value": column.TextColumn("Value", width="large"),
    "digest": column.TextColumn("Digest", width=130),
}

NEIGHBOUR_COLUMNS: dict[str, Any] = {
    "similarity": column.NumberColumn("Cosine", format="%.3f", width=80),
    "verdict": column.TextColumn("What the lookup does with it", width=300),
    "prompt": column.TextColumn("Stored question", width=260),
    "key": column.TextColumn("Key", width="small"),
}


def requests(listed: Iterable[tuple[RequestRecord, str | None]], naming: Naming) -> pd.DataFrame:
    """Requests with the answers they got, newest first."""
    return pd.DataFrame(
        [
            {
                "outcome": outcomes.look(record.kind, record.detail).words,
                "prompt": one_line(record.prompt, 300) if record.prompt is not None else "–",
                "answer": one_line(answer, 300) if answer is not None else None,
                "why": outcomes.briefly(record.kind, record.detail, record.reason, record.not_stored),
                "latency": record.latency_ms,
                "time": local(record.at).replace(tzinfo=None),
                "reason": one_line(record.reason, 60),
                "not_stored": one_line(record.not_stored, 60),
                "saved": record.saved_ms or None,
                "saved_usd": record.saved_cost_usd,
                "cost_usd": record.cost_usd,
                "model": one_line(record.model, 200),
                "namespace_label": shown(record.namespace, naming),
                "namespace": record.namespace,
                "ttl_class": record.ttl_class,
                "caller": one_line(record.caller, 200),
                "user": one_line(record.user, 300) if record.user is not None else None,
                "request_id": one_line(record.request_id, 200) if record.request_id is not None else None,
                "key": record.key,
            }
            for record, answer in listed
        ],
        columns=list(REQUEST_COLUMNS),
    )


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


def parts(found: Iterable[Part], naming: Naming) -> pd.DataFrame:
    """What a request is made of."""
    rows = [
        {
            "name": part.name,
            "value": shown(part.words, naming) if part.name == NAMESPACE else one_line(part.words, 200),
            "digest": part.digest,
        }
        for part in found
    ]
    return pd.DataFrame(rows, columns=list(PART_COLUMNS))


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


def csv(table: pd.DataFrame) -> bytes:
    """A table for a spreadsheet."""
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return to_csv(list(table.columns), [[_plain(cell) for cell in row] for row in rows]).encode()


def _plain(cell: object) -> object:
    return cell.isoformat(sep=" ", timespec="seconds") if isinstance(cell, datetime) else cell
