"""What people ask, over HTTP: the groups of recorded questions, and grouping them anew."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from .entries import OfModel
from .figures import OfNamespace
from .operators import Operator
from .parts import By, Parts

router: Final = APIRouter(tags=["requests"])


class AskedOut(BaseModel):
    """Requests by outcome. Money is US dollars; requests without a price are in no sum, and in `unpriced`."""

    question: str
    hits: int
    misses: int
    bypasses: int
    errors: int
    requests: int
    hit_rate: float | None = Field(description="hits / (hits + misses).")
    spent_usd: float = Field(description="What its misses cost.")
    saved_usd: float = Field(description="What its hits would have cost.")
    repeats: int = Field(description="Misses of what the same namespace had asked the same model before.")
    repeated_usd: float = Field(description="What these cost.")
    unpriced: int


class GroupOut(AskedOut):
    """A group, by the question that is most typical of it."""

    number: int = Field(description="Its rank: the dearest is 1.")
    id: str = Field(description="Its name, until the questions are grouped anew.")
    questions: int = Field(description="Different questions in it, whatever their case and white space.")


class QuestionOut(AskedOut):
    """The requests with one question, with its place on the map."""

    group: int = Field(description="The number of its group.")
    x: float = Field(description="From -1 to 1.")
    y: float = Field(description="From -1 to 1.")
    key: str = Field(description="Of its latest request.")
    id: str = Field(description="The name of the question, whatever is asked meanwhile.")


class QuestionsOut(BaseModel):
    """Groups and their questions, the dearest first."""

    at: float | None = Field(description="When they were grouped; null: not yet.")
    model: str = Field(description="The local model that read them.")
    looked_at: int = Field(description="Requests in the log.")
    since: float | None = Field(description="When the oldest of them ended.")
    without_prompt: int = Field(description="Requests whose prompt is not recorded.")
    newer: int = Field(description="Requests that ask what is in no group.")
    unread: int = Field(description="Questions that the local model cannot read.")
    left_out: int = Field(description="Questions beyond the 2,000 that are grouped.")
    empty: str = Field(description="Why there are no groups; empty where there are some.")
    groups: list[GroupOut]
    questions: list[QuestionOut]


class WishOut(BaseModel):
    """A grouping that a worker takes up within seconds."""

    asked: bool


@router.get("/questions", response_model=QuestionsOut)
def questions(by: By, parts: Parts, namespace: OfNamespace = None, model: OfModel = None) -> dict[str, Any]:
    """What people ask, in groups, by the latest requests: those that cost most first."""
    chosen = None if namespace is None else by.namespace(namespace)
    found = parts.questions.report(namespace=chosen, model=model, within=_within(by))
    return found.to_dict()


@router.post("/questions/group", response_model=WishOut)
def group(by: By, parts: Parts) -> dict[str, Any]:
    """Have a worker group the recorded questions anew. `at` of `GET /questions` says when it has."""
    by.require_everywhere()
    parts.questions.ask(actor=by.trail)
    return {"asked": True}


def _within(by: Operator) -> Any:
    return by.may_enter if by.namespaces else None
