"""Namespaces over HTTP: which there are, what they are called, and giving or taking away a label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from ..bootstrap import Services
from ..namespaces import LONGEST_LABEL, LONGEST_OWNER, Colour, NamespaceLabel, Naming
from .invalidations import NAMESPACE
from .operators import Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["namespaces"])

Named = Annotated[str, Path(pattern=NAMESPACE, max_length=129, description="The id of a namespace.")]


class ApartOut(BaseModel):
    """What keeps questions apart, the most frequent first."""

    scopes: int
    differs: list[str] = Field(description="The parts of the request that differ.")
    system_prompt: list[str] | None = Field(
        description="The words in which two system prompts differ; null without, or where prompts are not kept."
    )


class ChangingOut(BaseModel):
    """A part of the requests that has new values again and again, in Unix seconds."""

    part: str
    values: int
    requests: int
    since: float
    is_older: bool = Field(description="True: the first requests that are known had it already.")
    until: float | None = Field(description="Null: to the latest request.")
    has_number: bool | None = Field(description="Whether what differs is digits; null where it is not kept.")


class ScopesOut(BaseModel):
    """The scopes of a namespace among its latest requests."""

    namespace: str
    requests: int = Field(description="Those that were looked up.")
    misses: int
    per_hundred: float = Field(description="Different scopes in a hundred requests in a row, on average.")
    repeated: int = Field(description="Misses whose question had been asked in another scope before.")
    apart: ApartOut
    changing: ChangingOut | None = None
    told: bool = Field(description="True: hits are lost by it.")
    words: str


class AllScopesOut(BaseModel):
    """The scopes by namespace, of all requests in the log."""

    looked_at: int
    since: float | None
    namespaces: list[ScopesOut]


class NearOut(BaseModel):
    """How the hits of a published threshold stand: with 95 % confidence, at every moment, at most `bound` were wrong.

    `is_as_judged`: by the judge's word, since people have not labelled enough to know what it misses; else corrected by
    the share of what is wrong that it is known to find, `caught`. `estimate` is the share that the labels speak for.
    """

    state: Literal["beginning", "holding", "unproved", "broken", "drifting"]
    words: str = Field(description="The state in words.")
    serve: float = Field(description="The cosine to serve from.")
    publication: int = Field(description="The version that set it; 0: what is configured.")
    since: float = Field(description="Unix seconds.")
    budget: float
    bound: float
    estimate: float
    is_as_judged: bool
    caught: float | None
    hits: int = Field(description="Matches since then that the labels stand for.")
    labels: int
    wrong: int
    recent: int = Field(description="The latest labels, at most 100.")
    recent_wrong: int
    still_needed: int = Field(description="More labels without an error until the bound holds.")


def near_of(parts: Services, namespace: str | None) -> dict[str, Any]:
    """How near hits of a namespace stand, as a field; nothing where all are judged, or of no single namespace."""
    near = None if namespace is None else parts.evidence.bounds.standing(namespace)
    return {} if near is None else {"near": near.to_dict()}


class NamespaceOut(BaseModel):
    """A namespace and what it is called."""

    namespace: str
    name: str = Field(description="As screens show it: its label, else its id, a hash in it shortened.")
    label: str | None = Field(description="Null where it has none.")
    owner: str
    colour: Colour | None
    configured: bool = Field(description="ENCORE_NAMESPACE_LABELS gives the label: it is changed there only.")


class NamespacesOut(BaseModel):
    """The namespaces that have entries or a label."""

    items: list[NamespaceOut]


class LabelIn(BaseModel):
    """What a namespace is to be called."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str = Field(max_length=LONGEST_LABEL, description="On one line, without ~ and ….")
    owner: str = Field("", max_length=LONGEST_OWNER, description="A team, a person or an address.")
    colour: Annotated[Colour, Field(strict=False)] | None = Field(None, description="Its colour in charts.")


_LABELS: Final[dict[str, Any]] = {
    "a team": {"value": {"label": "Support", "owner": "team-support", "colour": "blue"}},
}


@router.get("/namespaces", response_model=NamespacesOut)
def namespaces(by: By, parts: Parts) -> dict[str, Any]:
    """Namespaces with their labels: those of the key."""
    naming = _naming(parts, by, (parts.settings.namespace, *parts.store.namespaces()))
    return {"items": [_out(parts, one, naming) for one in sorted(naming.known)]}


@router.get("/namespaces/{namespace}", response_model=NamespaceOut)
def namespace_named(namespace: Named, by: By, parts: Parts) -> dict[str, Any]:
    """What one namespace is called."""
    return _read(parts, by, namespace)


@router.put("/namespaces/{namespace}/label", response_model=NamespaceOut)
def give_label(
    namespace: Named, asked: Annotated[LabelIn, Body(openapi_examples=_LABELS)], by: By, parts: Parts
) -> dict[str, Any]:
    """Give a namespace a label, an owner and a colour, in place of those it has. Needs the role admin.

    A label is for reading: requests and criteria name a namespace by its id.
    """
    parts.labels.give(by.namespace(namespace), asked.label, owner=asked.owner, colour=asked.colour, actor=by.trail)
    return _read(parts, by, namespace)


@router.delete("/namespaces/{namespace}/label", response_model=NamespaceOut)
def remove_label(namespace: Named, by: By, parts: Parts) -> dict[str, Any]:
    """Take the label of a namespace away; nothing else of it changes. Needs the role admin."""
    parts.labels.remove(by.namespace(namespace), actor=by.trail)
    return _read(parts, by, namespace)


def named_parts(parts: Services, by: Operator, namespaces: Iterable[str]) -> dict[str, Any]:
    """What each of some namespaces is called, by its id."""
    found = list(namespaces)
    naming = _naming(parts, by, found)
    return {one: _out(parts, one, naming) for one in found}


def _naming(parts: Services, by: Operator, known: Iterable[str]) -> Naming:
    """The names of these namespaces and of those with a label: of the key's own, since others' are not its business."""
    labels = {one: given for one, given in parts.labels.all().items() if by.may_enter(one)}
    return Naming(labels, filter(by.may_enter, known))


def _read(parts: Services, by: Operator, namespace: str) -> dict[str, Any]:
    name = by.namespace(namespace)
    return _out(parts, name, _naming(parts, by, (name, *parts.store.namespaces())))


def _out(parts: Services, namespace: str, naming: Naming) -> dict[str, Any]:
    given: NamespaceLabel | None = naming.label(namespace)
    return {
        "namespace": namespace,
        "name": naming.shown(namespace),
        "label": given.label if given else None,
        "owner": given.owner if given else "",
        "colour": given.colour if given else None,
        "configured": namespace in parts.labels.configured,
    }
