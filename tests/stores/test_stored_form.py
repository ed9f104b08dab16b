"""A store that was filled under the current form is read as it was, and what is written now is where it was then.

The dump and what is expected of it are made by `tests.data.make_store_fixture`, anew only when the form's number is
raised: when these tests fail, stores out there would be read differently.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from core import Services
from core.stores.codec import decode_entry, encode_entry
from tests.conftest import RedisFactory
from tests.data.make_store_fixture import DUMP, EXPECTED, Absent, answers, fill, look, restore, services
from tests.samples import Clock

ENTRY = re.compile(rb"encore:4:\{[^}]+\}:e:[0-9a-f]{64}")
CHANGING = (re.compile(rb"(?<=:)\d{4,}$"), re.compile(rb"(?<=:sent:).*$"), re.compile(rb"(?<=^encore:repeated:).*$"))
"""What is different in names each time: where time is, and who counted."""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(DUMP.read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text())


@pytest.fixture
def url(redis_server: RedisFactory, rows) -> str:
    """A server with the old store."""
    server = redis_server()
    with server.client() as client:
        restore(client, rows)
    return server.url


@pytest.fixture
def clock(expected) -> Clock:
    """The time at which it was dumped."""
    return Clock(expected["now"])


@pytest.fixture
def built(url: str, clock: Clock, tmp_path: Path) -> Iterator[Services]:
    with services(url, clock, tmp_path, Absent(), semantic="serve") as built:
        yield built


def test_everything_is_told_as_it_was(built, expected):
    found = look(built)
    wrong = [name for name, told in found.items() if told != expected[name]]
    wrong += [f"answer: {name}" for name, told in found["answers"].items() if told != expected["answers"][name]]
    assert wrong == []
    assert {name for name in expected if name not in found} == {"now", "redis", "zstandard", "before"}


def test_an_undo_brings_back_what_was_hidden(built, expected):
    hidden = {name for name, told in expected["answers"].items() if "outcome" not in told}
    for invalidation_id in ("held-1", "held-2", "held-3", "soft-1"):
        built.invalidation.undo(invalidation_id, actor="test")
    back = {name: told for name, told in answers(built).items() if name in hidden and "outcome" in told}
    assert set(back) == {
        "another namespace",
        "another namespace's own",
        "banned by model",
        "banned by model, streamed",
        "marked stale by tag",
    }
    for name, told in back.items():
        before = expected["before"][name]
        assert {**told, "age_seconds": 0, "ttl_seconds": 0} == {**before, "age_seconds": 0, "ttl_seconds": 0}


def test_what_is_due_is_swept(built, clock, expected):
    clock.forward(3601)
    progress = built.invalidation.sweep("shop", rest=0.0)
    assert progress.finished
    assert progress.freed_bytes > 500
    [told] = [known for known in expected["history"] if known["id"] == "held-1"]
    assert progress.deleted == told["preview_count"] == 2
    known = built.invalidation.find("held-1")
    assert known.state.value == "swept"
    assert answers(built)["pinned"]["outcome"] == "hit (exact)"


def test_an_entry_is_written_as_it_was(redis_server: RedisFactory, url, rows, expected):
    with redis_server().client() as client:
        restore(client, rows)
        values = [client.get(name) for name in client.scan_iter() if ENTRY.fullmatch(name)]
    assert len(values) > 50
    assert {value[1] & 3 for value in values} == {0, 1, 2}, "plain and compressed ones, and aliases"
    for value in values:
        entry = decode_entry(value)
        again = encode_entry(entry)
        assert decode_entry(again) == entry
        is_compressed = value[1] & 1
        if not is_compressed or zstandard.__version__ == expected["zstandard"]:
            assert again == value


def test_what_is_stored_now_is_where_it_was(redis_server: RedisFactory, rows, expected, tmp_path: Path):
    server = redis_server()
    before = fill(server.url, Clock(float(int(time.time()))), tmp_path)
    with server.client() as client:
        now = set(client.scan_iter())
    then = {base64.b64decode(row["name"]) for row in rows}
    assert entries(now) == entries(then)
    assert masked(now) == masked(then)
    assert {name: told["key"] for name, told in before.items()} == {
        name: told["key"] for name, told in expected["before"].items()
    }


def entries(names: set[bytes]) -> set[bytes]:
    return {name for name in names if ENTRY.fullmatch(name)}


def masked(names: set[bytes]) -> set[bytes]:
    """Names without what changes; leases that are about to lapse are none of the store."""
    for changing in CHANGING:
        names = {changing.sub(b"*", name) for name in names}
    return names
