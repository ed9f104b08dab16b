"""One request under way: what was asked, where its answer is stored, and the time spent so far."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from ..bans import InvalidationRecord
from ..inbound import request_id_in
from ..keys import Identity, Slot, pack
from ..metrics import MAX_ENDING, MAX_INSTRUCTIONS, Asked, Asking, Sender, Telling, question_of
from ..models import LONGEST_USER, CacheStrategy, ChatRequest, Controls, Outcome
from ..policy import TTLDecision, user_of
from ..stores import MissReason


class Recorder(Protocol):
    """What the cache reports to the metrics."""

    def record(
        self,
        outcome: Outcome,
        prompt: str | None = None,
        sender: Telling | None = None,
        asked: Asking | None = None,
    ) -> None:
        """Counts one request. `sender` says who sent it, `asked` what a miss was asked in."""
        ...

    def count(self, name: str, amount: int = 1) -> None:
        """Counts an event that is not a request."""
        ...


class Caution(StrEnum):
    """Why an answer is shared less widely than it could be: the reason on a miss where nothing was stored for it.

    The hits that a caution costs are counted (`core.metrics.ForgoneHits`).
    """

    MATERIAL = "may be material"
    OWN = "may be the user's own"


class Keyed(msgspec.Struct, frozen=True):
    """A request with an identity: the key of its answer and the TTL. `cautions` keep it from sharing more widely.

    `user` is part of the scope, None when the answer is for everybody; `own` says why it is the user's.
    """

    identity: Identity
    slot: Slot
    ttl: TTLDecision
    cautions: tuple[Caution, ...] = ()
    user: Any = None
    own: str = ""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request before the store is asked. `keyed` is None when it must bypass; `reason` says why."""

    namespace: str
    strategy: CacheStrategy
    keyed: Keyed | None
    reason: str = ""


class Call:
    """One request under way. Times are milliseconds.

    `bypass` says why the cache may not be used, empty when it may: only then are `identity`, `slot` and `ttl` set.
    """

    identity: Identity
    slot: Slot
    ttl: TTLDecision
    cautions: tuple[Caution, ...] = ()
    user: Any = None
    """Whose the answer is; None for everybody's."""
    key = ""
    """The readable key that the answer has or will have; empty for a bypass."""
    prompt: str | None = None
    is_switched: bool | None = False
    """Whether an operator has the namespace bypass the cache; None: that has to be asked."""
    over_hidden = True
    """Whether a ban may hide what stands where the answer will be stored: until the latest lookup saw none."""
    looked_at = 0.0
    """When the latest lookup began (Unix seconds)."""
    lookup_ms = 0.0
    provider_began = 0.0
    recorded = False
    """Whether the outcome has been counted: it is counted once."""
    store_failed = False
    """Set by the first store call that fails: this request asks the store no more, so it waits for it once."""
    unanswered: MissReason = MissReason.STORE_DOWN
    """Why the latest store call that had no answer had none."""
    until = math.inf
    """How long the caller waits for another caller's answer (monotonic clock)."""
    made_record: InvalidationRecord | None = None
    """The invalidation record that this request had made, since its namespace had none."""
    credential = b""
    """Whose key the provider sees, as a digest; empty for the configured one. Its errors are for nobody else."""
    caller = ""
    """What stands for the caller in the request log; empty where nothing is known of it."""
    headers: Mapping[str, str] = {}
    """The headers of the caller's own request, by name in lower case: what is kept must not repeat those of them that
    are not in the key."""
    may_serve_stale = True
    """Cleared when the caller has seen a part of the answer: no other one may take its place then."""

    def __init__(self, request: ChatRequest, controls: Controls, prepared: Prepared, metrics: Recorder) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.controls = controls
        self.metrics = metrics
        self.namespace = prepared.namespace
        self.strategy = prepared.strategy
        self.bypass = prepared.reason
        keyed = prepared.keyed
        if keyed is not None:
            self.identity, self.slot, self.ttl = keyed.identity, keyed.slot, keyed.ttl
            self.cautions, self.user = keyed.cautions, keyed.user
            self.key, self.prompt = keyed.identity.key, keyed.identity.prompt

    def pass_by(self, reason: str) -> None:
        """Makes the request a bypass, which has no key."""
        self.bypass, self.key, self.prompt = reason, "", None

    def sender(self, names: bool) -> Sender:
        """Who sent it; without `names` only whose key it came with."""
        if not names:
            return Sender(caller=self.caller)
        headers = self.headers or {
            name.lower(): value for name, value in self.request.unkeyed.get("extra_headers", {}).items()
        }
        user = _name_of(user_of(self.request, self.controls))
        return Sender(caller=self.caller, user=user, request_id=request_id_in(headers))

    def asked(self, texts: bool) -> Asked:
        """What it was asked in; without `texts` only digests and short parameters."""
        identity = self.identity
        return Asked(
            question=question_of(identity.prompt),
            parts=pack(identity.parts) if identity.parts else b"",
            instructions=identity.system_prompt(begin=MAX_INSTRUCTIONS, end=MAX_ENDING) if texts else None,
        )

    def count_corrupt_entry(self) -> None:
        """Counts a value that could not be read."""
        self.metrics.count("corrupt_entries")

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return (time.perf_counter() - self.started) * 1000

    def provider_ms(self) -> float:
        """Milliseconds since the provider was called; 0 when it was not."""
        return (time.perf_counter() - self.provider_began) * 1000 if self.provider_began else 0.0


def _name_of(user: Any) -> str | None:
    """A user as the request log names them: whatever else than a name is given is somebody too."""
    match user:
        case None:
            return None
        case str():
            return user[:LONGEST_USER]
        case int() | float():
            return str(user)[:LONGEST_USER]
        case [*names]:
            return ", ".join(filter(None, map(_name_of, names)))
        case _:
            return type(user).__name__


class OutOfPatience(TimeoutError):
    """Raised when a caller's patience for another caller's answer has run out."""


def went_away(error: BaseException) -> bool:
    """Whether an error means that the caller ended the request, not that the provider failed."""
    return not isinstance(error, Exception) or isinstance(error, asyncio.CancelledError | OutOfPatience)
