"""Any function that asks a model, with the cache around it."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.function import cached_llm_call
from core.models import Controls, OutcomeKind
from tests.fakes import CountingProvider, Outcomes

PROMPT = "How do I activate my card?"
GENERAL = "What is the capital of France?"


class Model:
    """Answers with the number of the call."""

    def __init__(self, *answers: object) -> None:
        self.calls: list[tuple[str, str, dict[str, object]]] = []
        self._answers = list(answers)

    def ask(self, prompt: str, model: str, **kwargs: object) -> object:
        self.calls.append((prompt, model, kwargs))
        answer = self._answers.pop(0) if self._answers else f"answer {len(self.calls)}"
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def ask_async(self, prompt: str, model: str, **kwargs: object) -> object:
        await asyncio.sleep(0)
        return self.ask(prompt, model, **kwargs)

    __call__ = ask


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def cache(outcomes) -> LLMCache:
    return LLMCache(metrics=outcomes)


def test_the_second_call_is_answered_from_the_cache(cache, outcomes):
    for prompt in (PROMPT, PROMPT, "how do i activate my card"):
        assert cached_llm_call(cache, reply, prompt, "gpt-4o") == f"{PROMPT} {{}}"
    assert outcomes.words() == ["miss (absent), stored", "hit (exact)", "hit (normalized)"]


class Bound:
    def __init__(self, instruction: str) -> None:
        self.instruction = instruction

    def ask(self, prompt: str, model: str) -> str:
        return f"{self.instruction} {prompt}"

    __call__ = ask


def closed_over(instruction: str) -> Callable[..., str]:
    def ask(prompt: str, model: str) -> str:
        return f"{instruction} {prompt}"

    return ask


def reply(prompt: str, model: str, **rest: object) -> str:
    """Translate nothing."""
    return f"{prompt} {rest}"


def with_default(prompt: str, model: str, *, system: str = "Translate into Spanish.") -> str:
    return f"{system} {prompt}"


def with_constant(prompt: str, model: str) -> str:
    return "Translate into Spanish. " + prompt


def translate_it(prompt: str, model: str) -> str:
    return prompt * 2


@pytest.mark.parametrize(
    ("function", "folds"),
    [
        (reply, True),
        (Bound("acme").ask, True),
        (Bound("You are a helpful assistant.").ask, True),
        (closed_over("acme"), True),
        (functools.partial(reply, seed=1), True),
        (translate_it, False),
        (with_default, False),
        (with_constant, False),
        (Bound("Translate into Spanish.").ask, False),
        (Bound("Translate into Spanish."), False),
        (closed_over("Translate into Spanish."), False),
        (functools.partial(reply, system="Talk like a pirate."), False),
    ],
)
def test_a_function_that_may_hold_an_instruction_is_asked_anew_for_each_spelling(cache, outcomes, function, folds):
    for prompt in (PROMPT, PROMPT.lower()):
        cached_llm_call(cache, function, prompt, "gpt-4o")
    assert outcomes.words()[1] == ("hit (normalized)" if folds else "miss (may be material), stored")


def test_an_argument_that_may_instruct_leaves_a_prompt_exact(cache, outcomes):
    for system in ("You are a helpful assistant.", "Translate into Spanish."):
        for prompt in (PROMPT, PROMPT.lower()):
            cached_llm_call(cache, reply, prompt, "gpt-4o", system=system)
    assert outcomes.words()[1::2] == ["hit (normalized)", "miss (may be material), stored"]


def test_a_coroutine_function_is_awaited(cache):
    model = Model()

    async def twice() -> list[str]:
        return [await cached_llm_call(cache, model.ask_async, PROMPT, "gpt-4o") for _ in range(2)]

    assert asyncio.run(twice()) == ["answer 1", "answer 1"]
    assert len(model.calls) == 1


@pytest.mark.parametrize("number", range(4))
def test_what_returns_a_coroutine_is_awaited_and_kept(cache, number):
    model = Model()

    class Called:
        async def __call__(self, prompt: str, model_name: str = "", **kwargs: object) -> object:
            return model.ask(prompt, "gpt-4o")

    @functools.wraps(model.ask_async)
    def wrapped(prompt: str, model: str) -> object:
        return bound(prompt, model)

    bound = model.ask_async
    function = [
        lambda prompt, model: bound(prompt, model=model),
        wrapped,
        functools.partial(Model.ask_async, model),
        functools.partial(Called(), model_name="x"),
    ][number]
    if number == 3:
        called = Called()
        function = functools.partial(lambda prompt, model, asked: asked(prompt), asked=called)

    async def several() -> list[object]:
        first = await cached_llm_call(cache, function, PROMPT, "gpt-4o", function_name="asking")
        both = await asyncio.gather(
            *(cached_llm_call(cache, function, PROMPT, "gpt-4o", function_name="asking") for _ in range(2))
        )
        return [first, *both]

    assert asyncio.run(several()) == ["answer 1"] * 3
    assert len(model.calls) == 1


def test_prompt_model_and_arguments_make_a_call_another_one(cache):
    model = Model()
    calls = [
        (PROMPT, "gpt-4o", {}),
        ("How do I freeze my card?", "gpt-4o", {}),
        (PROMPT, "gpt-4o-mini", {}),
        (PROMPT, "gpt-4o", {"temperature": 0}),
        (PROMPT, "gpt-4o", {"style": {"tone": "formal"}}),
    ]
    for _ in range(2):
        for prompt, name, arguments in calls:
            cached_llm_call(cache, model.ask, prompt, name, **arguments)
    assert model.calls == calls


def test_arguments_that_do_not_change_the_answer_do_not_split_it(cache):
    model = Model()
    for user in ("a", "b"):
        assert cached_llm_call(cache, model.ask, GENERAL, "gpt-4o", user=user, timeout=3) == "answer 1"


@pytest.mark.parametrize(
    "name", ["metadata", "service_tier", "store", "extra_headers", "prompt_cache_key", "verbosity"]
)
def test_any_other_argument_is_part_of_the_call(cache, name):
    model = Model()
    answers = [cached_llm_call(cache, model.ask, GENERAL, "gpt-4o", **{name: value}) for value in ("de", "fr")]
    assert answers == ["answer 1", "answer 2"]


class Client:
    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.calls = 0

    def ask(self, prompt: str, model: str) -> str:
        self.calls += 1
        return f"for {self.tenant}"


def test_what_a_function_was_made_with_is_part_of_the_call(cache, outcomes):
    def ask(prompt: str, model: str, system: str) -> str:
        return f"like a {system}"

    for _ in range(2):
        for system in ("pirate", "lawyer"):
            bound = functools.partial(ask, system=system)
            assert cached_llm_call(cache, bound, PROMPT, "gpt-4o") == f"like a {system}"
        for tenant in ("acme", "globex"):
            assert cached_llm_call(cache, Client(tenant).ask, PROMPT, "gpt-4o") == f"for {tenant}"
    assert [word.partition(" ")[0] for word in outcomes.words()] == ["miss"] * 4 + ["hit"] * 4


def test_a_function_without_a_stable_form_bypasses_and_says_so_once_until_it_has_a_name(cache, outcomes, caplog):
    def ask(prompt: str, model: str, client: object) -> str:
        return "an answer"

    for _ in range(2):
        cached_llm_call(cache, functools.partial(ask, client=object()), PROMPT, "gpt-4o")
    assert outcomes.words() == ["bypass (unnamed-function)"] * 2
    (line,) = caplog.messages
    assert "function_name" in line
    assert "object" in line
    for _ in range(2):
        cached_llm_call(cache, functools.partial(ask, client=object()), PROMPT, "gpt-4o", function_name="asking")
    assert [word.partition(" ")[0] for word in outcomes.words()[2:]] == ["miss", "hit"]


def test_names_keep_functions_apart(cache):
    for name in ("a", "b"):
        model = Model(f"answer of {name}")
        assert cached_llm_call(cache, model.ask, PROMPT, "gpt-4o", function_name=name) == f"answer of {name}"


def test_a_function_that_changes_what_it_holds_is_never_answered_wrongly_and_says_so(cache, caplog):
    class Chat:
        def __init__(self) -> None:
            self.said = ""

        def ask(self, prompt: str, model: str) -> str:
            self.said = f"{self.said} {prompt}"
            return self.said

    chat = Chat()
    first, second = (cached_llm_call(cache, chat.ask, "again", "gpt-4o") for _ in range(2))
    assert (first, second) == (" again", " again again")
    assert ["changes what it holds" in line for line in caplog.messages] == [True]


def test_functions_do_not_share_answers(cache):
    def shout(prompt: str, model: str) -> str:
        return "LOUD"

    def whisper(prompt: str, model: str) -> str:
        return "quiet"

    assert cached_llm_call(cache, shout, PROMPT, "gpt-4o") == "LOUD"
    assert cached_llm_call(cache, whisper, PROMPT, "gpt-4o") == "quiet"
    assert cached_llm_call(cache, functools.partial(shout), PROMPT, "gpt-4o") == "LOUD"


def test_an_object_that_can_be_called_is_a_function_too(cache):
    model = Model()
    assert cached_llm_call(cache, model, PROMPT, "gpt-4o") == cached_llm_call(cache, model, PROMPT, "gpt-4o")
    assert len(model.calls) == 1


def test_a_function_and_the_provider_do_not_share_answers():
    provider = CountingProvider()
    cache = LLMCache(provider=provider)
    from core.models import ChatRequest

    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": PROMPT}])
    assert cache.complete(request).completion.text == "answer 1"
    assert cached_llm_call(cache, Model("made of it").ask, PROMPT, "gpt-4o") == "made of it"


@pytest.mark.parametrize(
    "nothing",
    [None, "", "  ", 7, {"text": "not a text"}, {"response": 7}, {"response": "x", "it": object()}],
)
def test_what_is_no_text_is_returned_and_not_kept(cache, nothing):
    model = Model(nothing, nothing)
    for _ in range(2):
        assert cached_llm_call(cache, model.ask, PROMPT, "gpt-4o") == nothing
    assert cached_llm_call(cache, model.ask, PROMPT, "gpt-4o") == "answer 3"


def test_what_the_function_raises_passes_through_and_is_not_kept(cache, outcomes):
    error = ValueError("no")
    model = Model(error)
    with pytest.raises(ValueError, match="no") as raised:
        cached_llm_call(cache, model.ask, PROMPT, "gpt-4o")
    assert raised.value is error
    assert outcomes.all[0].kind is OutcomeKind.ERROR
    assert cached_llm_call(cache, model.ask, PROMPT, "gpt-4o") == "answer 2"


def test_what_a_coroutine_function_raises_passes_through(cache):
    with pytest.raises(ValueError, match="no"):
        asyncio.run(cached_llm_call(cache, Model(ValueError("no")).ask_async, PROMPT, "gpt-4o"))


def test_an_argument_that_has_no_key_makes_the_call_bypass(cache, outcomes):
    model = Model()
    assert cached_llm_call(cache, model.ask, PROMPT, "gpt-4o", client=object()) == "answer 1"
    assert outcomes.words() == ["bypass (unencodable)"]


def test_the_policy_holds_for_functions_too(cache, outcomes):
    cached_llm_call(cache, Model().ask, PROMPT, "gpt-4o", temperature=1.5)
    assert outcomes.words() == ["bypass (temperature)"]


def test_controls_are_the_callers(cache):
    model = Model()
    for namespace in ("a", "b", "a"):
        cached_llm_call(cache, model.ask, PROMPT, "gpt-4o", controls=Controls(namespace=namespace))
    cached_llm_call(cache, model.ask, PROMPT, "gpt-4o", controls=Controls(no_store=True))
    assert len(model.calls) == 3


def call_once(cache: LLMCache, function: Any, is_async: bool, **arguments: Any) -> Any:
    """One call, by the function or by a coroutine function that does as it does."""
    if not is_async:
        return cached_llm_call(cache, function, PROMPT, "gpt-4o", **arguments)

    async def asking(prompt: str, model: str, **kwargs: object) -> Any:
        return function(prompt, model, **kwargs)

    return asyncio.run(cached_llm_call(cache, asking, PROMPT, "gpt-4o", function_name="asking", **arguments))


BEARS = ("cached", "tokens_used", "latency_ms", "original_latency_ms", "cache_age_seconds", "key")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_text_says_how_it_came_about(cache, is_async):
    model = Model()
    first, second = (call_once(cache, model.ask, is_async) for _ in range(2))
    assert (first, second) == ("answer 1", "answer 1")
    assert isinstance(second, str)
    assert (first.cached, second.cached) == (False, True)
    assert first.tokens_used is second.tokens_used is None
    assert first.key == second.key != ""
    assert first.cache_age_seconds == 0
    assert second.cache_age_seconds > 0
    assert second.original_latency_ms == first.original_latency_ms
    assert first.latency_ms >= first.original_latency_ms > 0
    assert json.loads(json.dumps(second)) == "answer 1"
    assert pickle.loads(pickle.dumps(second)).key == second.key


@pytest.mark.parametrize("is_async", [False, True])
def test_a_mapping_comes_back_as_one(cache, outcomes, is_async):
    model = Model({"response": "Paris", "tokens_used": 42, "finish": ["stop", {"deep": None}]})
    first, second = (call_once(cache, model.ask, is_async) for _ in range(2))
    assert outcomes.words() == ["miss (absent), stored", "hit (exact)"]
    assert len(model.calls) == 1
    for result in (first, second):
        assert {name: result[name] for name in ("response", "tokens_used", "finish")} == {
            "response": "Paris",
            "tokens_used": 42,
            "finish": ["stop", {"deep": None}],
        }
        assert set(BEARS) < set(result)
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["key"] == second["key"] != ""
    assert outcomes.all[0].input_tokens + outcomes.all[0].output_tokens == 42
    assert outcomes.all[1].saved_input_tokens + outcomes.all[1].saved_output_tokens == 42


@pytest.mark.parametrize("tokens", [None, -1, "many", True, 1.5])
def test_tokens_that_make_no_sense_are_not_counted(cache, tokens):
    model = Model({"response": "Paris", "tokens_used": tokens})
    first, second = (cached_llm_call(cache, model.ask, PROMPT, "gpt-4o") for _ in range(2))
    assert (first["tokens_used"], second["tokens_used"], second["cached"]) == (None, None, True)


def test_a_bypass_says_so_too(cache):
    text = cached_llm_call(cache, Model("warm").ask, PROMPT, "gpt-4o", temperature=1.5)
    assert (text, text.cached, text.key) == ("warm", False, "")
    result = cached_llm_call(cache, Model({"response": "warm"}).ask, PROMPT, "gpt-4o", temperature=1.5)
    assert (result["response"], result["cached"], result["key"]) == ("warm", False, "")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_mapping", [False, True])
def test_an_old_answer_is_given_in_the_same_form_when_the_function_fails(is_async, is_mapping):
    now = [1_800_000_000.0]
    cache = LLMCache(CacheConfig(stale_if_error_seconds=30 * 86_400), clock=lambda: now[0])
    answer = {"response": "old", "tokens_used": 3} if is_mapping else "old"
    model = Model(answer, ConnectionError("down"))
    assert read(call_once(cache, model.ask, is_async), "cached") is False
    now[0] += 8 * 86_400
    stale = call_once(cache, model.ask, is_async)
    assert len(model.calls) == 2
    assert read(stale, "cached") is True
    assert read(stale, "cache_age_seconds") == 8 * 86_400
    assert (stale["response"] if is_mapping else stale) == "old"


def read(result: Any, name: str) -> Any:
    return result[name] if isinstance(result, dict) else getattr(result, name)


@pytest.mark.parametrize("is_async", [False, True])
def test_equal_calls_at_once_are_one_call(is_async):
    cache = LLMCache(CacheConfig())
    entered, opened = threading.Event(), threading.Event()
    calls = []

    def slow(prompt: str, model: str) -> str:
        calls.append(prompt)
        entered.set()
        assert opened.wait(120)
        return "answer"

    async def slow_async(prompt: str, model: str) -> str:
        return await asyncio.to_thread(slow, prompt, model)

    def call() -> str:
        if is_async:
            return asyncio.run(cached_llm_call(cache, slow_async, PROMPT, "gpt-4o"))
        return cached_llm_call(cache, slow, PROMPT, "gpt-4o")

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(call) for _ in range(8)]
        assert entered.wait(120)
        opened.set()
        assert {answer.result(120) for answer in answers} == {"answer"}
        assert sorted(answer.result().cached for answer in answers) == [False] + [True] * 7
    assert len(calls) == 1


# What a mapping says of itself

FAILED: tuple[dict[str, Any], ...] = (
    *({"error": "over capacity"}, {"error": {"code": 1}}, {"Error": "x"}, {"errors": ["x"]}, {"exception": "x"}),
    *({"status_code": 500}, {"status_code": 429}, {"success": False}, {"is_error": True}, {"status": "failed"}),
    *({"finish_reason": "length"}, {"finish_reason": "content_filter"}, {"finish_reason": "MAX_TOKENS"}),
    *({"finish_reason": "unheard-of"}, {"stop_reason": "max_tokens"}, {"incomplete_details": {"reason": "x"}}),
    {"x_groq": {"error": "x"}},
)


@pytest.mark.parametrize("report", FAILED, ids=str)
def test_a_mapping_that_says_that_it_failed_is_returned_and_not_kept(cache, report):
    asked: list[str] = []

    def ask(prompt: str, model: str) -> dict[str, Any]:
        asked.append(prompt)
        return {"response": "Half of it", **report}

    for _ in range(2):
        result = cached_llm_call(cache, ask, "How old are you?", "gpt-4o")
        assert result["response"] == "Half of it"
        assert not result["cached"]
        assert report.items() <= result.items()
    assert len(asked) == 2


@pytest.mark.parametrize(
    "report",
    [
        *({"error": None}, {"status_code": 200}, {"finish_reason": "stop"}, {"finish_reason": "end_turn"}),
        *({"finish_reason": None}, {"success": True}, {"sources": ["page"]}, {"code": "print(1)", "message": "ours"}),
        *({"detail": "more"}, {"status": "done"}, {"stop_reason": "end_turn"}),
    ],
    ids=str,
)
def test_a_mapping_that_says_that_all_is_well_is_kept(cache, report):
    def ask(prompt: str, model: str) -> dict[str, Any]:
        return {"response": "All of it", **report}

    cached_llm_call(cache, ask, "How old are you?", "gpt-4o")
    assert cached_llm_call(cache, ask, "How old are you?", "gpt-4o")["cached"]
