from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from core.errors import InvalidInput
from core.metrics.asked import NOTHING
from core.metrics.request_log import MAX_TEXT, Kept, RequestFilter, RequestLog, RequestRecord, Sender, frequent
from core.models import HitDetail, OutcomeKind
from tests.conftest import RedisFactory
from tests.metrics.outcomes import a_bypass, a_hit, a_miss
from tests.samples import NOW


@pytest.fixture(params=["memory", "redis"])
def client(request: pytest.FixtureRequest, redis_server: RedisFactory) -> Iterator[redis.Redis | None]:
    if request.param == "memory":
        yield None
        return
    with redis_server().client() as client:
        yield client


def written(log: RequestLog, *outcomes: object, prompt: str | None = None) -> None:
    for number, outcome in enumerate(outcomes):
        log.add(NOW + number, outcome, prompt)  # type: ignore[arg-type]
    log.write(log.take())


def test_a_record_has_what_the_outcome_has(client: redis.Redis | None) -> None:
    log = RequestLog(client)
    outcome = a_hit(
        key="0-ab", similarity=0.98, detail=HitDetail.SEMANTIC, lookup_ms=0.5, saved_input_tokens=3, saved_cost_usd=0.01
    )
    written(log, outcome, prompt="a question")
    [record] = log.recent()
    assert record.id
    assert record.forgone == ""
    assert (record.at, record.kind, record.detail, record.key) == (NOW, OutcomeKind.HIT, HitDetail.SEMANTIC, "0-ab")
    assert (record.similarity, record.lookup_ms, record.saved_tokens) == (0.98, 0.5, 3)
    assert (record.saved_cost_usd, record.cost_usd, record.prompt) == (0.01, None, "a question")


def test_a_miss_keeps_the_caution_that_cost_it_a_hit_and_is_found_by_it(client: redis.Redis | None) -> None:
    log = RequestLog(client)
    written(log, a_miss(forgone="may be material"), a_miss())
    [record] = log.recent(where=RequestFilter(reason="may be material"))
    assert record.forgone == "may be material"


def test_texts_from_outside_are_stored_as_they_can_be_shown(client: redis.Redis | None) -> None:
    log = RequestLog(client)
    written(log, a_bypass(model="\ud800\n" + "m" * 1000), prompt="two\nlines\ud800" + "x" * 10_000)
    [record] = log.recent()
    assert record.model == "\N{REPLACEMENT CHARACTER} ".ljust(200, "m")
    assert record.prompt == "two lines\N{REPLACEMENT CHARACTER}".ljust(500, "x")


def test_figures_that_are_no_numbers_can_be_stored(client: redis.Redis | None) -> None:
    log = RequestLog(client)
    written(log, a_hit(latency_ms=float("nan"), lookup_ms=float("inf")))
    assert log.recent()[0].lookup_ms == float("inf")


def test_the_newest_come_first_and_only_as_many_as_asked_for(client: redis.Redis | None) -> None:
    log = RequestLog(client, buffer=2000)
    written(log, *(a_hit(key=str(number)) for number in range(1200)))
    assert [record.key for record in log.recent(3)] == ["1199", "1198", "1197"]
    assert len(log.recent(5000)) == 1200
    assert len({record.id for record in log.recent(5000)}) == 1200


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        (RequestFilter(), ["d", "c", "b", "a"]),
        (RequestFilter(kind=OutcomeKind.MISS), ["d", "c"]),
        (RequestFilter(detail=HitDetail.ALIAS), ["b"]),
        (RequestFilter(reason="expired"), ["c"]),
        (RequestFilter(reason="too-large"), ["d"]),
        (RequestFilter(namespace="n"), ["a"]),
        (RequestFilter(model="m"), ["b"]),
        (RequestFilter(key="a"), ["a"]),
        (RequestFilter(starts_at=NOW + 1, ends_at=NOW + 3), ["c", "b"]),
        (RequestFilter(kind=OutcomeKind.MISS, key="a"), []),
    ],
)
def test_a_filter_shows_what_matches_all_of_it(where: RequestFilter, keys: list[str]) -> None:
    log = RequestLog(None)
    written(
        log,
        a_hit(key="a", namespace="n"),
        a_hit(key="b", detail=HitDetail.ALIAS, model="m"),
        a_miss(key="c", reason="expired"),
        a_miss(key="d", not_stored="too-large"),
    )
    assert [record.key for record in log.recent(10, where)] == keys


