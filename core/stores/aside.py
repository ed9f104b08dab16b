"""What lies aside: what an invalidation hid when something else was stored in its place, until that is undone or swept.

A store puts it there in the step that stores. No lookup, walk, preview or export looks there; the only way back is
`put_back`, under a record that hides it no more. A ban retires only when nothing that it selects lies aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from ..bans import InvalidationRecord
from ..keys import Slot
from ..models import Stamp

MOST_ASIDE: Final = 50_000
"""Values of a bucket that lie aside. When there are so many, what is stored over is gone."""


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """One value that lies aside, an entry or an alias.

    `put_at` is the sequence of its bucket when it was put aside: no ban with a higher one hid it then. None: an undo
    has asked for it while another ban hid it still. `ends_at` is when its TTL ends (Unix seconds); `value` is None when
    it is gone: by then, or earlier when memory was short. `row` names in the model's index what took its place.
    """

    field: bytes
    digest: bytes
    put_at: int | None
    ends_at: float
    row: bytes = b""
    value: bytes | None = None


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """An entry or alias that is to be put back.

    `record` is the one that hides it no more, `instead_of` the stamp of what stands in its place, None for nothing.
    `created_at` is None for an alias, which no index of a model lists.
    """

    aside: Aside
    stamp: Stamp
    instead_of: Stamp | None
    record: InvalidationRecord
    model: str
    created_at: float | None
    tags: tuple[str, ...] = ()


class AsideStore(Protocol):
    """Values that lie aside."""

    def walk_aside(self, slot: Slot, *, batch: int = 200) -> Iterator[list[Aside]]:
        """All that lies aside, in batches: what lies there from start to end is met at least once."""
        ...

    def put_back(self, slot: Slot, back: Return) -> bool:
        """Puts a value back in its place, with the TTL that it has left, and lists it; what stands there is replaced.

        False, and nothing changed, when it is gone, another value stands there, or bans have changed. Works when the
        store is full.
        """
        ...

    def keep_for_undo(self, slot: Slot, aside: Aside, record: InvalidationRecord) -> bool:
        """Notes that an undo has asked for it while another ban hides it; False when bans have changed."""
        ...

    def drop_aside(self, slot: Slot, fields: Sequence[bytes]) -> int:
        """Deletes values that lie aside, by their fields. Returns how many bytes that were."""
        ...
