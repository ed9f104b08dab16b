"""A cache on a Redis Cluster of three servers, with several buckets a namespace. What every store promises is in
test_contract.py, which runs on this cluster too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from core.access.audit import AuditLog
from core.bans.changes import MOST_LISTED, new_ban
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.cache.bypass import BypassSwitch
from core.doctor.diagnosis import diagnose
from core.errors import InvalidationRefused, InvalidSettings, OutcomeUnknown, StoreUnavailable, WriteRefused
from core.keys.names import Slot
from core.models import ChatRequest, Completion, OutcomeKind
from core.settings import Settings
from core.stores.local import LocalCache
from core.stores.redis import cluster as cluster_module
from core.stores.redis.store import RedisStore, patient_client, request_client
from tests.fakes import CountingProvider, a_body
from tests.invalidation.test_invalidator import NUMBERS, World, a_world, no_pause
from tests.samples import NOW, digest_of
from tests.stores.clusters import SLOTS, RunningCluster, a_cluster
from tests.stores.test_contract import put, remaining

BUCKETS = 16


@pytest.fixture
def world(cluster: RunningCluster, namespace: str) -> Iterator[World]:
    client = patient_client(cluster.url)
    store = RedisStore(client)
    yield a_world(store, AuditLog(client), namespace, buckets=BUCKETS)
    store.close()


@pytest.fixture
def own_cluster(tmp_path_factory, redis_binary) -> Iterator[RunningCluster]:
    """One that a test may hurt."""
    with a_cluster(tmp_path_factory.mktemp("own"), redis_binary) as running:
        yield running


def ask_all(world: World) -> list[OutcomeKind]:
    return [world.ask(f"Question number {word}").outcome.kind for word in NUMBERS]


def slots(namespace: str) -> list[Slot]:
    return [Slot(namespace, bucket) for bucket in range(BUCKETS)]


def test_questions_are_spread_over_all_servers_and_answered_from_there(cluster, namespace):
    # The namespace decides where its buckets are: of sixteen, none may be on one of the servers; of so many hardly.
    questions = [f"What is number {number}" for number in range(100)]
    store = RedisStore(patient_client(cluster.url))
    world = a_world(store, AuditLog(None), namespace, buckets=128)
    assert {world.ask(question).outcome.kind for question in questions} == {OutcomeKind.MISS}
    assert {world.ask(question).outcome.kind for question in questions} == {OutcomeKind.HIT}
    answer = world.ask("  what is  number 1 ")
    assert answer.outcome.detail == "normalized"
    for node in cluster.nodes:
        with node.client() as client:
            assert list(client.scan_iter(match=f"encore:4:{{{namespace}:*"))
    store.close()


def test_an_invalidation_is_acknowledged_when_all_buckets_have_it(world):
    ask_all(world)
    done = world.invalidator.invalidate(Criteria(keywords=("question",)), actor="anna")
    assert all(world.store.ban(slot, done.id) for slot in slots(world.namespace))
    assert not any(world.is_cached(f"Question number {word}") for word in NUMBERS)
    world.invalidator.undo(done.id)
    assert all(world.is_cached(f"Question number {word}") for word in NUMBERS)


@pytest.mark.parametrize("criteria", [Criteria(all=True), Criteria(keywords=("question",))], ids=str)
def test_preview_and_sweep_reach_every_bucket(world, criteria):
    ask_all(world)
    world.ask("Why is the sky blue?", model="other")
    assert world.invalidator.preview(criteria).count == len(NUMBERS) + criteria.all
    world.invalidator.invalidate(criteria, actor="anna", hold_seconds=0)
    progress = world.invalidator.sweep(world.namespace, pause=no_pause)
    assert (progress.finished, progress.deleted) == (True, len(NUMBERS) + criteria.all)
    assert all(record.active == 0 for slot in slots(world.namespace) if (record := world.store.read(slot, [])[1]))


def test_a_bucket_that_refuses_keeps_it_from_all(world):
    for number in range(MOST_LISTED):
        world.store.append(
            Slot(world.namespace, BUCKETS - 1), new_ban(f"b{number}", Criteria(pattern="*m*"), now=NOW, hold_seconds=60)
        )
    with pytest.raises(InvalidationRefused):
        world.invalidator.invalidate(Criteria(keywords=("word",)), actor="anna", request_id="refused")
    for slot in slots(world.namespace)[:-1]:
        assert world.store.ban(slot, "refused") is None


def test_a_slot_with_many_keys_is_scanned(world, monkeypatch):
    monkeypatch.setattr(cluster_module, "LISTED_AT_ONCE", 10)
    slot = Slot(world.namespace, 1)
    for number in range(60):
        put(world.store, slot, f"p{number}")
    assert remaining(world.store, slot) == {f"p{number}" for number in range(60)}


def test_everything_works_together_on_a_cluster(cluster, redis_url, namespace):
    settings = Settings(redis_url=cluster.url, queue_redis_url=redis_url, buckets=BUCKETS, namespace=namespace)
    provider = CountingProvider()
    with bootstrap(settings, provider=provider) as services:
        for _ in range(2):
            request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why is it so?"}])
            answer = services.cache.complete(request)
        assert answer.outcome.kind is OutcomeKind.HIT
        services.metrics.flush()
        assert services.metrics.summary(3600).requests >= 2
        assert any(record.namespace == namespace for record in services.metrics.recent())
        anna = services.audit.by("anna", source="cli")
        by_program = services.invalidation.invalidate(Criteria(tags=("doc:1",)), actor="wiki", request_id="one")
        done = services.invalidation.invalidate(Criteria(all=True), actor=anna, hold_seconds=0)
        assert services.invalidation.sweep(namespace).deleted == 1
        assert services.audit.of(done.id)[0].action == "invalidate.swept"
        assert services.invalidation.find("one").actor == "wiki"
        assert {known.id for known in services.invalidation.history(namespace=namespace)} == {done.id, by_program.id}
        assert services.schedules is not None
        schedule = services.schedules.add(
            namespace=namespace, actor="anna", older_than_seconds=86_400, every_seconds=3600
        )
        assert services.schedules.get(schedule.id).namespace == namespace
        services.schedules.remove(schedule.id, actor="anna")
        findings = [finding for finding in diagnose(services).findings if finding.area in ("redis", "queue")]
        assert not [finding for finding in findings if finding.level == "error"]


def test_without_a_queue_of_its_own_a_cluster_has_no_jobs_and_says_so(cluster):
    with bootstrap(Settings(redis_url=cluster.url)) as services:
        assert services.queue_redis is None
        assert any("ENCORE_QUEUE_REDIS_URL" in (finding.remedy or "") for finding in diagnose(services).findings)


@pytest.mark.parametrize("takes_writes", [True, False])
def test_the_bypass_switch_reaches_all_processes_of_a_cluster(cluster, namespace, monkeypatch, takes_writes):
    here, there = (BypassSwitch(patient_client(cluster.url), AuditLog(None), pause=no_pause) for _ in range(2))

    def refuse(*arguments, **options):
        raise WriteRefused("Redis takes no writes now (READONLY)")

    if not takes_writes:
        for switch in (here, there):
            monkeypatch.setattr(switch, "_write", refuse)
    assert here.turn(namespace, True).kept is takes_writes
    assert there.read(namespace)
    assert [one.namespace for one in there.all([namespace])] == [namespace]
    there.turn(namespace, False)
    assert not here.read(namespace)


def test_copies_on_a_cluster_end_with_the_record_of_their_own_bucket(cluster, namespace):
    store = RedisStore(patient_client(cluster.url))
    copies = LocalCache(store, seconds=1, max_bytes=1_000_000, clock=time.time, monotonic=lambda: 1000.0)
    slots = [Slot(namespace, bucket) for bucket in (0, 1)]
    for slot in slots:
        copies.request_grant(slot)
        put(store, slot, f"prompt {slot.bucket}")
        copies.fetch(slot, [digest_of(f"prompt {slot.bucket}")])
    store.append(slots[0], new_ban("b", Criteria(all=True), now=NOW, hold_seconds=0))
    copies.fetch(slots[0], [])
    kept = [copies.read(slot, [digest_of(f"prompt {slot.bucket}")])[1] is not None for slot in slots]
    assert kept == [False, True]
    store.close()


def test_a_queue_cannot_be_on_a_cluster():
    with pytest.raises(InvalidSettings, match="ENCORE_QUEUE_REDIS_URL: the job queue needs a single primary"):
        Settings(queue_redis_url="redis+cluster://h:7000")


# The cluster in trouble


@pytest.mark.slow
def test_who_begins_while_the_cluster_is_away_begins_all_the_same(own_cluster):
    for node in own_cluster.nodes:
        node.kill()
    store = RedisStore(request_client(own_cluster.url, 2))
    world = a_world(store, AuditLog(None), "late", buckets=BUCKETS)
    assert world.ask("Why is the sky blue?").outcome.reason == "store-down"
    for node in own_cluster.nodes:
        node.start()
    own_cluster.wait()
    deadline = time.monotonic() + 120
    while world.ask("Why is the sky blue?").outcome.kind is not OutcomeKind.HIT:
        assert time.monotonic() < deadline
    store.close()


@pytest.mark.slow
def test_one_server_that_dies_takes_its_answers_and_no_request(own_cluster):
    store = RedisStore(request_client(own_cluster.url, 2))
    world = a_world(store, AuditLog(None), "partly", buckets=BUCKETS)
    ask_all(world)
    own_cluster.nodes[0].kill()
    for word in NUMBERS:
        assert world.ask(f"Question number {word}").completion.text.startswith("answer")
    with pytest.raises((StoreUnavailable, OutcomeUnknown)):
        world.invalidator.invalidate(Criteria(all=True), actor="anna")
    store.close()


class DiesBetween(RedisStore):
    """Lets a server of its cluster die when so many buckets have an invalidation."""

    def __init__(self, cluster: RunningCluster) -> None:
        super().__init__(patient_client(cluster.url, 1.0))
        self._cluster = cluster
        self.changes_left: int | None = None
        self.dead: set[int] = set()

    def append(self, slot, ban, remove=None):
        if self.changes_left == 0:
            self.changes_left = None
            server = self.server_of(slot)
            self._cluster.nodes[server].kill()
            self.dead.add(server)
        elif self.changes_left is not None:
            self.changes_left -= 1
        return super().append(slot, ban, remove)

    def server_of(self, slot: Slot) -> int:
        """The place of a bucket's server in the cluster."""
        return key_slot(slot.record) // (SLOTS // len(self._cluster.nodes) + 1)

    def come_back(self) -> None:
        """Starts what died, with nothing in it."""
        for server in self.dead:
            self._cluster.nodes[server].start()
        self._cluster.wait()


