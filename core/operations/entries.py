"""Entries over HTTP: search, read, write, keep longer, pin, take out of service. The rules are core's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from ..access import Action
from ..bans import Criteria
from ..bootstrap import Services
from ..concurrency import in_thread
from ..entries import (
    PAGE_SIZE,
    Edits,
    EntryFilter,
    FoundEntry,
    Line,
    NamespaceEntries,
    Verdict,
    by_namespace,
    count_listed,
    find_entry,
    page_entries,
    stored_entry,
)
from ..entries import tags as tagging
from ..errors import InvalidInput, StoreUnavailable
from ..invalidation import LONGEST_REASON, plain_invalidation
from ..keys import EVERYWHERE, Slot
from ..metrics import reasons
from ..wire import readable
from .explain import REQUEST_BODY, AskedOf, inbound_of
from .invalidations import NAMESPACE, NAMESPACE_OR_ALL, InvalidationOut
from .operators import Operator
from .parts import By, Cursor, Parts, cursor_of, position_of
from .problems import INVALID_INPUT, STORE_UNAVAILABLE, WRITE_REFUSED, Refused

router: Final = APIRouter(tags=["entries"])

KEY: Final = r"^[0-9a-f]{1,3}-[0-9a-f]{64}$"
MOST_ENTRIES: Final = 200
"""Entries on a page: each may have a long prompt."""
_OF_THE_STORE: Final = {
    "store-down": STORE_UNAVAILABLE,
    "store-timeout": STORE_UNAVAILABLE,
    "not-permitted": STORE_UNAVAILABLE,
    "writes-refused": WRITE_REFUSED,
}
"""Reasons for which nothing is stored that are no fault of the answer."""

InNamespaceOrAll = Annotated[
    str | None,
    Query(
        pattern=NAMESPACE_OR_ALL,
        max_length=129,
        description="The namespace; else ENCORE_NAMESPACE. `*`: all of them, or all that the key is for.",
    ),
]
InNamespace = Annotated[
    str | None, Query(pattern=NAMESPACE, max_length=129, description="The namespace; else ENCORE_NAMESPACE.")
]
Key = Annotated[str, Path(pattern=KEY, description="The key of an entry: `X-Encore-Key` of its answers.")]
Before = Annotated[float | None, Query(ge=0, lt=1e11, description="Stored before this time, in Unix seconds.")]
After = Annotated[float | None, Query(ge=0, lt=1e11, description="Stored at this time or later, in Unix seconds.")]
OfModel = Annotated[str | None, Query(min_length=1, max_length=256, description="Of this model only.")]
Tagged = Annotated[list[str], Query(max_length=64, description="With any of these tags.")]


# What is answered


class EntryOut(BaseModel):
    """One stored answer, without its text."""

    key: str
    namespace: str
    model: str
    prompt: str = Field(description="The last message of the request that it answered.")
    state: str = Field(
        description="`fresh`, `expired`; `stale` when an invalidation marks it so, `invalidated` when one hides it; "
        "`incarnation`: of before the namespace's record was lost, and never served."
    )
    created_at: float
    age_seconds: float
    fresh_seconds: float = Field(description="How long it stays fresh; negative: since when it is not.")
    ttl_class: str
    tags: list[str]
    bytes: int
    cost_usd: float | None = Field(description="What the answer had cost; null: its price is not known.")
    tokens: int
    hits: int | None
    last_hit_at: float | None
    pinned: bool
    alias_of: str | None = Field(description="The key of the entry that it stands for, where it is an alias.")


class EntryDetailOut(EntryOut):
    """One stored answer."""

    scope: str = Field(description="The digest of all that the answer depends on but the last message.")
    answer: str = Field(description="The text of the answer.")
    completion: dict[str, Any] | None = Field(description="The answer as the provider gave it.")


class NamespaceEntriesOut(BaseModel):
    """What one of all namespaces has."""

    namespace: str
    listed: int = Field(description="How many entries its index lists for the model and the times.")
    found: int = Field(description="How many of those that were looked through match, at most a page of them.")
    looked_through: int
    is_all: bool = Field(description="Whether all were looked through; else ask for this namespace alone.")
    problem: str = Field("", description="Why it could not be read.")


class EntriesOut(BaseModel):
    """A page of entries. It ends early where few match: `next` alone says whether there are more."""

    items: list[EntryOut]
    next: str | None = Field(None, description="The cursor of the next page; none: this is the last.")
    looked_through: int = Field(description="Entries that were looked at for this page.")
    listed: int = Field(
        description="How many entries the index lists for the model and the times that were asked for; some may have "
        "expired lately, and the other filters are not counted in."
    )
    namespaces: list[NamespaceEntriesOut] = Field(
        [], description="Of all namespaces: each of them, those with most matches first. There is no next page then."
    )


class VerdictOut(BaseModel):
    """What a verdict came to."""

    hidden: InvalidationOut | None = Field(description="The invalidation that it made, to be undone by its id.")
    labelled: bool = Field(description="Whether the two questions are labelled as different.")
    problem: str = Field(description="Why they could not be labelled; the answer is hidden all the same.")


# What is asked


class AnswerIn(BaseModel):
    """A request with its answer: the text in `answer`, or the provider's JSON in `completion`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1, max_length=256)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)
    parameters: dict[str, Any] = Field({}, description="The other fields of the request: each makes another request.")
    endpoint: str = Field("chat", pattern="^(chat|responses|embeddings)$")
    answer: str | None = None
    completion: dict[str, Any] | None = None
    ttl_seconds: float | None = Field(None, description="Else as the kind of question has it.")
    tags: list[str] = Field([], max_length=64, description="What the answer depends on: `doc:123`. None: as it was.")
    user: str | None = Field(None, description="Whose the answer is, where it is one user's own.")

    def line(self) -> Line:
        """The same as a line of an import."""
        return Line(**{**self.model_dump(), "tags": tuple(self.tags)})


