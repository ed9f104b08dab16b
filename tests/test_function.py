"""Any function that asks a model, with the cache around it."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

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
    model = Model()
    for prompt in (PROMPT, PROMPT, "how do i activate my card"):
        assert cached_llm_call(cache, model.ask, prompt, "gpt-4o") == "answer 1"
    assert model.calls == [(PROMPT, "gpt-4o", {})]
    assert outcomes.words() == ["miss (absent), stored", "hit (exact)", "hit (normalized)"]


def test_a_coroutine_function_is_awaited(cache):
    model = Model()

    async def twice() -> list[str]:
        return [await cached_llm_call(cache, model.ask_async, PROMPT, "gpt-4o") for _ in range(2)]

    assert asyncio.run(twice()) == ["answer 1", "answer 1"]
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


@pytest.mark.parametrize("nothing", [None, "", "  ", 7, {"text": "not a text"}])
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
    assert len(calls) == 1
