"""Seeding: questions and answers that are known beforehand become entries, their variants aliases.

The lines are read and checked before anything is stored. Seeded answers obey the same rules as generated ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from hashlib import sha256
from typing import Any

import msgspec

from ..access import Action, AuditTrail
from ..cache import OTHER_BUCKET, SAME_WORDING, LLMCache
from ..errors import InvalidInput
from ..models import Answer, ChatRequest, Completion, Controls, ttl
from ..text import printable

MAX_LINE = 1_000_000
MAX_NOTES = 100
MAX_WORDING = 200


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A known question with its answer, and other ways of asking it.

    `model`, `system` and `parameters` are those of the requests it shall answer, `ttl` is in seconds; where a line does
    not say, what is given for all counts. `tags` name what the answer depends on.
    """

    question: str
    answer: str
    variants: tuple[str, ...] = ()
    model: str | None = None
    system: str | None = None
    parameters: Mapping[str, Any] = {}
    ttl: float | None = None
    tags: tuple[str, ...] = ()


class SeedNote(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that needs attention: the number of the seed, the wording, and the problem."""

    seed: int
    wording: str
    problem: str


class SeedReport(msgspec.Struct, kw_only=True):
    """The result of seeding a file, so far.

    Questions: `stored` are new, `replaced` had another answer in the cache, `renewed` had this one. Variants: `aliases`
    lead to their question's entry, `copies` have the answer themselves, since their bucket is another one. `repeated`
    wordings had been met in the file with the same answer, `conflicts` with another one: there the first counts.
    `refused` may not be stored. `notes` has the first findings that need attention.
    """

    read: int = 0
    stored: int = 0
    replaced: int = 0
    renewed: int = 0
    aliases: int = 0
    copies: int = 0
    repeated: int = 0
    conflicts: int = 0
    refused: int = 0
    notes: list[SeedNote] = msgspec.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def read_seeds(lines: Iterable[str]) -> list[Seed]:
    """The seeds of JSON lines. Raises InvalidInput naming the first line that is wrong."""
    seeds = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise InvalidInput(f"line {number}", f"has more than {MAX_LINE} characters")
        try:
            seed = msgspec.json.decode(line, type=Seed)
            ttl(seed.ttl)
            Controls(tags=seed.tags)
        except (msgspec.MsgspecError, UnicodeError, InvalidInput) as error:
            raise InvalidInput(f"line {number}", f"is no question with its answer: {error}") from None
        if not all(text.strip() for text in (seed.question, seed.answer, *seed.variants)):
            raise InvalidInput(f"line {number}", "a question, answer or variant is empty")
        if not seed.parameters.keys().isdisjoint(("model", "messages")):
            raise InvalidInput(f"line {number}", "parameters are those beside model and messages")
        seeds.append(seed)
    return seeds


def import_seeds(
    cache: LLMCache,
    seeds: Iterable[Seed],
    *,
    namespace: str,
    model: str,
    trail: AuditTrail,
    system: str | None = None,
    ttl_seconds: float | None = None,
) -> Iterator[SeedReport]:
    """Stores seeds, and gives the report so far after each; the counts of the last one are put on record at the end.

    Nothing of it is counted as a request. Raises AccessDenied, and what every write to the audit log raises.
    """
    trail.require(Action.EDIT_ENTRIES)
    seeding = _Seeding(cache, namespace, model, system, ttl_seconds)
    for seed in seeds:
        seeding.store(seed)
        yield seeding.report
    counts = {name: count for name, count in seeding.report.to_dict().items() if name != "notes"}
    trail.record("seed.imported", namespace=namespace, details=counts)


class _Met(Enum):
    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


class _Seeding:
    """One file on its way into the cache."""

    def __init__(
        self, cache: LLMCache, namespace: str, model: str, system: str | None, ttl_seconds: float | None
    ) -> None:
        self._cache = cache
        self._namespace = namespace
        self._model = model
        self._system = system
        self._ttl_seconds = ttl_seconds
        self._answers: dict[bytes, str] = {}
        self.report = SeedReport()

    def store(self, seed: Seed) -> None:
        """Stores the answer at its question, and lets the variants lead there."""
        self.report.read += 1
        seconds = self._ttl_seconds if seed.ttl is None else seed.ttl
        controls = Controls(namespace=self._namespace, ttl=ttl(seconds), tags=seed.tags)
        question = self._request(seed, seed.question)
        met = self._meet(question, seed, controls)
        if met is _Met.CONFLICT or (met is _Met.NEW and not self._store(question, seed, controls)):
            return
        for variant in seed.variants:
            wording = self._request(seed, variant)
            if self._meet(wording, seed, controls) is _Met.NEW:
                self._lead(wording, question, seed, controls)

    def _request(self, seed: Seed, wording: str) -> ChatRequest:
        system = self._system if seed.system is None else seed.system
        before = [{"role": "system", "content": system}] if system else []
        messages = [*before, {"role": "user", "content": wording}]
        return ChatRequest.from_openai(model=seed.model or self._model, messages=messages, **seed.parameters)

    def _meet(self, request: ChatRequest, seed: Seed, controls: Controls) -> _Met:
        """Whether an earlier line had this wording, and with which answer."""
        keyed = self._cache.identify(request, controls).keyed
        if keyed is None:
            return _Met.NEW  # storing it will say why not
        wording = keyed.identity.normalized or keyed.identity.exact
        earlier = self._answers.get(wording)
        if earlier is None:
            self._answers[wording] = seed.answer
            return _Met.NEW
        if earlier == seed.answer:
            self.report.repeated += 1
            return _Met.REPEATED
        self.report.conflicts += 1
        self._note(request, "has another answer in an earlier line, which is used")
        return _Met.CONFLICT

    def _store(self, question: ChatRequest, seed: Seed, controls: Controls) -> bool:
        before = self._stored_answer(question, controls)
        stored = self._cache.put(question, _completion(question, seed.answer), controls)
        if not isinstance(stored, Answer):
            self._refuse(question, stored)
            return False
        if before is None:
            self.report.stored += 1
        elif before == seed.answer:
            self.report.renewed += 1
        else:
            self.report.replaced += 1
        return True

    def _stored_answer(self, question: ChatRequest, controls: Controls) -> str | None:
        lookup = self._cache.look_up(question, controls)
        if lookup is None or lookup.found is None or lookup.found.stale:
            return None
        return Completion(body=lookup.found.entry.body or {}).text

    def _lead(self, wording: ChatRequest, question: ChatRequest, seed: Seed, controls: Controls) -> None:
        reason = self._cache.alias(wording, question, controls)
        if reason == OTHER_BUCKET:
            copied = self._cache.put(wording, _completion(wording, seed.answer), controls)
            if isinstance(copied, Answer):
                self.report.copies += 1
            else:
                self._refuse(wording, copied)
        elif reason == SAME_WORDING:
            self.report.repeated += 1
        elif reason:
            self._refuse(wording, reason)
        else:
            self.report.aliases += 1

    def _refuse(self, request: ChatRequest, reason: str) -> None:
        self.report.refused += 1
        self._note(request, f"is not stored: {reason}")

    def _note(self, request: ChatRequest, problem: str) -> None:
        if len(self.report.notes) < MAX_NOTES:
            wording = printable(str(request.messages[-1]["content"]), MAX_WORDING)
            self.report.notes.append(SeedNote(seed=self.report.read, wording=wording, problem=problem))


def _completion(request: ChatRequest, answer: str) -> Completion:
    """The answer in the form of a provider's completion, with zero usage."""
    name = sha256(f"{request.messages[-1]['content']}\0{answer}".encode("utf-8", "replace")).hexdigest()[:24]
    choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    return Completion(
        body={
            "id": f"chatcmpl-seed-{name}",
            "object": "chat.completion",
            "created": 0,
            "model": request.model,
            "choices": [choice],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        }
    )
