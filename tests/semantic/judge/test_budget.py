"""How often a judge may be asked: per namespace and clock hour, by all processes together or by one."""

from __future__ import annotations

import threading

from core.semantic.judge.budget import JudgeBudget, SharedBudget
from core.stores.redis.store import request_client
from tests.samples import Clock


def test_it_is_shared_by_all_processes_and_each_namespace_has_its_own(redis_url, namespace):
    clock = Clock()
    first, second = (SharedBudget(request_client(redis_url, 5), 3, clock=clock) for _ in range(2))
    assert [first.take(namespace), second.take(namespace), first.take(namespace)] == [True, True, True]
    assert [first.take(namespace), second.take(namespace)] == [False, False]
    assert first.take(namespace + "-b")
    clock.forward(3600)
    assert second.take(namespace)


def test_its_counters_go_away(redis_url, namespace):
    client = request_client(redis_url, 5)
    SharedBudget(client, 3).take(namespace)
    [name] = client.keys(f"encore:judge:{namespace}:*")
    assert 3600 < client.ttl(name) <= 7200


def test_none_is_left_where_none_is_given(redis_url, namespace):
    client = request_client(redis_url, 5)
    assert not SharedBudget(client, 0).take(namespace)
    assert client.keys(f"encore:judge:{namespace}:*") == []


def test_what_cannot_be_counted_is_not_spent(redis_server, namespace):
    server = redis_server()
    budget = SharedBudget(request_client(server.url, 0.2), 100)
    assert budget.take(namespace)
    server.kill()
    assert not budget.take(namespace)


def test_a_budget_is_per_namespace_and_hour():
    clock = Clock(7_200.0)
    budget = JudgeBudget(2, clock=clock)
    assert [budget.take("a") for _ in range(3)] == [True, True, False]
    assert budget.take("b")
    assert (budget.left("a"), budget.left("b"), budget.left("c")) == (0, 1, 2)
    clock.forward(3_599)
    assert not budget.take("a")
    clock.forward(1)
    assert budget.take("a")
    assert budget.left("b") == 2


def test_no_budget_is_no_call():
    assert not JudgeBudget(0).take("a")


def test_threads_together_take_no_more_than_the_budget():
    budget = JudgeBudget(100, clock=Clock())
    taken: list[bool] = []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        taken.extend(budget.take("a") for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100
