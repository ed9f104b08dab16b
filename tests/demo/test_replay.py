"""Replay: which questions are read, how popular they are, how they are sent and what is told of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import suppress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.demo.replay import GIVE_UP_AFTER, SAMPLES, Question, popular, read_questions, replay_questions, sample
from core.errors import InvalidInput
from core.keys import TextKind, normalize
from tests.fakes import CountingProvider


def texts(questions) -> list[str]:
    return [question.messages[-1]["content"] for question in questions]


def ask(text: str) -> Question:
    return Question(messages=[{"role": "user", "content": text}])


def a_cache(provider: CountingProvider) -> LLMCache:
    return LLMCache(CacheConfig(), provider=provider, price=lambda model, usage: 0.25)


def last(progress):
    *_, end = progress
    return end


# Reading


def test_questions_are_read_from_every_form_a_line_may_have():
    lines = [
        '{"query": "a?"}',
        "",
        '{"question": "b?", "answer_class": "x"}',
        '{"prompt": "c?", "model": "gpt-4o"}',
        '"d?"',
        '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "e?"}], "seed": 0, "id": 7}',
        '{"custom_id": "1", "method": "POST", "body": {"model": "m", "messages": [{"role": "user", "content": "f?"}]}}',
    ]
    questions = list(read_questions(lines))
    assert texts(questions) == ["a?", "b?", "c?", "d?", "e?", "f?"]
    assert [question.model for question in questions] == [None, None, "gpt-4o", None, None, "m"]
    assert questions[4].parameters == {"seed": 0}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[" * 100_000,
        "7",
        "null",
        "[]",
        "{}",
        '{"query": "  "}',
        '{"messages": []}',
        '{"messages": ["x"]}',
        '"' + "x" * 2**20,
    ],
)
def test_a_line_that_is_no_question_is_named(line):
    with pytest.raises(InvalidInput, match="line 2"):
        list(read_questions(['"fine"', line]))


@given(st.text(max_size=200))
def test_whatever_a_line_holds_is_a_question_or_refused(line):
    with suppress(InvalidInput):
        list(read_questions([line]))


def test_the_sample_that_ships_is_whole_and_its_notice_beside_it():
    questions = sample("banking77")
    assert 300 <= len(questions) <= 400
    assert len(set(texts(questions))) == len(questions)
    notice = (SAMPLES["banking77"].parent / "NOTICE.md").read_text()
    assert "CC BY 4.0" in notice
    assert SAMPLES["banking77"].name in notice
    with pytest.raises(InvalidInput, match="banking77"):
        sample("../../etc/passwd")


# Popularity


def test_a_few_are_asked_again_and_again_and_most_of_them_rarely():
    questions = [ask(f"Question number {number}?") for number in range(100)]
    asked = [normalize(text, TextKind.QUESTION) for text in texts(islice(popular(questions), 2000))]
    counts = [count for _, count in Counter(asked).most_common()]
    assert counts[0] > 10 * counts[len(counts) // 2]
    assert sum(counts[:20]) > 0.5 * 2000
    assert texts(islice(popular(questions), 50)) == texts(islice(popular(questions), 50)), "the same every time"


def test_some_repetitions_are_typed_differently_and_mean_the_same():
    asked = texts(islice(popular([ask("How do I set a limit?")]), 30))
    assert len(set(asked)) > 2
    assert {normalize(text, TextKind.QUESTION) for text in asked} == {"how do i set a limit"}


# Sending


def test_every_question_is_asked_and_counted_by_what_became_of_it():
    provider = CountingProvider()
    cache = a_cache(provider)
    questions = [ask(f"Question number {number % 5}?") for number in range(20)]
    end = last(replay_questions(cache, questions, model="gpt-4o", rate=10_000, concurrency=1, planned=20))
    assert (end.sent, end.hits, end.misses, end.errors, end.finished) == (20, 15, 5, 0, True)
    assert (end.details, end.hit_rate, end.saved_usd) == ({"miss": 5, "exact": 15}, 0.75, 15 * 0.25)
    assert provider.calls == 5
    assert {request.model for request in provider.requests} == {"gpt-4o"}
    json.dumps(end.to_dict())


def test_a_question_may_name_its_own_model():
    provider = CountingProvider()
    question = Question(messages=[{"role": "user", "content": "a?"}], model="other", parameters={"seed": 3})
    last(replay_questions(a_cache(provider), [question], model="gpt-4o", rate=1000))
    assert (provider.requests[0].model, provider.requests[0].parameters) == ("other", {"seed": 3})


def test_answers_go_into_the_namespace_that_was_named():
    cache = a_cache(CountingProvider())
    last(replay_questions(cache, [ask("a?")], model="m", rate=1000, namespace="demo"))
    assert cache.store.namespaces() == ["demo"]


def test_the_rate_is_kept():
    end = last(replay_questions(a_cache(CountingProvider()), [ask(f"{n}?") for n in range(11)], model="m", rate=50))
    assert 0.2 <= end.elapsed_seconds < 5


def test_no_more_than_so_many_are_on_their_way_at_once():
    under_way, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(4)

    def before(call: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(120)
        with lock:
            under_way -= 1

    questions = [ask(f"Question number {number}?") for number in range(20)]
    last(replay_questions(a_cache(CountingProvider(before)), questions, model="m", rate=100_000, concurrency=4))
    assert most == 4


def test_errors_are_counted_and_only_errors_end_it():
    def fail(call: int) -> None:
        raise TimeoutError("the prompt was: secret")

    questions = (ask(f"Question number {number}?") for number in range(10_000))
    end = last(replay_questions(a_cache(CountingProvider(fail)), questions, model="m", rate=100_000, concurrency=4))
    assert end.gave_up
    assert GIVE_UP_AFTER <= end.errors == end.sent < 200
    assert (end.problem, end.answered) == ("TimeoutError", 0)
    assert "secret" not in json.dumps(end.to_dict())


def test_errors_among_answers_do_not_end_it():
    def fail_after_the_first(call: int) -> None:
        if call > 1:
            raise TimeoutError

    questions = [ask(f"Question number {number}?") for number in range(60)]
    end = last(
        replay_questions(
            a_cache(CountingProvider(fail_after_the_first)), questions, model="m", rate=10_000, concurrency=1
        )
    )
    assert (end.sent, end.errors, end.gave_up) == (60, 59, False)


def test_it_ends_when_asked_to():
    progress = replay_questions(
        a_cache(CountingProvider()), popular([ask("a?"), ask("b?")]), model="m", rate=1000, should_stop=lambda: True
    )
    assert last(progress).sent == 0


def test_it_ends_when_the_time_is_up():
    end = last(replay_questions(a_cache(CountingProvider()), popular([ask("a?")]), model="m", rate=100, seconds=0.3))
    assert 0 < end.sent < 100
    assert end.finished


def test_closing_it_half_way_waits_for_what_was_sent():
    provider = CountingProvider()
    progress = replay_questions(a_cache(provider), popular([ask("Why?")]), model="m", rate=200)
    first = next(progress)
    progress.close()
    assert first.sent >= 1
    assert provider.calls == 1
