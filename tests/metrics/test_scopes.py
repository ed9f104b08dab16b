"""Scopes among the latest requests: how many, and what keeps equal questions apart."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
import redis

from core.keys import pack
from core.metrics import CacheMetrics, RequestFilter
from core.metrics.asked import Asked
from core.metrics.request_log import RequestRecord
from core.metrics.scopes import NamespaceScopes, asked_elsewhere, differing, scopes_of
from core.models import OutcomeKind
from tests.metrics.outcomes import a_bypass, a_hit, a_miss
from tests.samples import NOW, Clock


def scope(system: str, model: str = "gpt-4o", **parameters: Any) -> tuple[Any, ...]:
    messages = [{"role": "system", "content": system}]
    return ("test", "openai", "chat", "", model, None, messages, ("text", {}), parameters or None, None, None)


def a_record(question: str, system: str, at: float = NOW, *, hit: bool = False, **fields: Any) -> RequestRecord:
    """A request by its question and system prompt; `parameters` change the answer too."""
    parts = pack(scope(system, fields.get("model", "gpt-4o"), **fields.pop("parameters", {})))
    outcome = (a_hit if hit else a_miss)(scope=sha256(parts).digest(), at=at, **fields)
    asked = Asked() if hit else Asked(question=question.encode(), parts=parts)
    return RequestRecord.of(at, outcome, None, asked=asked)


def of_test(*records: RequestRecord) -> NamespaceScopes:
    """Of records that are given oldest first."""
    found = scopes_of(records[::-1]).of("test")
    assert found is not None
    return found


def test_a_time_in_the_system_prompt_is_found() -> None:
    found = of_test(*(a_record(f"q{number % 10}", f"It is {number}.") for number in range(200)))
    assert (found.requests, found.misses, found.repeated, found.per_hundred) == (200, 200, 190, 100.0)
    assert (found.apart.differs, found.apart.scopes) == (("system prompt",), 200)
    assert found.is_told
    assert found.in_words == (
        "190 of 200 misses repeat a question of another scope: they differ in the system prompt. "
        "100 scopes per 100 requests"
    )


def test_a_time_in_the_system_prompt_is_found_also_where_no_question_comes_twice() -> None:
    found = of_test(*(a_record(f"q{number}", f"It is {number}.") for number in range(50)))
    assert (found.repeated, found.apart.differs) == (0, ("system prompt",))
    assert found.is_told
    assert found.in_words == "100 scopes per 100 requests: they differ in the system prompt"


def test_a_minute_in_the_system_prompt_is_found_though_it_makes_few_scopes() -> None:
    found = of_test(*(a_record(f"q{number % 50}", f"It is 10:0{number // 50}.") for number in range(200)))
    assert (found.per_hundred, found.repeated) == (2.0, 150)
    assert found.is_told


def test_one_system_prompt_and_other_questions_are_no_finding() -> None:
    found = of_test(*(a_record(f"q{number}", "You help.") for number in range(200)))
    assert (found.per_hundred, found.repeated, found.is_told) == (1.0, 0, False)
    assert found.in_words == "1 scope per 100 requests"


def test_conversations_are_in_scopes_of_their_own_by_their_nature() -> None:
    def turn(number: int) -> RequestRecord:
        values = list(scope("You help."))
        values[6] = [*values[6], {"role": "user", "content": f"Hello {number}"}]
        outcome = a_miss(scope=number.to_bytes(8, "big"))
        asked = Asked(question=b"%d" % number, parts=pack(values))
        return RequestRecord.of(NOW, outcome, None, asked=asked)

    found = of_test(*map(turn, range(60)))
    assert (found.apart.differs, found.is_told) == (("earlier messages",), False)


def test_scopes_are_counted_by_the_hundred_whatever_the_length_of_the_log() -> None:
    both = [a_record("q", f"It is {number}.", hit=number % 2 > 0) for number in (*range(50), *range(50))] * 3
    assert of_test(*both).per_hundred == 50.0
    assert of_test(*both, *both[:30]).per_hundred == 50.0
    assert of_test(*both[:30]).per_hundred == 100.0


def test_what_was_looked_up_nowhere_has_no_scope() -> None:
    records = [RequestRecord.of(NOW, a_bypass(), None), a_record("q", "You help.", namespace="wiki")]
    found = scopes_of(records)
    assert [one.namespace for one in found.namespaces] == ["wiki"]
    assert (found.looked_at, found.since, found.told) == (2, NOW, ())
    assert (scopes_of([]).since, scopes_of([]).namespaces) == (None, ())


def test_the_parts_that_differ_are_named_the_fewest_that_do() -> None:
    first = a_record("q", "You help.")
    other = a_record("q", "You sell.", model="gpt-4o-mini")
    seeded = a_record("q", "You help.", parameters={"seed": 7})
    assert differing(first, other) == ("model", "system prompt")
    assert differing(first, seeded) == differing(seeded, first) == ("parameter seed",)
    assert differing(first, first) == ()
    assert of_test(first, other, seeded).apart.differs == ("model", "parameter seed", "system prompt")
    assert of_test(first, seeded, seeded).apart.differs == ("parameter seed",)


def test_a_miss_is_told_in_how_many_scopes_its_question_was_asked() -> None:
    records = [a_record(f"q{number % 2}", f"It is {number}.") for number in range(20)]
    found = asked_elsewhere(records[0], records)
    assert (found.scopes, found.differs, found.in_words) == (9, ("system prompt",), "they differ in the system prompt")
    elsewhere = a_record("q0", "You help.", namespace="wiki")
    assert asked_elsewhere(elsewhere, records).scopes == 0
    assert asked_elsewhere(RequestRecord.of(NOW, a_hit(), None), records).scopes == 0


def test_parts_from_hostile_bytes_differ_in_nothing() -> None:
    broken = RequestRecord.of(NOW, a_miss(scope=b"12345678"), None, asked=Asked(question=b"q", parts=b"\xc1"))
    found = of_test(a_record("q", "You help."), broken)
    assert found.repeated == 1
    assert "earlier messages" not in found.apart.differs


@pytest.mark.parametrize("keeps", [True, False])
def test_the_words_that_differ_are_kept_only_where_prompts_are(client: redis.Redis, clock: Clock, keeps: bool) -> None:
    metrics = CacheMetrics(client, flush_seconds=1000, clock=clock, record_prompts=keeps)
    for number in range(30):
        asked = Asked(question=b"q", parts=pack(scope(f"It is {number}.")), instructions=f"It is {number}.")
        texts: list[bool] = []

        def told(with_texts: bool, asked: Asked = asked, texts: list[bool] = texts) -> Asked:
            texts.append(with_texts)
            return asked

        metrics.record(a_miss(scope=number.to_bytes(8, "big")), "Who?", asked=told)
        assert texts == [keeps]
    found = metrics.scopes(RequestFilter(namespace="test")).of("test")
    assert found is not None
    assert found.repeated == 29
    assert found.apart.system_prompt == (("It is 28.", "It is 29.") if keeps else None)
    [latest] = metrics.recent(1, RequestFilter(kind=OutcomeKind.MISS))
    assert metrics.asked_elsewhere(latest).scopes == 29
    assert metrics.scopes(RequestFilter(namespace="other")).looked_at == 0
    assert metrics.scopes(within=lambda name: name != "test").namespaces == ()
    metrics.close()
    with CacheMetrics(client, flush_seconds=1000, clock=clock, record_prompts=False) as elsewhere:
        [record] = elsewhere.recent(1)
        assert record.apart is None  # whoever kept it


def in_seconds(at: float) -> str:
    return f"second {at - NOW:.0f}"


def changing(*records: RequestRecord) -> str:
    found = of_test(*records).changing
    return "" if found is None else found.in_words(in_seconds)


def steady(count: int) -> list[RequestRecord]:
    """Misses of ten questions, then hits."""
    return [a_record(f"q{number % 10}", "You help.", NOW + number, hit=number >= 10) for number in range(count)]


def test_it_is_said_since_when_a_system_prompt_changes() -> None:
    after = [a_record(f"q{number % 10}", f"It is {number}.", NOW + number) for number in range(80, 140)]
    told = "the system prompt changes with every request, e.g. by a time stamp"
    assert changing(*steady(80), *after) == f"{told}, since second 80"
    assert changing(*after) == f"{told}, since second 80 or before"
    over = [a_record("q1", "You help.", NOW + number, hit=True) for number in range(140, 170)]
    assert changing(*steady(80), *after, *over) == f"{told}, from second 80 to second 139"
    [found] = scopes_of([*steady(80), *after][::-1], starts_at=NOW + 100).namespaces
    assert found.requests == 40
    assert found.changing is not None
    assert found.changing.in_words(in_seconds) == f"{told}, since second 80"


def test_a_minute_in_the_system_prompt_has_its_beginning_too() -> None:
    after = [a_record(f"q{n % 10}", f"It is 10:{n // 10}.", NOW + n, hit=n % 10 > 7) for n in range(80, 200)]
    told = "the system prompt changes often, 12 times in 111 requests, e.g. by a time stamp, since second 80"
    assert changing(*steady(80), *after) == told


def test_a_few_system_prompts_are_not_said_to_change() -> None:
    records = [a_record(f"q{number % 20}", f"You are {number // 20}.", NOW + number) for number in range(80)]
    assert of_test(*records).is_told
    assert changing(*records) == ""


def test_names_in_system_prompts_are_no_time_stamps() -> None:
    names = [f"You help {chr(97 + number // 26)}{chr(97 + number % 26)}." for number in range(40)]
    records = [
        msgspec.structs.replace(a_record("q", name, NOW + number), apart=("You help aa.", name))
        for number, name in enumerate(names)
    ]
    assert changing(*records) == "the system prompt changes with every request, since second 0 or before"


def test_other_models_are_no_finding() -> None:
    models = [
        msgspec.structs.replace(a_record(f"q{n // 3}", "You help.", model=f"m{n % 3}"), scope=f"of m{n % 3}")
        for n in range(60)
    ]
    found = of_test(*models)
    assert (found.repeated, found.apart.differs, found.is_told, found.changing) == (40, ("model",), False, None)
