"""Single-flight on the path of a request: who computes, who waits, who takes over."""

from __future__ import annotations

import time

from ..bans import InvalidationRecord, may_share
from ..models import CacheEntry
from ..stores import HeldLease, Leases, codec
from .call import Call
from .effects import AwaitFlight, Flow, IsLeased, Pause, TakeLease
from .flights import Flight, FlightKey, FlightResult, Flights
from .reader import RequestReader
from .recorder import OutcomeRecorder
from .steps import Hit, Lease


class SingleFlight:
    """Joins the callers who ask for an answer at the same time."""

    def __init__(self, flights: Flights, leases: Leases, reader: RequestReader, outcomes: OutcomeRecorder) -> None:
        self.flights = flights
        self._leases = leases
        self._reader = reader
        self._outcomes = outcomes

    def join(self, call: Call, key: FlightKey, record: InvalidationRecord) -> Flow[Hit | Lease | BaseException | None]:
        """The flow that leads or waits for another caller: a lease, that caller's answer, or the shared error.

        `record` is the one that the caller's lookup saw. None: this caller asks for itself alone.
        """
        while True:
            flight, leads = self.flights.join(key, call.credential)
            if leads:
                return (yield from self._lead(call, flight))
            try:
                result: FlightResult | None = yield AwaitFlight(call, flight)
            except BaseException:
                flight.leave()
                raise
            if result is None:
                flight.leave()
                return None
            if result.value is not None:
                entry = codec.decode_entry(result.value)
                if may_share(entry, record):
                    return self._collapsed(call, entry)
                continue
            if result.alone or (result.error is not None and flight.credential != call.credential):
                return None
            if error := result.error or self.flights.shared_error(key, call.credential):
                return error
            call.metrics.count("takeovers")

    def _lead(self, call: Call, flight: Flight) -> Flow[Hit | Lease]:
        """Leads if no other process does, else waits until it has stored or is gone; then looks again first."""
        lease = Lease(call, flight, self._leases)
        try:
            while True:
                held: HeldLease | bool | None = yield TakeLease(call, lease.key.since)
                if isinstance(held, HeldLease):
                    lease.held = held
                    return (yield from self._look_again(call, lease))
                if held is None:
                    return lease  # the store does not answer: callers of this process are joined nevertheless
                if met := (yield from self._await_other(call, lease, flight)):
                    return met
        except BaseException:
            lease.drop()
            raise

    def _look_again(self, call: Call, lease: Lease) -> Flow[Hit | Lease]:
        lookup = yield from self._reader.look_up(call)
        if lookup is None or lookup.found is None or lookup.found.stale:
            return lease
        entry = lookup.found.entry
        yield from lease.end(codec.encode_entry(entry))
        return Hit(self._outcomes.hit(call, lookup.found), entry, call.request.unkeyed)

    def _await_other(self, call: Call, lease: Lease, flight: Flight) -> Flow[Hit | Lease | None]:
        """What another process' leader has stored; a lease to lead with when it takes too long; None when it has
        gone.
        """
        while True:
            yield Pause(call)
            if time.monotonic() >= flight.deadline(of_first=True):
                return self._alone(lease)
            lookup = yield from self._reader.look_up(call)
            if lookup is None:
                return self._alone(lease)
            if lookup.found is not None and not lookup.found.stale:
                flight.finish(codec.encode_entry(lookup.found.entry))
                return self._collapsed(call, lookup.found.entry)
            if not (yield IsLeased(call, lease.key.since)):
                return None

    @staticmethod
    def _alone(lease: Lease) -> Lease:
        """Waits no longer for another process; those of this process wait for this caller."""
        lease.looks_near = False
        return lease.computes()

    def _collapsed(self, call: Call, entry: CacheEntry) -> Hit:
        return Hit(self._outcomes.collapsed(call, entry), entry, call.request.unkeyed)
