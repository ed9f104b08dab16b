"""What an invalidation waits for before it is acknowledged."""

from __future__ import annotations

import pytest

from core.bans import new_record
from core.bans.changes import allow_copies
from core.errors import OutcomeUnknown, StoreUnavailable
from core.invalidation.durability import CLOCK_RATES_SECONDS, DISK_SECONDS, REPLICAS_SECONDS, Durability
from core.keys import Slot
from core.stores import MemoryStore
from tests.samples import NOW, Clock

SLOTS = [Slot("shop", 0), Slot("shop", 1)]


class Server(MemoryStore):
    """A store whose disk and replicas say what they are told to, and which is asked where and for how long."""

    def __init__(self, *, on_disk=True, replicas=0):
        super().__init__()
        self.on_disk, self.have, self.asked = on_disk, replicas, []

    def synced(self, slot, timeout_seconds):
        self.asked.append((slot, timeout_seconds))
        if isinstance(self.on_disk, Exception):
            raise self.on_disk
        return self.on_disk

    def replicated(self, slot, replicas, timeout_seconds):
        self.asked.append((slot, replicas, timeout_seconds))
        if isinstance(self.have, Exception):
            raise self.have
        return self.have


class Waits:
    def __init__(self, store=None, *, replicas=0, synced=False, copies_seconds=0.0):
        self.pauses: list[float] = []
        self.server = store or Server()
        self.durability = Durability(
            self.server,
            replicas=replicas,
            synced=synced,
            copies_seconds=copies_seconds,
            clock=Clock(),
            pause=self.pauses.append,
        )


def test_nothing_is_waited_for_where_nobody_serves_copies():
    waits = Waits()
    waits.durability.await_local_expiry([new_record(), None])
    waits.durability.await_durability(SLOTS)
    assert (waits.pauses, waits.server.asked) == ([], [])


@pytest.mark.parametrize(("until", "pauses"), [(NOW + 60, [0.5 + CLOCK_RATES_SECONDS]), (NOW - 3600, [])])
def test_the_longest_lease_that_may_still_run_is_waited_for_once(until, pauses):
    waits = Waits()
    records = [allow_copies(new_record(), seconds, now=NOW - 7200, until=until) for seconds in (0.2, 0.5)]
    waits.durability.await_local_expiry(records)
    assert waits.pauses == pauses


def test_copies_that_no_record_mentions_are_waited_for_too():
    waits = Waits(copies_seconds=1.0)
    waits.durability.await_local_expiry([None])
    assert waits.pauses == [1.0 + CLOCK_RATES_SECONDS]


def test_disk_and_replicas_of_every_bucket_are_waited_for():
    waits = Waits(Server(replicas=2), replicas=2, synced=True)
    waits.durability.await_durability(SLOTS)
    assert waits.server.asked == [
        waited for slot in SLOTS for waited in ((slot, DISK_SECONDS), (slot, 2, REPLICAS_SECONDS))
    ]


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Server(on_disk=False, replicas=1), "not on disk yet"),
        (Server(on_disk=StoreUnavailable("gone"), replicas=1), "whether it is on disk is not known"),
        (Server(replicas=0), "0 of the 1 replicas"),
        (Server(replicas=StoreUnavailable("gone")), "whether replicas have it is not known"),
    ],
)
def test_what_cannot_be_confirmed_is_not_acknowledged(server, said):
    with pytest.raises(OutcomeUnknown, match=f"It is in force, but .*{said}"):
        Waits(server, replicas=1, synced=True).durability.await_durability(SLOTS)
