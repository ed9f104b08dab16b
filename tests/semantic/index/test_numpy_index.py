"""What every index promises, run on the one in process and on vector sets; and what is particular to the former."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from threadpoolctl import ThreadpoolController

from core.errors import InvalidInput
from core.semantic.embedding.embedders import EmbedderIdentity, Vector, normalized
from core.semantic.index import matrix as matrix_module
from core.semantic.index.blas import SingleThreadedBlas
from core.semantic.index.matrix import RERANKED, TWO_STAGES_FROM, Matrix, _largest
from core.semantic.index.numpy_index import Candidate, NumpyIndex, Partition, Row, SemanticIndex
from core.semantic.index.vector_sets import VectorSetIndex, has_vector_sets

NOW = 2_000_000_000.0
LATER = NOW + 3_600
EMBEDDER = EmbedderIdentity(name="e", version="1", dimension=8, nested=True)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["numpy", pytest.param("vector sets", marks=pytest.mark.redis8)])
def index(request: pytest.FixtureRequest, clock: Clock) -> Iterator[SemanticIndex]:
    if request.param == "numpy":
        yield NumpyIndex(clock=clock)
    else:
        client = redis.Redis.from_url(request.getfixturevalue("redis8_url"))
        yield VectorSetIndex(client, clock=clock)
        client.close()


@pytest.fixture
def partition(namespace: str) -> Partition:
    return Partition(namespace=namespace, scope=b"scope", embedder=EMBEDDER)


def at(degrees: float) -> Vector:
    """A unit vector at an angle to the first axis, in the plane of the first two."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0, 0, 0, 0, 0, 0], dtype=np.float32)


def found(index: SemanticIndex, partition: Partition, vector: Vector, k: int = 5, minimum: float = -1.0):
    return [
        (candidate.key, round(candidate.similarity, 4)) for candidate in index.search(partition, vector, k, minimum)
    ]


def cos(degrees: float) -> float:
    return round(float(np.cos(np.radians(degrees))), 4)


def test_an_empty_partition_has_no_candidates(index, partition):
    assert index.search(partition, at(0), 3, -1.0) == []


def test_candidates_come_best_first(index, partition):
    for angle in (50, 10, 90, 30):
        index.add(partition, b"%d" % angle, at(angle), LATER)
    assert found(index, partition, at(0)) == [
        (b"10", cos(10)),
        (b"30", cos(30)),
        (b"50", cos(50)),
        (b"90", 0.0),
    ]


def test_similarity_is_a_cosine_from_minus_one_to_one(index, partition):
    for angle in (0, 60, 90, 180):
        index.add(partition, b"%d" % angle, at(angle), LATER)
    assert found(index, partition, at(0)) == [(b"0", 1.0), (b"60", 0.5), (b"90", 0.0), (b"180", -1.0)]


@pytest.mark.parametrize(
    ("minimum", "keys"),
    [
        (1.0, [b"0"]),
        (0.999, [b"0"]),
        (0.5, [b"0", b"60"]),
        (0.501, [b"0"]),
        (0.0, [b"0", b"60", b"90"]),
        (-1.0, [b"0", b"60", b"90", b"180"]),
    ],
)
def test_the_minimum_is_part_of_what_is_near_enough(index, partition, minimum, keys):
    for angle in (0, 60, 90, 180):
        index.add(partition, b"%d" % angle, at(angle), LATER)
    assert [key for key, _ in found(index, partition, at(0), minimum=minimum)] == keys


def test_at_most_k_are_given(index, partition):
    for angle in range(6):
        index.add(partition, b"%d" % angle, at(angle), LATER)
    assert [key for key, _ in found(index, partition, at(0), k=2)] == [b"0", b"1"]
    assert index.search(partition, at(0), 0, -1.0) == []


def test_a_row_with_a_known_key_replaces_the_old_one(index, partition):
    index.add(partition, b"k", at(10), LATER)
    index.add(partition, b"k", at(80), LATER)
    assert found(index, partition, at(0)) == [(b"k", cos(80))]
    assert index.counts(partition.namespace).rows == 1


def test_a_removed_row_is_not_found(index, partition):
    index.add(partition, b"gone", at(0), LATER)
    index.add(partition, b"kept", at(20), LATER)
    assert index.remove(partition, b"gone")
    assert not index.remove(partition, b"gone")
    assert found(index, partition, at(0)) == [(b"kept", cos(20))]


