"""What a store does, in four roles: bytes in named places, in as few round trips as the work allows.

A store moves bytes and compares them; it decides nothing. What an entry means, whether a record hides it and what a
record becomes are pure functions in `core.stores` and `core.bans`. All methods raise StoreUnavailable when the store
does not answer, WriteRefused when it takes no writes and OutcomeUnknown when a write's answer did not come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ..bans import Ban, Change, InvalidationRecord
from ..keys import Slot
from ..models import Stamp
from .aside import AsideStore
from .clock import Clock
from .refusal import Refusal


class StoredAs(StrEnum):
    """The result of a fenced write. All but STORED are refusals with their reason."""

    STORED = "stored"
    NO_RECORD = "no-record"
    INCARNATION = "incarnation"
    FLOOR = "floor"
    MOVED = "moved"


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One fenced write: an entry, and the alias at its normalized key if it has one (digest, value).

    `names` are the short digests of the entry's names (see `core.bans.entry_digests`): bans filed under other names let
    it pass; without names any ban may be of it. `tags` are those of the entry and its alias. `indexed` False keeps it
    out of the model's index: an alias that is written by itself. `over_hidden`: a ban may hide what it takes the place
    of, which is then put aside (see `core.stores.aside`); False says that the lookup saw nothing hidden there.
    """

    digest: bytes
    value: bytes
    ttl_ms: int
    model: str
    created_at: float
    names: bytes = b""
    alias: tuple[bytes, bytes] | None = None
    tags: tuple[str, ...] = ()
    indexed: bool = True
    over_hidden: bool = True


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that takes the place of another one. `seen` is that other one as it was read, `value` the new one.

    `stamp` is that of the record as it was read. The new values have its incarnation and the sequence of the ban that
    hides what stood there (`changes.next_sequence`). `aliases` are digest, value as read and value anew; one that is
    another by now stays as it is.
    """

    digest: bytes
    seen: bytes
    value: bytes
    stamp: Stamp
    aliases: tuple[tuple[bytes, bytes, bytes], ...] = ()
    ttl_ms: int
    model: str
    created_before: float
    created_at: float
    tags: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's claim to compute the answer at a digest.

    `sequence` is that of the latest invalidation that may be of it: whoever asks after that one is held up by no claim
    from before it. `token` is the caller's own: nobody else prolongs or gives back the lease.
    """

    digest: bytes
    sequence: int
    token: bytes


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry met by a walk: its digest and its value, or only the value's first HEADER_BYTES."""

    digest: bytes
    value: bytes


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """An entry or alias to be deleted if it is still the one that was looked at; `created_at` is None for an alias."""

    digest: bytes
    stamp: Stamp
    model: str
    created_at: float | None
    tags: tuple[str, ...] = ()


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, and the bytes of both: of a sample when there were many."""

    entries: int = 0
    aliases: int = 0
    bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(
            entries=self.entries + other.entries, aliases=self.aliases + other.aliases, bytes=self.bytes + other.bytes
        )


class SweepFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What one invalidation selects in a sweep: values stored before `sequence`, narrowed by each field that is given.

    `created_before` is Unix seconds; `model` is who answered; `digest` names one entry and its aliases; `substrings`
    are groups of lower-case ASCII, and a prompt must contain all of one group, or may (see core.bans.prefilter).
    `tagged`, `owned`, `alias`: only values that have tags, that are a user's own, that are aliases.
    """

    sequence: int
    created_before: float | None = None
    model: str | None = None
    digest: bytes | None = None
    substrings: frozenset[frozenset[bytes]] | None = None
    tagged: bool = False
    owned: bool = False
    alias: bool = False

    @property
    def matches_all(self) -> bool:
        """Whether it may select everything stored before `sequence`."""
        return self == SweepFilter(sequence=self.sequence)


class ScanPage(msgspec.Struct, frozen=True):
    """One page of a scan: the rows that may match, and how many entries certainly do not and were left out."""

    rows: list[Row]
    left_out: int = 0


class Persistence(StrEnum):
    """What of a store survives a crash, from the least to the most: what snapshots alone keep is of the latest one."""

    UNKNOWN = "unknown"
    NOTHING = "nothing"
    SNAPSHOTS = "snapshots"
    LOG = "log"


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """State and configuration of a store. Bytes are of the whole server; None where it has no such limit or figure.

    `product` is what the server calls itself. `user` is who this process is for it, `missing_rights` are the rules that
    this user lacks, as ACL SETUSER takes them. `round_trip_ms` is how long an answer takes, at its best of a few.
    `clock_ahead_seconds` is by how much this machine's clock is ahead of the server's, negative when behind.
    `silent_servers` are those of a cluster that do not answer; the rest is of the others. `refusal` is why the server
    takes no writes, None where it does.
    """

    kind: str
    product: str = ""
    version: str = ""
    used_bytes: int | None = None
    max_bytes: int | None = None
    policy: str = ""
    evicted: int = 0
    role: str = ""
    replicas: int = 0
    persistence: Persistence = Persistence.NOTHING
    refusal: Refusal | None = None
    servers: int = 1
    silent_servers: tuple[str, ...] = ()
    user: str = ""
    missing_rights: tuple[str, ...] = ()
    round_trip_ms: float | None = None
    clock_ahead_seconds: float | None = None

    @property
    def writable(self) -> bool:
        """Whether the server takes writes."""
        return self.refusal is None


