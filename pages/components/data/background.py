"""Work beside a page's script, so that stopping the script stops the work at once.

A script is stopped where it draws something, and nowhere else: one that waits for a silent provider itself would go on
waiting. Here the work runs on an event loop, where it can be cancelled, and the script only looks after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import wait
from contextlib import suppress
from typing import Any, TypeVar

import streamlit as st

Result = TypeVar("Result")

TICK_SECONDS = 0.05
ENDING_SECONDS = 5.0
"""Longest wait for cancelled work to let go of what it holds."""


class Background:
    """An event loop on a thread of its own, for all sessions."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="encore-background", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], tick: Callable[[], object]) -> Result:
        """Runs the work and returns its result. Calls `tick` repeatedly meanwhile.

        An error of `tick`, such as Streamlit's when the script is to stop, ends the work first and then passes through.
        """
        ended = threading.Event()

        async def run() -> Result:
            try:
                return await work
            finally:
                ended.set()

        running = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            while not wait([running], TICK_SECONDS).done:
                tick()
            return running.result()
        except BaseException:
            if running.cancel():
                ended.wait(ENDING_SECONDS)
            raise

    def close(self) -> None:
        """Cancels all work under way, and ends the thread."""
        if self._thread.is_alive():
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result(ENDING_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(ENDING_SECONDS)
        if not self._loop.is_running():
            self._loop.close()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


@st.cache_resource(show_spinner=False, on_release=lambda background: background.close())
def background() -> Background:
    """The event loop shared by all sessions of this console."""
    return Background()