def test_a_filter_finds_what_lies_pages_back(client: redis.Redis | None) -> None:
    log = RequestLog(client, buffer=2000)
    written(log, a_miss(key="wanted"), *(a_hit() for _ in range(1500)))
    assert [record.key for record in log.recent(1, RequestFilter(kind=OutcomeKind.MISS))] == ["wanted"]


def test_a_page_goes_on_where_the_last_one_ended_whatever_has_come_meanwhile(client: redis.Redis | None) -> None:
    log = RequestLog(client, buffer=1000)
    written(log, *(a_hit(key=f"k{number}", namespace="ab"[number % 2]) for number in range(10)))
    first = log.recent(2, within=lambda namespace: namespace == "a")
    assert [record.key for record in first] == ["k8", "k6"]
    written(log, a_hit(key="new", namespace="a"))
    second = log.recent(2, within=lambda namespace: namespace == "a", before_id=first[-1].id)
    assert [record.key for record in second] == ["k4", "k2"]
    assert [record.key for record in log.recent(9, before_id=second[-1].id)] == ["k1", "k0"]


@pytest.mark.parametrize("wrong", ["", "x", "1", "1-", "(1-0", "0-0", "+", f"{10**19}-0", "1-0\n"])
def test_a_page_goes_on_after_an_id_only(client: redis.Redis | None, wrong: str) -> None:
    with pytest.raises(InvalidInput, match="before_id"):
        RequestLog(client).recent(9, before_id=wrong)


def test_what_comes_too_fast_is_dropped_oldest_first_and_counted(client: redis.Redis | None) -> None:
    log = RequestLog(client, buffer=3)
    written(log, *(a_hit(key=str(number)) for number in range(10)))
    assert [record.key for record in log.recent()] == ["9", "8", "7"]
    assert log.dropped == 7


def test_the_log_keeps_the_latest_only() -> None:
    log = RequestLog(None, keep=2)
    written(log, *(a_hit(key=str(number)) for number in range(5)))
    assert [record.key for record in log.recent()] == ["4", "3"]


ANNA = Sender(caller="key-anna", user="anna@example.org", request_id="req-1")
BERT = Sender(caller="key-bert", user="Bert", request_id="req-2")


def sent(log: RequestLog, *requests: tuple[object, str | None, Sender]) -> None:
    for number, request in enumerate(requests):
        log.add(NOW + number, *request)  # type: ignore[arg-type]
    log.write(log.take())


@pytest.mark.parametrize("text", ["CAT", "anna@", "REQ-1", "key-anna", "0-AA"])
def test_a_text_is_looked_for_in_all_that_names_a_request(client: redis.Redis | None, text: str) -> None:
    log = RequestLog(client, kept=Kept(callers=True))
    sent(log, (a_hit(key="0-aa"), "What is a cat?", ANNA), (a_hit(key="0-bb"), "What is a dog?", BERT))
    assert [record.key for record in log.recent(where=RequestFilter(text=text))] == ["0-aa"]


def test_a_text_of_any_length_costs_what_the_log_costs() -> None:
    log = RequestLog(None, buffer=5000)
    sent(log, *((a_hit(key="a" * 66), "a" * 10_000, ANNA) for _ in range(200)))
    assert log.recent(where=RequestFilter(text="a" * 10_000_000 + "b"))
    assert RequestFilter(text="A" * 10_000_000).text == "a" * MAX_TEXT


@pytest.mark.parametrize("callers", [True, False])
def test_users_and_ids_are_neither_kept_nor_shown_nor_looked_in_unless_they_may_be(
    client: redis.Redis | None, callers: bool
) -> None:
    log = RequestLog(client, kept=Kept(callers=callers))
    sent(log, (a_hit(), None, ANNA))
    [record] = log.recent()
    assert record.caller == "key-anna"
    assert (record.user, record.request_id) == (("anna@example.org", "req-1") if callers else (None, None))
    assert bool(log.recent(where=RequestFilter(text="anna@"))) is callers
    if client is not None:
        [(_, row)] = client.xrange("encore:requests")
        assert (b"anna@" in row[b"r"]) is (b"req-1" in row[b"r"]) is callers
        RequestLog(client, kept=Kept(callers=True)).write([(NOW, a_hit(), "a secret", ANNA, NOTHING)])
        discreet = RequestLog(client, kept=Kept(prompts=False))
        assert {(one.user, one.request_id, one.prompt) for one in discreet.recent()} == {(None, None, None)}
        for text in ("anna@", "req-1", "secret"):
            assert discreet.recent(where=RequestFilter(text=text)) == []


