"""The path of a request, on one screen.

request -> bypass? -> copy or lookup -> join those who ask the same -> near question -> provider -> kept -> outcome

Everything here decides and does no I/O: what is to be read, waited for, asked or written is yielded as an effect,
and the drivers (`drivers.py`) do it. The outcome is recorded once, whatever happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

import msgspec
from cachetools import TTLCache

from .. import policy
from ..bans import Name, latest_of, names_of
from ..errors import IncompleteStream, NotCached
from ..keys import user_digests
from ..models import Answer, ChatRequest, Completion, Controls, Outcome, OutcomeKind
from ..stores import Found, Lookup, MissReason, codec
from .call import Call, went_away
from .config import CacheConfig
from .effects import Flow, ForgetRecord, ReadSwitch
from .flights import FlightKey
from .near import Judging, NearPart
from .reader import RequestReader, record_of
from .recorder import OutcomeRecorder, answer_of
from .singleflight import SingleFlight
from .steps import Bypass, Fetched, Hedge, Hit, Lead, Lease, Miss
from .writer import OTHER_BUCKET, OTHER_SCOPE, SAME_WORDING, Writer

SWITCHED = "bypass-switch"
"""Why a request bypasses the cache whose namespace an operator has switched off."""
ERROR_SECONDS = 5.0
"""How long a provider's error is remembered when `cache_errors` is on."""
MOST_ERRORS = 1000


class Refresher(Protocol):
    """Has an answer that was served stale generated anew, in the background."""

    def __call__(self, request: ChatRequest, controls: Controls, key: str) -> None:
        """Queues a refresh. Returns at once; at most one refresh per key at a time."""
        ...


