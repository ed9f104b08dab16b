"""Records as tables: text from outside goes into text columns only, which show it as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler
from streamlit import column_config as column

from core.keys import Part
from core.metrics import RequestRecord, reasons
from core.namespaces import Naming
from core.semantic import Neighbour
from core.text import to_csv
from pages.components.display import outcomes
from pages.components.display.figures import UNKNOWN, duration, local, milliseconds, money, share, size, zone
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line
from workers.queue import WorkerView

_FIGURES: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("cost_usd", "saved_usd", "spent_usd", "repeated_usd"), money),
    **dict.fromkeys(("hit_rate_before", "share", "false_hits", "bound", "rate", "likeness"), share),
    **dict.fromkeys(("latency_ms", "saved_ms", "hit_ms", "miss_ms"), milliseconds),
    **dict.fromkeys(("hit_p50", "hit_p95", "miss_p50", "miss_p95"), milliseconds),
    **dict.fromkeys(("waited_seconds", "heartbeat"), duration),
    **dict.fromkeys(("bytes", "freed_bytes"), size),
}
"""The words of figures, by the name of their column: those of tiles and charts."""
HIT_RATE = "hit_rate"
"""A column that is drawn as a bar, whose words only a format can give."""
BAR: dict[str, Any] = {"min_value": 0, "max_value": 100, "format": "%.1f %%"}
"""What makes a column of hit rates a bar with the words of a share."""

NAMESPACE = "namespace"
"""The part of a request that has a name of its own on screens."""

REQUEST_COLUMNS: dict[str, Any] = {
    "outcome": column.TextColumn("Outcome", width=112),
    "prompt": column.TextColumn("Prompt", width=190),
    "answer": column.TextColumn("Answer", width=190),
    "model": column.TextColumn("Model"),
    "latency_ms": column.NumberColumn("Waited", width=90),
    "time": column.DatetimeColumn("Time", format="HH:mm:ss", width=75),
    "why": column.TextColumn("Why", width=190),
    "reason": column.TextColumn("Reason", width="small"),
    "not_stored": column.TextColumn("Not stored", width="small"),
    "saved_ms": column.NumberColumn("Time saved", width=100),
    "saved_usd": column.NumberColumn("Money saved", width=100),
    "cost_usd": column.NumberColumn("Cost", width=100),
    "namespace_label": column.TextColumn("Namespace", width=130),
    "namespace": column.TextColumn("Namespace id", width=150),
    "ttl_class": column.TextColumn("TTL class", width="small"),
    "caller": column.TextColumn("Caller", width="small"),
    "user": column.TextColumn("User", width="small"),
    "request_id": column.TextColumn("Request id", width="small"),
    "key": column.TextColumn("Key", width="medium"),
}

REQUESTS_SHOWN: tuple[str, ...] = ("outcome", "prompt", "answer", "model", "latency_ms", "time", "why")
"""What fits beside one another, the prompt on a phone too, the model whole; the rest is in the detail and in the
download."""
REQUESTS_OF_ALL_SHOWN = ("outcome", "prompt", "namespace_label", "model", "latency_ms", "time", "why")
"""The same where they are of several namespaces: whose a request is takes the room of its answer."""


WORKER_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Worker", width=170),
    "state": column.TextColumn("State", width=65),
    "heartbeat": column.NumberColumn("Since heartbeat", width=110),
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
                "why": reasons.briefly(record.kind, record.detail, record.reason, record.not_stored),
                "latency_ms": record.latency_ms,
                "time": local(record.at).replace(tzinfo=None),
                "reason": one_line(record.reason, 60),
                "not_stored": one_line(record.not_stored, 60),
                "saved_ms": record.saved_ms or None,
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


def in_figures(table: pd.DataFrame) -> Styler:
    """A table whose numbers are shown in the words of tiles and charts, and sorted as the numbers that they are."""
    if HIT_RATE in table:
        table = table.assign(**{HIT_RATE: pd.to_numeric(table[HIT_RATE]) * 100})
    words = {name: _FIGURES.get(name, _plainly) for name in table.columns}
    return table.style.format(words, na_rep=UNKNOWN)


def _plainly(value: object) -> str:
    """A count as other tables show it; missing ones make a column of counts one of floats."""
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def csv(table: pd.DataFrame) -> bytes:
    """A table for a spreadsheet."""
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return to_csv(list(table.columns), [[_plain(cell) for cell in row] for row in rows]).encode()


def _plain(cell: object) -> object:
    if not isinstance(cell, datetime):
        return cell
    return cell.replace(tzinfo=zone()).isoformat(sep=" ", timespec="seconds")  # a file names no zone elsewhere
