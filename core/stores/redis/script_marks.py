"""ScriptMarks: a number for each name that can be raised on a Redis that takes no writes.

A server that is full, a replica, or one whose last save failed refuses every write. It still learns Lua scripts
(SCRIPT LOAD) and reports which ones it knows (SCRIPT EXISTS), because these change no data. So mark N of a name is a
script that says so in its text and is never run. Marks cannot be taken back one by one, only added: hence numbers. They
are lost when the server restarts or its scripts are flushed, so they are for what must work at once and be written down
later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import redis

from ...keys import names
from .cluster import ClusterClient
from .connection import packed
from .failures import reading, writing

MOST_MARKS = 16
"""The highest number a name can have until the server restarts."""


class ScriptMarks:
    """Numbers from 0 to MOST_MARKS by name. Threads may share it.

    `sentence` is the text of a mark, with `{name}` and `{number}` in it. Names hold no quotes and no backslashes.
    """

    def __init__(self, client: redis.Redis, sentence: str) -> None:
        self._client = client
        self._sentence = sentence

    def numbers(self, of: Sequence[str]) -> list[int]:
        """The number of each name, 0 without a mark. One round trip. Raises StoreUnavailable."""
        digests = [digest for name in of for digest in _digests(self._sentence, name)]
        with reading():
            exist = self._run(b"EXISTS", *map(str.encode, digests))
        return [_leading(exist[start : start + MOST_MARKS]) for start in range(0, len(digests), MOST_MARKS)]

    def raise_to(self, name: str, number: int) -> None:
        """Makes all marks of a name up to this one, a round trip each. Raises StoreUnavailable or OutcomeUnknown."""
        with writing():
            for each in range(1, number + 1):
                self._run(b"LOAD", _script(self._sentence, name, each).encode())

    def _run(self, *words: bytes) -> Any:
        """A script command; of a cluster always to the same server, the one of the names that go with marks."""
        if isinstance(self._client, ClusterClient):
            return self._client.servers.ask(names.BYPASS, packed([b"SCRIPT", *words]))
        return self._client.execute_command(b"SCRIPT", *words)


def _script(sentence: str, name: str, number: int) -> str:
    return f"return '{sentence.format(name=name, number=number)}'"


@lru_cache(maxsize=1024)
def _digests(sentence: str, name: str) -> list[str]:
    """The digests of all marks of a name."""
    scripts = (_script(sentence, name, number) for number in range(1, MOST_MARKS + 1))
    return [hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in scripts]


def _leading(exist: Sequence[bool]) -> int:
    """How many marks there are: they are made one after the other."""
    return next((number for number, is_there in enumerate(exist) if not is_there), len(exist))