class RequestFlow:
    """The path of every request of one cache. `clock` gives Unix seconds."""

    def __init__(
        self,
        config: CacheConfig,
        *,
        reader: RequestReader,
        writer: Writer,
        near: NearPart,
        single_flight: SingleFlight,
        outcomes: OutcomeRecorder,
        clock: Callable[[], float],
        refresher: Refresher | None = None,
    ) -> None:
        self._config = config
        self._reader = reader
        self._writer = writer
        self._near = near
        self._single_flight = single_flight
        self._outcomes = outcomes
        self._clock = clock
        self._refresher = refresher
        self._errors: TTLCache[tuple[FlightKey, bytes], BaseException] = TTLCache(MOST_ERRORS, ERROR_SECONDS)
        self._errors_lock = threading.Lock()

    def answer(self, call: Call) -> Flow[Hit | Answer]:
        """The flow of a request, from the lookup to the answer. Raises what the provider raises, and NotCached."""
        try:
            if (call.bypass or call.is_switched is not False) and (yield from self._bypasses(call)):
                return (yield from self._pass(call))
            if copied := self._reader.copied(call):
                return self._serve(call, copied)
            lookup = yield from self._reader.look_up(call)
            if lookup is not None and lookup.found is not None and self.may_serve(lookup.found, call.controls):
                return self._serve(call, lookup.found)
            if call.controls.only_if_cached:
                near = yield from self._near.look(call, self._seen(call, lookup))
                return near if isinstance(near, Hit) else self._refuse(call, near.reason)
            miss = yield from self._miss(call, lookup)
            joined = yield from self._join(call, miss)
            if isinstance(joined, Hit):
                return joined
            return (yield from self._lead(call, miss, joined))
        except BaseException as error:
            if not call.recorded:
                self._outcomes.failed(call, error)
            raise

    def _bypasses(self, call: Call) -> Flow[bool]:
        """Whether the request goes past the cache; when the switch cannot be read the store is not asked again."""
        if not call.bypass:
            is_on = call.is_switched
            if is_on is None:
                is_on = yield ReadSwitch(call)
                call.store_failed = is_on is None
            if is_on:
                call.pass_by(SWITCHED)
        return bool(call.bypass)

    def _pass(self, call: Call) -> Flow[Answer]:
        if call.controls.only_if_cached:
            self._refuse(call, call.bypass)
        fetched: Fetched = yield Bypass(call, call.bypass)
        return self._outcomes.passed(call, fetched.completion)

    def may_serve(self, found: Found, controls: Controls) -> bool:
        """Whether an answer may be served: fresh, or stale while it is refreshed, when the operator allows that."""
        if controls.no_cache:
            return False
        if not found.stale:
            return True
        if found.soft or self._refresher is None or controls.max_age is not None:
            return False
        return self._clock() < found.entry.header.fresh_until + self._config.stale_while_revalidate_seconds

    def _miss(self, call: Call, lookup: Lookup | None) -> Flow[Miss]:
        """Why nothing is served, and the record under which an answer is generated from now on."""
        seen = self._seen(call, lookup)
        if lookup is None or seen.record is not None:
            return seen
        record = yield from record_of(call, lookup)
        return Miss(call.unanswered if record is None else seen.reason, record)

    @staticmethod
    def _seen(call: Call, lookup: Lookup | None) -> Miss:
        """Why nothing is served, with the record if there is one already."""
        if lookup is None:
            return Miss(call.unanswered, None)
        reason = MissReason.NO_CACHE if call.controls.no_cache else lookup.reason
        return Miss(reason, lookup.record)

    def _serve(self, call: Call, found: Found, reason: str = "") -> Hit:
        if found.stale and not reason:
            reason = "revalidating"
            if self._refresher is not None:
                controls = msgspec.structs.replace(call.controls, namespace=call.namespace)
                self._refresher(call.request, controls, call.key)
        return Hit(self._outcomes.hit(call, found, reason, at=call.looked_at), found.entry, call.request.unkeyed)

    def _refuse(self, call: Call, reason: str) -> NoReturn:
        self._outcomes.record(call, OutcomeKind.MISS, reason="only-if-cached")
        raise NotCached(f"only-if-cached was asked for, and there is no answer to serve ({reason})")

    def _join(self, call: Call, miss: Miss) -> Flow[Hit | Lease | None]:
        """Joins those who ask the same. None: the answer is for this caller alone."""
        record = miss.record
        if record is None or call.controls.no_cache:
            return None
        since = latest_of(_names_of(call), record)
        key = FlightKey(call.slot.entry(call.identity.exact), record.incarnation, since)
        self._raise_remembered(call, key)
        joined = yield from self._single_flight.join(call, key, record)
        if isinstance(joined, BaseException):
            return (yield from self._failed(call, None, joined))
        return joined

    def _lead(self, call: Call, miss: Miss, lease: Lease | None) -> Flow[Hit | Answer]:
        """Looks for a near question, then asks the provider and keeps what it answers."""
        try:
            lead = yield from self._look_near(call, miss, lease)
        except BaseException:
            if lease is not None:
                lease.drop()
            raise
        if isinstance(lead, Hit):
            return lead
        try:
            fetched: Fetched = yield lead
        except GeneratorExit:
            if lease is not None:
                lease.drop()
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by `_failed`, unless an old answer is served
            return (yield from self._failed(call, lease, error))
        return (yield from self._keep(call, lead.miss, lease, fetched))

    def _look_near(self, call: Call, miss: Miss, lease: Lease | None) -> Flow[Hit | Lead]:
        """A hit by a near question, else the call to the provider, beside which a judge is asked when hedging is on."""
        if lease is None or not lease.looks_near:
            return Lead(call, miss, lease, self._outcomes)
        hedge = None
        near = yield from self._near.begin(call, miss)
        if isinstance(near, Judging):
            if self._config.hedge:
                hedge = Hedge(partial(self._judge_beside, call, miss, lease, near), near.waiting(miss))
                near = miss
            else:
                near = yield from self._near.judge(call, miss, near)
        if isinstance(near, Hit):
            yield from lease.end(codec.encode_entry(near.entry))
            return near
        return Lead(call, near, lease.computes(), self._outcomes, hedge)

    def _judge_beside(
        self, call: Call, miss: Miss, lease: Lease, judging: Judging, may_serve: Callable[[], bool]
    ) -> Flow[Hit | Miss]:
        """The judge's part of a race with the provider. `may_serve` says whether its yes still counts."""
        try:
            near = yield from self._near.judge(call, miss, judging, may_serve)
            if isinstance(near, Hit):
                yield from lease.end(codec.encode_entry(near.entry))
        except BaseException:
            lease.drop()
            raise
        return near

    def _keep(self, call: Call, miss: Miss, lease: Lease | None, fetched: Fetched) -> Flow[Answer]:
        """Keeps a fresh answer if it may be kept, hands it to those who wait, records the request."""
        completion = fetched.completion
        provider_ms = call.provider_ms()
        try:
            tags = (yield from self._present_tags(call)) if call.controls.no_cache else ()
            entry, value, not_stored = yield from self._writer.kept(
                call, miss.stamp, completion, fetched.chunks, not_stored=fetched.not_stored, present_tags=tags
            )
            if lease is not None:
                yield from lease.end(value, alone=value is None)
        except BaseException:
            if lease is not None:
                lease.drop()
            raise
        return self._outcomes.generated(
            call,
            completion,
            entry,
            not_stored=not_stored,
            provider_ms=provider_ms,
            reason=miss.reason,
            stamp=miss.stamp,
            similarity=miss.similarity,
        )

    def _present_tags(self, call: Call) -> Flow[tuple[str, ...]]:
        """The tags of the answer that this one takes the place of, as of now."""
        lookup_ms = call.lookup_ms
        lookup = yield from self._reader.look_up(call)
        call.lookup_ms = lookup_ms
        return lookup.found.entry.tags if lookup is not None and lookup.found is not None else ()

    def _failed(self, call: Call, lease: Lease | None, error: BaseException) -> Flow[Hit]:
        """The provider failed: an old answer if one may be served, found by a lookup made now. Raises the error."""
        is_abandoned = went_away(error)
        is_own = policy.depends_on_credential(error)
        if lease is not None:
            if isinstance(error, IncompleteStream):
                yield from lease.end(alone=True)  # no error to share: each asks for itself
            else:
                yield from lease.end(error=None if is_abandoned else error, alone=is_own and not is_abandoned)
        may_pass = is_abandoned or isinstance(error, IncompleteStream) or policy.is_outage(error)
        if call.made_record is not None and (is_own or not may_pass):
            yield ForgetRecord(call, call.made_record)  # what the provider refuses leaves nothing
        if call.may_serve_stale and not is_abandoned and policy.is_outage(error):
            allowed = call.controls.stale_if_error
            if allowed is None:
                allowed = self._config.stale_if_error_seconds
            lookup = (yield from self._reader.look_up(call)) if allowed > 0 else None
            found = lookup.found if lookup is not None else None
            if found is not None and self._is_within(found, allowed):
                return self._serve(call, msgspec.structs.replace(found, stale=True), "stale-if-error")
        is_told = is_abandoned or is_own or isinstance(error, IncompleteStream)
        if self._config.cache_errors and not is_told and lease is not None:
            with self._errors_lock:
                self._errors[lease.key, call.credential] = error
        raise error

    def _is_within(self, found: Found, seconds: float) -> bool:
        """Whether an answer is less than `seconds` past its freshness, or was marked stale by an operator."""
        return not found.stale or found.soft or self._clock() < found.entry.header.fresh_until + seconds

    def _raise_remembered(self, call: Call, key: FlightKey) -> None:
        if not self._config.cache_errors:
            return
        with self._errors_lock:
            self._errors.expire()
            remembered = self._errors.get((key, call.credential))
        if remembered is not None:
            self._outcomes.record(call, OutcomeKind.ERROR, reason="remembered-error")
            raise remembered.with_traceback(None)  # else each one that raises it is added to it

    # One entry by hand

    def find(self, call: Call) -> Flow[Hit | None]:
        """The flow of a lookup without a call to the provider; recorded as a hit or a miss."""
        reason = ""
        if (yield from self._bypasses(call)):
            reason = call.bypass
        elif copied := self._reader.copied(call):
            return self._serve(call, copied)
        else:
            lookup = yield from self._reader.look_up(call)
            if lookup is not None and lookup.found is not None and not lookup.found.stale:
                return self._serve(call, lookup.found)
            reason = lookup.reason if lookup is not None else call.unanswered
        self._outcomes.record(call, OutcomeKind.MISS, reason=reason)
        return None

    def put(self, call: Call, completion: Completion) -> Flow[Answer | str]:
        """The flow that stores an answer obtained elsewhere. Not counted as a request.

        Returns the answer as stored, or the reason why it may not be stored.
        """
        if call.bypass:
            return call.bypass
        lookup = yield from self._reader.look_up(call)
        record = None if lookup is None else (yield from record_of(call, lookup))
        stamp = None if record is None else record.stamp
        entry, _, not_stored = yield from self._writer.kept(call, stamp, completion)
        if entry is None or not_stored:
            return not_stored
        outcome = Outcome(
            kind=OutcomeKind.MISS,
            namespace=call.namespace,
            model=call.request.model,
            strategy=call.strategy,
            stored=True,
            key=call.key,
            at=entry.header.created_at,
        )
        return answer_of(entry, outcome, entry.header.created_at, call.request.unkeyed)

    def alias(self, wording: Call, of: Call) -> Flow[str]:
        """The flow that stores another wording as an alias of a stored answer; "" or why not. Not counted as a request.

        They must differ in nothing but the last message, and their buckets must be the same one.
        """
        if reason := wording.bypass or of.bypass:
            return reason
        if wording.identity.scope != of.identity.scope:
            return OTHER_SCOPE
        if wording.identity.normalized is not None and wording.identity.normalized == of.identity.normalized:
            return SAME_WORDING
        if wording.slot.record != of.slot.record:
            return OTHER_BUCKET
        lookup = yield from self._reader.look_up(of)
        if lookup is None or lookup.record is None:
            return of.unanswered
        if lookup.found is None or lookup.found.stale:
            return lookup.reason
        return (yield from self._writer.keep_alias(wording, lookup.record.stamp, lookup.found.entry))


class _Coming(msgspec.Struct, frozen=True):
    """What invalidations are found by of an answer that is still to come."""

    digest: bytes
    model: str
    users: tuple[bytes, ...]
    target: bytes | None = None
    created_at: float = 0.0


def _names_of(call: Call) -> list[Name]:
    """The names that the answer of a request will have, by which invalidations find it."""
    users = user_digests(call.namespace, call.user)
    return names_of(_Coming(call.identity.exact, call.request.model, users), call.controls.tags)
