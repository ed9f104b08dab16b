"""Replay: sends a file of questions through the cache, as fast as asked, and reports its progress."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from ..cache import LLMCache
from ..errors import InvalidInput
from ..models import Answer, ChatRequest, Controls, OutcomeKind

DATA = Path(__file__).parent
SAMPLES = {"banking77": DATA / "banking77_sample.jsonl"}
"""Questions that ship with the project; `core/demo/NOTICE.md` says whose they are."""

TICK_SECONDS = 0.25
MAX_LINE = 1_000_000
GIVE_UP_AFTER = 20
"""Failed requests in a row, from the first on, after which nothing more is sent."""

_TEXTS = ("query", "question", "prompt")
_PARAMETERS = (
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question: messages, and the parameters and the model that its line names."""

    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any] = {}
    model: str | None = None


class ReplayProgress(msgspec.Struct, kw_only=True):
    """The progress of a replay. `planned` is the number of requests to send; None when only time ends it.

    `answered` = hits + misses + bypasses. `saved_usd` is what the served answers had cost, as far as prices are known.
    `problem` is the class of the latest error; `gave_up` says that nothing but errors came back.
    """

    planned: int | None
    sent: int = 0
    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    errors: int = 0
    collapsed: int = 0
    details: dict[str, int] = msgspec.field(default_factory=dict)
    saved_usd: float = 0.0
    saved_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    problem: str = ""
    gave_up: bool = False
    finished: bool = False

    @property
    def answered(self) -> int:
        """Requests that got an answer."""
        return self.hits + self.misses + self.bypasses

    @property
    def hit_rate(self) -> float | None:
        """hits / (hits + misses), as the metrics have it."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else None

    def to_dict(self) -> dict[str, Any]:
        """The progress as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"answered": self.answered, "hit_rate": self.hit_rate}

    def add(self, answer: Answer) -> None:
        """Counts an answer by its outcome."""
        outcome = answer.outcome
        match outcome.kind:
            case OutcomeKind.HIT:
                self.hits += 1
                word = (outcome.detail or "hit") + (" (stale)" if outcome.stale else "")
            case OutcomeKind.MISS:
                self.misses += 1
                self.collapsed += outcome.collapsed
                word = "collapsed" if outcome.collapsed else "miss"
            case _:
                self.bypasses += 1
                word = "bypass"
        self.details[word] = self.details.get(word, 0) + 1
        self.saved_usd += outcome.saved_cost_usd or 0.0
        self.saved_seconds += outcome.saved_ms / 1000