@pytest.mark.parametrize("of_one_that", ["has it already", "has it not"])
@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_of_an_invalidation(own_cluster, of_one_that):
    store = DiesBetween(own_cluster)
    world = a_world(store, AuditLog(None), "middle", buckets=BUCKETS)
    ask_all(world)
    servers = [store.server_of(slot) for slot in slots("middle")]
    is_first = [server not in servers[:place] for place, server in enumerate(servers)]
    wanted = of_one_that == "has it not"
    store.changes_left = next(place for place in range(1, BUCKETS) if is_first[place] is wanted)
    expected, said = (StoreUnavailable, "reached|time") if wanted else (OutcomeUnknown, "repeat it|may or may not")
    with pytest.raises(expected, match=said):
        world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="again")
    alive = [slot for slot in slots("middle") if store.server_of(slot) not in store.dead]
    in_force = [store.ban(slot, "again") for slot in alive]
    assert not any(in_force) or expected is OutcomeUnknown, "it was said not to be applied"
    store.come_back()
    done = world.invalidator.invalidate(Criteria(all=True), actor="anna", request_id="again")
    assert done.id == "again"
    for slot in slots("middle"):
        assert [ban.id for ban in store.bans(slot)] == ["again"]
    assert not any(world.is_cached(f"Question number {word}") for word in NUMBERS)
    store.close()


