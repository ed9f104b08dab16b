"""Invalidations of all namespaces: each namespace gets a ban of its own, and all of them are one invalidation.

Where one namespace refuses it the others keep it: it is told which, and an undo lifts what was applied. A namespace
that comes to be while it is applied is not among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from ..access import Action, AuditLog, AuditTrail, covers
from ..bans import Criteria, InvalidationRecord
from ..errors import CacheError, InvalidationRefused, InvalidInput, NotPermitted, OutcomeUnknown, StoreUnavailable
from ..keys import EVERYWHERE, Slot, user_pseudonym
from ..text import printable
from .durability import Durability
from .history import REQUEST_ID
from .preview import EXACT_LIMIT, Preview, joined
from .telling import Invalidation, InvalidationState, Part, what_of
from .whole import LIFTED, LONGEST_ID, NAMESPACES, part_id, problem_of, summed

MOST_NAMESPACES: Final = 500
"""In one invalidation."""
MOST_SILENT: Final = 3
"""Namespaces in a row whose Redis does not answer, before the others are given up."""
LEAST_EXACT: Final = 500
"""Entries that a preview reads in each namespace, however many there are."""
MOST_OF_A_PROBLEM: Final = 200
NOT_TRIED: Final = "not tried, since Redis does not answer"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What criteria of all namespaces leave open: those that a key is for (none: all there are), and the name of the
    user, since a user has another pseudonym in each. Nothing keeps the name."""

    within: tuple[str, ...] = ()
    user: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How an invalidation is made: as `CacheInvalidator.invalidate` has it."""

    soft: bool
    hold_seconds: float
    reason: str


class Single(Protocol):
    """What an invalidation of one namespace consists of, without rights and records."""

    audit: AuditLog
    durability: Durability

    def preview(self, criteria: Criteria, *, exact_limit: int = EXACT_LIMIT) -> Preview: ...
    def put(
        self, criteria: Criteria, asked: Asked, ban_id: str, actor: str
    ) -> tuple[Invalidation, list[InvalidationRecord]]: ...
    def lift(self, known: Invalidation) -> Invalidation: ...
    def expire(self, known: Invalidation, now: float) -> None: ...
    def find(self, invalidation_id: str) -> Invalidation | None: ...
    def keep(self, known: Invalidation) -> None: ...
    def namespaces(self) -> list[str]: ...
    def slots_of(self, namespace: str) -> list[Slot]: ...
    def now(self) -> float: ...


class Everywhere:
    """Previews, applies and undoes invalidations of all namespaces."""

    def __init__(self, single: Single) -> None:
        self._single = single

    def criteria(self, criteria: Criteria, reach: Reach) -> dict[str, Criteria]:
        """The criteria by namespace. Raises InvalidInput for what cannot be of all, StoreUnavailable."""
        check_everywhere(criteria, reach)
        names = [name for name in self._single.namespaces() if not reach.within or covers(reach.within, name)]
        if not names:
            raise InvalidInput("namespace", "there is no namespace yet to invalidate")
        if len(names) > MOST_NAMESPACES:
            raise InvalidInput(
                "namespace",
                f"there are {len(names):,}, and one invalidation reaches at most {MOST_NAMESPACES}: name them one by "
                "one. Until then, the bypass switch can keep all requests from the cache",
            )
        return {name: _of(criteria, name, reach.user) for name in names}

    def preview(self, criteria: Criteria, reach: Reach, *, exact_limit: int) -> Preview:
        """The preview in each namespace, and their sum. Where many share it, each reads less and estimates sooner."""
        single = self._single
        parts = self.criteria(criteria, reach)
        limit = min(exact_limit, max(LEAST_EXACT, exact_limit // len(parts)))
        found: list[Preview] = []
        problems: dict[str, str] = {}
        silent: set[str] = set()
        first: StoreUnavailable | None = None
        for namespace, given in _until_silent(parts, silent):
            try:
                found.append(single.preview(given, exact_limit=limit))
            except StoreUnavailable as error:
                first = first or error
                problems[namespace] = _plain(error)
                if _is_silence(error):
                    silent.add(namespace)
        tried = {*problems, *(one.namespace for one in found)}
        problems |= {namespace: NOT_TRIED for namespace in parts if namespace not in tried}
        if first is not None and not found:
            raise first
        return joined(criteria, found, problems, now=single.now())

    def invalidate(
        self,
        criteria: Criteria,
        reach: Reach,
        asked: Asked,
        *,
        trail: AuditTrail,
        request_id: str | None,
        preview: Preview | None,
    ) -> Invalidation:
        """Applies it in every namespace; what one of them refuses stands in its part. Raises the first refusal where
        none takes it, OutcomeUnknown where it is perhaps applied in some and in none for certain."""
        name = trail.require(Action.EVERYWHERE)
        single = self._single
        known = self._repeated(request_id, criteria)
        if known is not None and (
            any(part.state is InvalidationState.UNDONE for part in known.parts)
            or all(part.effective for part in known.parts)
        ):
            return known
        parts = self.criteria(criteria, reach)
        counts = {part.namespace: part.count for part in preview.parts} if preview is not None else {}
        whole = Invalidation(
            id=request_id or single.audit.new_id(),
            namespace=EVERYWHERE,
            criteria=criteria,
            state=InvalidationState.UNKNOWN,
            actor=name,
            applied_at=single.now(),
            due_at=single.now(),
            share=preview.highest_share if preview is not None else None,
            reason=asked.reason,
        )
        details = _details(whole, asked, {namespace: counts.get(namespace) for namespace in parts})
        if not trail.is_machine and known is None:
            _record(trail, "requested", whole, whole.applied_at, details)
        done, records, errors = self._put(whole, parts, asked, counts)
        whole = summed(whole, done)
        self._end(trail, whole, details)
        if not whole.effective:
            raise _worst(errors)
        single.keep(whole)
        single.durability.await_local_expiry(records)
        applied = [part.namespace for part in done if part.effective]
        single.durability.await_durability(slot for namespace in applied for slot in single.slots_of(namespace))
        return whole

    def _repeated(self, request_id: str | None, criteria: Criteria) -> Invalidation | None:
        """The invalidation that has this id already, perhaps in some namespaces only."""
        if request_id is None:
            return None
        if not REQUEST_ID.fullmatch(request_id) or len(request_id) > LONGEST_ID:
            words = f"use 1 to {LONGEST_ID} letters, digits, dots, colons, dashes and underscores"
            raise InvalidInput("request_id", words)
        known = self._single.find(request_id)
        if known is not None and what_of(known.criteria, known.namespace) != what_of(criteria, EVERYWHERE):
            raise InvalidInput("request_id", f"was used for another invalidation ({known.criteria}): give a new one")
        return known

    def _put(
        self, whole: Invalidation, parts: Mapping[str, Criteria], asked: Asked, counts: Mapping[str, int]
    ) -> tuple[list[Part], list[InvalidationRecord], list[CacheError]]:
        done: list[Part] = []
        records: list[InvalidationRecord] = []
        errors: list[CacheError] = []
        silent: set[str] = set()
        for namespace, criteria in _until_silent(parts, silent):
            state, problem, due_at = InvalidationState.REFUSED, "", whole.due_at
            try:
                one, found = self._single.put(criteria, asked, part_id(whole.id, namespace), whole.actor)
                state, due_at = one.state, one.due_at
                records += found
            except CacheError as error:
                errors.append(error)
                problem = _plain(error)
                if isinstance(error, OutcomeUnknown):
                    state = InvalidationState.UNKNOWN
                if _is_silence(error):
                    silent.add(namespace)
            done.append(
                Part(
                    namespace=namespace,
                    state=state,
                    due_at=due_at,
                    preview_count=counts.get(namespace),
                    finished_at=None if state is not InvalidationState.REFUSED else whole.applied_at,
                    problem=problem,
                )
            )
        tried = {part.namespace for part in done}
        done += [
            Part(
                namespace=namespace,
                state=InvalidationState.REFUSED,
                due_at=whole.due_at,
                preview_count=counts.get(namespace),
                finished_at=whole.applied_at,
                problem=NOT_TRIED,
            )
            for namespace in parts
            if namespace not in tried
        ]
        return done, records, errors

    def _end(self, trail: AuditTrail, whole: Invalidation, details: dict[str, Any]) -> None:
        """Records what it came to: in one record, and of a person's in one for each namespace as well."""
        failed = {
            state.value: {part.namespace: part.problem for part in whole.parts if part.state is state}
            for state in (InvalidationState.REFUSED, InvalidationState.UNKNOWN)
        }
        ended = details | {name: problems for name, problems in failed.items() if problems}
        step = "applied" if whole.effective else whole.state.value
        _record(trail, step, whole, whole.applied_at if trail.is_machine else self._single.now(), ended)
        if trail.is_machine:
            return
        for part in whole.parts:
            if part.effective:  # the sweep of what has a record of a person's is recorded for itself
                criteria = whole.criteria.to_dict() | {"namespace": part.namespace}
                trail.try_record(
                    "invalidate.applied",
                    at=whole.applied_at,
                    invalidation_id=part_id(whole.id, part.namespace),
                    namespace=part.namespace,
                    criteria=criteria,
                    details={"part_of": whole.id},
                )

    def undo(self, known: Invalidation, *, trail: AuditTrail) -> Invalidation:
        """Lifts it wherever it can still be lifted. Raises the first refusal where it cannot be anywhere."""
        now = self._single.now()
        parts: list[Part] = []
        errors: list[CacheError] = []
        for part in known.parts:
            if part.can_undo:
                try:
                    done = self._single.lift(_single_of(known, part))
                    part = msgspec.structs.replace(  # noqa: PLW2901
                        part,
                        state=InvalidationState.UNDONE,
                        finished_at=now,
                        put_back=done.put_back,
                        kept_newer=done.kept_newer,
                        problem=done.problem,
                    )
                except CacheError as error:
                    errors.append(error)
                    part = msgspec.structs.replace(part, problem=_plain(error))  # noqa: PLW2901
            parts.append(part)
        lifted = [part for part in parts if part.finished_at == now and part.state is InvalidationState.UNDONE]
        if not lifted:
            raise errors[0] if errors else InvalidationRefused("deleting has begun in every namespace")
        answers = [part for part in lifted if part.put_back is not None]
        done = msgspec.structs.replace(
            summed(known, parts),
            put_back=sum(part.put_back or 0 for part in answers) if answers else None,
            kept_newer=sum(part.kept_newer or 0 for part in answers) if answers else None,
        )
        if done.state is InvalidationState.UNDONE:
            self._single.keep(msgspec.structs.replace(done, finished_at=now))
        told = {"put_back": done.put_back, "kept_newer": done.kept_newer, "problem": problem_of(parts)}
        details = {name: value for name, value in told.items() if value}
        _record(trail, "undone", known, now, {LIFTED: [part.namespace for part in lifted]} | details)
        return done

    def end_hold(self, known: Invalidation, *, trail: AuditTrail) -> Invalidation:
        """Ends its hold wherever it has one. Raises the first refusal where it cannot be ended anywhere."""
        now = self._single.now()
        parts: list[Part] = []
        errors: list[CacheError] = []
        ended = 0
        for part in known.parts:
            if part.state is InvalidationState.HELD:
                try:
                    self._single.expire(_single_of(known, part), now)
                    ended += 1
                    part = msgspec.structs.replace(part, due_at=min(part.due_at, now))  # noqa: PLW2901
                except CacheError as error:
                    errors.append(error)
                    part = msgspec.structs.replace(part, problem=_plain(error))  # noqa: PLW2901
            parts.append(part)
        if not ended:
            raise errors[0] if errors else InvalidationRefused("it has no time to undo that could be ended")
        _record(trail, "hold-ended", known, now, {})
        return summed(known, parts)


