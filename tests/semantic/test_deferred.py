"""The semantic part is built once in each process, beside its requests."""

from __future__ import annotations

import threading
import time

import pytest

from core.errors import EmbedderError
from core.keys.identity import Identity, identify
from core.models import ChatRequest, Controls, SemanticMode
from core.semantic.deferred import DeferredLookup
from core.semantic.quality.thresholds import Threshold
from core.stores.memory import MemoryStore
from tests.processes import in_child

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PATIENCE_SECONDS = 20


class Built:
    """A lookup that finds a number and remembers prompts."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.remembered: list[str] = []
        self.is_closed = False

    def candidates(self, *arguments):
        return self.number

    def remember(self, identity: Identity, expires_at: float) -> None:
        self.remembered.append(identity.prompt)

    def close(self) -> None:
        self.is_closed = True


class Parts:
    """A deferred lookup whose building waits at a gate."""

    def __init__(self, namespace: str) -> None:
        self.built: list[Built] = []
        self.gate = threading.Event()
        self.deferred = DeferredLookup(lambda namespace: Threshold(mode=SemanticMode.SERVE), self._build)
        self.identity = identify(
            ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Where am I?"}]), namespace
        )

    def _build(self):
        assert self.gate.wait(PATIENCE_SECONDS)
        self.built.append(Built(len(self.built) + 1))
        return self.built[-1], None

    def find(self):
        return self.deferred.candidates(MemoryStore(), None, self.identity, Controls(), 0.0)


@pytest.fixture
def parts(namespace: str) -> Parts:
    return Parts(namespace)


def test_a_forked_child_builds_its_own_and_leaves_its_parents_open(parts):
    parts.gate.set()
    assert parts.find() == 1

    def check() -> None:
        assert parts.deferred.lookup is None
        parts.deferred.close()
        assert not parts.built[0].is_closed
        assert parts.find() == 2

    in_child(check)
    assert parts.find() == 1


def test_a_child_that_is_forked_during_the_building_does_not_wait_for_its_parents(parts):
    parts.deferred.remember(parts.identity, time.time() + 60)  # begins the building

    def check() -> None:
        parts.gate = threading.Event()
        parts.gate.set()
        assert parts.find() == 1
        assert parts.built[0].remembered == [], "that is for the parent to remember"

    in_child(check)
    parts.gate.set()
    parts.deferred.close()
    assert parts.built[0].remembered == ["Where am I?"]


def test_why_nothing_can_be_built_is_said_and_counted():
    counted: list[str] = []

    def build():
        raise EmbedderError("no such model")

    deferred = DeferredLookup(lambda namespace: Threshold(mode=SemanticMode.SERVE), build, count=counted.append)
    deferred.warm()
    assert deferred.problem == "no such model"
    assert counted == ["semantic_unavailable"]
