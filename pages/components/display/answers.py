"""Answers as a screen may show them: text as it is, fenced code as code, and nothing interpreted."""

from __future__ import annotations

import re

import msgspec
import streamlit as st

from pages.components.display.text import visible

_FENCE = re.compile(r"(`{3,}+|~{3,}+)[ \t]*+([A-Za-z0-9+#_-]{0,20})")


class Piece(msgspec.Struct, frozen=True):
    """Some lines of an answer. `language` is None for text, and empty for code that names none."""

    text: str
    language: str | None = None


def pieces(answer: str) -> list[Piece]:
    """An answer in its parts, the lines of fences left out; a fence that is never closed reaches to the end."""
    found: list[Piece] = []
    lines: list[str] = []
    fence, language = "", None
    *whole, last = answer.split("\n")
    for line in whole:
        if fence and line.rstrip(" \t") == fence:
            found.append(Piece("\n".join(lines), language))
            lines, fence, language = [], "", None
        elif not fence and (opening := _FENCE.match(line)):
            found.append(Piece("\n".join(lines)))
            lines, fence, language = [], opening[1], opening[2].lower()
        else:
            lines.append(line)
    if not (fence and last.rstrip(" \t") == fence):
        lines.append(last)
    found.append(Piece("\n".join(lines), language))
    return [
        msgspec.structs.replace(piece, text=piece.text.strip("\n"))
        for piece in found
        if piece.text.strip() or piece.language is not None
    ]


def show_answer(answer: str) -> None:
    """Draws the whole answer: text as it is, fenced code as code."""
    for piece in pieces(answer):
        if piece.language is None:
            st.text(visible(piece.text), width="stretch")
        else:
            st.code(visible(piece.text), language=piece.language or None, wrap_lines=True)