def check_everywhere(criteria: Criteria, reach: Reach) -> None:
    """Raises InvalidInput for criteria that cannot be those of all namespaces."""
    if criteria.key is not None:
        raise InvalidInput("key", "an entry is in one namespace: name it")
    if criteria.user is not None and reach.user is None:
        raise InvalidInput("user", "has another pseudonym in each namespace, so name one namespace")


def _of(criteria: Criteria, namespace: str, user: str | None) -> Criteria:
    given = criteria.user if user is None else user_pseudonym(namespace, user)
    return msgspec.structs.replace(criteria, namespace=namespace, user=given)


def _until_silent(parts: Mapping[str, Criteria], silent: Collection[str]) -> Iterator[tuple[str, Criteria]]:
    """The namespaces one by one, until several in a row have become `silent`: each wait for a Redis that hangs takes
    as long."""
    in_a_row = 0
    for namespace, criteria in parts.items():
        if in_a_row >= MOST_SILENT:
            return
        yield namespace, criteria
        in_a_row = in_a_row + 1 if namespace in silent else 0


def _single_of(known: Invalidation, part: Part) -> Invalidation:
    """The part as an invalidation of its namespace."""
    return Invalidation(
        id=part_id(known.id, part.namespace),
        namespace=part.namespace,
        criteria=msgspec.structs.replace(known.criteria, namespace=part.namespace),
        state=part.state,
        actor=known.actor,
        applied_at=known.applied_at,
        due_at=part.due_at,
    )


