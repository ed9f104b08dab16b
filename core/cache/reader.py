"""What is read for a request: this process' own copy, then the checked lookup in the store."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..bans import InvalidationRecord
from ..models import Stamp
from ..stores import LocalCache, Looking, Lookup, look_up, looking
from .call import Call
from .effects import Flow, GrantCopies, MakeRecord, Read


class RequestReader:
    """Looks up requests. `copies` are None where the process keeps none; `clock` gives Unix seconds."""

    def __init__(self, copies: LocalCache | None, clock: Callable[[], float]) -> None:
        self._copies = copies
        self._clock = clock

    def look(self, call: Call) -> Flow[Lookup | None]:
        """The flow of a read: a fresh local copy if there is one, else the checked lookup in the store."""
        copies = self._copies
        if copies is not None and not call.controls.no_cache and not call.store_failed:
            copied = look_up(
                copies, call.slot, call.identity, call.strategy, self._clock(), max_age=call.controls.max_age
            )
            call.lookup_ms = call.elapsed_ms()
            if copied.found is not None and not copied.found.stale:
                return msgspec.structs.replace(copied, found=msgspec.structs.replace(copied.found, copied=True))
        return (yield from self.look_up(call))

    def look_up(self, call: Call) -> Flow[Lookup | None]:
        """The flow of the checked lookup; None when the store does not answer."""
        lookup = yield from self._look_up(call)
        if lookup is not None and self._copies is not None and self._copies.needs_grant(call.slot):
            yield GrantCopies(call)
        call.lookup_ms = call.elapsed_ms()
        return lookup

    def _look_up(self, call: Call) -> Flow[Lookup | None]:
        steps = self._steps(call)
        digests = next(steps)
        try:
            while (seen := (yield Read(call, digests))) is not None:
                digests = steps.send(seen)
        except StopIteration as end:
            lookup: Lookup = end.value
            return lookup
        return None

    def _steps(self, call: Call) -> Looking[Lookup]:
        return looking(
            call.identity,
            call.strategy,
            self._clock(),
            max_age=call.controls.max_age,
            on_corrupt=lambda: call.metrics.count("corrupt_entries"),
        )


def stamp_of(call: Call, lookup: Lookup) -> Flow[Stamp | None]:
    """The flow that gives the stamp of an answer generated from now on; makes the record where there is none."""
    record: InvalidationRecord | None = lookup.record
    if record is None:
        record = yield MakeRecord(call)
    return record.stamp if record is not None else None
