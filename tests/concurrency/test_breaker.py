from __future__ import annotations

from core.concurrency.breaker import CircuitBreaker
from tests.samples import Clock


def test_it_opens_after_failures_in_a_row_and_lets_one_probe_a_second_through():
    clock, changes = Clock(), []
    breaker = CircuitBreaker(failures=3, probe_seconds=1, clock=clock, on_change=changes.append)
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()
    clock.forward(1)
    assert [breaker.allows() for _ in range(5)] == [True, False, False, False, False]
    breaker.failed()
    assert not breaker.allows()
    clock.forward(1)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert changes == [True, False]


def test_a_success_in_between_keeps_it_closed():
    breaker = CircuitBreaker(failures=2)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open