def _worst(errors: Iterable[CacheError]) -> CacheError:
    """What is raised where it is applied nowhere for certain."""
    found = list(errors)
    return next((error for error in found if isinstance(error, OutcomeUnknown)), found[0])


def _is_silence(error: CacheError) -> bool:
    """Whether the next one would wait as long, perhaps, for nothing."""
    return isinstance(error, StoreUnavailable | OutcomeUnknown) and not isinstance(error, NotPermitted)


def _plain(error: CacheError) -> str:
    return printable(str(error), MOST_OF_A_PROBLEM)


def _details(whole: Invalidation, asked: Asked, counts: Mapping[str, int | None]) -> dict[str, Any]:
    details: dict[str, Any] = {
        "mode": "soft" if asked.soft else "hard",
        "hold_seconds": asked.hold_seconds,
        "reason": asked.reason,
        "share": whole.share,
    }
    if known := [count for count in counts.values() if count is not None]:
        details["preview_count"] = sum(known)
    return {name: value for name, value in details.items() if value not in (None, "")} | {NAMESPACES: dict(counts)}


def _record(trail: AuditTrail, step: str, whole: Invalidation, at: float, details: Mapping[str, Any]) -> None:
    trail.try_record(
        f"invalidate.{step}",
        at=at,
        invalidation_id=whole.id,
        namespace=EVERYWHERE,
        criteria=whole.criteria.to_dict(),
        details=details,
    )
