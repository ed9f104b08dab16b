"""Through how many functions and files a request goes: `python -m benchmarks.request_walk`.

An exact hit and a miss that is stored are traced, each after a warm-up: on the store in memory through a bare
`LLMCache`, on Redis through `bootstrap`, and without near questions. The whole public call is traced, the building of
the request included, on the thread of the caller. Only functions count whose file is under `core/`; what they call
elsewhere is passed through.

- A call is the start of a function, lambda, comprehension or generator. That a generator goes on is a resume and no
  call. Python 3.12 and later have no functions for comprehensions, so that figures compare on one version only.
- A move is a call, or a resume, that is in another file than the call or resume before it, in the order of time: how
  often somebody who reads along has to change the file. Returns are no moves of their own: who comes back to a file and
  makes its next call there has moved when that call goes to the file itself, and not when it goes on to a third one.
- A file is entered by a move into it, and by the first call.

A file named with `--driver` is passed through: its calls are counted, but going into it and out of it is no move.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from core import Answer, ChatRequest, Completion, LLMCache, Settings, bootstrap
from core.stores.redis.embedded import EmbeddedRedis

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "core"
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""The flags of what may go on after it has stopped."""


class Step(NamedTuple):
    """One call, or one resume of a generator. `depth` is the number of traced functions that it is inside of."""

    file: str
    code: CodeType
    depth: int
    resumed: bool


class Figures(NamedTuple):
    """What a walk amounts to; `entered` says how often each file was entered."""

    calls: int
    resumes: int
    functions: int
    files: int
    moves: int
    entered: Counter[str]


def walk(call: Callable[[], object], folder: Path = ROOT / FOLDER) -> list[Step]:
    """All calls and resumes of functions of the folder while `call` runs, in the order of time."""
    within = f"{folder}/"
    top = f"{folder.parent}/"
    steps: list[Step] = []
    generators: dict[int, FrameType] = {}  # kept, so that no other frame gets the same id

    def observe(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(within):
            return
        depth, outer = 0, frame.f_back
        while outer is not None:
            depth += outer.f_code.co_filename.startswith(within)
            outer = outer.f_back
        resumed = id(frame) in generators
        if code.co_flags & GENERATORS:
            generators[id(frame)] = frame
        steps.append(Step(code.co_filename.removeprefix(top), code, depth, resumed))

    before = sys.getprofile()
    sys.setprofile(observe)
    try:
        call()
    finally:
        sys.setprofile(before)
    return steps


def figures(steps: list[Step], drivers: Collection[str] = ()) -> Figures:
    """The figures of a walk. Files in `drivers` are passed through without a move."""
    entered: Counter[str] = Counter()
    here = None
    for step in steps:
        if step.file != here and step.file not in drivers:
            entered[step.file] += 1
            here = step.file
    calls = [step for step in steps if not step.resumed]
    return Figures(
        calls=len(calls),
        resumes=len(steps) - len(calls),
        functions=len({step.code for step in steps}),
        files=len({step.file for step in steps}),
        moves=max(0, entered.total() - 1),
        entered=entered,
    )


class Answering:
    """A provider that answers at once, with nothing of the project's own on the way."""

    name = "answering"
    base_url = "http://provider.test/v1"

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """One fixed answer to every request."""
        message = {"role": "assistant", "content": "It is a city."}
        return Completion(
            body={
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_800_000_000,
                "model": request.model,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
            }
        )

    def close(self) -> None:
        """There is nothing to close."""


def ask(cache: LLMCache, country: str) -> Answer:
    """One request, built as an application builds it."""
    question = f"What is the capital of {country}?"
    return cache.complete(
        ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}], temperature=0)
    )


def walks(cache: LLMCache) -> Iterator[tuple[str, list[Step]]]:
    """A hit and a miss that is stored, after others of their kind."""
    for country in ("Italy", "Spain", "Greece"):
        ask(cache, country)
        ask(cache, country)
    for name, country, expected in (("hit", "Italy", "hit (exact)"), ("miss", "France", "miss (absent), stored")):
        answers: list[Answer] = []
        yield name, walk(lambda country=country, answers=answers: answers.append(ask(cache, country)))  # type: ignore[misc]
        if str(answers[0].outcome) != expected:
            raise SystemExit(f"expected {expected}, and it was {answers[0].outcome}")


@contextmanager
def caches() -> Iterator[dict[str, LLMCache]]:
    """The caches that are walked through, by the name of their store."""
    with tempfile.TemporaryDirectory() as home, EmbeddedRedis(Path(home), durable=False) as server:
        settings = Settings(redis_url=server.url, redis_timeout_seconds=1)
        provider: Any = Answering()
        with bootstrap(settings, provider=provider) as services:
            yield {"memory": LLMCache(provider=provider), "Redis": services.cache}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", help="also print the functions in the order of their calls")
    parser.add_argument(
        "--driver", action="append", default=[], metavar="FILE", help="a file to pass through, e.g. core/cache.py"
    )
    options = parser.parse_args()
    for driver in options.driver:
        if not (ROOT / driver).is_file():
            parser.error(f"there is no file {driver}")
    with caches() as known:
        found = {f"{name} {store}": steps for store, cache in known.items() for name, steps in walks(cache)}
    walked = {name: figures(steps, options.driver) for name, steps in found.items()}
    print(f"{'':28}" + "".join(f"{name:>13}" for name in walked))
    for figure in ("calls", "resumes", "functions", "files", "moves"):
        print(f"{figure:28}" + "".join(f"{getattr(those, figure):13}" for those in walked.values()))
    print("entered")
    total = sum((those.entered for those in walked.values()), Counter[str]())
    for file, _ in total.most_common():
        print(f"  {file:26}" + "".join(f"{those.entered[file] or '-':>13}" for those in walked.values()))
    if options.path:
        for name, steps in found.items():
            print(f"\n{name}")
            for step in steps:
                note = " (resumed)" if step.resumed else ""
                print(f"{'  ' * (step.depth + 1)}{step.file}: {step.code.co_qualname}{note}")


if __name__ == "__main__":
    main()
