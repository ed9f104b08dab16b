"""What a session looks at stays as it was read: rows must not move under the pointer, nor below an open card."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec
import streamlit as st

from pages.components.data import context
from pages.components.data.readings import Reading

Value = TypeVar("Value")

HELD_SECONDS = 30.0
"""How long what was read stays, while nothing of it is selected."""


class _Held(msgspec.Struct, frozen=True):
    of: Hashable
    reading: Reading[Any]
    is_grown: bool = False


def held(
    name: str, of: Hashable, read: Callable[[], Reading[Value]], *, is_selected: bool, is_live: bool = False
) -> Reading[Value]:
    """The reading that this session has under a name, or a new one: where there is none of the same (`of`), where it is
    older than that (live: always) and nothing in it is selected, and where it could not be read. What has grown stays.
    """
    seconds = 0.0 if is_live else HELD_SECONDS
    kept: _Held | None = st.session_state.get(name)
    if (
        kept is not None
        and kept.of == of
        and not kept.reading.error
        and (is_selected or kept.is_grown or 0 <= time.time() - kept.reading.read_at < seconds)
    ):
        return kept.reading
    reading = read()
    if reading.value is not None:
        st.session_state[name] = _Held(of, reading)
    return reading


def replace(name: str, value: object) -> None:
    """Has what is held under a name grow to a value, which stays until it is read anew."""
    kept: _Held = st.session_state[name]
    grown = Reading(value, kept.reading.read_at, kept.reading.generation)
    st.session_state[name] = _Held(kept.of, grown, is_grown=True)


def look_again(name: str) -> None:
    """Has it read anew on the next run, whatever is selected."""
    st.session_state.pop(name, None)
    context.readings().renew()
