"""The audit log: who did what, when, from where, and with which result. Append-only, bounded by age.

What machines do as often as their data change is in a log of its own, bounded by number too, with one record each: they
never push out, and never bury, what people did. A machine is whoever acts from `api` (a program that calls Encore, or
that has an operation key) or from `gateway`; whoever acts from the console or the command line is a person, and so is
whoever has made the schedule that acts.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, Unpack

import msgspec
import redis

from ..errors import CacheError, InvalidInput, OutcomeUnknown, StoreUnavailable, WriteRefused
from ..keys import names
from ..stores.redis import load_script, reading, writing
from .audit_records import AuditRecord, RecordFields, cleaned, fields_of, record_in, text_of
from .roles import Action, Actor, allowed

logger = logging.getLogger("encore.audit")

SILENT_SECONDS = 30.0
"""How long a log that did not answer is left alone by records that nothing depends on."""

MACHINES = frozenset({"api", "gateway"})
"""The sources from which no person acts."""
AT_RATE = ("invalidate.", "entry.")
"""Beginnings of the actions that come at the rate of events."""
MACHINE_RECORDS = 200_000
"""How many records the machines' log keeps: some 35 MB in Redis, half an hour at a hundred a second."""
MACHINE_DAYS = 30
MOST_LOOKED_AT = 10_000
"""Among how many of a log's records one question looks for those that match."""
MOST_OF_ONE = 100
"""Records of one invalidation that are given: the first of them and the latest."""
NEAR_SECONDS = 60.0
"""How long after it was asked for an invalidation's one record is looked for."""

_PAGE = 500
_SLACK_SECONDS = 2.0
_MOMENT = re.compile(r"[0-9a-f]{19}")
_ID_PATTERN = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
_BEYOND_IDS = 2**64
"""Both numbers of an id in Redis are below; an id is never 0-0."""
_APPEND = load_script(__file__, "append_audit")


class AuditPage(NamedTuple):
    """Some records, newest first. `next_id` is where the next page goes on, before this id; None when this is all."""

    records: list[AuditRecord]
    next_id: str | None