class ChangeIn(BaseModel):
    """A change of one entry: either of the two."""

    model_config = ConfigDict(extra="forbid", strict=True)

    fresh_seconds: float | None = Field(None, description="Keeps it fresh for so long from now on.")
    pinned: bool | None = Field(None, description="Whether workers keep it fresh until it is unpinned.")


class TagOut(BaseModel):
    """One tag of stored answers."""

    tag: str
    entries: int
    latest_at: float = Field(description="When the latest of them was stored, in Unix seconds.")


class TagsOut(BaseModel):
    """The tags of a namespace, those of most entries first."""

    tags: list[TagOut]
    looked_at: int = Field(description="Entries that were looked at.")
    listed: int = Field(description="About how many there are.")
    complete: bool = Field(description="Whether nothing was left out; else there may be more tags and entries.")
    others: int = Field(description="Tags that were counted and are not in this list.")


class WrongIn(BaseModel):
    """What an answer was served for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str | None = Field(None, min_length=1, max_length=100_000, description="Where it was another question.")
    reason: str = Field("", max_length=LONGEST_REASON, description="Why it is wrong: kept with the audit record.")


_WRONGS: Final[dict[str, Any]] = {
    "wrong": {"value": {}},
    "wrong for a near question": {"value": {"question": "How do I activate my second card?"}},
}
_ANSWERS: Final[dict[str, Any]] = {
    "an answer by hand": {
        "value": {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "How do I activate my card?"}],
            "answer": "Open the app and ...",
            "ttl_seconds": 86_400,
            "tags": ["doc:12"],
        }
    }
}
_CHANGES: Final[dict[str, Any]] = {
    "keep it for a day": {"value": {"fresh_seconds": 86_400}},
    "pin it": {"value": {"pinned": True}},
}


# The routes


@router.get("/entries", response_model=EntriesOut)
def entries(
    by: By,
    parts: Parts,
    namespace: InNamespaceOrAll = None,
    text: Annotated[str, Query(max_length=200, description="In the prompt, in any case.")] = "",
    in_answers: Annotated[bool, Query(description="The text may be in the answer instead.")] = False,
    key: Annotated[str | None, Query(pattern=KEY, description="The one entry at this key.")] = None,
    model: OfModel = None,
    tag: Tagged = [],  # noqa: B006
    created_before: Before = None,
    created_after: After = None,
    older_than_seconds: Annotated[float | None, Query(ge=0, lt=1e10, description="Stored longer ago.")] = None,
    ttl_class: Annotated[str | None, Query(min_length=1, max_length=32, description="Of this TTL class.")] = None,
    fewest_hits: Annotated[int, Query(ge=0, le=10**12, description="Served so often; the most served first.")] = 0,
    never_hit: Annotated[bool, Query(description="Only those that were never served.")] = False,
    pinned: Annotated[bool, Query(description="Only pinned ones, the last pinned first.")] = False,
    invalidated: Annotated[bool, Query(description="Also those that are hidden and not yet deleted.")] = False,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES, description="Most items on a page.")] = PAGE_SIZE,
) -> dict[str, Any]:
    """Search the stored answers of a namespace, or of all (`*`), the newest first. All that is given must match."""
    name = by.namespace_or_all(namespace)
    now = parts.clock()
    if older_than_seconds is not None:
        created_before = min(now - older_than_seconds, now if created_before is None else created_before)
    where = EntryFilter(
        text=text,
        in_answers=in_answers,
        model=model,
        created_before=created_before,
        created_after=created_after,
        ttl_class=ttl_class,
        tags=tuple(tag),
        fewest_hits=fewest_hits,
        never_hit=never_hit,
        pinned=pinned,
        invalidated=invalidated,
    )
    if name == EVERYWHERE:
        if key is not None:
            raise InvalidInput("key", "an entry is in one namespace: name it")
        return _of_all(by, parts, where, limit, now)
    if key is not None:
        found = find_entry(parts.store, name, key, hits=parts.metrics.hits, pins=parts.pins)
        items = [found.to_dict(now)] if found is not None else []
        return {"items": items, "next": None, "looked_through": 1, "listed": len(items)}
    slots = slots_of(parts, name)
    page = page_entries(
        parts.store,
        slots,
        where,
        hits=parts.metrics.hits,
        pins=parts.pins,
        after=position_of(cursor, tuple[float, bytes]),
        size=limit,
    )
    return {
        "items": [one.to_dict(now) for one in page.entries],
        "next": cursor_of(page.last) if page.last is not None else None,
        "looked_through": page.scanned,
        "listed": count_listed(parts.store, slots, where),
    }


@router.get("/tags", response_model=TagsOut)
def tags(
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
    find: Annotated[str, Query(max_length=256, description="Only tags with this in them, in any case.")] = "",
    limit: Annotated[int, Query(ge=1, le=tagging.MOST_TAGS_LISTED, description="Most items.")] = 100,
) -> dict[str, Any]:
    """The tags that a namespace's stored answers have. Of a large one a part is looked at; the answer says how much."""
    return tagging.known_tags(parts.store, slots_of(parts, by.namespace(namespace)), find=find, limit=limit).to_dict()