def read_questions(lines: Iterable[str]) -> Iterator[Question]:
    """The questions of JSON lines: `query`, `question` or `prompt`, or `messages` as the OpenAI API takes them.

    Empty lines are skipped. Raises InvalidInput naming the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise InvalidInput(f"line {number}", f"has more than {MAX_LINE} characters")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidInput(f"line {number}", "is not JSON") from None
        yield _question(record, number)


def _question(record: Any, number: int) -> Question:
    if isinstance(record, dict) and isinstance(record.get("body"), dict):
        record = record["body"]  # a line of a batch file
    if isinstance(record, str):
        record = {"query": record}
    if not isinstance(record, dict):
        raise InvalidInput(f"line {number}", "is neither an object nor a text")
    model = record.get("model")
    messages = record.get("messages")
    if messages is None:
        text = next((record[name] for name in _TEXTS if isinstance(record.get(name), str)), "")
        if not text.strip():
            raise InvalidInput(f"line {number}", "has no query, question, prompt or messages")
        messages = [{"role": "user", "content": text}]
    elif not isinstance(messages, list) or not messages or not all(isinstance(part, dict) for part in messages):
        raise InvalidInput(f"line {number}", "messages is not a list of objects")
    return Question(
        messages=messages,
        parameters={name: record[name] for name in _PARAMETERS if name in record},
        model=model if isinstance(model, str) and model.strip() else None,
    )


def sample(name: str) -> list[Question]:
    """The questions of a sample that ships with the project. Raises InvalidInput for an unknown name."""
    path = SAMPLES.get(name)
    if path is None:
        raise InvalidInput("sample", f"is one of: {', '.join(SAMPLES)}")
    with path.open(encoding="utf-8") as lines:
        return list(read_questions(lines))


def popular(questions: Sequence[Question], *, seed: int = 0, exponent: float = 1.1) -> Iterator[Question]:
    """Questions without end, as people ask them: a few again and again, most of them rarely (Zipf's law).

    Every third repetition is typed a little differently: other case, other white space, no closing mark.
    """
    chance = random.Random(seed)
    order = list(questions)
    chance.shuffle(order)
    weights = list(accumulate(1 / rank**exponent for rank in range(1, len(order) + 1)))
    times: dict[int, int] = {}
    while True:
        [index] = chance.choices(range(len(order)), cum_weights=weights)
        times[index] = times.get(index, 0) + 1
        yield _retyped(order[index], chance) if times[index] % 3 == 0 else order[index]


def _retyped(question: Question, chance: random.Random) -> Question:
    *earlier, last = question.messages
    text = last.get("content")
    if not isinstance(text, str):
        return question
    variants = (text.lower(), text.replace(" ", "  "), text.rstrip("?!. "), f"  {text}\n")
    return msgspec.structs.replace(question, messages=[*earlier, {**last, "content": chance.choice(variants)}])


def replay_questions(
    cache: LLMCache,
    questions: Iterable[Question],
    *,
    model: str,
    namespace: str | None = None,
    rate: float = 20.0,
    concurrency: int = 16,
    planned: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[ReplayProgress]:
    """Sends the questions, `rate` a second; yields its progress several times a second and at the end.

    Ends after `planned` requests, after `seconds`, when asked to stop, or when only errors came back. Errors of the
    provider are counted and not raised. Closing the generator waits for the requests that are on their way.
    """
    controls = Controls(namespace=namespace)
    progress = ReplayProgress(planned=planned)
    started = time.monotonic()
    pending: set[Future[Answer]] = set()
    source = iter(questions)

    def is_over() -> bool:
        progress.elapsed_seconds = time.monotonic() - started
        if progress.errors >= GIVE_UP_AFTER and not progress.answered:
            progress.gave_up = True
        is_late = seconds is not None and progress.elapsed_seconds >= seconds
        return progress.gave_up or is_late or should_stop()

    def take(timeout: float) -> None:
        if not pending:
            time.sleep(timeout)
            return
        done, _ = wait(pending, timeout=timeout, return_when=FIRST_COMPLETED)
        pending.difference_update(done)
        for future in done:
            error = future.exception()
            if error is None:
                progress.add(future.result())
            else:
                progress.errors += 1
                progress.problem = type(error).__name__

    with ThreadPoolExecutor(concurrency, thread_name_prefix="replay") as pool:
        reported_at = started
        while not is_over() and (planned is None or progress.sent < planned):
            now = time.monotonic()
            due = started + progress.sent / rate
            if now >= due and len(pending) < concurrency:
                question = next(source, None)
                if question is None:
                    break
                request = ChatRequest.from_openai(
                    model=question.model or model, messages=question.messages, **question.parameters
                )
                pending.add(pool.submit(cache.complete, request, controls))
                progress.sent += 1
                take(0.0)
            else:
                take(TICK_SECONDS if len(pending) >= concurrency else min(TICK_SECONDS, due - now))
            if time.monotonic() - reported_at >= TICK_SECONDS:
                reported_at = time.monotonic()
                yield progress
        while pending:
            take(TICK_SECONDS)
            progress.elapsed_seconds = time.monotonic() - started
            yield progress
    progress.finished = True
    progress.elapsed_seconds = time.monotonic() - started
    yield progress
