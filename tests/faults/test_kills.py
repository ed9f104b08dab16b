"""Sweeping processes killed at random points: what is left is hidden, another goes on, and nothing else is lost."""

from __future__ import annotations

import multiprocessing
import random
import time
from uuid import uuid4

import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.stores import codec
from core.stores.redis.store import RedisStore, patient_client
from tests.faults.sweeping import sweep
from tests.invalidation.test_invalidator import World, a_world, no_pause

QUESTIONS = 40
LONGEST_SECONDS = 0.04
"""About what a whole sweep takes."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.faults.sweeping"])


def kill_a_sweep(url: str, namespace: str, chance: random.Random) -> bool:
    """Starts a sweep and kills it; whether it was killed before its end."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=sweep, args=(url, namespace, theirs))
    process.start()
    theirs.close()
    assert ours.recv()
    time.sleep(chance.uniform(0, LONGEST_SECONDS))
    process.kill()
    process.join()
    ours.close()
    return process.exitcode != 0


def ask_everything(world: World) -> None:
    for number in range(QUESTIONS):
        for model in ("m1", "m2"):
            world.ask(f"Question {number} on {'refunds' if number % 4 == 0 else 'the sky'}", model=model)


def prompts(world: World) -> list[tuple[str, str]]:
    """Model and prompt of everything that is stored, aliases too."""
    entries = [codec.decode_entry(value) for value in world.entries().values()]
    return sorted((entry.header.model, entry.prompt) for entry in entries)


def round_of_kills(url: str, world: World, chance: random.Random) -> int:
    """Invalidates, kills sweeps, lets one come to its end. How many were killed in the middle."""
    ask_everything(world)
    world.invalidator.invalidate(Criteria(model="m1"), actor="anna", hold_seconds=0)
    world.invalidator.invalidate(Criteria(keywords=("refunds",)), actor="anna", hold_seconds=0)
    # What is asked again in between is newer than the invalidations, and stays.
    world.ask("Question 1 on the sky", model="m1")
    world.ask("Question 4 on refunds", model="m2")
    kept = [("m1", "Question 1 on the sky"), ("m2", "Question 4 on refunds")]
    kept += [("m2", f"Question {number} on the sky") for number in range(QUESTIONS) if number % 4]
    killed = 0
    for _ in range(chance.randint(1, 4)):
        killed += kill_a_sweep(url, world.namespace, chance)
        assert set(prompts(world)) >= set(kept)
        assert not world.is_cached("Question 2 on the sky", model="m1")
        assert not world.is_cached("Question 8 on refunds", model="m2")
        assert world.is_cached("Question 3 on the sky", model="m2")
    assert world.invalidator.sweep(world.namespace, pause=no_pause).finished
    assert prompts(world) == sorted([*kept, *kept]), "each with its alias"
    assert world.bans() == []
    return killed


def kill_sweeps(url: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    client = patient_client(url)
    killed = 0
    while killed < kills:
        world = a_world(RedisStore(client), AuditLog(client), f"kills-{uuid4().hex}")
        killed += round_of_kills(url, world, chance)
    client.close()


def test_after_ten_kills_nothing_that_matches_is_left_and_nothing_else_is_lost(redis_url):
    kill_sweeps(redis_url, 10, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_after_a_hundred_kills_nothing_that_matches_is_left_and_nothing_else_is_lost(redis_url):
    kill_sweeps(redis_url, 100, seed=int(time.time()))
