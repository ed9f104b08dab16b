"""Roles: what each may do, and that whatever changes something asks first, whoever calls it."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.access.audit import AuditTrail
from core.access.roles import REQUIRED, Action, Actor, Role, allowed
from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.demo.model import DemoProvider
from core.doctor.isolation import check_isolation
from core.entries.edits import Edits
from core.entries.seeding import Seed, import_seeds
from core.errors import AccessDenied
from core.models import Answer, ChatRequest, Controls, SemanticMode
from core.semantic.quality.records import Labeller, PairRecord, pair_id
from core.semantic.quality.thresholds import Threshold
from core.settings import Settings
from workers.queue import JobQueue

ROOT = Path(__file__).parents[2]

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
TABLE = {
    Action.LOOK: VIEWER,
    Action.ASK: OPERATOR,
    Action.TEST_ISOLATION: OPERATOR,
    Action.INVALIDATE: OPERATOR,
    Action.INVALIDATE_ALL: ADMIN,
    Action.EVERYWHERE: ADMIN,
    Action.UNDO: OPERATOR,
    Action.SWEEP: OPERATOR,
    Action.END_HOLD: OPERATOR,
    Action.END_HOLD_ALL: ADMIN,
    Action.SCHEDULE: OPERATOR,
    Action.SCHEDULE_ALL: ADMIN,
    Action.EDIT_ENTRIES: OPERATOR,
    Action.LABEL: OPERATOR,
    Action.LABEL_NAMESPACE: ADMIN,
    Action.PUBLISH_THRESHOLD: OPERATOR,
    Action.PUBLISH_UNSUPPORTED: ADMIN,
    Action.BYPASS: OPERATOR,
    Action.LABEL_NAMESPACE: ADMIN,
    Action.MARK: OPERATOR,
    Action.MANAGE_JOBS: OPERATOR,
    Action.MANAGE_WORKERS: OPERATOR,
}


def one(role: Role, *, name: str = "") -> Actor:
    return Actor(name=name or f"{role.word}@example.org", role=role)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_each_action_takes_its_role_or_a_higher_one(action, role):
    assert dict(REQUIRED) == TABLE
    assert one(role).may(action) is (role >= TABLE[action])
    if role >= TABLE[action]:
        assert allowed(one(role), action) == f"{role.word}@example.org"
    else:
        with pytest.raises(AccessDenied, match=f"needs the role {TABLE[action].word}; .* has the role {role.word}"):
            allowed(one(role), action)


def test_one_without_a_role_is_told_why():
    nobody = Actor(name="zoe", role=Role.NONE, refusal="your login has ended: log in again")
    with pytest.raises(AccessDenied, match=r"^your login has ended: log in again$"):
        nobody.require(Action.LOOK)


def test_a_program_acts_in_its_own_name():
    assert allowed("nightly-job", Action.INVALIDATE_ALL) == "nightly-job"


# Every write


class Desk:
    """What can be written, with something there to write to."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.namespace = services.settings.namespace
        self.invalidation = services.invalidation
        assert services.schedules
        assert services.queue_redis
        self.schedules = services.schedules
        self.queue = JobQueue(services.queue_redis, services.audit)
        self.key = self.ask("What is a cat?").key
        for number in range(10):  # among which one entry is no large share
            self.ask(f"What is {number} and {number}?", model="gpt-4o-mini")

    def ask(self, prompt: str, *, model: str = "gpt-4o") -> Answer:
        return self.services.cache.complete(a_request(prompt, model=model))

    def trail(self, actor: Actor) -> AuditTrail:
        return self.services.audit.by(actor, source="console")

    def edits(self, actor: Actor) -> Edits:
        return Edits(self.services.cache, self.services.store, self.trail(actor))

    def applied(self, **criteria: Any) -> str:
        return self.invalidation.invalidate(Criteria(**criteria), actor="test").id

    def schedule(self, **criteria: Any) -> str:
        return self.schedules.add(
            namespace=self.namespace, actor="test", criteria=criteria, daily_at="03:00", name=str(time.monotonic_ns())
        ).id

    def ended_job(self) -> str:
        name = self.queue.enqueue_sweep(self.namespace).id
        self.queue.stop(name)
        return name

    def pair(self) -> str:
        record = PairRecord(
            pair=pair_id(self.namespace, "Where is the cat?", "Where is a cat?"),
            at=time.time(),
            namespace=self.namespace,
            embedder="e" * 32,
            similarity=0.9,
            equivalent=True,
            labeller=Labeller.JUDGE,
            labelled_by="judge",
            mode=SemanticMode.JUDGE,
        )
        self.services.evidence.add(record)
        return record.pair

    def seed(self, actor: Actor) -> None:
        seeds = [Seed(question="Where is the sun?", answer="Above.")]
        trail = self.trail(actor)
        list(import_seeds(self.services.cache, seeds, namespace=self.namespace, model="gpt-4o", trail=trail))


def a_request(prompt: str, *, model: str = "gpt-4o") -> ChatRequest:
    return ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])


SERVE = Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9)

