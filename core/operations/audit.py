"""The audit log over HTTP: who did what, when, and with which result."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ..access import AuditRecord
from ..errors import InvalidInput
from ..keys import EVERYWHERE
from .figures import OfNamespace
from .operators import Operator
from .parts import By, Cursor, Limit, Parts, cursor_of, position_of

router: Final = APIRouter(tags=["audit"])


class AuditRecordOut(BaseModel):
    """One action. It never holds a secret, a prompt or an answer."""

    id: str
    at: float
    actor: str = Field(description="The name of a person, or of a key.")
    source: str = Field(description="Where it came from: `console`, `cli`, `gateway`, `schedule`, `worker` or `api`.")
    action: str = Field(description="The thing and what was done with it: `entry.written`.")
    invalidation_id: str | None
    namespace: str | None
    criteria: dict[str, Any]
    details: dict[str, Any]


class AuditOut(BaseModel):
    """A page of records, the newest first. It may have fewer, or none: `next` alone says whether there are more."""

    items: list[AuditRecordOut]
    next: str | None = Field(None, description="The cursor of the next page; none: this is the last.")


def _is_within(record: AuditRecord, by: Operator) -> bool:
    """Whether all that a record is about is in the namespaces of the key."""
    names = list(record.details.get("namespaces") or ()) if record.namespace == EVERYWHERE else [record.namespace]
    return bool(names) and all(name and by.may_enter(name) for name in names)


@router.get("/audit", response_model=AuditOut)
def audit(
    by: By,
    parts: Parts,
    actor: Annotated[str | None, Query(max_length=200, description="By this person or key only.")] = None,
    action: Annotated[
        str | None, Query(max_length=100, description="One action or, ending in a dot, all of a thing: `schedule.`.")
    ] = None,
    namespace: OfNamespace = None,
    programs: Annotated[bool, Query(description="What programs did to answers: a log of its own.")] = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """What was done, the latest first. A key of some namespaces sees what was done in these."""
    if namespace is not None:
        by.namespace(namespace)
    try:
        page = parts.audit.page(
            limit,
            before_id=position_of(cursor, str),
            actor=actor,
            action=action,
            namespace=namespace,
            machines=programs,
        )
    except InvalidInput:
        raise InvalidInput("cursor", "is not a cursor of this list") from None
    shown = [one for one in page.records if not by.namespaces or _is_within(one, by)]
    return {
        "items": [msgspec.to_builtins(one) for one in shown],
        "next": None if page.next_id is None else cursor_of(page.next_id),
    }
