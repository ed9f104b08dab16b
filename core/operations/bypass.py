"""The bypass switch over HTTP: where requests go straight to the provider, and turning it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from ..bootstrap import Services
from ..cache import EVERYTHING, Bypassed
from .invalidations import NAMESPACE
from .operators import Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["bypass"])

Place = Annotated[
    str, Path(pattern=rf"^\*$|{NAMESPACE}", max_length=129, description="A namespace; `*` for all of them.")
]


class SwitchOut(BaseModel):
    """The switch of one namespace, or of all (`*`). `at` 0 and an empty `actor` are not known."""

    namespace: str
    on: bool
    at: float
    actor: str
    note: str
    kept: bool = Field(description="False: Redis takes no writes, and keeps it in memory only until it does.")


class SwitchesOut(BaseModel):
    """The switches that are on."""

    items: list[SwitchOut]


class TurnIn(BaseModel):
    """How the switch is to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    on: bool
    note: str = Field("", max_length=200, description="The reason, shown to other operators.")


_TURNS: Final[dict[str, Any]] = {
    "bypass the cache": {"value": {"on": True, "note": "wrong answers about fees"}},
    "use the cache again": {"value": {"on": False}},
}


@router.get("/bypass", response_model=SwitchesOut)
def switches(by: By, parts: Parts) -> dict[str, Any]:
    """Where requests bypass the cache. A switch for all namespaces stands for each of them."""
    return {"items": [msgspec.to_builtins(one) for one in _on(by, parts, parts.store.namespaces())]}


@router.get("/bypass/{namespace}", response_model=SwitchOut)
def switch(namespace: Place, by: By, parts: Parts) -> dict[str, Any]:
    """The switch of one namespace; that for all (`*`) is another one."""
    if namespace != EVERYTHING:
        by.namespace(namespace)
    found = next((one for one in _on(by, parts, [namespace]) if one.namespace == namespace), None)
    return msgspec.to_builtins(found or Bypassed(namespace=namespace, on=False))  # type: ignore[no-any-return]


@router.put("/bypass/{namespace}", response_model=SwitchOut)
def turn(
    namespace: Place, asked: Annotated[TurnIn, Body(openapi_examples=_TURNS)], by: By, parts: Parts
) -> dict[str, Any]:
    """Have requests of a namespace, or of all, go straight to the provider, or use the cache again.

    For when an invalidation is refused because Redis takes no writes: this works even then. Every process obeys when it
    is answered, which takes a second. Nothing is deleted: turned off, what is stored is served again.
    """
    if namespace == EVERYTHING:
        by.require_everywhere()
    else:
        by.namespace(namespace)
    turned = parts.switch.turn(namespace, asked.on, actor=by.trail, note=asked.note)
    return msgspec.to_builtins(turned)  # type: ignore[no-any-return]


def _on(by: Operator, parts: Services, namespaces: Iterable[str]) -> list[Bypassed]:
    """The switches that are on, of those that the caller may know of: what is so for all is so for its own."""
    return [one for one in parts.switch.all(namespaces) if one.namespace == EVERYTHING or by.may_enter(one.namespace)]