WRITES: dict[str, tuple[Action, Callable[[Desk, Actor], Any]]] = {
    "invalidate": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate(Criteria(model="gpt-4o"), actor=actor),
    ),
    "invalidate a key": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate(Criteria(key=desk.key), actor=actor, hold_seconds=0),
    ),
    "invalidate through the cache": (
        Action.INVALIDATE,
        lambda desk, actor: desk.services.cache.invalidate(Criteria(model="gpt-4o"), actor=actor),
    ),
    "invalidate everything": (
        Action.INVALIDATE_ALL,
        lambda desk, actor: desk.invalidation.invalidate(Criteria(all=True), actor=actor),
    ),
    "invalidate by model": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate_by_model("gpt-4o", actor=actor),
    ),
    "invalidate by age": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate_by_age(60, actor=actor),
    ),
    "invalidate by keywords": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate_by_keywords(["cat"], actor=actor),
    ),
    "invalidate by pattern": (
        Action.INVALIDATE,
        lambda desk, actor: desk.invalidation.invalidate_by_pattern("*cat*", actor=actor),
    ),
    "invalidate all": (Action.INVALIDATE_ALL, lambda desk, actor: desk.invalidation.invalidate_all(actor=actor)),
    "undo": (
        Action.UNDO,
        lambda desk, actor: desk.invalidation.undo(desk.applied(model="gpt-4o"), actor=actor),
    ),
    "end a hold": (
        Action.END_HOLD,
        lambda desk, actor: desk.invalidation.end_hold(desk.applied(key=desk.key), actor=actor),
    ),
    "end the hold of everything": (
        Action.END_HOLD_ALL,
        lambda desk, actor: desk.invalidation.end_hold(desk.applied(all=True), actor=actor),
    ),
    "add a schedule": (
        Action.SCHEDULE,
        lambda desk, actor: desk.schedules.add(
            namespace=desk.namespace, actor=actor, older_than_seconds=60, daily_at="03:00"
        ),
    ),
    "add a schedule for everything": (
        Action.SCHEDULE_ALL,
        lambda desk, actor: desk.schedules.add(
            namespace=desk.namespace, actor=actor, criteria={"all": True}, daily_at="03:00"
        ),
    ),
    "pause": (Action.SCHEDULE, lambda desk, actor: desk.schedules.pause(desk.schedule(model="m"), actor=actor)),
    "resume": (Action.SCHEDULE, lambda desk, actor: desk.schedules.resume(desk.schedule(model="m"), actor=actor)),
    "resume everything": (
        Action.SCHEDULE_ALL,
        lambda desk, actor: desk.schedules.resume(desk.schedule(all=True), actor=actor),
    ),
    "remove": (Action.SCHEDULE, lambda desk, actor: desk.schedules.remove(desk.schedule(all=True), actor=actor)),
    "run": (Action.SCHEDULE, lambda desk, actor: desk.schedules.run_now(desk.schedule(model="m"), actor=actor)),
    "run everything": (
        Action.SCHEDULE_ALL,
        lambda desk, actor: desk.schedules.run_now(desk.schedule(all=True), actor=actor),
    ),
    "change a TTL": (
        Action.EDIT_ENTRIES,
        lambda desk, actor: desk.edits(actor).keep_for(desk.namespace, desk.key, 600),
    ),
    "pin": (
        Action.EDIT_ENTRIES,
        lambda desk, actor: desk.services.pins.pin(desk.namespace, desk.key, actor=actor),
    ),
    "unpin": (
        Action.EDIT_ENTRIES,
        lambda desk, actor: (
            desk.services.pins.pin(desk.namespace, desk.key, actor="a program"),
            desk.services.pins.unpin(desk.namespace, desk.key, actor=actor),
        ),
    ),
    "write an entry": (
        Action.EDIT_ENTRIES,
        lambda desk, actor: desk.edits(actor).write(a_request("What is a dog?"), "A friend.", Controls()),
    ),
    "import entries": (Action.EDIT_ENTRIES, lambda desk, actor: desk.edits(actor).import_lines(b"", desk.namespace)),
    "seed": (Action.EDIT_ENTRIES, lambda desk, actor: desk.seed(actor)),
    "publish a threshold": (
        Action.PUBLISH_THRESHOLD,
        lambda desk, actor: desk.services.thresholds.publish(desk.namespace, SERVE, actor=actor),
    ),
    "publish no threshold": (
        Action.PUBLISH_THRESHOLD,
        lambda desk, actor: desk.services.evidence.publish(
            desk.namespace, Threshold(mode=SemanticMode.JUDGE, serve=None), actor=actor
        ),
    ),
    "publish an unsupported threshold": (
        Action.PUBLISH_UNSUPPORTED,
        lambda desk, actor: desk.services.evidence.publish(desk.namespace, SERVE, actor=actor, unsupported=True),
    ),
    "label": (Action.LABEL, lambda desk, actor: desk.services.evidence.label(desk.pair(), False, actor=actor)),
    "roll back": (
        Action.PUBLISH_THRESHOLD,
        lambda desk, actor: desk.services.thresholds.roll_back(desk.namespace, 0, actor=actor),
    ),
    "test the isolation": (
        Action.TEST_ISOLATION,
        lambda desk, actor: check_isolation(desk.services.store, now=time.time(), actor=actor),
    ),
    "turn the bypass switch": (
        Action.BYPASS,
        lambda desk, actor: desk.services.switch.turn("elsewhere", True, actor=actor),
    ),
    "label a namespace": (
        Action.LABEL_NAMESPACE,
        lambda desk, actor: desk.services.labels.give("elsewhere", "Elsewhere", actor=actor),
    ),
    "take a label away": (
        Action.LABEL_NAMESPACE,
        lambda desk, actor: desk.services.labels.remove("elsewhere", actor=actor),
    ),
    "mark a moment": (Action.MARK, lambda desk, actor: desk.services.marks.add("v1.2", actor=actor)),
    "take a mark away": (Action.MARK, lambda desk, actor: desk.services.marks.remove("0", actor=actor)),
    "queue a sweep": (Action.SWEEP, lambda desk, actor: desk.queue.enqueue_sweep(desk.namespace, actor=actor)),
    "queue a replay": (Action.ASK, lambda desk, actor: desk.queue.enqueue_replay(desk.namespace, actor=actor)),
    "stop a job": (
        Action.MANAGE_JOBS,
        lambda desk, actor: desk.queue.stop(desk.queue.enqueue_sweep(desk.namespace).id, actor=actor),
    ),
    "retry a job": (Action.MANAGE_JOBS, lambda desk, actor: desk.queue.retry(desk.ended_job(), actor=actor)),
    "delete a job": (Action.MANAGE_JOBS, lambda desk, actor: desk.queue.delete(desk.ended_job(), actor=actor)),
    "suspend": (Action.MANAGE_WORKERS, lambda desk, actor: desk.queue.suspend(actor=actor)),
    "resume workers": (Action.MANAGE_WORKERS, lambda desk, actor: desk.queue.resume(actor=actor)),
}