def _of_all(by: Operator, parts: Parts, where: EntryFilter, limit: int, now: float) -> dict[str, Any]:
    """The newest that match in all namespaces of the key, and what each of them has."""
    names = sorted(name for name in parts.store.namespaces() if by.may_enter(name))
    found = by_namespace(
        parts.store, names, where, buckets=parts.settings.buckets, hits=parts.metrics.hits, pins=parts.pins
    )
    return {
        "items": [one.to_dict(now) for one in NamespaceEntries.newest(found)[:limit]],
        "next": None,
        "looked_through": sum(one.scanned for one in found),
        "listed": sum(one.listed for one in found),
        "namespaces": [one.to_dict(now) | {"found": len(one.found)} for one in found],
    }


def slots_of(parts: Services, namespace: str) -> Sequence[Slot]:
    """All buckets of a namespace."""
    return [Slot(namespace, bucket) for bucket in range(parts.settings.buckets)]


@router.get("/entries/{key}", response_model=EntryDetailOut)
def entry(key: Key, by: By, parts: Parts, namespace: InNamespace = None) -> dict[str, Any]:
    """One stored answer, hidden and stale ones too."""
    return detail_of(parts, by.namespace(namespace), key)


def detail_of(parts: Services, namespace: str, key: str) -> dict[str, Any]:
    """One entry with its answer, as plain JSON."""
    found: FoundEntry = stored_entry(parts.store, namespace, key, hits=parts.metrics.hits, pins=parts.pins)
    stored = found.entry
    return found.to_dict(parts.clock()) | {
        "scope": stored.header.scope.hex(),
        "answer": readable(stored.body) if stored.body is not None else "",
        "completion": stored.body,
    }


