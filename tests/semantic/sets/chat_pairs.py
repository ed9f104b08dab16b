"""The labelled pairs of conversations in `chats`: whether the answer to one answers the other too."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("chats")


@dataclass(frozen=True, kw_only=True)
class ChatPair:
    """`a` is stored, then `b` is asked; both are messages as the API has them. `depends_a` and `depends_b` are words
    without which the last message cannot be understood."""

    a: list[dict[str, Any]]
    b: list[dict[str, Any]]
    equivalent: bool
    category: str
    depends_a: tuple[str, ...] = ()
    depends_b: tuple[str, ...] = ()


def chat_pairs(name: str) -> Iterator[ChatPair]:
    """The pairs of a set: `seen`, which the rules were made with, or `unseen`."""
    for row in tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["chats"]:
        yield ChatPair(
            a=messages_of(row["a"]),
            b=messages_of(row["b"]),
            equivalent=row["equivalent"],
            category=row["category"],
            depends_a=tuple(row["depends_a"]),
            depends_b=tuple(row["depends_b"]),
        )


def messages_of(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Texts of user and model in turn as messages."""
    return [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]
