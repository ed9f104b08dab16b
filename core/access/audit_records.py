"""A record of the audit log: what it says, the row of a stream it is stored as, and how it is exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

import msgspec

from ..text import printable, to_csv, to_json_lines

MAX_NAME = 200

_BEFORE = ("id", "at", "actor", "source", "action", "invalidation_id", "namespace")
_AFTER = ("criteria", "details")


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One action. `id` is given by the log and grows with time; `at` is Unix seconds.

    `source` is where it came from: console, cli, gateway, schedule, worker or api. `action` is the thing and what was
    done with it: `invalidate.requested`, `invalidate.applied`, `invalidate.refused`, `invalidate.unknown`,
    `invalidate.undone`, `invalidate.swept`, `schedule.created`, `threshold.published`, `entry.edited`, `job.stopped`,
    `workers.suspended`, `bypass.on`, `namespace.labelled`. `details` is plain JSON: mode, preview count, job, deleted,
    duration, outcome. Never a secret, a prompt or an answer. An invalidation by a machine has one record, named by how
    it ended; its sweep is in one that counts all those it served.
    """

    at: float
    actor: str
    source: str
    action: str
    id: str = ""
    invalidation_id: str | None = None
    namespace: str | None = None
    criteria: Mapping[str, Any] = {}
    details: Mapping[str, Any] = {}


class RecordFields(TypedDict, total=False):
    """Optional fields of an `AuditRecord` beside actor, source and action, as keyword arguments."""

    invalidation_id: str
    namespace: str | None
    criteria: Mapping[str, Any]
    details: Mapping[str, Any]


def audit_json_lines(records: Iterable[AuditRecord]) -> str:
    """Records for programs: one JSON object a line."""
    return to_json_lines(records)


def audit_csv(records: Iterable[AuditRecord], named: Callable[[str], str] = str) -> str:
    """Records for spreadsheets: a header and a row each, criteria and details as JSON.

    `named` gives what a namespace is called, for the column beside its id.
    """
    rows = (
        [
            *(getattr(record, column) for column in _BEFORE),
            None if record.namespace is None else named(record.namespace),
            *(getattr(record, column) for column in _AFTER),
        ]
        for record in records
    )
    return to_csv((*_BEFORE, "namespace_label", *_AFTER), rows)


def cleaned(record: AuditRecord) -> AuditRecord:
    """The record as it can be stored and shown: names on one line, criteria and details as JSON gives them back."""
    return msgspec.structs.replace(
        record,
        actor=printable(record.actor, MAX_NAME),
        source=printable(record.source, MAX_NAME),
        action=printable(record.action, MAX_NAME),
        namespace=None if record.namespace is None else printable(record.namespace, MAX_NAME),
        criteria=_parsed(_json(record.criteria)),
        details=_parsed(_json(record.details)),
    )


def fields_of(record: AuditRecord) -> dict[str, str]:
    """The fields of a stream row: readable with any Redis client."""
    fields = {
        "at": repr(record.at),
        "actor": record.actor,
        "source": record.source,
        "action": record.action,
        "invalidation_id": record.invalidation_id,
        "namespace": record.namespace,
        "criteria": _json(record.criteria),
        "details": _json(record.details),
    }
    return {name: value for name, value in fields.items() if value is not None}


def record_in(row_id: str, fields: Mapping[Any, Any]) -> AuditRecord:
    """The record in a row. What cannot be read is left empty rather than hidden: a row is never dropped."""
    texts = {text_of(name): text_of(value) for name, value in fields.items()}
    try:
        at = float(texts.get("at", ""))
    except ValueError:
        at = int(row_id.partition("-")[0]) / 1000
    return AuditRecord(
        id=row_id,
        at=at,
        actor=texts.get("actor", ""),
        source=texts.get("source", ""),
        action=texts.get("action", ""),
        invalidation_id=texts.get("invalidation_id"),
        namespace=texts.get("namespace"),
        criteria=_parsed(texts.get("criteria", "{}")),
        details=_parsed(texts.get("details", "{}")),
    )


def _json(value: Mapping[str, Any]) -> str:
    # An audit record is written whatever its details are: what JSON does not know is written as text.
    return json.dumps(dict(value), ensure_ascii=False, default=str).encode("utf-8", "replace").decode()


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {"unreadable": text}
    return parsed if isinstance(parsed, dict) else {"unreadable": parsed}


def text_of(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