@router.put("/entries/{key}", response_model=EntryDetailOut, responses={409: {}})
def write(
    key: Key,
    asked: Annotated[AnswerIn, Body(openapi_examples=_ANSWERS)],
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
) -> dict[str, Any]:
    """Store an answer at the key of its request, in place of what is there. The rules for storing apply.

    `POST /explain` says which key a request has. To store answers whose keys do not matter, import them.
    """
    name = by.namespace(namespace)
    stored = edits_of(parts, by).write_at(key, asked.line(), name)
    if isinstance(stored, str):
        raise Refused(_OF_THE_STORE.get(stored, INVALID_INPUT), reasons.why_refused(stored), reason=stored)
    return detail_of(parts, name, key)


def edits_of(parts: Services, by: Operator) -> Edits:
    """Edits in the name of the caller."""
    return Edits(parts.cache, parts.store, by.trail, pins=parts.pins)


@router.patch("/entries/{key}", response_model=EntryDetailOut)
def change(
    key: Key,
    asked: Annotated[ChangeIn, Body(openapi_examples=_CHANGES)],
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
) -> dict[str, Any]:
    """Keep an answer fresh for longer or shorter from now on, pin or unpin it. Its age and stamp stay as they are."""
    name = by.namespace(namespace)
    by.require(Action.EDIT_ENTRIES)
    stored_entry(parts.store, name, key)
    match asked.fresh_seconds, asked.pinned:
        case float() | int() as seconds, None:
            edits_of(parts, by).keep_for(name, key, seconds)
        case None, bool() as pin:
            if parts.pins is None:
                raise StoreUnavailable("there is no Redis, so nothing can be pinned")
            change_pin = parts.pins.pin if pin else parts.pins.unpin
            change_pin(name, key, actor=by.trail)
        case _:
            raise InvalidInput("fresh_seconds", "give either fresh_seconds or pinned")
    return detail_of(parts, name, key)


@router.delete("/entries/{key}", response_model=InvalidationOut, responses={409: {}})
def invalidate(
    key: Key,
    by: By,
    parts: Parts,
    namespace: InNamespace = None,
    hold_seconds: Annotated[
        float | None, Query(ge=0, le=86_400, description="How long it can be undone; 0: deleted at once.")
    ] = None,
    reason: Annotated[str, Query(max_length=LONGEST_REASON, description="Why: kept with the audit record.")] = "",
) -> dict[str, Any]:
    """Take one answer out of service: an invalidation of its key, which can be undone until its hold ends.

    An answer to the same request that is being generated now is kept out too, so it is done also where none is stored.
    """
    criteria = Criteria(namespace=by.namespace(namespace), key=key)
    done = parts.invalidation.invalidate(criteria, actor=by.trail, hold_seconds=hold_seconds, reason=reason)
    return plain_invalidation(done)


@router.post("/entries/{key}/wrong", response_model=VerdictOut, responses={409: {}})
def wrong(
    key: Key,
    by: By,
    parts: Parts,
    asked: Annotated[WrongIn | None, Body(openapi_examples=_WRONGS)] = None,
    namespace: InNamespace = None,
) -> dict[str, Any]:
    """Call an answer wrong: no lookup finds it any more, until that is undone.

    With the question that it was served for, where that was another one, the two questions are also labelled as
    different, so that no answer to the one is served for the other again.
    """
    asked = asked or WrongIn()
    name = by.namespace(namespace)
    return _verdict(parts.verdicts.wrong(name, key, actor=by.trail, question=asked.question, reason=asked.reason))


@router.post("/entries/{key}/apart", response_model=VerdictOut, responses={409: {}}, openapi_extra=REQUEST_BODY)
async def apart(
    key: Key, request: Request, by: By, parts: Parts, endpoint: AskedOf = "chat", namespace: InNamespace = None
) -> dict[str, Any]:
    """Call an answer wrong for one request only: it stays for the question that it was given to.

    Send the request that it was served for, as to the gateway.
    """
    content = await request.body()

    def act() -> dict[str, Any]:
        inbound = inbound_of(request, content, endpoint, parts)
        name = by.namespace(namespace or inbound.controls.namespace)
        return _verdict(parts.verdicts.apart(name, key, inbound.request, inbound.controls, actor=by.trail))

    return await in_thread(act)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    hidden = plain_invalidation(verdict.hidden) if verdict.hidden is not None else None
    return {"hidden": hidden, "labelled": verdict.labelled, "problem": verdict.problem}
