"""Threads, processes, deadlines, the circuit breaker: what runs beside or around a request."""
