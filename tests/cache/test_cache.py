"""The request path on both stores: what is a hit, what is not, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.bans.changes import new_ban
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.errors import InvalidInput, NotCached, ProviderUnavailable
from core.metrics import Sender
from core.models import Answer, CacheStrategy, ChatRequest, Completion, Controls, For, NoStore, OutcomeKind
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, request_client
from tests.fakes import CountingProvider, Outcomes, a_body
from tests.samples import Clock

QUESTION = "What is the capital of France?"


def ask(question: str = QUESTION, **arguments) -> ChatRequest:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    return ChatRequest.from_openai(**({"model": "gpt-4o", "messages": messages} | arguments))


class Setup:
    """A cache whose parts a test can see and move."""

    def __init__(self, store: Store, namespace: str, provider: CountingProvider | None = None, **config) -> None:
        self.clock = Clock()
        self.provider = provider or CountingProvider()
        self.outcomes = Outcomes()
        self.namespace = namespace
        self.store = store
        self.cache = LLMCache(
            CacheConfig(namespace=namespace, **config),
            store=store,
            provider=self.provider,
            metrics=self.outcomes,
            price=lambda model, usage: usage.output_tokens / 1000,
            clock=self.clock,
        )

    def ask(self, question: str = QUESTION, controls: Controls | None = None, **arguments) -> Answer:
        return self.cache.complete(ask(question, **arguments), controls or Controls())

    def invalidate(self, criteria: Criteria, *, soft: bool = False) -> None:
        slot = self.cache.slot(self.namespace, 0)
        self.store.append(slot, new_ban("b", criteria, now=self.clock(), hold_seconds=300, soft=soft))


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        made: Store = MemoryStore()
    else:
        made = RedisStore(request_client(request.getfixturevalue("redis_url"), 5))
    yield made
    made.close()


@pytest.fixture
def setup(store: Store, namespace: str) -> Setup:
    return Setup(store, namespace)


def test_the_second_time_the_answer_comes_from_the_cache(setup):
    first, second = setup.ask(), setup.ask()
    assert str(first.outcome) == "miss (absent), stored"
    assert str(second.outcome) == "hit (exact)"
    assert second.completion.text == first.completion.text == "answer 1"
    assert second.completion.body == first.completion.body
    assert first.key == second.key != ""
    assert setup.provider.calls == 1


@pytest.mark.parametrize(
    ("user", "named"),
    [("anna", "anna"), (5, "5"), ({"id": 1}, "dict"), ("x" * 1000, "x" * 256), (None, None)],
)
def test_the_request_log_names_the_user_that_a_program_names(setup, user, named):
    given = {} if user is None else {"user": user}
    setup.ask(extra_headers={"X-Request-ID": "req-1"}, **given)
    [sender] = setup.outcomes.senders
    told = sender(True)
    assert (told.caller, told.user, told.request_id) == ("", named, "req-1")
    assert sender(False) == Sender()


def test_a_completion_has_the_shape_of_the_sdk_and_of_the_wire(setup):
    for answer in (setup.ask(), setup.ask()):
        assert answer.completion.choices[0].message.content == "answer 1"
        assert answer.completion["choices"][0]["message"]["content"] == "answer 1"
        assert answer.completion.usage.total_tokens == 30


def test_case_and_spaces_are_a_normalized_hit_and_never_an_exact_one(setup):
    setup.ask()
    answer = setup.ask("  what is   the capital of france ")
    assert str(answer.outcome) == "hit (normalized)"
    assert answer.completion.text == "answer 1"
    setup.ask("What is the capital of US?")
    answer = setup.ask("  what is   the capital of us ")
    assert answer.outcome.kind is OutcomeKind.MISS, "an abbreviation in capitals is not a word in lower case"


@pytest.mark.parametrize(
    "system", ["Translate into Spanish.", "Correct the user's text.", "Be brief. Count its letters."]
)
def test_a_text_that_may_be_material_is_found_by_itself_only(setup, system):
    def ask_of(text: str) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        return str(setup.ask(messages=messages).outcome)

    assert ask_of("You are leaving tomorrow?") == "miss (may be material), stored"
    for other in ("You are leaving tomorrow.", "you are leaving tomorrow?", "You are leaving  tomorrow?"):
        assert ask_of(other) == "miss (may be material), stored"
    assert ask_of("You are leaving tomorrow?") == "hit (exact)"
    assert ask_of(" You are leaving tomorrow?\n") == "hit (normalized)"


def test_a_miss_that_a_caution_cost_a_hit_is_counted_and_names_it(setup):
    def forgone(text: str, controls: Controls | None = None) -> str:
        return setup.ask(text, controls).outcome.forgone

    assert forgone("My card was eaten.") == ""
    assert forgone("my card was eaten") == "may be material"
    assert forgone("My card was stolen.") == "", "another text"
    assert forgone("My  card was eaten.", Controls(strategy=CacheStrategy.EXACT)) == "", "it asked for no more"
    assert forgone("MY CARD WAS EATEN", Controls(no_cache=True)) == "", "it wanted no stored answer"
    setup.invalidate(Criteria(all=True))
    assert forgone("my card was  eaten") == "", "an invalidation would have hidden it"
    assert forgone("What is a card?") == forgone("what is a card") == ""


def test_what_was_never_stored_costs_no_hit(setup):
    assert setup.ask("My card was eaten.", Controls(ttl=NoStore())).outcome.forgone == ""
    assert setup.ask("my card was eaten").outcome.forgone == ""


def test_hits_after_a_forgone_one_are_no_longer_forgone_once_it_would_have_expired(setup):
    setup.ask("My card was eaten.", Controls(ttl=For(60)))
    setup.clock.forward(61)
    assert setup.ask("my card was eaten").outcome.forgone == ""


def test_an_operators_own_prompt_lets_questions_fold(store, namespace):
    own = "You answer for Acme. Never mention rivals."
    for plain_prompts, expected in (((), "miss (may be material), stored"), ((own,), "hit (normalized)")):
        setup = Setup(store, f"{namespace}-{len(plain_prompts)}", plain_prompts=plain_prompts)
        for text in ("What is a card?", "what is a card"):
            messages = [{"role": "system", "content": own}, {"role": "user", "content": text}]
            answer = setup.ask(messages=messages)
        assert str(answer.outcome) == expected


def test_the_strategy_is_a_ceiling(setup):
    setup.ask()
    assert setup.ask("what is the capital of france", Controls(strategy=CacheStrategy.EXACT)).outcome.kind == "miss"


def test_a_request_cannot_raise_the_strategy(store, namespace):
    setup = Setup(store, namespace, strategy=CacheStrategy.EXACT)
    setup.ask()
    controls = Controls(strategy=CacheStrategy.NORMALIZED)
    assert setup.ask("what is the capital of france", controls).outcome.kind == "miss"


@pytest.mark.parametrize(
    "difference",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"seed": 1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"messages": [{"role": "user", "content": QUESTION}]},
        {"base_url": "http://other/v1"},
        {"endpoint": "responses"},
        {"a_parameter_of_the_future": True},
    ],
)
def test_whatever_changes_the_answer_makes_it_a_miss(setup, difference):
    setup.ask()
    assert setup.ask(**difference).outcome.kind is OutcomeKind.MISS
    assert setup.provider.calls == 2


def test_namespaces_never_share(setup):
    setup.ask()
    assert setup.ask(controls=Controls(namespace=setup.namespace + "-b")).outcome.kind is OutcomeKind.MISS


def test_a_namespace_that_cannot_be_is_refused(setup):
    with pytest.raises(InvalidInput, match="namespace"):
        setup.ask(controls=Controls(namespace="a:b"))


def test_an_answer_expires_absolutely(setup):
    setup.ask(controls=Controls(ttl=For(100)))
    setup.clock.forward(90)
    hit = setup.ask()
    assert hit.age_seconds == pytest.approx(90)
    assert 0 < hit.ttl_seconds <= 10
    setup.clock.forward(11)
    assert str(setup.ask().outcome) == "miss (expired), stored"


@pytest.mark.parametrize(
    ("address", "is_remote"), [("https://cam.example/a.jpg", True), ("data:image/png;base64,", False)]
)
def test_an_answer_about_what_is_at_an_address_expires_in_minutes_unless_a_caller_says_otherwise(
    setup, address, is_remote
):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": address}}]
    request = ask(messages=[{"role": "user", "content": parts}])
    answer = setup.cache.complete(request, Controls())
    assert (answer.ttl_seconds <= 300) == is_remote
    setup.clock.forward(301)
    again = setup.cache.complete(request, Controls(ttl=For(1000)))
    assert str(again.outcome) == ("miss (expired), stored" if is_remote else "hit (exact)")
    if is_remote:
        assert again.ttl_seconds == 1000


def test_max_age_refuses_an_older_answer(setup):
    setup.ask(controls=Controls(ttl=For(1000)))
    setup.clock.forward(50)
    assert setup.ask(controls=Controls(max_age=60)).outcome.kind is OutcomeKind.HIT
    assert str(setup.ask(controls=Controls(max_age=40)).outcome) == "miss (max-age), stored"


def test_no_cache_asks_anew_and_stores(setup):
    setup.ask()
    fresh = setup.ask(controls=Controls(no_cache=True))
    assert str(fresh.outcome) == "miss (no-cache), stored"
    assert setup.ask().completion.text == "answer 2"


def test_no_store_neither_reads_nor_writes(setup):
    setup.ask()
    assert setup.ask(controls=Controls(no_store=True)).outcome.kind is OutcomeKind.BYPASS
    assert setup.ask().completion.text == "answer 1"


def test_a_ttl_of_zero_is_not_stored(setup):
    assert setup.ask(controls=Controls(ttl=NoStore())).outcome.not_stored == "no-store"
    assert setup.ask().outcome.kind is OutcomeKind.MISS


def test_only_if_cached_never_asks_the_provider(setup):
    with pytest.raises(NotCached):
        setup.ask(controls=Controls(only_if_cached=True))
    assert setup.outcomes.all[0].key == setup.ask().key
    assert setup.ask(controls=Controls(only_if_cached=True)).outcome.kind is OutcomeKind.HIT
    assert setup.provider.calls == 1


@pytest.mark.parametrize("body", [{"finish_reason": "length"}, {"finish_reason": "content_filter"}])
def test_an_answer_that_did_not_stop_by_itself_is_not_stored(store, namespace, body):
    setup = Setup(store, namespace, CountingProvider(**body))
    assert not setup.ask().outcome.stored
    assert setup.ask().completion.text == "answer 2"


def test_errors_of_the_provider_pass_through_and_are_not_stored(store, namespace):
    def fail(call):
        if call == 1:
            raise ConnectionError("provider down")

    setup = Setup(store, namespace, CountingProvider(before=fail))
    with pytest.raises(ConnectionError, match="provider down"):
        setup.ask()
    assert setup.ask().completion.text == "answer 2"
    assert [outcome.kind for outcome in setup.outcomes.all] == ["error", "miss"]


def test_an_old_answer_is_served_on_failure_when_the_request_allows_it(store, namespace):
    def fail(call):
        if call > 1:
            raise ConnectionError("provider down")

    setup = Setup(store, namespace, CountingProvider(before=fail))
    setup.ask(controls=Controls(ttl=For(100)))
    setup.clock.forward(200)
    answer = setup.ask(controls=Controls(stale_if_error=600))
    assert str(answer.outcome) == "hit (stale-if-error), stale" or answer.outcome.stale
    assert answer.completion.text == "answer 1"
    for controls in (Controls(), Controls(stale_if_error=50)):
        with pytest.raises(ConnectionError):
            setup.ask(controls=controls)


def test_an_invalidated_answer_is_never_served_on_failure(store, namespace):
    def fail(call):
        if call > 1:
            raise ConnectionError("provider down")

    setup = Setup(store, namespace, CountingProvider(before=fail))
    setup.ask()
    setup.invalidate(Criteria(model="gpt-4o"))
    with pytest.raises(ConnectionError):
        setup.ask(controls=Controls(stale_if_error=600))


def test_an_invalidation_is_effective_at_once_for_exact_and_normalized(setup):
    setup.ask()
    setup.invalidate(Criteria(model="gpt-4o"))
    assert str(setup.ask().outcome) == "miss (invalidated), stored"
    assert str(setup.ask().outcome) == "hit (exact)", "what is generated afterwards is not hidden"
    assert setup.ask("what is the capital of france").completion.text == "answer 2"


def test_a_softly_invalidated_answer_is_refreshed_and_serves_failures(store, namespace):
    def fail(call):
        if call == 2:
            raise ConnectionError("provider down")

    setup = Setup(store, namespace, CountingProvider(before=fail))
    setup.ask()
    setup.invalidate(Criteria(all=True), soft=True)
    assert setup.ask(controls=Controls(stale_if_error=600)).outcome.stale
    assert setup.ask().completion.text == "answer 3"
    assert str(setup.ask().outcome) == "hit (exact)"


@pytest.mark.parametrize("criteria", [Criteria(model="gpt-4o"), Criteria(keywords=("capital",)), Criteria(all=True)])
def test_a_store_that_began_before_an_invalidation_is_refused(store, namespace, criteria):
    setup = Setup(store, namespace)
    setup.provider.before = lambda call: setup.invalidate(criteria) if call == 1 else None
    during = setup.ask()
    assert during.completion.text == "answer 1", "the caller is served all the same"
    assert during.outcome.not_stored == "refused-invalidated"
    assert setup.ask().completion.text == "answer 2"


def test_a_store_is_not_refused_by_an_invalidation_of_something_else(store, namespace):
    setup = Setup(store, namespace)
    setup.provider.before = lambda call: setup.invalidate(Criteria(model="other"))
    assert setup.ask().outcome.stored
    assert setup.ask().outcome.kind is OutcomeKind.HIT


def test_a_lost_record_makes_everything_a_miss(setup, store):
    setup.ask()
    slot = setup.cache.slot(setup.namespace, 0)
    if isinstance(store, MemoryStore):
        store._records.clear()
    else:
        store._client.delete(slot.record)
    assert str(setup.ask().outcome) == "miss (no-record), stored"
    assert setup.ask().completion.text == "answer 2"
    assert setup.ask("what is the capital of france").completion.text == "answer 2"


def test_savings_are_what_the_stored_answer_had_cost(setup):
    miss = setup.ask().outcome
    hit = setup.ask().outcome
    assert (miss.input_tokens, miss.output_tokens, miss.cost_usd) == (10, 20, 0.02)
    assert (hit.saved_input_tokens, hit.saved_output_tokens, hit.saved_cost_usd) == (10, 20, 0.02)
    assert hit.cost_usd is None
    assert miss.saved_cost_usd is None


def test_every_request_is_recorded_once(setup):
    setup.ask()
    setup.ask()
    setup.ask(controls=Controls(no_store=True))
    assert setup.outcomes.words() == ["miss (absent), stored", "hit (exact)", "bypass (no-store)"]


def test_what_has_no_canonical_form_bypasses_and_reaches_the_provider_unchanged(setup):
    answer = setup.ask(temperature=float("nan"))
    assert answer.outcome.kind is OutcomeKind.BYPASS
    assert answer.completion.text == "answer 1"


def test_remembered_errors_are_raised_again_when_switched_on(store, namespace):
    def fail(call):
        raise ConnectionError(f"failure {call}")

    setup = Setup(store, namespace, CountingProvider(before=fail), cache_errors=True)
    for _ in range(3):
        with pytest.raises(ConnectionError, match="failure 1"):
            setup.ask()
    assert setup.provider.calls == 1
    assert {outcome.kind for outcome in setup.outcomes.all} == {OutcomeKind.ERROR}
    assert len({outcome.key for outcome in setup.outcomes.all if outcome.key}) == 1, "an operator finds them"
    assert None not in setup.outcomes.prompts


def test_an_error_about_a_credential_is_not_remembered(store, namespace):
    def refuse(call):
        error = ConnectionError(f"refused {call}")
        error.status_code = 401
        if call > 1:
            raise error

    setup = Setup(store, namespace, CountingProvider(before=refuse), cache_errors=True)
    setup.ask("What is here already?")
    for call in (2, 3):
        with pytest.raises(ConnectionError, match=f"refused {call}"):
            setup.ask()


def test_remembered_errors_neither_grow_nor_stay(store, namespace, monkeypatch):
    def fail(call):
        raise ConnectionError("failure")

    def frames(error):
        trace, count = error.__traceback__, 0
        while trace is not None:
            trace, count = trace.tb_next, count + 1
        return count

    monkeypatch.setattr("core.cache.flow.ERROR_SECONDS", 60.0)
    setup = Setup(store, namespace, CountingProvider(before=fail), cache_errors=True)
    depths = []
    for _ in range(20):
        with pytest.raises(ConnectionError) as caught:
            setup.ask()
        depths.append(frames(caught.value))
    assert depths[-1] <= depths[0]
    monkeypatch.setattr("core.cache.flow.ERROR_SECONDS", 0.0)
    setup = Setup(store, namespace, CountingProvider(before=fail), cache_errors=True)
    for number in range(20):
        with pytest.raises(ConnectionError):
            setup.ask(f"What is the square of {number}?")
    assert len(setup.cache._flow._errors) <= 1


def test_get_and_set_do_without_the_provider(setup):
    assert setup.cache.get(ask()) is None
    assert setup.cache.set(ask(), Completion(body=a_body("by hand")))
    assert setup.cache.get(ask()).completion.text == "by hand"
    assert setup.ask("what is the capital of france").completion.text == "by hand"
    assert setup.provider.calls == 0


def test_set_says_why_it_did_not_store(setup):
    assert setup.cache.put(ask(), Completion(body=a_body("cut", finish_reason="length"))) == "truncated"
    assert not setup.cache.set(ask(temperature=2), Completion(body=a_body("hot")))


def test_a_cache_without_a_provider_says_so(namespace):
    with pytest.raises(ProviderUnavailable):
        LLMCache(CacheConfig(namespace=namespace)).complete(ask())


def test_a_stream_is_stored_at_its_end_and_replayed(setup):
    def stream(**arguments):
        stream = setup.cache.stream(ask(stream=True, **arguments))
        return list(stream), stream.answer

    fresh, answer = stream()
    assert str(answer.outcome) == "miss (absent), stored"
    assert (answer.outcome.input_tokens, answer.outcome.output_tokens) == (10, 20)
    replayed, again = stream()
    assert str(again.outcome) == "hit (exact)"
    assert replayed == fresh
    assert not any(chunk.get("usage") for chunk in replayed)
    with_usage, _ = stream(stream_options={"include_usage": True})
    assert with_usage[-1]["usage"]["total_tokens"] == 30
    assert setup.ask().completion.text == "streamed answer 1"
    assert setup.provider.calls == 1


def test_a_stored_completion_serves_a_stream(setup):
    setup.ask()
    chunks = list(setup.cache.stream(ask(stream=True)))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "answer 1"


def test_a_stream_that_is_closed_early_is_not_stored(setup):
    for taken in range(3):
        with setup.cache.stream(ask(stream=True)) as stream:
            for _ in range(taken):
                next(iter(stream))
    assert setup.cache.get(ask()) is None
    assert setup.ask().outcome.kind is OutcomeKind.MISS


async def test_the_async_drivers_do_the_same(setup):
    assert str((await setup.cache.acomplete(ask())).outcome) == "miss (absent), stored"
    assert str((await setup.cache.acomplete(ask())).outcome) == "hit (exact)"
    stream = await setup.cache.astream(ask("And of Italy?", stream=True))
    fresh = [chunk async for chunk in stream]
    assert stream.answer.outcome.stored
    stream = await setup.cache.astream(ask("And of Italy?", stream=True))
    assert [chunk async for chunk in stream] == fresh
    assert str(stream.answer.outcome) == "hit (exact)"


def test_of_a_stream_that_is_not_clear_all_is_passed_on_and_nothing_kept(setup):
    def unclear(request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict]:
        for chunk in CountingProvider.stream(setup.provider, request):
            parts = [{**part, "delta": {**part["delta"], "x_new": "word"}} for part in chunk["choices"]]
            yield {**chunk, "choices": parts}

    setup.provider.stream = unclear
    for _ in range(2):
        stream = setup.cache.stream(ask(stream=True))
        assert all(chunk["choices"][0]["delta"]["x_new"] == "word" for chunk in stream)
        assert (stream.answer.outcome.kind, stream.answer.outcome.not_stored) == (OutcomeKind.MISS, "unclear")
        assert stream.answer.outcome.output_tokens == 20
    assert setup.provider.calls == 2


def test_hits_have_ids_of_their_own_where_that_is_switched_on(store, namespace):
    setup = Setup(store, namespace, fresh_ids=True)
    answers = [setup.ask().completion.body for _ in range(3)]
    assert len({body["id"] for body in answers}) == 3
    assert answers[0]["id"] == "chatcmpl-1"
    assert answers[1] == answers[0] | {"id": answers[1]["id"]}
    assert answers[1]["id"].startswith("chatcmpl-")


def test_so_have_streams_the_same_one_in_each_chunk(store, namespace):
    setup = Setup(store, namespace, fresh_ids=True)
    streams = [list(setup.cache.stream(ask(stream=True))) for _ in range(3)]
    ids = [{chunk["id"] for chunk in stream} for stream in streams]
    assert [len(each) for each in ids] == [1, 1, 1]
    assert len(set.union(*ids)) == 3
    assert [chunk | {"id": ""} for chunk in streams[1]] == [chunk | {"id": ""} for chunk in streams[0]]
    assert setup.ask().completion.body["id"] not in set.union(*ids)


def test_an_id_that_the_provider_knows_an_answer_by_is_left_as_it_is(store, namespace):
    setup = Setup(store, namespace, fresh_ids=True)
    part = {"type": "output_text", "text": "Paris.", "annotations": []}
    body = {"id": "resp_1", "status": "completed", "output": [{"type": "message", "content": [part]}]}
    request = ask(endpoint="responses")
    assert isinstance(setup.cache.put(request, Completion(body=body)), Answer)
    assert setup.cache.get(request).completion.body["id"] == "resp_1"
    vectors = ask(endpoint="embeddings")
    assert isinstance(setup.cache.put(vectors, Completion(body={"id": "e", "data": [{"embedding": [0.5]}]})), Answer)
    assert setup.cache.get(vectors).completion.body["id"] == "e"


def test_log_lines_of_hits_name_no_prompt(store, namespace, caplog):
    setup = Setup(store, namespace, log_hits=True)
    setup.ask("the secret canary prompt")
    with caplog.at_level("INFO", logger="encore.cache"):
        setup.ask("the secret canary prompt")
    assert "hit exact" in caplog.text
    assert "canary" not in caplog.text


def test_what_must_not_be_kept_is_not_kept_under_one_ttl_for_all_either(store, namespace):
    setup = Setup(store, namespace, ttl=600)
    answer = setup.ask("Generate a random UUID")
    assert answer.outcome.ttl_class == "none"
    assert answer.outcome.not_stored == "no-store"


def test_a_cache_invalidates_and_tells_its_numbers_without_anything_else(namespace):
    cache = LLMCache(CacheConfig(namespace=namespace), provider=CountingProvider())
    for question in (QUESTION, QUESTION, "What is the capital of Italy?"):
        cache.complete(ask(question))
    stats = cache.get_stats()
    assert (stats.requests, stats.hits, stats.misses) == (3, 1, 2)
    done = cache.invalidate(Criteria(keywords=("France",)))
    assert cache.get(ask()) is None
    assert cache.get(ask("What is the capital of Italy?")) is not None
    cache.invalidator.undo(done.id)
    assert cache.get(ask()) is not None