@pytest.fixture(scope="module")
def built(redis_url: str) -> Iterator[Services]:
    settings = Settings(redis_url=redis_url, namespace="access")
    with bootstrap(settings, provider=DemoProvider(latency_scale=0)) as services:
        yield services


@pytest.fixture
def desk(built: Services) -> Desk:
    assert built.redis
    built.redis.flushdb()
    return Desk(built)


@pytest.mark.parametrize("name", WRITES)
def test_every_write_refuses_a_role_that_is_too_low_and_takes_the_one_it_needs(desk, name):
    action, write = WRITES[name]
    lowest = TABLE[action]
    before = stored(desk)
    with pytest.raises(AccessDenied, match=f"needs the role {lowest.word}"):
        write(desk, one(Role(lowest - 1)))
    refused = stored(desk)
    assert refused.get(b"encore:thresholds") == before.get(b"encore:thresholds")
    assert "none@example.org" not in str(refused)
    assert f"{Role(lowest - 1).word}@example.org" not in str(refused)
    write(desk, one(lowest))


def stored(desk: Desk) -> dict[bytes, Any]:
    """All that is in Redis."""
    client = desk.services.redis
    return {name: client.dump(name) for name in client.keys("*")}


# Those who write for people


GUARDED = re.compile(
    r"(queue\(\)|\bqueue)\.(enqueue_sweep|enqueue_replay|stop|retry|delete|suspend|resume)"
    r"|invalidation\.(invalidate\w*|undo|end_hold)"
    r"|(_schedules\(\)|_kept\(shell\)|schedules)\.(add|pause|resume|remove|run_now)"
    r"|verdicts\.(wrong|apart)"
    r"|(evidence|thresholds)\.(label|publish|roll_back)"
    r"|switch\.turn"
    r"|labels\.(give|remove)"
    r"|\bmarks\.(add|remove)"
    r"|check_isolation|import_seeds|Edits"
)
"""What changes something, as pages and commands call it."""


NAMED = ("context.actor()", "context.trail()", "shell.actor", "shell.trail", "trail", "trail()")
"""How they name who acts."""


def unguarded(source: str) -> list[str]:
    """Calls that change something in the name of nobody, or of somebody without a role."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and re.search(rf"(?:{GUARDED.pattern})$", ast.unparse(node.func)):
            given = {ast.unparse(value) for value in (*node.args, *(keyword.value for keyword in node.keywords))}
            if given.isdisjoint(
                ("context.actor()", "context.trail()", "shell.actor", "shell.trail", "trail", "trail()")
            ):
                found.append(ast.unparse(node))
    return found


def test_pages_and_commands_act_in_the_name_of_a_person_with_a_role():
    sources = [*(ROOT / "pages").rglob("*.py"), *(ROOT / "core/cli").glob("*.py"), ROOT / "workers/cli.py"]
    assert len(sources) > 20
    assert {path.name: found for path in sources if (found := unguarded(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "services.invalidation.undo(name)",
        "services.invalidation.invalidate(criteria, actor=context.actor().name)",
        "context.queue().stop(name, actor='console')",
        "services.thresholds.publish(name, it, actor=who)",
        "Edits(cache, store, audit.by(name, source='console'))",
    ],
)
def test_the_check_sees_what_it_looks_for(source):
    assert unguarded(source)
