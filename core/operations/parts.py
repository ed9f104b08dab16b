"""What a route is given: the services, the operator who calls, and a body of a known form."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from ..bootstrap import Services
from ..doctor import Checkup
from .idempotency import Kept
from .operators import OPERATOR, Operator

SERVICES: Final = "services"
KEPT: Final = "kept"
CHECKUP: Final = "checkup"

JSON: Final = "application/json"
MOST_JSON_BYTES: Final = 2_000_000
JSON_LINES: Final = "application/jsonl"
SAME_LINES: Final = "application/x-ndjson"
"""Another name that is in use for JSON lines."""
IMPORT: Final = "/import"
EXPORT: Final = "/export"
"""Where lines are taken, and where they are answered."""


async def _services(request: Request) -> Services:
    services: Services = getattr(request.app.state, SERVICES)
    return services


async def _operator(request: Request) -> Operator:
    operator: Operator = request.scope[OPERATOR]
    return operator


async def _doctor(request: Request) -> Checkup:
    checkup: Checkup = getattr(request.app.state, CHECKUP)
    return checkup


async def _kept(request: Request) -> Kept:
    kept: Kept = getattr(request.app.state, KEPT)
    return kept


Parts = Annotated[Services, Depends(_services)]
"""The services of the process: `parts: Parts`."""
By = Annotated[Operator, Depends(_operator)]
"""Who calls: `by: By`. Its `trail` is the actor for what core records, `by.namespace(given)` what it may act in."""
Answered = Annotated[Kept, Depends(_kept)]
"""What was answered to requests with an `Idempotency-Key`: `answered: Answered`."""
Doctor = Annotated[Checkup, Depends(_doctor)]
"""The doctor's latest diagnosis: `doctor: Doctor`."""
