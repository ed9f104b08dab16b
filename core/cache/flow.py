"""Decides what becomes of a request, and carries it out against the store.

request -> bypass? -> identity -> exact and normalized lookup -> single-flight -> (provider) -> fenced store -> outcome

The store's errors end here: they are counted, and the request goes on to the provider.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import msgspec

from .. import policy
from ..bans import InvalidationRecord, may_store
from ..concurrency import CircuitBreaker
from ..errors import DecodeError, NotCached, OutcomeUnknown, StoreUnavailable, WriteRefused
from ..keys import Identity, Slot, readable_key
from ..models import (
    Answer,
    CacheEntry,
    CacheStrategy,
    ChatRequest,
    Completion,
    Controls,
    EntryHeader,
    For,
    NoStore,
    Outcome,
    OutcomeKind,
    Stamp,
    Usage,
)
from ..policy import PolicyLimits, TTLPolicy
from ..stores import Found, LocalCache, Lookup, MissReason, Reader, Store, StoredAs, Write, codec, look_up
from .bypass import BypassSwitch
from .drivers import Hedge
from .flights import Flight, FlightKey, Flights
from .leases import HeldLease, Leases
from .preparation import Keyed, Preparation
from .steps import Bypass, Call, Follow, Hit, Lead, Lease, Miss, Step, went_away

if TYPE_CHECKING:
    from ..semantic import SemanticResult

logger = logging.getLogger("encore.cache")

NANO_USD = 1_000_000_000
SWITCHED = "bypass-switch"
"""Why a request bypasses the cache whose namespace an operator has switched off."""
ERROR_SECONDS = 5.0
"""How long a provider's error is remembered when `cache_errors` is on."""
SAME_WORDING = "same-wording"
OTHER_BUCKET = "other-bucket"
OTHER_SCOPE = "other-scope"
"""Why a wording needs, or gets, no alias."""
MOVED_TRIES = 16
"""How often a store is tried again when invalidations come between: each of them is checked first."""

Result = TypeVar("Result")


class Recorder(Protocol):
    """What the cache tells the metrics."""

    def record(self, outcome: Outcome, prompt: str | None = None) -> None:
        """Counts one request."""
        ...

    def count(self, name: str, amount: int = 1) -> None:
        """Counts an event that is not a request."""
        ...


class CacheConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a cache behaves; `core.settings` says what each means. Durations are seconds."""

    strategy: CacheStrategy = CacheStrategy.NORMALIZED
    ttl: float | None = None
    max_size: int = 10_000
    similarity_threshold: float = 0.97
    cache_errors: bool = False
    log_hits: bool = False
    namespace: str = "default"
    buckets: int = 1
    ttl_jitter: float = 0.05
    stale_seconds: float = 3600
    stale_if_error_seconds: float = 0
    stale_while_revalidate_seconds: float = 0
    strip_stop_words: bool = False
    lease_seconds: float = 60
    l1_seconds: float = 0
    l1_megabytes: int = 64
    hedge: bool = False
    limits: PolicyLimits = PolicyLimits()


class Refresher(Protocol):
    """Has an answer that was served stale generated anew, behind the scenes."""

    def __call__(self, request: ChatRequest, controls: Controls, key: str) -> None:
        """Returns at once; one refresh per key at a time."""
        ...


class NearLookup(Protocol):
    """Looks for stored questions that are near a new one. Raises StoreUnavailable."""

    def applies(self, identity: Identity) -> bool:
        """Whether it is done at all for this request."""
        ...

    def find(
        self,
        store: Store,
        slot_of: Callable[[str, int], Slot],
        identity: Identity,
        controls: Controls,
        now: float,
        *,
        hedged: bool = False,
    ) -> SemanticResult:
        """The nearest entry that may be served, or why there is none. `hedged`: as far as no judge is needed."""
        ...

    def remember(self, identity: Identity, expires_at: float) -> None:
        """A question that was just stored, and until when it counts (Unix seconds)."""
        ...


class Decider:
    """All decisions and their carrying out; `core.cache.cache.LLMCache` drives it."""

    def __init__(
        self,
        config: CacheConfig,
        store: Store,
        metrics: Recorder,
        ttl_policy: TTLPolicy,
        price: Callable[[str, Usage], float | None],
        clock: Callable[[], float],
        refresher: Refresher | None,
        base_url: str = "",
        semantic: NearLookup | None = None,
        switch: BypassSwitch | None = None,
    ) -> None:
        self.config = config
        self.store_ = store
        self._copies: LocalCache | None = None
        if config.l1_seconds:
            self._copies = LocalCache(
                store, seconds=config.l1_seconds, max_bytes=config.l1_megabytes * 1_000_000, clock=clock
            )
        self.metrics = metrics
        self.breaker = CircuitBreaker(on_change=self._breaker_changed)
        self._preparation = Preparation(config, ttl_policy, base_url)
        self._price = price
        self._clock = clock
        self._refresher = refresher
        self._semantic = semantic
        self._switch = switch
        self._random = random.Random()
        self._flights = Flights(config.lease_seconds)
        self._leases = Leases(store, config.lease_seconds)
        self._errors: dict[FlightKey, tuple[float, BaseException]] = {}

    # The beginning

    def begin(self, request: ChatRequest, controls: Controls) -> Step:
        """The first step. Raises NotCached (`only-if-cached`), InvalidInput (a namespace that cannot be)."""
        call, keyed = self.prepared(request, controls)
        if keyed is None or self._is_switched(call):
            if controls.only_if_cached:
                self._refuse(call, None, call.bypass)
            return Bypass(self, call, call.bypass)
        return self._decide(call, keyed)

    def _is_switched(self, call: Call) -> bool:
        """Whether an operator has this namespace bypass the cache. When that cannot be known the store is not asked."""
        switch = self._switch
        if switch is None:
            return False
        is_on = switch.known(call.namespace)
        if is_on is None:
            is_on = self.ask(call, lambda: switch.read(call.namespace))
            call.store_failed = is_on is None
        if is_on:
            call.bypass = SWITCHED
        return bool(is_on)

    def bypass(self, request: ChatRequest, controls: Controls, reason: str) -> Bypass:
        """For drivers with a reason of their own not to use the cache. Raises as `begin`."""
        call, _ = self.prepared(request, controls)
        if controls.only_if_cached:
            self._refuse(call, None, reason)
        return Bypass(self, call, reason)

    def prepared(self, request: ChatRequest, controls: Controls) -> tuple[Call, Keyed | None]:
        """A call and its identity, None when it must bypass."""
        prepared = self._preparation.prepare(request, controls)
        return Call(request, controls, prepared), prepared.keyed

    def slot(self, namespace: str, bucket: int) -> Slot:
        """The key names of a bucket. Raises InvalidInput for a namespace that cannot be."""
        return self._preparation.slot(namespace, bucket)

    def _decide(self, call: Call, keyed: Keyed) -> Step:
        if copied := self._copied(call, keyed):
            return self._hit(call, keyed, copied)
        lookup = self.look_up(call, keyed)
        if lookup is None:
            miss = Miss(MissReason.STORE_DOWN, None)
        elif call.controls.no_cache:
            miss = Miss(MissReason.NO_CACHE, self._stamp(call, keyed, lookup))
        elif lookup.found is not None and self._may_serve(lookup.found, call):
            return self._hit(call, keyed, lookup.found)
        else:
            miss = Miss(lookup.reason, self._stamp(call, keyed, lookup))
        if call.controls.only_if_cached:
            near = self._near(call, keyed, miss)
            return near if isinstance(near, Hit) else self._refuse(call, keyed, near.reason)
        if miss.stamp is None or call.controls.no_cache:
            return Lead(self, call, keyed, miss, None)
        key = FlightKey(keyed.slot.entry(keyed.identity.exact), miss.stamp)
        self._raise_remembered(call, keyed, key)
        return self._join(call, keyed, miss, key)

    def look_up(self, call: Call, keyed: Keyed) -> Lookup | None:
        """The checked lookup; None when the store cannot be asked."""
        copies = self._copies
        reader: Reader = self.store_ if copies is None else copies.through
        lookup = self.ask(
            call,
            lambda: self._look_up(reader, call, keyed, on_corrupt=lambda: self.metrics.count("corrupt_entries")),
        )
        if copies is not None and lookup is not None and copies.needs_grant(keyed.slot):
            self.ask(call, lambda: copies.request_grant(keyed.slot))
        call.lookup_ms = call.elapsed_ms()
        return lookup

    def _copied(self, call: Call, keyed: Keyed) -> Found | None:
        """A fresh answer that this process has a copy of and may serve without asking the store."""
        copies = self._copies
        if copies is None or call.controls.no_cache or call.store_failed:
            return None
        found = self._look_up(copies, call, keyed).found
        call.lookup_ms = call.elapsed_ms()
        return None if found is None or found.stale else msgspec.structs.replace(found, copied=True)

    def _look_up(
        self, reader: Reader, call: Call, keyed: Keyed, *, on_corrupt: Callable[[], None] = lambda: None
    ) -> Lookup:
        return look_up(
            reader,
            keyed.slot,
            keyed.identity,
            call.strategy,
            self._clock(),
            max_age=call.controls.max_age,
            on_corrupt=on_corrupt,
        )

    def _stamp(self, call: Call, keyed: Keyed, lookup: Lookup) -> Stamp | None:
        record: InvalidationRecord | None = lookup.record
        if record is None:
            record = self.ask(call, lambda: self.store_.ensure_record(keyed.slot))
        return record.stamp if record is not None else None

    def _may_serve(self, found: Found, call: Call) -> bool:
        """Fresh ones always; a stale one while it is being refreshed, when the operator allows that."""
        if not found.stale:
            return True
        if found.soft or self._refresher is None or call.controls.max_age is not None:
            return False
        return self._clock() < found.entry.header.fresh_until + self.config.stale_while_revalidate_seconds

    def _near(self, call: Call, keyed: Keyed, miss: Miss) -> Hit | Miss:
        """A hit by a near question, or the miss, now that near ones were looked at too."""
        return self._near_end(call, keyed, miss, self._look_near(call, keyed))

    def _look_near(self, call: Call, keyed: Keyed, *, hedged: bool = False) -> SemanticResult | None:
        """What looking for near questions comes to, `hedged` without asking a judge; None when they are not looked for.

        None as well when the store cannot be asked.
        """
        semantic = self._semantic
        if semantic is None or call.strategy is not CacheStrategy.SEMANTIC:
            return None
        if not self.ask(call, lambda: semantic.applies(keyed.identity)):
            return None
        result = self.ask(
            call,
            lambda: semantic.find(self.store_, self.slot, keyed.identity, call.controls, self._clock(), hedged=hedged),
        )
        call.lookup_ms = call.elapsed_ms()
        return result

    def _near_end(self, call: Call, keyed: Keyed, miss: Miss, result: SemanticResult | None) -> Hit | Miss:
        if result is None:
            return miss
        if result.found is None:
            return self._missed(miss, result)
        call.lookup_ms = call.elapsed_ms()
        if result.judged and miss.stamp is not None and result.bucket == keyed.slot.bucket:
            self._write_alias(call, keyed, miss.stamp, result.found.entry)
        return self._hit(call, keyed, result.found, bucket=result.bucket, similarity=result.similarity)

    @staticmethod
    def _missed(miss: Miss, result: SemanticResult) -> Miss:
        reason = result.reason if miss.reason == MissReason.ABSENT else miss.reason
        return Miss(reason, miss.stamp, result.nearest)

    def _hedge(
        self,
        call: Call,
        keyed: Keyed,
        miss: Miss,
        lease: Lease,
        looked: SemanticResult,
        rest: Callable[[Callable[[], bool]], SemanticResult],
    ) -> Lead:
        """Leads while a judge is asked: the first of its yes and the provider's answer is served."""

        def judge(may_serve: Callable[[], bool]) -> Hit | Miss:
            try:
                near = self._near_end(call, keyed, miss, self.ask(call, lambda: rest(may_serve)))
            except BaseException:
                lease.end(call)
                raise
            if isinstance(near, Hit):
                lease.end(call, codec.encode_entry(near.entry))
            return near

        return Lead(self, call, keyed, miss, lease, Hedge(judge, self._missed(miss, looked)))

    def dropped(self, call: Call, completion: Completion | None) -> None:
        """Counts a provider's call that a judge's yes has overtaken; None: what it cost is not known."""
        self.metrics.count("hedge_dropped")
        if completion is None:
            return
        tokens, cost_usd = completion.tokens, self._cost(call.request, completion)
        self.metrics.count("hedge_input_tokens", tokens.input_tokens)
        self.metrics.count("hedge_output_tokens", tokens.output_tokens)
        if cost_usd is None:
            self.metrics.count("hedge_unpriced_calls")
        else:
            self.metrics.count("hedge_cost_nano_usd", round(cost_usd * NANO_USD))

    def _write_alias(self, call: Call, keyed: Keyed, stamp: Stamp, entry: CacheEntry) -> str:
        """Makes every repeat of this wording a plain hit, without embedding or judge; "" or why it was refused."""
        identity = keyed.identity
        if identity.exact == entry.header.digest:
            return SAME_WORDING  # the entry itself stands there
        header = msgspec.structs.replace(
            entry.header,
            digest=identity.exact,
            target=entry.header.digest,
            incarnation=stamp.incarnation,
            sequence=stamp.sequence,
        )
        alias = CacheEntry(header=header, prompt=identity.prompt, tags=entry.tags, ttl_class=entry.ttl_class)
        normalized = None
        if identity.normalized is not None:
            # It leads to the alias and not to the entry: whoever hides the alias hides every spelling of it.
            folded = msgspec.structs.replace(header, digest=identity.normalized, target=identity.exact)
            normalized = (
                identity.normalized,
                codec.encode_entry(msgspec.structs.replace(alias, header=folded)),
            )
        write = Write(
            digest=header.digest,
            value=codec.encode_entry(alias),
            ttl_ms=max(1, int((header.fresh_until - self._clock()) * 1000)),
            model=header.model,
            created_at=header.created_at,
            alias=normalized,
            indexed=False,
        )
        not_stored = self._write(call, keyed, alias, write)
        if not not_stored:
            self._remember(call, keyed, header.fresh_until)
        return not_stored

    def _remember(self, call: Call, keyed: Keyed, expires_at: float) -> None:
        """Lets near questions find a wording that was just stored."""
        semantic = self._semantic
        if semantic is not None and call.strategy is CacheStrategy.SEMANTIC:
            self.ask(call, lambda: semantic.remember(keyed.identity, expires_at))

    def _hit(
        self,
        call: Call,
        keyed: Keyed,
        found: Found,
        reason: str = "",
        *,
        bucket: int | None = None,
        similarity: float | None = None,
    ) -> Hit:
        header = found.entry.header
        now = self._clock()
        key = keyed.identity.key
        if found.stale and not reason:
            reason = "revalidating"
            if self._refresher is not None:
                self._refresher(call.request, msgspec.structs.replace(call.controls, namespace=call.namespace), key)
        if header.digest != keyed.identity.exact:
            # Found by another spelling: the key is the entry's own, by which it can be invalidated.
            key = readable_key(keyed.slot.bucket if bucket is None else bucket, header.digest)
        latency_ms = call.elapsed_ms()
        outcome = Outcome(
            kind=OutcomeKind.HIT,
            namespace=call.namespace,
            model=call.request.model,
            strategy=call.strategy,
            detail=found.detail,
            stale=found.stale,
            copied=found.copied,
            reason=reason,
            ttl_class=found.entry.ttl_class,
            latency_ms=latency_ms,
            lookup_ms=call.lookup_ms,
            saved_input_tokens=header.input_tokens,
            saved_output_tokens=header.output_tokens,
            saved_cost_usd=header.cost_usd,
            saved_ms=max(0.0, header.latency_ms - latency_ms),
            similarity=similarity,
            key=key,
            at=now,
        )
        self.metrics.record(outcome, keyed.identity.prompt)
        if self.config.log_hits:
            logger.info("hit %s key=%s model=%s", found.detail, key, call.request.model)
        return Hit(self._answer(found.entry, outcome, now), found.entry)

    @staticmethod
    def _answer(entry: CacheEntry, outcome: Outcome, now: float) -> Answer:
        return Answer(
            completion=Completion(body=entry.body or {}),
            outcome=outcome,
            key=outcome.key,
            age_seconds=max(0.0, now - entry.header.created_at),
            ttl_seconds=max(0.0, entry.header.fresh_until - now),
            similarity=outcome.similarity,
        )

    def _refuse(self, call: Call, keyed: Keyed | None, reason: str) -> NoReturn:
        self._record(call, OutcomeKind.MISS, keyed=keyed, reason="only-if-cached")
        raise NotCached(f"only-if-cached was asked for, and there is no answer to serve ({reason})")

    # Single-flight

    def _join(self, call: Call, keyed: Keyed, miss: Miss, key: FlightKey) -> Step:
        flight, leads = self._flights.join(key)
        if not leads:
            return Follow(self, call, keyed, miss, flight, polls=False)
        return self._take_lease(call, keyed, miss, flight) or Follow(self, call, keyed, miss, flight, polls=True)

    def _take_lease(self, call: Call, keyed: Keyed, miss: Miss, flight: Flight) -> Hit | Lead | None:
        """Leads if no other process does; None when one does. Whoever gets the lease looks again first."""
        lease = Lease(self, flight)
        try:
            if self.ask(call, lambda: self._take(keyed, lease)) is False:
                return None
            lookup = self.look_up(call, keyed) if lease.held is not None else None
        except BaseException:
            lease.end(call)
            raise
        if lookup is not None and lookup.found is not None and not lookup.found.stale:
            lease.end(call, codec.encode_entry(lookup.found.entry))
            return self._hit(call, keyed, lookup.found)
        try:
            looked = self._look_near(call, keyed, hedged=self.config.hedge)
            if looked is not None and looked.rest is not None:
                flight.computes()
                return self._hedge(call, keyed, miss, lease, looked, looked.rest)
            near = self._near_end(call, keyed, miss, looked)
        except BaseException:
            lease.end(call)
            raise
        if isinstance(near, Hit):
            lease.end(call, codec.encode_entry(near.entry))
            return near
        flight.computes()
        return Lead(self, call, keyed, near, lease)

    def _take(self, keyed: Keyed, lease: Lease) -> bool:
        lease.held = self._leases.take(keyed.slot, keyed.identity.exact, lease.key.stamp.sequence)
        return lease.held is not None

    def poll(self, call: Call, keyed: Keyed, miss: Miss, flight: Flight, follow: Follow) -> Step:
        """Looks whether another process' leader has stored, or has gone."""
        stamp = flight.key.stamp
        lookup = self.look_up(call, keyed)
        if lookup is None:
            return self.lead_alone(call, keyed, miss, flight)
        if lookup.found is not None and not lookup.found.stale:
            flight.land(codec.encode_entry(lookup.found.entry))
            return self._collapsed(call, keyed, lookup.found.entry)
        if self.ask(call, lambda: self.store_.leased(keyed.slot, keyed.identity.exact, stamp.sequence)):
            return follow
        return self._take_lease(call, keyed, miss, flight) or follow

    def lead_alone(self, call: Call, keyed: Keyed, miss: Miss, flight: Flight) -> Lead:
        """Waits no longer for another process; those of this process wait for us."""
        flight.computes()
        return Lead(self, call, keyed, miss, Lease(self, flight))

    def landed(self, call: Call, keyed: Keyed, miss: Miss, flight: Flight) -> Step:
        """What a follower does when the flight it waited for has ended."""
        landing = flight.landed.result()
        if landing.value is not None:
            return self._collapsed(call, keyed, codec.decode_entry(landing.value))
        if landing.alone:
            return Lead(self, call, keyed, miss, None)
        if error := landing.error or self._flights.shared_error(flight.key):
            if stale := self.lead_failed(call, keyed, None, error):
                return stale
            raise error
        self.metrics.count("takeovers")
        return self._join(call, keyed, miss, flight.key)

    def _collapsed(self, call: Call, keyed: Keyed, entry: CacheEntry) -> Hit:
        outcome = self._record(
            call, OutcomeKind.MISS, keyed=keyed, reason="collapsed", collapsed=True, ttl_class=entry.ttl_class
        )
        return Hit(self._answer(entry, outcome, self._clock()), entry)

    def release(self, call: Call, lease: HeldLease) -> None:
        """Gives a lease back, at once when the store answers."""

        def give_back() -> bool:
            self._leases.give_back(lease)
            return True

        if self.ask(call, give_back) is None:
            self._leases.give_back_later(lease)

    # The ends

    def store(
        self,
        call: Call,
        keyed: Keyed,
        miss: Miss,
        lease: Lease | None,
        completion: Completion,
        chunks: list[dict[str, Any]] | None,
    ) -> Answer:
        """Keeps a fresh answer if it may be kept, hands it to those who wait, records the request."""
        entry, not_stored = self._entry(call, keyed, miss, completion, chunks)
        provider_ms = call.provider_ms()
        value: bytes | None = None
        if entry is not None:
            value, not_stored = self._keep(call, keyed, entry)
        if lease is not None:
            lease.end(call, value, alone=value is None)
        tokens = completion.tokens
        outcome = self._record(
            call,
            OutcomeKind.MISS,
            keyed=keyed,
            reason=miss.reason,
            stored=not not_stored,
            not_stored=not_stored,
            ttl_class=keyed.decision.ttl_class,
            similarity=miss.similarity,
            provider_ms=provider_ms,
            tokens=tokens,
            cost_usd=entry.header.cost_usd if entry else self._cost(call.request, completion),
        )
        seconds = entry.header.fresh_until - entry.header.created_at if entry and outcome.stored else 0.0
        return Answer(completion=completion, outcome=outcome, key=keyed.identity.key, ttl_seconds=seconds)

    def _entry(
        self,
        call: Call,
        keyed: Keyed,
        miss: Miss,
        completion: Completion,
        chunks: list[dict[str, Any]] | None,
    ) -> tuple[CacheEntry | None, str]:
        """The entry an answer would be stored as, or why it must not be stored."""
        not_stored = policy.not_stored_reason(completion.body, call.request, self.config.limits)
        if not_stored:
            return None, not_stored
        seconds = self._fresh_seconds(call.controls, keyed)
        if seconds is None:
            return None, "no-store"
        if miss.stamp is None:
            return None, miss.reason
        now = self._clock()
        tokens = completion.tokens
        header = EntryHeader(
            digest=keyed.identity.exact,
            scope=keyed.identity.scope,
            namespace=call.namespace,
            model=call.request.model,
            incarnation=miss.stamp.incarnation,
            sequence=miss.stamp.sequence,
            created_at=now,
            fresh_until=now + seconds,
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            cost_usd=self._cost(call.request, completion),
            latency_ms=call.provider_ms(),
        )
        entry = CacheEntry(
            header=header,
            prompt=keyed.identity.prompt,
            tags=call.controls.tags,
            ttl_class=keyed.decision.ttl_class,
            body=completion.body,
            chunks=chunks,
            parts=self._preparation.parts(call.request, call.controls, keyed),
        )
        return entry, ""

    def _cost(self, request: ChatRequest, completion: Completion) -> float | None:
        """US dollars for the model that answered, which may be another than the one asked for."""
        model = completion.body.get("model")
        return self._price(model if isinstance(model, str) and model else request.model, completion.tokens)

    def _fresh_seconds(self, controls: Controls, keyed: Keyed) -> float | None:
        """How long the answer will be fresh; None for not at all."""
        if isinstance(controls.ttl, NoStore):
            return None
        if isinstance(controls.ttl, For):
            return controls.ttl.seconds
        # One TTL for all is for what may be kept at all: the rules' 0 stays 0.
        seconds = keyed.decision.seconds if self.config.ttl is None or not keyed.decision.seconds else self.config.ttl
        if not seconds:
            return None
        return policy.jitter(seconds, self.config.ttl_jitter, self._random)

    def _keep(self, call: Call, keyed: Keyed, entry: CacheEntry) -> tuple[bytes | None, str]:
        """Writes an entry and its alias through the fence: (stored form, ""), or why it was not stored.

        The form is given also when only the store failed: those who wait may have it.
        """
        header = entry.header
        try:
            value = codec.encode_entry(entry)
            alias = self._alias(keyed, entry)
        except DecodeError:
            return None, "unencodable"
        if len(value) > self.config.limits.max_entry_bytes:
            return None, "too-large"
        write = Write(
            digest=header.digest,
            value=value,
            ttl_ms=int((header.fresh_until - header.created_at + self.config.stale_seconds) * 1000),
            model=header.model,
            created_at=header.created_at,
            alias=alias,
        )
        not_stored = self._write(call, keyed, entry, write)
        if not not_stored:
            self._remember(call, keyed, header.fresh_until)
        return (value if not_stored in ("", MissReason.STORE_DOWN) else None), not_stored

    def _write(self, call: Call, keyed: Keyed, entry: CacheEntry, write: Write) -> str:
        """Writes through the fence; "" or why it was refused."""
        stamp = Stamp(entry.header.incarnation, entry.header.sequence)
        expected = stamp.sequence
        for _ in range(MOVED_TRIES):
            reply = self.ask(call, partial(self.store_.write, keyed.slot, write, stamp, expected))
            if reply is None:
                return MissReason.STORE_DOWN
            result, record = reply
            if result is StoredAs.STORED:
                if self._copies is not None:
                    self._copies.forget(write.digest, *(write.alias or ())[:1])
                return ""
            if result is not StoredAs.MOVED or record is None:
                return f"refused-{result}"
            if not may_store(entry, record):
                return "refused-invalidated"
            expected = record.sequence
        return "refused-moved"

    @staticmethod
    def _alias(keyed: Keyed, entry: CacheEntry) -> tuple[bytes, bytes] | None:
        normalized = keyed.identity.normalized
        if normalized is None:
            return None
        header = msgspec.structs.replace(entry.header, digest=normalized, target=entry.header.digest)
        return normalized, codec.encode_entry(
            CacheEntry(header=header, prompt=entry.prompt, tags=entry.tags, ttl_class=entry.ttl_class)
        )

    def find(self, request: ChatRequest, controls: Controls) -> Hit | None:
        """A lookup and nothing else; recorded as a hit or a miss."""
        call, keyed = self.prepared(request, controls)
        if self._is_switched(call):
            keyed = None
        if keyed is not None and (copied := self._copied(call, keyed)):
            return self._hit(call, keyed, copied)
        lookup = self.look_up(call, keyed) if keyed is not None else None
        if keyed is not None and lookup is not None and lookup.found is not None and not lookup.found.stale:
            return self._hit(call, keyed, lookup.found)
        reason = call.bypass or (lookup.reason if lookup else MissReason.STORE_DOWN)
        self._record(call, OutcomeKind.MISS, keyed=keyed, reason=reason)
        return None

    def put(self, request: ChatRequest, completion: Completion, controls: Controls) -> Answer | str:
        """Stores an answer that was got elsewhere; else the reason why it may not be stored. Not a request."""
        call, keyed = self.prepared(request, controls)
        if keyed is None:
            return call.bypass
        lookup = self.look_up(call, keyed)
        stamp = self._stamp(call, keyed, lookup) if lookup is not None else None
        entry, not_stored = self._entry(call, keyed, Miss(MissReason.STORE_DOWN, stamp), completion, None)
        if entry is not None:
            _, not_stored = self._keep(call, keyed, entry)
        if entry is None or not_stored:
            return not_stored or "no-store"
        outcome = Outcome(
            kind=OutcomeKind.MISS,
            namespace=call.namespace,
            model=request.model,
            strategy=call.strategy,
            stored=True,
            key=keyed.identity.key,
            at=entry.header.created_at,
        )
        return self._answer(entry, outcome, entry.header.created_at)

    def alias(self, wording: ChatRequest, of: ChatRequest, controls: Controls) -> str:
        """Lets another wording lead to a stored answer; "" or why it does not. Not a request.

        They must differ in nothing but the last message, and their buckets must be the same one.
        """
        call, keyed = self.prepared(wording, controls)
        _, stored = self.prepared(of, controls)
        if keyed is None or stored is None:
            return call.bypass
        if keyed.identity.scope != stored.identity.scope:
            return OTHER_SCOPE
        if keyed.identity.normalized is not None and keyed.identity.normalized == stored.identity.normalized:
            return SAME_WORDING
        if keyed.slot is not stored.slot:
            return OTHER_BUCKET
        lookup = self.look_up(call, stored)
        if lookup is None or lookup.record is None:
            return MissReason.STORE_DOWN
        if lookup.found is None or lookup.found.stale:
            return lookup.reason
        return self._write_alias(call, keyed, lookup.record.stamp, lookup.found.entry)

    def passed(self, call: Call, reason: str, completion: Completion) -> Answer:
        """A bypass ended well."""
        tokens = completion.tokens
        outcome = self._record(
            call,
            OutcomeKind.BYPASS,
            reason=reason,
            provider_ms=call.provider_ms(),
            tokens=tokens,
            cost_usd=self._cost(call.request, completion),
        )
        return Answer(completion=completion, outcome=outcome)

    def failed(self, call: Call, error: BaseException, keyed: Keyed | None = None) -> None:
        """A request ended without an answer."""
        self._record(call, OutcomeKind.ERROR, keyed=keyed, reason=_error_word(error), provider_ms=call.provider_ms())

    def lead_failed(
        self, call: Call, keyed: Keyed, lease: Lease | None, error: BaseException, *, may_serve_stale: bool = True
    ) -> Hit | None:
        """A leader's provider failed: an old answer if one may be served, found by a lookup made now."""
        is_abandoned = went_away(error)
        if lease is not None:
            lease.end(call, error=None if is_abandoned else error)
        if may_serve_stale and not is_abandoned and policy.is_outage(error):
            allowed = call.controls.stale_if_error
            if allowed is None:
                allowed = self.config.stale_if_error_seconds
            if allowed > 0 and (lookup := self.look_up(call, keyed)) and lookup.found:
                found = lookup.found
                if not found.stale or found.soft or self._clock() < found.entry.header.fresh_until + allowed:
                    return self._hit(call, keyed, msgspec.structs.replace(found, expired=True), "stale-if-error")
        if self.config.cache_errors and not is_abandoned and lease is not None:
            self._errors[lease.key] = (time.monotonic() + ERROR_SECONDS, error)
        self.failed(call, error, keyed)
        return None

    def _raise_remembered(self, call: Call, keyed: Keyed, key: FlightKey) -> None:
        remembered = self._errors.get(key) if self._errors else None
        if remembered is None:
            return
        if time.monotonic() < remembered[0]:
            self._record(call, OutcomeKind.ERROR, keyed=keyed, reason="remembered-error")
            raise remembered[1]
        self._errors.pop(key, None)

    def _record(
        self,
        call: Call,
        kind: OutcomeKind,
        *,
        keyed: Keyed | None = None,
        reason: str = "",
        stored: bool = False,
        not_stored: str = "",
        collapsed: bool = False,
        ttl_class: str = "",
        similarity: float | None = None,
        provider_ms: float = 0.0,
        tokens: Usage | None = None,
        cost_usd: float | None = None,
    ) -> Outcome:
        outcome = Outcome(
            kind=kind,
            namespace=call.namespace,
            model=call.request.model,
            strategy=call.strategy,
            stored=stored,
            collapsed=collapsed,
            reason=reason,
            not_stored=not_stored,
            ttl_class=ttl_class,
            similarity=similarity,
            latency_ms=call.elapsed_ms(),
            lookup_ms=call.lookup_ms,
            provider_ms=provider_ms,
            input_tokens=tokens.input_tokens if tokens else 0,
            output_tokens=tokens.output_tokens if tokens else 0,
            cost_usd=cost_usd,
            key=keyed.identity.key if keyed else "",
            at=self._clock(),
        )
        self.metrics.record(outcome, keyed.identity.prompt if keyed else None)
        return outcome

    # The store, guarded

    def ask(self, call: Call, question: Callable[[], Result]) -> Result | None:
        """The store's answer, or None when it cannot be had: the one place where its errors are caught."""
        if call.store_failed or not self.breaker.allows():
            return None
        try:
            answer = question()
        except WriteRefused as error:
            # The server answers, it just takes no writes: lookups go on.
            self.breaker.succeeded()
            self.metrics.count("writes_refused")
            logger.debug("store: %s", error)
            return None
        except (StoreUnavailable, OutcomeUnknown):
            call.store_failed = True
            self.breaker.failed()
            self.metrics.count("store_errors")
            return None
        self.breaker.succeeded()
        return answer

    def close(self) -> None:
        """Gives back the leases that are still held."""
        self._leases.close()

    def _breaker_changed(self, is_open: bool) -> None:
        if is_open:
            self.metrics.count("breaker_openings")
            logger.warning("the store does not answer: requests go straight to the provider, one probe a second")
        else:
            logger.warning("the store answers again")


def _error_word(error: BaseException) -> str:
    return "cancelled" if went_away(error) else type(error).__name__
