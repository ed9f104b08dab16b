"""A clock that passes evenly, whatever is done to the machine's."""

from __future__ import annotations

from core.stores import MemoryStore
from core.stores.clock import elapsed, even_clock
from tests.samples import NOW, Clock


def test_it_begins_with_the_machine_s_time_and_goes_on_by_a_clock_that_is_not_set():
    machine, steady = Clock(NOW), Clock(50.0)
    clock = even_clock(machine, steady)
    assert clock() == NOW
    machine.forward(3000)
    assert clock() == NOW
    steady.forward(60)
    assert clock() == NOW + 60


def test_the_steady_clock_goes_forward():
    first = elapsed()
    assert first <= elapsed()


def test_a_store_in_memory_goes_by_one_of_its_own(monkeypatch):
    store = MemoryStore()
    before = store.clock()
    monkeypatch.setattr("time.time", lambda: NOW * 2)
    assert before <= store.clock() < NOW