Seen = tuple[list[bytes | None], InvalidationRecord | None]
"""What one read gives: the values at the digests, and the invalidation record of the same moment, with its bans.

The bans may be missing (see `InvalidationRecord.is_complete`): then nothing can be served, and a later read has them.
"""


class Reader(Protocol):
    """Reads values: the store, or copies in this process of what is there."""

    def read(self, slot: Slot, digests: Sequence[bytes]) -> Seen:
        """The values at these digests, None where there is none, and the slot's record, as of one moment.

        One round trip; one more when bans have changed since the process looked last.
        """
        ...


class EntryStore(Reader, Protocol):
    """Entries and aliases by their digests: written through the fence, replaced and removed if still as they were."""

    @property
    def clock(self) -> Clock:
        """The one clock by which stored times are written and judged: that of the store, not of this machine."""
        ...

    def write(
        self, slot: Slot, write: Write, stamp: Stamp, expected: int
    ) -> tuple[StoredAs, InvalidationRecord | None]:
        """Stores if no ban that came after the sequence `expected` may be of this entry.

        Refused when the record has another incarnation than the stamp, or a floor above it. MOVED comes with the record
        as it is now: the caller decides whether to try again with its sequence.
        """
        ...

    def replace(self, slot: Slot, digest: bytes, *, seen: bytes, value: bytes, ttl_ms: int, stamp: Stamp) -> bool:
        """Puts `value` in the place of `seen` if that is still there and the record still has this stamp.

        False, and nothing written, when either has changed.
        """
        ...

    def remove(self, slot: Slot, removals: Sequence[Removal]) -> Removed:
        """Deletes each value that still carries the stamp its removal names, and its index rows."""
        ...

    def ttl_seconds(self, slot: Slot, digest: bytes) -> float | None:
        """Seconds until the store deletes the value at a digest; None when there is none."""
        ...