class Move:
    """A slot on its way from its server to the next one."""

    def __init__(self, cluster: RunningCluster, slot: Slot) -> None:
        self._slot = key_slot(slot.record)
        self._clients = [node.client() for node in cluster.nodes]
        self._ids = [client.execute_command("CLUSTER MYID").decode() for client in self._clients]
        counts = [client.execute_command("CLUSTER COUNTKEYSINSLOT", self._slot) for client in self._clients]
        self._source = counts.index(max(counts))
        self._target = (self._source + 1) % len(counts)
        self._port = cluster.nodes[self._target].port

    def begin(self) -> None:
        self._clients[self._target].execute_command("CLUSTER SETSLOT", self._slot, "IMPORTING", self._ids[self._source])
        self._clients[self._source].execute_command("CLUSTER SETSLOT", self._slot, "MIGRATING", self._ids[self._target])

    def end(self) -> None:
        source = self._clients[self._source]
        names = source.execute_command("CLUSTER GETKEYSINSLOT", self._slot, 100)
        source.execute_command("MIGRATE", "127.0.0.1", self._port, "", 0, 5000, "AUTH", "cluster", "KEYS", *names)
        for place in (self._target, self._source):
            self._clients[place].execute_command("CLUSTER SETSLOT", self._slot, "NODE", self._ids[self._target])
        for client in self._clients:
            client.close()


@pytest.mark.slow
def test_a_moved_slot_is_followed_and_a_moving_one_is_not_swept(own_cluster):
    store = RedisStore(patient_client(own_cluster.url, 2.0))
    slot = Slot("moving", 0)
    put(store, slot, "p", alias="a")
    move = Move(own_cluster, slot)
    move.begin()
    with pytest.raises(StoreUnavailable, match="being moved"):
        remaining(store, slot)
    move.end()
    values, record = store.read(slot, [digest_of("p"), digest_of("a")])
    assert record is not None
    assert None not in values
    assert remaining(store, slot) == {"p", "a"}
    store.close()


@pytest.mark.slow
def test_a_slot_that_moves_while_it_is_walked_has_not_been_walked(own_cluster):
    store = RedisStore(patient_client(own_cluster.url, 2.0))
    slot = Slot("moving", 0)
    put(store, slot, "p")
    move = Move(own_cluster, slot)
    walk = store.walk(slot, whole=True)
    assert len(next(walk)) == 1
    move.begin()
    move.end()
    with pytest.raises(StoreUnavailable, match="moved"):
        list(walk)
    store.close()


def test_a_wrong_password_is_told_from_a_cluster_that_is_away(cluster):
    store = RedisStore(patient_client(cluster.url.replace(":cluster@", ":wrong@")))
    with pytest.raises(StoreUnavailable, match="password"):
        store.ping()
    store.close()


def test_an_answer_put_by_hand_finds_its_bucket(world):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Why is the sky blue?"}])
    world.cache.put(request, Completion(body=a_body("by hand")))
    assert world.ask("Why is the sky blue?").completion.text == "by hand"
