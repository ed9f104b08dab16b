"""Threads, processes, deadlines, the circuit breaker: what runs beside or around a request."""

from . import processes
from .background import BackgroundWorker, begin_in_each_process
from .breaker import CircuitBreaker
from .deadlines import LATE, TimedCalls
from .outbox import Command, Outbox
from .threads import beside, in_thread

__all__ = [
    "LATE",
    "BackgroundWorker",
    "CircuitBreaker",
    "Command",
    "Outbox",
    "TimedCalls",
    "begin_in_each_process",
    "beside",
    "in_thread",
    "processes",
]