@pytest.mark.parametrize(
    "other",
    [
        {"namespace": "other"},
        {"scope": b"other"},
        {"embedder": EmbedderIdentity(name="other", version="1", dimension=8)},
        {"embedder": EmbedderIdentity(name="e", version="2", dimension=8)},
    ],
    ids=["namespace", "scope", "embedder", "embedder's version"],
)
def test_a_search_sees_its_own_partition_only(index, partition, other):
    index.add(partition, b"k", at(0), LATER)
    fields = {"namespace": partition.namespace, "scope": partition.scope, "embedder": EMBEDDER} | other
    assert index.search(Partition(**fields), at(0), 5, -1.0) == []
    assert not index.remove(Partition(**fields), b"k")
    assert found(index, partition, at(0)) == [(b"k", 1.0)]


def test_an_expired_best_row_does_not_hide_a_live_second(index, partition, clock):
    index.add(partition, b"dead", at(0), NOW + 10)
    index.add(partition, b"live", at(20), LATER)
    clock.now = NOW + 10
    assert found(index, partition, at(0), k=1) == [(b"live", cos(20))]


def test_a_row_that_is_dead_already_is_not_added(index, partition):
    index.add(partition, b"k", at(0), NOW)
    index.add_many(partition, [Row(key=b"l", vector=at(0), expires_at=NOW)])
    assert index.counts(partition.namespace).rows == 0


def test_expired_rows_go_away(index, partition, clock):
    for number in range(5):
        index.add(partition, b"%d" % number, at(number), NOW + 10)
    clock.now = NOW + 20
    index.add(partition, b"new", at(50), LATER)
    index.search(partition, at(0), 1, -1.0)
    assert index.counts(partition.namespace).rows == 1


def test_clearing_a_namespace_leaves_the_others(index, partition, namespace):
    neighbour = Partition(namespace=namespace + "-2", scope=b"scope", embedder=EMBEDDER)
    for where in (partition, neighbour):
        index.add(where, b"k", at(0), LATER)
    index.clear(partition.namespace)
    assert index.search(partition, at(0), 5, -1.0) == []
    assert found(index, neighbour, at(0)) == [(b"k", 1.0)]


def test_counts_say_how_full_a_namespace_is(index, partition, namespace):
    index.add(partition, b"a", at(0), LATER)
    index.add_many(
        Partition(namespace=namespace, scope=b"other", embedder=EMBEDDER),
        [Row(key=b"%d" % number, vector=at(number), expires_at=LATER) for number in range(3)],
    )
    counts = index.counts(namespace)
    assert (counts.partitions, counts.rows) == (2, 4)
    assert 0 < counts.bytes_used <= counts.bytes_held


BAD_VECTORS = [
    np.full(8, np.nan, dtype=np.float32),
    np.array([np.inf, 0, 0, 0, 0, 0, 0, 0], dtype=np.float32),
    np.zeros(8, dtype=np.float32),
    np.ones(8, dtype=np.float32),
    np.array([1, 0, 0], dtype=np.float32),
    np.ones((8, 1), dtype=np.float32),
]


@pytest.mark.parametrize(
    "vector", BAD_VECTORS, ids=["nan", "infinite", "zero", "too long", "wrong size", "wrong shape"]
)
def test_a_bad_vector_is_refused_and_nothing_is_stored(index, partition, vector):
    with pytest.raises(InvalidInput):
        index.add(partition, b"k", vector, LATER)
    with pytest.raises(InvalidInput):
        index.add_many(
            partition,
            [Row(key=b"good", vector=at(0), expires_at=LATER), Row(key=b"k", vector=vector, expires_at=LATER)],
        )
    with pytest.raises(InvalidInput):
        index.search(partition, vector, 1, 0.5)
    assert index.search(partition, at(0), 5, -1.0) == []


# In process


