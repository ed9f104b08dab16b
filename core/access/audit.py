"""The audit log: who did what, when, from where, and with which result. Append-only, bounded by age."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypedDict, Unpack

import msgspec
import redis

from ..errors import CacheError, InvalidInput, OutcomeUnknown, StoreUnavailable, WriteRefused
from ..keys import names
from ..stores.redis import load_script, reading, writing
from ..text import printable, to_csv, to_json_lines
from .roles import Action, Actor, allowed

logger = logging.getLogger("encore.audit")

MAX_NAME = 200
SILENT_SECONDS = 30.0
"""How long a log that did not answer is left alone by records that nothing depends on."""

_PAGE = 500
_ID_PATTERN = re.compile(r"\d{1,20}-\d{1,20}")
_COLUMNS = ("id", "at", "actor", "source", "action", "invalidation_id", "namespace", "criteria", "details")


_APPEND = load_script(__file__, "append_audit")


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One action. `id` is given by the log and grows with time; `at` is Unix seconds.

    `source` is where it came from: console, cli, gateway, schedule, worker or api. `action` is the thing and what was
    done with it: `invalidate.requested`, `invalidate.applied`, `invalidate.refused`, `invalidate.unknown`,
    `invalidate.undone`, `invalidate.swept`, `schedule.created`, `threshold.published`, `entry.edited`, `job.stopped`,
    `workers.suspended`, `bypass.on`. `details` is plain JSON: mode, preview count, job, deleted, duration, outcome.
    Never a secret, a prompt or an answer.
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


class AuditLog:
    """The audit log of all processes, or of this one without a client.

    In Redis it is a stream without a TTL, since it must outlive what it describes: each append cuts off what is older
    than `keep_days`.
    """

    def __init__(
        self, client: redis.Redis | None, *, keep_days: int = 400, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._append = client.register_script(_APPEND) if client is not None else None
        self._keep_seconds = keep_days * 86_400
        self._clock = clock
        self._lock = threading.Lock()
        self._records: list[AuditRecord] = []
        self._count = 0

    def by(self, actor: Acting, *, source: str = "api") -> AuditTrail:
        """The `AuditTrail` of an actor acting from `source`. A trail that is passed in is returned unchanged."""
        return actor if isinstance(actor, AuditTrail) else AuditTrail(self, actor, source, clock=self._clock)

    def append(self, record: AuditRecord) -> AuditRecord:
        """Adds a record. Returns it as stored, with its id. One round trip.

        Raises StoreUnavailable, WriteRefused, or OutcomeUnknown when it may have been added.
        """
        cleaned = _cleaned(record)
        oldest_ms = max(0, int((self._clock() - self._keep_seconds) * 1000))
        if self._append is None:
            return self._append_here(cleaned, oldest_ms / 1000)
        arguments: list[Any] = [oldest_ms]
        for name, value in _fields(cleaned).items():
            arguments += [name, value]
        with writing():
            row_id = self._append(keys=[names.AUDIT], args=arguments)
        return msgspec.structs.replace(cleaned, id=_text(row_id))

    def _append_here(self, record: AuditRecord, oldest: float) -> AuditRecord:
        with self._lock:
            self._count += 1
            stored = msgspec.structs.replace(record, id=f"{int(self._clock() * 1000)}-{self._count}")
            self._records = [kept for kept in self._records if kept.at >= oldest]
            self._records.append(stored)
        return stored

    def records(
        self,
        limit: int = 100,
        *,
        before_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        invalidation_id: str | None = None,
    ) -> list[AuditRecord]:
        """The latest records, newest first; all filters given must match. `before_id` goes on from a page's last.

        `action` is one action or, ending in a dot, all of a thing: `schedule.`. Raises StoreUnavailable, and
        InvalidInput for an id that is none.
        """
        if before_id is not None and not _ID_PATTERN.fullmatch(before_id):
            raise InvalidInput("before_id", "give the id of an audit record, e.g. 1760000000000-0")
        found: list[AuditRecord] = []
        for record in self._newest_first(before_id):
            if len(found) >= limit:
                break
            if (
                (actor is None or record.actor == actor)
                and (action is None or _is_action(record.action, action))
                and (invalidation_id is None or record.invalidation_id == invalidation_id)
            ):
                found.append(record)
        return found

    def _newest_first(self, before_id: str | None) -> Iterator[AuditRecord]:
        if self._client is None:
            with self._lock:
                newest_first = self._records[::-1]
            yield from (record for record in newest_first if before_id is None or _order(record.id) < _order(before_id))
            return
        before = "+" if before_id is None else f"({before_id}"
        while True:
            with reading():
                rows = self._client.xrevrange(names.AUDIT, max=before, count=_PAGE) or []
            for row_id, fields in rows:
                yield _record(_text(row_id), fields or {})
            if len(rows) < _PAGE:
                return
            before = f"({_text(rows[-1][0])}"


class AuditTrail:
    """Checks the role of one actor and records what that actor does from one source.

    `AuditLog.by` makes one. `source` is console, cli, gateway, schedule, worker or api.
    """

    def __init__(self, log: AuditLog, actor: Actor | str, source: str, *, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._silent_until = 0.0
        self.actor = actor
        self.source = source
        self.problem: CacheError | None = None
        """Why the latest `try_record` is not in the log; None when it is."""

    @property
    def name(self) -> str:
        """The actor's name, as records keep it."""
        return self.actor if isinstance(self.actor, str) else self.actor.name

    def require(self, *actions: Action) -> str:
        """The actor's name. Raises AccessDenied unless the actor's role allows all these actions."""
        for action in actions:
            allowed(self.actor, action)
        return self.name

    def may(self, action: Action) -> bool:
        """Whether the actor's role allows an action."""
        return isinstance(self.actor, str) or self.actor.may(action)

    def record(self, action: str, *, at: float | None = None, **fields: Unpack[RecordFields]) -> AuditRecord:
        """Appends a record of an act. `at` is Unix seconds, now by default. One round trip.

        For an act that must not happen without its record: call it first. Raises StoreUnavailable, WriteRefused or
        OutcomeUnknown.
        """
        return self._log.append(
            AuditRecord(
                at=self._clock() if at is None else at, actor=self.name, source=self.source, action=action, **fields
            )
        )

    def try_record(self, action: str, *, at: float | None = None, **fields: Unpack[RecordFields]) -> None:
        """Appends a record of an act that matters more than its record. Never raises: a failure is logged and kept in
        `problem`.

        Takes as long as one wait for the log: when it did not answer, the next records are given up at once.
        """
        if self.problem is not None and time.monotonic() < self._silent_until:
            return
        try:
            self.record(action, at=at, **fields)
        except (StoreUnavailable, WriteRefused, OutcomeUnknown) as error:
            logger.warning(
                "%s of %s is not in the audit log: %s",
                action,
                fields.get("invalidation_id") or fields.get("namespace") or self.name,
                error,
            )
            self.problem = error
            if not isinstance(error, WriteRefused):
                self._silent_until = time.monotonic() + SILENT_SECONDS
        else:
            self.problem = None


Acting = AuditTrail | Actor | str
"""Who acts: a trail, or an actor or a name alone, whose source is then `api`."""


def audit_json_lines(records: Iterable[AuditRecord]) -> str:
    """Records for programs: one JSON object a line."""
    return to_json_lines(records)


def audit_csv(records: Iterable[AuditRecord]) -> str:
    """Records for spreadsheets: a header and a row each, criteria and details as JSON."""
    return to_csv(_COLUMNS, ([getattr(record, column) for column in _COLUMNS] for record in records))


def _is_action(action: str, wanted: str) -> bool:
    return action.startswith(wanted) if wanted.endswith(".") else action == wanted


def _cleaned(record: AuditRecord) -> AuditRecord:
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


def _fields(record: AuditRecord) -> dict[Any, Any]:
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


def _record(row_id: str, fields: Mapping[Any, Any]) -> AuditRecord:
    """The record in a row. What cannot be read is left empty rather than hidden: a row is never dropped."""
    texts = {_text(name): _text(value) for name, value in fields.items()}
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


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _order(row_id: str) -> tuple[int, int]:
    milliseconds, _, number = row_id.partition("-")
    return int(milliseconds), int(number)
