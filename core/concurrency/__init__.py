"""Threads, processes, deadlines, the circuit breaker: what runs beside or around a request."""

from . import processes
from .breaker import CircuitBreaker
from .deadlines import LATE, TimedCalls
from .outbox import Command, Outbox
from .threads import beside, in_thread

__all__ = ["LATE", "CircuitBreaker", "Command", "Outbox", "TimedCalls", "beside", "in_thread", "processes"]
