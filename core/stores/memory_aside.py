"""What lies aside in a MemoryStore."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from ..bans import InvalidationRecord, encode_record
from ..errors import DecodeError
from ..keys import Slot, names
from ..models import Stamp
from . import codec
from .aside import MOST_ASIDE, Aside, Return
from .clock import Clock
from .memory_records import MemoryRecords


class Cell(msgspec.Struct):
    """One value, with what indexes it. `expires_at` is Unix seconds."""

    value: bytes
    expires_at: float
    model: str
    created_at: float
    tags: tuple[str, ...]

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of the value; None for bytes that no lookup would serve."""
        try:
            seen = codec.summarize(self.value, with_text=False)
        except DecodeError:
            return None
        return Stamp(seen.incarnation, seen.sequence)


class MemoryAside(MemoryRecords):
    """An `AsideStore` in this process. Thread-safe."""

    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self._cells: OrderedDict[bytes, Cell] = OrderedDict()
        self._aside: OrderedDict[bytes, tuple[Aside, Cell]] = OrderedDict()
        """By the names that the values have on a Redis."""

    def _put_aside(self, slot: Slot, digest: bytes, record: InvalidationRecord) -> None:
        """Puts aside what stands at a digest, if a ban may hide it: it is older than the latest one."""
        cell = self._cells.get(slot.entry(digest))
        stamp = None if cell is None else cell.stamp
        if cell is None or stamp is None or cell.expires_at <= self.clock() or len(self._aside) >= MOST_ASIDE:
            return
        if stamp.incarnation == record.incarnation and stamp.sequence < record.sequence:
            field = names.aside_field(digest, stamp.sequence)
            aside = Aside(field=field, digest=digest, put_at=record.sequence, ends_at=cell.expires_at, value=cell.value)
            self._aside[slot.aside_value(field)] = aside, self._cells.pop(slot.entry(digest))

    def walk_aside(self, slot: Slot, *, batch: int = 200) -> Iterator[list[Aside]]:
        """All that lies aside, in batches."""
        now, prefix = self.clock(), slot.aside_value(b"")
        with self._lock:
            for name in [name for name, (aside, _) in self._aside.items() if aside.ends_at <= now]:
                del self._aside[name]
            found = [aside for name, (aside, _) in self._aside.items() if name.startswith(prefix)]
        for start in range(0, len(found), batch):
            yield found[start : start + batch]

    def put_back(self, slot: Slot, back: Return) -> bool:
        """Puts a value back if it, what stands there and the bans are as they were seen; else False."""
        name, place = slot.aside_value(back.aside.field), slot.entry(back.aside.digest)
        with self._lock:
            _, cell = self._aside.get(name, (None, None))
            present = self._cells.get(place)
            if cell is None or cell.expires_at <= self.clock() or not self._is_as_seen(slot, back.record):
                return False
            if (None if present is None else present.stamp) != back.instead_of:
                return False
            del self._aside[name]
            self._cells[place] = cell
            self._cells.move_to_end(place)
            return True

    def keep_for_undo(self, slot: Slot, aside: Aside, record: InvalidationRecord) -> bool:
        """Notes that an undo has asked for a value while another ban hides it; False when bans have changed."""
        name = slot.aside_value(aside.field)
        with self._lock:
            if name not in self._aside or not self._is_as_seen(slot, record):
                return False
            known, cell = self._aside[name]
            self._aside[name] = msgspec.structs.replace(known, put_at=None), cell
            return True

    def _is_as_seen(self, slot: Slot, seen: InvalidationRecord) -> bool:
        """Whether the bans are still those of a record."""
        record = self.record(slot)
        return record is not None and encode_record(record) == encode_record(seen)

    def drop_aside(self, slot: Slot, fields: Sequence[bytes]) -> int:
        """Deletes values that lie aside. Returns how many bytes that were."""
        with self._lock:
            found = [self._aside.pop(slot.aside_value(field), None) for field in fields]
        return sum(len(each[1].value) for each in found if each is not None)