def test_names_from_outside_are_stored_as_they_can_be_shown(client: redis.Redis | None) -> None:
    log = RequestLog(client, kept=Kept(callers=True))
    sent(log, (a_hit(), None, Sender(user="\u202eanna\n" + "x" * 10_000, request_id="\ud800")))
    [record] = log.recent()
    assert record.user == "\N{REPLACEMENT CHARACTER}anna ".ljust(256, "x")
    assert record.request_id == "\N{REPLACEMENT CHARACTER}"


def test_those_who_got_an_answer_are_told_from_those_who_did_not(client: redis.Redis | None) -> None:
    log = RequestLog(client, kept=Kept(callers=True))
    sent(
        log,
        (a_miss(key="0-aa", stored=True), "first", ANNA),
        (a_hit(key="0-aa"), "before", BERT),
        (a_miss(key="0-aa", stored=True), "anew", ANNA),
        (a_miss(key="0-aa", collapsed=True), "with it", BERT),
        (a_miss(key="0-aa", not_stored="too-large"), "its own answer", BERT),
        (a_hit(key="0-aa", namespace="another"), "elsewhere", BERT),
        (a_hit(key="0-bb"), "another", BERT),
        (a_hit(key="0-aa", detail=HitDetail.SEMANTIC), "like it", BERT),
    )
    found = log.recipients("test", "0-aa", stored_at=NOW + 2)
    assert [record.prompt for record in found.got] == ["like it", "with it", "anew"]
    assert [record.prompt for record in found.got_earlier] == ["before", "first"]
    assert (found.looked_at, found.since) == (8, NOW)
    assert found.words("14:02") == (
        "Of the latest 8 requests, since 14:02, 3 got this answer, and 2 an earlier one to the same request"
    )
    assert len(log.recipients("test", "0-aa").got) == 5
    of_another = log.recipients("test", "0-aa", within=lambda namespace: namespace == "another")
    assert (of_another.looked_at, of_another.got) == (1, ())


def test_of_an_empty_log_nobody_is_known() -> None:
    assert "does not show who got" in RequestLog(None).recipients("test", "0-aa").words("")


OLD_ROW = bytes.fromhex(
    "de0008a26174cb41d954fc40000000a46b696e64a3686974a96e616d657370616365a474657374a56d6f64656ca6"
    "6770742d346fa87374726174656779aa6e6f726d616c697a6564a664657461696ca56578616374a36b6579a4302d"
    "6161a670726f6d7074ad57686174206973206120636174"
)
"""A record as the version before wrote it: without caller, user and request id."""


def test_records_of_before_are_read(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        client.xadd("encore:requests", {"r": OLD_ROW})
        [record] = RequestLog(client).recent()
        assert (record.key, record.prompt, record.caller, record.user) == ("0-aa", "What is a cat", "", None)
        assert RequestLog(client).recipients("test", "0-aa").got == (record,)


def test_rows_of_another_version_are_passed_over(redis_server: RedisFactory) -> None:
    with redis_server().client() as client:
        log = RequestLog(client)
        written(log, a_hit(key="a"))
        client.xadd("encore:requests", {"r": b"\xc1"})
        client.xadd("encore:requests", {"other": "field"})
        assert [record.key for record in log.recent()] == ["a"]


def test_equal_keys_or_else_equal_prompts_are_frequent_together() -> None:
    records = [
        RequestRecord.of(NOW, outcome, prompt)
        for outcome, prompt in [
            (a_miss(key="k", latency_ms=5.0, cost_usd=0.5), "latest wording"),
            (a_miss(key="k", latency_ms=7.0), "earlier wording"),
            (a_miss(), "no key"),
            (a_miss(), None),
            (a_miss(key="k", namespace="another"), "latest wording"),
            (a_hit(key="k"), "latest wording"),
        ]
    ]
    top = frequent(records, OutcomeKind.MISS)
    assert [(each.key, each.prompt, each.namespace, each.count) for each in top] == [
        ("k", "latest wording", "test", 2),
        ("", "no key", "test", 1),
        ("k", "latest wording", "another", 1),
    ]
    assert (top[0].latency_ms, top[0].cost_usd) == (12.0, 0.5)
    assert len(frequent(records, OutcomeKind.MISS, limit=1)) == 1
