"""Work beside a script: its result, its error, and that it ends with the script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pages.components.data.background import Background


class Stop(BaseException):
    """What a script raises where it draws, when it is to stop."""


@pytest.fixture
def background() -> Iterator[Background]:
    begun = Background()
    yield begun
    begun.close()


def test_the_script_gets_the_result_and_ticks_until_then(background):
    ticked = threading.Event()

    async def work() -> str:
        await asyncio.to_thread(ticked.wait)
        return "done"

    assert background.run(work(), ticked.set) == "done"


def test_an_error_of_the_work_is_the_scripts(background):
    async def work() -> None:
        raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        background.run(work(), lambda: None)


def test_work_has_ended_when_a_stopped_script_goes_on(background):
    said = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("let go")

    def tick() -> None:
        raise Stop

    with pytest.raises(Stop):
        background.run(work(), tick)
    assert said == ["let go"]


def test_work_that_was_not_looked_after_ends_with_the_console(background):
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def run() -> None:
        with pytest.raises(BaseException):  # noqa: B017, PT011 (it is cancelled)
            background.run(work(), lambda: None)

    script = threading.Thread(target=run)
    script.start()
    assert begun.wait(120)
    background.close()
    assert ended.wait(120)
    script.join(120)
    assert not script.is_alive()
