"""Records as tables: text from outside goes into text columns only, which show it as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core.metrics import RequestRecord
from core.text import to_csv
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


def csv(table: pd.DataFrame) -> bytes:
    """A table for a spreadsheet."""
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return to_csv(list(table.columns), [[_plain(cell) for cell in row] for row in rows]).encode()


def _plain(cell: object) -> object:
    return cell.isoformat(sep=" ", timespec="seconds") if isinstance(cell, datetime) else cell