def clustered(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(count // 20, 1), dimension))
    return normalized(
        centres[random.integers(0, len(centres), count)] + 0.4 * random.standard_normal((count, dimension))
    )


def filled(vectors: np.ndarray, *, nested: bool, **options) -> tuple[NumpyIndex, Partition]:
    embedder = EmbedderIdentity(name="e", version="1", dimension=vectors.shape[1], nested=nested)
    partition = Partition(namespace="n", scope=b"s", embedder=embedder)
    index = NumpyIndex(clock=Clock(), **options)
    rows = [Row(key=b"%d" % number, vector=vector, expires_at=LATER) for number, vector in enumerate(vectors)]
    index.add_many(partition, rows)
    return index, partition


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("dimension", [24, 256, 700])
def test_two_stages_find_the_nearest_row(dimension, nested):
    vectors = clustered(3 * TWO_STAGES_FROM, dimension)
    index, partition = filled(vectors, nested=nested)
    random = np.random.default_rng(1)
    for number in random.integers(0, len(vectors), 60):
        query = normalized(vectors[number] + 0.1 * random.standard_normal(dimension) / dimension**0.5)
        (best,) = index.search(partition, query, 1, 0.7)
        assert best.key == b"%d" % int((vectors @ query).argmax())
        assert best.similarity == pytest.approx(float((vectors @ query).max()), abs=1e-5)


def test_two_stages_find_the_nearest_row_of_an_embedder_that_uses_one_corner_of_the_sphere():
    vectors = normalized(clustered(3 * TWO_STAGES_FROM, 128) + 3.0 / 128**0.5)
    assert (vectors @ vectors[0]).min() > 0.5  # everything is "similar"
    index, partition = filled(vectors, nested=False)
    for number in range(0, len(vectors), 97):
        query = normalized(vectors[number] + 0.02 * vectors[number - 1])
        assert index.search(partition, query, 1, 0.7)[0].key == b"%d" % int((vectors @ query).argmax())


QUESTION_WORDS = """
how why when where can do I you my the card account money transfer pay top up change pin lost fee rate refund bank cash
app limit virtual order cancel new old phone
"""


def test_nearest_neighbours_of_questions_are_never_lost(wordllama):
    random = np.random.default_rng(3)
    words = np.array(QUESTION_WORDS.split())
    texts = [" ".join(random.choice(words, size=random.integers(4, 10))) for _ in range(2 * TWO_STAGES_FROM)]
    vectors = wordllama.embed(texts)
    index, partition = filled(vectors, nested=True)
    queries = wordllama.embed([text.replace(" ", " please ", 1) for text in texts[::30]])
    for query in queries:
        expected = float((vectors @ query).max())
        best = index.search(partition, query, 1, 0.7)
        assert [candidate.similarity for candidate in best] == pytest.approx([expected] * (expected >= 0.7), abs=1e-5)


def test_equal_vectors_do_not_push_each_other_out_of_the_second_stage():
    vectors = np.vstack([np.repeat(clustered(1, 64), 4 * RERANKED, axis=0), clustered(2 * TWO_STAGES_FROM, 64, seed=5)])
    index, partition = filled(vectors, nested=False)
    candidates = index.search(partition, vectors[0], 20, 0.99)
    assert len(candidates) == 20
    assert all(candidate.similarity > 0.9999 for candidate in candidates)


def test_rows_keep_their_keys_through_growth_and_removal():
    count = 3 * TWO_STAGES_FROM
    vectors = clustered(count, 64)
    index, partition = filled(vectors[:100], nested=False)
    for number in range(100, count):
        index.add(partition, b"%d" % number, vectors[number], LATER)
        if number % 3 == 0:
            index.remove(partition, b"%d" % (number - 50))
    removed = {number - 50 for number in range(102, count, 3)}
    for number in range(count):
        best = index.search(partition, vectors[number], 1, 0.9999)
        assert [candidate.key for candidate in best] == ([] if number in removed else [b"%d" % number])
    assert index.counts().rows == count - len(removed)


@given(st.lists(st.integers(0, 64), min_size=1, max_size=300), st.integers(1, 40))
def test_the_largest_values_are_those_of_a_sort(values, count):
    array = np.array(values, dtype=np.uint16)
    chosen = _largest(array, count)
    assert len(set(chosen)) == min(count, len(values))
    assert sorted(array[chosen]) == sorted(values)[-count:]


def test_the_largest_values_are_found_where_a_sample_misleads():
    array = np.zeros(40_000, dtype=np.uint16)
    array[:: len(array) // 4_096] = 1_000  # the very places that are sampled
    array[1:100] = 2_000
    chosen = _largest(array, RERANKED)
    assert len(chosen) == RERANKED
    assert set(range(1, 100)) <= set(chosen)
    few = np.zeros(40_000, dtype=np.uint16)
    few[: 9 * 40 : 9] = 1_000  # the sample's best, and nothing else
    few[20_001:20_100] = 500
    chosen = _largest(few, RERANKED)
    assert len(chosen) == RERANKED
    assert {*range(0, 9 * 40, 9)} <= set(chosen)
    assert (few[chosen] >= 500).all()


def test_memory_is_given_back_when_rows_leave():
    index, partition = filled(clustered(5_000, 64), nested=False)
    before = index.counts().bytes_held
    for number in range(4_990):
        index.remove(partition, b"%d" % number)
    assert index.counts().bytes_held < before / 50
    for number in range(4_990, 5_000):
        index.remove(partition, b"%d" % number)
    assert index.counts().bytes_held == 0


def test_above_the_memory_limit_the_oldest_rows_leave_whatever_their_partition():
    first = Partition(namespace="n", scope=b"1", embedder=EMBEDDER)
    second = Partition(namespace="n", scope=b"2", embedder=EMBEDDER)
    size = NumpyIndex(clock=Clock())
    size.add(first, b"a", at(0), LATER)
    size = size.counts().bytes_used
    index = NumpyIndex(max_bytes=3 * size, clock=Clock())
    index.add(first, b"a", at(0), LATER)
    index.add(second, b"b", at(1), LATER)
    index.add(first, b"c", at(2), LATER)
    index.add(first, b"a", at(3), LATER)  # the same row again: now the youngest
    index.add(second, b"d", at(4), LATER)
    assert [key for key, _ in found(index, first, at(0))] == [b"c", b"a"]
    assert [key for key, _ in found(index, second, at(0))] == [b"d"]
    assert index.counts().evicted == 1
    assert index.counts().bytes_used == 3 * size


def test_what_is_held_is_at_most_half_as_much_again_as_what_is_used():
    index, partition = filled(clustered(10, 256), nested=False, max_bytes=2_000_000)
    for number, vector in enumerate(clustered(3_000, 256)):
        index.add(partition, b"%d" % number, vector, LATER)
    counts = index.counts()
    assert counts.bytes_used <= 2_000_000
    assert counts.bytes_held <= 1.55 * counts.bytes_used


def test_expired_rows_leave_partitions_that_nobody_searches():
    clock = Clock()
    index = NumpyIndex(clock=clock)
    for scope in range(20):
        partition = Partition(namespace="n", scope=b"%d" % scope, embedder=EMBEDDER)
        index.add(partition, b"k", at(0), NOW + scope)
    clock.now = NOW + 9.5
    assert index.remove_expired() == 9
    assert index.counts().rows == 10
    assert index.counts().expired == 9


def test_searches_beside_writers_never_pair_a_key_with_another_rows_similarity():
    """Each row's key says its angle; whatever is found must have the cosine of that angle."""
    index = NumpyIndex(clock=Clock())
    partition = Partition(namespace="n", scope=b"s", embedder=EMBEDDER)
    stop = threading.Event()
    wrong: list[Candidate] = []
    barrier = threading.Barrier(3)

    def write(seed: int) -> None:
        random = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(4_000):
            angle = int(random.integers(0, 360))
            if random.random() < 0.5:
                index.add(partition, b"%d" % angle, at(angle), LATER)
            else:
                index.remove(partition, b"%d" % angle)
        stop.set()

    def search() -> None:
        barrier.wait()
        while not stop.is_set():
            for candidate in index.search(partition, at(0), 5, -1.0):
                if abs(candidate.similarity - np.cos(np.radians(int(candidate.key)))) > 1e-5:
                    wrong.append(candidate)

    threads = [threading.Thread(target=write, args=(1,)), *(threading.Thread(target=search) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_search_that_rows_move_under_looks_again(monkeypatch):
    vectors = clustered(50, 16)
    index, partition = filled(vectors, nested=False)
    original = Matrix.nearest
    calls = []

    def nearest(self, *arguments):
        calls.append(arguments)
        if len(calls) < 3:
            raise matrix_module.RowsMoved
        return original(self, *arguments)

    monkeypatch.setattr(Matrix, "nearest", nearest)
    assert index.search(partition, vectors[7], 1, 0.9)[0].key == b"7"
    assert len(calls) == 3


class AnyOrderOfCalls(RuleBasedStateMachine):
    """The index against a dictionary and a plain product."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.index = NumpyIndex(clock=self.clock)
        self.partitions = [Partition(namespace="n", scope=b"%d" % scope, embedder=EMBEDDER) for scope in range(2)]
        self.rows: dict[tuple[int, bytes], tuple[float, float]] = {}

    where = st.integers(0, 1)
    keys = st.integers(0, 30).map(lambda number: b"%d" % number)
    angles = st.floats(0, 360)

    @rule(where=where, key=keys, angle=angles, seconds=st.floats(1, 100))
    def add(self, where, key, angle, seconds):
        self.index.add(self.partitions[where], key, at(angle), self.clock.now + seconds)
        self.rows[where, key] = (angle, self.clock.now + seconds)

    @rule(where=where, angles=st.lists(angles, max_size=12), seconds=st.floats(1, 100), first=st.integers(0, 30))
    def add_many(self, where, angles, seconds, first):
        expires_at = self.clock.now + seconds
        numbered = {b"%d" % (first + number): angle for number, angle in enumerate(angles)}
        rows = [Row(key=key, vector=at(angle), expires_at=expires_at) for key, angle in numbered.items()]
        self.index.add_many(self.partitions[where], rows)
        self.rows |= {(where, key): (angle, expires_at) for key, angle in numbered.items()}

    @rule(where=where, key=keys)
    def remove(self, where, key):
        self.index.remove(self.partitions[where], key)
        self.rows.pop((where, key), None)

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule()
    def remove_expired(self):
        self.index.remove_expired()

    @rule(where=where, angle=angles, minimum=st.floats(-1, 1))
    def search(self, where, angle, minimum):
        expected = sorted(
            (float(at(angle) @ at(stored)), key)
            for (place, key), (stored, expires_at) in self.rows.items()
            if place == where and expires_at > self.clock.now
        )
        expected = [similarity for similarity, _ in expected if similarity >= minimum - 1e-6][::-1]
        candidates = self.index.search(self.partitions[where], at(angle), 100, minimum)
        assert [candidate.similarity for candidate in candidates] == pytest.approx(expected, abs=2e-6)
        for candidate in candidates:
            stored, _ = self.rows[where, candidate.key]
            assert candidate.similarity == pytest.approx(float(at(angle) @ at(stored)), abs=2e-6)

    @invariant()
    def counts_are_those_of_the_dictionary(self):
        live = sum(expires_at > self.clock.now for _, expires_at in self.rows.values())
        assert live <= self.index.counts().rows <= len(self.rows)


TestAnyOrderOfCalls = AnyOrderOfCalls.TestCase
TestAnyOrderOfCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# Vector sets


@pytest.mark.redis8
def test_the_server_says_whether_it_has_vector_sets(redis8_url):
    with redis.Redis.from_url(redis8_url) as client:
        assert has_vector_sets(client)


def test_an_older_server_says_that_it_has_none(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        if client.info("server")["redis_version"] >= "8":
            pytest.skip("this Redis has vector sets")
        assert not has_vector_sets(client)


@pytest.mark.redis8
@pytest.mark.parametrize("protocol", [2, 3])
def test_vector_sets_work_over_both_protocols(redis8_url, partition, clock, protocol):
    with redis.Redis.from_url(redis8_url, protocol=protocol) as client:
        index = VectorSetIndex(client, clock=clock)
        index.add(partition, b"k", at(60), LATER)
        assert found(index, partition, at(0)) == [(b"k", 0.5)]
        assert index.counts(partition.namespace).rows == 1


@pytest.mark.redis8
def test_every_key_of_a_vector_set_expires_and_is_out_of_reach_of_selections(redis8_url, partition, clock):
    with redis.Redis.from_url(redis8_url) as client:
        client.flushdb()
        index = VectorSetIndex(client, clock=clock)
        index.add(partition, b"late", at(0), LATER)
        index.add(partition, b"early", at(0), NOW + 5)
        names = client.keys("*")
        assert all(name.startswith(b"encore:4:vs:") for name in names)
        assert partition.namespace.encode() not in b"".join(names)
        expiries = sorted(client.expiretime(name) for name in names)
        assert expiries == [-1, int(LATER) + 1, int(LATER) + 1]  # -1: the list of partitions


# BLAS


def test_blas_has_one_thread_inside_and_its_own_number_again_outside():
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not libraries:
        pytest.skip("this NumPy's BLAS cannot be told how many threads to use")
    library = libraries[0]
    before = library.get_num_threads()
    library.set_num_threads(2)
    held = SingleThreadedBlas()
    with held:
        assert library.get_num_threads() == 1
        with held:
            assert library.get_num_threads() == 1
        assert library.get_num_threads() == 1
    assert library.get_num_threads() == 2
    library.set_num_threads(before)
