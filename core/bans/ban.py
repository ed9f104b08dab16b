"""One active invalidation, and its stored form."""

from __future__ import annotations

import sys
from enum import StrEnum

import msgspec

from ..errors import DecodeError
from .criteria import Criteria

TOMBSTONE_SECONDS = 900.0
"""How long a tombstone stays. A writer that takes longer still is refused by the floor."""


class BanState(StrEnum):
    """`held`: can be undone. `sweeping`: being deleted, no undo. `soft`: marks stale.

    A tombstone stands for one entry that was deleted at once, and stops those who are still writing it.
    """

    HELD = "held"
    SWEEPING = "sweeping"
    SOFT = "soft"
    TOMBSTONE = "swept"


class Ban(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One active invalidation. Times are Unix seconds; `due_at` is when the hold ends.

    `actor` is the name of who asked for it. `sequence` is its place in the bucket's history: what is stored with a
    lower one is older. It is 0 until the store has appended the ban.
    """

    sequence: int = 0
    id: str
    criteria: Criteria
    state: BanState
    created_at: float
    due_at: float
    actor: str = ""

    @property
    def ends_at(self) -> float:
        """When a sweep has something to do for it: its hold is over, or it is a tombstone that has stayed its time."""
        return self.created_at + TOMBSTONE_SECONDS if self.state is BanState.TOMBSTONE else self.due_at


class _Rest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What follows the sequence in a stored ban."""

    id: str
    criteria: Criteria
    state: BanState
    created_at: float
    due_at: float
    actor: str


SEQUENCE_DIGITS = 20
"""A stored ban begins with its sequence in so many decimal digits, which a script sets without reading the rest."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Rest).decode


def encode_ban(ban: Ban) -> bytes:
    """The ban as it is stored."""
    rest = _Rest(ban.id, ban.criteria, ban.state, ban.created_at, ban.due_at, ban.actor)
    return b"%020d" % ban.sequence + _encode(rest)


def decode_ban(value: bytes) -> Ban:
    """The ban in bytes that `encode_ban` made. Raises DecodeError for anything else."""
    try:
        sequence = value[:SEQUENCE_DIGITS]
        if not sequence.isdigit() or len(sequence) < SEQUENCE_DIGITS:
            raise DecodeError("not a ban")
        rest = _decode(value[SEQUENCE_DIGITS:])
    except msgspec.MsgspecError as error:
        raise DecodeError("not a ban") from error
    return Ban(
        sequence=int(sequence),
        id=rest.id,
        criteria=rest.criteria,
        state=rest.state,
        created_at=rest.created_at,
        due_at=rest.due_at,
        actor=sys.intern(rest.actor),  # a hundred thousand bans are of a few programs
    )
