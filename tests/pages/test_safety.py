"""What no page may do: interpret text from outside, speak to Redis or RQ itself, reach outside of this machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
FORBIDDEN_CALLS = {"html", "write", "write_stream", "iframe", "latex", "toast", "image", "set_option"}
STYLES = {("html", "_CHOICES"), ("html", "_PRINTED")}  # constants of their module, which test_architecture allows alone
FORBIDDEN_MODULES = {"redis", "rq", "pickle", "subprocess", "os"}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


@pytest.fixture(params=SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def tree(request) -> ast.Module:
    return ast.parse(request.param.read_text())


def test_nothing_is_drawn_that_could_run_or_load(tree):
    for call in calls(tree):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        is_streamlit = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if is_streamlit and call.func.value.id == "st":
            is_constant = (name, ast.unparse(call.args[0]) if call.args else "") in STYLES
            assert is_constant or name not in FORBIDDEN_CALLS, f"st.{name}, line {call.lineno}"
        assert not any(keyword.arg == "unsafe_allow_html" for keyword in call.keywords), f"line {call.lineno}"


def test_pages_know_neither_redis_nor_the_queue_library(tree):
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            assert name.partition(".")[0] not in FORBIDDEN_MODULES, name


MARKDOWN = {"markdown", "caption", "error", "warning", "info", "success", "badge", "subheader", "title", "header"}
TEXT_FROM_OUTSIDE = {"prompt", "text", "actor", "model", "criteria", "error", "reason", "key", "body", "content"}
MAKES_SAFE = {
    "literal",
    "plain",
    "error_sentence",
    "one_line",
    "many",
    "clock",
    "duration",
    "share",
    "money",
    "size",
    "number",
}
MAKES_SAFE |= {"why", "why_not_stored"}  # sentences of our own, chosen by a reason


def test_text_from_outside_becomes_markdown_only_as_a_literal(tree):
    """In what is given to an element that interprets Markdown, no such attribute stands outside of a safe call."""
    for call in calls(tree):
        for given in markdown_given_to(call):
            for node in outside_of_safe_calls(given):
                if isinstance(node, ast.Attribute) and node.attr in TEXT_FROM_OUTSIDE:
                    pytest.fail(f"{ast.unparse(node)} in {ast.unparse(call.func)}, line {call.lineno}")


def markdown_given_to(call: ast.Call) -> list[ast.expr]:
    match call.func:
        case ast.Attribute(attr=name) if name in MARKDOWN:
            return call.args[:1]
        case ast.Name(id="placeholder" | "draw_boxed"):
            return call.args
        case _:
            return []


def outside_of_safe_calls(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKES_SAFE:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from outside_of_safe_calls(child)
