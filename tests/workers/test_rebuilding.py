"""The index of near questions is rebuilt by a worker that is asked to, and nothing of a question is in the job."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

import pytest

from core.access import Actor, Role
from core.bootstrap import Services, bootstrap
from core.errors import AccessDenied
from core.settings import Settings
from tests.fakes import CountingProvider
from tests.semantic.test_rebuilding import stored_by_another
from tests.workers.conftest import eventually
from workers.queue import Interrupted
from workers.queue.job import ending
from workers.tasks import rebuild

WORD = b"secret"


@pytest.fixture
def stored(installation, monkeypatch) -> Iterator[Services]:
    """Services of the default embedder, beside three questions that another one has stored."""
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    monkeypatch.setenv("ENCORE_SEMANTIC", "serve")
    stored_by_another(*(f"What does the secret word number {number} mean?" for number in range(3)))
    with bootstrap(Settings(), provider=CountingProvider()) as services:
        yield services


def test_a_pool_rebuilds_the_index_when_a_person_wants_it(stored, installation, start_pool):
    assert stored.near_index.state().wanting
    stored.near_index.ask(actor="api")
    assert stored.near_index.state().asked
    start_pool("--workers", "1").ready()
    [job] = eventually(lambda: [job for job in installation.queue.jobs() if job.kind == "rebuild" and job.result])
    assert (job.result["done"], job.result["added"], job.share) == (3, 3, 1.0)
    state = stored.near_index.state()
    assert (state.others, state.wanting, state.asked) == (3, False, False)
    record = stored.queue_redis.hgetall(f"rq:job:{job.id}")
    assert json.loads(zlib.decompress(record[b"data"]))[-1] == {"version": 1}
    assert WORD not in b"".join(record.values())


def test_a_worker_that_ends_leaves_the_rebuild_to_another(stored, monkeypatch):
    monkeypatch.setattr(ending, "asked", True)
    with pytest.raises(Interrupted):
        rebuild(version=1)
    assert stored.near_index.state().wanting
    monkeypatch.setattr(ending, "asked", False)
    assert rebuild(version=1)["added"] == 3


def test_it_takes_the_right_to_change_jobs(stored):
    with pytest.raises(AccessDenied):
        stored.near_index.ask(actor=Actor(name="vera", role=Role.VIEWER))
    assert not stored.near_index.take_up()