class RecordStore(Reader, Protocol):
    """The invalidation record of each slot with its bans, and how safely a change of them is kept.

    Changes work when the store is full.
    """

    def record(self, slot: Slot) -> InvalidationRecord | None:
        """The slot's record without its bans: where their number is enough. One round trip."""
        ...

    def ensure_record(self, slot: Slot) -> InvalidationRecord:
        """The slot's record without its bans, made with a new random incarnation when there is none."""
        ...

    def append(self, slot: Slot, ban: Ban, remove: bytes | None = None) -> tuple[InvalidationRecord, Ban]:
        """Appends a ban, which gets its sequence in the same step; the record without its bans, and the ban.

        An id that the slot has already changes nothing: the ban is then the one that is there. `remove`: a digest
        deleted in the same step. Raises InvalidationRefused when there are too many.
        """
        ...

    def correct(self, slot: Slot, ban: Ban, correction: Correction) -> InvalidationRecord | None:
        """Appends the ban of one key and puts an answer in the place of the one that it hides, in the same step.

        The record without its bans; None, and nothing written, when what was seen is no longer there, or the record has
        another stamp. Raises InvalidationRefused as `append`.
        """
        ...

    def change(self, slot: Slot, ids: Sequence[str], change: Callable[[Sequence[Ban]], Change]) -> Sequence[Ban]:
        """Applies a pure change to the bans with these ids, MOST_CHANGED at most; as they are then, without the gone.

        `change` gets those that there are, and is called again when one of them was changed meanwhile. What it raises
        passes through. Changes of other bans do not come between.
        """
        ...

    def allow_copies(self, slot: Slot, seconds: float, *, now: float, until: float) -> None:
        """Writes a grant for local copies into the slot's record (see `core.bans.allow_copies`)."""
        ...

    def forget_record(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Removes the slot's record if it is still the one that was seen, else False.

        Whoever generates an answer under it finds it gone, and does not store.
        """
        ...

    def ban(self, slot: Slot, ban_id: str) -> Ban | None:
        """The active ban with this id; None when there is none."""
        ...

    def bans_of(self, slot: Slot, ids: Sequence[str]) -> list[Ban]:
        """The active bans that have one of these ids. One round trip."""
        ...

    def bans(
        self, slot: Slot, *, after: tuple[float, str] | None = None, until: float | None = None, limit: int = 500
    ) -> list[Ban]:
        """Active bans by when they end (`Ban.ends_at`, then the id), those that end by `until` (Unix seconds) or all.

        A page of up to `limit`, `after` the end and id of the last one had. An empty one means that there are no more.
        """
        ...

    def mend(self, slot: Slot) -> None:
        """Lists the slot's bans anew by when they end, if the store has lost that list, by an eviction perhaps."""
        ...

    def unlist(self, namespace: str, buckets: int) -> None:
        """Takes a namespace out of the list of namespaces, unless one of its buckets has a record."""
        ...

    def replicated(self, slot: Slot, replicas: int, timeout_seconds: float) -> int:
        """Number of replicas that have acknowledged all writes so far.

        Blocks up to `timeout_seconds` for `replicas` of them.
        """
        ...

    def synced(self, slot: Slot, timeout_seconds: float) -> bool:
        """Whether all writes so far are on the disk of the slot's server. Blocks up to `timeout_seconds` for that."""
        ...


class LeaseStore(Protocol):
    """Single-flight leases: who computes the answer at a digest, as of a sequence of the record."""

    def acquire(self, slot: Slot, claim: Claim, ttl_ms: int) -> bool:
        """Takes the lease for an answer; False when another caller holds it."""
        ...

    def renew(self, slot: Slot, claims: Sequence[Claim], ttl_ms: int) -> list[bool]:
        """Prolongs leases, and takes again those that have lapsed; False for each that another caller holds now."""
        ...

    def release(self, slot: Slot, claim: Claim) -> None:
        """Gives the lease back if it is still this claim's."""
        ...

    def leased(self, slot: Slot, digest: bytes, sequence: int) -> bool:
        """Whether anyone holds the lease."""
        ...


class EntryIndex(Reader, Protocol):
    """Which entries there are: full passes over a slot, and indexes by model and tag that are fast and only hints.

    An index may list entries that are gone, and may lack some that are there.
    """

    def walk(self, slot: Slot, *, whole: bool, batch: int = 200) -> Iterator[list[Row]]:
        """All entries and aliases of a slot in batches: everything present from start to end is met at least once.

        Without `whole`, values are cut to HEADER_BYTES.
        """
        ...

    def scan_matching(
        self, slot: Slot, incarnation: bytes, filters: Sequence[SweepFilter], *, whole: bool, batch: int = 500
    ) -> Iterator[ScanPage]:
        """A full pass over a slot for values of another incarnation and values that one of the filters selects.

        Looks at `batch` names at a time. Values that certainly do not match may be left out; all others are given.
        """
        ...

    def walk_model(
        self, slot: Slot, model: str, *, created_before: float | None = None, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries of a model in batches, oldest first, by the index. `created_before` is Unix seconds."""
        ...

    def walk_tags(
        self, slot: Slot, tags: Sequence[str], *, whole: bool = False, batch: int = 200
    ) -> Iterator[list[Row]]:
        """Entries and aliases that have one of these tags in batches, by the index, and perhaps others.

        Whatever has two of the tags may be met twice. A trip for hundreds of tags, more for those that many have.
        """
        ...

    def recent(
        self, slot: Slot, model: str, *, before: tuple[float, bytes] | None = None, limit: int = 200
    ) -> list[tuple[float, bytes]]:
        """(creation time, digest) of a model's entries, newest first, by the index: up to `limit` after `before`.

        Fewer than `limit` means that there are no more.
        """
        ...

    def count_model(self, slot: Slot, model: str, created_before: float | None = None) -> int:
        """Number of entries that the index lists for a model, all or those created before a time (Unix seconds)."""
        ...

    def models(self, slot: Slot) -> dict[str, int]:
        """Models that the index knows, in the order of their names, with the number of entries listed for each."""
        ...

    def remove_model(
        self, slot: Slot, model: str, before: Stamp, *, created_before: float | None = None, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes entries that the index lists for a model, and their aliases, in batches, oldest first.

        Only those stored before a stamp, that is with its incarnation and a lower sequence, and created before a time
        (Unix seconds) if one is given. Some may be left: the index is a hint.
        """
        ...

    def remove_tags(
        self, slot: Slot, incarnation: bytes, before: Mapping[str, int], *, batch: int = 200
    ) -> Iterator[Removed]:
        """Deletes entries and aliases that the indexes of tags list, in batches.

        Only those that have the tag, and were stored under this incarnation before the sequence given with the tag.
        Some may be left: indexes are hints.
        """
        ...

    def prune_index(self, slot: Slot) -> int:
        """Drops index rows whose entries are gone. Returns their number."""
        ...

    def namespaces(self) -> list[str]:
        """Namespaces that were ever written to."""
        ...


class Store(EntryStore, AsideStore, RecordStore, LeaseStore, EntryIndex, Protocol):
    """All roles of one store: RedisStore for many processes, MemoryStore inside one."""

    @property
    def place_of(self) -> Callable[[Slot], str] | None:
        """Names the server that has a slot; None when there is but one, or none."""
        ...

    def info(self) -> StoreInfo:
        """Version, memory, eviction policy, role and persistence. One round trip for each server."""
        ...

    def ping(self) -> None:
        """Raises StoreUnavailable unless the store answers."""
        ...

    def close(self) -> None:
        """Closes the store's connections."""
        ...
