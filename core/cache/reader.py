"""What is read for a request: this process' own copy, then the checked lookup in the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from ..bans import InvalidationRecord
from ..stores import Found, LocalCache, Lookup, look_up, looking
from .call import Call
from .effects import Flow, GrantCopies, MakeRecord, Read


class RequestReader:
    """Looks up requests. `copies` are None where the process keeps none; `clock` gives Unix seconds."""

    def __init__(self, copies: LocalCache | None, clock: Callable[[], float]) -> None:
        self._copies = copies
        self._clock = clock

    def copied(self, call: Call) -> Found | None:
        """A fresh answer of which this process has a copy that it may serve without asking the store."""
        copies = self._copies
        if copies is None or call.controls.no_cache or call.store_failed:
            return None
        call.looked_at = now = self._clock()
        found = look_up(copies, call.slot, call.identity, call.strategy, now, max_age=call.controls.max_age).found
        call.lookup_ms = call.elapsed_ms()
        return None if found is None or found.stale else msgspec.structs.replace(found, copied=True)

    def look_up(self, call: Call) -> Flow[Lookup | None]:
        """The flow of the checked lookup in the store; None when the store does not answer."""
        call.looked_at = now = self._clock()
        lookup = yield from looking(
            partial(Read, call),
            call.identity,
            call.strategy,
            now,
            max_age=call.controls.max_age,
            on_corrupt=call.count_corrupt_entry,
        )
        if lookup is not None:
            call.over_hidden = lookup.hidden
            if self._copies is not None and self._copies.needs_grant(call.slot):
                yield GrantCopies(call)
        call.lookup_ms = call.elapsed_ms()
        return lookup


def record_of(call: Call, lookup: Lookup) -> Flow[InvalidationRecord | None]:
    """The flow that gives the record for an answer generated from now on; makes it where there is none."""
    record: InvalidationRecord | None = lookup.record
    if record is None:
        record = call.made_record = yield MakeRecord(call)
    return record