class AuditLog:
    """The audit log of all processes, or of this one without a client; the machines' log beside it.

    In Redis both are streams without a TTL, since they must outlive what they describe: each append cuts off what is
    older than `keep_days`, in the machines' log what is older than `MACHINE_DAYS` or beyond the latest
    `machine_records`.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        *,
        keep_days: int = 400,
        machine_records: int = MACHINE_RECORDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._append = client.register_script(_APPEND) if client is not None else None
        self._keep_seconds = keep_days * 86_400
        self._most = machine_records
        self._clock = clock
        self._lock = threading.Lock()
        self._people: list[AuditRecord] = []
        self._machines: deque[AuditRecord] = deque(maxlen=machine_records)
        self._count = 0

    def by(self, actor: Acting, *, source: str = "api") -> AuditTrail:
        """The `AuditTrail` of an actor acting from `source`. A trail that is passed in is returned unchanged."""
        return actor if isinstance(actor, AuditTrail) else AuditTrail(self, actor, source, clock=self._clock)

    def new_id(self) -> str:
        """A new id of an invalidation: its moment and chance. By the moment the one record of a machine's is found."""
        return f"{int(self._clock() * 1000):011x}{secrets.token_hex(4)}"

    def append(self, record: AuditRecord) -> AuditRecord:
        """Adds a record. Returns it as stored, with its id. One round trip.

        Raises StoreUnavailable, WriteRefused, or OutcomeUnknown when it may have been added.
        """
        record = cleaned(record)
        return self._add(record, record.source in MACHINES and record.action.startswith(AT_RATE))

    def append_summary(self, record: AuditRecord) -> AuditRecord:
        """Adds what was done for many invalidations of machines, once for all of them, to the machines' log."""
        return self._add(cleaned(record), is_machines=True)

    def _add(self, record: AuditRecord, is_machines: bool) -> AuditRecord:
        if self._append is None:
            return self._add_here(record, is_machines)
        now = self._clock()
        oldest, oldest_of_machines = (
            max(0, int((now - seconds) * 1000)) for seconds in (self._keep_seconds, MACHINE_DAYS * 86_400)
        )
        arguments: list[Any] = [oldest, oldest_of_machines, self._keep_seconds * 1000, int(is_machines), self._most]
        for name, value in fields_of(record).items():
            arguments += [name, value]
        keys = [names.AUDIT, names.MACHINE_AUDIT]
        if record.invalidation_id is not None:
            keys.append(names.audit_trail(record.invalidation_id))
        with writing():
            row_id = self._append(keys=keys, args=arguments)
        return msgspec.structs.replace(record, id=text_of(row_id))

    def _add_here(self, record: AuditRecord, is_machines: bool) -> AuditRecord:
        now = self._clock()
        with self._lock:
            self._count += 1
            stored = msgspec.structs.replace(record, id=f"{int(now * 1000)}-{self._count}")
            if is_machines and not any(
                kept.invalidation_id == record.invalidation_id is not None for kept in self._people
            ):
                self._machines.append(stored)
                while self._machines[0].at < now - MACHINE_DAYS * 86_400:
                    self._machines.popleft()
            else:
                self._people = [kept for kept in self._people if kept.at >= now - self._keep_seconds]
                self._people.append(stored)
        return stored

    # Reading

    def records(
        self,
        limit: int = 100,
        *,
        before_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        namespace: str | None = None,
        machines: bool = False,
    ) -> list[AuditRecord]:
        """The latest records, newest first; all filters given must match. `before_id` goes on from a page's last.

        `action` is one action or, ending in a dot, all of a thing: `schedule.`. Of a `namespace` is also what concerned
        several and names it. `machines`: those of the machines' log,
        among the latest `MOST_LOOKED_AT` of it. Raises StoreUnavailable, and InvalidInput for an id that is none.
        """
        return self.page(
            limit, before_id=before_id, actor=actor, action=action, namespace=namespace, machines=machines
        ).records

    def page(
        self,
        limit: int,
        *,
        before_id: str | None = None,
        actor: str | None = None,
        action: str | Collection[str] | None = None,
        namespace: str | None = None,
        machines: bool = False,
    ) -> AuditPage:
        """The same as `records`, and where to go on. `action` may be several actions."""
        if before_id is not None and not _is_id(before_id):
            raise InvalidInput("before_id", "give the id of an audit record, e.g. 1760000000000-0")
        found: list[AuditRecord] = []
        filters = (actor, action, namespace) != (None, None, None)
        looked_at = 0
        for record in self._newest_first(before_id, machines, _PAGE if filters else limit + 1):
            if len(found) >= limit or (machines and looked_at >= MOST_LOOKED_AT):
                return AuditPage(found, before_id)
            looked_at, before_id = looked_at + 1, record.id
            if (
                (actor is None or record.actor == actor)
                and (action is None or _is_action(record.action, action))
                and (namespace is None or _is_about(record, namespace))
            ):
                found.append(record)
        return AuditPage(found, None)

    def _newest_first(self, before_id: str | None, machines: bool, wanted: int) -> Iterator[AuditRecord]:
        if self._client is None:
            with self._lock:
                newest_first = list(self._machines if machines else self._people)[::-1]
            yield from (record for record in newest_first if before_id is None or _order(record.id) < _order(before_id))
            return
        name = names.MACHINE_AUDIT if machines else names.AUDIT
        before = "+" if before_id is None else f"({before_id}"
        count = min(wanted, _PAGE)
        while True:
            with reading():
                rows = self._client.xrevrange(name, max=before, count=count) or []
            for row_id, fields in rows:
                yield record_in(text_of(row_id), fields or {})
            if len(rows) < count:
                return
            before = f"({text_of(rows[-1][0])}"

    def of(self, invalidation_id: str, *, asked_at: float | None = None) -> list[AuditRecord]:
        """The records of one invalidation, newest first, whatever else has been recorded since.

        `asked_at` (Unix seconds) is when it was asked for, unless its id says so: without either, the one record of a
        machine's is not found. Two round trips, and one for each 500 records that machines made just then. Raises
        StoreUnavailable.
        """
        if asked_at is None and _MOMENT.fullmatch(invalidation_id):
            asked_at = int(invalidation_id[:11], 16) / 1000
        found = self.trails([invalidation_id])[invalidation_id]
        if asked_at is not None:
            found += self._of_machine(invalidation_id, asked_at)
        return sorted(found, key=lambda record: _order(record.id), reverse=True)

    def trails(self, invalidation_ids: Sequence[str]) -> dict[str, list[AuditRecord]]:
        """The records that each of these invalidations has in the log of people, oldest first; none have those that
        machines made. Two round trips for all of them. Raises StoreUnavailable.
        """
        found: dict[str, list[AuditRecord]] = {invalidation_id: [] for invalidation_id in invalidation_ids}
        if self._client is None:
            with self._lock:
                for record in self._people:
                    if record.invalidation_id in found:
                        found[record.invalidation_id].append(record)
            return found
        half = MOST_OF_ONE // 2
        with reading(), self._client.pipeline(transaction=False) as pipeline:
            for name in map(names.audit_trail, found):
                pipeline.lrange(name, 0, half - 1)
                pipeline.lrange(name, -half, -1)
            ends = pipeline.execute()
        row_ids = list(dict.fromkeys(row_id for end in ends for row_id in end))
        if not row_ids:
            return found
        with reading(), self._client.pipeline(transaction=False) as pipeline:
            for row_id in row_ids:
                pipeline.xrange(names.AUDIT, row_id, row_id)
            rows = [row for rows in pipeline.execute() for row in rows or ()]
        for row_id, fields in rows:
            record = record_in(text_of(row_id), fields or {})
            found.setdefault(record.invalidation_id or "", []).append(record)
        return found

    def _of_machine(self, invalidation_id: str, asked_at: float) -> list[AuditRecord]:
        if self._client is None:
            with self._lock:
                return [record for record in self._machines if record.invalidation_id == invalidation_id]
        first, last = (max(0, int((asked_at + seconds) * 1000)) for seconds in (-_SLACK_SECONDS, NEAR_SECONDS))
        after = str(first)
        for _ in range(0, MOST_LOOKED_AT, _PAGE):
            with reading():
                rows = self._client.xrange(names.MACHINE_AUDIT, min=after, max=last, count=_PAGE) or []
            records = [record_in(text_of(row_id), fields or {}) for row_id, fields in rows]
            if found := [record for record in records if record.invalidation_id == invalidation_id]:
                return found
            if len(rows) < _PAGE:
                break
            after = f"({records[-1].id}"
        return []

    def with_trail(self, invalidation_ids: Sequence[str]) -> list[str]:
        """Those of these invalidations that are on record in the log of people, in their order.

        One round trip for 500 of them. Raises StoreUnavailable.
        """
        if self._client is None:
            with self._lock:
                known = {record.invalidation_id for record in self._people}
            return [one for one in invalidation_ids if one in known]
        found: list[str] = []
        for start in range(0, len(invalidation_ids), _PAGE):
            page = invalidation_ids[start : start + _PAGE]
            with reading(), self._client.pipeline(transaction=False) as asking:
                for invalidation_id in page:
                    asking.exists(names.audit_trail(invalidation_id))
                found.extend(one for one, is_there in zip(page, asking.execute(), strict=True) if is_there)
        return found


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

    @property
    def is_machine(self) -> bool:
        """Whether a program acts, and no person."""
        return self.source in MACHINES

    def with_trail(self, invalidation_ids: Sequence[str]) -> list[str]:
        """Those of these invalidations that are on record in the log of people; none when the log does not answer."""
        try:
            return self._log.with_trail(invalidation_ids)
        except StoreUnavailable as error:
            logger.warning("whose invalidations these are is not known, and their audit is shortened: %s", error)
            return []

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
        return self._log.append(self._made(action, at, fields))

    def _made(self, action: str, at: float | None, fields: RecordFields) -> AuditRecord:
        return AuditRecord(
            at=self._clock() if at is None else at, actor=self.name, source=self.source, action=action, **fields
        )

    def try_record(
        self, action: str, *, at: float | None = None, is_summary: bool = False, **fields: Unpack[RecordFields]
    ) -> None:
        """Appends a record of an act that matters more than its record. Never raises: a failure is logged and kept in
        `problem`.

        `is_summary`: it was done for many invalidations of machines, and goes to their log. Takes as long as one wait
        for the log: when it did not answer, the next records are given up at once.
        """
        if self.problem is not None and time.monotonic() < self._silent_until:
            return
        append = self._log.append_summary if is_summary else self._log.append
        try:
            append(self._made(action, at, fields))
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


def _is_action(action: str, wanted: str | Collection[str]) -> bool:
    if not isinstance(wanted, str):
        return action in wanted
    return action.startswith(wanted) if wanted.endswith(".") else action == wanted


def _is_about(record: AuditRecord, namespace: str) -> bool:
    return record.namespace == namespace or namespace in (record.details.get("namespaces") or ())


def _is_id(text: str) -> bool:
    return _ID_PATTERN.fullmatch(text) is not None and _order(text) > (0, 0) and max(_order(text)) < _BEYOND_IDS


def _order(row_id: str) -> tuple[int, int]:
    milliseconds, _, number = row_id.partition("-")
    return int(milliseconds), int(number)
